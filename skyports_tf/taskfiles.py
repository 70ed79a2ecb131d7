"""Task files in folders: what a folder means where a task file is asked for.

A folder stands for the task files in it and below it, sorted by path. Whether a file is one is told from
its keys alone, so that a task with a mistake is refused and not passed over.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from skyports_tf.config import CONFIG_NAME
from skyports_tf.diagnostics import Diagnostic, FindingsError
from skyports_tf.schema import schema_of
from skyports_tf.source import read_yaml
from skyports_tf.text.textfile import is_data, read_text

_EXTENSIONS = (".yaml", ".yml")
# keys of a task that files of other programs have, too
_COMMON: Final = frozenset({"name", "config", "volumes", "service", "secrets", "inputs", "outputs"})
_KEY = re.compile(r"""^(?:"([^"\n]+)"|'([^'\n]+)'|([A-Za-z_][\w.-]*))[ \t]*:(?=\s|$)""", re.MULTILINE)
_FLOW = re.compile(r"^\s*(?:(?:#.*|---.*|%.*)?\n)*\s*\{")
#: So many of the files that were left out are named.
_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class TaskFiles:
    """Task files as named and as found; `folders` are those that were named.

    `notes` tell what was left out.
    """

    files: tuple[str, ...]
    folders: tuple[str, ...] = ()
    notes: tuple[Diagnostic, ...] = ()


@dataclass(slots=True)
class _Search:
    """The search through one folder after the other; what was seen once is not taken again."""

    out: tuple[int, int] | None
    found: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    findings: list[Diagnostic] = field(default_factory=list)
    seen: set[tuple[int, int]] = field(default_factory=set)

    def walk(self, folder: str) -> None:
        """Take the task files of `folder` and of the folders below it."""
        if not self._is_new(folder):
            return
        try:
            with os.scandir(folder or ".") as items:
                names = sorted(item.name for item in items)
        except OSError as error:
            message = f"the folder cannot be read: {error.strerror}"
            self.findings.append(Diagnostic("file-unreadable", message, folder))
            return
        for name in names:
            path = f"{folder}{name}"
            if name.startswith(".") or name == CONFIG_NAME:
                continue
            if os.path.isdir(path):
                self.walk(f"{path}{os.sep}")
            else:
                self._take(path)

    def _take(self, path: str) -> None:
        """Take a file where it is one of a task, and was not taken under another name."""
        if not path.endswith(_EXTENSIONS) or not os.path.isfile(path):
            self.others.append(path)
        elif self._is_new(path):
            (self.found if _may_be_task(path) else self.others).append(path)

    def _is_new(self, path: str) -> bool:
        """Whether it is there, was not seen before under another name, and is not the tree."""
        try:
            status = os.stat(path or ".")
        except OSError:
            return False
        key = (status.st_dev, status.st_ino)
        if key == self.out or key in self.seen:
            return False
        self.seen.add(key)
        return True


def find_task_files(paths: Sequence[str], out: str) -> TaskFiles:
    """The task files that `paths` name: a folder is replaced by those in it and below.

    Hidden folders and the tree `out` are left out, and a file that is reached twice counts once.
    Raises `FindingsError` for a folder that cannot be read, or holds no task file.
    """
    folders = [path for path in paths if os.path.isdir(path)]
    if not folders:
        return TaskFiles(tuple(paths))
    named = [key for path in paths if path not in folders and (key := _identity(path))]
    search = _Search(_identity(out), seen=set(named))
    files: list[str] = []
    for path in paths:
        if path not in folders:
            files.append(path)
        elif _identity(path) not in search.seen:
            before = len(search.found), len(search.findings)
            search.walk(_prefix(path))
            files += search.found[before[0] :]
            if before == (len(search.found), len(search.findings)):
                message = "there is no task file in this folder, or below it"
                search.findings.append(Diagnostic("folder-empty", message, path))
    if search.findings:
        raise FindingsError(search.findings)
    return TaskFiles(tuple(files), tuple(folders), tuple(_notes(search.others)))


def is_task_text(text: str, path: str) -> bool:
    """Whether the text is one of a task file: it has keys of a task, and not mostly others.

    Only the keys at the beginnings of lines count, which in YAML are those of the documents.
    """
    keys = {one or two or three for one, two, three in _KEY.findall(text)}
    if not keys and _FLOW.match(text):
        documents = read_yaml(path, keep_repeated_keys=True).documents
        keys = {str(key) for item in documents if isinstance(item.data, dict) for key in item.data}
    known = keys & _task_keys()
    return bool(known - _COMMON) and 2 * len(known) >= len(keys)


def _may_be_task(path: str) -> bool:
    """Whether the file is one of a task, or cannot be told: who reads it then says what is wrong with it."""
    try:
        return is_task_text(read_text(path), path)
    except FindingsError as error:
        code = error.diagnostics[0].code
        return not (code == "file-too-large" or (code == "file-not-text" and is_data(path)))


@lru_cache(maxsize=1)
def _task_keys() -> frozenset[str]:
    return frozenset(schema_of("task")["properties"])


def _prefix(folder: str) -> str:
    """What comes before the names of a folder's files."""
    return "" if folder in (".", f".{os.sep}") else f"{folder.rstrip(os.sep)}{os.sep}"


def _identity(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _notes(others: Sequence[str]) -> Iterator[Diagnostic]:
    if not others:
        return
    # what could be meant as a task comes first
    named = sorted(others, key=lambda path: (not path.endswith(_EXTENSIONS), path))
    told = ", ".join(named[:_MOST_NAMED])
    more = f" and {len(others) - _MOST_NAMED} more" if len(others) > _MOST_NAMED else ""
    what = "file is no task file and was" if len(others) == 1 else "files are no task files and were"
    yield Diagnostic("not-tasks", f"{len(others)} {what} left out: {told}{more}", severity="note")
