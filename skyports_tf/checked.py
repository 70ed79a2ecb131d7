"""What was found up to date before, and is so still: a check of a large fleet need not compile it again.

A digest of all that a compile reads (the tool itself, the request, the config, the task files, the
tree) is kept in our cache when a tree was written or checked. Where it is the same again, so is the
answer. No time of change is trusted: every file is read.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import skyports_tf
import skyports_tf.templates
from skyports_tf.bookkeeping import ledger_names
from skyports_tf.cache import cache_folder
from skyports_tf.clouds import CATALOG
from skyports_tf.compilation import Compilation, CompileRequest
from skyports_tf.diagnostics import Diagnostic, Span
from skyports_tf.policy import NO_POLICY
from skyports_tf.tree import directories_of_tree

#: With fewer task files than these, compiling is as quick.
FEWEST: Final = 100

_OPEN_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
# what an apply writes beside the files of a stack, and no compile reads
_NOT_COMPILED = (".tfplan", ".tfstate", ".tfstate.backup", ".lock.hcl", ".lock.info")
# what a compile is made of beside us
_LIBRARIES = ("jinja2", "jsonschema", "yaml")


class Checked:
    """A request, and what was known of its inputs when it was made."""

    def __init__(self, request: CompileRequest, out: str) -> None:
        self._request = request
        self._out = out
        self._place = self._find_place()
        # whatever changes from now on was not compiled
        self._inputs = self._input_digest() if self._place else ""

    def recall(self) -> tuple[Diagnostic, ...] | None:
        """What was told when all was up to date and exactly as it is now; None where it is not."""
        if self._place is None or not self._inputs:
            return None
        try:
            known = json.loads(self._place.read_text(encoding="utf-8"))
            if known["inputs"] != self._inputs or known["tree"] != _digest(
                _contents(_files_below(self._out))
            ):
                return None
            return tuple(_diagnostic(item) for item in known["told"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def remember(self, compilation: Compilation) -> None:
        """Keep that the tree is what `compilation` makes, where that depends on nothing but the inputs."""
        if self._place is None or not self._inputs or not self._is_whole(compilation):
            return
        made = {os.path.join(self._out, file.path): file.text.encode() for file in compilation.files}
        try:
            there = list(_files_below(self._out))
            strange = [path for path in there if path.endswith(".tf") and path not in made]
            if strange or not made.keys() <= set(there) or self._input_digest() != self._inputs:
                return
            tree = _digest((path, made[path] if path in made else _read(path)) for path in there)
            told = [asdict(item) for item in compilation.diagnostics]
            fresh = self._place.with_suffix(f".{os.getpid()}")
            fresh.write_text(json.dumps({"inputs": self._inputs, "tree": tree, "told": told}), "utf-8")
            fresh.replace(self._place)
        except OSError:
            return

    def _is_whole(self, compilation: Compilation) -> bool:
        """Whether the tree holds these stacks and no others, of these task files and no others."""
        ledger_name = ledger_names(self._out)
        files = {ledger_name(path) for path in self._request.files}
        stacks = [item.stack for item in compilation.stacks]
        return all(entry.file in files for stack in stacks for entry in stack.entries) and {
            stack.directory for stack in stacks
        } == set(directories_of_tree(self._out))

    def _find_place(self) -> Path | None:
        request = self._request
        if len(request.files) < FEWEST or request.forget or request.changes or request.now:
            return None
        if request.config.policy != NO_POLICY:  # its exceptions end
            return None
        folder = cache_folder("checked")
        name = hashlib.sha256(os.path.abspath(self._out).encode("utf-8", "surrogateescape")).hexdigest()
        return folder / f"{name[:32]}.json" if folder else None

    def _input_digest(self) -> str:
        try:
            return _digest(self._all_inputs())
        except OSError:
            return ""

    def _all_inputs(self) -> Iterator[tuple[str, bytes]]:
        """All that the answer depends on beside the tree, each with its name."""
        request, config = self._request, self._request.config
        yield "tool", "\n".join(_tool()).encode("utf-8", "surrogateescape")
        said: list[Any] = [os.getcwd(), self._out, request.cluster, asdict(request.overrides)]
        said += [request.sources, request.ssh_sources, request.retain, request.attach, request.user_hash]
        said += [request.tasks, request.known, request.emptied, request.expires, request.folders]
        said += [asdict(item) for item in request.notes]
        yield "request", repr(said).encode("utf-8", "surrogateescape")
        yield from _contents([config.path] if config.path else [])
        if config.catalog.folders != CATALOG.folders:
            yield from _contents(_files_below(str(config.catalog.folders[0])))
        yield from _contents(request.files)


def _digest(items: Iterable[tuple[str, bytes]]) -> str:
    digest = hashlib.sha256()
    for name, content in items:
        spelled = name.encode("utf-8", "surrogateescape")
        digest.update(b"%d %d " % (len(spelled), len(content)))
        digest.update(spelled)
        digest.update(content)
    return digest.hexdigest()


def _contents(paths: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    return ((path, _read(path)) for path in paths)


def _read(path: str) -> bytes:
    descriptor = os.open(path, _OPEN_FLAGS)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(path)
        content = os.read(descriptor, status.st_size + 1)
        if len(content) != status.st_size:  # it grows, or is read in parts
            raise OSError(path)
        return content
    finally:
        os.close(descriptor)


def _files_below(folder: str) -> Iterator[str]:
    """Every file of a folder that a compile may read, in an order that stays."""
    with os.scandir(folder) as items:
        found = sorted(items, key=lambda item: item.name)
    for item in found:
        if item.is_dir(follow_symlinks=False):
            if not item.name.startswith("."):
                yield from _files_below(item.path)
        elif not item.name.endswith(_NOT_COMPILED):
            yield item.path


@lru_cache(maxsize=1)
def _tool() -> tuple[str, ...]:
    """What compiles: this Python, our own files, and the libraries that decide what comes out."""
    ours = {Path(module.__file__ or "").parent for module in (skyports_tf, skyports_tf.templates)}
    files = [
        path for folder in sorted(ours) for path in _files_below(str(folder)) if not path.endswith(".pyc")
    ]
    others = [getattr(sys.modules.get(name), "__file__", None) or "" for name in _LIBRARIES]
    return (sys.version, *(_stamp(path) for path in (*files, *others)))


def _stamp(path: str) -> str:
    status = os.stat(path) if path else None
    return f"{path} {status.st_size} {status.st_mtime_ns}" if status else path


def _diagnostic(known: dict[str, Any]) -> Diagnostic:
    span, checks = known.pop("span"), known.pop("checks")
    return Diagnostic(**known, span=Span(**span) if span else None, checks=tuple(map(tuple, checks)))
