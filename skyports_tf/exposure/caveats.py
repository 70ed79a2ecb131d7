"""What keeps the answer from being the whole truth: what narrows it, and machines without a firewall."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from skyports_tf.exposure.facts import attaching_of, facts_of, narrowing_of, open_without
from skyports_tf.exposure.lookup import text_of
from skyports_tf.exposure.neighbours import Neighbours
from skyports_tf.exposure.resources import Resource
from skyports_tf.exposure.shapes import Condition
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
