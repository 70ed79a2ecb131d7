"""What the rules of a resource guard: the machines, interfaces and subnets that its group is attached to.

A plan, a state or code is one root module: that nothing is attached in it says nothing of others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from skyports_tf.exposure.facts import attaching_of, facts_of
from skyports_tf.exposure.neighbours import given_names, identities, marks_at, name_of
from skyports_tf.exposure.resources import Resource
from skyports_tf.exposure.shapes import AttachingFact
from skyports_tf.exposure.values import UNKNOWN, Path, items_at


def attachments(resources: Sequence[Resource]) -> dict[str, tuple[str, ...]]:
    """What each resource with rules guards, by its address, sorted; without those that guard nothing here."""
    attaching = [(item, fact) for item in resources if (fact := attaching_of(item.type))]
    groups = _Groups(resources if attaching else ())
    found: dict[str, tuple[str, ...]] = {}
    for resource in resources:
        facts = facts_of(resource.type)
        guarded = set(_own(resource, facts.guards)) if facts else set()
        if facts and attaching:
            guarded.update(_attached(resource, groups.of(resource), attaching))
        if guarded:
            found[resource.address] = tuple(sorted(guarded))
    return found


def _attached(
    resource: Resource, names: set[str], attaching: Iterable[tuple[Resource, AttachingFact]]
) -> Iterator[str]:
    """What others attach a group of these names to, and who bears the marks that its rules are for."""
    facts = facts_of(resource.type)
    rules = facts.rules if facts else ()
    marks = {mark for rule in rules for path in rule.targets for mark in marks_at(resource, path)}
    for item, fact in attaching:
        if names & set(_all_names(item, fact.groups)) or marks & set(_all_names(item, fact.marks)):
            yield from _ends(item, fact)


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
        known = [item for item in items_at((resource.values,), path) if item is not UNKNOWN]
        yield from (str(item) for item in known if isinstance(item, (str, int)))
        if not known:
            yield from resource.all_referred(path.steps)


def _ends(resource: Resource, fact: AttachingFact) -> Iterator[str]:
    """What an attaching resource attaches to."""
    ends = list(_own(resource, fact.to))
    yield from ends or [resource.address]
