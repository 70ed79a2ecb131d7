"""One plan of Terraform's: made and saved, checked, applied exactly as it was shown."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Final

from skyports_tf.diagnostics import Diagnostic, FindingsError
from skyports_tf.model import PortChanges, ResourceCounts, Stack, StackPlan
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
from skyports_tf.running.execution import Execution, Phase
from skyports_tf.running.initialization import StackPaths
from skyports_tf.running.moves import PlanFacts
from skyports_tf.running.ssh import opened_ssh
from skyports_tf.running.state import is_unfinished, mark_finished, mark_unfinished, read_outputs, with_tasks
from skyports_tf.running.steps import (
    PlannedSteps,
    apply_in_steps,
    drafted,
    files_digest,
    find_steps,
    shown_changes,
)
from skyports_tf.running.stream import Record
from skyports_tf.terraform import Flag, read_json

#: The saved plan in a stack's folder.
PLAN_FILE: Final = "skyports.tfplan"
#: What that plan was shown to do, beside it.
SHOWN_FILE: Final = "skyports.tfplan.json"


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
    stack, paths = execution.stack, execution.paths
    options = {**execution.flags, "destroy": True if closing is not None else None, **(flags or {})}
    with drafted(paths.folder) as draft:
        run = execution.stream(
            "plan", lambda hear: execution.terraform.plan(on_event=hear, out=draft.name, **options)
        )
        changes, facts = _read_changes(execution, run.record, draft.name, closing)
        steps = find_steps(execution, facts) if closing is None else PlannedSteps()
        plan = StackPlan(
            stack,
            changes,
            resource_counts(run.record),
            outputs_changed=outputs_changed(run.record),
            warnings=(*execution.warnings(run.record), *steps.warnings),
            ssh=opened_ssh(run.record, stack),
            opening=steps.opening,
            shown=shown_changes(run.record),
        )
        if closing is None and not plan.counts.any and not plan.outputs_changed:
            _remove_plan(paths)
            mark_finished(paths)
            return plan
        digest, files = hashlib.sha256(draft.read_bytes()).hexdigest(), files_digest(draft)
        draft.replace(paths.folder / PLAN_FILE)
    name = str(Path(out) / stack.directory / PLAN_FILE)
    return replace(plan, plan_file=name, plan_digest=digest, files_digest=files)


def _read_changes(
    execution: Execution, record: Record, plan_file: str, outputs: Mapping[str, Any] | None
) -> tuple[PortChanges, PlanFacts]:
    """The plan in port words, and what is known of the rules that it changes."""
    stack = execution.stack

    @cache
    def shown() -> Mapping[str, Any]:
        return read_json(execution.run(lambda: execution.terraform.show(plan_file)).stdout)

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
    paths, counts = execution.paths, plan.counts
    _check_plan(paths, plan)
    mark_unfinished(paths)
    if plan.opening:
        record = apply_in_steps(execution, plan, phase)
    else:
        total = counts.create + counts.update + counts.delete
        record = execution.stream(
            phase,
            lambda hear: execution.terraform.apply(PLAN_FILE, on_event=hear, **execution.flags),
            total,
        ).record
    mark_finished(paths)
    _remove_plan(paths)
    return record


def _remove_plan(paths: StackPaths) -> None:
    for name in (SHOWN_FILE, PLAN_FILE):
        (paths.folder / name).unlink(missing_ok=True)


def _check_plan(paths: StackPaths, plan: StackPlan) -> None:
    """Refuse a plan file that is not the one that was shown; that it is missing, Terraform says."""
    path = paths.folder / PLAN_FILE
    if plan.plan_digest is None or not path.is_file():
        return
    if hashlib.sha256(path.read_bytes()).hexdigest() != plan.plan_digest:
        message = f"{plan.stack.name}: another plan was saved since this one was shown"
        raise FindingsError(Diagnostic("plan-replaced", message, path=plan.plan_file, help="plan again"))


def empty_plan(out: str, stack: Stack) -> StackPlan:
    """The plan of a stack with nothing to do; a plan that was saved before goes."""
    _remove_plan(paths_of(out, stack))
    return StackPlan(stack, PortChanges(), ResourceCounts())


def paths_of(out: str, stack: Stack) -> StackPaths:
    """The stack's folders, in this process's environment."""
    return StackPaths.of(out, stack, os.environ)
