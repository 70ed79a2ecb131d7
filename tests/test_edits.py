"""Edits of what is wanted, on every cloud: rules change only where the edit changes what they open."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skyports_tf.clouds import load_cloud, managed_clouds
from skyports_tf.model import PackedRule, Stack
from tests.support.edits import (
    EDITS,
    Cells,
    Edit,
    add_source,
    cells_of,
    files_of,
    grants_of,
    open_port,
    rule_lines,
    sources_of,
    stack_of,
    widen,
    without_rules,
)

CLOUDS = managed_clouds()
PORTS = st.integers(1, 24)
# a cloud at a time, so that each takes its share of the examples
every_cloud = pytest.mark.parametrize("cloud", CLOUDS)


def wishes(cloud: str) -> st.SearchStrategy[Cells]:
    """Ports of both protocols, each with sources of its own."""
    protocols, sources = st.sampled_from(load_cloud(cloud).protocols), st.sampled_from(sources_of(cloud))
    return st.frozensets(st.tuples(protocols, PORTS, sources), min_size=1, max_size=30)


def edited(data: st.DataObject, cloud: str, cells: Cells) -> Cells:
    """`cells` after a random edit, or as they are where that would close everything."""
    edit: Edit = data.draw(st.sampled_from(EDITS), label="edit")
    port, source = (
        data.draw(PORTS, label="port"),
        data.draw(st.sampled_from(sources_of(cloud)), label="source"),
    )
    return edit(cells, port, source) or cells


def by_key(stack: Stack) -> dict[str, PackedRule]:
    assert len({rule.key for rule in stack.packed}) == len(stack.packed)
    return {rule.key: rule for rule in stack.packed}


def opened(stack: Stack) -> Cells:
    return frozenset().union(*map(cells_of, stack.packed))


@every_cloud
@settings(max_examples=40)
@given(data=st.data())
def test_an_edit_changes_the_lines_of_rules_that_open_something_else_and_no_other(
    cloud: str, data: st.DataObject
) -> None:
    cells = data.draw(wishes(cloud), label="wish")
    stack = stack_of(cloud, grants_of(cells))
    for _ in range(data.draw(st.integers(1, 4), label="edits")):
        cells = edited(data, cloud, cells)
        before, stack = stack, stack_of(cloud, grants_of(cells), stack)
        assert opened(stack) == cells
        old, new = files_of(before), files_of(stack)
        assert without_rules(old["main.tf"]) == without_rules(new["main.tf"])
        assert {**old, "main.tf": "", "stack.json": ""} == {**new, "main.tf": "", "stack.json": ""}
        rules, lines = (
            (by_key(before), by_key(stack)),
            (rule_lines(old["main.tf"]), rule_lines(new["main.tf"])),
        )
        for key in rules[0].keys() & rules[1].keys():
            assert (lines[0][key] == lines[1][key]) == (cells_of(rules[0][key]) == cells_of(rules[1][key]))
        assert [set(part) for part in lines] == [set(part) for part in rules]


@every_cloud
@settings(max_examples=40)
@given(data=st.data())
def test_an_edit_leaves_rules_alone_that_share_neither_protocol_nor_family_with_it(
    cloud: str, data: st.DataObject
) -> None:
    shape = load_cloud(cloud).shape

    def part(cell: tuple[str, int, object]) -> tuple[object, ...]:
        """What cells of one rule have in common."""
        source = cell[2]
        kind = {"one": source, "family": getattr(source, "kind", None), "mixed": None}[shape.sources]
        return (None if shape.many_protocols else cell[0], kind)

    cells = data.draw(wishes(cloud), label="wish")
    before = stack_of(cloud, grants_of(cells))
    after_cells = edited(data, cloud, cells)
    after = stack_of(cloud, grants_of(after_cells), before)
    concerned = {part(cell) for cell in cells ^ after_cells}
    for one, other in ((before, after), (after, before)):
        for rule in one.packed:
            if not concerned & set(map(part, cells_of(rule))):
                assert rule in other.packed


@every_cloud
@settings(max_examples=40)
@given(data=st.data())
def test_a_rule_that_opens_the_same_as_before_keeps_its_key(cloud: str, data: st.DataObject) -> None:
    cells = data.draw(wishes(cloud), label="wish")
    stack = stack_of(cloud, grants_of(cells))
    for _ in range(data.draw(st.integers(1, 4), label="edits")):
        cells = edited(data, cloud, cells)
        before, stack = stack, stack_of(cloud, grants_of(cells), stack)
        keys = {cells_of(rule): rule.key for rule in before.packed}
        for rule in stack.packed:
            assert keys.get(cells_of(rule), rule.key) == rule.key


@every_cloud
@settings(max_examples=40)
@given(data=st.data())
def test_the_order_of_the_input_changes_no_byte(cloud: str, data: st.DataObject) -> None:
    cells = data.draw(wishes(cloud), label="wish")
    before = stack_of(cloud, grants_of(cells))
    later = edited(data, cloud, cells)
    orders = [data.draw(st.permutations(grants_of(later)), label="order") for _ in range(2)]
    one, other = (stack_of(cloud, order, before) for order in orders)
    assert one.packed == other.packed
    assert files_of(one) == files_of(other)


@every_cloud
@settings(max_examples=25)
@given(data=st.data())
def test_an_edit_taken_back_leaves_the_same_rules_open_and_a_second_compile_changes_nothing(
    cloud: str, data: st.DataObject
) -> None:
    cells = data.draw(wishes(cloud), label="wish")
    first = stack_of(cloud, grants_of(cells))
    second = stack_of(cloud, grants_of(edited(data, cloud, cells)), first)
    back = stack_of(cloud, grants_of(cells), second)
    assert opened(back) == cells
    assert len(back.packed) == len(first.packed)
    assert files_of(stack_of(cloud, grants_of(cells), back)) == files_of(back)


@pytest.mark.parametrize("cloud", [name for name in CLOUDS if load_cloud(name).priorities])
@settings(max_examples=60)
@given(data=st.data())
def test_priorities_stay_are_unique_and_lie_in_the_window(cloud: str, data: st.DataObject) -> None:
    window = load_cloud(cloud).priorities
    assert window is not None
    cells = data.draw(wishes(cloud), label="wish")
    stack = stack_of(cloud, grants_of(cells))
    for _ in range(data.draw(st.integers(1, 6), label="edits")):
        cells = edited(data, cloud, cells)
        before, stack = stack, stack_of(cloud, grants_of(cells), stack)
        old, new = by_key(before), by_key(stack)
        found = [rule.priority for rule in new.values()]
        assert len(set(found)) == len(found)
        assert all(number is not None and window.first <= number <= window.last for number in found)
        assert all(new[key].priority == old[key].priority for key in old.keys() & new.keys())


@every_cloud
@settings(max_examples=30)
@given(data=st.data())
def test_wider_ranges_more_ports_and_more_sources_change_rules_in_place(
    cloud: str, data: st.DataObject
) -> None:
    sources = [source for source in sources_of(cloud) if source.kind == "ipv4"][:2]
    ports = data.draw(st.sets(PORTS, min_size=1, max_size=6), label="ports")
    cells: Cells = frozenset(("tcp", port, sources[0]) for port in ports)
    before = stack_of(cloud, grants_of(cells))
    edit = data.draw(st.sampled_from((widen, open_port, add_source)), label="edit")
    later = edit(cells, data.draw(PORTS, label="port"), sources[1])
    after = stack_of(cloud, grants_of(later), before)
    gone = by_key(before).keys() - by_key(after).keys()
    if load_cloud(cloud).shape.sources == "one":
        # such a rule is called after its first port
        firsts = {rule.ports.first for rule in after.rules}
        assert not [rule.key for rule in before.rules if rule.key in gone and rule.ports.first in firsts]
    else:
        assert len(gone) == max(0, len(before.packed) - len(after.packed))
