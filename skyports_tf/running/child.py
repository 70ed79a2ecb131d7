"""One child process that outlives our death and hears of a signal once.

The child gets a session of its own, so that a terminal's Ctrl-C reaches us alone, and writes
into unlinked files that we follow: pipes would break with us, and a broken pipe ends a Go
program before it has saved its state. On SIGINT, SIGTERM or SIGHUP it gets one SIGINT (a
second one would make Terraform give up at once) and all the time it needs. The SIGINT waits a
little while the child is busy with something that it would lose.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from skyports_tf.diagnostics import Diagnostic, InterruptedRunError

_POLL_SECONDS = 0.04
_PATIENCE_SECONDS = 3.0
#: At a deadline: how long a child has to be still before it is told, and how long it may take to begin.
_QUIET_SECONDS = 2.0
_BEGIN_SECONDS = 60.0
_CHUNK = 1 << 16
_WATCHED = ("SIGINT", "SIGTERM", "SIGHUP")

OnLine = Callable[[str], None]


class Signals:
    """The signal that asked us to stop, if one did; set by the handlers of `watch_signals`.

    `on_stop` is called once when a signal finds a child running; `is_busy` says whether the
    child would lose something if it were told now. A child that still runs at `deadline`, a time
    of the monotonic clock, is told as well, once it has begun and has not moved for a while: what
    it can still do, it does, and Terraform does not hear a signal that comes before it has begun.
    """

    __slots__ = ("_count", "_moved", "_since", "deadline", "is_busy", "on_stop", "received")

    def __init__(self) -> None:
        self.received: int | None = None
        self.on_stop: Callable[[], None] = lambda: None
        self.is_busy: Callable[[], bool] = lambda: False
        self.deadline: float | None = None
        self._count = 0
        self._since = 0.0
        self._moved: float | None = None

    def note(self, number: int, _frame: object = None) -> None:
        """Take note of a signal, as its handler; the first one counts, a second one is impatient."""
        if self.received is None:
            self.received, self._since = number, time.monotonic()
        self._count += 1

    def move(self) -> None:
        """Take note that the child has begun something, or ended it."""
        self._moved = time.monotonic()

    def is_due(self) -> bool:
        """Whether the child is to be told: at once, unless it is busy and there is patience left."""
        if self.received is None:
            return self.deadline is not None and self._is_late(self.deadline)
        impatient = self._count > 1 or time.monotonic() - self._since > _PATIENCE_SECONDS
        return impatient or not self.is_busy()

    def _is_late(self, deadline: float) -> bool:
        now = time.monotonic()
        if self._moved is None:
            return now >= deadline + _BEGIN_SECONDS
        return now >= max(deadline, self._moved + _QUIET_SECONDS)

    def check(self, doing: str, way_on: str = "run the same command again to go on") -> None:
        """Raise `InterruptedRunError` where a signal has come; `doing` names what was going on."""
        if self.received is not None:
            raise interruption(doing, self.received, way_on)


def interruption(
    doing: str, number: int, way_on: str = "run the same command again to go on"
) -> InterruptedRunError:
    """The error of a run that a signal has stopped; `doing` names what was going on."""
    message = f"{doing}: stopped by {signal.Signals(number).name}, Terraform has ended in order"
    return InterruptedRunError(Diagnostic("interrupted", message, help=way_on), number)


@dataclass(frozen=True, slots=True)
class ChildEnd:
    """How a child ended: its exit code (negative: the signal that killed it), and all it wrote."""

    code: int
    stdout: str
    stderr: str


@contextmanager
def watch_signals(doing: str) -> Iterator[Signals]:
    """Note SIGINT, SIGTERM and SIGHUP instead of dying of them, until the block ends.

    A noted signal ends the block with `InterruptedRunError`, whatever else went wrong in it.
    Signals that are ignored (nohup) stay so; another thread than the main one hears what that one hears
    in `watch_together`, and nothing outside of it.
    """
    signals = Signals()
    before: dict[int, Callable[..., object] | int] = {}
    if threading.current_thread() is threading.main_thread():
        before = _install(signals.note)
    elif _crews:
        _crews[-1].join(signals)
    try:
        yield signals
    except InterruptedRunError:
        raise
    except Exception:
        signals.check(doing)
        raise
    finally:
        _restore(before)
        for crew in _crews:
            crew.leave(signals)
    signals.check(doing)


class Crew:
    """Several children at once: a signal to the main thread is noted by each of them.

    `received` is the first signal that came, None as long as there was none.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._members: list[Signals] = []

    def join(self, member: Signals) -> None:
        """Let `member` hear of signals from now on, and of one that has come."""
        self._members.append(member)
        if self.received is not None and member.received is None:
            member.note(self.received)

    def leave(self, member: Signals) -> None:
        """Let `member`, which may never have joined, hear no more."""
        with suppress(ValueError):
            self._members.remove(member)

    def note(self, number: int, frame: object = None) -> None:
        """Take note of a signal, as its handler, and pass it on."""
        if self.received is None:
            self.received = number
        for member in tuple(self._members):
            member.note(number, frame)


