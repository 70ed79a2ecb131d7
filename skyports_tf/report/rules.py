"""A stack's rules in port words."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from skyports_tf.model import Stack
from skyports_tf.ports import PortRange, PortSet

if TYPE_CHECKING:
    from skyports_tf.outcomes import PortRule


def range_text(rule: PortRule) -> str:
    """`8888`, or `9000-9005`."""
    return str(_range(rule)) if rule.from_port else "every port"


def port_texts(rules: Iterable[PortRule]) -> list[str]:
    """All ports of the rules: `8888`, `9000-9005`, and `udp 53` for what is not TCP."""
    return range_texts((rule.protocol, _range(rule)) for rule in rules)


def stack_ports(stack: Stack) -> list[str]:
    """The ports that a stack wants open, spelled alike."""
    return range_texts((rule.protocol, rule.ports) for rule in stack.rules)


def range_texts(ranges: Iterable[tuple[str, PortRange]]) -> list[str]:
    """Ranges of ports by protocol, merged and spelled; TCP goes without saying."""
    by_protocol: dict[str, list[PortRange]] = {}
    for protocol, ports in ranges:
        by_protocol.setdefault(protocol, []).append(ports)
    return [
        str(item) if protocol == "tcp" else f"{protocol} {item}"
        for protocol in sorted(by_protocol)
        for item in PortSet.of(by_protocol[protocol])
    ]


def port_set(rules: Iterable[PortRule]) -> PortSet:
    """Every port of the rules, whatever the protocol."""
    return PortSet.of(map(_range, rules))


def _range(rule: PortRule) -> PortRange:
    # a rule for every protocol begins at 0, which is no port
    return PortRange(max(rule.from_port, 1), rule.to_port)


def is_internet(source: str) -> bool:
    """Whether the source is every address of its family."""
    return source in ("0.0.0.0/0", "::/0")


def task_files(stack: Stack) -> list[str]:
    """The task files that a stack was compiled from, sorted."""
    return sorted({entry.file for entry in stack.entries})
