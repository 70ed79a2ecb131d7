"""Packing: exactly what is wanted, in the fewest rules, under keys that stay."""

from __future__ import annotations

from collections import deque
from functools import cache
from itertools import combinations, product
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skyports_tf.clouds import load_cloud, managed_clouds
from skyports_tf.config import Config
from skyports_tf.model import PackedRule, Protocol
from skyports_tf.pack import pack
from skyports_tf.packing.shapes import PortsShape, RuleShape, Wanted
from skyports_tf.ports import PortRange, PortSet, parse_ports
from skyports_tf.sources import Source, parse_source
from skyports_tf.stacks import shape_of

#: The closed list of forms, each with small limits.
FORMS = {
    "one range, one source": RuleShape("range", "one"),
    "one range, many sources": RuleShape("range", "mixed"),
    "many ranges, many sources of a family": RuleShape("ranges", "family"),
    "many ranges, sources and protocols": RuleShape("ranges", "family", many_protocols=True),
    "8 single ports, 8 sources": RuleShape("single", "family", ports_max=8, sources_max=8),
    "5 single ports, any sources": RuleShape("single", "mixed", ports_max=5),
}


def shapes() -> dict[str, RuleShape]:
    """The forms, and the shape of every cloud that we manage; clouds of one shape are one."""
    clouds: dict[RuleShape, list[str]] = {}
    for name in managed_clouds():
        clouds.setdefault(shape_of(load_cloud(name), Config()), []).append(name)
    forms = {name: form for name, form in FORMS.items() if form not in clouds}
    return {**forms, **{" ".join(names): shape for shape, names in clouds.items()}}


SHAPES = shapes()
#: Forms whose rules are full after two sources, so that most edits move sources between rules.
SMALL = {
    f"{ports}, 2 sources": RuleShape(ports, "family", ports_max=2, sources_max=2)
    for ports in get_args(PortsShape)
}
A, B, C = (parse_source(text) for text in ("10.0.0.0/8", "192.168.0.0/16", "0.0.0.0/0"))
SIX, TAG = parse_source("2001:db8::/32"), parse_source("tag:office")
SOURCE_SETS: list[tuple[Source, ...]] = [(C,), (A, B), (A, SIX)]

Cell = tuple[Protocol, int, Source]


def wanted_of(cells: set[Cell]) -> dict[tuple[Protocol, Source], PortSet]:
    found: dict[tuple[Protocol, Source], list[PortRange]] = {}
    for protocol, port, source in cells:
        found.setdefault((protocol, source), []).append(PortRange(port, port))
    return {key: PortSet.of(ranges) for key, ranges in found.items()}


def cells_of(rule: PackedRule) -> set[Cell]:
    return {
        (protocol, port, source)
        for protocol, ports in rule.ports
        for item in ports
        for port in range(item.first, item.last + 1)
        for source in rule.sources
    }


def assert_shaped(rule: PackedRule, shape: RuleShape) -> None:
    ports = [item for _, ranges in rule.ports for item in ranges]
    if shape.ports == "range":
        assert len(ports) == 1
    if shape.ports == "single" and shape.ports_max:
        assert sum(map(len, ports)) <= shape.ports_max
    if not shape.many_protocols:
        assert len(rule.ports) == 1
    assert len(rule.sources) <= (1 if shape.sources == "one" else shape.sources_max or 99)
    if shape.sources == "family":
        assert len({source.kind for source in rule.sources}) == 1
    if any(source.kind in shape.alone for source in rule.sources):
        assert len(rule.sources) == 1


# -- the optimum, by trying everything --------------------------------------------------


def all_rules(cells: frozenset[Cell], shape: RuleShape) -> list[frozenset[Cell]]:
    """Every maximal rule of the shape that opens nothing beyond `cells`."""
    protocols = sorted({cell[0] for cell in cells})
    sources = sorted({cell[2] for cell in cells}, key=str)
    groups = [tuple(protocols)] if shape.many_protocols else [(protocol,) for protocol in protocols]
    most = 1 if shape.sources == "one" else min(shape.sources_max or 99, len(sources))
    found = set()
    for group, size in product(groups, range(1, most + 1)):
        for chosen in combinations(sources, size):
            if shape.sources == "family" and len({source.kind for source in chosen}) > 1:
                continue
            if size > 1 and any(source.kind in shape.alone for source in chosen):
                continue
            ports = [
                (protocol, port)
                for protocol in group
                for port in sorted({cell[1] for cell in cells})
                if all((protocol, port, source) in cells for source in chosen)
            ]
            for part in port_choices(tuple(ports), shape):
                found.add(frozenset((protocol, port, source) for protocol, port in part for source in chosen))
    return sorted(found, key=lambda item: (-len(item), sorted(map(str, item))))


