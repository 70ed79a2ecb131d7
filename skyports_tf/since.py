"""What has changed since a commit, by git, and which stacks that concerns.

What git does not know of (a file that it ignores, another repository) counts as changed: a stack is
rather looked at once more than left out.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from skyports_tf.clouds import CATALOG
from skyports_tf.config import Config
from skyports_tf.diagnostics import Diagnostic, FindingsError, ProgramMissingError
from skyports_tf.ledger import LEDGER_NAME
from skyports_tf.model import ADOPTED, Stack
from skyports_tf.roots import root_of, stack_file
from skyports_tf.tree import all_stacks

#: The folder of a tree that holds the modules, one a cloud.
MODULES: Final = "modules"

_REF = re.compile(r"(?!-)[^\x00-\x20\x7f]+(?: [^\x00-\x20\x7f]+)*")
_COMMIT = re.compile(r"[0-9a-f]{40,64}")
_NO_COMMIT: Final = "name a commit, branch or tag that this clone has: a pipeline may have to fetch it first"
_OUTSIDE: Final = "run it inside of the repository of the task files, or leave --since out"


@dataclass(frozen=True, slots=True)
class Changes:
    """What differs from the commit that `ref` names, up to the files as they are now.

    All paths are absolute and without links: the repository's `root`, the files that have `changed`
    (also those that are new or gone), the `folders` above them, and all that git has `tracked`.
    """

    ref: str
    root: str
    changed: frozenset[str]
    folders: frozenset[str]
    tracked: frozenset[str]

    def touch(self, path: str) -> bool:
        """Whether the file has changed, or git does not know it."""
        # a link may have changed, or what it leads to
        return any(name in self.changed or name not in self.tracked for name in _names(path))

    def touch_folder(self, folder: str) -> bool:
        """Whether a file in the folder, or below it, has changed."""
        return os.path.realpath(folder) in self.folders


def changes_since(ref: str, folder: str) -> Changes:
    """Ask git what has changed since `ref` in the repository around `folder`.

    Raises `FindingsError` where there is no repository or no such commit, and `ProgramMissingError`
    where there is no git.
    """
    if not _REF.fullmatch(ref):
        raise FindingsError(_failed(ref, "that is no name of a commit"))
    root = os.path.realpath(_git(ref, folder, "rev-parse", "--show-toplevel").rstrip("\n"))
    commit = _git(ref, root, "rev-parse", "--verify", "--end-of-options", f"{ref}^{{commit}}").strip()
    if not _COMMIT.fullmatch(commit):
        raise FindingsError(_failed(ref, "that is no commit"))
    differ = _git(ref, root, "diff", "--name-only", "--no-renames", "--no-ext-diff", "-z", commit, "--")
    fresh = _git(ref, root, "ls-files", "--others", "--exclude-standard", "-z", "--")
    known = _git(ref, root, "ls-files", "--cached", "-z", "--")
    changed = frozenset(_paths(root, differ + fresh))
    return Changes(ref, root, changed, frozenset(_above(root, changed)), frozenset(_paths(root, known)))


def affected_stacks(
    changes: Changes, out: str, stacks: Iterable[Stack], config: Config, stale: Collection[str]
) -> tuple[Stack, ...]:
    """Those of `stacks` whose inputs have changed: config, templates, module, task files, or own folder.

    `stale` are clouds whose module in the tree `out` is another than the one that would be written.
    """
    templates = config.catalog.folders[0] if config.catalog.folders != CATALOG.folders else None
    if (config.path and changes.touch(config.path)) or (templates and changes.touch_folder(str(templates))):
        return tuple(stacks)
    base = os.path.dirname(os.path.abspath(out))
    return tuple(
        stack
        for stack in stacks
        if stack.cloud in stale
        or changes.touch_folder(os.path.join(out, MODULES, stack.cloud))
        or changes.touch_folder(os.path.join(out, stack.directory))
        or _touch_root(changes, out, stack)
        or not os.path.isfile(os.path.join(out, stack.directory, LEDGER_NAME))
        or any(
            changes.touch(os.path.join(base, entry.file)) for entry in stack.entries if entry.file != ADOPTED
        )
    )


def removed_stacks(changes: Changes, out: str) -> Iterator[Diagnostic]:
    """A warning for each stack of the tree `out` that was removed with tasks in its ledger: nobody closes it.

    One that is elsewhere in the tree now was moved.
    """
    tree = f"{os.path.realpath(out)}{os.sep}"
    gone = [
        path
        for path in sorted(changes.changed)
        if path.startswith(tree) and os.path.basename(path) == LEDGER_NAME and not os.path.lexists(path)
    ]
    names = {stack.name for stack in all_stacks(out)} if gone else set()
    for path in gone:
        ledger = os.path.relpath(path, changes.root).replace(os.sep, "/")
        name, files = _asked_by(_git(changes.ref, changes.root, "show", f"{changes.ref}:{ledger}"))
        if files and name not in names:
            message = (
                f"{os.path.dirname(ledger)} is gone, and what {' and '.join(files)} asked for stays open"
            )
            help_text = (
                "put it back and take them out with `--forget`: the next apply closes the ports, "
                "and then the folder can go"
            )
            yield Diagnostic("stack-gone", message, help=help_text, severity="warning")


def _asked_by(ledger: str) -> tuple[str, list[str]]:
    """The stack's name, and its task files; nothing of what is no ledger."""
    try:
        document = json.loads(ledger)
        return str(document["name"]), sorted({str(task["file"]) for task in document["tasks"]})
    except (ValueError, KeyError, TypeError):
        return "", []


def _touch_root(changes: Changes, out: str, stack: Stack) -> bool:
    """Whether a root module that is shared has changed, but for the files of other stacks."""
    if stack.layout == "separate":
        return False
    root = root_of(stack)
    names = [f"{root}/main.tf", f"{root}/backend.tf", stack_file(stack, "main.tf")]
    return any(changes.touch(path) for name in names if os.path.exists(path := os.path.join(out, name)))


def _git(ref: str, folder: str, *arguments: str) -> str:
    import subprocess  # only with --since: it takes a while to load

    command = ["git", "--no-optional-locks", "-C", folder, *arguments]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    except OSError as error:
        message = f"--since: git cannot be run: {error.strerror}"
        raise ProgramMissingError(Diagnostic("git-missing", message, help="install git")) from None
    if done.returncode:
        said = os.fsdecode(done.stderr).strip().splitlines()
        why = said[-1].removeprefix("fatal: ") if said else "git has failed"
        raise FindingsError(_failed(ref, why, _OUTSIDE if "not a git repository" in why else _NO_COMMIT))
    return os.fsdecode(done.stdout)


def _failed(ref: str, why: str, help_text: str = _NO_COMMIT) -> Diagnostic:
    return Diagnostic("git-failed", f"--since {ref!r}: {why}", help=help_text)


def _paths(root: str, listed: str) -> Iterator[str]:
    return (os.path.join(root, name) for name in listed.split("\0") if name)


def _above(root: str, paths: Iterable[str]) -> Iterator[str]:
    """Every folder of the repository that one of `paths` is in or below."""
    seen = {root}
    yield root
    for path in paths:
        folder = os.path.dirname(path)
        while folder not in seen and folder.startswith(root):
            seen.add(folder)
            yield folder
            folder = os.path.dirname(folder)


def _names(path: str) -> set[str]:
    """The file itself, and what it leads to where it is a link."""
    folder, name = os.path.split(os.path.abspath(path))
    return {os.path.join(os.path.realpath(folder), name), os.path.realpath(path)}
