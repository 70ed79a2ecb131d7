"""`skyports-tf run`: ports that are open while a command runs."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import NoReturn

import click

from skyports_tf.cli.apply import apply_all
from skyports_tf.cli.configuration import time_now
from skyports_tf.cli.console import JsonDocument, Session, pass_session
from skyports_tf.cli.options import (
    AfterDashes,
    TaskOptions,
    task_options,
    words_after_dashes,
    yes_option,
)
from skyports_tf.cli.plan import answer_plan, plan_all, plans_json
from skyports_tf.cli.running import Outcome, agree, announced, run_each, run_settings, worst_code
from skyports_tf.cli.runoptions import terraform_options
from skyports_tf.cli.tasks import compile_request
from skyports_tf.compiler import Compilation, CompileRequest, compile_tasks, compile_tree
from skyports_tf.config import DEFAULT_OUT
from skyports_tf.diagnostics import Diagnostic, InterruptedRunError, ProgramMissingError, SkyportsError
from skyports_tf.expiry import stamp
from skyports_tf.holding import StackSettled, added_files, drop_abandoned, forget_files, settle_stack
from skyports_tf.lease import HeldLease, hold_lease, leases, locked_clusters
from skyports_tf.lifecycle import Progress, RunSettings
from skyports_tf.model import Stack
from skyports_tf.outcomes import StackPlan
from skyports_tf.report.json_output import tree_json
from skyports_tf.report.rules import port_texts, stack_ports
from skyports_tf.report.steps import Ran, Step, StepState, command_text, run_json, settled_text, text_list
from skyports_tf.running.child import watch_signals
from skyports_tf.running.foreground import ForegroundEnd, run_foreground

DECLINED = 1
# whoever has the state when we want to close will be done by then
_CLOSING_LOCK_TIMEOUT = "5m"
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@click.command("run", cls=AfterDashes, after="-- COMMAND...")
@task_options()
@yes_option
@terraform_options
@pass_session
def run(session: Session, options: TaskOptions, yes: bool, lock_timeout: str) -> int:
    """Hold ports open while a command runs.

    Compiles, plans, asks and applies as 'apply' does, runs COMMAND, and closes what it has opened
    when COMMAND ends, however it ends; tasks that were in the ledger before stay open. The exit
    code is COMMAND's. SIGINT, SIGTERM and SIGHUP are passed on to it. If this program itself is
    killed, the next 'reap' closes the ports.

    What we say goes to stderr. With --json our answer is the stdout, and COMMAND's goes to stderr.
    """
    command = words_after_dashes()
    if not command:
        raise click.UsageError("Say what to run after the dashes: -- COMMAND...")
    session.aside = True
    session.failure = _failure_document(options.out or DEFAULT_OUT, command)
    request = compile_request(session, options, time_now())
    program = _find_command(command[0])
    # whatever is wrong with the tasks is told before anything begins
    hold = _Hold(session, request, compile_tasks(request), run_settings(request.config, lock_timeout))
    ended: ForegroundEnd | None = None
    caught: BaseException | None = None
    with _raising_signals():
        try:
            if hold.open(yes):
                session.note(f"Running {command_text(command)}; the ports close when it ends.")
                ended = run_foreground([program, *command[1:]], os.environ, onto_stderr=session.json)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the ports are closed first
            caught = error
        hold.close(ended)
    return _finish(hold, command, ended, caught)


@dataclass(slots=True)
class _Hold:
    """What a run holds open, and what came of its steps; `left` is what could not be closed."""

    session: Session
    request: CompileRequest
    compilation: Compilation
    settings: RunSettings
    held: list[HeldLease] = field(default_factory=list)
    planned: Outcome[StackPlan] = field(default_factory=Outcome)
    plans: list[StackPlan] = field(default_factory=list)
    is_applied: bool = False
    settled: list[StackSettled] = field(default_factory=list)
    failures: list[SkyportsError] = field(default_factory=list)
    left: list[SkyportsError] = field(default_factory=list)
    notes: list[Diagnostic] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)

    def open(self, yes: bool) -> bool:
        """Open the ports; gives whether the command may run."""
        out, clusters = self.compilation.out, {item.stack.cluster for item in self.compilation.stacks}
        with locked_clusters(out, clusters):
            added = added_files(out, self.compilation, self.request.tasks)
            since = stamp(self.request.now or time_now())
            self.held = [hold_lease(out, cluster, added[cluster], since) for cluster in sorted(clusters)]
            self.compilation = compile_tree(self.request)
            self.notes = list(_what_stays(self.compilation, added))
            self.session.report([*self.compilation.diagnostics, *self.notes])
            state, detail = self._apply(yes)
        self._step("open", state, detail)
        return state == "done"

    def _apply(self, yes: bool) -> tuple[StepState, str]:
        session, compilation = self.session, self.compilation
        self.planned = plan_all(session, compilation, self.settings)
        self.failures += self.planned.failures
        if not session.json:
            answer_plan(session, compilation, self.planned)
        if self.failures:
            return "failed", "nothing was opened: a plan failed"
        question = "Open these ports, and close them when the command has ended?"
        if any(plan.counts.any for plan in self.planned.results) and not agree(
            session, yes, question, "opened"
        ):
            return "skipped", "nothing was opened: nobody wanted it"
        self.is_applied = True
        applied = apply_all(session, compilation.out, self.planned, self.settings)
        self.plans = [plan for plan, _ in applied.results]
        self.failures += applied.failures
        if self.failures:
            return "failed", "not every port was opened, so the command was not run"
        return "done", f"open: {text_list(port for plan in self.plans for port in stack_ports(plan.stack))}"

    def close(self, ended: ForegroundEnd | None) -> None:
        """Take out of the ledger what this run has added to it, and close it."""
        if ended is None:
            self._step("command", "not_reached", "the command was not run")
        else:
            self._step("command", "failed" if ended.code else "done", _end_text(ended))
        try:
            clusters = [lease.cluster for lease in self.held]
            with watch_signals("closing the ports"), locked_clusters(self.compilation.out, clusters):
                self._close()
        except SkyportsError as error:
            self.left.append(error)
        for lease in self.held:
            if self.left:
                lease.abandon()
            else:
                lease.end()
        self._step("close", *self._closed())

    def _close(self) -> None:
        out = self.compilation.out
        files = {lease.cluster: lease.settle(leases(out, lease.cluster)) for lease in self.held}
        remaining = forget_files(out, files, self.request.config)
        if not self.is_applied:
            return
        known = {item.stack.directory: item.stack for item in self.compilation.stacks}
        settings = self.settings
        if settings.lock_timeout == RunSettings().lock_timeout:
            settings = replace(settings, lock_timeout=_CLOSING_LOCK_TIMEOUT)

        def step(stack: Stack, progress: Progress) -> StackSettled:
            heard = announced(progress, stack, "apply" if stack.entries else "destroy")
            return settle_stack(out, stack, known[stack.directory], settings, heard)

        outcome = run_each(self.session, [stack for stack in remaining if stack.directory in known], step)
        self.settled, self.left = outcome.results, outcome.failures
        if not self.left:
            drop_abandoned(out, files)

    def _closed(self) -> tuple[StepState, str]:
        if self.left:
            return "failed", "what was opened may be open still"
        if not self.is_applied:
            return "skipped", "nothing was opened"
        closed = [rule for item in self.settled for rule in item.plan.changes.close]
        return "done", f"closed: {text_list(port_texts(closed))}"

    def _step(self, name: str, state: StepState, detail: str) -> None:
        self.steps.append(Step(name, state, detail))


def _what_stays(compilation: Compilation, added: Mapping[str, Sequence[str]]) -> Iterator[Diagnostic]:
    """A note for each stack that keeps ports open after the command."""
    for item in compilation.stacks:
        files = {entry.file for entry in item.stack.entries} - set(added.get(item.stack.cluster, ()))
        if files:
            message = (
                f"{item.stack.name}: {', '.join(sorted(files))} was in the ledger before, "
                "and stays open after the command"
            )
            yield Diagnostic("stays-open", message, severity="note")


def _find_command(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        message = f"{name!r} is no program that can be run"
        raise ProgramMissingError(Diagnostic("command-missing", message, help="nothing was opened"))
    return found


@contextmanager
def _raising_signals() -> Iterator[None]:
    """Let signals end what is going on as a finding does, so that the ports are closed after it."""

    def stop(number: int, _frame: object) -> NoReturn:
        message = f"stopped by {signal.Signals(number).name}"
        raise InterruptedRunError(Diagnostic("interrupted", message), number)

    before = {number: signal.getsignal(number) for number in _SIGNALS}
    watched = [number for number, handler in before.items() if handler not in (None, signal.SIG_IGN)]
    for number in watched:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number in watched:
            signal.signal(number, before[number])


def _end_text(ended: ForegroundEnd) -> str:
    if ended.code < 0:
        return f"the command was ended by {signal.Signals(-ended.code).name}"
    return f"the command has ended with exit code {ended.code}"


# -- the answer ------------------------------------------------------------------------


def _finish(
    hold: _Hold, command: Sequence[str], ended: ForegroundEnd | None, caught: BaseException | None
) -> int:
    session, failures = hold.session, hold.failures
    if isinstance(caught, SkyportsError):
        failures = [*failures, caught]
    elif isinstance(caught, OSError) and ended is None and hold.steps[0].state == "done":
        message = f"{command[0]} cannot be run: {caught.strerror}"
        failures = [*failures, ProgramMissingError(Diagnostic("command-missing", message))]
        caught = None
    still_open = [*_still_open(hold), *(note for item in hold.settled for note in item.notes)]
    for error in (*failures, *hold.left):
        session.explain(error)
    session.report(still_open)
    if hold.settled:
        session.note(settled_text(hold.settled))
    if caught is not None and not isinstance(caught, SkyportsError):
        raise caught
    if session.json:
        found = [item for error in (*failures, *hold.left) for item in error.diagnostics]
        tree = plans_json(hold.compilation, hold.plans, [*hold.notes, *found, *still_open])
        ran = Ran(tuple(command), ended.exit_code if ended else None)
        session.echo_json(run_json(tree, ran, hold.settled, hold.steps))
    if ended is None:
        return worst_code(failures) or DECLINED
    return ended.exit_code or worst_code(hold.left)


def _still_open(hold: _Hold) -> Iterator[Diagnostic]:
    for lease in hold.held if hold.left else ():
        message = f"what this run has opened on {lease.cluster} may be open still"
        help_text = f"`skyports-tf reap` closes it, and so does `skyports-tf down {lease.cluster}`"
        yield Diagnostic("held-open", message, help=help_text)


def _failure_document(out: str, command: Sequence[str]) -> Callable[[Sequence[Diagnostic]], JsonDocument]:
    def document(found: Sequence[Diagnostic]) -> JsonDocument:
        return run_json(tree_json(out, (), found), Ran(tuple(command)), (), ())

    return document
