"""The stacks of a generated tree, found by cluster, by folder, or all of them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from skyports_tf.diagnostics import Diagnostic, FindingsError, suggest
from skyports_tf.ledger import LEDGER_NAME, read_stack
from skyports_tf.model import Stack
from skyports_tf.naming import is_cluster_name
from skyports_tf.roots import GROUPS, relative_file, root_of, stack_file

_GENERATED = ("*.tf", LEDGER_NAME)
# so many clusters are named where one is not found
_MOST_NAMED = 12


def base_of(out: str) -> str:
    """The folder that holds the tree `out`, to which ledgers name their files."""
    return os.path.dirname(os.path.normpath(os.path.join(Path.cwd(), out)))


def stacks_of(out: str, cluster: str) -> tuple[Stack, ...]:
    """The stacks of one cluster in the tree `out`, sorted; none where it has no folder."""
    return tuple(read_stack(out, directory) for directory in _directories_of(out, cluster))


def folders_of(out: str) -> frozenset[str]:
    """What lies in the tree `out`, by name: one look instead of one for each cluster."""
    try:
        return frozenset(os.listdir(out))
    except (FileNotFoundError, NotADirectoryError):
        return frozenset()


def directories_of_tree(out: str) -> Iterator[str]:
    """The folders of all stacks of the tree `out`; no ledger is read."""
    names = sorted(name for name in folders_of(out) if is_cluster_name(name))
    return (directory for cluster in names for directory in _directories_of(out, cluster))


def roots_of_groups(out: str) -> tuple[str, ...]:
    """The folders of the root modules that several clusters share, sorted."""
    try:
        names = os.listdir(Path(out, GROUPS))
    except (FileNotFoundError, NotADirectoryError):
        return ()
    return tuple(f"{GROUPS}/{name}" for name in sorted(names))


def all_stacks(out: str) -> tuple[Stack, ...]:
    """Every stack of the tree `out`, sorted by folder."""
    return tuple(stack for cluster in _clusters_of(out) for stack in stacks_of(out, cluster))


def find_stacks(out: str, names: Sequence[str]) -> tuple[Stack, ...]:
    """The stacks that `names` name: clusters, or stack folders; all of them where none is named.

    Raises `FindingsError` with a finding for each name that is neither.
    """
    if not names:
        return all_stacks(out)
    found: dict[str, Stack] = {}
    findings = []
    for name in names:
        stacks = _named(out, name)
        found.update((stack.directory, stack) for stack in stacks)
        if not stacks:
            findings.append(_unknown(out, name))
    if findings:
        raise FindingsError(findings)
    return tuple(found[directory] for directory in sorted(found))


def generated_files(out: str, stack: Stack) -> list[str]:
    """The names of the generated files in the folder of `stack`, as they are in the tree."""
    folder = Path(out, stack.directory)
    found = [path.name for pattern in _GENERATED for path in folder.glob(pattern)]
    if stack.layout == "grouped":
        shared = [stack_file(stack, name) for name in ("main.tf", "imports.tf")]
        found += [relative_file(stack, path) for path in shared if os.path.isfile(os.path.join(out, path))]
    return sorted(found)


def _named(out: str, name: str) -> tuple[Stack, ...]:
    if is_cluster_name(name):
        stacks = stacks_of(out, name)
        if stacks:
            return stacks
    for folder in (Path(name), Path(out, name)):
        relative = os.path.relpath(folder, out).replace(os.sep, "/")
        if relative.startswith("..") or relative == ".":
            continue
        if (folder / LEDGER_NAME).is_file():
            return (read_stack(out, relative),)
        if relative.startswith(f"{GROUPS}/") and folder.is_dir():
            return tuple(stack for stack in all_stacks(out) if root_of(stack) == relative)
        if "/" not in relative and folder.is_dir() and is_cluster_name(relative):
            return stacks_of(out, relative)
    return ()


def _unknown(out: str, name: str) -> Diagnostic:
    known = _clusters_of(out)
    more = f" and {len(known) - _MOST_NAMED} more" if len(known) > _MOST_NAMED else ""
    otherwise = f"known clusters: {', '.join(known[:_MOST_NAMED])}{more}" if known else "compile a task first"
    message = f"no cluster or stack folder {name!r} in {out}"
    return Diagnostic("cluster-unknown", message, help=suggest(name, known, otherwise))


def _clusters_of(out: str) -> list[str]:
    try:
        with os.scandir(out) as items:
            names = [item.name for item in items if is_cluster_name(item.name) and item.is_dir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(name for name in names if _directories_of(out, name))


def _directories_of(out: str, cluster: str) -> list[str]:
    try:
        with os.scandir(Path(out, cluster)) as items:
            places = sorted(item.name for item in items)
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [
        f"{cluster}/{place}"
        for place in places
        if os.path.isfile(os.path.join(out, cluster, place, LEDGER_NAME))
    ]