@cache
def port_choices(
    ports: tuple[tuple[Protocol, int], ...], shape: RuleShape
) -> list[tuple[tuple[Protocol, int], ...]]:
    if shape.ports == "ranges":
        assert len(ports) <= (shape.ports_max or len(ports))
        return [ports] if ports else []
    if shape.ports == "single":
        size = min(shape.ports_max or 99, len(ports))
        return list(combinations(ports, size)) if size else []
    runs: list[list[tuple[Protocol, int]]] = []
    for protocol, port in ports:
        if runs and runs[-1][-1] == (protocol, port - 1):
            runs[-1].append((protocol, port))
        else:
            runs.append([(protocol, port)])
    return [tuple(run) for run in runs]


def optimum(cells: set[Cell], shape: RuleShape) -> int:
    """The fewest rules, by breadth-first search over what is covered."""
    everything = frozenset(cells)
    order = sorted(cells, key=str)
    position = {cell: 1 << number for number, cell in enumerate(order)}
    masks = [sum(position[cell] for cell in rule) for rule in all_rules(everything, shape)]
    goal = (1 << len(order)) - 1
    queue, seen = deque([(0, 0)]), {0}
    while queue:
        covered, steps = queue.popleft()
        if covered == goal:
            return steps
        missing = goal & ~covered
        first = missing & -missing
        for mask in masks:
            if mask & first and covered | mask not in seen:
                seen.add(covered | mask)
                queue.append((covered | mask, steps + 1))
    raise AssertionError("no cover")


@cache
def optimum_of_ports(count_runs: tuple[int, ...], shape: RuleShape) -> int:
    """The fewest rules for runs of these lengths from one source, by trying everything."""
    cells: set[Cell] = set()
    port = 1
    for length in count_runs:
        cells |= {("tcp", number, C) for number in range(port, port + length)}
        port += length + 1
    return optimum(cells, shape)


def runs_of(subset: int) -> tuple[int, ...]:
    return tuple(sorted(len(run) for run in format(subset, "012b").split("0") if run))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("sources", SOURCE_SETS, ids=["internet", "two blocks", "both families"])
def test_all_subsets_of_twelve_ports_take_the_fewest_rules(shape: str, sources: tuple[Source, ...]) -> None:
    form = SHAPES[shape]
    families = len({source.kind for source in sources})
    groups = len(sources) if form.sources == "one" else families if form.sources == "family" else 1
    for subset in range(1, 4096):
        ports = [number + 1 for number in range(12) if subset >> number & 1]
        cells: set[Cell] = {("tcp", port, source) for port in ports for source in sources}
        rules = pack(wanted_of(cells), form)
        assert set().union(*map(cells_of, rules)) == cells
        assert len(rules) == groups * optimum_of_ports(runs_of(subset), form), ports


@pytest.mark.parametrize("shape", [name for name, form in SHAPES.items() if form.ports != "single"])
def test_ports_with_sources_of_their_own_take_the_fewest_rules(shape: str) -> None:
    form = SHAPES[shape]
    choices: list[tuple[Source, ...]] = [(), (A,), (B,), (A, B), (A, TAG) if form.alone else (A, C)]
    for assigned in product(choices, repeat=4):
        cells: set[Cell] = {
            ("tcp", port, source) for port, sources in enumerate(assigned, 1) for source in sources
        }
        rules = pack(wanted_of(cells), form)
        assert set().union(*map(cells_of, rules)) == cells
        assert len(rules) == (optimum(cells, form) if cells else 0), assigned


