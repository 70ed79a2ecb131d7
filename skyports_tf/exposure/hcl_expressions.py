"""HCL expressions as far as they are literal: what hangs on a cloud or on whoever runs the code is `UNKNOWN`.

Literals, templates, lists, objects, conditions, references that a scope knows, and the functions of
`hcl_functions` have a value, nothing else has. Grammar: github.com/hashicorp/hcl, hclsyntax/spec.md.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from skyports_tf.exposure.hcl_functions import FUNCTIONS, spelled
from skyports_tf.exposure.values import UNKNOWN

_SPACE = re.compile(r"(?:\s|#[^\n]*|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_IDENTIFIER = re.compile(r"[^\W\d][\w-]*")
_HEREDOC = re.compile(r"<<(-?)(\w+)\n(.*?)^[ \t]*\2[ \t]*$", re.DOTALL | re.MULTILINE)
_OPERATOR = re.compile(r"\|\||&&|==|!=|<=|>=|[<>+\-*/%]")
_REFERENCE = re.compile(r"[^\W\d][\w-]*(?:\.(?:[\w-]+|\*)|\[[^\[\]]*\])+")
_TEMPLATE_MARK = re.compile(r"\$\{|%\{")
_ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}
_KEYWORDS: Final = {"true": True, "false": False, "null": None}
_LEVELS: Final = {
    "||": 1,
    "&&": 2,
    **dict.fromkeys(("==", "!="), 3),
    **dict.fromkeys(("<", ">", "<=", ">="), 4),
    **dict.fromkeys("+-", 5),
    **dict.fromkeys("*/%", 6),
}
_OPERATIONS: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "||": lambda left, right: left or right,
    "&&": lambda left, right: left and right,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
}


class Scope(Protocol):
    """What names mean where an expression stands."""

    def lookup(self, steps: Sequence[str | int]) -> Any:
        """The value of a reference, `UNKNOWN` where it has none here."""


class _UnreadError(Exception):
    """The expression is of a form that has no value here."""


def evaluate(text: str, scope: Scope) -> Any:
    """The value of an expression in a scope; `UNKNOWN` where it is not literal."""
    reader = _Reader(text, scope)
    try:
        value = reader.expression()
        reader.end()
    except (_UnreadError, ArithmeticError, LookupError, TypeError, ValueError, RecursionError):
        return UNKNOWN
    return value


def references_of(text: str) -> list[str]:
    """Every dotted name in an expression, as a plan's JSON lists references."""
    return [found[0] for found in _REFERENCE.finditer(text)]


