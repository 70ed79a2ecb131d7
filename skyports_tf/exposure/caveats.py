"""What keeps an answer from being whole: what narrows it, bare machines, and a cloud's own rules."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from skyports_tf.exposure.facts import attaching_of, default_of, facts_of, narrowing_of, open_without
from skyports_tf.exposure.lookup import text_of
from skyports_tf.exposure.neighbours import Neighbours, given_names, identities, marks_at, name_of
from skyports_tf.exposure.resources import Resource
from skyports_tf.exposure.shapes import Condition, DefaultFact
from skyports_tf.exposure.values import UNKNOWN, Path, items_at

#: A name of a machine, or a label of one and its value; anything else chooses machines in ways of its own.
_PLAIN: Final = frozenset('abcdefghijklmnopqrstuvwxyz0123456789_-./=:[]"')


def narrowing(resources: Iterable[Resource]) -> tuple[str, ...]:
    """The addresses of resources that only take away from what others open, sorted."""
    return tuple(
        sorted(
            resource.address
            for resource in resources
            if (conditions := narrowing_of(resource.type)) is not None
            and all(_may_hold(resource, item) for item in conditions)
        )
    )


def _may_hold(resource: Resource, condition: Condition) -> bool:
    values = items_at((resource.values,), condition.at)
    return UNKNOWN in values or any(text_of(value).lower() in condition.values for value in values)


def bare_machines(neighbours: Neighbours) -> tuple[str, ...]:
    """The addresses of machines that are open on every port and that no firewall here is on, sorted.

    Where firewalls choose machines by what cannot be told here, none is called bare.
    """
    found = []
    for resource in neighbours.resources:
        marks = open_without(resource.type)
        if marks is None or _chosen_otherwise(neighbours, resource.type.partition("_")[0]):
            continue
        if not neighbours.has_firewall(resource, marks):
            found.append(resource.address)
    return tuple(sorted(found))


def _chosen_otherwise(neighbours: Neighbours, provider: str) -> bool:
    return any(
        item is not UNKNOWN and not _PLAIN.issuperset(text_of(item).lower())
        for resource in neighbours.resources
        if resource.type.startswith(f"{provider}_")
        for path in _chosen_at(resource.type)
        for item in items_at((resource.values,), path)
    )


def _chosen_at(resource_type: str) -> tuple[Path, ...]:
    """Where a firewall names what it is on."""
    facts, attaching = facts_of(resource_type), attaching_of(resource_type)
    return (*(facts.guards if facts else ()), *(attaching.to if attaching else ()))


def defaults(neighbours: Neighbours) -> tuple[tuple[str, str], ...]:
    """Addresses with what a cloud's own rules beside them let in, as it makes them; sorted."""
    found = []
    for resource in neighbours.resources:
        fact = default_of(resource.type)
        if fact is None or not all(_is_so(resource, item) for item in fact.when):
            continue
        if not _is_taken_over(resource, fact, neighbours):
            found.append((resource.address, fact.lets_in))
    return tuple(sorted(found))


def _is_so(resource: Resource, condition: Condition) -> bool:
    found = items_at((resource.values,), condition.at)
    known = [name_of(item) for item in found if item is not UNKNOWN]
    if not known:
        return condition.unset and not resource.all_referred(condition.at.steps)
    return any(name in condition.values for name in known)


def _is_taken_over(resource: Resource, fact: DefaultFact, neighbours: Neighbours) -> bool:
    if fact.at is None:
        return False
    names = identities(resource).union(*(marks_at(resource, path) for path in fact.names))
    others = (item for item in neighbours.resources if item.type == fact.taken_over)
    return any(names & set(given_names(item, fact.at)) for item in others)