_crews: list[Crew] = []


@contextmanager
def watch_together() -> Iterator[Crew]:
    """Note signals for the children of all threads until the block ends; called in the main thread."""
    crew = Crew()
    before = _install(crew.note)
    _crews.append(crew)
    try:
        yield crew
    finally:
        _crews.remove(crew)
        _restore(before)


def _restore(before: Mapping[int, Callable[..., object] | int]) -> None:
    for number, handler in before.items():
        signal.signal(number, handler)


def _install(note: Callable[[int, object], None]) -> dict[int, Callable[..., object] | int]:
    before: dict[int, Callable[..., object] | int] = {}
    for name in _WATCHED:
        number = getattr(signal, name, None)
        handler = signal.getsignal(number) if number is not None else None
        if number is None or handler is None or handler == signal.SIG_IGN:
            continue
        before[number] = handler
        signal.signal(number, note)
    return before


def run_child(
    argv: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    signals: Signals,
    on_line: OnLine | None = None,
) -> ChildEnd:
    """Run `argv` in `folder` with stdin closed and give its end; `on_line` hears stdout line by line.

    Raises `OSError` where it cannot be started, and `InterruptedRunError` without starting it
    where a signal has come before. A signal that comes later is passed on; the caller sees it
    in `signals` after the child has ended.
    """
    signals.check(Path(argv[0]).name)
    with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        process = subprocess.Popen(
            list(argv),
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )
        _follow(process, _Lines(stdout, on_line), signals)
        return ChildEnd(process.returncode, _read_all(stdout), _read_all(stderr))


class _Lines:
    """Hands on the lines that have been written to a file since the last call."""

    def __init__(self, file: IO[bytes], on_line: OnLine | None) -> None:
        self._descriptor = file.fileno()
        self._on_line = on_line
        self._offset = 0
        self._rest = b""

    def hand_on(self, *, ended: bool = False) -> None:
        if self._on_line is None:
            return
        # pread: the child shares our file offset
        while chunk := os.pread(self._descriptor, _CHUNK, self._offset):
            self._offset += len(chunk)
            *lines, self._rest = (self._rest + chunk).split(b"\n")
            for line in lines:
                self._on_line(line.decode("utf-8", "replace"))
        if ended and self._rest:
            self._on_line(self._rest.decode("utf-8", "replace"))


def _follow(process: subprocess.Popen[bytes], lines: _Lines, signals: Signals) -> None:
    # a thread waits, so that the end of the child is seen at once
    waiter = threading.Thread(target=process.wait, daemon=True)
    waiter.start()
    announced = told = False
    try:
        while waiter.is_alive():
            waiter.join(_POLL_SECONDS)
            lines.hand_on()
            if not told and signals.is_due():
                told = True
                process.send_signal(signal.SIGINT)
            if not announced and signals.received is not None:
                announced = True
                signals.on_stop()
        lines.hand_on(ended=True)
    finally:
        if waiter.is_alive():
            if not told:
                process.send_signal(signal.SIGINT)
            waiter.join()


def _read_all(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "replace")
