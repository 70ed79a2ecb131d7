"""In which order rules may change so that nothing closes that stays wanted.

Terraform knows no order among rules: each change is one call to the cloud, and the calls of one apply
come in any order. So a port that moves from one rule to another may be closed for a moment, where the
rule that has it loses it before the other gains it. Applies one after the other are an order: what
opens goes first, what closes last.

    moves  = [Move("a", before, after), ...]     every rule that changes
    order  = find_order(moves, kept)             `kept` is what the rules that stay reach
    order.steps                                  the names of the moves that go first, step by step
    order.gaps                                   what no such order keeps open

The packer asks it which keys a rule may take over, and the plan asks it for the steps of its apply.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Generic, TypeVar

from skyports_tf.ports import PortSet
from skyports_tf.reach import meet, minus, union

Place = TypeVar("Place", bound=Hashable)


@dataclass(frozen=True)
class Move(Generic[Place]):
    """A rule that changes: what it reaches before and after, either may be nothing.

    `anew` rules are deleted, then made again: what they reach is closed in between.
    """

    name: str
    before: Mapping[Place, PortSet]
    after: Mapping[Place, PortSet]
    anew: bool = False

    @cached_property
    def held(self) -> Mapping[Place, PortSet]:
        """What the rule itself keeps open all the time."""
        return {} if self.anew else meet(self.before, self.after)

    @cached_property
    def opens(self) -> bool:
        """Whether it reaches more than before."""
        return bool(minus(self.after, self.before))


@dataclass(frozen=True)
class Order(Generic[Place]):
    """The names of the moves that go first, step by step, and what no order keeps open.

    All other moves are the last step: where `steps` is empty, one apply does it all.
    """

    steps: tuple[tuple[str, ...], ...] = ()
    gaps: Mapping[Place, PortSet] = field(default_factory=dict)


def kept_wanted(moves: Sequence[Move[Place]], kept: Mapping[Place, PortSet]) -> dict[Place, PortSet]:
    """What is open before and after: no call may close it."""
    before = union([kept, *(move.before for move in moves)])
    return meet(before, union([kept, *(move.after for move in moves)]))


def may_close(moves: Sequence[Move[Place]], kept: Mapping[Place, PortSet]) -> dict[Place, PortSet]:
    """What stays wanted and is closed at some moment of some order, were `moves` one apply."""
    return minus(kept_wanted(moves, kept), union([kept, *(move.held for move in moves)]))


def find_order(
    moves: Sequence[Move[Place]], kept: Mapping[Place, PortSet], most: int | None = None
) -> Order[Place]:
    """The fewest steps before the last in which nothing closes that stays wanted.

    With `most`, no more than so many. Deterministic: the names come in the order of `moves`.
    """
    wanted = kept_wanted(moves, kept)
    lasting = union([kept, *(move.held for move in moves)])
    pending = list(moves)
    steps: list[tuple[str, ...]] = []
    while (gaps := minus(wanted, lasting)) and (most is None or len(steps) < most):
        ready = [move for move in pending if move.opens and _closes_nothing(move, wanted, lasting)]
        if not any(meet(move.after, gaps) for move in ready):
            break
        chosen = {move.name for move in ready}
        steps.append(tuple(move.name for move in ready))
        lasting = union([lasting, *(move.after for move in ready)])
        pending = [move for move in pending if move.name not in chosen]
    return Order(tuple(steps), gaps)


def _closes_nothing(
    move: Move[Place], wanted: Mapping[Place, PortSet], lasting: Mapping[Place, PortSet]
) -> bool:
    """Whether all that it lets go is wanted no more, or open elsewhere all the while."""
    return not minus(meet(minus(move.before, move.held), wanted), lasting)
