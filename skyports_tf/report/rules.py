"""A stack's rules in port words."""

from __future__ import annotations

from collections.abc import Iterable

from skyports_tf.changes import group_rules, stack_rules
from skyports_tf.model import PortRule, Stack
from skyports_tf.ports import PortRange, PortSet


def wanted_rules(stack: Stack) -> tuple[PortRule, ...]:
    """The stack's rules by protocol and range, each with its sources and the files that ask for it."""
    return group_rules(stack_rules(stack).values())


def range_text(rule: PortRule) -> str:
    """`8888`, or `9000-9005`."""
    return str(PortRange(rule.from_port, rule.to_port)) if rule.from_port else "every port"


def port_texts(rules: Iterable[PortRule]) -> list[str]:
    """All ports of the rules: `8888`, `9000-9005`, and `udp 53` for what is not TCP."""
    found = list(rules)
    texts = []
    for protocol in sorted({rule.protocol for rule in found}):
        texts += [
            str(item) if protocol == "tcp" else f"{protocol} {item}"
            for item in port_set(rule for rule in found if rule.protocol == protocol)
        ]
    return texts


def port_set(rules: Iterable[PortRule]) -> PortSet:
    """Every port of the rules, whatever the protocol."""
    return PortSet.of(PortRange(max(rule.from_port, 1), rule.to_port) for rule in rules)


def is_internet(source: str) -> bool:
    """Whether the source is every address of its family."""
    return source in ("0.0.0.0/0", "::/0")


def task_files(stack: Stack) -> list[str]:
    """The task files that a stack was compiled from, sorted."""
    return sorted({entry.file for entry in stack.entries})
