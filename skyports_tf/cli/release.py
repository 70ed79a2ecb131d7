"""`skyports-tf release`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import click

from skyports_tf.adoption import ReleasePlan, apply_release, keep_stack, plan_release
from skyports_tf.cli.configuration import answer_failures, session_config
from skyports_tf.cli.console import Session, pass_session
from skyports_tf.cli.options import cluster_names, json_option, out_option, yes_option
from skyports_tf.cli.running import Outcome, agree, announced, explain_failures, run_each, run_settings
from skyports_tf.cli.runoptions import terraform_options
from skyports_tf.config import Config
from skyports_tf.lifecycle import Progress, RunSettings
from skyports_tf.model import Stack
from skyports_tf.outcomes import StackClosed
from skyports_tf.report.adoption import released_text, releasing_text
from skyports_tf.report.json_output import kept_json, released_json, tree_json
from skyports_tf.tree import find_stacks, generated_files

DECLINED = 1


@click.command()
@cluster_names(required=True)
@yes_option
@terraform_options
@out_option
@json_option
@pass_session
def release(
    session: Session, clusters: tuple[str, ...], yes: bool, lock_timeout: str, out: str | None
) -> int:
    """Give a cluster's ports back, closing nothing.

    The opposite of 'adopt': Terraform lets go of them and leaves them open, the state and the
    ledger are empty afterwards, and SkyPilot's own shutdown removes what is there. Needs
    Terraform 1.7. CLUSTER... are names of clusters, or folders of stacks.
    """
    answer_failures(session, out)
    config = session_config(session)
    tree, settings = out or config.out, run_settings(config, lock_timeout)
    work = _Work(session, tree, config, settings)
    try:
        return work.release(find_stacks(tree, clusters), yes)
    finally:
        work.keep_the_rest()


@dataclass(slots=True)
class _Work:
    """One call of the verb, and what came of its steps."""

    session: Session
    out: str
    config: Config
    settings: RunSettings
    planned: Outcome[ReleasePlan] = field(default_factory=Outcome)
    released: Outcome[StackClosed] = field(default_factory=Outcome)

    def release(self, stacks: Sequence[Stack], yes: bool) -> int:
        """Plan, ask, let go; gives the exit code."""

        def plan(stack: Stack, progress: Progress) -> ReleasePlan:
            heard = announced(progress, stack, "plan")
            return plan_release(self.out, stack, self.config, self.settings, heard)

        def let_go(item: ReleasePlan, progress: Progress) -> StackClosed:
            heard = announced(progress, item.plan.stack, "apply") if item.plan.counts.any else progress
            return apply_release(self.out, item.plan, self.config, self.settings, heard)

        self.planned = run_each(self.session, stacks, plan)
        held = [item for item in self.planned.results if item.plan.counts.any]
        if held and not self.session.json:
            self.session.echo(releasing_text([(item.plan, item.rules) for item in held]))
        if self.planned.interrupted:
            return self._finish()
        if held and not agree(self.session, yes, "Give this back?", "given back"):
            explain_failures(self.session, self.planned.failures)
            return DECLINED
        self.released = run_each(self.session, self.planned.results, let_go)
        return self._finish()

    def keep_the_rest(self) -> None:
        """Put the files of the stacks back that were planned and not released."""
        done = {item.stack.directory for item in self.released.results}
        for plan in (item.plan for item in self.planned.results):
            if plan.plan_file is not None and plan.stack.directory not in done:
                keep_stack(self.out, plan.stack, self.config)

    def _finish(self) -> int:
        failures = [*self.planned.failures, *self.released.failures]
        warnings = [item for result in self.released.results for item in result.warnings]
        self.session.report(warnings)
        if self.session.json:
            found = [*warnings, *(item for error in failures for item in error.diagnostics)]
            self.session.echo_json(tree_json(self.out, self._stacks_json(), found))
        elif self.released.results:
            self.session.echo(released_text(self.released.results))
        return explain_failures(self.session, failures)

    def _stacks_json(self) -> list[dict[str, object]]:
        return [
            released_json(kept_json(item.stack, generated_files(self.out, item.stack)), item)
            for item in self.released.results
        ]
