"""One thread of ours at a time in the folder of a root module: its state bears no two."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_turns: dict[Path, threading.RLock] = {}
_turns_lock = threading.Lock()


@contextmanager
def turn_in(folder: Path) -> Iterator[None]:
    """Wait until no other thread of ours works in the folder."""
    with _turns_lock:
        turn = _turns.setdefault(folder, threading.RLock())
    with turn:
        yield
