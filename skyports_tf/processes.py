"""Work on many items by several processes, where what one item gives depends on no other.

Reading a fleet's task files and rendering its stacks keeps one processor busy for seconds while the others
stand idle. A child is a copy of this process (`fork`), so that what it needs is there at once; it writes what
its share has given to a pipe, and ends. One that is lost costs time and nothing else.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

#: Fewer items are done before a process has started and handed over what it did.
_FEWEST = 200


def processors() -> int:
    """How many processors this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not everywhere
        return os.cpu_count() or 1


def each_of_many(work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """What `work` gives for each of `items`, in their order.

    `work` has no other effect, and gives what can be pickled. Raises what it raises for the first item
    that it does so for.
    """
    count = max(1, min(processors(), len(items) // _FEWEST)) if _may_fork() else 1
    bounds = [len(items) * part // count for part in range(count + 1)]
    mine, *others = (items[first:end] for first, end in pairwise(bounds))
    children: list[_Child] = []
    try:
        with suppress(OSError):  # where no more processes are to be had, the rest is done here
            children.extend(_Child(work, share) for share in others)
        found = [work(item) for item in mine]
        for child in children:
            found += child.results()
        return found + [work(item) for item in items[len(found) :]]
    finally:
        for child in children:
            child.end()


def _may_fork() -> bool:
    """Whether a copy of this process can go on: another thread's locks would stay shut in it."""
    return hasattr(os, "fork") and threading.active_count() == 1


class _Child:
    """A process that works on its share of the items."""

    def __init__(self, work: Callable[[Any], Any], share: Sequence[Any]) -> None:
        self._work, self._share = work, share
        read, write = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            _work_and_end(work, share, read, write)
        os.close(write)
        self._read = read

    def results(self) -> list[Any]:
        """What its share gave; worked on here where it has not told."""
        import pickle

        with os.fdopen(self._read, "rb", closefd=False) as pipe:
            try:
                found: list[Any] = pickle.load(pipe)  # noqa: S301 (from ourselves)
            except (EOFError, pickle.UnpicklingError):
                # it ended early: by an error, which comes again here, or by somebody's hand
                return [self._work(item) for item in self._share]
        return found

    def end(self) -> None:
        """End it, and wait until it is gone."""
        os.close(self._read)
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)


def _work_and_end(work: Callable[[Item], Result], share: Sequence[Item], read: int, write: int) -> None:
    """The life of a child; the parent's clean-up is not its own, so it ends at once and without a word."""
    try:
        import pickle

        # once the parent is gone nobody holds this end, and writing fails
        os.close(read)
        with os.fdopen(write, "wb") as pipe:
            pickle.dump([work(item) for item in share], pipe, pickle.HIGHEST_PROTOCOL)
    finally:
        os._exit(0)
