"""Zero gap on every cloud, with the real Terraform: ports and sources move between rules, and none closes.

The schema provider notes every call; after each, what is open is what the objects that are there hold.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from random import Random
from typing import Any, TypeAlias

import pytest
import yaml

from skyports_tf.model import Stack
from skyports_tf.ordering import find_order
from skyports_tf.outcomes import StackPlan
from skyports_tf.ports import PortRange, PortSet
from skyports_tf.reach import meet, minus, union
from skyports_tf.running.openings import openings_of
from skyports_tf.sources import parse_source
from tests.support.edits import Cells, grants_of, stack_of
from tests.support.life import MATRIX, Life
from tests.support.moves import moves_of

Reach: TypeAlias = Mapping[tuple[str, str], PortSet]
SOURCES = [f"10.{number}.0.0/16" for number in range(12)]
#: One object holds all rules, and changes in one call.
WHOLE = {name for name in MATRIX if yaml.safe_load(MATRIX[name].read_text("utf-8")).get("one_object")}


def wish(random: Random) -> dict[int, frozenset[str]]:
    """Ports, and who may reach each."""
    found: dict[int, frozenset[str]] = {}
    for _ in range(2):
        sources = frozenset(random.sample(SOURCES, random.randint(2, 10)))
        for port in random.sample(range(8000, 8006), 3):
            found[port] = found.get(port, frozenset()) | sources
    return found


def cells(asked: Mapping[int, frozenset[str]]) -> Cells:
    return frozenset(("tcp", port, parse_source(text)) for port, found in asked.items() for text in found)


def reach_of(asked: Mapping[int, frozenset[str]]) -> Reach:
    return union(
        {("tcp", source): PortSet((PortRange(port, port),)) for source in sources}
        for port, sources in asked.items()
    )


def pair_that_moves(cloud: str) -> tuple[dict[int, frozenset[str]], dict[int, frozenset[str]]]:
    """The first edit of a fixed series that one apply might do with a gap."""
    random = Random(3)
    for _ in range(400):
        one, other = wish(random), wish(random)
        before = stack_of(cloud, grants_of(cells(one)))
        moves, kept = moves_of(before, stack_of(cloud, grants_of(cells(other)), before))
        if cloud in WHOLE or find_order(moves, kept).steps:
            return one, other
    raise AssertionError("no such edit")


def compiled(life: Life, asked: Mapping[int, frozenset[str]]) -> Stack:
    ports = {str(port): {"sources": sorted(sources)} for port, sources in asked.items()}
    config = {**yaml.safe_load(life.facts["config"]), "rules": [{"cluster": "web", "ports": ports}]}
    # JSON is YAML too
    life.project.config(json.dumps(config))
    task = life.project.task(json.dumps(sorted(asked)), infra=life.place)
    return life.project.compile(task, user_hash="a1b2c3d4").stacks[0].stack


def opened(life: Life) -> Reach:
    found = life.cloud.objects(life.facts["port_resource"]).get(life.facts["port_resource"], [])
    return wanted_places(union(map(openings_of, found)))


def wanted_places(reach: Reach) -> Reach:
    """Those of our sources: a rule for SSH or for the nodes themselves is none of the ports'."""
    return {place: ports for place, ports in reach.items() if place[1] in SOURCES}


def after_each_call(life: Life, skip: int) -> Iterator[Reach]:
    """What is open after each call from number `skip` on."""
    there: dict[str, Reach] = {}
    calls = life.cloud.journal("create", "update", "delete")
    for number, call in enumerate(calls):
        if call["type"] != life.facts["port_resource"]:
            continue
        there[call["id"]] = {} if call["op"] == "delete" else openings_of(call["value"])
        if number >= skip:
            yield union(there.values())


def closed_meanwhile(life: Life, skip: int, wanted: Reach) -> list[Any]:
    return [gap for now in after_each_call(life, skip) if (gap := minus(wanted, now))]


@pytest.fixture
def edit(life: Life) -> tuple[StackPlan, Reach, int]:
    """A plan that moves ports from rule to rule, what stays wanted, and how many calls were made before."""
    assert life.place is not None
    cloud = life.place.partition("/")[0]
    one, other = pair_that_moves(cloud)
    first = compiled(life, one)
    life.launch(first)
    life.apply(life.plan(first))
    assert opened(life) == reach_of(one)
    made = len(life.cloud.journal("create", "update", "delete"))
    return life.plan(compiled(life, other)), meet(reach_of(one), reach_of(other)), made


def test_what_moves_from_rule_to_rule_never_closes(life: Life, edit: tuple[StackPlan, Reach, int]) -> None:
    plan, wanted, made = edit
    assert (plan.steps, plan.warnings) == (1 if life.facts.get("one_object") else 2, ())
    assert life.apply(plan).state == "open"
    assert wanted and closed_meanwhile(life, made, wanted) == []
    assert not life.plan(plan.stack).counts.any


def test_after_a_kill_the_rules_themselves_tell_what_they_open(
    life: Life,
    edit: tuple[StackPlan, Reach, int],
) -> None:
    plan = edit[0]
    mark = life.project.folder / "infra" / plan.stack.directory / ".terraform" / "skyports.unfinished"
    mark.touch()
    again = life.plan(plan.stack)
    assert (again.opening, again.warnings) == (plan.opening, ())


def test_in_one_apply_some_port_would_have_been_closed(
    life: Life,
    edit: tuple[StackPlan, Reach, int],
) -> None:
    plan, wanted, made = edit
    if life.facts.get("one_object"):
        return
    # an order that Terraform may choose: one change at a time, what opens last
    later = {name for step in plan.opening for name in step}
    first = [f"-target={name}" for name, _ in plan.shown if name not in later]
    done = life.terraform(plan.stack, "apply", "-auto-approve", "-input=false", *first)
    assert done.returncode == 0, done.stderr
    assert closed_meanwhile(life, made, wanted)
