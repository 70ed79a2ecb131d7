"""`skyports-tf destroy`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import click

from skyports_tf.cli.configuration import answer_failures, session_config
from skyports_tf.cli.console import Session, pass_session
from skyports_tf.cli.options import (
    cluster_names,
    json_option,
    out_option,
    timeout_option,
    yes_option,
)
from skyports_tf.cli.running import (
    Outcome,
    agree,
    announced,
    explain_failures,
    filled,
    run_each,
    run_settings,
)
from skyports_tf.cli.runoptions import parallel_option, terraform_options
from skyports_tf.closing import close_stack, plan_close
from skyports_tf.config import Config
from skyports_tf.diagnostics import FindingsError
from skyports_tf.entries import needs_reset
from skyports_tf.lifecycle import Progress, RunSettings
from skyports_tf.model import Stack
from skyports_tf.outcomes import StackClosed, StackPlan
from skyports_tf.report.json_output import closed_json, kept_json, tree_json
from skyports_tf.report.text import closed_text, closing_text
from skyports_tf.sightings import drop_mark, marks_folder
from skyports_tf.tree import find_stacks, generated_files

DECLINED = 1


@click.command()
@cluster_names(required=True)
@yes_option
@timeout_option
@parallel_option
@terraform_options
@out_option
@json_option
@pass_session
def destroy(
    session: Session,
    clusters: tuple[str, ...],
    yes: bool,
    timeout: float,
    lock_timeout: str,
    out: str | None,
) -> int:
    """Close a cluster's ports and prove that nothing is left.

    Rules go first, then groups; a group that nodes still hold is waited for. CLUSTER... are names of
    clusters, or folders of stacks.
    """
    answer_failures(session, out)
    config = session_config(session)
    tree = out or config.out
    settings = run_settings(config, lock_timeout)
    stacks = [filled(stack, config) for stack in find_stacks(tree, clusters)]
    planned = _plan_all(session, tree, stacks, settings)
    open_plans = [plan for plan in planned.results if plan.counts.any]
    if open_plans and not session.json:
        session.echo(closing_text(open_plans))
    if planned.interrupted:
        return _finish(session, tree, planned, Outcome())
    if open_plans and not agree(session, yes, "Close these ports?", "closed"):
        explain_failures(session, planned.failures)
        return DECLINED
    closed = _close_all(session, tree, planned, (settings, timeout))
    return _finish(session, tree, planned, begun_anew(tree, closed, config))


def _plan_all(
    session: Session, out: str, stacks: Sequence[Stack], settings: RunSettings
) -> Outcome[StackPlan]:
    def step(stack: Stack, progress: Progress) -> StackPlan:
        return plan_close(out, stack, settings, announced(progress, stack, "plan"))

    return run_each(session, stacks, step)


def _close_all(
    session: Session, out: str, planned: Outcome[StackPlan], how: tuple[RunSettings, float]
) -> Outcome[StackClosed]:
    settings, timeout = how

    def step(plan: StackPlan, progress: Progress) -> StackClosed:
        heard = announced(progress, plan.stack, "destroy") if plan.counts.any else progress
        return close_stack(out, plan, settings, heard, timeout)

    return run_each(session, planned.results, step)


def begun_anew(out: str, closed: Outcome[StackClosed], config: Config) -> Outcome[StackClosed]:
    """What is gone has neither deadline nor mark of `reap` any more: the next apply begins anew."""
    return Outcome([_begun_anew(out, item, config) for item in closed.results], closed.failures)


def _begun_anew(out: str, closed: StackClosed, config: Config) -> StackClosed:
    if closed.verified_empty:
        drop_mark(marks_folder(out, None), closed.stack)
    if not needs_reset(closed.stack):
        return closed
    from skyports_tf.recompile import reset_expiry

    try:
        reset_expiry(out, closed.stack, config)
    except FindingsError as error:  # the ports are closed all the same
        return replace(closed, warnings=(*closed.warnings, *error.diagnostics))
    return closed


def _finish(session: Session, out: str, planned: Outcome[StackPlan], closed: Outcome[StackClosed]) -> int:
    failures = [*planned.failures, *closed.failures]
    warnings = [item for plan in planned.results for item in plan.warnings]
    warnings += [item for result in closed.results for item in result.warnings]
    session.report(warnings)
    if session.json:
        found = [*warnings, *(item for error in failures for item in error.diagnostics)]
        session.echo_json(tree_json(out, stacks_json(out, closed.results), found))
    elif closed.results:
        session.echo(closed_text(closed.results))
    return explain_failures(session, failures)


def stacks_json(out: str, closed: Sequence[StackClosed]) -> list[dict[str, object]]:
    """What was closed, a stack each, for the JSON document."""
    return [closed_json(kept_json(item.stack, generated_files(out, item.stack)), item) for item in closed]
