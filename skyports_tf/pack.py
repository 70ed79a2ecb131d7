"""Packs what is wanted open into the fewest rules that a cloud's rule shape allows.

Shape `one_range_one_source` (one contiguous range and one source a rule): for each protocol
and source, one rule for each maximal run of ports. That is the minimum: a rule covers ports
of one run only, since it may open nothing that is not wanted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence

from skyports_tf.model import ADOPTED, Grant, IngressRule, LedgerEntry, PackedRule, Protocol
from skyports_tf.packing.identity import batched_rules, keyed_rules, with_steps
from skyports_tf.packing.rectangles import (
    Ports,
    Rectangle,
    RuleShape,
    Sources,
    Wanted,
    port_parts,
    rectangles,
)
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
    packed: list[PackedRule] = []
    for name, block in _blocks(wanted, shape):
        before = [rule for rule in previous if rule.key.startswith(f"{name}-")]
        packed += _pack_block(name, block, shape, before)
    return tuple(sorted(packed, key=lambda rule: rule.sort_key))


def _blocks(wanted: Wanted, shape: RuleShape) -> Iterator[tuple[str, Wanted]]:
    """What cannot share a rule apart: other protocols, other families, other sources."""
    blocks: dict[tuple[str, ...], dict[tuple[Protocol, Source], PortSet]] = {}
    for (protocol, source), ports in sorted(
        wanted.items(), key=lambda item: (item[0][0], item[0][1].sort_key)
    ):
        if not ports:
            continue
        parts: list[str] = [] if shape.many_protocols else [protocol]
        if shape.sources == "family":
            parts.append(source.kind)
        elif shape.sources == "one":
            parts.append(str(source))
        blocks.setdefault(tuple(parts or ["any"]), {})[protocol, source] = ports
    for name, block in blocks.items():
        yield "-".join(name), block


def _pack_block(
    name: str, block: Wanted, shape: RuleShape, previous: Sequence[PackedRule]
) -> list[PackedRule]:
    found = [
        (sources, batch)
        for piece in _pieces(block, shape)
        for sources, ports in _parts(rectangles(piece, shape), shape)
        for batch in _batches(ports, shape)
    ]
    if shape.ports == "single":
        rules = batched_rules(name, found, shape.ports_max, previous)
    else:
        rules = keyed_rules(name, found, previous)
    return with_steps(name, rules, previous)


def _pieces(block: Wanted, shape: RuleShape) -> Iterator[Wanted]:
    """The block without the sources that stand alone in a rule, then each of those by itself."""
    pieces: dict[Source | None, dict[tuple[Protocol, Source], PortSet]] = {}
    for (protocol, source), ports in block.items():
        alone = source if source.kind in shape.alone else None
        pieces.setdefault(alone, {})[protocol, source] = ports
    yield from pieces.values()


def _batches(ports: Ports, shape: RuleShape) -> Iterator[Ports]:
    """The ports in batches of as many ranges as a rule takes."""
    if shape.ports != "ranges" or shape.ports_max is None:
        yield ports
        return
    items = [(protocol, item) for protocol, ranges in ports.items() for item in ranges]
    for start in range(0, len(items), shape.ports_max):
        batch: dict[Protocol, list[PortRange]] = {}
        for protocol, item in items[start : start + shape.ports_max]:
            batch.setdefault(protocol, []).append(item)
        yield {protocol: PortSet.of(ranges) for protocol, ranges in batch.items()}


def _parts(found: Iterable[Rectangle], shape: RuleShape) -> Iterator[Rectangle]:
    """The rectangles in parts of as many sources as a rule takes; parts that have the same are one."""
    parts: dict[Sources, dict[Protocol, PortSet]] = {}
    for sources, ports in found:
        ordered = sorted(sources, key=lambda source: source.sort_key)
        size = shape.sources_max or len(ordered)
        for start in range(0, len(ordered), size):
            part = parts.setdefault(frozenset(ordered[start : start + size]), {})
            part.update((name, part.get(name, PortSet()) | ranges) for name, ranges in ports.items())
    return ((sources, item) for sources, ports in parts.items() for item in port_parts(ports, shape))
