"""The rows of a review: what opens, changes and closes, as tables and as short as it can be said.

Whatever the form, a row is a rectangle: all of its ports open to all of its sources on all of its stacks. So
no form says more than another, and none says less.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from skyports_tf.deadlines import Expiration, expirations
from skyports_tf.diagnostics import visible
from skyports_tf.model import Stack
from skyports_tf.outcomes import PortRule
from skyports_tf.report.expiry import expiry_note
from skyports_tf.report.markup import code, plain, table
from skyports_tf.report.port_words import Ports, by_source, packed_words, place_word, port_words, rule_word
from skyports_tf.report.review import AUDIENCES, Mark, Reach, RuleRow, StackReview, source_order

MARKS: Final[dict[Mark, str]] = {
    "opens": "🟢 opens",
    "changes": "🟡 changes",
    "closes": "🔴 closes",
    "stays": "",
}
INTERNET: Final = "🌐"
_AUDIENCE_WORDS: Final = {
    "internet": f"{INTERNET} %s **the internet**",
    "public": f"{INTERNET} %s public",
    "inside": "%s",
}
_HEADS: Final = ("", "Cluster", "Where", "Ports", "From", "Note")
_MOST_LINES = 6


@dataclass(frozen=True, slots=True)
class Rectangle:
    """Ports that are alike for some sources on some stacks of one place."""

    mark: Mark
    stacks: tuple[Stack, ...]
    ports: Ports
    sources: tuple[str, ...]
    exposed: bool


def rule_rows(reviews: Sequence[StackReview]) -> list[list[str]]:
    """A row a rule, as cells of Markdown: what lets the internet in, then what opens, changes and closes."""
    rows = []
    for review in reviews:
        known = expirations(review.stack)
        for row in review.rows:
            exposed = any(review.audience(source) != "inside" for source in row.rule.sources)
            order = (not (exposed and row.mark != "closes"), tuple(MARKS).index(row.mark))
            rows.append((order, _cells(review, row, known)))
    return [cells for _, cells in sorted(rows, key=lambda item: item[0])]


def rule_table(rows: Iterable[Sequence[str]]) -> str:
    """Such rows as a table."""
    return table(_HEADS, rows)


def is_exposed(cells: Sequence[str]) -> bool:
    """Whether a row lets anybody in who is not ours, and is no closing one."""
    return INTERNET in cells[4] and cells[0] != MARKS["closes"]


def _cells(review: StackReview, row: RuleRow, known: Sequence[Expiration]) -> list[str]:
    stack = review.stack
    return [
        MARKS[row.mark],
        plain(stack.cluster),
        code(place_word(stack)),
        f"**{code(rule_word(row.rule))}**",
        source_cell(review, row.rule.sources),
        _note(row, known),
    ]


def source_cell(review: StackReview, sources: Iterable[str]) -> str:
    """Sources, the internet first and marked, a line each unless there are many."""
    ordered = sorted(sources, key=lambda source: source_order(review.stack.cloud, source, review.ours))
    words = [_AUDIENCE_WORDS[review.audience(source)] % code(source) for source in ordered]
    return ("<br>" if len(words) <= _MOST_LINES else ", ").join(words)


def _note(row: RuleRow, known: Sequence[Expiration]) -> str:
    told = ["SSH"] if row.ssh else []
    if row.before is not None:
        told.append(_difference(row.before, row.rule))
    if row.mark != "closes":
        ends = dict.fromkeys(expiry_note(row.rule, source, known) for source in row.rule.sources)
        told += [end for end in ends if end]
    return "<br>".join(told)


def _difference(before: PortRule, after: PortRule) -> str:
    told = [f"was {code(rule_word(before))}"] if rule_word(before) != rule_word(after) else []
    if set(before.sources) != set(after.sources):
        told.append(f"was from {', '.join(map(code, before.sources))}")
    return ", ".join(told) or "other description"


def rectangles(reviews: Iterable[StackReview]) -> list[Rectangle]:
    """All that opens and closes, in as few rectangles as are found by merging what is alike."""
    found: dict[tuple[Mark, str, Ports, tuple[str, ...]], list[Stack]] = {}
    exposed: dict[tuple[str, tuple[str, ...]], bool] = {}
    parts: tuple[tuple[Mark, str], ...] = (("opens", "opened"), ("closes", "closed"))
    for review in reviews:
        for mark, name in parts:
            for ports, sources in _by_ports(review, getattr(review, name)):
                place = place_word(review.stack)
                found.setdefault((mark, place, ports, sources), []).append(review.stack)
                exposed[place, sources] = any(review.audience(source) != "inside" for source in sources)
    made = [
        Rectangle(mark, tuple(stacks), ports, sources, exposed[place, sources])
        for (mark, place, ports, sources), stacks in found.items()
    ]
    return sorted(made, key=_order)


def _order(item: Rectangle) -> tuple[object, ...]:
    return (
        not (item.exposed and item.mark != "closes"),
        item.mark == "closes",
        place_word(item.stacks[0]),
        item.stacks[0].cluster,
        port_words(item.ports),
        item.sources,
    )


def _by_ports(review: StackReview, reach: Reach) -> list[tuple[Ports, tuple[str, ...]]]:
    """The ports, each with the sources that have just them; the internet apart from who is ours."""
    found: dict[tuple[int, Ports], list[str]] = {}
    for source, ports in by_source(reach).items():
        found.setdefault((AUDIENCES.index(review.audience(source)), ports), []).append(source)
    return [
        (ports, tuple(sorted(sources, key=lambda item: source_order(review.stack.cloud, item, review.ours))))
        for (_, ports), sources in found.items()
    ]


def rectangle_rows(found: Iterable[Rectangle]) -> list[list[str]]:
    """Rectangles as rows of the same table."""
    return [
        [
            MARKS[item.mark],
            ", ".join(plain(stack.cluster) for stack in item.stacks),
            code(place_word(item.stacks[0])),
            f"{code(packed_words(item.ports))}",
            (f"{INTERNET} " if item.exposed else "") + code(", ".join(item.sources)),
            "",
        ]
        for item in found
    ]


def compact_lines(found: Iterable[Rectangle]) -> list[str]:
    """Rectangles in the fewest characters: below its place, `+ CLUSTERS PORTS <- SOURCES`, `-` for closing.

    What lets in anybody who is not ours begins with `!`.
    """
    lines, place = [], ""
    for item in found:
        here = place_word(item.stacks[0])
        if here != place:
            place = here
            lines.append(f"@@ {visible(place)} @@")
        sign = "-" if item.mark == "closes" else "!" if item.exposed else "+"
        clusters = ",".join(stack.cluster for stack in item.stacks)
        lines.append(visible(f"{sign} {clusters} {packed_words(item.ports)} <- {','.join(item.sources)}"))
    return lines
