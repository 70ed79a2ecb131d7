"""From a resource's attributes to rules, by the facts of its provider."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain as chained
from typing import Any, Final

from skyports_tf.exposure.facts import facts_of
from skyports_tf.exposure.intervals import EVERY_PORT, FIRST_PORT, LAST_PORT, Interval, IntervalSet
from skyports_tf.exposure.lookup import Untold, UntoldError, text_of
from skyports_tf.exposure.neighbours import Neighbours
from skyports_tf.exposure.resources import Resource
from skyports_tf.exposure.rules import ALL, Rule
from skyports_tf.exposure.senders import SourceReader
from skyports_tf.exposure.shapes import PortsFact, RuleFact
from skyports_tf.exposure.values import UNKNOWN, Chain, Path, Unknown, blocks_at, items_at

#: The names of protocols, and IANA's numbers.
_PROTOCOLS: Final = {
    "-1": ALL,
    "*": ALL,
    "any": ALL,
    "all": ALL,
    "6": "tcp",
    "17": "udp",
    "1": "icmp",
    "58": "icmp",
    "icmpv4": "icmp",
    "icmpv6": "icmp",
    "ipv6-icmp": "icmp",
    "132": "sctp",
}
_WITH_PORTS: Final = frozenset({"tcp", "udp", "sctp"})
_ANY_PORT: Final = frozenset({"*", "any", "all", "-1"})
_RANGE = re.compile(r"\s*([0-9]{1,5})\s*(?:[-:]\s*([0-9]{1,5}))?\s*")


@dataclass(frozen=True, slots=True)
class Read:
    """The rules of a resource, and what of it nobody can tell."""

    rules: tuple[Rule, ...] = ()
    untold: tuple[Untold, ...] = ()


def read_resource(resource: Resource, neighbours: Neighbours) -> Read:
    """The rules that a resource holds among its `neighbours`; none for one that opens nothing."""
    facts = facts_of(resource.type)
    if facts is None:
        return Read()
    readers = [_RuleReader(resource, facts, rule, neighbours) for rule in facts.rules]
    found = list(chained.from_iterable(reader.rules() for reader in readers))
    untold = dict.fromkeys(item for reader in readers for item in reader.untold)
    return Read(tuple(found), tuple(untold))


class _RuleReader(SourceReader):
    """Reads the rules of one kind in one resource."""

    def rules(self) -> Iterator[Rule]:
        for place, chain in enumerate(blocks_at(self.resource.values, self.fact.each)):
            if isinstance(chain, Unknown):
                self._unknown_block()
                continue
            for other in self.others:
                self.other = other
                try:
                    rule = self._rule(chain, place)
                except UntoldError as error:
                    self.tell(str(error))
                else:
                    yield from () if rule is None else (rule,)

    def _unknown_block(self) -> None:
        # a list that other resources fill is computed where the code gives none, or gives it dynamically
        computed = bool(self.fact.echo_of) and not self.resource.is_written(self.fact.each[:1])
        self.tell(".".join(self.fact.each), likely_empty=computed)

    def _rule(self, chain: Chain, place: int) -> Rule | None:
        fact = self.fact
        if not self.all_hold(chain, fact.when) or any(self.holds(chain, item) for item in fact.unless):
            return None
        if not self._counts_here(chain, fact):
            return None
        denies = fact.deny is not None and self.all_hold(chain, fact.deny)
        if denies and not self.all_hold(chain, fact.deny_whole):
            return None
        if not denies and not self.all_hold(chain, fact.allow):
            return None
        protocol = self._protocol(chain)
        ports = self._ports(chain) if self._has_ports(protocol) else EVERY_PORT
        sources = tuple(dict.fromkeys(self.sources(chain)))
        if not sources or not ports:
            return None
        return Rule(
            address=self.resource.address,
            cloud=self.facts.cloud,
            protocol=protocol,
            ports=ports,
            sources=sources,
            scope=self._scope(chain),
            priority=self._priority(chain, place),
            targets=tuple(frozenset(self._marks(chain, path)) for path in fact.targets),
            denies=denies,
            deny_wins_ties=fact.deny_wins_ties,
        )

    def _counts_here(self, chain: Chain, fact: RuleFact) -> bool:
        """Whether a rule counts among the resources around it."""
        via = fact.via
        if via is not None and via.needed and self.other is None:
            self.untold.append(Untold(self.resource.address, str(via.at), elsewhere=True))
            return False
        if via is not None and not self.all_hold(chain, via.when):
            return False
        return fact.unguarded is None or not self.neighbours.is_guarded(self.resource, fact.unguarded)

    # -- weighing --------------------------------------------------------------------------

    def _scope(self, chain: Chain) -> tuple[str, ...]:
        if not self.fact.scope:
            return (self.resource.address,)
        return tuple(self._mark(chain, path) for path in self.fact.scope)

    def _mark(self, chain: Chain, path: Path) -> str:
        value = self.value(chain, path)
        if value is UNKNOWN and path.steps == ("id",):
            return self.resource.address
        if value is UNKNOWN:
            return self._new_place(chain, path) or f"{self.resource.address} {path}"
        # one object may be named by its name, its path or its URL
        return text_of(value).lower().rpartition("/")[2] if value is not None else ""

    def _new_place(self, chain: Chain, path: Path) -> str | None:
        """What has no id yet, by its place in the code, and which of several that are there it is."""
        place = self.referred(chain, path)
        return None if place is None else place + self.resource.which(self.steps(chain, path))

    def _marks(self, chain: Chain, path: Path) -> Iterator[str]:
        for item in self.items(chain, path):
            yield self._mark(chain, path) if item is UNKNOWN else text_of(item)

    def _priority(self, chain: Chain, place: int) -> tuple[int, ...]:
        fact = self.fact
        if fact.last:
            return (1, 0)
        if fact.ordered:
            return (0, place)
        if fact.priority is None:
            return (0, 0)
        value = self._number(self.value(chain, fact.priority), fact.priority)
        is_unset = fact.priority_zero_is_unset and value == 0
        return (0, fact.priority_unset if value is None or is_unset else value)

    # -- what opens ------------------------------------------------------------------------

    def _protocol(self, chain: Chain) -> str:
        fact = self.fact.protocol
        for path, name in fact.blocks:
            if items_at(chain, path):
                return name
        value = self.value(chain, fact.at) if fact.at is not None else None
        if value is UNKNOWN:
            raise UntoldError(str(fact.at))
        name = fact.default if value is None else text_of(value).lower()
        name = fact.names.get(name, name)
        return _PROTOCOLS.get(name, name)

    def _has_ports(self, protocol: str) -> bool:
        return protocol in _WITH_PORTS or (protocol == ALL and self.fact.ports.of_any_protocol)

    def _ports(self, chain: Chain) -> IntervalSet:
        fact = self.fact.ports
        found: list[Interval] = []
        for first, last in fact.pairs:
            found += self._pair(chain, first, last)
        for path in fact.texts:
            for item in self.items(chain, path):
                found += self._port_text(item, path, fact)
        return IntervalSet.of(found) if found else fact.unset

    def _pair(self, chain: Chain, first: Path, last: Path) -> list[Interval]:
        ends = [self._number(self.value(chain, path), path) for path in (first, last)]
        if ends == [None, None] or (ends == [0, 0] and self.fact.ports.zero_is_unset):
            return []
        known = [end for end in ends if end is not None]
        return [(FIRST_PORT, LAST_PORT)] if min(known) < 0 else [(known[0], known[-1])]

    def _number(self, value: Any, path: Path) -> int | None:
        if value is UNKNOWN:
            raise UntoldError(str(path))
        if value is None:
            return None
        try:
            return int(value)
        except (TypeError, ValueError):
            raise UntoldError(str(path)) from None

    def _port_text(self, value: Any, path: Path, fact: PortsFact) -> Iterator[Interval]:
        if value is UNKNOWN:
            if fact.unknown is None:
                raise UntoldError(str(path))
            yield from fact.unknown
            return
        for text in text_of(value).lower().split(","):
            found = _RANGE.fullmatch(text)
            if text.strip() in _ANY_PORT or text.strip() in fact.words:
                yield FIRST_PORT, LAST_PORT
            elif found and not (fact.zero_is_unset and found[0].strip() == "0"):
                yield int(found[1]), min(int(found[2] or found[1]), LAST_PORT)
            elif not found:
                raise UntoldError(str(path))