class _Reader:
    """Reads and evaluates one expression, character by character."""

    def __init__(self, text: str, scope: Scope) -> None:
        self.text, self.scope, self.at = text, scope, 0

    # -- words -----------------------------------------------------------------------------

    def space(self) -> None:
        if found := _SPACE.match(self.text, self.at):
            self.at = found.end()

    def take(self, word: str) -> bool:
        self.space()
        if not self.text.startswith(word, self.at):
            return False
        self.at += len(word)
        return True

    def need(self, word: str) -> None:
        if not self.take(word):
            raise _UnreadError

    def match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        self.space()
        found = pattern.match(self.text, self.at)
        if found:
            self.at = found.end()
        return found

    def end(self) -> None:
        self.space()
        if self.at != len(self.text):
            raise _UnreadError

    # -- expressions -----------------------------------------------------------------------

    def expression(self) -> Any:
        value = self.binary(1)
        if not self.take("?"):
            return value
        yes = self.expression()
        self.need(":")
        no = self.expression()
        return UNKNOWN if value is UNKNOWN else yes if value in (True, "true") else no

    def binary(self, level: int) -> Any:
        left = self.unary()
        while True:
            at = self.at
            found = self.match(_OPERATOR)
            if found is None or _LEVELS[found[0]] < level:
                self.at = at
                return left
            right = self.binary(_LEVELS[found[0]] + 1)
            left = _operate(found[0], left, right)

    def unary(self) -> Any:
        if self.take("!"):
            value = self.unary()
            return UNKNOWN if value is UNKNOWN else not value
        if self.take("-"):
            value = self.unary()
            return UNKNOWN if value is UNKNOWN else -value
        return self.steps(self.primary())

    def steps(self, value: Any) -> Any:
        while True:
            if self.take("."):
                found = self.match(_IDENTIFIER) or self.match(_NUMBER)
                value = _step(value, found[0]) if found else self.star()
            elif self.take("["):
                value = _step(value, self.expression()) if not self.take("*") else UNKNOWN
                self.need("]")
            else:
                return value

    def star(self) -> Any:
        self.need("*")
        return UNKNOWN

    def primary(self) -> Any:
        if self.take('"'):
            return self.template()
        if self.take("("):
            value = self.expression()
            self.need(")")
            return value
        if self.take("["):
            return self.items()
        if self.take("{"):
            return self.pairs()
        if found := self.match(_HEREDOC):
            return UNKNOWN if _TEMPLATE_MARK.search(found[3]) else found[3]
        if found := self.match(_NUMBER):
            return float(found[0]) if re.search(r"[.eE]", found[0]) else int(found[0])
        if found := self.match(_IDENTIFIER):
            return self.name(found[0])
        raise _UnreadError

    def name(self, word: str) -> Any:
        if word in _KEYWORDS:
            return _KEYWORDS[word]
        if self.take("("):
            return self.call(word)
        steps: list[str | int] = [word]
        while self.text.startswith((".", "["), self.at):
            at = self.at
            step = self.reference_step()
            if step is UNKNOWN:
                return UNKNOWN
            if step is None:
                self.at = at
                break
            steps.append(step)
        return self.scope.lookup(steps)

    def reference_step(self) -> Any:
        if self.take("["):
            index = UNKNOWN if self.take("*") else self.expression()
            self.need("]")
            return index
        self.need(".")
        found = self.match(_IDENTIFIER) or self.match(_NUMBER)
        return found[0] if found else self.star()

    def call(self, word: str) -> Any:
        given = []
        while not self.take(")"):
            given.append(self.expression())
            if self.take("..."):
                raise _UnreadError
            if not self.take(","):
                self.need(")")
                break
        function = FUNCTIONS.get(word)
        if function is None or any(value is UNKNOWN for value in given):
            return UNKNOWN
        return function(*given)

    def items(self) -> list[Any]:
        found = []
        if self.is_for():
            raise _UnreadError
        while not self.take("]"):
            found.append(self.expression())
            if not self.take(","):
                self.need("]")
                break
        return found

    def pairs(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if self.is_for():
            raise _UnreadError
        while not self.take("}"):
            key = self.key()
            if not self.take("="):
                self.need(":")
            found[str(key)] = self.expression()
            self.take(",")
        return found

    def is_for(self) -> bool:
        self.space()
        return re.match(r"for\s", self.text[self.at : self.at + 4]) is not None

    def key(self) -> Any:
        at = self.at
        found = self.match(_IDENTIFIER)
        if found and re.match(r"\s*[=:](?!=)", self.text[self.at :]):
            return found[0]
        self.at = at
        if (value := self.primary()) is UNKNOWN:
            raise _UnreadError
        return value

    def template(self) -> Any:
        """A text up to its closing quote; one part that is not known makes all of it so."""
        parts: list[Any] = []
        while not self.text.startswith('"', self.at):
            parts.append(self.part())
        self.at += 1
        if len(parts) == 1 and not isinstance(parts[0], str):
            return parts[0]
        if any(part is UNKNOWN or isinstance(part, (list, dict)) for part in parts):
            return UNKNOWN
        return "".join(spelled(part) for part in parts)

    def part(self) -> Any:
        text, at = self.text, self.at
        if text.startswith(("$${", "%%{"), at):
            self.at += 3
            return text[at + 1 : at + 3]
        if text.startswith("${", at):
            self.at += 2
            value = self.expression()
            self.need("}")
            return value
        if text.startswith("%{", at) or at >= len(text):
            raise _UnreadError
        self.at += 1
        if text[at] != "\\":
            return text[at]
        self.at += 1
        return self.escape(text[at + 1])

    def escape(self, letter: str) -> str:
        if letter in "uU":
            width = 4 if letter == "u" else 8
            self.at += width
            return chr(int(self.text[self.at - width : self.at], 16))
        return _ESCAPES[letter]


def _operate(sign: str, left: Any, right: Any) -> Any:
    if left is UNKNOWN or right is UNKNOWN or sign not in _OPERATIONS:
        return UNKNOWN
    return _OPERATIONS[sign](left, right)


def _step(value: Any, step: Any) -> Any:
    if value is UNKNOWN or step is UNKNOWN:
        return UNKNOWN
    return value[str(step)] if isinstance(value, dict) else value[int(step)]
