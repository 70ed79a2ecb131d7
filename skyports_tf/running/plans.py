"""One plan of Terraform's: made and saved, checked, applied exactly as it was shown."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from functools import cache, partial
from itertools import chain, zip_longest
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
from skyports_tf.running.lens import Lens
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
_COUNTS: Final = tuple(item.name for item in fields(ResourceCounts))


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
        plan = replace(_planned(execution, run.record, draft.name, closing), flags=more)
        if closing is None and not does_anything(plan):
            _remove_plan(paths, _own_plan(paths))
            mark_finished(paths)
            return plan
        return _kept(out, paths, plan, (draft, _own_plan(paths)))


def make_plans(execution: Execution, out: str) -> tuple[StackPlan, ...]:
    """Plan all stacks of a shared root module in one run of Terraform, and save the plan as `make_plan`.

    Where the plan of a stack does nothing, it has no part of the saved one.
    """
    paths = execution.paths
    with drafted(paths.folder) as draft:
        run = execution.stream(
            "plan",
            lambda hear: execution.terraform.plan(on_event=hear, out=draft.name, **execution.flags),
        )
        told = execution.told(run.record)
        plans = [_planned(view, record, draft.name, None) for view, record in told]
        for (view, _), plan in zip(told, plans, strict=True):
            if not does_anything(plan):
                mark_finished(view.paths)
        if not any(map(does_anything, plans)):
            _remove_plan(paths, PLAN_FILE)
            return tuple(plans)
        first = _kept(out, paths, plans[0], (draft, PLAN_FILE))
    saved = partial(
        replace,
        plan_file=first.plan_file,
        plan_digest=first.plan_digest,
        files_digest=first.files_digest,
    )
    return tuple(saved(plan) if does_anything(plan) else plan for plan in plans)


def does_anything(plan: StackPlan) -> bool:
    """Whether Terraform has anything to do, be it to record an output."""
    return plan.counts.any or plan.outputs_changed


def _planned(
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


def _kept(out: str, paths: StackPaths, plan: StackPlan, file: tuple[Path, str]) -> StackPlan:
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
    _check_plan(paths, plan)
    mark_unfinished(paths)
    record = _applied(execution, plan, phase)
    mark_finished(paths)
    _remove_plan(paths, _name_of(plan))
    return record


def apply_together(execution: Execution, plans: Sequence[StackPlan], phase: Phase) -> Record:
    """Apply the plan of `make_plans` as `apply_saved`, all its stacks in one run of Terraform a step.

    `plans` are all parts of the saved plan. Raises as `apply_saved`.
    """
    whole = _joined(plans)
    _check_plan(execution.paths, whole)
    views = [view for view in execution.views if view.stack.directory in {p.stack.directory for p in plans}]
    for view in views:
        mark_unfinished(view.paths)
    record = _applied(execution, whole, phase)
    execution.reader.forget()
    for view in views:
        mark_finished(view.paths)
    _remove_plan(execution.paths, _name_of(whole))
    return record


def _joined(plans: Sequence[StackPlan]) -> StackPlan:
    """The plans of a shared root module as one, by the addresses that it knows."""
    lenses = [Lens.of(plan.stack) for plan in plans]
    steps = zip_longest(
        *(
            [tuple(map(lens.outward, step)) for step in plan.opening]
            for lens, plan in zip(lenses, plans, strict=True)
        ),
        fillvalue=(),
    )
    shown = (
        (lens.outward(address), action)
        for lens, plan in zip(lenses, plans, strict=True)
        for address, action in plan.shown
    )
    counts = [plan.counts for plan in plans]
    return replace(
        plans[0],
        counts=ResourceCounts(*(sum(getattr(item, name) for item in counts) for name in _COUNTS)),
        opening=tuple(tuple(chain.from_iterable(parts)) for parts in steps),
        shown=tuple(shown),
    )


def _applied(execution: Execution, plan: StackPlan, phase: Phase) -> Record:
    if plan.opening:
        return apply_in_steps(execution, plan, phase)
    counts = plan.counts
    try:
        return execution.stream(
            phase,
            lambda hear: execution.terraform.apply(_name_of(plan), on_event=hear, **execution.flags),
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


def _name_of(plan: StackPlan) -> str:
    return Path(plan.plan_file).name if plan.plan_file else PLAN_FILE


def _remove_plan(paths: StackPaths, name: str) -> None:
    beside = (SHOWN_FILE,) if name == PLAN_FILE else ()
    for file in (*beside, name):
        (paths.folder / file).unlink(missing_ok=True)


def _check_plan(paths: StackPaths, plan: StackPlan) -> None:
    """Refuse a plan file that is not the one that was shown; that it is missing, Terraform says."""
    path = paths.folder / _name_of(plan)
    if plan.plan_digest is None or not path.is_file():
        return
    if hashlib.sha256(path.read_bytes()).hexdigest() != plan.plan_digest:
        message = f"{plan.stack.name}: another plan was saved since this one was shown"
        raise FindingsError(Diagnostic("plan-replaced", message, path=plan.plan_file, help="plan again"))


def empty_plan(out: str, stack: Stack) -> StackPlan:
    """The plan of a stack with nothing to do; a plan that was saved before goes."""
    paths = paths_of(out, stack)
    _remove_plan(paths, _own_plan(paths))
    return StackPlan(stack, PortChanges(), ResourceCounts())


def paths_of(out: str, stack: Stack) -> StackPaths:
    """The stack's folders, in this process's environment."""
    return StackPaths.of(out, stack, os.environ)
