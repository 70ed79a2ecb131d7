"""Plan, apply, close and watch a stack: the order of operations, and what came of them.

Each function works on one stack, tells its progress, and can be stopped by a signal at any
moment: Terraform then saves its state, and `InterruptedRunError` is raised. They raise
`TerraformError` with Terraform's own words where it fails, and `ProgramMissingError` where
there is none.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from skyports_tf.diagnostics import Diagnostic, FindingsError, TerraformError
from skyports_tf.model import PortChanges, ResourceCounts, Stack, StackClosed, StackPlan, StackStatus
from skyports_tf.running.changes import (
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
from skyports_tf.running.execution import (
    Execution,
    Phase,
    Progress,
    ProgressEvent,
    RunSettings,
    execution_of,
    silent,
)
from skyports_tf.running.initialization import StackPaths, writing
from skyports_tf.running.ssh import opened_ssh
from skyports_tf.running.state import (
    is_unfinished,
    mark_finished,
    mark_unfinished,
    never_applied,
    read_addresses,
    read_open_rules,
    read_outputs,
    status_of,
    with_tasks,
)
from skyports_tf.running.stream import Record
from skyports_tf.terraform import Run, read_json

__all__ = [
    "PLAN_FILE",
    "Phase",
    "Progress",
    "ProgressEvent",
    "RunSettings",
    "apply_plan",
    "close_stack",
    "plan_close",
    "plan_stack",
    "read_status",
]

#: The saved plan in a stack's folder.
PLAN_FILE: Final = "skyports.tfplan"


def plan_stack(out: str, stack: Stack, settings: RunSettings, progress: Progress = silent) -> StackPlan:
    """Plan what the stack's files ask for, and save the plan where it does anything."""
    if not stack.rules and never_applied(_paths(out, stack), stack):
        return _empty_plan(out, stack)
    with execution_of(out, stack, settings, progress) as execution:
        return _plan(execution, out)


def plan_close(out: str, stack: Stack, settings: RunSettings, progress: Progress = silent) -> StackPlan:
    """Plan to remove all that the stack holds; the plan is empty where it holds nothing."""
    if never_applied(_paths(out, stack), stack):
        return _empty_plan(out, stack)
    with execution_of(out, stack, settings, progress) as execution:
        outputs = read_outputs(execution)
        if not outputs and not read_addresses(execution):
            return _empty_plan(out, stack)
        return _plan(execution, out, outputs)


def apply_plan(out: str, plan: StackPlan, settings: RunSettings, progress: Progress = silent) -> StackStatus:
    """Apply exactly the saved plan, and give the status that comes of it.

    Raises `FindingsError` where another plan was saved since.
    """
    if plan.plan_file is None:
        return read_status(out, plan.stack, settings)
    with execution_of(out, plan.stack, settings, progress) as execution:
        record = _apply(execution, plan, "apply")
        outputs = record.outputs.values if record.outputs else read_outputs(execution)
        status = status_of(plan.stack, output_rules(outputs), outputs)
        return replace(status, warnings=execution.warnings(record))


def close_stack(out: str, plan: StackPlan, settings: RunSettings, progress: Progress = silent) -> StackClosed:
    """Apply a plan of `plan_close`, then prove that nothing is left.

    Raises `FindingsError` that names what is left.
    """
    if plan.plan_file is None:
        return StackClosed(plan.stack, plan.changes, plan.counts, verified_empty=True)
    with execution_of(out, plan.stack, settings, progress) as execution:
        record = _apply(execution, plan, "destroy")
        _prove_empty(execution)
        return StackClosed(plan.stack, plan.changes, plan.counts, True, execution.warnings(record))


def read_status(out: str, stack: Stack, settings: RunSettings) -> StackStatus:
    """The stack as its state has it; `unknown` with the reason where the state can't be read."""
    if never_applied(_paths(out, stack), stack):
        return StackStatus(stack, "closed")
    try:
        with execution_of(out, stack, settings, silent) as execution:
            outputs = read_outputs(execution)
            return status_of(stack, read_open_rules(execution, outputs), outputs)
    except TerraformError as error:
        return StackStatus(stack, "unknown", reason=_first_words(error))


