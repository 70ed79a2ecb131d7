"""What is there already, as import blocks: objects by their addresses, rules by what they open."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeAlias

from skyports_tf.imports import imports_text, key_of
from skyports_tf.model import PackedRule, Protocol, Stack
from skyports_tf.ports import PortRange, PortSet
from skyports_tf.running.changes import PORT_RULE
from skyports_tf.running.probe import LiveRule
from skyports_tf.sources import Source, SourceError, parse_source

__all__ = ["address_of", "imports_text", "key_of", "packed_live"]

_Reach: TypeAlias = "frozenset[tuple[str, str, PortSet]]"


def address_of(rule: LiveRule, key: str) -> str:
    """The address of the resource that holds a rule under `key` in the stack."""
    return f'{rule.address}["{key}"]'


def packed_live(stack: Stack, rules: Iterable[LiveRule], held: Iterable[str] = ()) -> dict[str, PackedRule]:
    """The port rules among `rules` as the stack would hold them, by their ids.

    One whose key the cloud knows keeps it. One that opens just what a rule of the stack opens is
    that rule, with its key, unless the state has one of that key (`held`); any other gets a key by
    what it opens. What a stack cannot say (all protocols, say) is left out.
    """
    held_keys = set(held)
    known = {_reach_of(rule): rule for rule in stack.packed if rule.key not in held_keys}
    taken = {rule.key for rule in stack.packed} | held_keys
    found: dict[str, PackedRule] = {}
    for identifier, members in sorted(_by_id(rules).items()):
        packed = _packed(members)
        if packed is None:
            continue
        same, key = known.get(_reach_of(packed)), members[0].key
        if same is not None and key in (None, same.key):
            found[identifier] = known.pop(_reach_of(packed))
        else:
            found[identifier] = replace(packed, key=key) if key else _with_free_key(packed, taken)
    return found


def _by_id(rules: Iterable[LiveRule]) -> dict[str, list[LiveRule]]:
    found: dict[str, list[LiveRule]] = {}
    for rule in rules:
        if rule.address.rpartition(".")[2] == PORT_RULE:
            found.setdefault(rule.id, []).append(rule)
    return found


def _packed(members: Sequence[LiveRule]) -> PackedRule | None:
    """The rule that holds the ports and sources of all members, which are one object."""
    ports: dict[Protocol, PortSet] = {}
    sources: dict[Source, None] = {}
    for member in members:
        protocol, first, last, text = member.opens.opening
        try:
            source = parse_source(text)
            opened = PortSet((PortRange(first, last),))
        except (SourceError, ValueError):
            return None
        if protocol not in ("tcp", "udp"):
            return None
        spoken: Protocol = "tcp" if protocol == "tcp" else "udp"
        ports[spoken] = ports.get(spoken, PortSet()) | opened
        sources[source] = None
    ordered = sorted(sources, key=lambda source: source.sort_key)
    (protocol, opened) = next(iter(sorted(ports.items())))
    key = f"{protocol}-{next(iter(opened)).first}@{ordered[0]}"
    return PackedRule(key, tuple(sorted(ports.items())), tuple(ordered), priority=members[0].priority)


def _with_free_key(rule: PackedRule, taken: set[str]) -> PackedRule:
    key, number = rule.key, 1
    while key in taken:
        number += 1
        key = f"{rule.key}-{number}"
    taken.add(key)
    return replace(rule, key=key)


def _reach_of(rule: PackedRule) -> _Reach:
    return frozenset(
        (protocol, str(source), ports) for protocol, ports in rule.ports for source in rule.sources
    )
