"""Live progress on stderr: a bar on a terminal, plain lines elsewhere, nothing beside JSON.

Of several stacks at once it is a table on a terminal: a line for all, and one for each that runs.
"""

from __future__ import annotations

import shutil
import sys
import threading
from collections.abc import Sequence
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


class FleetDisplay:
    """Shows several stacks that run at once; as a context it leaves its last line behind.

    `total` is how many there are in all. Its methods may be called from any thread.
    """

    def __init__(self, stream: TextIO | None, live: bool, verbose: bool, total: int) -> None:
        self._stream = stream
        self._live = live
        self._verbose = verbose
        self._total = total
        self._lock = threading.Lock()
        self._rows: list[FleetRow] = []
        self._ended = 0
        self._failed = 0
        self._drawn = 0

    def __enter__(self) -> FleetDisplay:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._lock:
            self._draw([])
            self._write(f"{self._sum()}\n")

    def row(self) -> FleetRow:
        """The row of a stack that begins."""
        row = FleetRow(self)
        with self._lock:
            self._rows.append(row)
        return row

    def heard(self, row: FleetRow, event: ProgressEvent) -> None:
        """Show an event of a row; in a log, only one that goes a step further, unless all are wanted."""
        with self._lock:
            step = (event.phase, event.step, event.done if event.phase in _CHANGING else 0)
            news = step != row.step or self._verbose
            row.step, row.event = step, event
            if self._live:
                self._draw(self._rows)
            elif news:
                self._write(f"{plain_line(event, self._verbose)}\n")

    def ended(self, row: FleetRow, failed: bool) -> None:
        """Take a row out of the table, and count it."""
        with self._lock:
            self._rows.remove(row)
            self._ended += 1
            self._failed += failed
            if self._live:
                self._draw(self._rows)
            elif row.event:
                word = "failed" if failed else "done"
                self._write(f"{row.event.stack}: {word}, {self._ended} of {self._total}\n")

    def _sum(self) -> str:
        parts = [f"{self._ended - self._failed} of {self._total} stacks done"]
        parts += [f"{self._failed} failed"] if self._failed else []
        left = self._total - self._ended - len(self._rows)
        return ", ".join([*parts, *([f"{left} not begun"] if left and not self._rows else [])])

    def _draw(self, rows: Sequence[FleetRow]) -> None:
        """Draw the table in the place of the last one."""
        if not self._live:
            return
        width, height = shutil.get_terminal_size()
        lines = []
        if rows:
            told = f"{self._sum()}, {len(rows)} running"
            filled = _BAR_WIDTH * self._ended // self._total
            bar = f"[{'#' * filled}{'.' * (_BAR_WIDTH - filled)}]  " if width >= _NARROWEST_BAR else ""
            lines.append(f"{bar}{told}"[: max(width - 1, 0)])
        lines += [bar_line(row.event, width) for row in rows if row.event][: max(height - 2, 0)]
        up = f"\x1b[{self._drawn}A" if self._drawn else ""
        self._write(f"{up}\r\x1b[J" + "".join(f"{line}\n" for line in lines))
        self._drawn = len(lines)

    def _write(self, text: str) -> None:
        if self._stream is not None:
            self._stream.write(text)
            self._stream.flush()


class FleetRow:
    """One stack of a `FleetDisplay`, from its beginning to its end."""

    def __init__(self, display: FleetDisplay) -> None:
        self.event: ProgressEvent | None = None
        self.step: tuple[str, str, int] | None = None
        self._display = display

    def show(self, event: ProgressEvent) -> None:
        """Show one event of the stack."""
        self._display.heard(self, event)

    def end(self, error: Exception | None = None) -> None:
        """The stack is done, or has failed with `error`."""
        self._display.ended(self, error is not None)


def fleet_display(session: Session, total: int) -> FleetDisplay:
    """The display of several stacks that fits the call: as `progress_display`."""
    if session.json or sys.stderr is None:
        return FleetDisplay(None, live=False, verbose=False, total=total)
    return FleetDisplay(sys.stderr, is_live(sys.stderr) and not session.verbose, session.verbose, total)


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