CELLS = st.sets(
    st.tuples(st.sampled_from(["tcp", "udp"]), st.integers(1, 30), st.sampled_from([A, B, C, SIX])),
    max_size=40,
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted({**SHAPES, **SMALL})), CELLS, CELLS)
def test_packed_rules_open_exactly_what_is_wanted_whatever_was_before(
    shape: str, before: set[Cell], cells: set[Cell]
) -> None:
    form = {**SHAPES, **SMALL}[shape]
    previous = pack(wanted_of(before), form)
    rules = pack(wanted_of(cells), form, previous)
    assert set().union(*map(cells_of, rules)) == cells
    assert len({rule.key for rule in rules}) == len(rules)
    assert len(rules) == len(pack(wanted_of(cells), form))
    for rule in rules:
        assert_shaped(rule, form)
    assert pack(wanted_of(cells), form, rules) == rules


def test_sources_that_fill_two_rules_lose_no_port_and_take_no_rule_twice() -> None:
    form = FORMS["8 single ports, 8 sources"]
    many = [parse_source(f"10.{number}.0.0/16") for number in range(9)]
    cells: set[Cell] = {("tcp", port, source) for port in range(1, 10) for source in many}
    cells -= {("tcp", 9, many[8])}
    rules = pack(wanted_of(cells), form)
    # 1-8 and 9 for eight of the sources, 1-8 for the ninth
    assert len(rules) == 3
    assert set().union(*map(cells_of, pack(wanted_of(cells), form, rules))) == cells


def test_rules_of_a_former_compile_that_hold_the_same_lose_no_port() -> None:
    form = FORMS["8 single ports, 8 sources"]
    twice: list[tuple[tuple[Protocol, PortSet]]] = [
        (("tcp", parse_ports(text)),) for text in ("1-8", "1-8", "9")
    ]
    former = [PackedRule(f"tcp-ipv4-{number}", ports, (A,)) for number, ports in enumerate(twice, 1)]
    cells: set[Cell] = {("tcp", port, A) for port in range(1, 10)}
    rules = pack(wanted_of(cells), form, former)
    assert set().union(*map(cells_of, rules)) == cells
    assert len(rules) == 2


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(sorted(SHAPES)), st.sets(st.integers(1, 60), min_size=2, max_size=40), st.data())
def test_dropping_a_single_port_touches_one_rule(shape: str, ports: set[int], data: st.DataObject) -> None:
    form = SHAPES[shape]
    drop = data.draw(st.sampled_from(sorted(ports)))
    before = pack(wanted_of({("tcp", port, C) for port in ports}), form)
    after = pack(wanted_of({("tcp", port, C) for port in ports - {drop}}), form, before)
    if len(after) < len(before) and form.ports == "single":
        return  # the fewest rules need one rule less, and its ports have to move
    old, new = ({rule.key: rule for rule in rules} for rules in (before, after))
    touched = [key for key in old if new.get(key) != old[key]]
    assert len(touched) == 1


@pytest.mark.parametrize("shape", [name for name, form in SHAPES.items() if form.ports != "single"])
def test_a_wider_range_and_a_new_source_change_rules_in_place(shape: str) -> None:
    form = SHAPES[shape]
    before = pack(wanted_of({("tcp", 80, A)}), form)
    wider = pack(wanted_of({("tcp", 80, A), ("tcp", 81, A)}), form, before)
    assert [rule.key for rule in wider] == [rule.key for rule in before]
    more = pack(wanted_of({("tcp", 80, A), ("tcp", 80, B)}), form, before)
    assert {rule.key for rule in before} <= {rule.key for rule in more}


def test_the_worked_numbers_of_the_field() -> None:
    ports: Wanted = {("tcp", C): PortSet((PortRange(8000, 8100),))}
    assert len(pack(ports, RuleShape("range", "one"))) == 1
    assert len(pack(ports, RuleShape("ranges", "family", many_protocols=True))) == 1
    assert len(pack(ports, RuleShape("single", "family", ports_max=8, sources_max=8))) == 13
    assert len(pack(ports, RuleShape("single", "mixed", ports_max=50))) == 3
    lone = PortSet(tuple(PortRange(port, port) for port in range(1000, 1012, 2)))
    many: Wanted = {("tcp", parse_source(f"10.{number}.0.0/16")): lone for number in range(20)}
    assert len(pack(many, RuleShape("range", "one"))) == 120
    assert len(pack(many, RuleShape("ranges", "family"))) == 1


def test_all_ports_cost_no_more_than_one() -> None:
    wide = pack({("tcp", C): PortSet((PortRange(1, 65535),))}, RuleShape("ranges", "family"))
    assert len(wide) == 1 and wide[0].ports[0][1] == PortSet((PortRange(1, 65535),))
