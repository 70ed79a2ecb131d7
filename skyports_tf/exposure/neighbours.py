"""The other resources of one moment: who is meant by a name, and on what a firewall is.

Names are ids, addresses in the code, and what a resource is called. A plan, a state or code is one root
module: that nothing is found in it says nothing of others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from skyports_tf.exposure.facts import attaching_of, facts_of
from skyports_tf.exposure.resources import Resource, index_of, without_index
from skyports_tf.exposure.shapes import ViaFact
from skyports_tf.exposure.values import UNKNOWN, Path, items_at

#: The provider, as types of resources begin, and a name: what clouds number meets only within one.
_Name = tuple[str, str]


class Neighbours:
    """Resources that stand beside each other; what it is asked is looked up once, when it is asked first."""

    def __init__(self, resources: Sequence[Resource] = ()) -> None:
        self.resources = resources
        self._indexes: dict[ViaFact, Mapping[str, Sequence[int]]] = {}

    def others(self, resource: Resource, via: ViaFact) -> list[Resource]:
        """The resources of the types of `via` that `resource` names, or that name the same.

        They are several where the code does not tell which instance is meant.
        """
        known = self._known_to(via)
        places = {place for name in self._names(resource, via.at) for place in known.get(name, ())}
        return [self.resources[place] for place in sorted(places)]

    def _known_to(self, via: ViaFact) -> Mapping[str, Sequence[int]]:
        """The places of the resources of the types of `via`, by each of their names."""
        if via in self._indexes:
            return self._indexes[via]
        index: dict[str, list[int]] = {}
        known = ((place, item) for place, item in enumerate(self.resources) if item.type in via.types)
        for place, item in known:
            for name in identities(item) if via.by is None else self._names(item, via.by):
                index.setdefault(name, []).append(place)
        self._indexes[via] = index
        return index

    def is_guarded(self, resource: Resource, path: Path) -> bool:
        """Whether a firewall is on what stands at `path`, as far as these resources tell."""
        provider = _provider(resource)
        return any((provider, name) in self._guarded for name in self._names(resource, path))

    def has_firewall(self, resource: Resource, marks: Iterable[Path]) -> bool:
        """Whether a firewall is on a machine itself, or on one of the marks that it bears."""
        provider = _provider(resource)
        names = identities(resource).union(*(given_names(resource, path) for path in marks))
        return any((provider, name) in self._guarded for name in names)

    def _names(self, resource: Resource, path: Path) -> Iterator[str]:
        """What is named at a path; of several instances the one with the index of `resource`, if any."""
        index = index_of(resource.address)
        for name in given_names(resource, path):
            yield name + index if index and name + index in self._addresses else name

    @cached_property
    def _addresses(self) -> frozenset[str]:
        return frozenset(resource.address for resource in self.resources)

    @cached_property
    def _guarded(self) -> frozenset[_Name]:
        return frozenset(
            (_provider(resource), name) for resource in self.resources for name in self._guarded_by(resource)
        )

    def _guarded_by(self, resource: Resource) -> Iterator[str]:
        """Who has a firewall by what this resource says: itself, or what it attaches one to."""
        attaching, facts = attaching_of(resource.type), facts_of(resource.type)
        for path in facts.guards if facts else ():
            yield from self._names(resource, path)
        if attaching is None or not any(_gives(resource, path) for path in attaching.groups):
            return
        if not attaching.to:
            yield from identities(resource)
        for path in attaching.to:
            yield from self._names(resource, path)


def _provider(resource: Resource) -> str:
    return resource.type.partition("_")[0]


def _gives(resource: Resource, path: Path) -> bool:
    """Whether a group stands at `path`: its id, or one that is not known yet and that the code gives."""
    found = items_at((resource.values,), path)
    written = resource.expressions is not None and resource.is_written(path.steps)
    return any(written or item is not UNKNOWN for item in found)


def identities(resource: Resource) -> set[str]:
    """What others call a resource to mean it alone: its address and its ids."""
    found = {name_of(resource.values.get(name)) for name in ("id", "arn")}
    return {resource.address, without_index(resource.address), *found} - {""}


def given_names(resource: Resource, path: Path) -> Iterator[str]:
    """What stands at a path; of what is not known yet, the address of what the code names there."""
    yield from marks_at(resource, path)
    if UNKNOWN in items_at((resource.values,), path):
        yield from resource.all_referred(path.steps)


def marks_at(resource: Resource, path: Path) -> Iterator[str]:
    """The names at a path; of labels, each key with and without its value."""
    for item in items_at((resource.values,), path):
        if isinstance(item, dict):
            yield from (text for key, value in item.items() for text in (key, f"{key}={value}"))
        elif name := name_of(item):
            yield name


def name_of(value: Any) -> str:
    """One object may be named by its name, its path or its URL; empty for what is no name."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return ""
    text = str(int(value)) if isinstance(value, float) else str(value)
    return text.lower().rpartition("/")[2]
