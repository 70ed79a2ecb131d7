"""`skyports-tf plan`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from skyports_tf.cli.configuration import time_now
from skyports_tf.cli.console import Session, pass_session
from skyports_tf.cli.formats import (
    PLAN_FORMATS,
    PlanAnswer,
    document_files,
    failed_document,
    failed_text,
    plan_document,
)
from skyports_tf.cli.options import TaskOptions, format_option, task_options
from skyports_tf.cli.reports import tell_failures
from skyports_tf.cli.running import (
    Outcome,
    agree_to_move,
    announced,
    explain_failures,
    run_each,
    run_settings,
)
from skyports_tf.cli.runoptions import parallel_option, since_option, terraform_options
from skyports_tf.cli.tasks import compile_request, compiled_tree
from skyports_tf.compiler import Compilation, CompileRequest
from skyports_tf.diagnostics import Diagnostic, FindingsError, SkyportsError
from skyports_tf.lifecycle import Progress, RunSettings, plan_stacks
from skyports_tf.model import GeneratedFile, Stack
from skyports_tf.outcomes import StackPlan
from skyports_tf.report.json_output import compiled_json, planned_json, tree_json
from skyports_tf.report.sky_config import sky_config_text
from skyports_tf.report.text import exposure_warnings, plan_text
from skyports_tf.roots import by_root, root_name, root_of
from skyports_tf.running.migration import BackendMovedError
from skyports_tf.running.plans import does_anything
from skyports_tf.running.saved import unreviewed
from skyports_tf.write import write_files

CHANGES = 2


@click.command()
@task_options(required=False)
@click.option(
    "--detailed-exitcode", is_flag=True, help="Exit 0 without changes, 1 on any error, 2 with changes."
)
@format_option(*PLAN_FORMATS)
@click.option(
    "--also",
    multiple=True,
    metavar="FORMAT=FILE",
    callback=document_files,
    help="Write the same in another format to FILE, without planning again; repeatable.",
)
@click.option(
    "--reviewed",
    metavar="DIR",
    type=click.Path(),
    help="Exit 1 where a plan does anything else than the skyports.tfplan.json below DIR says.",
)
@since_option
@parallel_option
@terraform_options
@pass_session
def plan(
    session: Session,
    options: TaskOptions,
    detailed_exitcode: bool,
    also: tuple[tuple[str, str], ...],
    reviewed: str | None,
    lock_timeout: str,
) -> int:
    """Compile, then show which ports open, change and close.

    TASK... are SkyPilot task files, or folders of them. The plans are saved in the stacks' folders,
    for 'apply --saved'.
    """
    session.failed_as = failed_document(session.format)
    request, compilation = _compiled(session, options, also)
    planned = plan_all(session, compilation, run_settings(request.config, lock_timeout))
    if reviewed is not None and (found := unreviewed(planned.results, Path(reviewed))):
        planned.failures.append(FindingsError(found))
    answer = PlanAnswer(request.config, compilation, planned, request.files)
    if session.is_document and not session.json:
        incomplete = answer_document(session, answer)
    else:
        incomplete = False
        answer_plan(session, compilation, planned)
    incomplete |= write_documents(session, answer, also)
    code = max(explain_failures(session, planned.failures), int(incomplete))
    if not detailed_exitcode:
        return code
    if code:
        return code if planned.interrupted else 1
    return CHANGES if any(does_anything(item) for item in planned.results) else 0


def _compiled(
    session: Session, options: TaskOptions, also: Sequence[tuple[str, str]]
) -> tuple[CompileRequest, Compilation]:
    """Compile; findings that end the call here are written to the files of `also`, too."""
    files, policy = options.files, None
    tell_failures(session, "plan", files)
    try:
        request = compile_request(session, options, time_now())
        files, policy = request.files, request.config.policy
        tell_failures(session, "plan", files, policy)
        return request, compiled_tree(session, request)
    except SkyportsError as error:
        for name, file in also:
            _write_failure(session, file, failed_text(name, files, policy, error.diagnostics))
        raise


def _write_failure(session: Session, file: str, text: str | None) -> None:
    try:
        if text is not None:
            _write(file, text)
    except FindingsError as error:
        # what ended the call goes before what could not be written of it
        session.report(error.diagnostics)


def _write(file: str, text: str) -> None:
    folder, base = os.path.split(file)
    write_files(folder or ".", (GeneratedFile(base, text),))


def plan_all(session: Session, compilation: Compilation, settings: RunSettings) -> Outcome[StackPlan]:
    """Plan every stack of the compilation, also those that lost their last port.

    Where a state would have to follow its backend, who can be asked is asked.
    """
    stacks = [item.stack for item in compilation.stacks]

    def plan_them(chosen: Sequence[Stack], used: RunSettings) -> Outcome[StackPlan]:
        def step(members: Sequence[Stack], progress: Progress) -> tuple[StackPlan, ...]:
            return plan_stacks(compilation.out, members, used, announced(progress, members, "plan"))

        return in_order(run_each(session, by_root(chosen), step), stacks)

    planned = plan_them(stacks, settings)
    moved = {error.stack for error in planned.failures if isinstance(error, BackendMovedError)}
    if not moved or planned.interrupted or not agree_to_move(session, planned.failures):
        return planned
    left = [item for item in stacks if moved & {item.name, root_name(root_of(item))}]
    again = plan_them(left, replace(settings, migrate_state=True))
    plans = {item.stack.directory: item for item in (*planned.results, *again.results)}
    kept = [error for error in planned.failures if not isinstance(error, BackendMovedError)]
    ordered = [plans[item.directory] for item in stacks if item.directory in plans]
    return Outcome(ordered, [*kept, *again.failures])


def in_order(planned: Outcome[tuple[StackPlan, ...]], stacks: Sequence[Stack]) -> Outcome[StackPlan]:
    """What was planned by root modules, stack by stack in the order of `stacks`."""
    plans = {plan.stack.directory: plan for members in planned.results for plan in members}
    ordered = [plans[item.directory] for item in stacks if item.directory in plans]
    return Outcome(ordered, planned.failures)


def answer_plan(session: Session, compilation: Compilation, planned: Outcome[StackPlan]) -> None:
    """Show what was planned, as text or as JSON."""
    plans = planned.results
    for item in plans:
        session.report(item.warnings)
    if session.json:
        answer_json(session, compilation, plans, planned.diagnostics)
    elif plans or not planned.failures:
        session.echo(plan_text(plans))
        if told := sky_config_text(compilation.out, [item.stack for item in plans]):
            session.echo(f"\n{told}")


def answer_document(session: Session, answer: PlanAnswer) -> bool:
    """Answer in the format that was asked for; gives whether the document is not complete."""
    session.report(warning for plan in answer.planned.results for warning in plan.warnings)
    document = plan_document(session.format, answer)
    session.echo_document(document.text)
    session.report(document.findings)
    return bool(document.findings)


def write_documents(session: Session, answer: PlanAnswer, also: Sequence[tuple[str, str]]) -> bool:
    """Write the answer in each format to its file; gives whether one is not complete."""
    incomplete = False
    for name, file in also:
        document = plan_document(name, answer)
        _write(file, document.text)
        session.report(document.findings)
        incomplete |= bool(document.findings)
    return incomplete


def answer_json(
    session: Session, compilation: Compilation, plans: Sequence[StackPlan], failed: Sequence[Diagnostic]
) -> None:
    """Answer with the JSON document of `plan`, and of `apply`."""
    session.echo_json(plans_json(compilation, plans, failed))


def plans_json(
    compilation: Compilation, plans: Sequence[StackPlan], failed: Sequence[Diagnostic]
) -> dict[str, object]:
    """The JSON document of `plan`, and of `apply`, where `plans` are those that were applied."""
    compiled = {item.stack.directory: compiled_json(item) for item in compilation.stacks}
    stacks = [planned_json(compiled[item.stack.directory], item) for item in plans]
    found = [*compilation.diagnostics, *failed, *exposure_warnings(plans)]
    found += [warning for item in plans for warning in item.warnings]
    return tree_json(compilation.out, stacks, found)
