"""Plan, apply and watch a stack: the order of operations, and what came of them.

Each function works on one stack, tells its progress, and can be stopped by a signal at any
moment: Terraform then saves its state, and `InterruptedRunError` is raised. They raise
`TerraformError` with Terraform's own words where it fails, and `ProgramMissingError` where
there is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from skyports_tf.diagnostics import FindingsError, TerraformError
from skyports_tf.model import Stack
from skyports_tf.outcomes import StackPlan, StackStatus
from skyports_tf.roots import stack_file
from skyports_tf.running.changes import output_rules
from skyports_tf.running.execution import Execution, execution_of
from skyports_tf.running.migration import BackendMovedError
from skyports_tf.running.planfiles import PLAN_FILE
from skyports_tf.running.plans import (
    apply_saved,
    empty_plan,
    make_plan,
    paths_of,
)
from skyports_tf.running.repair import mend, repair
from skyports_tf.running.saved import keep_shown
from skyports_tf.running.scope import seen_in
from skyports_tf.running.settings import Phase, Progress, ProgressEvent, RunSettings, silent
from skyports_tf.running.stale import drop_stale_outputs
from skyports_tf.running.state import (
    never_applied,
    never_begun,
    read_open_rules,
    read_outputs,
    read_port_resources,
    status_of,
)
from skyports_tf.running.stream import Record
from skyports_tf.running.together import apply_together, make_plans
from skyports_tf.tree import directories_of_tree

__all__ = [
    "PLAN_FILE",
    "Phase",
    "Progress",
    "ProgressEvent",
    "RunSettings",
    "apply_plan",
    "apply_plans",
    "close_ports",
    "plan_closed",
    "plan_stack",
    "plan_stacks",
    "read_status",
    "read_statuses",
]


def plan_stack(out: str, stack: Stack, settings: RunSettings, progress: Progress = silent) -> StackPlan:
    """Plan what the stack's files ask for, and save the plan where it does anything.

    In a shared root module it is saved under a name of its own, for the caller alone.
    """
    paths = paths_of(out, stack)
    if not stack.rules and never_begun(paths):
        return empty_plan(out, stack)
    with execution_of(out, stack, settings, progress) as execution:
        mend(execution)
        plan = make_plan(execution, out)
        if stack.layout == "separate":
            keep_shown(paths, plan)
        return plan


def plan_stacks(
    out: str, stacks: Sequence[Stack], settings: RunSettings, progress: Progress = silent
) -> tuple[StackPlan, ...]:
    """Plan as `plan_stack` all of `stacks`, which share one root module, in one run of Terraform.

    The plan is saved where `saved_plan` finds it.
    """
    first, *others = stacks
    if first.layout == "separate":
        return (plan_stack(out, first, settings, progress),)
    if not any(stack.rules for stack in stacks) and all(never_begun(paths_of(out, s)) for s in stacks):
        return tuple(empty_plan(out, stack) for stack in stacks)
    with execution_of(out, first, settings, progress, others) as execution:
        for view in execution.views:
            if mend(view):
                execution.reader.forget()
        plans = make_plans(execution, out, is_whole=len(stacks) > 1 and _are_all(out, stacks))
        keep_shown(execution.paths, *plans)
        return plans


def _are_all(out: str, stacks: Sequence[Stack]) -> bool:
    """Whether these are all stacks of their place, as far as the folders of the tree tell."""
    mine = {stack.directory for stack in stacks}
    place = f"/{stacks[0].place}"
    return all(name in mine for name in directories_of_tree(out) if name.endswith(place))


def plan_closed(out: str, stack: Stack, settings: RunSettings, progress: Progress = silent) -> StackPlan:
    """Plan to close every port of the stack, and keep its groups and whatever else it holds.

    The files stay as they are: the next plan does what they ask for.
    """
    if never_applied(paths_of(out, stack)):
        return empty_plan(out, stack)
    with execution_of(out, replace(stack, rules=(), packed=()), settings, progress) as execution:
        if _knows_closed(out, stack):
            return make_plan(execution, out, flags={"var": "closed=true"})
        # which the files may ask for no more
        ports = read_port_resources(execution)
        if not ports:
            return empty_plan(out, stack)
        # what Terraform says of targeting is no news: it is what we want
        return replace(make_plan(execution, out, flags={"target": ports}), warnings=())


def close_ports(out: str, stack: Stack, settings: RunSettings, progress: Progress = silent) -> StackPlan:
    """Close every port of the stack, and keep its groups; gives the plan, which was applied."""
    plan = plan_closed(out, stack, settings, progress)
    if plan.plan_file is None or not plan.changes.close:
        return plan
    apply_plan(out, plan, settings, progress)
    if not _knows_closed(out, stack):
        # an apply of targets leaves the outputs as they were (Terraform 1.11)
        with execution_of(out, plan.stack, settings, progress) as execution:
            outputs = make_plan(execution, out, flags={"refresh_only": True})
        apply_plan(out, outputs, settings, progress)
    return plan


def apply_plan(out: str, plan: StackPlan, settings: RunSettings, progress: Progress = silent) -> StackStatus:
    """Apply exactly the saved plan, and give the status that comes of it.

    Raises `FindingsError` where another plan was saved since.
    """
    if plan.plan_file is None:
        return read_status(out, plan.stack, settings)
    with execution_of(out, plan.stack, settings, progress) as execution:
        try:
            record = apply_saved(execution, plan, "apply")
        except TerraformError as error:
            raise _explained(execution, error) from None
        drop_stale_outputs(execution)
        return _applied_status(out, execution, record)


def apply_plans(
    out: str, plans: Sequence[StackPlan], settings: RunSettings, progress: Progress = silent
) -> tuple[StackStatus, ...]:
    """Apply exactly the plan that was saved for stacks of one root module, as `apply_plan`.

    `plans` are all parts of it, and may be of more stacks, of which it changes nothing.
    """
    first, *others = [plan.stack for plan in plans]
    if not others:
        return (apply_plan(out, plans[0], settings, progress),)
    changing = [plan for plan in plans if plan.plan_file is not None]
    if not changing:
        return read_statuses(out, [first, *others], settings)
    with execution_of(out, first, settings, progress, others) as execution:
        try:
            record = apply_together(execution, changing, "apply")
        except TerraformError as error:
            raise _explained(execution, error) from None
        drop_stale_outputs(execution)
        return tuple(_applied_status(out, view, part) for view, part in execution.told(record))


def _applied_status(out: str, execution: Execution, record: Record) -> StackStatus:
    """The status of a stack after the apply of `record`; what was taken over is noted as such."""
    stack = execution.stack
    if stack.imports:
        from skyports_tf.recompile import finish_imports  # only after an adoption

        finish_imports(out, stack)
    if stack.layout == "separate" and record.outputs:
        outputs = record.outputs.values
    else:
        outputs = read_outputs(execution)
    status = status_of(stack, output_rules(outputs), outputs)
    return replace(status, warnings=execution.warnings(record))


def read_status(out: str, stack: Stack, settings: RunSettings) -> StackStatus:
    """The stack as its state has it; `unknown` with the reason where the state can't be read."""
    (status,) = read_statuses(out, [stack], settings)
    return status


