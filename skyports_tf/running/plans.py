"""One plan of Terraform's: made and saved, checked, applied exactly as it was shown."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Final

from skyports_tf.diagnostics import TerraformError
from skyports_tf.model import Stack
from skyports_tf.outcomes import PortChanges, ResourceCounts, StackPlan
from skyports_tf.roots import root_of
from skyports_tf.running.changes import (
    OpenRule,
    needs_outputs,
    needs_plan,
    output_rules,
    outputs_changed,
    plan_rules,
    planned_rules,
    port_changes,
    resource_counts,
    stack_rules,
)
from skyports_tf.running.contents import has_packed_rules, packed_changes, packed_rules
from skyports_tf.running.execution import Execution
from skyports_tf.running.initialization import StackPaths
from skyports_tf.running.moves import PlanFacts
from skyports_tf.running.planfiles import (
    check_plan,
    files_digests,
    is_replaced,
    name_of,
    own_plan,
    remove_applied,
    remove_plan,
)
from skyports_tf.running.settings import Phase
from skyports_tf.running.ssh import opened_ssh
from skyports_tf.running.state import (
    is_unfinished,
    mark_finished,
    mark_unfinished,
    read_outputs,
    show_plan,
    with_tasks,
)
from skyports_tf.running.steps import (
    PlannedSteps,
    apply_anew,
    apply_in_steps,
    drafted,
    find_steps,
    shown_changes,
)
from skyports_tf.running.stream import Record
from skyports_tf.terraform import Flag

# Terraform 1.5 to 1.15, and OpenTofu
_STALE: Final = "Saved plan is stale"


def make_plan(
    execution: Execution,
    out: str,
    closing: Mapping[str, Any] | None = None,
    flags: Mapping[str, Flag] | None = None,
) -> StackPlan:
    """Plan, and save the plan where it does anything.

    `closing` are the outputs of a state that is to be emptied; `flags` are more flags of
    `terraform plan`.
    """
    paths = execution.paths
    more: dict[str, Flag] = {**({"destroy": True} if closing is not None else {}), **(flags or {})}
    options = {**execution.flags, **more}
    with drafted(paths.folder) as draft:
        run = execution.stream(
            "plan", lambda hear: execution.terraform.plan(on_event=hear, out=draft.name, **options)
        )
        plan = replace(planned(execution, run.record, draft.name, closing), flags=more)
        if closing is None and not does_anything(plan):
            remove_plan(paths, own_plan(paths))
            mark_finished(paths)
            return plan
        return kept(out, paths, [plan], (draft, own_plan(paths)))[0]


def does_anything(plan: StackPlan) -> bool:
    """Whether Terraform has anything to do, be it to record an output."""
    return plan.counts.any or plan.outputs_changed


def planned(
    execution: Execution, record: Record, plan_file: str, closing: Mapping[str, Any] | None
) -> StackPlan:
    """What a run has planned for the execution's stack; not saved yet."""
    changes, facts = _read_changes(execution, record, plan_file, closing)
    steps = find_steps(execution, facts) if closing is None else PlannedSteps()
    return StackPlan(
        execution.stack,
        changes,
        resource_counts(record),
        outputs_changed=outputs_changed(record),
        warnings=(*execution.warnings(record), *steps.warnings),
        ssh=opened_ssh(record, execution.stack),
        opening=steps.opening,
        shown=shown_changes(record),
    )


def kept(
    out: str, paths: StackPaths, plans: Sequence[StackPlan], file: tuple[Path, str]
) -> tuple[StackPlan, ...]:
    """Save the draft of the stacks' plans under its name in the folder of their root module."""
    draft, saved = file
    digest = hashlib.sha256(draft.read_bytes()).hexdigest()
    files = files_digests(draft, [plan.stack for plan in plans])
    draft.replace(paths.folder / saved)
    name = str(Path(out) / root_of(plans[0].stack) / saved)
    return tuple(
        replace(plan, plan_file=name, plan_digest=digest, files_digest=own)
        for plan, own in zip(plans, files, strict=True)
    )


