"""What the verbs that run Terraform share: stack after stack, and what came of them.

A stack that fails does not hide the others; a signal ends the whole run.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from skyports_tf.cli.console import Session, confirm, is_terminal
from skyports_tf.cli.progress import progress_display
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
    """Take the step for each stack, whatever became of the one before; stop where none can follow."""
    outcome: Outcome[Result] = Outcome()
    with progress_display(session) as progress:
        for stack in stacks:
            try:
                outcome.results.append(step(stack, progress))
            except (InterruptedRunError, ProgramMissingError) as error:
                outcome.failures.append(error)
                break
            except SkyportsError as error:
                outcome.failures.append(error)
    return outcome


def announced(progress: Progress, stack: Stack, phase: Phase) -> Progress:
    """Tell at once which stack it is: Terraform keeps silent until its providers have started."""
    progress(ProgressEvent(stack.name, phase, 0, None, ""))
    return progress


def filled(stack: Stack, config: Config) -> Stack:
    """A stack of a ledger with what the config adds; as it is where the config does not know its cloud."""
    from skyports_tf.stacks import fill_stack  # what compiles takes a while to load

    try:
        return fill_stack(stack, config)
    except (FindingsError, KeyError):
        return stack


def run_settings(config: Config, lock_timeout: str = "0s") -> RunSettings:
    """How Terraform is to run."""
    return RunSettings(config.terraform_binary, lock_timeout, catalog=config.catalog)


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
