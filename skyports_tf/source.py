"""YAML text to plain data, exactly as SkyPilot's loader gives it, plus the place of every part.

The text is composed once by libyaml; the data is made from those nodes, and the nodes stay at
hand so that a finding can say where it is. Spans are worked out only when a finding is made.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from skyports_tf.diagnostics import Diagnostic, FindingsError, Severity, Span
from skyports_tf.text.nodes import (
    KeyPath,
    check_aliases,
    find_node,
    located,
    node_at,
    part_of,
    span_of,
    words_of,
)
from skyports_tf.text.syntax import explain_syntax
from skyports_tf.text.textfile import read_text

#: Deeper nesting than this is no task file; SkyPilot's own recursion ends not far above it.
MOST_NESTING: Final = 200

_MOST_REPEATED = 1000
# what CPython spells as text at most, in bits (cpython#95778); SkyPilot fails on larger numbers
_MOST_BITS = 14_280
# where a block collection may begin on a line: after spaces and the indicators - ? :
_LINE_START = re.compile(r"^[ \t\-?:]+", re.MULTILINE)
_NESTING_MARKS = "[{-:?"
_TAG = "tag:yaml.org,2002:"
_STR, _MAP, _SEQ = _TAG + "str", _TAG + "map", _TAG + "seq"
# keys that PyYAML rewrites: `<<` merges, `=` is a plain text
_SPECIAL_KEYS = frozenset((_TAG + "merge", _TAG + "value"))
# what PyYAML's own constructors let through: int('0x'), month 13, !!bool maybe, ...
_VALUE_ERRORS = (ValueError, LookupError, AttributeError, TypeError, ArithmeticError)

_Loader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class YamlDocument:
    """One document of a file: `data` is None, a dict, a list or a scalar, as YAML 1.1 has it."""

    path: str
    data: Any
    _text: str = field(repr=False)
    _node: Any = field(repr=False)

    def diagnostic(
        self,
        code: str,
        message: str,
        at: KeyPath = (),
        *,
        key: bool = False,
        help: str | None = None,  # noqa: A002 - the word of Diagnostic
        severity: Severity = "error",
    ) -> Diagnostic:
        """A finding on the value at the key path `at`, or on its key.

        A path that leads nowhere gives the nearest value above it.
        """
        key_node, node = find_node(self._node, at)
        span = span_of(key_node if key and key_node is not None else node)
        return located((code, message), self.path, self._text, span, help_text=help, severity=severity)

    def part_diagnostic(
        self,
        code: str,
        message: str,
        at: KeyPath,
        part: tuple[int, int],
        help: str | None = None,  # noqa: A002 - the word of Diagnostic
    ) -> Diagnostic:
        """A finding on a slice of the text at `at`, or on all of it where it is folded or escaped."""
        span = part_of(find_node(self._node, at)[1], self._text, part)
        return located((code, message), self.path, self._text, span, help_text=help)

    def texts(self, at: KeyPath) -> tuple[str, ...]:
        """How the scalar at `at`, or each scalar of the list there, was written; "" for other items."""
        node = find_node(self._node, at)[1]
        items = [node] if node.id == "scalar" else node.value if node.id == "sequence" else []
        return tuple(item.value if item.id == "scalar" else "" for item in items)

    def key_text(self, at: KeyPath) -> str:
        """How the key of the item at `at` was written."""
        key = find_node(self._node, at)[0]
        return key.value if key is not None and key.id == "scalar" else ""

    def words(self, span: Span) -> tuple[tuple[str, Span], ...]:
        """The items of the text or list that stands at `span`, each with its own place."""
        node = node_at(self._node, span)
        return () if node is None else tuple(words_of(node, self._text))

    def span(self, at: KeyPath = ()) -> Span:
        """Where the value at `at` stands."""
        return span_of(find_node(self._node, at)[1])


@dataclass(frozen=True, slots=True)
class YamlFile:
    """A file's documents in order; `repeated_keys` are findings that the reader chose to keep."""

    path: str
    documents: tuple[YamlDocument, ...]
    repeated_keys: tuple[Diagnostic, ...] = ()


def read_yaml(path: str, *, keep_repeated_keys: bool = False) -> YamlFile:
    """Read a YAML file; one without any document gives no documents.

    A repeated key is refused, or with `keep_repeated_keys` told in the answer while the later
    value wins, as in PyYAML. Raises `FindingsError` for what cannot be read, is no YAML, nests
    too deep, holds itself, or grows beyond all bounds through its aliases.
    """
    # libyaml takes a leading byte order mark for no character
    text = read_text(path).removeprefix("\ufeff")
    _check_nesting(path, text)
    reader = _Reader(path, text)
    documents = tuple(reader.documents())
    if reader.repeated and not keep_repeated_keys:
        raise FindingsError(reader.repeated)
    return YamlFile(path, documents, tuple(reader.repeated))


