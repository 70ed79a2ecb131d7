"""Ports, sources and clusters in words of a review: `tcp/8888 to the internet on web`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from skyports_tf.model import Stack
from skyports_tf.outcomes import PortRule
from skyports_tf.ports import FIRST_PORT, LAST_PORT, PortRange, PortSet

Ports = tuple[tuple[str, PortSet], ...]


def port_word(protocol: str, ports: PortRange) -> str:
    """`tcp/8888`, `tcp/9000-9005`; every port of a protocol is `tcp/*`, and all of all `every port`."""
    if (ports.first, ports.last) != (FIRST_PORT, LAST_PORT):
        return f"{protocol}/{ports}"
    return "every port" if protocol == "all" else f"{protocol}/*"


def rule_word(rule: PortRule) -> str:
    """The ports of a rule."""
    return port_word(rule.protocol, PortRange(max(rule.from_port, 1), max(rule.to_port, 1)))


def port_words(ports: Ports) -> list[str]:
    """Every range of ports, in a fixed order."""
    return [port_word(protocol, item) for protocol, found in ports for item in found]


def packed_words(ports: Ports) -> str:
    """The same as short as it goes: `tcp/80,443,9000-9005 udp/53`."""
    return " ".join(
        f"{protocol}/{','.join(map(str, found))}" if word is None else word
        for protocol, found in ports
        for word in (port_word(protocol, found.ranges[0]).replace(" ", "-") if _is_all(found) else None,)
    )


def _is_all(ports: PortSet) -> bool:
    return len(ports.ranges) == 1 and (ports.ranges[0].first, ports.ranges[0].last) == (FIRST_PORT, LAST_PORT)


def by_source(reach: Mapping[tuple[str, str], PortSet]) -> dict[str, Ports]:
    """The ports of each source of a reach, by protocol."""
    found: dict[str, dict[str, PortSet]] = {}
    for (protocol, source), ports in reach.items():
        found.setdefault(source, {})[protocol] = ports
    return {source: tuple(sorted(ports.items(), key=lambda item: item[0])) for source, ports in found.items()}


def listed(words: Sequence[str], most: int, noun: str = "") -> str:
    """`a`, `a and b`, `a, b and 3 more`: at most so many words, the rest counted; `noun` is a plural in s."""
    if len(words) > most:
        left = len(words) - most
        more = f"{left} more {noun.removesuffix('s') if left == 1 else noun}".rstrip()
        return f"{', '.join(words[:most])} and {more}" if most else more
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))


def place_word(stack: Stack) -> str:
    """Where a stack is, as a task file spells it: `aws/us-east-1`."""
    return "/".join(filter(None, (stack.cloud, stack.region)))


def unique(words: Iterable[str]) -> list[str]:
    """Each word once, in the order of the first."""
    return list(dict.fromkeys(words))
