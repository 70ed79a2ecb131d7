"""One comment of a pull request for the plans of many stacks, in GitHub's and GitLab's Markdown.

GitHub takes 65,536 characters in a comment. Ours is counted in bytes of UTF-8, which are never fewer.
Where it is too long it is said shorter, level by level: details go first, then what stays as it is, then
single rows; what opens is said to the last. The most compact form has room for some 1,500 openings that
share neither ports nor source nor cluster, or 6,000 port ranges of one cluster and source. Beyond that,
the comment says at its top that it is not complete, and states bounds that all openings lie within.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from skyports_tf.diagnostics import Diagnostic, SkyportsError
from skyports_tf.model import Stack
from skyports_tf.outcomes import StackPlan
from skyports_tf.report.comment_bounds import bound_lines, overflow_part
from skyports_tf.report.comment_parts import (
    exposed_clusters,
    exposure_part,
    failure_part,
    findings_block,
    quiet_part,
    stack_details,
    warning_part,
)
from skyports_tf.report.comment_rows import (
    Rectangle,
    compact_lines,
    is_exposed,
    rectangle_rows,
    rectangles,
    rule_rows,
    rule_table,
)
from skyports_tf.report.headline import headline
from skyports_tf.report.markup import fenced, folded
from skyports_tf.report.mermaid import mermaid_text
from skyports_tf.report.picture import draw
from skyports_tf.report.review import StackReview, review_plan
from skyports_tf.report.style import count
from skyports_tf.report.text import port_counts, resource_words, total_counts

#: The first line of every comment, which no page shows: whoever posts it finds the last one by this line.
MARKER: Final = "<!-- skyports-tf plan -->"
#: GitHub refuses a comment of more characters.
LIMIT: Final = 65_536
#: Ours leaves room for what is put around it: a line by which a pipeline finds it again, a link to the run.
ROOM: Final = LIMIT - 1_024

_ROWS_SHOWN = 25
_DETAILS_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Planned:
    """What a comment tells of: the plans, the stacks without one and why, and what was found beside."""

    plans: tuple[StackPlan, ...]
    out: str
    missing: tuple[Stack, ...] = ()
    failures: tuple[SkyportsError, ...] = ()
    findings: tuple[Diagnostic, ...] = ()
    ours: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment; it is not `complete` where it has no room for all that opens."""

    text: str
    complete: bool = True


@dataclass(frozen=True, slots=True)
class _Level:
    """How much is said; `findings` is the room for findings in bytes, `least` what a row takes."""

    rows: Literal["rules", "merged", "compact", "bounds"]
    details: Literal["full", "short", "none"]
    findings: int
    least: int
    exposure: bool = True
    closings: bool = True


_LEVELS: Final = (
    _Level("rules", "full", 16_000, 60),
    _Level("rules", "short", 8_000, 60),
    _Level("merged", "short", 4_000, 45),
    _Level("merged", "none", 4_000, 45),
    _Level("compact", "none", 2_000, 12),
    _Level("compact", "none", 500, 12, exposure=False),
    _Level("compact", "none", 500, 12, exposure=False, closings=False),
)
_LAST: Final = _Level("bounds", "none", 500, 0, exposure=False, closings=False)


@dataclass(frozen=True, slots=True)
class _Material:
    """What every level is made of."""

    planned: Planned
    reviews: tuple[StackReview, ...]
    rectangles: tuple[Rectangle, ...]
    head: str
    exposure: str


def comment(planned: Planned) -> Comment:
    """The comment on what was planned, below `ROOM` bytes, with a newline at its end."""
    reviews = tuple(review_plan(plan, planned.ours) for plan in planned.plans)
    head = "\n\n".join([MARKER, f"### {headline(reviews, len(planned.missing))}", _totals(reviews)])
    material = _Material(planned, reviews, tuple(rectangles(reviews)), head, _exposure(reviews))
    for level in _LEVELS:
        if _rows_of(material, level) * level.least < ROOM:
            text = _written(material, level)
            if len(text.encode()) < ROOM:
                return Comment(text)
    return Comment(_written(material, _LAST), complete=False)


