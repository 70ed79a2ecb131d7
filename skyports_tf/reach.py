"""Who reaches which ports, as sets: ports by place, where a place is a protocol with a source.

The same algebra serves the packer, whose sources are parsed, and what Terraform tells, where they are
texts: a place is any hashable value.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import TypeVar

from skyports_tf.ports import PortRange, PortSet

Place = TypeVar("Place", bound=Hashable)

_NONE = PortSet()


def union(parts: Iterable[Mapping[Place, PortSet]]) -> dict[Place, PortSet]:
    """All that any of `parts` reaches; the cost grows with the ranges, whatever the number of parts."""
    found: dict[Place, list[PortSet]] = {}
    for part in parts:
        for place, ports in part.items():
            if ports:
                found.setdefault(place, []).append(ports)
    return {place: sets[0] if len(sets) == 1 else _merged(sets) for place, sets in found.items()}


def _merged(sets: Iterable[PortSet]) -> PortSet:
    ranges: list[PortRange] = [item for ports in sets for item in ports]
    return PortSet.of(ranges)


def meet(left: Mapping[Place, PortSet], right: Mapping[Place, PortSet]) -> dict[Place, PortSet]:
    """What both reach."""
    both = {place: ports & right[place] for place, ports in left.items() if place in right}
    return {place: ports for place, ports in both.items() if ports}


def minus(left: Mapping[Place, PortSet], right: Mapping[Place, PortSet]) -> dict[Place, PortSet]:
    """What `left` reaches and `right` does not."""
    rest = {place: ports - right.get(place, _NONE) for place, ports in left.items()}
    return {place: ports for place, ports in rest.items() if ports}
