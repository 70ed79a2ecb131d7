"""What `reap` has seen of a stack's nodes, from one call to the next.

A mark is a file in the tree's data folder, which is not committed, or in a folder that is named:

    infra/.terraform/skyports/nodes/CLUSTER@PLACE.json
    {"version": 1, "state": "LINEAGE/7", "empty_since": "2026-12-01T18:00:00Z",
     "had_nodes": true, "was_listed": false}

An apply gives the state another serial, and then the time without nodes begins anew.
"""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from skyports_tf.diagnostics import Diagnostic, FindingsError
from skyports_tf.expiry import ExpiryError, read_stamp
from skyports_tf.model import Stack

#: Where the marks of a tree lie, relative to it; `.terraform/` is in the tree's .gitignore.
MARKS_FOLDER: Final = os.path.join(".terraform", "skyports", "nodes")
MARK_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Mark:
    """What was seen of a stack: since when it is without nodes, None where it has some.

    `state` says which state that was. `had_nodes` and `was_listed` say that there were nodes once,
    and that SkyPilot knew the cluster once.
    """

    state: str = ""
    empty_since: str | None = None
    had_nodes: bool = False
    was_listed: bool = False


def marks_folder(out: str, named: str | None) -> Path:
    """The folder of the marks: `named`, else the one in the data folder of the tree `out`."""
    return Path(named) if named else Path(out, MARKS_FOLDER)


def read_mark(folder: Path, stack: Stack) -> Mark:
    """What was noted of `stack`; a file that cannot be read is as good as none."""
    try:
        return _mark_of(json.loads(_path(folder, stack).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, ExpiryError, RecursionError):
        return Mark()


def write_mark(folder: Path, stack: Stack, mark: Mark) -> None:
    """Note what was seen of `stack`. Raises `FindingsError` where that fails."""
    path = _path(folder, stack)
    text = json.dumps({"version": MARK_VERSION, **asdict(mark)}) + "\n"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f"{path.stem}.", suffix=".new", dir=folder)
        try:
            with open(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
            os.replace(name, path)
        except OSError:
            with suppress(OSError):
                os.unlink(name)
            raise
    except OSError as error:
        message = f"cannot write: {error.strerror or error}"
        raise FindingsError(Diagnostic("file-unwritable", message, path=str(path))) from None


def drop_mark(folder: Path, stack: Stack) -> None:
    """Forget what was seen of a stack that is gone."""
    with suppress(OSError):
        _path(folder, stack).unlink()


def _path(folder: Path, stack: Stack) -> Path:
    # no cluster's name has an @
    return folder / f"{stack.directory.replace('/', '@')}.json"


def _mark_of(document: Any) -> Mark:
    if document["version"] != MARK_VERSION:
        return Mark()
    since = document["empty_since"]
    return Mark(
        state=str(document["state"]),
        empty_since=None if since is None else read_stamp(since),
        had_nodes=document["had_nodes"] is True,
        was_listed=document["was_listed"] is True,
    )
