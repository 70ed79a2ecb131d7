"""Who works on a state: one thread of ours at a time in a root module, and no two who lock it."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

# Terraform 1.5 to 1.15, and OpenTofu
_LOCKED: Final = "Error acquiring the state lock"
# Terraform 1.11 with `use_lockfile`: a lock was there, and went before Terraform had read whose it is.
# It does not wait then, whatever -lock-timeout says
_GONE: Final = re.compile(r"unable to retrieve file from S3 bucket .*\.tflock'.*\bNoSuchKey\b")
_turns: dict[Path, threading.RLock] = {}
_turns_lock = threading.Lock()


@contextmanager
def turn_in(folder: Path) -> Iterator[None]:
    """Wait until no other thread of ours works in the folder."""
    with _turns_lock:
        turn = _turns.setdefault(folder, threading.RLock())
    with turn:
        yield


def lock_advice(words: str) -> str | None:
    """What helps where Terraform says that somebody else holds the state; None where it does not."""
    return "somebody else works on this state: --lock-timeout 5m waits for them" if _LOCKED in words else None


def is_lock_gone(words: str) -> bool:
    """Whether Terraform has failed for a lock that is there no more."""
    return _LOCKED in words and _GONE.search(words) is not None
