"""The expressions of GitHub's workflows: as much of them as the emitted ones use, and nothing else.

https://docs.github.com/en/actions/reference/workflows-and-actions/expressions
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<name>[A-Za-z_][\w.-]*)|(?P<sign>&&|\|\||==|!=|[!(),]))"
)
_IN_TEXT = re.compile(r"\$\{\{([^}]*)\}\}")
_STATUS = ("success", "failure", "cancelled", "always")

Functions = Mapping[str, Callable[..., Any]]


def evaluate(text: str, contexts: Mapping[str, Any], functions: Functions) -> Any:
    """The value of one expression, without its braces; raises `ValueError` for what is not known here."""
    reader = _Reader(text, contexts, {"fromJSON": json.loads, **functions})
    value = reader.either()
    if reader.tokens:
        raise ValueError(f"{text!r}: what is {reader.tokens[0]!r}?")
    return value


def fill(value: Any, contexts: Mapping[str, Any], functions: Functions) -> Any:
    """`value` with its expressions replaced; a text that is one expression becomes what that is."""
    if isinstance(value, dict):
        return {key: fill(item, contexts, functions) for key, item in value.items()}
    if not isinstance(value, str):
        return value
    if whole := _IN_TEXT.fullmatch(value):
        return evaluate(whole[1], contexts, functions)
    return _IN_TEXT.sub(lambda found: as_text(evaluate(found[1], contexts, functions)), value)


def holds(condition: str | None, contexts: Mapping[str, Any], functions: Functions) -> bool:
    """Whether an `if` lets a job or step run: where it does not ask for the status, all must be well."""
    text = "success()" if condition is None else condition
    text = found[1] if (found := _IN_TEXT.fullmatch(text)) else text
    asks = any(re.search(rf"\b{name}\(\)", text) for name in _STATUS)
    return bool(evaluate(text, contexts, functions)) and bool(asks or functions["success"]())


def as_text(value: Any) -> str:
    """A value as it stands in a text."""
    if value is None or isinstance(value, bool):
        return "" if value is None else str(value).lower()
    return str(value)


class _Reader:
    """Reads one expression from left to right; `&&` and `||` give one of their operands, as GitHub's do."""

    def __init__(self, text: str, contexts: Mapping[str, Any], functions: Functions) -> None:
        self._contexts, self._functions = contexts, functions
        self.tokens: list[str] = []
        at = 0
        while text[at:].strip():
            found = _TOKEN.match(text, at)
            if found is None:
                raise ValueError(f"{text!r}: what is {text[at:]!r}?")
            self.tokens.append(found[0].strip())
            at = found.end()

    def _take(self, *signs: str) -> str | None:
        return self.tokens.pop(0) if self.tokens and self.tokens[0] in signs else None

    def either(self) -> Any:
        value = self._both()
        while self._take("||"):
            other = self._both()
            value = value or other
        return value

    def _both(self) -> Any:
        value = self._compared()
        while self._take("&&"):
            other = self._compared()
            value = value and other
        return value

    def _compared(self) -> Any:
        value = self._plain()
        while sign := self._take("==", "!="):
            other = self._plain()
            same = as_text(value).lower() == as_text(other).lower()
            value = same if sign == "==" else not same
        return value

    def _plain(self) -> Any:
        if self._take("!"):
            return not self._plain()
        if self._take("("):
            value = self.either()
            self._expect(")")
            return value
        token = self.tokens.pop(0)
        if token.startswith("'"):
            return token[1:-1].replace("''", "'")
        return self._call(token) if self._take("(") else self._named(token)

    def _call(self, name: str) -> Any:
        arguments = []
        while not self._take(")"):
            arguments.append(self.either())
            self._take(",")
        if name not in self._functions:
            raise ValueError(f"the function {name} is not known here")
        return self._functions[name](*arguments)

    def _named(self, path: str) -> Any:
        first, *rest = path.split(".")
        if first not in self._contexts:
            raise ValueError(f"the context {first} is not known here")
        value = self._contexts[first]
        for name in rest:
            value = value.get(name) if isinstance(value, Mapping) else None
        return value

    def _expect(self, sign: str) -> None:
        if not self._take(sign):
            raise ValueError(f"{sign} is missing")
