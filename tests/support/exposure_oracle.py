"""Firewalls drawn at random, and a packet decided rule by rule, by nothing of what `exposure` is made of.

A packet goes the way that each cloud documents: rules by priority or in their order, the first that matches
decides, or any that allows is enough; what nothing matches is refused, or goes by the firewall's policy.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tests.support.plans import change

PROTOCOLS = ("tcp", "udp", "icmp")
_BLOCKS = (
    "0.0.0.0/0",
    "0.0.0.0/1",
    "10.0.0.0/8",
    "10.0.0.0/9",
    "10.64.0.0/10",
    "81.2.69.0/24",
    "81.2.69.142/32",
    "192.168.0.0/16",
    "::/0",
    "2000::/3",
    "2600:1f00::/24",
    "fd00::/8",
)


@dataclass(frozen=True)
class Line:
    """One rule in our own words: `priority` is its place in a list where the cloud has no numbers."""

    allows: bool
    priority: int
    protocol: str
    ports: tuple[tuple[int, int], ...]
    blocks: tuple[str, ...]
    tags: tuple[str, ...] = ()

    def matches(self, packet: Packet) -> bool:
        """Whether the rule is about a packet."""
        return (
            (not self.tags or packet.tag in self.tags)
            and self.protocol in ("all", packet.protocol)
            and self._matches_port(packet)
            and any(packet.address in network(block) for block in self.blocks)
        )

    def _matches_port(self, packet: Packet) -> bool:
        if packet.protocol == "icmp":
            # a rule for some ports of every protocol is for those that have ports
            return self.protocol != "all" or self.ports == ((0, 65535),)
        return any(low <= packet.port <= high for low, high in self.ports)


@dataclass(frozen=True)
class Packet:
    """What somebody sends: to a machine that bears one tag, or none."""

    protocol: str
    port: int
    address: Any
    tag: str = ""


@dataclass
class Firewall:
    """A firewall of one kind; `decide` says whether it lets a packet in, `resources` are its code.

    Packets are drawn near `lines`, and near those `beside` them, which let nothing in.
    """

    kind: str
    lines: list[Line]
    accepts: bool = False
    resources: list[dict[str, Any]] = field(default_factory=list)
    beside: list[Line] = field(default_factory=list)

    def decide(self, packet: Packet) -> bool:
        """Whether a packet comes in."""
        found = [line for line in self.lines if line.matches(packet)]
        if self.kind == "any":
            return bool(found)
        if not found:
            return self.accepts
        first = min(line.priority for line in found)
        ties = [line for line in found if line.priority == first]
        return all(line.allows for line in ties)

    def comes_in(self, packet: Packet) -> bool:
        """Whether a packet comes in on any machine, whatever tag it bears."""
        tags = ["", *sorted({tag for line in self.lines for tag in line.tags})]
        return any(self.decide(Packet(packet.protocol, packet.port, packet.address, tag)) for tag in tags)


_NETWORKS: dict[str, Any] = {}


def network(block: str) -> Any:
    """The network of a block, read once."""
    if block not in _NETWORKS:
        _NETWORKS[block] = ipaddress.ip_network(block)
    return _NETWORKS[block]


# -- drawing ---------------------------------------------------------------------------


def draw(seed: random.Random, number: int) -> Firewall:
    """A firewall of one of the kinds."""
    maker = seed.choice(_MAKERS)
    return maker(seed, number)


def _lines(seed: random.Random, denies: bool, ports: Callable[[random.Random], Any]) -> Iterator[Line]:
    for priority in range(seed.randint(1, 6)):
        protocol = seed.choice(("tcp", "tcp", "udp", "icmp", "all"))
        yield Line(
            allows=not denies or seed.random() < 0.6,
            priority=priority,
            protocol=protocol,
            ports=ports(seed) if protocol in ("tcp", "udp") else ((0, 65535),),
            blocks=_blocks(seed),
        )


def _blocks(seed: random.Random) -> tuple[str, ...]:
    found = set(seed.sample(_BLOCKS, seed.randint(1, 3)))
    if seed.random() < 0.5:
        bits = seed.randint(1, 32)
        block = ipaddress.ip_network((seed.getrandbits(32), bits), strict=False)
        found.add(str(block))
    return tuple(sorted(found))


def _ranges(seed: random.Random, most: int = 3) -> tuple[tuple[int, int], ...]:
    if seed.random() < 0.15:
        return ((0, 65535),)
    ends = [sorted((seed.choice(_EDGES), seed.choice(_EDGES))) for _ in range(seed.randint(1, most))]
    return tuple((low, high) for low, high in ends)


_EDGES = (1, 21, 22, 23, 79, 80, 443, 8000, 8100, 65535)


def _text(low: int, high: int) -> str:
    return str(low) if low == high else f"{low}-{high}"


def _any_of(seed: random.Random, number: int) -> Firewall:
    """Every rule allows, one range and one block each."""
    lines = [
        Line(True, 0, line.protocol, line.ports[:1], (block,))
        for line in _lines(seed, False, lambda seed: _ranges(seed, 1))
        for block in line.blocks
    ]
    made = []
    for place, line in enumerate(lines):
        family = "cidr_ipv6" if ":" in line.blocks[0] else "cidr_ipv4"
        (low, high) = line.ports[0]
        values: dict[str, Any] = {
            "ip_protocol": "-1" if line.protocol == "all" else line.protocol,
            family: line.blocks[0],
        }
        if line.protocol != "all":
            low, high = (-1, -1) if line.protocol == "icmp" else (low, high)
            values |= {"from_port": low, "to_port": high}
        made.append(change(f"aws_vpc_security_group_ingress_rule.g{number}_{place}", values))
    return Firewall("any", lines, resources=made)


def _numbered(seed: random.Random, number: int) -> Firewall:
    """Rules with a number each, in one group."""
    lines = [
        replace(line, ports=_ranges(seed)) if line.protocol == "all" and seed.random() < 0.5 else line
        for line in _lines(seed, True, _ranges)
    ]
    seed.shuffle(lines)
    rules = [_numbered_rule(seed, line) for line in lines]
    where = {"resource_group_name": "group", "network_security_group_name": f"g{number}"}
    if seed.random() < 0.5:
        values = {"resource_group_name": "group", "name": f"g{number}", "security_rule": rules}
        return Firewall(
            "first", lines, resources=[change(f"azurerm_network_security_group.g{number}", values)]
        )
    made = [
        change(f"azurerm_network_security_rule.g{number}_{place}", {**rule, **where})
        for place, rule in enumerate(rules)
    ]
    return Firewall("first", lines, resources=made)


def _numbered_rule(seed: random.Random, line: Line) -> dict[str, Any]:
    everyone = {"0.0.0.0/0", "::/0"} <= set(line.blocks)
    rule: dict[str, Any] = {
        "access": "Allow" if line.allows else "Deny",
        "direction": "Inbound",
        "priority": 100 + line.priority,
        "protocol": "*" if line.protocol == "all" else line.protocol.title(),
        "source_port_range": "*",
        "destination_address_prefix": "*",
    }
    if line.ports != ((0, 65535),):
        rule["destination_port_ranges"] = [_text(low, high) for low, high in line.ports]
    else:
        rule["destination_port_range"] = "*"
    if everyone:
        rule["source_address_prefix"] = seed.choice(("*", "Any"))
    else:
        rule["source_address_prefixes"] = list(line.blocks)
    return rule


def _tagged(seed: random.Random, number: int) -> Firewall:
    """Rules with numbers that may be alike, for machines with a tag; one that denies wins a tie."""
    drawn = list(_lines(seed, True, _ranges))
    lines = [
        Line(
            line.allows,
            seed.randint(0, 3),
            line.protocol,
            line.ports,
            line.blocks,
            tuple(sorted(seed.sample(("a", "b", "c"), seed.choice((0, 0, 1, 2))))),
        )
        for line in drawn
    ]
    made = []
    for place, line in enumerate(lines):
        block: dict[str, Any] = {"protocol": line.protocol}
        if line.protocol in ("tcp", "udp") and line.ports != ((0, 65535),):
            block["ports"] = [_text(low, high) for low, high in line.ports]
        values: dict[str, Any] = {
            "name": f"g{number}-{place}",
            "network": f"projects/p/global/networks/g{number}",
            "direction": "INGRESS",
            "priority": line.priority,
            "source_ranges": list(line.blocks),
            "target_tags": list(line.tags),
            "allow": [block] if line.allows else [],
            "deny": [] if line.allows else [block],
        }
        made.append(change(f"google_compute_firewall.g{number}_{place}", values))
    return Firewall("first", lines, resources=made)


def _listed(seed: random.Random, number: int) -> Firewall:
    """Rules in their order, then a policy."""
    lines = list(_lines(seed, True, _ranges))
    accepts = seed.random() < 0.4
    rules = [
        {
            "action": "ACCEPT" if line.allows else "DROP",
            "protocol": line.protocol.upper() if line.protocol != "all" else "ANY",
            "ports": ", ".join(_text(low, high) for low, high in line.ports)
            if line.protocol in ("tcp", "udp")
            else None,
            "ipv4": [block for block in line.blocks if ":" not in block],
            "ipv6": [block for block in line.blocks if ":" in block],
        }
        for line in lines
    ]
    values = {"inbound": rules, "inbound_policy": "ACCEPT" if accepts else "DROP"}
    return Firewall("first", lines, accepts, [change(f"linode_firewall.g{number}", values)])


def _let_in(seed: random.Random, number: int) -> Firewall:
    """A load balancer's port with lists of addresses, which decides whom none of them matches to let in."""
    port = seed.choice(_EDGES)
    lines = [
        Line(line.allows, line.priority, "tcp", ((port, port),), line.blocks)
        for line in _lines(seed, True, _ranges)
    ]
    lists = [
        {
            "action": [{"type": "allow" if line.allows else "deny"}],
            "match": [{"ip_subnet": list(line.blocks), "http_filter": "acl_http_filter_none"}],
        }
        for line in lines
    ]
    front = {"id": f"zone/g{number}", "lb_id": "zone/l", "inbound_port": port}
    if seed.random() < 0.5:
        made = [change(f"scaleway_lb_frontend.g{number}", {**front, "acl": lists})]
    else:
        made = [change(f"scaleway_lb_frontend.g{number}", front)]
        for place, item in enumerate(lists):
            values = {**item, "frontend_id": front["id"], "index": place}
            made.append(change(f"scaleway_lb_acl.g{number}_{place}", values))
    everyone = Line(True, len(lines), "tcp", ((port, port),), ("0.0.0.0/0", "::/0"))
    return Firewall("first", [*lines, everyone], resources=made)


