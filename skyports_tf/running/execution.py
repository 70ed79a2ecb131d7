"""One stack under Terraform: prepared when needed, its errors in Terraform's words, its progress told."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

from skyports_tf.clouds import CATALOG, Catalog
from skyports_tf.diagnostics import Diagnostic, FindingsError, TerraformError
from skyports_tf.model import Stack
from skyports_tf.running.child import Signals, watch_signals
from skyports_tf.running.initialization import (
    StackPaths,
    asks_to_move,
    lay_state_file,
    needs_init,
    run_init,
)
from skyports_tf.running.migration import Following
from skyports_tf.running.stream import Event, Record, Step
from skyports_tf.terraform import Flag, OnEvent, Run, Terraform, find_program

#: Files that stand in a stack's folder for the moment of a repair.
REPAIR_FILES: Final = ("skyports_repair.tf", "skyports_repair_override.tf")

Phase = Literal["init", "probe", "plan", "apply", "destroy", "verify"]

_POLL_SECONDS = 0.1
_CHANGING = frozenset({"create", "update", "delete"})
_NO_TIMEOUT = frozenset({"", "0", "0s"})
# Terraform's and OpenTofu's advice in every error that init can mend
_INIT_ADVICE = re.compile(r"\b(?:terraform|tofu)\s+init\b")


@dataclass(frozen=True, slots=True)
class RunSettings:
    """How Terraform is run: `binary` is terraform.binary of the config, the rest are flags of Terraform.

    `catalog` has the clouds of the stacks. `backend_config` are files and NAME=VALUE pairs for init, and
    with `migrate_state` a state is copied to where the files say that it is.
    """

    binary: str | None = None
    lock_timeout: str = "0s"
    parallelism: int | None = None
    catalog: Catalog = CATALOG
    backend_config: tuple[str, ...] = ()
    migrate_state: bool = False


@dataclass(frozen=True, slots=True)
class ProgressEvent:
    """How far a stack is: `done` of `total` changes, None where Terraform does not know how many there are.

    `step` says which of several applies it is, and is empty where there is one.
    """

    stack: str
    phase: Phase
    done: int
    total: int | None
    message: str
    step: str = ""


Progress: TypeAlias = Callable[[ProgressEvent], None]


def remove_repair_files(folder: Path) -> None:
    """Remove from a stack's folder what a repair has put there, or one that was killed has left."""
    for name in REPAIR_FILES:
        (folder / name).unlink(missing_ok=True)


def silent(event: ProgressEvent) -> None:
    """A `Progress` that tells nobody."""


class Creations:
    """What Terraform is making right now, and what it failed to make.

    Terraform stops its providers on SIGINT, and these drop the calls under way: what the cloud
    has made by then is in no state, and in the way of the next apply (Terraform 1.11 with the
    AWS provider 5.100: "InvalidPermission.Duplicate"). So a signal waits for a quiet moment.
    """

    def __init__(self) -> None:
        self.failed: list[str] = []
        self._open: set[str] = set()
        self._moved = False

    def hear(self, step: Step) -> None:
        """Follow one step of the stream."""
        if step.action != "create":
            return
        self._moved = True
        if step.phase == "start":
            self._open.add(step.resource.address)
        elif step.phase != "progress":
            self._open.discard(step.resource.address)
        if step.phase == "errored":
            self.failed.append(step.resource.address)

    def is_busy(self) -> bool:
        """Whether anything is being made, or was since the last question."""
        moved, self._moved = self._moved, False
        return moved or bool(self._open)