def _read_changes(
    execution: Execution, record: Record, plan_file: str, outputs: Mapping[str, Any] | None
) -> tuple[PortChanges, PlanFacts]:
    """The plan in port words, and what is known of the rules that it changes."""
    stack = execution.stack

    @cache
    def shown() -> Mapping[str, Any]:
        return show_plan(execution, plan_file)

    if has_packed_rules(record) or _moves_holders(record, stack):
        old = _packed_before(execution, record, outputs)
        changes = packed_changes(record, old, stack, closing=outputs is not None)
        return changes, PlanFacts(record, stack, old or {}, None, shown)
    after, before = stack_rules(stack), {}
    if needs_outputs(record) and not is_unfinished(execution.paths):
        before = output_rules(read_outputs(execution) if outputs is None else outputs)
    if needs_plan(record, after, before):
        before, planned = plan_rules(shown(), after)
        after = with_tasks(planned, stack)
    changes = port_changes(record, with_tasks(before, stack), after)
    return changes, PlanFacts(record, stack, before, (before, after), shown)


def _moves_holders(record: Record, stack: Stack) -> bool:
    """Whether the plan changes what SkyPilot made and what has opened ports since it was adopted."""
    holders = stack.adopted.get("holders", ())
    return any(
        change.resource.address in holders and change.action in ("update", "delete", "replace")
        for change in record.planned
    )


def _packed_before(
    execution: Execution, record: Record, outputs: Mapping[str, Any] | None
) -> dict[str, OpenRule] | None:
    """The rules before the plan, by content key; None where the plan touches none of them."""
    if needs_outputs(record) and is_unfinished(execution.paths):
        # the outputs are of an earlier time: what the stack's rules hold is the nearest to the truth
        return packed_rules(execution.stack, planned_rules(record))
    if needs_outputs(record) or outputs is not None or _moves_holders(record, execution.stack):
        return output_rules(read_outputs(execution) if outputs is None else outputs)
    return None


def apply_saved(execution: Execution, plan: StackPlan, phase: Phase) -> Record:
    """Apply exactly the plan that was saved, in its steps where it has several.

    Raises `FindingsError` where another plan was saved since, or the steps are no longer those of the plan.
    """
    paths = execution.paths
    check_plan(paths, plan)
    mark_unfinished(paths)
    record = applied(execution, plan, phase)
    mark_finished(paths)
    remove_applied(paths, plan)
    return record


def applied(execution: Execution, plan: StackPlan, phase: Phase) -> Record:
    """Apply a saved plan, step by step where it has several; what the run has said.

    Where other stacks of its root module were planned or applied meanwhile, it is planned again and held
    against what was shown.
    """
    if plan.opening:
        return apply_in_steps(execution, plan, phase)
    counts, is_shared = plan.counts, plan.stack.layout == "grouped"
    if is_shared and is_replaced(execution.paths, plan):
        return apply_anew(execution, plan, phase)
    try:
        return execution.stream(
            phase,
            lambda hear: execution.terraform.apply(name_of(plan), on_event=hear, **execution.flags),
            counts.create + counts.update + counts.delete,
        ).record
    except TerraformError as error:
        if not is_shared or _STALE not in error.output:
            raise
    return apply_anew(execution, plan, phase)


def empty_plan(out: str, stack: Stack) -> StackPlan:
    """The plan of a stack with nothing to do; a plan that was saved before goes."""
    paths = paths_of(out, stack)
    remove_plan(paths, own_plan(paths))
    return StackPlan(stack, PortChanges(), ResourceCounts())


def paths_of(out: str, stack: Stack) -> StackPaths:
    """The stack's folders, in this process's environment."""
    return StackPaths.of(out, stack, os.environ)