def _rows_of(material: _Material, level: _Level) -> int:
    """At least how many rows the level has."""
    if level.rows == "rules":
        return sum(len(review.rows) for review in material.reviews)
    return sum(item.mark != "closes" or level.closings for item in material.rectangles)


def failed_comment(found: Sequence[Diagnostic]) -> str:
    """The comment where nothing could be planned, with a newline at its end."""
    said = f"### Nothing was planned: {count(len(found), 'finding')}"
    return "\n\n".join([MARKER, said, findings_block(found, 40_000)]) + "\n"


def _written(material: _Material, level: _Level) -> str:
    planned, reviews = material.planned, material.reviews
    parts = [material.head]
    if level is _LAST:
        parts.append(overflow_part(reviews))
    if planned.missing or planned.failures:
        parts.append(failure_part(planned.missing, planned.failures, level.findings))
    parts += _rows(material, level)
    parts += [material.exposure] if level.exposure and material.exposure else []
    if planned.findings:
        parts.append(warning_part(planned.findings, level.findings))
    if level.details != "none":
        full = level.details == "full"
        told = [stack_details(review, planned.out, full) for review in reviews if _changes(review)]
        many = len(told) > _DETAILS_SHOWN
        parts += [folded(f"{len(told)} stacks in detail", "\n\n".join(told))] if many else told
        quiet = [review for review in reviews if not _changes(review)]
        parts += [quiet_part(quiet, 200 if full else 20)] if quiet else []
    return "\n\n".join(parts) + "\n"


def _exposure(reviews: Sequence[StackReview]) -> str:
    """Who reaches what, in words and as a picture; nothing where no rule changes."""
    if not any(review.rows for review in reviews):
        return ""
    picture = fenced(mermaid_text(draw(reviews)), "mermaid")
    return f"#### Exposure\n\n{exposure_part(reviews)}\n\n{picture}"


def _changes(review: StackReview) -> bool:
    return bool(review.rows) or review.plan.counts.any


def _totals(reviews: Sequence[StackReview]) -> str:
    plans = [review.plan for review in reviews]
    opened, changed, closed = port_counts(plans)
    before, after = (exposed_clusters(reviews, end) for end in ("before", "after"))
    told = [
        f"**{opened}** to open, **{changed}** to change, **{closed}** to close "
        f"in {count(len(plans), 'stack')}",
        f"reached from the internet: **{before} → {after}** {'cluster' if after == 1 else 'clusters'}",
        f"Terraform: {resource_words(total_counts(plans))}",
    ]
    return " · ".join(told)


def _rows(material: _Material, level: _Level) -> list[str]:
    """What opens, changes and closes, in the level's form; nothing where nothing does."""
    if level.rows == "rules":
        return _table(rule_rows(material.reviews))
    found = material.rectangles
    if level.rows == "merged":
        return _table(rectangle_rows(found))
    if level.rows == "bounds":
        return [fenced("\n".join(bound_lines(material.reviews)), "diff")]
    left = [item for item in found if item.mark != "closes" or level.closings]
    parts = [fenced("\n".join(compact_lines(left)), "diff")] if left else []
    return parts if level.closings else [*parts, *_closings_told(found)]


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    """The table; of many rows, what lets the internet in stays in sight, and the rest is folded."""
    if len(rows) <= _ROWS_SHOWN:
        return [rule_table(rows)] if rows else []
    seen = [row for row in rows if is_exposed(row)]
    rest = [row for row in rows if not is_exposed(row)]
    told = folded(f"{count(len(rest), 'more row')}, where nothing opens to the internet", rule_table(rest))
    return [*([rule_table(seen)] if seen else []), *([told] if rest else [])]


def _closings_told(found: Iterable[Rectangle]) -> list[str]:
    closing = [item for item in found if item.mark == "closes"]
    ranges = sum(
        len(ports.ranges) * len(item.sources) * len(item.stacks)
        for item in closing
        for _, ports in item.ports
    )
    if not closing:
        return []
    return [f"Closes {count(ranges, 'port range')} as well, for which there is no room here."]
