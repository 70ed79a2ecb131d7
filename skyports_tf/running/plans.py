"""One plan of Terraform's: made and saved, checked, applied exactly as it was shown."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Final

from skyports_tf.diagnostics import Diagnostic, FindingsError, TerraformError
from skyports_tf.model import PortChanges, ResourceCounts, Stack, StackPlan
from skyports_tf.roots import LONE_MODULE, root_of
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
    apply_anew,
    apply_in_steps,
    drafted,
    files_digest,
    find_steps,
    shown_changes,
)
from skyports_tf.running.stream import Record
from skyports_tf.terraform import Flag, read_json

#: The saved plan in the folder of a root module.
PLAN_FILE: Final = "skyports.tfplan"
#: What that plan was shown to do, beside it.
SHOWN_FILE: Final = "skyports.tfplan.json"

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
            remove_plan(paths, _own_plan(paths))
            mark_finished(paths)
            return plan
        return kept(out, paths, plan, (draft, _own_plan(paths)))


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


def kept(out: str, paths: StackPaths, plan: StackPlan, file: tuple[Path, str]) -> StackPlan:
    """Save the draft of a plan under its name in the folder of its root module."""
    draft, saved = file
    digest, files = hashlib.sha256(draft.read_bytes()).hexdigest(), files_digest(draft)
    draft.replace(paths.folder / saved)
    name = str(Path(out) / root_of(plan.stack) / saved)
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
    paths = execution.paths
    check_plan(paths, plan)
    mark_unfinished(paths)
    record = applied(execution, plan, phase)
    mark_finished(paths)
    remove_plan(paths, name_of(plan))
    return record


def applied(execution: Execution, plan: StackPlan, phase: Phase) -> Record:
    """Apply a saved plan, step by step where it has several; what the run has said.

    Where other stacks of its root module were applied meanwhile, it is planned again and held against
    what was shown.
    """
    if plan.opening:
        return apply_in_steps(execution, plan, phase)
    counts = plan.counts
    try:
        return execution.stream(
            phase,
            lambda hear: execution.terraform.apply(name_of(plan), on_event=hear, **execution.flags),
            counts.create + counts.update + counts.delete,
        ).record
    except TerraformError as error:
        if plan.stack.layout == "separate" or _STALE not in error.output:
            raise
    # other stacks of the root module were applied meanwhile
    return apply_anew(execution, plan, phase)


def _own_plan(paths: StackPaths) -> str:
    """The name of a plan of one stack; in a shared root module, that of each is its own."""
    return PLAN_FILE if paths.module == LONE_MODULE else f"skyports.{paths.module}.tfplan"


def name_of(plan: StackPlan) -> str:
    """The name of the file that a plan was saved as."""
    return Path(plan.plan_file).name if plan.plan_file else PLAN_FILE


def remove_plan(paths: StackPaths, name: str) -> None:
    """Remove a saved plan, and what it was shown to do."""
    beside = (SHOWN_FILE,) if name == PLAN_FILE else ()
    for file in (*beside, name):
        (paths.folder / file).unlink(missing_ok=True)


def check_plan(paths: StackPaths, plan: StackPlan) -> None:
    """Refuse a plan file that is not the one that was shown; that it is missing, Terraform says."""
    path = paths.folder / name_of(plan)
    if plan.plan_digest is None or not path.is_file():
        return
    if hashlib.sha256(path.read_bytes()).hexdigest() != plan.plan_digest:
        message = f"{plan.stack.name}: another plan was saved since this one was shown"
        raise FindingsError(Diagnostic("plan-replaced", message, path=plan.plan_file, help="plan again"))


def empty_plan(out: str, stack: Stack) -> StackPlan:
    """The plan of a stack with nothing to do; a plan that was saved before goes."""
    paths = paths_of(out, stack)
    remove_plan(paths, _own_plan(paths))
    return StackPlan(stack, PortChanges(), ResourceCounts())


def paths_of(out: str, stack: Stack) -> StackPaths:
    """The stack's folders, in this process's environment."""
    return StackPaths.of(out, stack, os.environ)
