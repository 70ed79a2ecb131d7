"""How the cloud differs from what a stack's state says: by a refresh-only plan, and by the live rules.

What the files ask for does not count: that they are ahead of the state is a plan's business.
Nothing is written to the state, and no mark of this machine is needed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from skyports_tf.diagnostics import Diagnostic, TerraformError
from skyports_tf.model import Stack
from skyports_tf.outcomes import PortChanges, PortRule, ResourceCounts
from skyports_tf.running.changes import group_rules
from skyports_tf.running.differences import NOTHING, Differences, DriftedObject, differences_of
from skyports_tf.running.execution import Execution, execution_of
from skyports_tf.running.lens import Lens
from skyports_tf.running.probe import LiveRule, Probe, read_probes, why_unknown
from skyports_tf.running.settings import Progress, RunSettings, silent
from skyports_tf.running.state import never_applied, show_plan, show_state, state_objects
from skyports_tf.running.steps import drafted
from skyports_tf.running.stream import Message, Record

# a refresh-only plan fails where a resource with a postcondition is gone; a whole plan does not
# (Terraform 1.11), and has the same drift beside what it would do
_GONE: Final = "The given key does not identify an element in this collection value."
_DYNAMIC_BLOCK: Final = re.compile(r'^\s*dynamic "(\w+)"', re.MULTILINE)


DriftState = Literal["in_sync", "drifted", "unknown"]


@dataclass(frozen=True, slots=True)
class ForeignRule:
    """A live rule that no state holds: what it opens, and the cloud's id of it."""

    id: str
    rule: PortRule


@dataclass(frozen=True, slots=True)
class StackDrift:
    """How the cloud differs from what a stack's state says.

    In `changes`, `open` is open in the cloud alone and `close` in the state alone. `objects` are
    other than ports. `foreign` is None where the cloud's rules cannot be listed. Where the state
    is `unknown`, nothing is told.
    """

    stack: Stack
    state: DriftState
    changes: PortChanges = field(default_factory=PortChanges)
    objects: tuple[DriftedObject, ...] = ()
    foreign: tuple[ForeignRule, ...] | None = None
    counts: ResourceCounts = field(default_factory=ResourceCounts)
    warnings: tuple[Diagnostic, ...] = ()


def find_drifts(
    out: str, stacks: Sequence[Stack], settings: RunSettings, progress: Progress = silent
) -> tuple[StackDrift, ...]:
    """How the cloud differs from the states of `stacks`, which have their names (`fill_stack`).

    They share one root module: it takes one plan of that, and few looks at the cloud. Raises `TerraformError`
    where anything of them cannot be read.
    """
    first, *others = stacks
    with execution_of(out, first, settings, progress, others) as execution:
        views = execution.views
        found = [(NOTHING, Record())] * len(views)
        if not never_applied(execution.paths):
            found = _refresh(execution)
        probes = read_probes(views)
        return tuple(
            _drift_of(view, differences, record, probe)
            for view, (differences, record), probe in zip(views, found, probes, strict=True)
        )


def _drift_of(execution: Execution, found: Differences, record: Record, probe: Probe | None) -> StackDrift:
    foreign = _foreign(execution, found, probe)
    differs = found.changes != PortChanges() or bool(found.objects) or bool(foreign)
    return StackDrift(
        stack=execution.stack,
        state="drifted" if differs else "in_sync",
        changes=found.changes,
        objects=found.objects,
        foreign=foreign,
        counts=found.counts,
        warnings=(
            *execution.warnings(_unexplained(record, found, execution.stack)),
            *_blind(execution, foreign),
        ),
    )


def _refresh(execution: Execution) -> list[tuple[Differences, Record]]:
    """The differences of each of the execution's stacks, and what Terraform said of it."""
    try:
        return _planned(execution, refresh_only=True)
    except TerraformError as error:
        if _GONE not in error.output:
            raise
    return _planned(execution, refresh_only=None)


def _planned(execution: Execution, refresh_only: bool | None) -> list[tuple[Differences, Record]]:
    with drafted(execution.paths.folder) as draft:
        run = execution.stream(
            "plan",
            lambda hear: execution.terraform.plan(
                on_event=hear, out=draft.name, refresh_only=refresh_only, **execution.flags
            ),
        )
        dynamic = _dynamic_blocks(execution)
        return [
            (differences_of(show_plan(view, draft.name), view.stack, dynamic), record)
            for view, record in execution.told(run.record)
        ]


def _dynamic_blocks(execution: Execution) -> frozenset[str]:
    """The blocks that the stack's module makes by `dynamic`; empty where it cannot be read."""
    paths = execution.paths
    try:
        text = (paths.out / "modules" / paths.cloud / "main.tf").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return frozenset()
    return frozenset(_DYNAMIC_BLOCK.findall(text))


def _foreign(execution: Execution, found: Differences, probe: Probe | None) -> tuple[ForeignRule, ...] | None:
    """The live rules that the state does not hold; None where they cannot be listed.

    A group that bears no mark of ours is none of ours, where the state holds nothing.
    """
    if probe is None or probe.rules is None:
        return None
    if found.is_empty and not probe.is_ours:
        return ()
    unknown = _not_in(found.held, probe.rules)
    if unknown and not found.is_empty:
        # an apply of somebody else may have made them since
        _, held = state_objects(show_state(execution))
        unknown = _not_in(held, unknown)
    # one rule may hold many ports and sources, and then it is listed once for each
    by_id = {rule.id: [other.opens for other in unknown if other.id == rule.id] for rule in unknown}
    rules = [ForeignRule(name, rule) for name, opens in by_id.items() for rule in group_rules(opens)]
    return tuple(sorted(rules, key=lambda item: (item.rule.from_port, item.rule.to_port, item.id)))


def _not_in(held: frozenset[str], rules: Iterable[LiveRule]) -> tuple[LiveRule, ...]:
    return tuple(rule for rule in rules if rule.state_id not in held)


def _unexplained(record: Record, found: Differences, stack: Stack) -> Record:
    """The record without the provider's warnings that say in its own words what is told as drift."""
    # where a message is about, it says as the root module calls it
    addresses = [Lens.of(stack).outward(address) for address in found.addresses]
    return Record(messages=tuple(item for item in record.messages if not _tells_drift(item, addresses)))


def _tells_drift(message: Message, addresses: Iterable[str]) -> bool:
    return any(f"with {address}" in message.place for address in addresses)


def _blind(execution: Execution, foreign: tuple[ForeignRule, ...] | None) -> Iterator[Diagnostic]:
    if foreign is None:
        reason = why_unknown(execution, "rules") or "the cloud's rules cannot be listed"
        message = f"{execution.stack.name}: rules of others would not be seen, since {reason}"
        yield Diagnostic("foreign-unseen", message, severity="note")
