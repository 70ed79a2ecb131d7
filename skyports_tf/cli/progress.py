"""Live progress on stderr: a bar on a terminal, plain lines elsewhere, nothing beside JSON."""

from __future__ import annotations

import shutil
import sys
from types import TracebackType
from typing import TextIO

from skyports_tf.cli.console import Session, is_live
from skyports_tf.diagnostics import visible
from skyports_tf.lifecycle import Progress, ProgressEvent

_BAR_WIDTH = 24
_NARROWEST_BAR = 60
# phases whose steps change the cloud
_CHANGING = frozenset({"apply", "destroy"})
_CLEAR_LINE = "\r\x1b[K"


class ProgressDisplay:
    """Shows events one after the other; as a context it leaves no half line behind."""

    def __init__(self, stream: TextIO, live: bool, verbose: bool = False) -> None:
        self._stream = stream
        self._live = live
        self._verbose = verbose
        self._last = ""
        self._step: tuple[str, str, str, int] | None = None

    def __enter__(self) -> Progress:
        return self.show

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._live and self._last:
            self._write(_CLEAR_LINE, "")

    def show(self, event: ProgressEvent) -> None:
        """Show one event; in a log, only one that goes a step further, unless all are wanted."""
        if self._live:
            line = bar_line(event, shutil.get_terminal_size().columns)
            self._write(f"{_CLEAR_LINE}{line}", line)
            return
        line = plain_line(event, self._verbose)
        step = (event.stack, event.phase, event.step, event.done if event.phase in _CHANGING else 0)
        if step != self._step or self._verbose:
            self._step = step
            self._write(f"{line}\n", line)

    def _write(self, text: str, line: str) -> None:
        if line != self._last:
            self._last = line
            self._stream.write(text)
            self._stream.flush()


class _Silence(ProgressDisplay):
    def show(self, event: ProgressEvent) -> None:
        """Show nothing."""


def progress_display(session: Session) -> ProgressDisplay:
    """The display that fits the call: silent beside JSON, a bar on a terminal, lines elsewhere."""
    if session.json or sys.stderr is None:
        return _Silence(sys.stderr, live=False)
    return ProgressDisplay(sys.stderr, is_live(sys.stderr) and not session.verbose, session.verbose)


def plain_line(event: ProgressEvent, verbose: bool = True) -> str:
    """An event as a line of a log; what is merely read is told where all is wanted."""
    told = " ".join(filter(None, (f"{event.stack}: {event.phase}", event.step)))
    if event.total:
        told += f" {min(event.done, event.total)}/{event.total}"
    told_all = verbose or event.phase in _CHANGING
    return f"{told}: {visible(event.message)}" if event.message and told_all else told


def bar_line(event: ProgressEvent, width: int) -> str:
    """An event as a line that fits a terminal of `width` columns, with a bar where there is room."""
    told = "  ".join(filter(None, (event.stack, event.phase, event.step)))
    if event.total:
        done = min(event.done, event.total)
        if width >= _NARROWEST_BAR:
            filled = _BAR_WIDTH * done // event.total
            told += f"  [{'#' * filled}{'.' * (_BAR_WIDTH - filled)}]"
        told += f"  {done}/{event.total}"
    if event.message:
        told += f"  {visible(event.message)}"
    return told[: max(width - 1, 0)]
