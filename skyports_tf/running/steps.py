"""The steps of an apply: which rules go first so that nothing closes meanwhile, and the applies themselves.

A plan whose single apply could close for a moment what stays wanted is applied in steps: first a plan
that targets what opens, then one of all the rest. Each is held against the plan that was shown: it does
nothing that was not in it, from the very same files. Whoever kills us between two steps leaves more
open than is wanted, never less, and the next plan is the rest.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from skyports_tf.diagnostics import Diagnostic, FindingsError
from skyports_tf.limits import has_room
from skyports_tf.model import Stack
from skyports_tf.ordering import find_order, may_close
from skyports_tf.outcomes import StackPlan
from skyports_tf.ports import PortSet
from skyports_tf.reach import meet
from skyports_tf.running.execution import Execution
from skyports_tf.running.initialization import writing
from skyports_tf.running.moves import PlanFacts, PortMove, changed_rules, needs_order, port_moves
from skyports_tf.running.planfiles import files_digests
from skyports_tf.running.scope import quiet
from skyports_tf.running.settings import Phase
from skyports_tf.running.stream import Record
from skyports_tf.sources import SourceError, SourceKind, parse_source
from skyports_tf.terraform import Flag

_NO_CHANGE = frozenset({"noop", "read"})


@dataclass(frozen=True, slots=True)
class PlannedSteps:
    """What goes first, step by step, and a warning for what no order keeps open."""

    opening: tuple[tuple[str, ...], ...] = ()
    warnings: tuple[Diagnostic, ...] = ()


def find_steps(execution: Execution, facts: PlanFacts) -> PlannedSteps:
    """The steps in which the plan can be applied without a gap."""
    if not needs_order(facts.record):
        return PlannedSteps()
    moves, kept = port_moves(facts)
    order = find_order(moves, kept)
    if order.steps and not _has_room(execution, moves):
        gaps = may_close(moves, kept)
        why = "the cloud's quota has no room for old and new rules at once"
        return PlannedSteps((), (_gap(facts.stack, gaps, why, "raise the quota, and say so in the config"),))
    if not order.gaps:
        return PlannedSteps(order.steps)
    if any(move.anew and meet(move.before, order.gaps) for move in moves):
        found = _gap(facts.stack, order.gaps, "a rule is made anew", None)
    else:
        way_out = "apply each edit before the next one is compiled: keys of rules are chosen for that"
        found = _gap(facts.stack, order.gaps, "rules change places", way_out)
    return PlannedSteps(order.steps, (found,))


def _gap(stack: Stack, gaps: Mapping[tuple[str, str], PortSet], why: str, way_out: str | None) -> Diagnostic:
    """The warning; `tcp 80, 8000-8010 from 10.0.0.0/8; udp 53 from ::/0` is how it names ports."""
    ports = "; ".join(
        f"{protocol} {found} from {source}" for (protocol, source), found in sorted(gaps.items())
    )
    message = f"{stack.name}: {ports} may be closed for a moment: {why}"
    return Diagnostic("gap-possible", message, help=way_out, severity="warning")


def _has_room(execution: Execution, moves: Iterable[PortMove]) -> bool:
    stack = execution.stack
    going = [_kind(move) for move in moves if not move.after]
    return has_room(stack, execution.catalog.load(stack.cloud), going)


def _kind(move: PortMove) -> SourceKind | None:
    for _, source in move.before:
        try:
            return parse_source(source).kind
        except SourceError:
            continue
    return None


# -- what was shown --------------------------------------------------------------------


def shown_changes(record: Record) -> tuple[tuple[str, str], ...]:
    """What a plan does, as addresses and actions."""
    return tuple(
        (change.resource.address, change.action)
        for change in record.planned
        if change.action not in _NO_CHANGE
    )


@contextmanager
def drafted(folder: Path) -> Iterator[Path]:
    """A file of ours alone for a plan in the making: the plan holds what the state holds."""
    with writing(folder):
        descriptor, name = tempfile.mkstemp(prefix="skyports.", suffix=".tfplan", dir=folder)
        os.close(descriptor)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


# -- the applies -----------------------------------------------------------------------


def apply_in_steps(execution: Execution, plan: StackPlan, phase: Phase) -> Record:
    """Apply the plan step by step; gives the last step's record, with what the others warned of.

    Raises `FindingsError` where a step would do what the plan that was shown does not.
    """
    records = [_apply_step(execution, plan, phase, number) for number in range(1, plan.steps + 1)]
    said = dict.fromkeys(message for record in records for message in record.messages)
    return replace(records[-1], messages=tuple(said))


def _apply_step(execution: Execution, plan: StackPlan, phase: Phase, number: int) -> Record:
    targets = plan.opening[number - 1] if number < plan.steps else ()
    total = plan.counts.create + plan.counts.update + plan.counts.delete
    done = _made(plan, {name for step in plan.opening[: number - 1] for name in step})
    execution.step = f"step {number} of {plan.steps}"
    execution.tell(phase, "Opening first" if targets else "Closing the rest", done, total)
    flags: dict[str, Flag] = {**execution.flags, "target": list(targets) or None}
    with drafted(execution.paths.folder) as draft:
        made = execution.stream(
            phase,
            lambda hear: quiet(execution.terraform.plan(on_event=hear, out=draft.name, **flags)),
            total,
            done=done,
        )
        _check_step(execution, made.record, plan, (draft, targets))
        return _apply_draft(execution, draft, phase, (total, done))


def apply_anew(execution: Execution, plan: StackPlan, phase: Phase) -> Record:
    """Plan once more, as `plan` was made, and apply it: the state has changed since, by another stack of it.

    Raises `FindingsError` where it would do what the plan that was shown does not.
    """
    flags: dict[str, Flag] = {**execution.flags, **plan.flags}
    total = plan.counts.create + plan.counts.update + plan.counts.delete
    with drafted(execution.paths.folder) as draft:
        made = execution.stream(
            "plan", lambda hear: quiet(execution.terraform.plan(on_event=hear, out=draft.name, **flags))
        )
        _check_step(execution, made.record, plan, (draft, ()))
        return _apply_draft(execution, draft, phase, (total, 0))


def _apply_draft(execution: Execution, draft: Path, phase: Phase, counts: tuple[int, int]) -> Record:
    total, done = counts
    run = execution.stream(
        phase,
        lambda hear: quiet(execution.terraform.apply(draft.name, on_event=hear, **execution.flags)),
        total,
        done=done,
    )
    return run.record


def _made(plan: StackPlan, targets: set[str]) -> int:
    """How many of the changes that the plan counts are those of `targets`."""
    return sum(2 if action == "replace" else 1 for name, action in plan.shown if name in targets)


def _check_step(
    execution: Execution, record: Record, plan: StackPlan, step: tuple[Path, tuple[str, ...]]
) -> None:
    draft, targets = step
    more = set(shown_changes(record)) - set(plan.shown)
    early = {change.resource.address for change in changed_rules(record)} - set(targets) if targets else set()
    same_files = {*plan.files_digest.split("\n")} <= {*files_digests(draft, execution.stacks)}
    if not more and not early and same_files:
        return
    names = ", ".join(sorted({*(name for name, _ in more), *early}))
    cause = f"{names} would change, too" if names else "its files have changed"
    message = f"{execution.name}: the plan is no longer the one that was shown: {cause}"
    help_text = "plan again; what has opened so far stays open, and nothing was closed"
    raise FindingsError(Diagnostic("plan-replaced", message, path=plan.plan_file, help=help_text))
