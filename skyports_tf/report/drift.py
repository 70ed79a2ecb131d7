"""What `drift` tells a person: how the cloud differs from the state, in ports."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from skyports_tf.diagnostics import Diagnostic, visible
from skyports_tf.drift import DriftState, StackDrift
from skyports_tf.outcomes import PortRule
from skyports_tf.report.rules import is_internet, range_text
from skyports_tf.report.style import Look, columns, count, style
from skyports_tf.report.text import TO_THE_INTERNET, rule_difference

_STATES: dict[DriftState, tuple[str, Look]] = {
    "in_sync": ("in sync", "green"),
    "drifted": ("drifted", "red"),
    "unknown": ("unknown", "yellow"),
}
_Row = tuple[str, ...]


def drift_text(drifts: Sequence[StackDrift]) -> str:
    """A block a stack, then what it comes to; no newline at the end."""
    if not drifts:
        return "no stacks"
    return "\n\n".join([*map(_block, drifts), _total(drifts)])


def drift_findings(drifts: Sequence[StackDrift]) -> list[Diagnostic]:
    """A finding for each stack that has drifted."""
    return [
        Diagnostic(
            "drifted",
            f"{drift.stack.name}: the cloud differs from the state: {', '.join(_counted(drift))}",
            help=_way_out(drift),
        )
        for drift in drifts
        if drift.state == "drifted"
    ]


def _block(drift: StackDrift) -> str:
    word, look = _STATES[drift.state]
    note = "; foreign rules cannot be seen here" if drift.foreign is None and drift.state != "unknown" else ""
    head = f"{style(drift.stack.name, 'bold')}  {style(word, look)}{note}"
    rows = [*_changes(drift), *_foreign(drift)]
    objects = [
        (_object_mark(item.action), item.address, ", ".join(item.attributes)) for item in drift.objects
    ]
    return "\n".join([head, *columns(rows), *columns(objects)])


def _changes(drift: StackDrift) -> Iterator[_Row]:
    for rule in drift.changes.open:
        yield from _rows("+ opened", rule)
    for item in drift.changes.change:
        yield from _rows("~ changed", item.after, rule_difference(item.before, item.after))
    for rule in drift.changes.close:
        yield from _rows("- closed", rule)


def _foreign(drift: StackDrift) -> Iterator[_Row]:
    for item in drift.foreign or ():
        yield from _rows("! foreign", item.rule, item.id)


def _rows(mark: str, rule: PortRule, note: str = "") -> Iterator[_Row]:
    for place, source in enumerate(rule.sources or ("",)):
        said = [note] if note and not place else []
        if is_internet(source) and not mark.startswith("-"):
            said.append(TO_THE_INTERNET)
        head = ("", "") if place else (mark, f"{rule.protocol} {range_text(rule)}")
        yield (*head, source, ", ".join(said))


def _object_mark(action: str) -> str:
    return "- gone" if action == "delete" else "~ differs"


def _counted(drift: StackDrift) -> list[str]:
    """`1 port opened`, and so on, without what there is none of."""
    changes, gone = drift.changes, sum(item.action == "delete" for item in drift.objects)
    numbers = (
        (len(changes.open), "port", "opened"),
        (len(changes.change), "port", "changed"),
        (len(changes.close), "port", "closed"),
        (gone, "object", "gone"),
        (len(drift.objects) - gone, "object", "changed"),
        (len(drift.foreign or ()), "foreign rule", ""),
    )
    return [f"{count(number, noun)} {verb}".rstrip() for number, noun, verb in numbers if number]


def _way_out(drift: StackDrift) -> str:
    ways = []
    if drift.objects or drift.changes.open or drift.changes.change or drift.changes.close:
        ways.append("`apply` makes it as the files say")
    if drift.foreign:
        ids = ", ".join(visible(item.id) for item in drift.foreign[:3])
        more = f" and {len(drift.foreign) - 3} more" if len(drift.foreign) > 3 else ""
        ways.append(f"nobody reviewed {ids}{more}: remove it in the cloud, or ask for its port in a task")
    return "; ".join(ways)


def _total(drifts: Sequence[StackDrift]) -> str:
    drifted = [drift for drift in drifts if drift.state == "drifted"]
    unknown = [drift for drift in drifts if drift.state == "unknown"]
    told = f"{len(drifted)} of {count(len(drifts), 'stack')}" if drifted else "none"
    rest = f"; {len(unknown)} not known" if unknown else ""
    return f"{style('Drift:', 'bold')}  {told}{rest}"