class _Reader:
    """Composes and constructs the documents of one text."""

    def __init__(self, path: str, text: str) -> None:
        self.path, self.text = path, text
        self.repeated: list[Diagnostic] = []
        self._aliased = "*" in text and "&" in text
        self._made: dict[int, Any] = {}
        try:
            self._loader = _Loader(text)
        except yaml.YAMLError as error:  # the pure Python reader looks at the text at once
            raise _syntax_error(path, text, error) from None
        self._scalars = {
            _TAG + "int": self._integer,
            _TAG + "float": self._loader.construct_yaml_float,
            _TAG + "bool": self._loader.construct_yaml_bool,
            _TAG + "null": self._loader.construct_yaml_null,
        }

    def documents(self) -> list[YamlDocument]:
        found = []
        try:
            while self._loader.check_node():
                node = self._loader.get_node()
                if self._aliased:
                    check_aliases(node, self.path, self.text)
                found.append(YamlDocument(self.path, self._value(node), self.text, node))
        except yaml.YAMLError as error:
            raise _syntax_error(self.path, self.text, error) from None
        except RecursionError:  # a caller deep down the stack, and a deep file
            raise FindingsError(Diagnostic("yaml-too-deep", "nested too deep", self.path)) from None
        finally:
            self._loader.dispose()
        return found

    def _value(self, node: Any) -> Any:
        tag = node.tag
        if tag == _STR and type(node) is yaml.ScalarNode:
            return node.value
        if tag == _MAP and type(node) is yaml.MappingNode:
            return self._once(node, self._mapping) if self._aliased else self._mapping(node)
        if tag == _SEQ and type(node) is yaml.SequenceNode:
            return self._once(node, self._sequence) if self._aliased else self._sequence(node)
        construct = self._scalars.get(tag) if type(node) is yaml.ScalarNode else None
        try:
            return construct(node) if construct else self._loader.construct_object(node, deep=True)
        except _VALUE_ERRORS as error:
            raise self._bad_value(node, error) from None

    def _once(self, node: Any, construct: Callable[[Any], Any]) -> Any:
        # an anchored value is one object, wherever its aliases stand, as in PyYAML
        if id(node) not in self._made:
            self._made[id(node)] = construct(node)
        return self._made[id(node)]

    def _integer(self, node: Any) -> int:
        number: int = self._loader.construct_yaml_int(node)
        if number.bit_length() > _MOST_BITS:
            raise ValueError("more than 4,300 digits")
        return number

    def _sequence(self, node: Any) -> list[Any]:
        return [self._value(item) for item in node.value]

    def _mapping(self, node: Any) -> dict[Any, Any]:
        pairs = node.value
        written = [key.value for key, _ in pairs if type(key) is yaml.ScalarNode]
        if len(set(written)) != len(written):
            self._tell_repeated(pairs)
        if any(key.tag in _SPECIAL_KEYS for key, _ in pairs):
            self._loader.flatten_mapping(node)
            pairs = node.value
        made = {}
        for key, value in pairs:
            if key.tag == _STR and type(key) is yaml.ScalarNode:
                made[key.value] = self._value(value)
            else:
                made[self._key(key)] = self._value(value)
        return made

    def _key(self, node: yaml.Node) -> Any:
        key = self._value(node)
        try:
            hash(key)
        except TypeError:
            message = "a key must be a plain value, not a list or a mapping"
            raise FindingsError(self._at(node, "yaml-value", message)) from None
        return key

    def _tell_repeated(self, pairs: list[tuple[Any, Any]]) -> None:
        first: dict[str, Any] = {}
        for key, _ in pairs:
            if type(key) is not yaml.ScalarNode:
                continue
            before = first.setdefault(key.value, key)
            if before is not key and len(self.repeated) < _MOST_REPEATED:
                where = span_of(before)
                message = f"key {key.value!r} is repeated: it stands at {where.line}:{where.column} already"
                self.repeated.append(self._at(key, "repeated-key", message, "remove one of the two"))

    def _bad_value(self, node: yaml.Node, error: Exception) -> FindingsError:
        kind = node.tag.removeprefix(_TAG)
        shown = f"{node.value[:40]!r}" if isinstance(node, yaml.ScalarNode) else "this"
        reason = f" ({error})" if isinstance(error, ValueError) else ""
        message = f"YAML takes {shown} for a value of type {kind}, and it is none{reason}"
        return FindingsError(self._at(node, "yaml-value", message, "quote it to keep it as text"))

    def _at(self, node: yaml.Node, code: str, message: str, help_text: str | None = None) -> Diagnostic:
        return located((code, message), self.path, self.text, span_of(node), help_text=help_text)


def _check_nesting(path: str, text: str) -> None:
    """Refuse deep nesting before libyaml composes the text, which would overflow its stack."""
    if sum(map(text.count, _NESTING_MARKS)) <= MOST_NESTING:
        return
    # a block goes deeper only further to the right, twice for a list within a mapping
    block = max(map(len, _LINE_START.findall(text)), default=0)
    if text.count("[") + text.count("{") + 2 * block < MOST_NESTING:
        return
    depth = 0
    try:
        for event in yaml.parse(text, Loader=_Loader):
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
            if depth > MOST_NESTING:
                raise _too_deep(path, text, event.start_mark)
    except yaml.YAMLError as error:
        raise _syntax_error(path, text, error) from None


def _too_deep(path: str, text: str, mark: Any) -> FindingsError:
    item = ("yaml-too-deep", f"nested deeper than {MOST_NESTING} levels")
    return FindingsError(located(item, path, text, _mark_span(mark)))


def _syntax_error(path: str, text: str, error: yaml.YAMLError) -> FindingsError:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
    if mark is not None and text[mark.index : mark.index + 1] == "\t":
        problem = "found character '\\t'"
    if mark is not None and "nesting" in problem:
        # libyaml's own bound (1,000 since 0.2.6): its scanner looks ahead of the events that we count
        return _too_deep(path, text, mark)
    message, help_text = explain_syntax(problem)
    if mark is None:
        before = text.encode()[: getattr(error, "position", 0)].decode("utf-8", "replace")
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        span = Span(line, column, line, column + 1)
    else:
        span = _mark_span(mark)
    item = ("yaml-syntax", f"not valid YAML: {message}")
    return FindingsError(located(item, path, text, span, help_text=help_text))


def _mark_span(mark: Any) -> Span:
    return Span(mark.line + 1, mark.column + 1, mark.line + 1, mark.column + 2)
