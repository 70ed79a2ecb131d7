"""The order in which rules change: no call closes what stays wanted; where none can be had, that is told."""

from __future__ import annotations

from itertools import permutations
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skyports_tf.clouds import load_cloud, managed_clouds
from skyports_tf.ordering import Move, find_order, kept_wanted, may_close
from skyports_tf.ports import PortRange, PortSet, parse_ports
from skyports_tf.reach import minus, union
from skyports_tf.sources import parse_source
from tests.support.edits import Cells, grants_of, stack_of
from tests.support.moves import Write, applies_of, closed_meanwhile, in_some_order, moves_of
from tests.test_edits import edited, wishes

CLOUDS = managed_clouds()


def reach(**ports: str) -> dict[str, PortSet]:
    return {place: parse_ports(text) for place, text in ports.items() if text}


def move(name: str, before: str, after: str, anew: bool = False) -> Move[str]:
    return Move(name, reach(a=before), reach(a=after), anew)


def text(found: Any) -> dict[str, str]:
    return {place: str(ports) for place, ports in found.items()}


@pytest.mark.parametrize(
    ("moves", "steps", "gaps"),
    [
        ([move("x", "80-90", "80-84"), move("y", "", "86-90")], (("y",),), {}),
        ([move("x", "80-84", "80-90"), move("y", "86-90", "")], (("x",),), {}),
        ([move("x", "80-90", ""), move("y", "", "82-90")], (("y",),), {}),
        # nothing that stays wanted moves
        ([move("x", "80", ""), move("y", "", "81")], (), {}),
        ([move("x", "80-90", "80-84")], (), {}),
        ([move("x", "80", "81"), move("y", "82", "80-81")], (("y",),), {}),
        # one after the other: z waits for x, which waits for y
        ([move("x", "1", "2"), move("y", "", "1"), move("z", "2", "3")], (("y",), ("x",)), {}),
        # a swap: whichever comes first, one port is closed
        ([move("x", "1", "2"), move("y", "2", "1")], (), {"a": "1-2"}),
        ([move("x", "1,5", "2"), move("y", "2", "1"), move("n", "", "5")], (("n",),), {"a": "1-2"}),
        # made anew: closed in between, but where another rule has it open
        ([move("x", "1", "1", anew=True)], (), {"a": "1"}),
        ([move("x", "1", "1", anew=True), move("y", "", "1")], (("y",),), {}),
    ],
)
def test_the_order_of_an_edit(moves: list[Move[str]], steps: object, gaps: dict[str, str]) -> None:
    order = find_order(moves, {})
    assert (order.steps, text(order.gaps)) == (steps, gaps)


def test_what_rules_that_stay_reach_needs_no_order() -> None:
    moves = [move("x", "80-90", "80-84"), move("y", "", "86-90")]
    assert find_order(moves, reach(a="86-90")).steps == ()


def test_with_a_bound_on_the_steps_the_rest_is_told_as_gaps() -> None:
    moves = [move("x", "1", "2"), move("y", "", "1"), move("z", "2", "3")]
    order = find_order(moves, {}, most=1)
    assert (order.steps, text(order.gaps)) == ((("y",),), {"a": "2"})
    assert text(find_order(moves, {}, most=0).gaps) == {"a": "1-2"}


# -- against every order that there is -------------------------------------------------

PLACES = st.sampled_from("ab")
REACHES = st.dictionaries(
    PLACES,
    st.sets(st.integers(1, 4), min_size=1).map(lambda found: PortSet.of(PortRange(n, n) for n in found)),
)


@st.composite
def some_moves(draw: st.DrawFn) -> list[Move[str]]:
    count = draw(st.integers(1, 4))
    return [Move(f"m{n}", draw(REACHES), draw(REACHES), draw(st.booleans())) for n in range(count)]


@settings(max_examples=300)
@given(moves=some_moves(), kept=REACHES)
def test_what_may_close_is_what_some_order_closes(moves: list[Move[str]], kept: dict[str, PortSet]) -> None:
    wanted = kept_wanted(moves, kept)
    seen: list[Any] = []
    for order in permutations(range(len(moves))):
        for held in permutations(range(len(moves))):
            calls = in_some_order(moves, lambda names, order=order, held=held: by_rank(names, order, held))  # type: ignore[misc]
            seen += [closed for _, closed in closed_meanwhile(moves, kept, calls, wanted)]
    assert union(seen) == may_close(moves, kept)


def by_rank(names: list[str], first: tuple[int, ...], second: tuple[int, ...]) -> list[str]:
    """First calls of the rules in one order, second calls in another, and those that have one between."""
    ranked, met = [], set()
    for name in names:
        number = int(name[1:])
        ranked.append((name in met, second[number] if name in met else first[number], name))
        met.add(name)
    return [name for *_, name in sorted(ranked)]


