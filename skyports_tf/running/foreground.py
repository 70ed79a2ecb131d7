"""A child in the foreground: it has our streams and our terminal, and hears of every signal once.

The child is a process group of its own. Where we have a terminal it gets it, as from a shell:
Ctrl-C and Ctrl-Z reach the child alone, and we learn how it ended. SIGINT, SIGTERM and SIGHUP
that reach us otherwise are passed on to its group.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

_FORWARDED: tuple[int, ...] = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class ForegroundEnd:
    """How a child ended: its exit code (negative: the signal that killed it), and what we had to pass on."""

    code: int
    passed_on: int | None = None

    @property
    def exit_code(self) -> int:
        """The code that a shell gives: 128 and the signal for a child that a signal killed."""
        return self.code if self.code >= 0 else 128 - self.code

    @property
    def is_interrupted(self) -> bool:
        """Whether somebody wanted it to stop: by a signal to us, or by Ctrl-C."""
        stopped = (130, 143, 129)
        return self.passed_on is not None or self.exit_code in stopped


def run_foreground(
    argv: Sequence[str], environment: Mapping[str, str], *, onto_stderr: bool = False
) -> ForegroundEnd:
    """Run `argv` and give its end; with `onto_stderr`, its stdout goes where our stderr goes.

    Raises `OSError` where it cannot be started.
    """
    terminal = _terminal()
    with _forwarding() as forwarding:
        try:
            process = subprocess.Popen(
                list(argv),
                env=dict(environment),
                stdout=_stderr() if onto_stderr else None,
                preexec_fn=_leading_its_group(terminal),
            )
            # it leads its group by now: Popen comes back when the program runs
            forwarding.begin(process.pid)
            code = _wait(process, terminal)
        finally:
            forwarding.end()
            _take_terminal(terminal, os.getpgrp())
    return ForegroundEnd(code, forwarding.received)


class _Forwarding:
    """Passes signals on to a group while there is one; the last one is kept."""

    def __init__(self) -> None:
        self.received: int | None = None
        self._group: int | None = None

    def begin(self, group: int) -> None:
        self._group = group
        if self.received is not None:  # it came while the child was being made
            self._send(self.received)

    def end(self) -> None:
        self._group = None

    def hear(self, number: int, _frame: Any = None) -> None:
        self.received = number
        self._send(number)

    def _send(self, number: int) -> None:
        if self._group is not None:
            with suppress(OSError):  # it has just ended, or has become another user's
                os.killpg(self._group, number)


@contextmanager
def _forwarding() -> Iterator[_Forwarding]:
    """Hear of signals instead of dying of them; those that are ignored (nohup) stay so, for the child too."""
    forwarding = _Forwarding()
    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for number in _FORWARDED:
            handler = signal.getsignal(number)
            if handler is not None and handler != signal.SIG_IGN:
                before[number] = signal.signal(number, forwarding.hear)
    try:
        yield forwarding
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _wait(process: subprocess.Popen[bytes], terminal: int | None) -> int:
    while True:
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            process.returncode = code = os.waitstatus_to_exitcode(status)
            return code
        if terminal is not None:
            _stop_with(process.pid, terminal)


def _stop_with(group: int, terminal: int) -> None:
    """The child was stopped, by Ctrl-Z: stop as well, so that the shell comes back, and go on together."""
    _take_terminal(terminal, os.getpgrp())
    os.killpg(os.getpgrp(), signal.SIGTSTP)
    # the shell has continued us: in the foreground, the terminal is ours to give
    if os.tcgetpgrp(terminal) == os.getpgrp():
        _take_terminal(terminal, group)
    os.killpg(group, signal.SIGCONT)


def _terminal() -> int | None:
    """The descriptor of our terminal where we are in its foreground."""
    for descriptor in range(3):
        with suppress(OSError):
            if os.tcgetpgrp(descriptor) == os.getpgrp():
                return descriptor
    return None


def _stderr() -> int:
    if sys.stderr is None:
        return subprocess.DEVNULL
    try:
        return sys.stderr.fileno()
    except OSError:  # no file of the system's
        return 2


def _leading_its_group(terminal: int | None) -> Callable[[], None]:
    def lead() -> None:
        os.setpgid(0, 0)
        _take_terminal(terminal, os.getpgrp())

    return lead


def _take_terminal(terminal: int | None, group: int) -> None:
    """Make `group` the one that the terminal speaks to."""
    if terminal is None:
        return
    # who is not in the foreground would be stopped for asking
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
    try:
        with suppress(OSError):
            os.tcsetpgrp(terminal, group)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
