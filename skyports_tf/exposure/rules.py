"""What firewall rules open once those that deny are weighed: sets of ports by sets of addresses.

A rule that allows loses what a rule that denies takes first: one of the same scope with a better priority,
for all that the rule is for. What cannot be told to be denied stays open.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from skyports_tf.exposure.addresses import EVERYONE, AddressSet, is_internet, public_addresses, strangers
from skyports_tf.exposure.intervals import EVERY_PORT, IntervalSet
from skyports_tf.exposure.model import Exposure, SourceKind

ALL: Final = "all"
#: Every protocol that nothing names, where one is denied and the others are not.
OTHER: Final = "other"
_NAMED: Final = ("tcp", "udp", "icmp")
_PORTED: Final = frozenset({"tcp", "udp", "sctp"})

_Rectangle = tuple[IntervalSet, AddressSet]


@dataclass(frozen=True, slots=True)
class RuleSource:
    """Who a rule is for; `addresses` is None for a name whose addresses nobody here knows."""

    text: str
    kind: SourceKind
    addresses: AddressSet | None = None

    def is_internet(self, ours: tuple[str, ...]) -> bool:
        """Whether it holds public addresses that are not `ours`."""
        if self.kind == "cidr":
            return is_internet(self.text, ours)
        return self.addresses is not None and bool(self.addresses & strangers(ours))


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule as a cloud weighs it: `priority` sorts, the lowest first.

    Rules of one `scope` are weighed together; `targets` are the marks of the machines that it is
    for, by kind of mark, an empty set for every machine.
    """

    address: str
    cloud: str
    protocol: str
    ports: IntervalSet
    sources: tuple[RuleSource, ...]
    scope: Hashable = None
    priority: tuple[int, ...] = ()
    targets: tuple[frozenset[str], ...] = ()
    denies: bool = False
    deny_wins_ties: bool = False

    def marks(self) -> Iterator[tuple[int, str] | None]:
        """The marks that make a machine one of the rule's, each alone; None where it is for every machine."""
        if not any(self.targets):
            yield None
        for kind, names in enumerate(self.targets):
            yield from ((kind, name) for name in sorted(names))

    def is_about(self, protocol: str) -> bool:
        """Whether it is for a protocol; one for some ports of every protocol is for those with ports."""
        if self.protocol != ALL:
            return self.protocol == protocol
        return self.ports == EVERY_PORT or protocol in _PORTED or protocol == ALL

    def beats(self, other: Rule, mark: tuple[int, str] | None) -> bool:
        """Whether this rule, which denies, comes before the other on a machine that has `mark` alone."""
        first = self.priority < other.priority
        if not first and not (self.deny_wins_ties and self.priority == other.priority):
            return False
        return not any(self.targets) or (mark is not None and mark[1] in self.targets[mark[0]])


@lru_cache(maxsize=1)
def everyone() -> AddressSet:
    """Every address of both families."""
    return AddressSet.of(EVERYONE)


@lru_cache(maxsize=16384)
def block_source(block: str) -> RuleSource:
    """The source that a CIDR block is."""
    return RuleSource(block, "cidr", AddressSet.of((block,)))


@lru_cache(maxsize=64)
def internet_word(word: str) -> RuleSource:
    """The source that a cloud's own word for the internet is."""
    return RuleSource(word, "tag", public_addresses())


def exposures_of(
    rules: Iterable[Rule], ours: tuple[str, ...] = (), stack: str | None = None
) -> tuple[Exposure, ...]:
    """What the rules open, sorted, each once; `ours` are blocks that are not the internet."""
    known = list(rules)
    denying: dict[Hashable, list[Rule]] = {}
    for rule in known:
        if rule.denies:
            denying.setdefault(rule.scope, []).append(rule)
    found = {
        _exposure(rule, opening, ours, stack)
        for rule in known
        if not rule.denies
        for mark in rule.marks()
        for opening in _openings(
            rule, [deny for deny in denying.get(rule.scope, ()) if deny.beats(rule, mark)]
        )
    }
    return tuple(sorted(found, key=lambda item: item.sort_key))


_Opening = tuple[str, tuple[int, int], RuleSource]


def _exposure(rule: Rule, opening: _Opening, ours: tuple[str, ...], stack: str | None) -> Exposure:
    protocol, (first, last), source = opening
    return Exposure(
        address=rule.address,
        cloud=rule.cloud,
        stack=stack,
        protocol=protocol,
        from_port=first,
        to_port=last,
        source=source.text,
        source_kind=source.kind,
        internet=source.is_internet(ours),
    )


def _openings(rule: Rule, denies: Sequence[Rule]) -> Iterator[_Opening]:
    for source in rule.sources:
        left = {name: _left(rule.ports, source, denies, name) for name in _protocols(rule, denies)}
        if all(parts == [(rule.ports, source)] for parts in left.values()):
            left = {rule.protocol: [(rule.ports, source)]}
        yield from (
            (protocol, interval, rest)
            for protocol, parts in left.items()
            for ports, rest in parts
            for interval in ports
        )


def _protocols(rule: Rule, denies: Sequence[Rule]) -> tuple[str, ...]:
    """The protocols that the rule's own falls into, as the rules that deny tell them apart."""
    if rule.protocol != ALL or not denies:
        return (rule.protocol,)
    named = dict.fromkeys((*_NAMED, *(deny.protocol for deny in denies if deny.protocol != ALL), OTHER))
    return tuple(name for name in named if rule.is_about(name))


def _left(
    ports: IntervalSet, source: RuleSource, denies: Sequence[Rule], protocol: str
) -> list[tuple[IntervalSet, RuleSource]]:
    """What of `ports` and `source` the rules that deny leave open in one protocol."""
    ports = ports if protocol in _PORTED or protocol == ALL else EVERY_PORT
    against = [deny for deny in denies if deny.is_about(protocol)]
    if source.addresses is None:
        rest = _name_left(ports, source, against)
        return [(rest, source)] if rest else []
    whole = (ports, source.addresses)
    rectangles = [whole]
    for deny in against:
        taken = _addresses(deny)
        rectangles = [part for item in rectangles for part in _without(item, (deny.ports, taken))]
    return [
        (item, part)
        for item, rest in _merged(rectangles)
        for part in ([source] if rest == source.addresses else map(block_source, rest.blocks()))
    ]


def _name_left(ports: IntervalSet, source: RuleSource, denies: Sequence[Rule]) -> IntervalSet:
    """A name loses what is denied to that very name, or to everyone."""
    for deny in denies:
        if source in deny.sources or _addresses(deny).covers(everyone()):
            ports = ports - deny.ports
    return ports


def _addresses(rule: Rule) -> AddressSet:
    found = AddressSet()
    for source in rule.sources:
        found = found | source.addresses if source.addresses is not None else found
    return found


def _without(item: _Rectangle, taken: _Rectangle) -> Iterator[_Rectangle]:
    """`item` without `taken`, as at most two rectangles that do not overlap."""
    ports, addresses = item
    if not ports & taken[0] or not addresses & taken[1]:
        yield item
        return
    if beside := ports - taken[0]:
        yield beside, addresses
    if rest := addresses - taken[1]:
        yield ports & taken[0], rest


def _merged(rectangles: Iterable[_Rectangle]) -> Iterator[_Rectangle]:
    """The rectangles with those of the same addresses as one."""
    found: dict[AddressSet, IntervalSet] = {}
    for ports, addresses in rectangles:
        found[addresses] = found[addresses] | ports if addresses in found else ports
    for addresses, ports in found.items():
        yield ports, addresses
