"""Edits as moves of rules, and one apply after the other as the calls that the cloud takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from skyports_tf.model import PackedRule, Stack
from skyports_tf.ordering import Move, Order
from skyports_tf.ports import PortSet
from skyports_tf.reach import minus, union

Reach: TypeAlias = Mapping[Any, PortSet]


@dataclass(frozen=True)
class Write:
    """One call: from then on the rule `name` reaches `reach`."""

    name: str
    reach: Reach


def reach_of(rule: PackedRule) -> dict[Any, PortSet]:
    """What a packed rule reaches."""
    return {(protocol, source): ports for protocol, ports in rule.ports for source in rule.sources}


def moves_of(before: Stack, after: Stack) -> tuple[list[Move[Any]], dict[Any, PortSet]]:
    """The rules that an edit changes, and what those that stay reach."""
    old = {rule.key: reach_of(rule) for rule in before.packed}
    new = {rule.key: reach_of(rule) for rule in after.packed}
    moves = [
        Move(key, old.get(key, {}), new.get(key, {}))
        for key in sorted({*old, *new})
        if old.get(key) != new.get(key)
    ]
    return moves, union(new[key] for key in old.keys() & new.keys() if old[key] == new[key])


def calls_of(move: Move[Any]) -> list[Write]:
    """The calls of one rule, in their order."""
    last = Write(move.name, move.after)
    return [Write(move.name, {}), last] if move.anew and move.after and move.before else [last]


def applies_of(moves: Sequence[Move[Any]], order: Order[Any]) -> list[list[Move[Any]]]:
    """The moves of each apply."""
    by_name = {move.name: move for move in moves}
    first = {name for step in order.steps for name in step}
    last = [move for move in moves if move.name not in first]
    return [*([by_name[name] for name in step] for step in order.steps), last]


def closed_meanwhile(
    moves: Iterable[Move[Any]], kept: Reach, writes: Iterable[Write], wanted: Reach
) -> Iterator[tuple[int, Reach]]:
    """Replays the calls: after each, by its number from 1, what of `wanted` is closed."""
    now: dict[str, Reach] = {move.name: move.before for move in moves}
    for number, write in enumerate(writes, 1):
        now[write.name] = write.reach
        if closed := minus(wanted, union([kept, *now.values()])):
            yield number, closed


Shuffle: TypeAlias = Callable[[list[str]], Sequence[str]]


def in_some_order(moves: Sequence[Move[Any]], shuffle: Shuffle) -> list[Write]:
    """The calls of one apply in an order that Terraform may choose: those of one rule keep theirs."""
    waiting = {move.name: calls_of(move) for move in moves}
    names = shuffle([name for name, calls in waiting.items() for _ in calls])
    return [waiting[name].pop(0) for name in names]
