"""One stack under Terraform: prepared when needed, its errors in Terraform's words, its progress told."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy

from skyports_tf.diagnostics import Diagnostic, FindingsError, TerraformError
from skyports_tf.model import Stack
from skyports_tf.roots import root_name, root_of
from skyports_tf.running.child import Signals, watch_signals
from skyports_tf.running.creations import Creations
from skyports_tf.running.initialization import (
    StackPaths,
    asks_to_move,
    lay_state_file,
    needs_init,
    remove_repair_files,
    run_init,
)
from skyports_tf.running.migration import Following
from skyports_tf.running.scope import RootReader, ScopedTerraform, TargetingTerraform, seen_by
from skyports_tf.running.settings import Phase, Progress, ProgressEvent, RunSettings
from skyports_tf.running.stream import Event, Record, Step
from skyports_tf.running.turns import is_lock_gone, lock_advice, turn_in
from skyports_tf.terraform import Flag, OnEvent, Run, Terraform, find_program

_POLL_SECONDS = 0.1
_MORE_TRIES = 3
_CHANGING = frozenset({"create", "update", "delete"})
_NO_TIMEOUT = frozenset({"", "0", "0s"})
_IN_A_MODULE = "with module."
# Terraform's and OpenTofu's advice in every error that init can mend
_INIT_ADVICE = re.compile(r"\b(?:terraform|tofu)\s+init\b")


class Execution:
    """A root module's Terraform, and a caller who hears of its progress.

    Of one stack it tells as if the root module were the stack's alone. Of several that share one,
    `views` gives the same for each.
    """

    def __init__(
        self,
        out: str,
        stacks: Sequence[Stack],
        settings: RunSettings,
        progress: Progress,
        signals: Signals,
    ) -> None:
        self.stacks = tuple(stacks)
        self.stack = stack = self.stacks[0]
        self.name = stack.name if len(self.stacks) == 1 else root_name(root_of(stack))
        self.paths = StackPaths.of(out, stack, os.environ)
        self._out = out
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
        signals.on_stop = lambda: self.tell(self._phase, "Stopping: Terraform saves its state first")
        signals.is_busy = self._creations.is_busy
        program = find_program(settings.binary, os.environ)
        self.root = Terraform(program, self.paths.folder, os.environ, signals)
        self.root.backend_config = settings.backend_config
        self.reader = RootReader(self.root)
        self.terraform = self._terraform_of(self.stacks)

    def _terraform_of(self, stacks: Sequence[Stack]) -> Terraform:
        if self.stack.layout == "separate":
            return self.root
        if len(stacks) > 1:
            return TargetingTerraform(self.root, stacks)
        return ScopedTerraform(self.root, stacks[0])

    @property
    def views(self) -> tuple[Execution, ...]:
        """An execution for each of the stacks; what these read of the root is read once."""
        if len(self.stacks) == 1:
            return (self,)
        return tuple(self._view(stack) for stack in self.stacks)

    def told(self, record: Record) -> list[tuple[Execution, Record]]:
        """What a run has said of each of the stacks, with its view."""
        return [(view, record if view is self else seen_by(view.stack, record)) for view in self.views]

    def _view(self, stack: Stack) -> Execution:
        view = copy(self)
        view.stacks, view.stack = (stack,), stack
        view.paths = StackPaths.of(self._out, stack, os.environ)
        view.terraform = ScopedTerraform(self.root, stack, self.reader)
        return view

    @property
    def flags(self) -> dict[str, Flag]:
        """The flags of plan and apply that the user chose; None is not passed on."""
        return {"lock_timeout": self._lock_timeout, "parallelism": self._parallelism}

    def tell(self, phase: Phase, message: str, done: int = 0, total: int | None = None) -> None:
        """Tell the caller how far the stack is."""
        self._phase = phase
        self._progress(ProgressEvent(self.name, phase, done, total, message, self.step))

    def prepare(self) -> None:
        """Run `terraform init` where it is needed. Raises `TerraformError` where it fails."""
        if needs_init(self.paths, self.root):
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
        """Run a command, and again where what was in the way is not any more.

        Raises `TerraformError` where it fails, `InterruptedRunError` where a signal has come.
        """
        run = self._ended(call())
        for _ in range(_MORE_TRIES):
            if run.code in ok or not self._is_mended(run):
                break
            run = self._ended(call())
        if run.code not in ok:
            raise self.failure(run)
        return run

    def _is_mended(self, run: Run) -> bool:
        """Whether the same command may well succeed now: a lock is gone, or there was an init to do."""
        if is_lock_gone(run.words):
            return True
        if self._initialized or not _INIT_ADVICE.search(run.words):
            return False
        self._init()
        return True

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
            self._signals.check(self.name)
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
        message = f"{self.name}: terraform {run.command} failed"
        return TerraformError(Diagnostic("terraform-failed", message, help=lock_advice(run.words)), run.words)

    def warnings(self, record: Record) -> tuple[Diagnostic, ...]:
        """Terraform's warnings as findings; what is about no module is the root's."""
        return tuple(
            Diagnostic(
                "terraform-warning",
                f"{self.stack.name if item.place.startswith(_IN_A_MODULE) else self.name}: {item.summary}",
                help=" ".join(item.detail.split()) or None,
                severity="warning",
            )
            for item in record.warnings
        )

    def _init(self) -> None:
        self._initialized = True
        self.reader.forget()
        self.tell("init", "Preparing providers and backend")
        flags: dict[str, Flag] = {"lock_timeout": self._lock_timeout}
        run = self._ended(run_init(self.paths, self.root, **flags))
        if asks_to_move(run):
            self.tell("init", "Looking where the state is")
            move = Following(self.paths, self.root, self.name, self._succeeded, self._migrate_state, flags)
            run = move.follow()
        self._succeeded(run)

    def _succeeded(self, run: Run) -> Run:
        run = self._ended(run)
        if run.code != 0:
            raise self.failure(run)
        return run

    def _ended(self, run: Run) -> Run:
        doing = f"{self.name}: terraform {run.command}"
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
def execution_of(
    out: str, stack: Stack, settings: RunSettings, progress: Progress, others: Sequence[Stack] = ()
) -> Iterator[Execution]:
    """A stack's execution, prepared; signals are watched until the block ends.

    `others` are more stacks of the same root module. Of one root module, one thread has an execution at
    a time. Raises `FindingsError` where the stack's folder does not exist, `ProgramMissingError` where
    there is no Terraform, `TerraformError` where init fails.
    """
    stacks, root = (stack, *others), root_of(stack)
    folder = StackPaths.of(out, stack, os.environ).folder
    if not folder.is_dir():
        message = f"the folder of stack {stack.name} does not exist"
        raise FindingsError(Diagnostic("stack-missing", message, path=f"{out}/{root}"))
    with turn_in(folder), watch_signals(root_name(root) if others else stack.name) as signals:
        for item in () if settings.only_looking else stacks:
            remove_repair_files(folder, item)
        execution = Execution(out, stacks, settings, progress, signals)
        execution.prepare()
        yield execution
