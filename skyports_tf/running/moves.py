"""The port rules that a plan changes, as moves that an order can be found for (ordering.py).

What a rule opens before and after comes from the state's outputs and the stack where a rule's key
names its port and source, and else from the plan itself.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from skyports_tf.model import Stack
from skyports_tf.ordering import Move
from skyports_tf.ports import FIRST_PORT, LAST_PORT, PortRange, PortSet
from skyports_tf.reach import meet, minus, union
from skyports_tf.running.changes import PORT_RULE, OpenRule, Rules
from skyports_tf.running.contents import packed_rules
from skyports_tf.running.openings import Reach, openings_of
from skyports_tf.running.stream import PlannedChange, Record

PortMove: TypeAlias = Move[tuple[str, str]]

_CHANGES = frozenset({"create", "update", "delete", "replace"})


@dataclass(frozen=True, slots=True)
class PlanFacts:
    """What is known of a plan: `shown` asks Terraform for it as JSON, `old` are the rules of the outputs.

    `rules` are the rules before and after by key, None on clouds whose keys say nothing of them.
    """

    record: Record
    stack: Stack
    old: Rules
    rules: tuple[Rules, Rules] | None
    shown: Callable[[], Mapping[str, Any]]


def changed_rules(record: Record) -> list[PlannedChange]:
    """The port rules that the plan creates, updates, deletes or replaces, in the order of their addresses."""
    found = (change for change in record.planned if change.resource.name == PORT_RULE)
    return sorted(
        (change for change in found if change.action in _CHANGES), key=lambda change: change.resource.address
    )


def needs_order(record: Record) -> bool:
    """Whether the plan could close what stays wanted: several rules change, or one is made anew."""
    actions = [change.action for change in changed_rules(record)]
    is_lone = len(actions) < 2 and "replace" not in actions
    return not is_lone and any(action != "create" for action in actions)


def reach_of(rules: Iterable[OpenRule]) -> Reach:
    """What the rules open."""
    parts: list[Reach] = []
    for rule in rules:
        first = max(rule.from_port, FIRST_PORT)
        last = min(max(rule.to_port, first), LAST_PORT)
        parts.append({(rule.protocol, rule.source): PortSet((PortRange(first, last),))})
    return union(parts)


def port_moves(facts: PlanFacts) -> tuple[list[PortMove], Reach]:
    """The moves of a plan, and what the rules that it leaves alone open."""
    changes = changed_rules(facts.record)
    shown: Mapping[str, Mapping[str, Any]] = {}
    if facts.rules is None or any(change.action == "replace" for change in changes):
        found = facts.shown().get("resource_changes") or ()
        shown = {str(item.get("address")): item.get("change") or {} for item in found}
    anew = {name for name, change in shown.items() if change.get("actions") == ["delete", "create"]}
    if facts.rules is None:
        return _packed_moves(facts, changes, shown, anew)
    before, after = facts.rules
    moves = [
        Move(
            change.resource.address,
            _at(before, change) if change.action != "create" else {},
            _at(after, change) if change.action != "delete" else {},
            anew=change.resource.address in anew,
        )
        for change in changes
    ]
    touched = {change.resource.key for change in changes}
    return moves, reach_of(rule for key, rule in after.items() if key not in touched)


def _at(rules: Rules, change: PlannedChange) -> Reach:
    rule = rules.get(change.resource.key or "")
    return reach_of([rule]) if rule else {}


# -- rules that hold many ports and sources --------------------------------------------


def _packed_moves(
    facts: PlanFacts,
    changes: list[PlannedChange],
    shown: Mapping[str, Mapping[str, Any]],
    anew: set[str],
) -> tuple[list[PortMove], Reach]:
    old, wanted = reach_of(facts.old.values()), _wanted(facts.stack, None)
    places = {*old, *wanted}
    moves = []
    for change in changes:
        name, key = change.resource.address, change.resource.key or ""
        after = _wanted(facts.stack, key) if change.action != "delete" else {}
        before: Reach = {}
        if change.action != "create":
            before = _before(shown.get(name, {}), after, places)
            before = before or (old if not key.isdecimal() else _of_port(old, int(key)))
        moves.append(Move(name, before, after, anew=name in anew))
    if all(_is_named(change.resource.key) for change in changes):
        touched = {change.resource.key for change in changes}
        left = [rule.key for rule in facts.stack.packed if rule.key not in touched]
        return moves, reach_of(packed_rules(facts.stack, left).values())
    return moves, minus(wanted, union(move.after for move in moves))


def _is_named(key: str | None) -> bool:
    """Whether it is the key of a rule of the stack's, and neither a port nor that of a lone resource."""
    return bool(key) and not str(key).isdecimal()


def _wanted(stack: Stack, key: str | None) -> Reach:
    keys = [rule.key for rule in stack.packed] if key is None else [key]
    return reach_of(packed_rules(stack, keys).values())


def _of_port(reach: Reach, port: int) -> Reach:
    alone = PortSet((PortRange(port, port),))
    return meet(reach, {place: alone for place in reach if place[0] == "tcp"})


def _before(change: Mapping[str, Any], after: Reach, places: set[tuple[str, str]]) -> Reach:
    """What the rule opened, from its attributes; nothing where their spelling was not understood.

    It was understood where the attributes that it will have open what the stack asks for.
    """
    read = openings_of(change.get("after"))
    if after and (minus(read, after) or minus(after, _with_narrower(read, places))):
        return {}
    return _with_narrower(openings_of(change.get("before")), places)


def _with_narrower(reach: Reach, places: set[tuple[str, str]]) -> Reach:
    """The reach, told for those places, too, whose addresses lie within one of its own."""
    networks = {
        (protocol, network): ports
        for (protocol, source), ports in reach.items()
        if (network := _network(source)) is not None
    }
    lengths = sorted({network.prefixlen for _, network in networks})
    found: list[Reach] = [reach]
    for protocol, source in sorted(places - reach.keys()):
        network = _network(source)
        if network is not None:
            wider = [network.supernet(new_prefix=bits) for bits in lengths if bits < network.prefixlen]
            found += [{(protocol, source): networks.get((protocol, item), PortSet())} for item in wider]
    return union(found)


def _network(source: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(source)
    except ValueError:
        return None
