"""What a plan means in ports on clouds whose rules hold many ports and sources.

There a rule's key does not say what it opens: what is open before comes from the state's
outputs, what will be from the stack, and the difference is what the plan does. A rule that is
made anew opens all it holds, whatever the outputs remember of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product

from skyports_tf.model import Stack
from skyports_tf.outcomes import PortChanges
from skyports_tf.ports import PortRange, PortSet
from skyports_tf.running.changes import OpenRule, Rules, group_rules, is_content_key, planned_rules
from skyports_tf.running.stream import Record

#: Ports by protocol and source.
_Reach = dict[tuple[str, str], PortSet]


def has_packed_rules(record: Record) -> bool:
    """Whether the plan touches rules whose keys do not say what they open."""
    return any(not is_content_key(key) for key in planned_rules(record))


def packed_rules(stack: Stack, keys: Iterable[str]) -> dict[str, OpenRule]:
    """What the stack's rules of these keys open, by content key.

    The key "" is all rules; a number is that TCP port, to all who may reach it.
    """
    chosen = set(keys)
    lone = PortSet.of(PortRange(int(key), int(key)) for key in chosen if key.isdecimal())
    reach: _Reach = {}
    for rule in stack.packed:
        is_whole = rule.key in chosen or "" in chosen
        for (protocol, ports), source in product(rule.ports, rule.sources):
            part = lone if protocol == "tcp" else PortSet()
            _add(reach, (protocol, str(source)), ports if is_whole else ports & part)
    return {f"{rule.protocol}-{rule.from_port}@{rule.source}": rule for rule in _rules(reach)}


def told_rules(rules: Iterable[OpenRule], stack: Stack) -> list[OpenRule]:
    """The rules as people know them: runs of ports, with the task files that ask for them."""
    return _with_tasks(_rules(_reach(rules)), stack)


def packed_changes(record: Record, before: Rules | None, stack: Stack, closing: bool) -> PortChanges:
    """The plan in port words.

    `before` is what the state's outputs say, None where they were not asked; `closing` plans
    leave nothing, whatever the stack wants.
    """
    planned = planned_rules(record)
    made = [key for key, action in planned.items() if action in ("create", "replace")]
    fresh = _reach(packed_rules(stack, made).values())
    keys = () if closing else (rule.key for rule in stack.packed)
    wanted = _reach(packed_rules(stack, keys).values())
    if before is None:
        return PortChanges(open=group_rules(_with_tasks(_rules(fresh), stack)))
    old = _reach(before.values())
    opened = _minus(wanted, old)
    for place, ports in fresh.items():
        _add(opened, place, ports & wanted.get(place, PortSet()))
    return _told(_minus(old, wanted), opened, stack)


def common_rules(left: Iterable[OpenRule], right: Iterable[OpenRule]) -> list[OpenRule]:
    """What both open."""
    one, other = _reach(left), _reach(right)
    shared = {place: ports & other.get(place, PortSet()) for place, ports in one.items()}
    return _rules({place: ports for place, ports in shared.items() if ports})


def rules_without(left: Iterable[OpenRule], right: Iterable[OpenRule]) -> list[OpenRule]:
    """What `left` opens and `right` does not."""
    return _rules(_minus(_reach(left), _reach(right)))


def cell_changes(before: Rules, after: Rules, stack: Stack) -> PortChanges:
    """What opened and what closed between two times, whichever rules held it."""
    return reach_changes(_reach(before.values()), _reach(after.values()), stack)


def reach_changes(old: _Reach, new: _Reach, stack: Stack) -> PortChanges:
    """The same, from what is open by protocol and source."""
    return _told(_minus(old, new), _minus(new, old), stack)


def _told(closed: _Reach, opened: _Reach, stack: Stack) -> PortChanges:
    return PortChanges(
        open=group_rules(_with_tasks(_rules(opened), stack)),
        change=(),
        close=group_rules(_with_tasks(_rules(closed), stack)),
    )


def _reach(rules: Iterable[OpenRule]) -> _Reach:
    found: _Reach = {}
    for rule in rules:
        _add(found, (rule.protocol, rule.source), PortSet((PortRange(rule.from_port, rule.to_port),)))
    return found


def _add(reach: _Reach, place: tuple[str, str], ports: PortSet) -> None:
    if ports:
        reach[place] = reach.get(place, PortSet()) | ports


def _minus(left: Mapping[tuple[str, str], PortSet], right: Mapping[tuple[str, str], PortSet]) -> _Reach:
    rest = {place: ports - right.get(place, PortSet()) for place, ports in left.items()}
    return {place: ports for place, ports in rest.items() if ports}


def _rules(reach: Mapping[tuple[str, str], PortSet]) -> list[OpenRule]:
    return [
        OpenRule(protocol, item.first, item.last, source)
        for (protocol, source), ports in sorted(reach.items())
        for item in ports
    ]


def _with_tasks(rules: Iterable[OpenRule], stack: Stack) -> list[OpenRule]:
    """The rules, with the task files whose ports they share."""
    return [OpenRule(*rule.opening, tasks=_tasks(rule, stack)) for rule in rules]


def _tasks(rule: OpenRule, stack: Stack) -> tuple[str, ...]:
    ports = PortSet((PortRange(rule.from_port, rule.to_port),))
    return tuple(
        sorted(
            {
                task
                for wanted in stack.rules
                if (wanted.protocol, str(wanted.source)) == (rule.protocol, rule.source)
                and ports & PortSet((wanted.ports,))
                for task in wanted.tasks
            }
        )
    )