def _plan(execution: Execution, out: str, closing: Mapping[str, Any] | None = None) -> StackPlan:
    """Plan and save; `closing` are the outputs of a state that is to be emptied."""
    stack, paths = execution.stack, execution.paths
    flags = {**execution.flags, "destroy": True if closing is not None else None}
    with _draft(paths.folder) as draft:
        run = execution.stream(
            "plan", lambda hear: execution.terraform.plan(on_event=hear, out=draft.name, **flags)
        )
        plan = StackPlan(
            stack,
            _port_changes(execution, run.record, draft.name, closing),
            resource_counts(run.record),
            outputs_changed=outputs_changed(run.record),
            warnings=execution.warnings(run.record),
            ssh=opened_ssh(run.record, stack),
        )
        if closing is None and not plan.counts.any and not plan.outputs_changed:
            (paths.folder / PLAN_FILE).unlink(missing_ok=True)
            mark_finished(paths)
            return plan
        digest = hashlib.sha256(draft.read_bytes()).hexdigest()
        draft.replace(paths.folder / PLAN_FILE)
    return replace(plan, plan_file=str(Path(out) / stack.directory / PLAN_FILE), plan_digest=digest)


@contextmanager
def _draft(folder: Path) -> Iterator[Path]:
    """A file of ours alone for a plan in the making: the plan holds what the state holds."""
    with writing(folder):
        descriptor, name = tempfile.mkstemp(prefix="skyports.", suffix=".tfplan", dir=folder)
        os.close(descriptor)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def _port_changes(
    execution: Execution, record: Record, plan_file: str, outputs: Mapping[str, Any] | None
) -> PortChanges:
    if has_packed_rules(record):
        return _packed_changes(execution, record, outputs)
    after, before = stack_rules(execution.stack), {}
    if needs_outputs(record) and not is_unfinished(execution.paths):
        before = output_rules(read_outputs(execution) if outputs is None else outputs)
    if needs_plan(record, after, before):
        shown = read_json(execution.run(lambda: execution.terraform.show(plan_file)).stdout)
        before, planned = plan_rules(shown, after)
        after = with_tasks(planned, execution.stack)
    return port_changes(record, with_tasks(before, execution.stack), after)


def _packed_changes(execution: Execution, record: Record, outputs: Mapping[str, Any] | None) -> PortChanges:
    stack, before = execution.stack, None
    if needs_outputs(record) and is_unfinished(execution.paths):
        # the outputs are of an earlier time: what the stack's rules hold is the nearest to the truth
        before = packed_rules(stack, planned_rules(record))
    elif needs_outputs(record) or outputs is not None:
        before = output_rules(read_outputs(execution) if outputs is None else outputs)
    return packed_changes(record, before, stack, closing=outputs is not None)


def _apply(execution: Execution, plan: StackPlan, phase: Phase) -> Record:
    paths, counts = execution.paths, plan.counts
    _check_plan(paths, plan)
    mark_unfinished(paths)
    run = execution.stream(
        phase,
        lambda hear: execution.terraform.apply(PLAN_FILE, on_event=hear, **execution.flags),
        total=counts.create + counts.update + counts.delete,
    )
    mark_finished(paths)
    (paths.folder / PLAN_FILE).unlink(missing_ok=True)
    return run.record


def _check_plan(paths: StackPaths, plan: StackPlan) -> None:
    """Refuse a plan file that is not the one that was shown; that it is missing, Terraform says."""
    path = paths.folder / PLAN_FILE
    if plan.plan_digest is None or not path.is_file():
        return
    if hashlib.sha256(path.read_bytes()).hexdigest() != plan.plan_digest:
        message = f"{plan.stack.name}: another plan was saved since this one was shown"
        raise FindingsError(Diagnostic("plan-replaced", message, path=plan.plan_file, help="plan again"))


def _prove_empty(execution: Execution) -> None:
    def plan(hear: Any) -> Run:
        return execution.terraform.plan(
            on_event=hear, destroy=True, detailed_exitcode=True, **execution.flags
        )

    run = execution.stream("verify", plan, ok=(0, 2))
    left = sorted({change.resource.address for change in run.record.planned} | set(read_addresses(execution)))
    if run.code == 0 and not left:
        return
    message = f"{execution.stack.name}: still there after destroy: {', '.join(left) or 'outputs'}"
    raise FindingsError(Diagnostic("still-open", message, help="run destroy again"))


def _empty_plan(out: str, stack: Stack) -> StackPlan:
    (_paths(out, stack).folder / PLAN_FILE).unlink(missing_ok=True)
    return StackPlan(stack, PortChanges(), ResourceCounts())


def _paths(out: str, stack: Stack) -> StackPaths:
    return StackPaths.of(out, stack, os.environ)


def _first_words(error: TerraformError) -> str:
    lines = (line.strip() for line in error.output.splitlines())
    return next((line.removeprefix("Error: ") for line in lines if line), str(error))
