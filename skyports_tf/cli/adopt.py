"""`skyports-tf adopt`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import click

from skyports_tf.adoption import AdoptionPlan, plan_adoption
from skyports_tf.cli.configuration import answer_failures, find_user_hash, session_config, time_now
from skyports_tf.cli.console import Session, is_terminal, pass_session
from skyports_tf.cli.options import json_option, out_option, yes_option
from skyports_tf.cli.places import new_stacks
from skyports_tf.cli.running import Outcome, agree, announced, explain_failures, run_each, run_settings
from skyports_tf.cli.runoptions import terraform_options
from skyports_tf.config import Config
from skyports_tf.diagnostics import Diagnostic, FindingsError
from skyports_tf.lifecycle import Progress, RunSettings, apply_plan
from skyports_tf.model import Stack
from skyports_tf.naming import is_cluster_name, is_user_hash
from skyports_tf.outcomes import StackStatus
from skyports_tf.report.adoption import adopting_text
from skyports_tf.report.json_output import adopted_json, tree_json
from skyports_tf.report.status import status_text
from skyports_tf.resolve import Findings
from skyports_tf.roots import root_of
from skyports_tf.tree import find_stacks, stacks_of

DECLINED = 1


@click.command()
@click.argument("cluster")
@click.option(
    "--infra",
    metavar="CLOUD[/REGION]",
    help="Where the cluster runs.  [default: its stacks, else the config]",
)
@click.option("--user-hash", metavar="HASH", help="SkyPilot's user hash.  [default: this machine's]")
@yes_option
@terraform_options
@out_option
@json_option
@pass_session
def adopt(
    session: Session, /, cluster: str, yes: bool, lock_timeout: str, out: str | None, **place: str | None
) -> int:
    """Take over what SkyPilot has opened, closing nothing.

    Nothing closes and nothing changes: what is there is imported as it is, and kept in the ledger
    as 'adopted'. The next compile of a task takes the place of what was adopted for the same
    ports; '--forget adopted' closes the rest. No task file is needed.
    """
    answer_failures(session, out)
    config = _config(session, place["user_hash"])
    work = _Work(session, out or config.out, config, run_settings(config, lock_timeout))
    work.plan(_stacks(work, cluster, place["infra"]))
    if not session.json:
        work.show_plans()
    if work.planned.interrupted or not any(item.plan.counts.any for item in work.planned.results):
        return work.finish()
    if not yes and (session.json or not is_terminal(sys.stdin)):
        work.notes.append(_unapplied(work.planned.results, work.out))
        return work.finish()
    if not agree(session, yes, "Adopt this?", "adopted"):
        explain_failures(session, work.planned.failures)
        return DECLINED
    work.apply()
    return work.finish()


def _config(session: Session, user_hash: str | None) -> Config:
    if user_hash and not is_user_hash(user_hash):
        raise FindingsError(Diagnostic("bad-user-hash", f"{user_hash!r} is no user hash of SkyPilot's"))
    config = session_config(session)
    known = user_hash or config.user_hash or find_user_hash(os.environ, Path.home())
    return replace(config, user_hash=known)


def _stacks(work: _Work, cluster: str, infra: str | None) -> tuple[Stack, ...]:
    """The cluster's stacks in the tree; those of `--infra`, or of the config, where there is none."""
    if not is_cluster_name(cluster):
        return find_stacks(work.out, [cluster])
    known = stacks_of(work.out, cluster)
    if known and not infra:
        return known
    findings = Findings()
    by_folder = {stack.directory: stack for stack in known}
    stacks = new_stacks(cluster, infra, work.config, findings)
    work.notes.extend(findings.items)
    return tuple(by_folder.get(stack.directory, stack) for stack in stacks)


def _unapplied(plans: Sequence[AdoptionPlan], out: str) -> Diagnostic:
    roots = (root_of(item.plan.stack) for item in plans if item.plan.counts.any)
    folders = ", ".join(os.path.join(out, root) for root in dict.fromkeys(roots))
    message = f"nothing was adopted yet: the imports are in {folders}, to be looked at"
    return Diagnostic("not-confirmed", message, help="say --yes to go ahead unasked", severity="note")


@dataclass(slots=True)
class _Work:
    """One call of the verb, and what came of its steps."""

    session: Session
    out: str
    config: Config
    settings: RunSettings
    planned: Outcome[AdoptionPlan] = field(default_factory=Outcome)
    applied: Outcome[tuple[AdoptionPlan, StackStatus]] = field(default_factory=Outcome)
    notes: list[Diagnostic] = field(default_factory=list)

    def plan(self, stacks: Sequence[Stack]) -> None:
        """Plan the adoption of each stack; that none has anything is a finding."""

        def step(stack: Stack, progress: Progress) -> AdoptionPlan | None:
            heard = announced(progress, stack, "probe")
            return plan_adoption(self.out, stack, self.config, self.settings, heard)

        found = run_each(self.session, stacks, step)
        plans = [item for item in found.results if item is not None]
        self.planned = Outcome(plans, found.failures)
        if not plans and not found.failures:
            raise FindingsError([*self.notes, _nothing(stacks, self.config)])

    def show_plans(self) -> None:
        """Tell what would change hands."""
        if self.planned.results:
            self.session.echo(adopting_text([(item.plan, item.rules) for item in self.planned.results]))

    def apply(self) -> None:
        """Apply the plans that were shown."""

        def step(item: AdoptionPlan, progress: Progress) -> tuple[AdoptionPlan, StackStatus]:
            heard = announced(progress, item.plan.stack, "apply") if item.plan.counts.any else progress
            return item, apply_plan(self.out, item.plan, self.settings, heard)

        self.applied = run_each(self.session, self.planned.results, step)

    def finish(self) -> int:
        """Answer, and give the exit code."""
        applied = {item.plan.stack.directory for item, _ in self.applied.results}
        failures = [*self.planned.failures, *self.applied.failures]
        told = [*self.notes]
        for item in self.planned.results:
            told += [*item.warnings, *item.plan.warnings]
        for _, status in self.applied.results:
            told += status.warnings
        self.session.report(told)
        if self.session.json:
            stacks = [
                adopted_json(item.compiled, item.plan, item.rules, item.plan.stack.directory in applied)
                for item in self.planned.results
            ]
            found = [*told, *(item for error in failures for item in error.diagnostics)]
            self.session.echo_json(tree_json(self.out, stacks, found))
        elif self.applied.results:
            statuses = [status for _, status in self.applied.results]
            self.session.echo(f"\n{status_text(statuses, time_now())}")
        return explain_failures(self.session, failures)


def _nothing(stacks: Sequence[Stack], config: Config) -> Diagnostic:
    places = ", ".join(stack.directory.partition("/")[2] for stack in stacks)
    message = f"nothing that can be adopted is open for cluster {stacks[0].cluster!r} on {places}"
    way_out = "name the place with --infra; on a cloud that needs it, name SkyPilot's user with --user-hash"
    clouds = [config.catalog.load(stack.cloud) for stack in stacks]
    reasons = {cloud.name: reason for cloud in clouds if (reason := cloud.unadoptable)}
    if len(reasons) == len(clouds):
        way_out = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
    return Diagnostic("nothing-to-adopt", message, help=way_out)
