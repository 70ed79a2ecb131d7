"""What the verbs that run Terraform share: stack after stack, and what came of them.

A stack that fails does not hide the others; a signal ends the whole run.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from skyports_tf.backends import check_parts
from skyports_tf.cli.console import Session, confirm, is_terminal
from skyports_tf.cli.progress import fleet_display, progress_display
from skyports_tf.config import Config
from skyports_tf.diagnostics import (
    Diagnostic,
    FindingsError,
    InterruptedRunError,
    ProgramMissingError,
    SkyportsError,
)
from skyports_tf.lifecycle import Phase, Progress, ProgressEvent, RunSettings
from skyports_tf.model import Stack
from skyports_tf.roots import root_name, root_of
from skyports_tf.running.child import interruption, watch_together
from skyports_tf.running.migration import BackendMovedError

_POLL_SECONDS = 0.2

Given = TypeVar("Given")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Outcome(Generic[Result]):
    """What succeeded, and what failed."""

    results: list[Result] = field(default_factory=list)
    failures: list[SkyportsError] = field(default_factory=list)

    @property
    def diagnostics(self) -> list[Diagnostic]:
        """The findings of all failures."""
        return [item for error in self.failures for item in error.diagnostics]

    @property
    def interrupted(self) -> bool:
        """Whether a signal ended the run."""
        return any(isinstance(error, InterruptedRunError) for error in self.failures)


def run_each(
    session: Session, stacks: Iterable[Given], step: Callable[[Given, Progress], Result]
) -> Outcome[Result]:
    """Take the step for each stack, whatever became of the others; stop where none can follow.

    Where the session has several run at once, each runs in a thread; results keep the stacks' order.
    """
    chosen = list(stacks)
    if min(session.parallel, len(chosen)) > 1:
        return _run_together(session, chosen, step)
    outcome: Outcome[Result] = Outcome()
    with progress_display(session) as progress:
        for stack in chosen:
            try:
                outcome.results.append(step(stack, progress))
            except (InterruptedRunError, ProgramMissingError) as error:
                outcome.failures.append(error)
                break
            except SkyportsError as error:
                outcome.failures.append(error)
    return outcome


def _run_together(
    session: Session, stacks: Sequence[Given], step: Callable[[Given, Progress], Result]
) -> Outcome[Result]:
    """`run_each` in as many threads as the session says.

    A signal reaches all that run, and none begins after it.
    """
    from concurrent.futures import ThreadPoolExecutor, wait  # one stack needs none

    halt = threading.Event()
    with fleet_display(session, len(stacks)) as display, watch_together() as crew:

        def take(stack: Given) -> Result | SkyportsError | None:
            if halt.is_set() or crew.received is not None:
                return None
            row = display.row()
            try:
                result = step(stack, row.show)
            except SkyportsError as error:
                if isinstance(error, (InterruptedRunError, ProgramMissingError)):
                    halt.set()
                row.end(error)
                return error
            row.end()
            return result

        with ThreadPoolExecutor(min(session.parallel, len(stacks))) as pool:
            running = [pool.submit(take, stack) for stack in stacks]
            while wait(running, timeout=_POLL_SECONDS).not_done:
                pass  # the main thread hears of signals between two looks
        taken = [future.result() for future in running]
    failures = [item for item in taken if isinstance(item, SkyportsError)]
    if crew.received is not None and not any(isinstance(item, InterruptedRunError) for item in failures):
        failures.append(interruption("before the next stack began", crew.received))
    results = [item for item in taken if item is not None and not isinstance(item, SkyportsError)]
    return Outcome(results, failures)


def announced(progress: Progress, stacks: Stack | Sequence[Stack], phase: Phase) -> Progress:
    """Tell at once which stack it is, or which root module of several.

    Terraform keeps silent until its providers have started.
    """
    members = (stacks,) if isinstance(stacks, Stack) else stacks
    name = members[0].name if len(members) == 1 else root_name(root_of(members[0]))
    progress(ProgressEvent(name, phase, 0, None, ""))
    return progress


def filled(stack: Stack, config: Config) -> Stack:
    """A stack of a ledger with what the config adds; as it is where the config does not know its cloud."""
    from skyports_tf.stacks import filled_if_known  # what compiles takes a while to load

    return filled_if_known(stack, config)


def run_settings(config: Config, lock_timeout: str = "0s") -> RunSettings:
    """How Terraform is to run. Raises `FindingsError` where a file for init sets a state's key."""
    if config.backend_config:
        check_parts(config.backend_kind, config.backend_config)
    return RunSettings(
        config.terraform_binary,
        lock_timeout,
        catalog=config.catalog,
        backend_config=config.backend_config,
        migrate_state=config.migrate_state,
    )


def explain_failures(session: Session, failures: Sequence[SkyportsError]) -> int:
    """Tell what failed, and give the exit code of the worst, 0 where nothing did."""
    for error in failures:
        session.explain(error)
    return worst_code(failures)


def worst_code(failures: Sequence[SkyportsError]) -> int:
    """The exit code of the worst failure, 0 where nothing failed."""
    return max((error.exit_code for error in failures), default=0)


def agree(session: Session, yes: bool, question: str, done: str) -> bool:
    """Whether the user wants it: `--yes`, or the answer to the question.

    `done` is the participle of what would be done. Raises `FindingsError` where nobody can be
    asked.
    """
    if yes:
        return True
    if session.json or not is_terminal(sys.stdin):
        where = "beside --json" if session.json else "where the input is no terminal"
        message = f"nothing was {done}: nobody can be asked {where}"
        raise FindingsError(Diagnostic("not-confirmed", message, help="say --yes to go ahead unasked"))
    if confirm(question):
        return True
    session.note(f"Nothing was {done}.")
    return False


def agree_to_move(session: Session, failures: Sequence[SkyportsError]) -> bool:
    """Whether the user, who can be asked, wants states to follow their backends."""
    if session.json or not is_terminal(sys.stdin):
        return False
    moved = [error for error in failures if isinstance(error, BackendMovedError)]
    for error in moved:
        session.explain(error)
    return confirm(f"Copy {'this state' if len(moved) == 1 else f'these {len(moved)} states'} there?")
