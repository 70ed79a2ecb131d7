"""What the rules of a resource guard: the machines, interfaces and subnets that its group is attached to.

A plan, a state or code is one root module: that nothing is attached in it says nothing of others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from skyports_tf.exposure.facts import attaching_of, facts_of
from skyports_tf.exposure.neighbours import given_names, identities, marks_at, name_of
from skyports_tf.exposure.resources import Resource
from skyports_tf.exposure.shapes import AttachingFact, ResourceFact
from skyports_tf.exposure.values import UNKNOWN, Path, items_at


def attachments(resources: Sequence[Resource]) -> dict[str, tuple[str, ...]]:
    """What each resource with rules guards, by its address, sorted; without those that guard nothing here."""
    ends = _Ends(resources)
    groups = _Groups(resources if ends else ())
    found: dict[str, tuple[str, ...]] = {}
    for resource in resources:
        facts = facts_of(resource.type)
        if facts is None:
            continue
        guarded = set(_own(resource, facts.guards))
        if ends:
            guarded |= ends.of(groups.of(resource), _targets(resource, facts))
        if guarded:
            found[resource.address] = tuple(sorted(guarded))
    return found


def _targets(resource: Resource, facts: ResourceFact) -> Iterator[str]:
    """The marks of those that the rules of a resource are for."""
    for rule in facts.rules:
        for path in rule.targets:
            yield from marks_at(resource, path)


class _Ends:
    """What groups are attached to, by each name that they are called there, and who bears which mark."""

    def __init__(self, resources: Iterable[Resource]) -> None:
        self.groups: dict[str, set[str]] = {}
        self.marks: dict[str, set[str]] = {}
        for resource in resources:
            if (fact := attaching_of(resource.type)) is not None:
                ends = set(_ends(resource, fact))
                _add(self.groups, _all_names(resource, fact.groups), ends)
                _add(self.marks, _all_names(resource, fact.marks), ends)

    def __bool__(self) -> bool:
        return bool(self.groups) or bool(self.marks)

    def of(self, names: Iterable[str], marks: Iterable[str]) -> set[str]:
        """All that a group of these names is attached to, and all that bear one of these marks."""
        by_group = (self.groups.get(name, ()) for name in names)
        return set().union(*by_group, *(self.marks.get(mark, ()) for mark in marks))


def _add(known: dict[str, set[str]], names: Iterable[str], ends: set[str]) -> None:
    for name in names:
        known.setdefault(name, set()).update(ends)


class _Groups:
    """Groups by each of their names: address, id, and what they are called."""

    def __init__(self, resources: Iterable[Resource]) -> None:
        self.names: dict[str, set[str]] = {}
        for resource in resources:
            called = {name_of(resource.values.get(name)) for name in ("name", "label")}
            names = identities(resource) | called - {""}
            if attaching_of(resource.type) is None or facts_of(resource.type):
                for name in names:
                    self.names.setdefault(name, set()).update(names)

    def of(self, resource: Resource) -> set[str]:
        """Every name of the group that holds the rules of a resource."""
        facts = facts_of(resource.type)
        path = facts.group if facts else None
        named = {resource.address} if path is None else set(given_names(resource, path))
        return named.union(*(self.names.get(name, ()) for name in named))


def _all_names(resource: Resource, paths: Iterable[Path]) -> Iterator[str]:
    for path in paths:
        yield from given_names(resource, path)


def _own(resource: Resource, paths: Iterable[Path]) -> Iterator[str]:
    for path in paths:
        found = items_at((resource.values,), path)
        known = [item for item in found if item is not UNKNOWN]
        yield from (str(item) for item in known if isinstance(item, (str, int)))
        if found and not known:
            yield from resource.all_referred(path.steps)


def _ends(resource: Resource, fact: AttachingFact) -> Iterator[str]:
    """What an attaching resource attaches to."""
    ends = list(_own(resource, fact.to))
    yield from ends or [resource.address]
