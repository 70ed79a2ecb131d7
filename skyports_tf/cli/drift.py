"""`skyports-tf drift`."""

from __future__ import annotations

from collections.abc import Sequence

import click

from skyports_tf.cli.configuration import answer_failures, session_config
from skyports_tf.cli.console import Session, pass_session
from skyports_tf.cli.options import cluster_names, json_option, out_option
from skyports_tf.cli.running import Outcome, announced, explain_failures, filled, run_each, run_settings
from skyports_tf.cli.runoptions import parallel_option, terraform_options
from skyports_tf.diagnostics import FindingsError, TerraformError
from skyports_tf.drift import StackDrift, find_drifts
from skyports_tf.lifecycle import Progress, RunSettings
from skyports_tf.model import Stack
from skyports_tf.report.drift import drift_findings, drift_text
from skyports_tf.report.json_output import drift_json, kept_json, tree_json
from skyports_tf.roots import by_root
from skyports_tf.running.migration import BackendMovedError
from skyports_tf.tree import find_stacks, generated_files

DRIFTED = FindingsError.exit_code
DETAILED_DRIFTED = 2


@click.command()
@cluster_names(required=False)
@click.option("--detailed-exitcode", is_flag=True, help="Exit 0 without drift, 1 on any error, 2 with drift.")
@parallel_option
@terraform_options
@out_option
@json_option
@pass_session
def drift(
    session: Session, clusters: tuple[str, ...], detailed_exitcode: bool, lock_timeout: str, out: str | None
) -> int:
    """Show what was closed, changed or opened behind our back.

    Compares the cloud with the Terraform state: ports that somebody closed or changed, groups that
    are gone, and foreign rules, which are in our group and in no state. What the files ask for
    beyond the state is no drift: 'plan' shows that. Neither is a node that came or went. Changes
    nothing. CLUSTER... are names of clusters, or folders of stacks; none means all. Exits 1 where
    anything has drifted.
    """
    answer_failures(session, out)
    config = session_config(session)
    tree, settings = out or config.out, run_settings(config, lock_timeout)
    stacks = find_stacks(tree, clusters)

    found = _look_at_all(session, tree, [filled(stack, config) for stack in stacks], settings)
    drifts = _every_one(stacks, found.results)
    _answer(session, tree, drifts, found)
    failed = explain_failures(session, found.failures)
    if detailed_exitcode and failed and not found.interrupted:
        return 1
    drifted = any(item.state == "drifted" for item in drifts)
    return failed or (drifted and (DETAILED_DRIFTED if detailed_exitcode else DRIFTED))


def _look_at_all(
    session: Session, out: str, stacks: Sequence[Stack], settings: RunSettings
) -> Outcome[StackDrift]:
    """Root module after root module; where one of its stacks fails, each of them alone."""
    broken: set[str] = set()

    def together(members: tuple[Stack, ...], progress: Progress) -> tuple[StackDrift, ...]:
        try:
            return find_drifts(out, members, settings, announced(progress, members, "plan"))
        except (TerraformError, FindingsError) as error:
            if len(members) == 1 or isinstance(error, BackendMovedError):
                raise
            broken.update(stack.directory for stack in members)
            return ()

    found = run_each(session, by_root(stacks), together)
    results, failures = found.results, found.failures
    if broken and not found.interrupted:
        more = run_each(session, [(stack,) for stack in stacks if stack.directory in broken], together)
        results, failures = [*results, *more.results], [*failures, *more.failures]
    return Outcome([drift for members in results for drift in members], failures)


def _every_one(stacks: Sequence[Stack], found: Sequence[StackDrift]) -> list[StackDrift]:
    """A drift for each stack: of one that could not be looked at, nothing is known."""
    known = {item.stack.directory: item for item in found}
    return [known.get(stack.directory) or StackDrift(stack, "unknown") for stack in stacks]


def _answer(session: Session, out: str, drifts: Sequence[StackDrift], found: Outcome[StackDrift]) -> None:
    findings = [*drift_findings(drifts), *(warning for item in drifts for warning in item.warnings)]
    session.report(findings)
    if session.json:
        stacks = [
            drift_json(kept_json(item.stack, generated_files(out, item.stack)), item) for item in drifts
        ]
        session.echo_json(tree_json(out, stacks, [*findings, *found.diagnostics]))
    else:
        session.echo(drift_text(drifts))
