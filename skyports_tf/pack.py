"""Packs what is wanted open into the fewest rules that a cloud's rule shape allows.

Shape `one_range_one_source` (one contiguous range and one source a rule): for each protocol
and source, one rule for each maximal run of ports. That is the minimum: a rule covers ports
of one run only, since it may open nothing that is not wanted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from skyports_tf.model import Grant, IngressRule, LedgerEntry, Protocol
from skyports_tf.ports import PortRange, PortSet
from skyports_tf.sources import Source

_DESCRIPTION_LENGTH = 255


def pack_rules(entries: Sequence[LedgerEntry]) -> tuple[IngressRule, ...]:
    """The rules that open exactly what `entries` want, retained grants included, in a fixed order."""
    wanted: dict[tuple[Protocol, Source], list[tuple[Grant, str]]] = defaultdict(list)
    for entry in entries:
        for grant in (*entry.grants, *entry.retained):
            wanted[grant.protocol, grant.source].append((grant, entry.file))
    rules = [
        _rule(protocol, source, ports, grants)
        for (protocol, source), grants in wanted.items()
        for ports in PortSet.of(grant.ports for grant, _ in grants)
    ]
    return tuple(sorted(rules, key=_rule_order))


def _rule(
    protocol: Protocol, source: Source, ports: PortRange, grants: Sequence[tuple[Grant, str]]
) -> IngressRule:
    within = [(grant, file) for grant, file in grants if grant.ports.first in ports]
    described = {
        grant.description: None
        for grant, _ in sorted(within, key=lambda item: (item[0].ports, item[0].description or ""))
        if grant.description
    }
    description = ", ".join(described)[:_DESCRIPTION_LENGTH] or None
    return IngressRule(protocol, ports, source, description, tuple(sorted({file for _, file in within})))


def _rule_order(rule: IngressRule) -> tuple[object, ...]:
    return rule.protocol, rule.ports, rule.source.sort_key


def rules_by_family(rules: Iterable[IngressRule], ssh: Iterable[Source], shared: int) -> Mapping[str, int]:
    """How many rules count against the IPv4 and the IPv6 quota of a group.

    A rule whose source is no address counts in both; `shared` is the number of further rules
    that do (such as the one for traffic between the nodes). AWS counts the two families apart
    (Amazon VPC quotas).
    """
    counts = {"IPv4": shared, "IPv6": shared}
    for source in (*(rule.source for rule in rules), *ssh):
        if source.kind != "ipv6":
            counts["IPv4"] += 1
        if source.kind != "ipv4":
            counts["IPv6"] += 1
    return counts
