"""The fewest rules of any shape: rectangles that are cut to the shape's limits, under keys that stay."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from skyports_tf.model import PackedRule, Protocol
from skyports_tf.packing.identity import batched_rules, keyed_rules, with_steps
from skyports_tf.packing.rectangles import Ports, Rectangle, Sources, port_parts, rectangles
from skyports_tf.packing.shapes import RuleShape, Wanted
from skyports_tf.ports import PortRange, PortSet
from skyports_tf.sources import Source


def fewest_rules(
    wanted: Wanted, shape: RuleShape, previous: Sequence[PackedRule] = ()
) -> tuple[PackedRule, ...]:
    """What `pack.pack` gives, which loads this module where it is needed."""
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
