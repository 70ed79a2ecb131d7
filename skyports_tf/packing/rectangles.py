"""The fewest rectangles (sources x ports) that are exactly what is wanted.

A rule opens a set of ports to a set of sources, all of them to all of them; a `RuleShape`
says which sets a cloud takes. What is wanted may give every port sources of its own, so the
fewest rectangles are a minimum cover (`cover.minimum_cover`): exact wherever the search ends
within its budget.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import TypeAlias

from skyports_tf.model import Protocol
from skyports_tf.packing.cover import minimum_cover
from skyports_tf.packing.shapes import RuleShape, Wanted
from skyports_tf.ports import PortRange, PortSet
from skyports_tf.sources import Source

#: More different source sets than this are not searched for a common cover.
_MOST_SOURCE_SETS = 10


Sources: TypeAlias = frozenset[Source]
Ports: TypeAlias = dict[Protocol, PortSet]
Rectangle: TypeAlias = tuple[Sources, Ports]


def rectangles(block: Wanted, shape: RuleShape) -> list[Rectangle]:
    """The fewest rectangles (sources x ports) that together are exactly `block`."""
    classes = _classes(block)
    if len(classes) == 1:
        ((sources, ports),) = classes.items()
        return [(sources, part) for part in port_parts(ports, shape)]
    if len(classes) > _MOST_SOURCE_SETS:
        return [(sources, part) for sources, ports in classes.items() for part in port_parts(ports, shape)]
    candidates = [
        (sources, part)
        for sources in _closed(classes)
        for part in port_parts(_reaching(classes, sources), shape)
    ]
    bits = {cell: 1 << position for position, cell in enumerate(_cells(classes))}
    sets = [sum(bit for cell, bit in bits.items() if _holds(rectangle, cell)) for rectangle in candidates]
    costs = [_cost(sources, part, shape) for sources, part in candidates]
    chosen = minimum_cover((1 << len(bits)) - 1, sets, costs)
    return [candidates[item] for item in chosen]


def _classes(block: Wanted) -> dict[Sources, Ports]:
    """The ports by the set of sources that may reach them."""
    found: dict[Sources, dict[Protocol, list[PortRange]]] = {}
    for protocol in sorted({protocol for protocol, _ in block}):
        ports_of = {source: ports for (name, source), ports in block.items() if name == protocol}
        for item in _elementary(ports_of.values()):
            sources = frozenset(source for source, ports in ports_of.items() if item.first in ports)
            if sources:
                found.setdefault(sources, {}).setdefault(protocol, []).append(item)
    return {
        sources: {protocol: PortSet.of(ranges) for protocol, ranges in ports.items()}
        for sources, ports in found.items()
    }


def _elementary(sets: Iterable[PortSet]) -> Iterator[PortRange]:
    """The ranges between all borders of `sets`: no set splits one of them."""
    borders = sorted({border for ports in sets for item in ports for border in (item.first, item.last + 1)})
    for first, after in pairwise(borders):
        yield PortRange(first, after - 1)


def _cells(classes: Mapping[Sources, Ports]) -> Iterator[tuple[Source, Protocol, PortRange]]:
    """What is wanted in the pieces that no candidate splits."""
    for sources, ports in classes.items():
        pieces = [(protocol, item) for protocol, ranges in ports.items() for item in ranges]
        for source in sorted(sources, key=lambda item: item.sort_key):
            yield from ((source, protocol, item) for protocol, item in pieces)


def _holds(rectangle: Rectangle, cell: tuple[Source, Protocol, PortRange]) -> bool:
    (sources, ports), (source, protocol, item) = rectangle, cell
    return source in sources and item.first in ports.get(protocol, PortSet())


def _closed(classes: Iterable[Sources]) -> list[Sources]:
    """Every set of sources that is an intersection of the classes' sets, in a fixed order."""
    found: set[Sources] = set()
    for sources in classes:
        found |= {sources} | {sources & other for other in found}
    found.discard(frozenset())
    return sorted(found, key=lambda item: (len(item), sorted(source.sort_key for source in item)))


def _reaching(classes: Mapping[Sources, Ports], sources: Sources) -> Ports:
    """Every port that all of `sources` may reach."""
    found: dict[Protocol, list[PortRange]] = {}
    for of_class, ports in classes.items():
        if sources <= of_class:
            for protocol, ranges in ports.items():
                found.setdefault(protocol, []).extend(ranges)
    return {protocol: PortSet.of(ranges) for protocol, ranges in sorted(found.items())}


def port_parts(ports: Ports, shape: RuleShape) -> Iterator[Ports]:
    """What of `ports` one rectangle may hold: a run, or everything."""
    if shape.ports == "range":
        for protocol, ranges in ports.items():
            for item in ranges:
                yield {protocol: PortSet((item,))}
    else:
        yield ports


def _cost(sources: Sources, ports: Ports, shape: RuleShape) -> int:
    """How many rules a rectangle takes."""
    rules = -(-len(sources) // (shape.sources_max or len(sources)))
    if shape.ports_max and shape.ports != "range":
        single = shape.ports == "single"
        held = sum(len(ranges) if single else len(ranges.ranges) for ranges in ports.values())
        rules *= -(-held // shape.ports_max)
    return rules