@settings(max_examples=300)
@given(moves=some_moves(), kept=REACHES, seed=st.integers(0, 10**6))
def test_in_steps_nothing_closes_but_what_is_told(
    moves: list[Move[str]], kept: dict[str, PortSet], seed: int
) -> None:
    order, random = find_order(moves, kept), Random(seed)
    promised = minus(kept_wanted(moves, kept), order.gaps)
    for _ in range(10):
        calls = calls_in_steps(moves, order, random)
        assert list(closed_meanwhile(moves, kept, calls, promised)) == []


def calls_in_steps(moves: list[Move[Any]], order: Any, random: Random) -> list[Write]:
    """The calls of all applies, those of each in a random order."""
    return [
        call
        for apply in applies_of(moves, order)
        for call in in_some_order(apply, lambda names: random.sample(names, len(names)))
    ]


@settings(max_examples=200)
@given(moves=some_moves(), kept=REACHES)
def test_what_is_told_as_a_gap_is_one_and_steps_are_made_only_where_they_help(
    moves: list[Move[str]], kept: dict[str, PortSet]
) -> None:
    order = find_order(moves, kept)
    assert (order.steps != ()) == (order.gaps != may_close(moves, kept))
    assert not minus(order.gaps, may_close(moves, kept))
    names = [name for step in order.steps for name in step]
    assert len(set(names)) == len(names)


# -- keys ------------------------------------------------------------------------------

MANY = [parse_source(f"10.{number}.0.0/16") for number in range(20)]


@st.composite
def blocks(draw: st.DrawFn) -> Cells:
    """A few blocks of ports, each open to many sources: more than a rule takes on some clouds."""
    ports, sources = st.sets(st.integers(1, 30), min_size=1), st.sets(st.sampled_from(MANY), min_size=1)
    parts = draw(st.lists(st.tuples(ports, sources), min_size=1, max_size=3))
    return frozenset(
        ("tcp", port, source) for ports, sources in parts for port in ports for source in sources
    )


@pytest.mark.parametrize("cloud", CLOUDS)
@settings(max_examples=40)
@given(data=st.data())
def test_every_edit_on_every_cloud_has_an_order_of_two_steps(cloud: str, data: st.DataObject) -> None:
    wish = st.one_of(wishes(cloud), blocks())
    cells = data.draw(wish, label="wish")
    stack = stack_of(cloud, grants_of(cells))
    random = Random(data.draw(st.integers(0, 10**6), label="seed"))
    for _ in range(data.draw(st.integers(1, 3), label="edits")):
        if data.draw(st.booleans(), label="a new wish"):
            later = data.draw(wish, label="later")
        else:
            later = edited(data, cloud, cells)
        before, stack = stack, stack_of(cloud, grants_of(later), stack)
        moves, kept = moves_of(before, stack)
        order, wanted = find_order(moves, kept), kept_wanted(moves, kept)
        assert (len(order.steps) <= 1, order.gaps) == (True, {})
        assert sum(map(len, wanted.values())) == len(cells & later)
        calls = calls_in_steps(moves, order, random)
        assert list(closed_meanwhile(moves, kept, calls, wanted)) == []
        cells = later


@pytest.mark.parametrize("cloud", [name for name in CLOUDS if load_cloud(name).shape.sources != "one"])
def test_where_no_key_were_fresh_some_edit_would_have_none(
    cloud: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = Random(1)
    wishes = [(some_blocks(random), some_blocks(random)) for _ in range(30)]
    assert not sum(has_gaps(cloud, *pair) for pair in wishes)
    monkeypatch.setattr("skyports_tf.packing.fewest.with_steps", lambda name, rules, previous: rules)
    assert sum(has_gaps(cloud, *pair) for pair in wishes)


def some_blocks(random: Random) -> Cells:
    parts = [
        (random.sample(range(1, 30), random.randint(1, 20)), random.sample(MANY, random.randint(1, 20)))
        for _ in range(random.randint(1, 3))
    ]
    return frozenset(
        ("tcp", port, source) for ports, sources in parts for port in ports for source in sources
    )


def has_gaps(cloud: str, first: Cells, second: Cells) -> bool:
    before = stack_of(cloud, grants_of(first))
    return bool(find_order(*moves_of(before, stack_of(cloud, grants_of(second), before)), most=1).gaps)


@pytest.mark.parametrize("cloud", [name for name in CLOUDS if load_cloud(name).priorities])
@settings(max_examples=30)
@given(one=blocks(), other=blocks())
def test_a_new_rule_takes_no_priority_of_one_that_is_still_there(
    cloud: str, one: Cells, other: Cells
) -> None:
    before = stack_of(cloud, grants_of(one))
    after = stack_of(cloud, grants_of(other), before)
    old = {rule.priority: rule.key for rule in before.packed}
    assert all(old.get(rule.priority, rule.key) == rule.key for rule in after.packed)
