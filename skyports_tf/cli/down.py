"""`skyports-tf down`: close the ports, `sky down`, remove the groups, prove that nothing is left."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import click

from skyports_tf.cli.configuration import session_config
from skyports_tf.cli.console import JsonDocument, Session, pass_session
from skyports_tf.cli.destroy import begun_anew, stacks_json
from skyports_tf.cli.options import ClosingOptions, closing_options, cluster_names, yes_option
from skyports_tf.cli.running import agree, announced, filled, run_each, run_settings, worst_code
from skyports_tf.closing import close_stack, plan_close
from skyports_tf.config import DEFAULT_OUT, Config
from skyports_tf.diagnostics import (
    Diagnostic,
    FindingsError,
    InterruptedRunError,
    ProgramMissingError,
    SkyportsError,
)
from skyports_tf.lease import leases
from skyports_tf.lifecycle import Progress, RunSettings, close_ports
from skyports_tf.model import Stack
from skyports_tf.outcomes import StackClosed, StackPlan
from skyports_tf.report.json_output import tree_json
from skyports_tf.report.rules import port_texts
from skyports_tf.report.steps import Step, StepState, down_json, shutdown_text, step_text, text_list
from skyports_tf.report.text import closed_text
from skyports_tf.running.shutdown import last_words, live_nodes, sky_down
from skyports_tf.skypilot import find_sky
from skyports_tf.tree import find_stacks

DECLINED = 1


@click.command("down")
@cluster_names(required=True)
@yes_option
@click.option("--no-sky", is_flag=True, help="Leave SkyPilot's cluster alone: do not run 'sky down'.")
@closing_options
@pass_session
def down(
    session: Session, clusters: tuple[str, ...], yes: bool, no_sky: bool, options: ClosingOptions
) -> int:
    """Shut clusters down: ports, nodes, groups.

    Asks once, closes the ports at once, runs 'sky down' where SkyPilot is installed, removes the groups,
    and proves that nothing is left. CLUSTER... are names of clusters, or folders of stacks.
    """
    session.failure = _failure_document(options.out or DEFAULT_OUT)
    config = session_config(session)
    sky = None if no_sky else find_sky(config.sky_binary, os.environ)
    out = options.out or config.out
    shutdown = _Shutdown(session, config, out, run_settings(config, options.lock_timeout), options.timeout)
    shutdown.stacks = [filled(stack, config) for stack in find_stacks(out, clusters)]
    shutdown.plan()
    if not shutdown.failures:
        if not shutdown.agree(yes, sky):
            return DECLINED
        why = "it was not asked for" if no_sky else "SkyPilot is not installed here"
        shutdown.close()
        shutdown.shut_down(sky, why)
        shutdown.destroy()
    return shutdown.finish()


@dataclass(slots=True)
class _Shutdown:
    """One call of `down`, and what came of its steps; `stacks` are those that may still go a step further."""

    session: Session
    config: Config
    out: str
    settings: RunSettings
    timeout: float
    stacks: list[Stack] = field(default_factory=list)
    plans: list[StackPlan] = field(default_factory=list)
    closed: list[StackClosed] = field(default_factory=list)
    failures: list[SkyportsError] = field(default_factory=list)
    warnings: list[Diagnostic] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)

    @property
    def clusters(self) -> list[str]:
        return list(dict.fromkeys(stack.cluster for stack in self.stacks))

    @property
    def is_stopped(self) -> bool:
        """Whether no other step can follow."""
        return any(isinstance(error, (InterruptedRunError, ProgramMissingError)) for error in self.failures)

    def plan(self) -> None:
        """Plan to remove everything: what is shown before the question."""

        def step(stack: Stack, progress: Progress) -> StackPlan:
            return plan_close(self.out, stack, self.settings, announced(progress, stack, "plan"))

        planned = run_each(self.session, self.stacks, step)
        self.plans, self.failures = planned.results, planned.failures
        if planned.failures:
            self._step("close", "not_reached", "nothing was changed: a plan failed")

    def agree(self, yes: bool, sky: str | None) -> bool:
        """Ask once, before anything, where there is anything to do."""
        there = [plan for plan in self.plans if plan.counts.any]
        clusters = self.clusters if sky else []
        if not self.session.json and (there or clusters):
            self.session.echo(shutdown_text(there, clusters))
        return not (there or clusters) or agree(self.session, yes, "Shut all of this down?", "closed")

    def close(self) -> None:
        """Step one: close the ports, and nothing else."""
        opened = {plan.stack.directory: plan for plan in self.plans if plan.changes.close}

        def step(stack: Stack, progress: Progress) -> StackPlan:
            return close_ports(self.out, stack, self.settings, announced(progress, stack, "apply"))

        for stack in self.stacks:
            if stack.directory not in opened:
                self._step("close", "skipped", f"{stack.name}: no port is open", stack.cluster)
        closing = [stack for stack in self.stacks if stack.directory in opened]
        for stack, outcome in ((stack, run_each(self.session, [stack], step)) for stack in closing):
            self.failures += outcome.failures
            ports = text_list(port_texts(opened[stack.directory].changes.close))
            if outcome.failures:
                self._step("close", "failed", f"{stack.name}: open still: {ports}", stack.cluster)
            else:
                self._step("close", "done", f"{stack.name}: closed {ports}", stack.cluster)
            if self.is_stopped:
                return

    def shut_down(self, sky: str | None, why_not: str) -> None:
        """Step two: `sky down`. Stacks whose rules must outlive nodes that may still run stop here."""
        for cluster in () if self.is_stopped else self.clusters:
            state: StepState = "skipped"
            detail = f"sky down {cluster} was not run: {why_not}"
            if sky is not None:
                self._say(f"Running sky down {cluster} -y")
                try:
                    state, detail = _shut_down(sky, cluster, self._say)
                except InterruptedRunError as error:
                    self.failures.append(error)
                    state, detail = "failed", f"sky down {cluster} was stopped"
            self._step("sky_down", state, detail, cluster)
            if self.is_stopped:
                return
            if state != "done":
                self._keep_where_nodes_run(cluster, state, detail)

    def _keep_where_nodes_run(self, cluster: str, state: StepState, detail: str) -> None:
        for stack in [stack for stack in self.stacks if stack.cluster == cluster]:
            if state != "failed" and not self._keeps_out(stack):
                continue
            nodes = live_nodes(self.out, stack, self.settings)
            if nodes == ():
                continue
            self.stacks.remove(stack)
            running = f"these nodes run: {', '.join(nodes)}" if nodes else "nodes may still run"
            why = "and its rules keep out what they must not let in" if self._keeps_out(stack) else detail
            message = f"{stack.name}: the ports are closed and the group stays, since {running}; {why}"
            way_out = f"shut the cluster down (`sky down {cluster}`), then run this again"
            self.failures.append(FindingsError(Diagnostic("nodes-run", message, help=way_out)))
            self._step("destroy", "not_reached", f"{stack.name}: the group stays", cluster)

    def _keeps_out(self, stack: Stack) -> bool:
        try:
            return self.config.catalog.load(stack.cloud).keeps_out
        except KeyError:
            return False

    def destroy(self) -> None:
        """Steps three and four: remove the groups, and prove that nothing is left."""
        before = {plan.stack.directory: plan for plan in self.plans}

        def step(stack: Stack, progress: Progress) -> StackClosed:
            heard = announced(progress, stack, "destroy")
            plan = plan_close(self.out, stack, self.settings, heard)
            closed = close_stack(self.out, plan, self.settings, heard, self.timeout)
            # what step one has closed belongs to the answer
            first = before[stack.directory]
            return replace(closed, changes=first.changes, counts=first.counts)

        for stack in () if self.is_stopped else tuple(self.stacks):
            outcome = run_each(self.session, [stack], step)
            self.failures += outcome.failures
            self.closed += begun_anew(self.out, outcome, self.config).results
            if outcome.failures:
                self._step("destroy", "failed", f"{stack.name}: not everything is removed", stack.cluster)
                self._step("verify", "not_reached", f"{stack.name}: not proven empty", stack.cluster)
            else:
                gone = "the groups are removed" if before[stack.directory].counts.any else "nothing was there"
                self._step("destroy", "done", f"{stack.name}: {gone}", stack.cluster)
                self._step("verify", "done", f"{stack.name}: nothing is left", stack.cluster)
            if self.is_stopped:
                return
        self._forget_abandoned()

    def _forget_abandoned(self) -> None:
        """What runs that were killed have added to the ledgers goes with the clusters."""
        for cluster in self.clusters:
            left = [lease for lease in leases(self.out, cluster) if lease.state == "abandoned"]
            if left and not self.failures:
                from skyports_tf.holding import forget_abandoned  # what compiles takes a while to load

                forget_abandoned(self.out, cluster, self.config)

    def finish(self) -> int:
        """Answer, and give the exit code."""
        session = self.session
        warnings = [*self.warnings, *(item for plan in self.plans for item in plan.warnings)]
        warnings += [item for closed in self.closed for item in closed.warnings]
        session.report(warnings)
        for error in self.failures:
            session.explain(error)
        told = [self._way_on()] if self.failures else []
        session.report(told)
        if session.json:
            found = [*warnings, *(item for error in self.failures for item in error.diagnostics), *told]
            tree = tree_json(self.out, stacks_json(self.out, self.closed), found)
            session.echo_json(down_json(tree, self.steps))
        elif self.closed:
            session.echo(closed_text(self.closed))
        return worst_code(self.failures)

    def _way_on(self) -> Diagnostic:
        done = [step.detail for step in self.steps if step.state == "done"]
        message = f"stopped; done so far: {'; '.join(done) or 'nothing'}"
        help_text = "run the same command again to go on: what is done is not done twice"
        return Diagnostic("step-stopped", message, help=help_text, severity="note")

    def _say(self, text: str) -> None:
        self.session.note(text)

    def _step(self, name: str, state: StepState, detail: str, cluster: str | None = None) -> None:
        self.steps.append(Step(name, state, detail, cluster))
        if not self.session.json:
            self._say(step_text(self.steps[-1]))


def _shut_down(sky: str, cluster: str, hear: Callable[[str], None]) -> tuple[StepState, str]:
    try:
        found = sky_down(sky, cluster, hear)
    except OSError as error:
        return "failed", f"{sky} cannot be run: {error.strerror}"
    if found.state == "done":
        return "done", f"sky down {cluster}: the cluster is shut down"
    if found.state == "unknown":
        return "skipped", f"sky down {cluster}: SkyPilot knows no such cluster"
    return "failed", f"sky down {cluster} has failed: {last_words(found.words)}"


def _failure_document(out: str) -> Callable[[Sequence[Diagnostic]], JsonDocument]:
    def document(found: Sequence[Diagnostic]) -> JsonDocument:
        return down_json(tree_json(out, (), found), ())

    return document
