"""Attributes of a resource as Terraform tells them: what is not known yet, and where a value stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final


class Unknown(Enum):
    """Stands in for a value that only an apply, or whoever runs the code, can tell."""

    UNKNOWN = "known after apply"

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = Unknown.UNKNOWN
ELSEWHERE: Final = -2

#: Blocks around a value, the resource's own attributes first.
Chain = tuple[Mapping[str, Any], ...]


def overlay(values: Any, unknown: Any) -> Any:
    """`values` with `UNKNOWN` wherever `unknown` (after_unknown of a plan) says so."""
    if unknown is True:
        return UNKNOWN
    if isinstance(unknown, dict) and any(unknown.values()):
        given = values if isinstance(values, dict) else {}
        return {**given, **{name: overlay(given.get(name), part) for name, part in unknown.items() if part}}
    if isinstance(unknown, list) and any(unknown):
        items = values if isinstance(values, list) else []
        pairs = max(len(items), len(unknown))
        return [_item(items, unknown, place) for place in range(pairs)]
    return values


def _item(items: Sequence[Any], unknown: Sequence[Any], place: int) -> Any:
    value = items[place] if place < len(items) else None
    return overlay(value, unknown[place]) if place < len(unknown) else value


@dataclass(frozen=True, slots=True)
class Path:
    """Where a value stands, seen from a block: `up` blocks above it, or from the resource (`up` -1).

    `ELSEWHERE` is for what stands in the other resource that decides about a rule.
    """

    steps: tuple[str, ...]
    up: int = 0

    @classmethod
    def of(cls, written: str | Sequence[str]) -> Path:
        """A path as the facts write it: `a.b`, `^a` one block up, `/a` in the resource, `@a` for elsewhere.

        A list of steps is for names with dots.
        """
        steps = tuple(written.split(".")) if isinstance(written, str) else tuple(written)
        if steps[0].startswith("/"):
            return cls((steps[0][1:], *steps[1:]), -1)
        if steps[0].startswith("@"):
            return cls((steps[0][1:], *steps[1:]), ELSEWHERE)
        name = steps[0].lstrip("^")
        return cls((name, *steps[1:]), len(steps[0]) - len(name))

    def base(self, chain: Chain) -> Mapping[str, Any]:
        """The block that the first step belongs to."""
        return chain[0] if self.up < 0 else chain[len(chain) - 1 - self.up]

    def __str__(self) -> str:
        return ".".join(self.steps)


def value_at(chain: Chain, path: Path) -> Any:
    """The value at `path`, with a block of one item as that item; None where there is none."""
    value: Any = path.base(chain)
    for step in path.steps:
        if isinstance(value, list):
            value = value[0] if value else None
        if value is UNKNOWN:
            return UNKNOWN
        value = value.get(step) if isinstance(value, dict) else None
    return None if value == "" else value


def items_at(chain: Chain, path: Path) -> list[Any]:
    """The values of a list, or of one value, without those that are not set; of blocks, those of each."""
    found: list[Any] = [path.base(chain)]
    for step in path.steps:
        found = [_part(item, step) for item in found]
        found = [item for value in found for item in (value if isinstance(value, list) else [value])]
    return [item for item in found if item is not None and item != ""]


def _part(value: Any, step: str) -> Any:
    return value.get(step) if isinstance(value, dict) else value if value is UNKNOWN else None


def blocks_at(resource: Mapping[str, Any], steps: Sequence[str]) -> Iterator[Chain | Unknown]:
    """Every block at `steps` with those around it; `UNKNOWN` for one that is not known."""
    found: list[Chain | Unknown] = [(resource,)]
    for step in steps:
        found = [inner for chain in found for inner in _inside(chain, step)]
    return iter(found)


def _inside(chain: Chain | Unknown, step: str) -> Iterator[Chain | Unknown]:
    if isinstance(chain, Unknown):
        yield chain
        return
    for block in items_at(chain, Path((step,))):
        yield (*chain, block) if isinstance(block, dict) else UNKNOWN
