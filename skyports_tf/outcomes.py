"""What Terraform and the cloud have said of a stack: its plan, its status, and how it was closed.

Frozen data, no behaviour beyond names: run answers with it, and report tells it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from skyports_tf.diagnostics import Diagnostic
from skyports_tf.model import Stack

StackState = Literal["open", "closed", "unknown"]


@dataclass(frozen=True, slots=True)
class PortRule:
    """A rule in port words: what a person reads, and the rule of our JSON.

    `sources` are sorted; `tasks` are the task files that ask for it.
    """

    protocol: str
    from_port: int
    to_port: int
    sources: tuple[str, ...]
    tasks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RuleChange:
    """A rule that stays, with other ports or another description."""

    before: PortRule
    after: PortRule


@dataclass(frozen=True, slots=True)
class PortChanges:
    """What a plan does in port words; empty when no port opens, changes or closes."""

    open: tuple[PortRule, ...] = ()
    change: tuple[RuleChange, ...] = ()
    close: tuple[PortRule, ...] = ()


@dataclass(frozen=True, slots=True)
class ResourceCounts:
    """How many resources Terraform creates, updates and deletes; a replacement counts as both.

    `imported` come into the state as they are, `forgotten` leave it and stay as they are.
    """

    create: int = 0
    update: int = 0
    delete: int = 0
    imported: int = 0
    forgotten: int = 0

    @property
    def any(self) -> bool:
        """Whether there is anything to do."""
        return self.changes_objects or bool(self.imported or self.forgotten)

    @property
    def changes_objects(self) -> bool:
        """Whether anything in the cloud changes."""
        return bool(self.create or self.update or self.delete)


@dataclass(frozen=True, slots=True)
class StackPlan:
    """A saved plan: `plan_file` is its path, None where the plan is empty and nothing was kept.

    `plan_digest` is the SHA-256 of that file, `warnings` are Terraform's own and those of its steps.
    `ssh` is what opens for SSH beside the ports. `opening` are the addresses that go first, step by step,
    where one apply could close for a moment what stays wanted; `shown` is all that the plan does, as
    addresses and actions, and `files_digest` the SHA-256 of the configuration that it was made from.
    `flags` are what `terraform plan` was given beside the user's own.
    """

    stack: Stack
    changes: PortChanges
    counts: ResourceCounts
    plan_file: str | None = None
    outputs_changed: bool = False
    plan_digest: str | None = None
    warnings: tuple[Diagnostic, ...] = ()
    ssh: tuple[PortRule, ...] = ()
    opening: tuple[tuple[str, ...], ...] = ()
    shown: tuple[tuple[str, str], ...] = ()
    files_digest: str = ""
    flags: Mapping[str, Any] = field(default_factory=dict)

    @property
    def steps(self) -> int:
        """In how many applies it is applied."""
        return len(self.opening) + 1


@dataclass(frozen=True, slots=True)
class Node:
    """A virtual machine of the cluster; addresses are None where it has none."""

    id: str
    public_ip: str | None
    private_ip: str | None
    is_head: bool = False


@dataclass(frozen=True, slots=True)
class StackStatus:
    """A stack as Terraform state has it; `reason` says why a state is unknown.

    `endpoints` says where a port is reached, by the port's text (`8080`, `udp 53`), on a cloud
    where that is not a node's address.
    """

    stack: Stack
    state: StackState
    rules: tuple[PortRule, ...] = ()
    nodes: tuple[Node, ...] = ()
    reason: str | None = None
    warnings: tuple[Diagnostic, ...] = ()
    endpoints: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StackClosed:
    """A destroyed stack: what it closed, and whether the proof that nothing is left went through."""

    stack: Stack
    changes: PortChanges
    counts: ResourceCounts
    verified_empty: bool
    warnings: tuple[Diagnostic, ...] = ()
