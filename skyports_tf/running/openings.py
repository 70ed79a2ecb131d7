"""What a rule's resource opens, read from its attributes as `terraform show -json` has them.

Providers spell a rule in a few ways: names for the protocol, a range as two numbers or a text, lists of
ports or of sources, some of it in a block of its own. Who uses what is read here holds it against what
the stack asks for (`moves`): where the two agree, the spelling was understood.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from skyports_tf.ports import FIRST_PORT, LAST_PORT, PortRange, PortSet
from skyports_tf.reach import union

Reach: TypeAlias = dict[tuple[str, str], PortSet]

#: Names of protocols, and IANA's numbers.
_PROTOCOLS = {"tcp": "tcp", "6": "tcp", "udp": "udp", "17": "udp"}
_PROTOCOL_NAMES = ("ip_protocol", "protocol")
#: Blocks that hold the ports of one protocol.
_PROTOCOL_BLOCKS = {"tcp": "tcp", "udp": "udp", "tcp_options": "tcp", "udp_options": "udp"}
#: Blocks that hold ports which are not those that open.
_OTHER_BLOCKS = frozenset({"source_port_range"})
#: Who may reach the ports, and how we spell such a source.
_SOURCE_NAMES = {
    "cidr_ipv4": "",
    "cidr_ipv6": "",
    "prefix_list_id": "",
    "referenced_security_group_id": "",
    "remote": "",
    "source": "",
    "source_cidrs": "",
    "source_ranges": "",
    "load_balancer_source_ranges": "",
    "source_addresses": "",
    "source_address_prefixes": "",
    "source_address_prefix": "tag:",
    "source_tags": "tag:",
}
_PORT_NAMES = ("ports", "port", "port_range", "destination_ports", "destination_port_ranges")
_PORT_PAIRS = (("from_port", "to_port"), ("port_min", "port_max"), ("min", "max"))
_RANGE = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")


@dataclass(frozen=True, slots=True)
class _Block:
    """What the blocks around say of those inside."""

    protocol: str | None = None
    sources: tuple[str, ...] = ()


def openings_of(attributes: object) -> Reach:
    """What the attributes of a resource open; nothing where they are not understood."""
    return union(_walk(attributes, _Block())) if isinstance(attributes, dict) else {}


def _walk(node: Mapping[str, Any], around: _Block) -> Iterator[Reach]:
    block = _Block(_protocol(node) or around.protocol, _sources(node) or around.sources)
    ports = PortSet.of(_ports(node))
    if ports and block.protocol:
        yield {(block.protocol, source): ports for source in block.sources}
    for name, value in node.items():
        if name in _OTHER_BLOCKS:
            continue
        inside = replace(block, protocol=_PROTOCOL_BLOCKS.get(name, block.protocol))
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, dict):
                yield from _walk(item, inside)


def _protocol(node: Mapping[str, Any]) -> str | None:
    named = (node.get(name) for name in _PROTOCOL_NAMES)
    return next((_PROTOCOLS[text] for item in named if (text := str(item).lower()) in _PROTOCOLS), None)


def _sources(node: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(
        f"{prefix}{item}"
        for name, prefix in _SOURCE_NAMES.items()
        for item in _plain(node.get(name))
        if isinstance(item, str) and item
    )


def _ports(node: Mapping[str, Any]) -> Iterator[PortRange]:
    for first, last in _PORT_PAIRS:
        if isinstance(node.get(first), int) and isinstance(node.get(last), int):
            yield from _range(node[first], node[last])
    for name in _PORT_NAMES:
        for item in _plain(node.get(name)):
            if found := _RANGE.fullmatch(str(item)):
                yield from _range(int(found[1]), int(found[2] or found[1]))


def _range(first: int, last: int) -> Iterator[PortRange]:
    if FIRST_PORT <= first <= last <= LAST_PORT:
        yield PortRange(first, last)


def _plain(value: object) -> Iterable[object]:
    """The values of an attribute that is no block: one, or a list of them."""
    found = value if isinstance(value, list) else [value]
    return [item for item in found if item is not None and not isinstance(item, dict)]
