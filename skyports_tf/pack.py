"""Packs what is wanted open into the fewest rules that a cloud's rule shape allows.

Shape `one_range_one_source` (one contiguous range and one source a rule): for each protocol
and source, one rule for each maximal run of ports. That is the minimum: a rule covers ports
of one run only, since it may open nothing that is not wanted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence

from skyports_tf.model import ADOPTED, Grant, IngressRule, LedgerEntry, PackedRule, Protocol
from skyports_tf.packing.shapes import RuleShape, Wanted
from skyports_tf.ports import PortRange, PortSet
from skyports_tf.sources import Source

_DESCRIPTION_LENGTH = 255


def pack_rules(entries: Sequence[LedgerEntry], adopted: Collection[str] = ()) -> tuple[IngressRule, ...]:
    """The rules that open exactly what `entries` want, in a fixed order.

    Retained grants count, grants that are closed do not. What was adopted stays in the rules that
    the cloud has: it is merged with others only where they overlap, and a rule whose key is among
    `adopted` stays one of its own, whoever asks for its ports.
    """
    wanted: dict[tuple[Protocol, Source], list[tuple[Grant, str]]] = defaultdict(list)
    for entry in entries:
        for grant in (*entry.grants, *entry.retained):
            if not grant.closed:
                wanted[grant.protocol, grant.source].append((grant, entry.file))
    rules = [
        _rule(protocol, source, ports, grants)
        for (protocol, source), grants in wanted.items()
        for run in _ranges(grants)
        for ports in _split(run, protocol, source, adopted)
    ]
    return tuple(sorted(rules, key=_rule_order))


def _ranges(grants: Sequence[tuple[Grant, str]]) -> tuple[PortRange, ...]:
    """The ranges of the rules for what `grants` open to one source."""
    asked = PortSet.of(grant.ports for grant, file in grants if file != ADOPTED)
    adopted = [grant.ports for grant, file in grants if file == ADOPTED]
    if not adopted:
        return asked.ranges
    apart = {ports for ports in adopted if not PortSet((ports,)) & asked}
    rest = PortSet.of(ports for ports in adopted if ports not in apart)
    return (*apart, *(asked | rest))


def _split(
    run: PortRange, protocol: Protocol, source: Source, adopted: Collection[str]
) -> Iterator[PortRange]:
    """The run, cut where a rule that was adopted begins."""
    first = run.first
    if adopted:
        keys = (adopted_key.partition("@") for adopted_key in adopted if adopted_key.endswith(f"@{source}"))
        starts = {start.removeprefix(f"{protocol}-") for start, _, _ in keys}
        for start in sorted(int(text) for text in starts if text.isdecimal()):
            if first < start <= run.last:
                yield PortRange(first, start - 1)
                first = start
    yield PortRange(first, run.last)


def _rule(
    protocol: Protocol, source: Source, ports: PortRange, grants: Sequence[tuple[Grant, str]]
) -> IngressRule:
    within = [
        (grant, file)
        for grant, file in grants
        if grant.ports.first <= ports.last and grant.ports.last >= ports.first
    ]
    described = {
        grant.description: None
        for grant, _ in sorted(within, key=lambda item: (item[0].ports, item[0].description or ""))
        if grant.description
    }
    description = ", ".join(described)[:_DESCRIPTION_LENGTH] or None
    return IngressRule(protocol, ports, source, description, tuple(sorted({file for _, file in within})))


def _rule_order(rule: IngressRule) -> tuple[object, ...]:
    return rule.protocol, rule.ports, rule.source.sort_key


# -- rules of any shape ----------------------------------------------------------------


def wanted_of(rules: Iterable[IngressRule]) -> dict[tuple[Protocol, Source], PortSet]:
    """What `rules` open, as the packer takes it."""
    found: dict[tuple[Protocol, Source], list[PortRange]] = {}
    for rule in rules:
        found.setdefault((rule.protocol, rule.source), []).append(rule.ports)
    return {key: PortSet.of(ranges) for key, ranges in found.items()}


def pack(wanted: Wanted, shape: RuleShape, previous: Sequence[PackedRule] = ()) -> tuple[PackedRule, ...]:
    """The fewest rules of `shape` that open exactly `wanted`, in a fixed order.

    `previous` are the rules of the last compile: a rule that opens much of what one of them
    opened takes over its key, and single ports stay in their rule where that costs no rule.
    """
    # only where it is needed: it would be a tenth of what a start costs
    from skyports_tf.packing.fewest import fewest_rules

    return fewest_rules(wanted, shape, previous)
