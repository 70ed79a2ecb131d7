"""Close a stack for good: rules first, then what binds them to nodes, then groups, and the proof.

As in `lifecycle`, each function works on one stack, tells its progress and can be stopped by a
signal at any moment.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from skyports_tf.diagnostics import Diagnostic, FindingsError, TerraformError
from skyports_tf.model import Stack
from skyports_tf.outcomes import StackClosed, StackPlan
from skyports_tf.running.execution import Execution, execution_of
from skyports_tf.running.plans import apply_saved, empty_plan, make_plan, paths_of
from skyports_tf.running.probe import Leftover, Probe, read_probe, why_unknown
from skyports_tf.running.repair import mend
from skyports_tf.running.settings import Progress, RunSettings, silent
from skyports_tf.running.stale import drop_stale_outputs
from skyports_tf.running.state import (
    mark_finished,
    mark_unfinished,
    never_begun,
    read_addresses,
    read_outputs,
    read_port_resources,
    show_state,
    state_objects,
)
from skyports_tf.terraform import Run

#: How long a destroy waits for nodes that hold a group; as long as the AWS provider does by itself.
WAIT_SECONDS = 15 * 60.0
_PAUSE_SECONDS = 5.0


def plan_close(out: str, stack: Stack, settings: RunSettings, progress: Progress = silent) -> StackPlan:
    """Plan to remove all that the stack holds; the plan is empty where it holds nothing.

    What an interrupted apply has left behind is taken into the state first. `stack` has its names
    (`fill_stack`).
    """
    if never_begun(paths_of(out, stack)):
        return empty_plan(out, stack)
    with execution_of(out, stack, settings, progress) as execution:
        mend(execution)
        outputs = read_outputs(execution)
        if not outputs and not read_addresses(execution):
            mark_finished(execution.paths)
            return empty_plan(out, stack)
        return make_plan(execution, out, outputs)


def close_stack(
    out: str,
    plan: StackPlan,
    settings: RunSettings,
    progress: Progress = silent,
    wait_seconds: float = WAIT_SECONDS,
) -> StackClosed:
    """Apply a plan of `plan_close`, then prove that nothing is left in the state or in the cloud.

    A group that nodes still hold is waited for, `wait_seconds` long. Raises `FindingsError` that
    names what holds it, or what is left.
    """
    if plan.plan_file is None:
        return StackClosed(plan.stack, plan.changes, plan.counts, verified_empty=True)
    with execution_of(out, plan.stack, settings, progress) as execution:
        warnings = _destroy(execution, out, plan, time.monotonic() + wait_seconds)
        warnings += tuple(_prove_empty(execution))
        drop_stale_outputs(execution)
        return StackClosed(plan.stack, plan.changes, plan.counts, True, warnings)


# -- waiting for what holds a group ------------------------------------------------------


def _destroy(execution: Execution, out: str, plan: StackPlan, deadline: float) -> tuple[Diagnostic, ...]:
    """Apply the plan; where something holds a group, close the ports first, and wait until it is free."""
    current = plan
    if _holders(execution):
        _close_ports(execution, out)
        _wait_until_free(execution, deadline)
        current = _plan_rest(execution, out)
    while True:
        try:
            with execution.until(deadline):
                return execution.warnings(apply_saved(execution, current, "destroy"))
        except TerraformError as error:
            holders = _holders(execution)
            if holders or time.monotonic() >= deadline:
                raise FindingsError(_held(execution, holders)) from error
            # a Terraform that is killed as it writes its state leaves an empty one
            mended = mend(execution)
            before, current = current, _plan_rest(execution, out)
            # what was gone already is no longer in the plan; what is there and will not go is an error
            if not mended and current.counts.delete >= before.counts.delete:
                raise


def _plan_rest(execution: Execution, out: str) -> StackPlan:
    """Plan to remove all that the state holds and the cloud still has."""
    return make_plan(execution, out, read_outputs(execution))


def _close_ports(execution: Execution, out: str) -> None:
    """Remove the port rules, and nothing else."""
    rules = read_port_resources(execution)
    if rules:
        plan = make_plan(execution, out, read_outputs(execution), {"target": rules})
        if plan.plan_file is not None:
            apply_saved(execution, plan, "destroy")


def _wait_until_free(execution: Execution, deadline: float) -> None:
    """Look again and again. Raises `FindingsError` that names the holders where time is up."""
    while holders := _holders(execution):
        left = deadline - time.monotonic()
        if left <= 0:
            raise FindingsError(_held(execution, holders))
        execution.tell("destroy", f"Waiting: the group is held by {', '.join(holders)}")
        execution.pause(min(_PAUSE_SECONDS, left))


def _holders(execution: Execution) -> tuple[str, ...]:
    """What holds the stack's group; whoever holds another of its name is none of ours."""
    try:
        probe = read_probe(execution)
        return probe.holders if probe and probe.holders and _is_ours(execution, probe) else ()
    except TerraformError:
        return ()


