"""A pretend cloud on disk: what is there from the start, what was made, and a journal of the calls.

world.json       what is there: "data" by type, and "fail": messages by type and operation
objects/TYPE/    one JSON file an object; delete or edit one, and there is drift
journal.jsonl    one line a call: {"op", "type", "id", "value"}
"""

from __future__ import annotations

import json
import os
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.schema_provider.values import Object, digest

#: Operations that `fail` may name.
OPERATIONS = ("create", "update", "delete", "read", "plan", "data")


class Cloud:
    """The cloud in a folder; one provider process at a time writes to it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        world = json.loads((folder / "world.json").read_text(encoding="utf-8"))
        self._data: Mapping[str, list[Object]] = world.get("data", {})
        self._fail: Mapping[str, Mapping[str, str]] = world.get("fail", {})
        self.lock = threading.RLock()

    def failure(self, op: str, kind: str) -> str | None:
        """The message with which the operation fails on objects of the type, where it is told to."""
        return self._fail.get(kind, {}).get(op)

    def get(self, kind: str, identifier: str) -> Object | None:
        """The object with that id, or None where it is gone."""
        return _read(self._path(kind, identifier))

    def put(self, kind: str, value: Object) -> None:
        """Make the object, or change it."""
        path = self._path(kind, value["id"])
        path.parent.mkdir(parents=True, exist_ok=True)
        # in one step: who reads meanwhile finds all of it, or what was there
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False) as file:
            json.dump(value, file, indent=1)
        os.replace(file.name, path)

    def remove(self, kind: str, identifier: str) -> None:
        """Delete the object; it may be gone already."""
        self._path(kind, identifier).unlink(missing_ok=True)

    def made(self, kind: str) -> list[Object]:
        """The objects of a type that were made here."""
        paths = sorted((self._folder / "objects" / kind).glob("*.json"))
        return [found for found in map(_read, paths) if found is not None]

    def there(self, kind: str) -> list[Object]:
        """The objects of a type: those from the start, and those made."""
        return [*self._data.get(kind, []), *self.made(kind)]

    def note(self, op: str, kind: str, identifier: str | None, value: Any) -> None:
        """Write a line into the journal."""
        line = json.dumps({"op": op, "type": kind, "id": identifier, "value": value})
        with self.lock, (self._folder / "journal.jsonl").open("a", encoding="utf-8") as journal:
            journal.write(f"{line}\n")

    def _path(self, kind: str, identifier: str) -> Path:
        return self._folder / "objects" / kind / f"{digest(identifier)[:16]}.json"


def _read(path: Path) -> Object | None:
    """What the file holds; None where it is gone, which another Terraform may have done just now."""
    try:
        found: Object = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return found
