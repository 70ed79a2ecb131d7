"""Where the parts of a YAML text stand: key paths, spans and findings on composed nodes.

A node is PyYAML's: `id` is "scalar", "sequence" or "mapping", `value` its text or its parts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, Final, TypeAlias

from skyports_tf.diagnostics import Diagnostic, FindingsError, Severity, Span

KeyPath: TypeAlias = Sequence[Any]

#: How many values the aliases of a file may stand for.
MOST_ALIASED: Final = 100_000

_LONG_MAPPING = 64
# the line ends of YAML 1.1, by which libyaml counts lines
_LINE_ENDS = re.compile("[\n\x85\u2028\u2029]")


def find_node(node: Any, at: KeyPath) -> tuple[Any, Any]:
    """The key's node (None for an item of a list) and the value's node at `at`, or of the nearest above."""
    key_node = None
    for step in at:
        if node.id == "mapping":
            pair = _pair_of(node, step)
            if pair is None:
                break
            key_node, node = pair
        elif node.id == "sequence" and isinstance(step, int) and step < len(node.value):
            key_node, node = None, node.value[step]
        else:
            break
    return key_node, node


def _pair_of(node: Any, key: object) -> Any:
    pairs = node.value
    if len(pairs) > _LONG_MAPPING and isinstance(key, str):
        return _index_of(node).get(key)
    # from the end: a merged mapping holds what it overrides before its own
    for pair in reversed(pairs):
        if pair[0].value == key or _is_other_key(pair[0], key):
            return pair
    return None


def _index_of(node: Any) -> dict[str, Any]:
    """The pairs of a long mapping by their keys, kept on the node: a thousand findings ask for it."""
    if not hasattr(node, "pairs_by_key"):
        node.pairs_by_key = {pair[0].value: pair for pair in node.value if pair[0].id == "scalar"}
    index: dict[str, Any] = node.pairs_by_key
    return index


def _is_other_key(node: Any, key: object) -> bool:
    """Whether a key that is no text, such as 80 or on, is spelled so."""
    if isinstance(key, str) or node.id != "scalar":
        return False
    text: str = node.value
    if isinstance(key, bool):
        return text.lower() in (("yes", "true", "on") if key else ("no", "false", "off"))
    if key is None:
        return text.lower() in ("", "~", "null")
    return text == str(key) or (type(key) is int and _integer(text) == key)


def _integer(text: str) -> int | None:
    """The number that YAML 1.1 reads, such as 1350 from 22:30 and 8 from 010; None for no whole number."""
    digits = text.replace("_", "")
    try:
        if ":" in digits:
            number = 0
            for part in digits.split(":"):
                number = 60 * number + int(part)
            return number
        octal = len(digits) > 1 and digits[0] == "0" and digits.isdecimal()
        return int(digits, 8) if octal else int(digits, 0)
    except ValueError:
        return None


def span_of(node: Any) -> Span:
    """The node's stretch of text; a block collection is shown by its first line."""
    start, end = node.start_mark, node.end_mark
    if node.id != "scalar" and not node.flow_style and node.value:
        first = node.value[0][0] if node.id == "mapping" else node
        end = first.end_mark if node.id == "mapping" else start
    return Span(start.line + 1, start.column + 1, end.line + 1, end.column + 1)


def node_at(root: Any, span: Span) -> Any:
    """The text or list below `root` that stands at `span`; None where there is none."""
    waiting, seen = [root], set[int]()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if node.id != "mapping" and span_of(node) == span:
            return node
        if node.id == "mapping":
            waiting += [part for pair in node.value for part in pair]
        elif node.id == "sequence":
            waiting += node.value
    return None


def words_of(node: Any, text: str) -> Iterator[tuple[str, Span]]:
    """The items of a list, and of each its parts between commas, with their places."""
    for item in node.value if node.id == "sequence" else [node]:
        if item.id != "scalar":
            continue
        begin = 0
        for part in item.value.split(","):
            if word := part.strip():
                first = begin + part.index(word)
                yield word, part_of(item, text, (first, first + len(word)))
            begin += len(part) + 1


def part_of(node: Any, text: str, part: tuple[int, int]) -> Span:
    """The span of a slice of a scalar's text; the whole where it is folded or escaped."""
    span = span_of(node)
    if node.id != "scalar":
        return span
    raw = text[node.start_mark.index : node.end_mark.index]
    quotes = 1 if node.style in ("'", '"') else 0
    if span.line != span.end_line or raw[quotes : len(raw) - quotes] != node.value:
        return span
    first = span.column + quotes
    return Span(span.line, first + part[0], span.line, first + part[1])


def located(
    item: tuple[str, str],
    path: str,
    text: str,
    span: Span,
    *,
    help_text: str | None = None,
    severity: Severity = "error",
) -> Diagnostic:
    """A finding, `item` being its code and message, with its line of the text."""
    lines = _lines(text)
    line = lines[span.line - 1] if span.line <= len(lines) else ""
    return Diagnostic(*item, path, span, help_text, severity, line)


@lru_cache(maxsize=4)
def _lines(text: str) -> list[str]:
    return _LINE_ENDS.split(text)


def check_aliases(root: Any, path: str, text: str) -> None:
    """Refuse aliases that lead back to themselves, or that stand for too many values.

    Counts every node once, however often it is used, so that a text made to explode costs
    no more than its length.
    """
    sizes: dict[int, int] = {}
    under_way: set[int] = set()

    def size(node: Any) -> int:
        if node.id == "scalar":
            return 1
        if id(node) in under_way:
            message = "an alias leads back to the value that holds it"
            raise FindingsError(located(("yaml-alias-cycle", message), path, text, span_of(node)))
        if id(node) not in sizes:
            under_way.add(id(node))
            parts = node.value if node.id == "sequence" else [part for pair in node.value for part in pair]
            sizes[id(node)] = 1 + sum(size(part) for part in parts)
            under_way.discard(id(node))
        return sizes[id(node)]

    written = text.count("\n") + text.count(",") + text.count(":")
    if size(root) > MOST_ALIASED + written:
        message = f"its aliases stand for more than {MOST_ALIASED:,} values"
        raise FindingsError(located(("yaml-alias-bomb", message), path, text, span_of(root)))
