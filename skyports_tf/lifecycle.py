"""Plan, apply and watch a stack: the order of operations, and what came of them.

Each function works on one stack, tells its progress, and can be stopped by a signal at any
moment: Terraform then saves its state, and `InterruptedRunError` is raised. They raise
`TerraformError` with Terraform's own words where it fails, and `ProgramMissingError` where
there is none.
"""

from __future__ import annotations

from dataclasses import replace

from skyports_tf.diagnostics import FindingsError, TerraformError
from skyports_tf.model import Stack, StackPlan, StackStatus
from skyports_tf.running.changes import output_rules
from skyports_tf.running.execution import (
    Execution,
    Phase,
    Progress,
    ProgressEvent,
    RunSettings,
    execution_of,
    silent,
)
from skyports_tf.running.initialization import StackPaths
from skyports_tf.running.migration import BackendMovedError
from skyports_tf.running.plans import PLAN_FILE, apply_saved, empty_plan, make_plan, paths_of
from skyports_tf.running.repair import mend, repair
from skyports_tf.running.saved import keep_shown
from skyports_tf.running.state import (
    never_applied,
    never_begun,
    read_open_rules,
    read_outputs,
    read_port_resources,
    status_of,
)

__all__ = [
    "PLAN_FILE",
    "Phase",
    "Progress",
    "ProgressEvent",
    "RunSettings",
    "apply_plan",
    "close_ports",
    "plan_closed",
    "plan_stack",
    "read_status",
]


def plan_stack(out: str, stack: Stack, settings: RunSettings, progress: Progress = silent) -> StackPlan:
    """Plan what the stack's files ask for, and save the plan where it does anything."""
    paths = paths_of(out, stack)
    if not stack.rules and never_begun(paths):
        return empty_plan(out, stack)
    with execution_of(out, stack, settings, progress) as execution:
        mend(execution)
        plan = make_plan(execution, out)
        keep_shown(paths, plan)
        return plan


def plan_closed(out: str, stack: Stack, settings: RunSettings, progress: Progress = silent) -> StackPlan:
    """Plan to close every port of the stack, and keep its groups and whatever else it holds.

    The files stay as they are: the next plan does what they ask for.
    """
    if never_applied(paths_of(out, stack)):
        return empty_plan(out, stack)
    with execution_of(out, replace(stack, rules=(), packed=()), settings, progress) as execution:
        if _knows_closed(execution.paths):
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
    if not _knows_closed(paths_of(out, stack)):
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
        if plan.stack.imports:
            from skyports_tf.recompile import finish_imports  # only after an adoption

            finish_imports(out, plan.stack)
        outputs = record.outputs.values if record.outputs else read_outputs(execution)
        status = status_of(plan.stack, output_rules(outputs), outputs)
        return replace(status, warnings=execution.warnings(record))


def read_status(out: str, stack: Stack, settings: RunSettings) -> StackStatus:
    """The stack as its state has it; `unknown` with the reason where the state can't be read."""
    if never_applied(paths_of(out, stack)):
        return StackStatus(stack, "closed")
    try:
        with execution_of(out, stack, settings, silent) as execution:
            outputs = read_outputs(execution)
            return status_of(stack, read_open_rules(execution, outputs), outputs)
    except TerraformError as error:
        return StackStatus(stack, "unknown", reason=_first_words(error))
    except BackendMovedError as error:
        return StackStatus(stack, "unknown", reason=str(error))


def _knows_closed(paths: StackPaths) -> bool:
    """Whether the files as they are know the variable: those of a stack that asks for no port do not."""
    try:
        return 'variable "closed"' in (paths.folder / "main.tf").read_text(encoding="utf-8")
    except OSError:
        return False


def _explained(execution: Execution, error: TerraformError) -> TerraformError:
    """The error of an apply, after what it has made all the same was taken into the state.

    Where something is in the way, an earlier run has made it whose state was lost, or SkyPilot has.
    """
    if not execution.failed_creations:
        return error
    try:
        if repair(execution):
            way_out = "what was made all the same is in the state now: run the same command again"
            return TerraformError(replace(error.diagnostics[0], help=way_out), error.output)
    except (TerraformError, FindingsError):
        pass  # the first error is the one to tell
    return error


def _first_words(error: TerraformError) -> str:
    lines = (line.strip() for line in error.output.splitlines())
    return next((line.removeprefix("Error: ") for line in lines if line), str(error))
