"""A rule's block in a resource, and what stands at the paths that the facts name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from skyports_tf.exposure.neighbours import Neighbours
from skyports_tf.exposure.resources import Resource
from skyports_tf.exposure.shapes import Condition, ResourceFact, RuleFact
from skyports_tf.exposure.values import ELSEWHERE, UNKNOWN, Chain, Path, items_at, value_at


@dataclass(frozen=True, slots=True)
class Untold:
    """An attribute that keeps anyone from telling what a resource opens.

    `reason` is None for a value that is not known yet, else what is wrong with it. What is `likely_empty`
    is a list that the code seems to leave to the provider; `elsewhere` names a resource that is not here.
    """

    address: str
    attribute: str
    reason: str | None = None
    likely_empty: bool = False
    elsewhere: bool = False


class UntoldError(Exception):
    """Ends the reading of one rule; the attribute is the argument."""


class BlockReader:
    """Looks values up in one resource for one kind of rule; what cannot be told goes to `untold`."""

    def __init__(
        self, resource: Resource, facts: ResourceFact, rule: RuleFact, neighbours: Neighbours
    ) -> None:
        self.resource, self.facts, self.fact, self.neighbours = resource, facts, rule, neighbours
        self.untold: list[Untold] = []
        #: The one of `others` that is looked at.
        self.other: Resource | None = None

    @cached_property
    def others(self) -> list[Resource | None]:
        """The other resources that may decide about the rule; None where none is named, or it is not here."""
        via = self.fact.via
        found = [] if via is None else self.neighbours.others(self.resource, via)
        return [*found] or [None]

    def tell(self, attribute: str, reason: str | None = None, likely_empty: bool = False) -> None:
        """Note an attribute that cannot be told."""
        self.untold.append(Untold(self.resource.address, attribute, reason, likely_empty))

    def all_hold(self, chain: Chain, conditions: Iterable[Condition]) -> bool:
        """Whether every condition holds; raises `UntoldError` as `holds`."""
        return all(self.holds(chain, item) for item in conditions)

    def holds(self, chain: Chain, condition: Condition) -> bool:
        """Whether a condition holds; raises `UntoldError` where its value is not known."""
        values = [self.value(chain, condition.at)]
        if isinstance(values[0], list):
            values = list(values[0])
        if UNKNOWN in values:
            if condition.unset and not condition.values:
                # the code gives it a value, whichever
                return False
            raise UntoldError(str(condition.at))
        known = [text_of(value).lower() for value in values if value is not None]
        return condition.unset if not known else all(item in condition.values for item in known)

    def value(self, chain: Chain, path: Path) -> Any:
        """The value at a path; one that is unknown since the code leaves it to the provider is not set."""
        if path.up == ELSEWHERE:
            return None if self.other is None else _value_in(self.other, Path(path.steps))
        value = value_at(chain, path)
        return None if value is UNKNOWN and not self.resource.is_written(self.steps(chain, path)) else value

    def items(self, chain: Chain, path: Path) -> list[Any]:
        """The values of a list at a path, or the one value there, without those that are not set."""
        value = self.value(chain, path)
        if value is None or value is UNKNOWN:
            return [] if value is None else [UNKNOWN]
        if path.up == ELSEWHERE and self.other is not None:
            return items_at((self.other.values,), Path(path.steps))
        return items_at(chain, path)

    def steps(self, chain: Chain, path: Path) -> tuple[str, ...]:
        """The steps from the resource to `path`."""
        depth = 0 if path.up < 0 else len(chain) - 1 - path.up
        return (*self.fact.each[:depth], *path.steps)

    def meant(self, chain: Chain, path: Path) -> list[str]:
        """The addresses of all that the code names at `path`."""
        return self.resource.meant(self.steps(chain, path))

    def referred(self, chain: Chain, path: Path) -> str | None:
        """The address of what the code names at `path`; None where nobody can tell."""
        if path.up == ELSEWHERE:
            return None if self.other is None else self.other.referred(path.steps)
        return self.resource.referred(self.steps(chain, path))


def _value_in(resource: Resource, path: Path) -> Any:
    value = value_at((resource.values,), path)
    return None if value is UNKNOWN and not resource.is_written(path.steps) else value


def text_of(value: Any) -> str:
    """A plain value as a text, numbers and booleans as Terraform spells them."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