def read_statuses(out: str, stacks: Sequence[Stack], settings: RunSettings) -> tuple[StackStatus, ...]:
    """As `read_status`, of stacks that share one root module: its state is read once."""
    first, *others = stacks
    if never_applied(paths_of(out, first)):
        return tuple(StackStatus(stack, "closed") for stack in stacks)
    try:
        with execution_of(out, first, settings, silent, others) as execution:
            return tuple(map(_status_in, execution.views))
    except TerraformError as error:
        reason = _first_words(error)
    except BackendMovedError as error:
        reason = str(error)
    return tuple(StackStatus(stack, "unknown", reason=reason) for stack in stacks)


def _status_in(execution: Execution) -> StackStatus:
    outputs = read_outputs(execution)
    return status_of(execution.stack, read_open_rules(execution, outputs), outputs)


def _knows_closed(out: str, stack: Stack) -> bool:
    """Whether the files as they are use the variable: those of a stack that asks for no port do not."""
    try:
        return "var.closed" in Path(out, stack_file(stack, "main.tf")).read_text(encoding="utf-8")
    except OSError:
        return False


def _explained(execution: Execution, error: TerraformError) -> TerraformError:
    """The error of an apply, after what it has made all the same was taken into the state.

    Where something is in the way, an earlier run has made it whose state was lost, or SkyPilot has.
    """
    failed = execution.failed_creations
    views = [view for view in execution.views if seen_in(view.stack, failed)]
    try:
        mended = [repair(view) for view in views]
    except (TerraformError, FindingsError):
        return error  # the first error is the one to tell
    if not any(mended):
        return error
    way_out = "what was made all the same is in the state now: run the same command again"
    return TerraformError(replace(error.diagnostics[0], help=way_out), error.output)


def _first_words(error: TerraformError) -> str:
    lines = (line.strip() for line in error.output.splitlines())
    return next((line.removeprefix("Error: ") for line in lines if line), str(error))
