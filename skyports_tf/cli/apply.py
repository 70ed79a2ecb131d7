"""`skyports-tf apply`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import click

from skyports_tf.cli.configuration import answer_failures, session_config, time_now
from skyports_tf.cli.console import Session, pass_session
from skyports_tf.cli.options import TaskOptions, task_options, yes_option
from skyports_tf.cli.plan import answer_json, answer_plan, plan_all
from skyports_tf.cli.running import (
    Outcome,
    agree,
    announced,
    explain_failures,
    run_each,
    run_settings,
)
from skyports_tf.cli.runoptions import parallel_option, since_option, terraform_options
from skyports_tf.cli.saved import saved_json, saved_plans
from skyports_tf.cli.tasks import compile_request, compiled_tree
from skyports_tf.compiler import Compilation
from skyports_tf.holding import claim_files
from skyports_tf.lifecycle import Progress, RunSettings, apply_plans
from skyports_tf.model import Stack
from skyports_tf.outcomes import StackPlan, StackStatus
from skyports_tf.policing import refuse_breaches
from skyports_tf.recompile import stamp_expiry
from skyports_tf.report.status import status_text
from skyports_tf.report.text import applied_text, plan_text
from skyports_tf.roots import by_root
from skyports_tf.running.plans import does_anything

DECLINED = 1


@click.command()
@task_options(required=False, instead="saved")
@click.option(
    "--saved",
    is_flag=True,
    help="Apply what 'plan' has saved, and plan nothing; TASK... are then clusters or stack folders.",
)
@yes_option
@since_option
@parallel_option
@terraform_options
@pass_session
def apply(session: Session, options: TaskOptions, saved: bool, yes: bool, lock_timeout: str) -> int:
    """Plan, ask, apply that very plan, show the endpoints.

    TASK... are SkyPilot task files, or folders of them. Every stack is planned before anything is
    asked or applied. With --saved, the plans that an earlier 'plan' has saved are applied as they
    were shown, and no other; none named means all.
    """
    if saved:
        return _apply_saved(session, options, yes, lock_timeout)
    request = compile_request(session, options, time_now())
    compilation = compiled_tree(session, request)
    settings = run_settings(request.config, lock_timeout)
    planned = plan_all(session, compilation, settings)
    if not session.json:
        answer_plan(session, compilation, planned)
    if planned.interrupted:
        return _finish(session, compilation, planned, Outcome())
    if any(plan.counts.any for plan in planned.results) and not agree(
        session, yes, "Apply these changes?", "applied"
    ):
        explain_failures(session, planned.failures)
        return DECLINED
    claim_files(compilation.out, compilation, request.tasks)
    applied = apply_all(session, compilation.out, planned, settings)
    return _finish(session, compilation, planned, applied)


def _apply_saved(session: Session, options: TaskOptions, yes: bool, lock_timeout: str) -> int:
    """Show, ask for and apply the saved plans, from the ledgers alone."""
    answer_failures(session, options.out)
    config = session_config(session)
    out = options.out or config.out
    saved = saved_plans(out, options.files, config)
    # the policy may ask for more than when they were planned, and exceptions end
    session.report(refuse_breaches([plan.stack for plan in saved.results], config, out, time_now()))
    if not session.json and (saved.results or not saved.failures):
        session.echo(plan_text(saved.results) if saved.results else "No plan is saved: nothing to apply.")
    if any(plan.counts.any for plan in saved.results) and not agree(
        session, yes, "Apply these changes?", "applied"
    ):
        explain_failures(session, saved.failures)
        return DECLINED
    applied = apply_all(session, out, saved, run_settings(config, lock_timeout))
    plans, statuses = [plan for plan, _ in applied.results], [status for _, status in applied.results]
    session.report(warning for status in statuses for warning in status.warnings)
    failures = [*saved.failures, *applied.failures]
    if session.json:
        session.echo_json(saved_json(out, plans, failures))
    elif statuses:
        session.echo(f"\n{applied_text(plans)}{status_text(statuses)}")
    return explain_failures(session, failures)


def apply_all(
    session: Session, out: str, planned: Outcome[StackPlan], settings: RunSettings
) -> Outcome[tuple[StackPlan, StackStatus]]:
    """Apply what was planned, each stack with its deadlines begun; gives each with its status."""
    plans = {plan.stack.directory: plan for plan in planned.results}

    def step(stacks: Sequence[Stack], progress: Progress) -> list[tuple[StackPlan, StackStatus]]:
        members = [plans[stack.directory] for stack in stacks]
        heard = announced(progress, stacks, "apply") if any(map(does_anything, members)) else progress
        # before anything opens, so that no port is left open without its deadline
        begun = [replace(plan, stack=stamp_expiry(out, plan.stack, time_now())) for plan in members]
        return list(zip(begun, apply_plans(out, begun, settings, heard), strict=True))

    applied = run_each(session, by_root(plan.stack for plan in planned.results), step)
    done = {plan.stack.directory: (plan, status) for pairs in applied.results for plan, status in pairs}
    return Outcome([done[name] for name in plans if name in done], applied.failures)


def _finish(
    session: Session,
    compilation: Compilation,
    planned: Outcome[StackPlan],
    applied: Outcome[tuple[StackPlan, StackStatus]],
) -> int:
    statuses = [status for _, status in applied.results]
    for status in statuses:
        session.report(status.warnings)
    failures = [*planned.failures, *applied.failures]
    plans = [plan for plan, _ in applied.results]
    if session.json:
        answer_json(session, compilation, plans, [item for error in failures for item in error.diagnostics])
    elif statuses:
        session.echo(f"\n{applied_text(plans)}{status_text(statuses)}")
    return explain_failures(session, failures)