def _balanced(seed: random.Random, number: int) -> Firewall:
    """Listeners of load balancers: only one of the internet and without groups lets everyone in."""
    open_lines: list[Line] = []
    closed: list[Line] = []
    made = []
    for place in range(seed.randint(1, 3)):
        name = f"arn:loadbalancer/net/g{number}/{place}"
        dual, internal, guarded = (seed.random() < share for share in (0.5, 0.3, 0.3))
        values = {
            "id": name,
            "load_balancer_type": "network",
            "internal": internal,
            "ip_address_type": "dualstack" if dual else "ipv4",
            "security_groups": ["sg-1"] if guarded else [],
        }
        made.append(change(f"aws_lb.g{number}_{place}", values))
        for _ in range(seed.randint(1, 3)):
            protocol, port = seed.choice(("TCP", "TLS", "UDP", "TCP_UDP")), seed.choice(_EDGES)
            listener = {"load_balancer_arn": name, "protocol": protocol, "port": port}
            made.append(change(f"aws_lb_listener.g{number}_{len(made)}", listener))
            blocks = ("0.0.0.0/0", "::/0") if dual else ("0.0.0.0/0",)
            for spoken in {"TCP_UDP": ("tcp", "udp"), "UDP": ("udp",)}.get(protocol, ("tcp",)):
                line = Line(True, 0, spoken, ((port, port),), blocks)
                (closed if internal or guarded else open_lines).append(line)
    return Firewall("any", open_lines, resources=made, beside=closed)


_MAKERS: Sequence[Callable[[random.Random, int], Firewall]] = (
    _any_of,
    _numbered,
    _tagged,
    _listed,
    _let_in,
    _balanced,
)


# -- asking ----------------------------------------------------------------------------


def ask(seed: random.Random, firewall: Firewall) -> Packet:
    """A packet near the edges of a firewall's rules, where mistakes are."""
    line = seed.choice([*firewall.lines, *firewall.beside])
    ports = [edge + step for low, high in line.ports for edge in (low, high) for step in (-1, 0, 1)]
    port = min(max(seed.choice(ports), 0), 65535) if seed.random() < 0.8 else seed.randint(0, 65535)
    block = network(seed.choice(line.blocks))
    ends = (int(block.network_address), int(block.broadcast_address))
    number = seed.choice((ends[0] - 1, ends[0], ends[1], ends[1] + 1, seed.randint(*ends)))
    number = min(max(number, 0), 2**block.max_prefixlen - 1)
    address = ipaddress.ip_address(number) if block.version == 4 else ipaddress.IPv6Address(number)
    return Packet(seed.choice(PROTOCOLS), port, address)
