"""Terraform's root modules: which one a stack belongs to, and as which module of it.

In the separate layout each stack is a root module of its own, in its own folder. In the grouped layout
all clusters of a place share one, and each is a module of it: Terraform's fixed cost is paid once.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

from skyports_tf.model import Stack

#: The folder of the shared root modules in the tree; no cluster may be called so.
GROUPS: Final = "groups"
#: How files of one cluster in a shared root module end. Not `_override.tf`, which Terraform reads otherwise.
CLUSTER_ENDING: Final = ".cluster.tf"
#: How all files end that are one cluster's in a shared root module, those for a while among them.
SHARED_ENDINGS: Final = (CLUSTER_ENDING, ".imports.tf", ".release.tf")
#: The module of a stack that has a root module of its own.
LONE_MODULE: Final = "ports"
_HASHED: Final = re.compile(r"-x[0-9a-f]{8}$")


def root_of(stack: Stack) -> str:
    """The folder of the stack's root module under the out folder."""
    return group_of(stack) if stack.layout == "grouped" else stack.directory


def group_of(stack: Stack) -> str:
    """The folder of the root module that the stack shares with others of its place, or would share."""
    return f"{GROUPS}/{stack.place}"


def in_other_layout(stack: Stack) -> Stack:
    """The stack as it would be in the other layout."""
    return replace(stack, layout="grouped" if stack.layout == "separate" else "separate")


def root_name(root: str) -> str:
    """The name of a root module: its folder with `-` for `/`, as a stack's."""
    return root.replace("/", "-")


def module_of(stack: Stack) -> str:
    """The name of the stack's module in its root module: an identifier of Terraform's.

    That may hold all that a cluster's name may, but dots. No two clusters have the same one, and none
    that of a root module of its own.
    """
    if stack.layout == "separate":
        return LONE_MODULE
    name = stack.cluster
    if "." not in name and name != LONE_MODULE and not _HASHED.search(name):
        return name
    return f"{name.replace('.', '-')}-x{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def stack_file(stack: Stack, name: str) -> str:
    """The path of a file of the stack's root module under the out folder; a shared one has it by cluster."""
    return shared_file(stack, name) if stack.layout == "grouped" else f"{stack.directory}/{name}"


def shared_file(stack: Stack, name: str) -> str:
    """The path that a file of the stack's root module has where the root module is a shared one."""
    ending = CLUSTER_ENDING if name == "main.tf" else f".{name}"
    return f"{group_of(stack)}/{stack.cluster}{ending}"


def relative_file(stack: Stack, path: str) -> str:
    """A file under the out folder, relative to the stack's own folder."""
    return posixpath.relpath(path, stack.directory)


def by_root(stacks: Iterable[Stack], root: Callable[[Stack], str] = root_of) -> list[tuple[Stack, ...]]:
    """The stacks of each root module, in the order of the first of each; `root` says which is whose."""
    found: dict[str, list[Stack]] = {}
    for stack in stacks:
        found.setdefault(root(stack), []).append(stack)
    return [tuple(members) for members in found.values()]