class Execution:
    """A stack's Terraform, and a caller who hears of its progress."""

    def __init__(
        self, stack: Stack, paths: StackPaths, settings: RunSettings, progress: Progress, signals: Signals
    ) -> None:
        self.stack = stack
        self.paths = paths
        self.catalog = settings.catalog
        self.step = ""
        self._lock_timeout = None if settings.lock_timeout in _NO_TIMEOUT else settings.lock_timeout
        self._parallelism = settings.parallelism
        self._migrate_state = settings.migrate_state
        self._progress = progress
        self._signals = signals
        self._initialized = False
        self._phase: Phase = "init"
        self._creations = Creations()
        signals.on_stop, signals.is_busy = self._tell_stop, self._creations.is_busy
        program = find_program(settings.binary, os.environ)
        self.terraform = Terraform(program, paths.folder, os.environ, signals)
        self.terraform.backend_config = settings.backend_config

    @property
    def flags(self) -> dict[str, Flag]:
        """The flags of plan and apply that the user chose; None is not passed on."""
        return {"lock_timeout": self._lock_timeout, "parallelism": self._parallelism}

    def tell(self, phase: Phase, message: str, done: int = 0, total: int | None = None) -> None:
        """Tell the caller how far the stack is."""
        self._phase = phase
        self._progress(ProgressEvent(self.stack.name, phase, done, total, message, self.step))

    def prepare(self) -> None:
        """Run `terraform init` where it is needed. Raises `TerraformError` where it fails."""
        if needs_init(self.paths, self.terraform):
            self._init()

    def stream(
        self,
        phase: Phase,
        call: Callable[[OnEvent], Run],
        total: int | None = None,
        ok: tuple[int, ...] = (0,),
        done: int = 0,
    ) -> Run:
        """Run plan or apply; `total` is the number of changes to come, `ok` the exit codes of success.

        `done` of the changes were made before. Raises `TerraformError` where it fails.
        """
        lay_state_file(self.paths)
        return self.run(lambda: call(self._hearer(phase, total, done)), ok)

    def run(self, call: Callable[[], Run], ok: tuple[int, ...] = (0,)) -> Run:
        """Run a command, and once more after an init where that is what Terraform asks for.

        Raises `TerraformError` where it fails, `InterruptedRunError` where a signal has come.
        """
        run = self._ended(call())
        if run.code not in ok and not self._initialized and _INIT_ADVICE.search(run.words):
            self._init()
            run = self._ended(call())
        if run.code not in ok:
            raise self.failure(run)
        return run

    @contextmanager
    def until(self, deadline: float) -> Iterator[None]:
        """Stop what Terraform waits for in the block at `deadline`, a time of the monotonic clock."""
        self._signals.deadline = deadline
        try:
            yield
        finally:
            self._signals.deadline = None

    def pause(self, seconds: float) -> None:
        """Wait, but for a signal: then raise `InterruptedRunError`."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._signals.check(self.stack.name)
            time.sleep(min(_POLL_SECONDS, seconds))

    @property
    def failed_creations(self) -> tuple[str, ...]:
        """The addresses of what could not be made, or was cut off while it was made."""
        return tuple(self._creations.failed)

    def attempt(self, call: Callable[[], Run], prepare: Callable[[], Run]) -> Run:
        """Run a command of a folder of its own, after `prepare` where that is what Terraform asks for.

        Gives the run however it went. Raises `InterruptedRunError` where a signal has come.
        """
        run = self._ended(call())
        if run.code != 0 and _INIT_ADVICE.search(run.words):
            prepared = self._ended(prepare())
            run = prepared if prepared.code != 0 else self._ended(call())
        return run

    def failure(self, run: Run) -> TerraformError:
        """The error of a run, with Terraform's own words."""
        message = f"{self.stack.name}: terraform {run.command} failed"
        return TerraformError(Diagnostic("terraform-failed", message), run.words)

    def warnings(self, record: Record) -> tuple[Diagnostic, ...]:
        """Terraform's warnings as findings."""
        return tuple(
            Diagnostic(
                "terraform-warning",
                f"{self.stack.name}: {warning.summary}",
                help=" ".join(warning.detail.split()) or None,
                severity="warning",
            )
            for warning in record.warnings
        )

    def _tell_stop(self) -> None:
        self.tell(self._phase, "Stopping: Terraform saves its state first")

    def _init(self) -> None:
        self._initialized = True
        self.tell("init", "Preparing providers and backend")
        flags: dict[str, Flag] = {"lock_timeout": self._lock_timeout}
        run = self._ended(run_init(self.paths, self.terraform, **flags))
        if asks_to_move(run):
            self.tell("init", "Looking where the state is")
            move = Following(
                self.paths, self.terraform, self.stack.name, self._succeeded, self._migrate_state, flags
            )
            run = move.follow()
        self._succeeded(run)

    def _succeeded(self, run: Run) -> Run:
        run = self._ended(run)
        if run.code != 0:
            raise self.failure(run)
        return run

    def _ended(self, run: Run) -> Run:
        doing = f"{self.stack.name}: terraform {run.command}"
        if self._creations.failed:
            self._signals.check(doing, f"what was being made may exist: {', '.join(self._creations.failed)}")
        self._signals.check(doing)
        return run

    def _hearer(self, phase: Phase, total: int | None, done: int) -> OnEvent:
        def hear(event: Event) -> None:
            nonlocal done
            if not isinstance(event, Step):
                return
            self._creations.hear(event)
            if event.phase != "progress":
                self._signals.move()
            counts = total is None or event.action in _CHANGING
            done += counts and event.phase in ("complete", "errored")
            self.tell(phase, event.message, done, total)

        return hear


@contextmanager
def execution_of(out: str, stack: Stack, settings: RunSettings, progress: Progress) -> Iterator[Execution]:
    """A stack's execution, prepared; signals are watched until the block ends.

    Raises `FindingsError` where the stack's folder does not exist, `ProgramMissingError` where
    there is no Terraform, `TerraformError` where init fails.
    """
    paths = StackPaths.of(out, stack, os.environ)
    if not paths.folder.is_dir():
        message = f"the folder of stack {stack.name} does not exist"
        raise FindingsError(Diagnostic("stack-missing", message, path=f"{out}/{stack.directory}"))
    remove_repair_files(paths.folder)
    with watch_signals(stack.name) as signals:
        execution = Execution(stack, paths, settings, progress, signals)
        execution.prepare()
        yield execution
