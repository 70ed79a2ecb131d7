"""When ports close: in words beside a rule, and in JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from skyports_tf.deadlines import Expiration, expirations
from skyports_tf.expiry import spell_stamp
from skyports_tf.model import Stack
from skyports_tf.outcomes import PortRule
from skyports_tf.ports import PortSet
from skyports_tf.report.rules import port_set

_MOST_PARTS = 2


def expiry_json(stack: Stack, now: datetime | None = None) -> list[dict[str, Any]]:
    """The key `expires` of a stack: its ports that close at a time, or have."""
    return [
        {
            "protocol": item.protocol,
            "from_port": item.ports.first,
            "to_port": item.ports.last,
            "sources": list(item.sources),
            "expires": item.expires,
            "at": item.at,
            "expired": item.expired,
        }
        for item in expirations(stack, now)
    ]


def expiry_note(rule: PortRule, source: str, known: Iterable[Expiration]) -> str:
    """When the rule's ports close for `source`; empty where they never do."""
    wanted = port_set([rule])
    parts = [
        (ports, spell_expiry(item))
        for item in known
        if item.protocol == rule.protocol and source in item.sources
        for ports in PortSet((item.ports,)) & wanted
    ]
    if [PortSet((ports,)) for ports, _ in parts] == [wanted]:
        return parts[0][1]
    shown = [f"{ports} {words}" for ports, words in parts[:_MOST_PARTS]]
    if len(parts) > _MOST_PARTS:
        shown.append(f"and {len(parts) - _MOST_PARTS} more")
    return ", ".join(shown)


def spell_expiry(item: Expiration) -> str:
    """`until 2026-12-01 18:00 UTC`, `for 8h` where the time has not begun, or when it was over."""
    if item.at is None:
        return f"for {item.expires}"
    return f"{'expired' if item.expired else 'until'} {spell_stamp(item.at)}"


def unchanged(known: Iterable[Expiration], shown: Sequence[PortRule]) -> list[tuple[PortRule, Expiration]]:
    """What is open, closes at a time, and is not among the rules that are `shown`."""
    found = []
    for item in known:
        sources = tuple(
            source
            for source in item.sources
            if not any(_touches(item, rule) and source in rule.sources for rule in shown)
        )
        if sources and not item.expired:
            rule = PortRule(item.protocol, item.ports.first, item.ports.last, sources)
            found.append((rule, item))
    return found


def _touches(item: Expiration, rule: PortRule) -> bool:
    return item.protocol == rule.protocol and bool(PortSet((item.ports,)) & port_set([rule]))
