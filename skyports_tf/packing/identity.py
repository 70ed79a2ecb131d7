"""Keys of rules that stay: what a rule was called in the last compile, it is called in the next.

A rule that opens much of what a previous rule opened takes over its key, so that an edit
changes rules in place; single ports stay in their rule where that costs no rule. But no key is
taken over where a port that stays wanted would have to close for a moment (ordering.py).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice, product
from typing import TypeAlias

from skyports_tf.model import PackedRule, Protocol
from skyports_tf.ordering import Move, find_order
from skyports_tf.packing.rectangles import Ports, Rectangle, Sources
from skyports_tf.ports import PortRange, PortSet
from skyports_tf.reach import meet, union
from skyports_tf.sources import Source


def keyed_rules(
    name: str, rectangles: Sequence[Rectangle], previous: Sequence[PackedRule]
) -> list[PackedRule]:
    """Rules for `rectangles`; one that opens what a previous rule opened takes over its key."""
    inherited = _inherit(rectangles, [(frozenset(rule.sources), dict(rule.ports)) for rule in previous])
    taken = {previous[item].key for item in inherited.values()}
    fresh = _fresh_keys(name, taken)
    return [
        _rule(previous[inherited[position]].key if position in inherited else next(fresh), rectangle)
        for position, rectangle in enumerate(rectangles)
    ]


def _fresh_keys(name: str, taken: set[str]) -> Iterator[str]:
    number = 0
    while True:
        number += 1
        if f"{name}-{number}" not in taken:
            yield f"{name}-{number}"


def _rule(key: str, rectangle: Rectangle) -> PackedRule:
    sources, ports = rectangle
    ordered = tuple(sorted(sources, key=lambda source: source.sort_key))
    return PackedRule(key, tuple(sorted(ports.items())), ordered)


def _inherit(new: Sequence[Rectangle], old: Sequence[Rectangle]) -> dict[int, int]:
    """Which of `old` each of `new` continues: the pairs that share most, first."""
    pairs = sorted(
        (tuple(-part for part in shared), i, j)
        for (i, one), (j, other) in product(enumerate(new), enumerate(old))
        if any(shared := _shared(one, other))
    )
    found: dict[int, int] = {}
    for _, i, j in pairs:
        if i not in found and j not in found.values():
            found[i] = j
    return found


def _shared(one: Rectangle, other: Rectangle) -> tuple[int, int, int]:
    """How much two rectangles share: pairs of port and source, then ports, then sources."""
    sources = len(one[0] & other[0])
    ports = sum(len(ranges & other[1].get(protocol, PortSet())) for protocol, ranges in one[1].items())
    return sources * ports, ports, sources


# -- keys that must not stay -----------------------------------------------------------


_Reach: TypeAlias = dict[tuple[Protocol, Source], PortSet]


def with_steps(name: str, rules: Sequence[PackedRule], previous: Sequence[PackedRule]) -> list[PackedRule]:
    """`rules`, where those get a fresh key that could not open first and close then.

    Such a rule loses a port that stays wanted and gains another that no rule keeps meanwhile: whichever
    call comes first, a port is closed. Under a fresh key it opens before the old one closes.
    """
    before = {rule.key: _reach(rule) for rule in previous}
    found = list(rules)
    fresh = _fresh_keys(name, {*before, *(rule.key for rule in rules)})
    while before:
        reach = {rule.key: _reach(rule) for rule in found}
        changed = [key for key in {**before, **reach} if before.get(key) != reach.get(key)]
        moves = [Move(key, before.get(key, {}), reach.get(key, {})) for key in changed]
        kept = union(reach[key] for key in reach if before.get(key) == reach[key])
        gaps = find_order(moves, kept, most=1).gaps
        if not gaps:
            break
        bad = {move.name for move in moves if move.before and meet(move.after, gaps)}
        found = [replace(rule, key=next(fresh)) if rule.key in bad else rule for rule in found]
    return found


def _reach(rule: PackedRule) -> _Reach:
    return {(protocol, source): ports for protocol, ports in rule.ports for source in rule.sources}


# -- single ports ----------------------------------------------------------------------


def batched_rules(
    name: str, rectangles: Sequence[Rectangle], most: int | None, previous: Sequence[PackedRule]
) -> list[PackedRule]:
    """Rules of at most `most` single ports each; a port stays in its rule where that costs none."""
    groups: dict[Sources, list[PackedRule]] = {}
    for rule in previous:
        groups.setdefault(frozenset(rule.sources), []).append(rule)
    old = [(sources, _together(rules)) for sources, rules in groups.items()]
    inherited = _inherit(rectangles, old)
    kept = {position: groups[old[item][0]] for position, item in inherited.items()}
    fresh = _fresh_keys(name, {rule.key for rules in kept.values() for rule in rules})
    found: list[PackedRule] = []
    for position, (sources, ports) in enumerate(rectangles):
        if position not in kept:
            found += [_rule(next(fresh), (sources, batch)) for batch in _batches(ports, most)]
            continue
        wanted = [(protocol, port) for protocol, ranges in ports.items() for port in _singles(ranges)]
        before = [(rule.key, _port_list(rule)) for rule in kept[position]]
        for key, members in _fill(wanted, before, most or max(len(wanted), 1), fresh):
            found.append(_rule(key, (sources, _ports_of(members))))
    return found


_Port: TypeAlias = tuple[Protocol, int]


def _batches(ports: Ports, most: int | None) -> Iterator[Ports]:
    """`ports` in order, at most `most` at a time; the cost grows with the batches, not with the ports."""
    pending = deque((protocol, item) for protocol, ranges in ports.items() for item in ranges)
    room = most or sum(len(item) for _, item in pending)
    while pending:
        batch: dict[Protocol, list[PortRange]] = {}
        free = room
        while pending and free:
            protocol, item = pending.popleft()
            part = PortRange(item.first, min(item.last, item.first + free - 1))
            if part.last < item.last:
                pending.appendleft((protocol, PortRange(part.last + 1, item.last)))
            batch.setdefault(protocol, []).append(part)
            free -= len(part)
        yield {name: PortSet.of(ranges) for name, ranges in batch.items()}


def _fill(
    wanted: Sequence[_Port], before: Sequence[tuple[str, Sequence[_Port]]], most: int, fresh: Iterator[str]
) -> Iterator[tuple[str, list[_Port]]]:
    """`wanted` in the fewest batches of `most`, moving no port that need not move."""
    needed = -(-len(wanted) // most)
    asked, placed = set(wanted), set[_Port]()
    batches: list[tuple[str, list[_Port]]] = []
    # the fullest stay; what the others hold moves into the free places
    for key, ports in sorted(before, key=lambda item: (-len(asked.intersection(item[1])), item[0])):
        # what two rules of the last compile held stays in one of them
        held = [port for port in ports if port in asked and port not in placed][:most]
        if held and len(batches) < needed:
            batches.append((key, held))
            placed.update(held)
    while len(batches) < needed:
        batches.append((next(fresh), []))
    waiting = (port for port in wanted if port not in placed)
    for key, ports in batches:
        yield key, [*ports, *islice(waiting, most - len(ports))]


def _together(rules: Iterable[PackedRule]) -> Ports:
    found: dict[Protocol, list[PortRange]] = {}
    for rule in rules:
        for protocol, ranges in rule.ports:
            found.setdefault(protocol, []).extend(ranges)
    return {protocol: PortSet.of(ranges) for protocol, ranges in found.items()}


def _singles(ranges: PortSet) -> Iterator[int]:
    for item in ranges:
        yield from range(item.first, item.last + 1)


def _port_list(rule: PackedRule) -> list[_Port]:
    return [(protocol, port) for protocol, ranges in rule.ports for port in _singles(ranges)]


def _ports_of(members: Iterable[_Port]) -> Ports:
    found: dict[Protocol, list[PortRange]] = {}
    for protocol, port in members:
        found.setdefault(protocol, []).append(PortRange(port, port))
    return {protocol: PortSet.of(ranges) for protocol, ranges in found.items()}
