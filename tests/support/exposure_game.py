"""The exposures of firewalls drawn at random, held against packets that the oracle decides."""

from __future__ import annotations

import random
from collections.abc import Sequence

from skyports_tf.exposure.model import Exposure
from skyports_tf.exposure.terraform_json import view_of
from skyports_tf.exposure.views import exposed
from tests.support.exposure_oracle import Packet, ask, draw, network
from tests.support.plans import plan

Span = tuple[str, int, int, int, int, int]


def disagreements(questions: int, seed: int, per_firewall: int = 50) -> list[str]:
    """Every question that `exposure` and the oracle answer differently."""
    chance = random.Random(seed)
    found: list[str] = []
    for number in range(-(-questions // per_firewall)):
        firewall = draw(chance, number)
        view = view_of(plan(*firewall.resources))
        assert view is not None
        spans = spans_of(exposed(view).after)
        for _ in range(min(per_firewall, questions - number * per_firewall)):
            packet = ask(chance, firewall)
            if lets_in(spans, packet) != firewall.comes_in(packet):
                found.append(f"{packet} {firewall}")
    return found


def spans_of(exposures: Sequence[Exposure]) -> list[Span]:
    """Exposures as spans of ports and of addresses; a name is no address."""
    found = []
    for item in exposures:
        if item.source_kind == "cidr":
            block = network(item.source)
            ends = (int(block.network_address), int(block.broadcast_address))
            found.append((item.protocol, item.from_port, item.to_port, block.version, *ends))
    return found


def lets_in(spans: Sequence[Span], packet: Packet) -> bool:
    """Whether any exposure is about a packet."""
    protocol, port, version, address = (
        packet.protocol,
        packet.port,
        packet.address.version,
        int(packet.address),
    )
    return any(
        first <= address <= last
        and family == version
        and name in ("all", protocol)
        and (name != "all" or (low, high) == (0, 65535) if protocol == "icmp" else low <= port <= high)
        for name, low, high, family, first, last in spans
    )