def _is_ours(execution: Execution, probe: Probe) -> bool:
    """Whether what was found is ours by its mark, or by the state, as what was adopted bears no mark."""
    if probe.is_ours or probe.objects is None:
        return True
    _, identifiers = state_objects(show_state(execution))
    return not identifiers.isdisjoint(probe.objects.values())


def _held(execution: Execution, holders: tuple[str, ...]) -> Diagnostic:
    name, cluster = execution.stack.name, execution.stack.cluster
    if not holders:
        left = ", ".join(read_addresses(execution))
        message = f"{name}: the time is up, and this is not gone yet: {left}"
        return Diagnostic("still-open", message, help="run destroy again, with a longer --timeout")
    ports = read_port_resources(execution)
    state = "the time is up before all ports are closed" if ports else "the ports are closed"
    message = f"{name}: {state}, but the group cannot go: it is held by {', '.join(holders)}"
    way_out = f"stop what holds it (`sky down {cluster}`), then run destroy again; --timeout waits longer"
    return Diagnostic("group-held", message, help=way_out)


# -- the proof ---------------------------------------------------------------------------


def _prove_empty(execution: Execution) -> Iterator[Diagnostic]:
    """Raise `FindingsError` for what is left of ours; give a warning for what is there of others."""
    left = sorted(read_addresses(execution))
    if left:
        raise FindingsError(_still_there(execution, left))
    probe, blind = _look(execution)
    if probe is None or "leftovers" in probe.unknown:
        _plan_nothing(execution)
        yield from blind or _unswept(execution)
        return
    ours = [item for item in probe.leftovers if item.is_ours]
    if ours:
        # so that the next destroy takes it into the state
        mark_unfinished(execution.paths)
        raise FindingsError([_left_over(execution, item) for item in ours])
    for item in probe.leftovers:
        yield replace(_left_over(execution, item), severity="warning")


def _look(execution: Execution) -> tuple[Probe | None, list[Diagnostic]]:
    """The probe, or a warning where the cloud could not be looked at."""
    try:
        return read_probe(execution), []
    except TerraformError as error:
        message = f"{execution.stack.name}: the state is empty, but the cloud could not be looked at"
        words = " ".join(error.output.split())
        return None, [Diagnostic("not-swept", message, help=words or None, severity="warning")]


def _unswept(execution: Execution) -> Iterator[Diagnostic]:
    """A note where the cloud cannot be looked at by its provider's nature."""
    reason = why_unknown(execution, "leftovers")
    if reason:
        name = execution.stack.name
        message = f"{name}: the state is empty; what no state knows would not be seen, since {reason}"
        yield Diagnostic("not-swept", message, severity="note")


def _plan_nothing(execution: Execution) -> None:
    """Where the cloud cannot be looked at, Terraform at least has nothing more to destroy."""

    def plan(hear: Any) -> Run:
        return execution.terraform.plan(
            on_event=hear, destroy=True, detailed_exitcode=True, **execution.flags
        )

    run = execution.stream("verify", plan, ok=(0, 2))
    left = sorted({change.resource.address for change in run.record.planned})
    if run.code != 0 or left:
        raise FindingsError(_still_there(execution, left))


def _still_there(execution: Execution, addresses: list[str]) -> Diagnostic:
    message = f"{execution.stack.name}: still there after destroy: {', '.join(addresses) or 'outputs'}"
    return Diagnostic("still-open", message, help="run destroy again")


def _left_over(execution: Execution, item: Leftover) -> Diagnostic:
    whose = "bears the mark of this cluster" if item.is_ours else "is none of ours"
    message = f"{execution.stack.name}: {item.kind} {item.id} ({item.name}) is left in the cloud; it {whose}"
    way_out = (
        "no state knows it: look at it, then run destroy again, which takes it into the state and removes it"
        if item.is_ours
        else f"`sky down {execution.stack.cluster}` removes what SkyPilot has made"
    )
    return Diagnostic("left-over", message, help=way_out)
