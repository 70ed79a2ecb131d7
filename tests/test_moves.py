"""The rules that a plan changes as moves: what each opened, read from the plan where keys do not say it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from skyports_tf.model import PackedRule, Stack
from skyports_tf.ordering import find_order
from skyports_tf.ports import PortRange, PortSet, parse_ports
from skyports_tf.running.changes import OpenRule
from skyports_tf.running.moves import PlanFacts, needs_order, port_moves
from skyports_tf.running.openings import openings_of
from skyports_tf.running.stream import PlannedChange, Record, Resource
from skyports_tf.sources import parse_source

ONE, TWO, WIDE, NARROW = "192.0.2.0/24", "198.51.100.0/24", "10.0.0.0/8", "10.1.0.0/16"


def text(reach: Mapping[Any, PortSet]) -> dict[str, str]:
    return {f"{protocol} {source}": str(ports) for (protocol, source), ports in sorted(reach.items())}


@pytest.mark.parametrize(
    ("attributes", "opened"),
    [
        pytest.param(
            {"ip_protocol": "tcp", "from_port": 80, "to_port": 90, "cidr_ipv4": ONE, "cidr_ipv6": None},
            {f"tcp {ONE}": "80-90"},
            id="numbers",
        ),
        pytest.param(
            {
                "protocol": "Udp",
                "destination_port_ranges": ["53", "8000-8002"],
                "source_port_range": "*",
                "source_address_prefix": None,
                "source_address_prefixes": [ONE, TWO],
            },
            {f"udp {ONE}": "53, 8000-8002", f"udp {TWO}": "53, 8000-8002"},
            id="texts",
        ),
        pytest.param(
            {"protocol": "Tcp", "destination_port_ranges": ["80"], "source_address_prefix": "office"},
            {"tcp tag:office": "80"},
            id="tag",
        ),
        pytest.param(
            {
                "allow": [{"protocol": "tcp", "ports": ["80-81"]}, {"protocol": "udp", "ports": ["53"]}],
                "source_ranges": [ONE],
                "source_tags": None,
            },
            {f"tcp {ONE}": "80-81", f"udp {ONE}": "53"},
            id="blocks with protocols",
        ),
        pytest.param(
            {"remote": ONE, "tcp": [], "udp": [{"port_min": 53, "port_max": 54}]},
            {f"udp {ONE}": "53-54"},
            id="blocks named after protocols",
        ),
        pytest.param(
            {
                "protocol": "6",
                "source": ONE,
                "tcp_options": [
                    {
                        "destination_port_range": [{"min": 80, "max": 81}],
                        "source_port_range": [{"min": 1000, "max": 2000}],
                    }
                ],
            },
            {f"tcp {ONE}": "80-81"},
            id="IANA's numbers",
        ),
        pytest.param(
            {
                "spec": [
                    {
                        "load_balancer_source_ranges": [ONE],
                        "port": [
                            {"protocol": "TCP", "port": 80, "target_port": "9", "node_port": 30000},
                            {"protocol": "TCP", "port": 82},
                        ],
                    }
                ]
            },
            {f"tcp {ONE}": "80, 82"},
            id="a block in a block",
        ),
        pytest.param(
            {"protocol": "TCP", "ingress": {"source_cidrs": [ONE], "destination_ports": [80, 81]}},
            {f"tcp {ONE}": "80-81"},
            id="an object",
        ),
        pytest.param({"ip_protocol": "-1", "cidr_ipv4": ONE}, {}, id="every protocol"),
        pytest.param({"protocol": "tcp", "ports": ["http"], "source": ONE}, {}, id="no number"),
        pytest.param({"protocol": "tcp", "ports": ["0", "70000"], "source": ONE}, {}, id="no port"),
        pytest.param({"protocol": "tcp", "ports": ["80"]}, {}, id="no source"),
        pytest.param(None, {}, id="nothing"),
    ],
)
def test_what_attributes_open(attributes: Any, opened: dict[str, str]) -> None:
    assert text(openings_of(attributes)) == opened


# -- plans -----------------------------------------------------------------------------


def change(key: str | None, action: str) -> PlannedChange:
    address = "x.port" if key is None else f'x.port["{key}"]'
    return PlannedChange(Resource(address, "x", "port", key), action)


def packed(key: str, ports: str, *sources: str) -> PackedRule:
    return PackedRule(key, (("tcp", parse_ports(ports)),), tuple(map(parse_source, sources)))


def stack(*rules: PackedRule) -> Stack:
    return Stack("web", "toy", None, packed=rules)


def attributes(ports: str, *sources: str) -> dict[str, Any]:
    return {
        "protocol": "tcp",
        "ports": [str(item) for item in parse_ports(ports)],
        "source_cidrs": [*sources],
    }


def facts(
    after: Stack,
    shown: Mapping[str, tuple[str, Any, Any]],
    old: Mapping[str, OpenRule] | None = None,
    actions: tuple[str, ...] = ("delete", "create"),
) -> PlanFacts:
    """`shown` has by key an action, and the attributes before and after."""
    changes = [
        {
            "address": change(key, action).resource.address,
            "change": {
                "before": before,
                "after": later,
                "actions": [*actions] if action == "replace" else [action],
            },
        }
        for key, (action, before, later) in shown.items()
    ]
    record = Record(planned=tuple(change(key, action) for key, (action, *_) in shown.items()))
    return PlanFacts(record, after, old or {}, None, lambda: {"resource_changes": changes})


def found(plan: PlanFacts) -> tuple[dict[str, tuple[dict[str, str], dict[str, str]]], dict[str, str]]:
    moves, kept = port_moves(plan)
    return {move.name: (text(move.before), text(move.after)) for move in moves}, text(kept)


def test_rules_of_many_ports_are_read_from_the_plan() -> None:
    after = stack(packed("a", "80", ONE), packed("b", "81-82", ONE, TWO), packed("c", "90", ONE))
    plan = facts(
        after,
        {
            "a": ("update", attributes("80-81", ONE), attributes("80", ONE)),
            "b": ("create", None, attributes("81-82", ONE, TWO)),
            "d": ("delete", attributes("82", TWO), None),
        },
    )
    moves, kept = found(plan)
    assert moves == {
        'x.port["a"]': ({f"tcp {ONE}": "80-81"}, {f"tcp {ONE}": "80"}),
        'x.port["b"]': ({}, {f"tcp {ONE}": "81-82", f"tcp {TWO}": "81-82"}),
        'x.port["d"]': ({f"tcp {TWO}": "82"}, {}),
    }
    assert kept == {f"tcp {ONE}": "90"}
    assert find_order(*port_moves(plan)).steps == (('x.port["b"]',),)


def test_a_rule_that_is_spelt_in_no_known_way_may_have_opened_all_that_was_open() -> None:
    after = stack(packed("a", "80", ONE), packed("b", "81", ONE))
    old = {"tcp-80@": OpenRule("tcp", 80, 81, ONE)}
    strange = {"gate": "80-81"}
    plan = facts(after, {"a": ("update", strange, {"gate": "80"}), "b": ("create", None, {})}, old)
    moves, _ = found(plan)
    assert moves['x.port["a"]'] == ({f"tcp {ONE}": "80-81"}, {f"tcp {ONE}": "80"})


def test_attributes_that_will_not_open_what_the_stack_asks_for_are_not_believed() -> None:
    after = stack(packed("a", "80", ONE))
    old = {"tcp-80@": OpenRule("tcp", 70, 75, TWO)}
    plan = facts(after, {"a": ("update", attributes("1", ONE), attributes("80-99", ONE))}, old)
    moves, _ = found(plan)
    assert moves['x.port["a"]'][0] == {f"tcp {TWO}": "70-75"}


def test_a_prefix_within_another_of_its_rule_was_open_though_no_attribute_names_it() -> None:
    after = stack(packed("a", "80", WIDE, NARROW))
    plan = facts(after, {"a": ("update", attributes("80", WIDE), attributes("80", WIDE))})
    moves, _ = found(plan)
    assert moves['x.port["a"]'][0] == {f"tcp {WIDE}": "80", f"tcp {NARROW}": "80"}


@pytest.mark.parametrize(("actions", "gap"), [(("delete", "create"), True), (("create", "delete"), False)])
def test_a_rule_that_is_made_anew_is_closed_in_between_unless_the_new_one_comes_first(
    actions: tuple[str, ...], gap: bool
) -> None:
    rule = attributes("80", ONE)
    plan = facts(stack(packed("a", "80", ONE)), {"a": ("replace", rule, rule)}, actions=actions)
    assert needs_order(plan.record)
    assert bool(find_order(*port_moves(plan)).gaps) is gap


def test_a_key_that_is_a_port_holds_that_port_alone() -> None:
    after = stack(packed("tcp-ipv4-1", "80-81", ONE))
    old = {"a": OpenRule("tcp", 80, 80, TWO), "b": OpenRule("tcp", 81, 81, TWO)}
    plan = facts(after, {"80": ("update", {}, {}), "82": ("delete", {}, None)}, old)
    moves, kept = found(plan)
    assert moves == {
        'x.port["80"]': ({f"tcp {TWO}": "80"}, {f"tcp {ONE}": "80"}),
        'x.port["82"]': ({}, {}),
    }
    assert kept == {f"tcp {ONE}": "81"}


def test_a_lone_resource_holds_everything() -> None:
    record = Record(planned=(change(None, "update"),))
    assert not needs_order(record)
    after = stack(packed("tcp-1", "80", ONE))
    old = {"a": OpenRule("tcp", 80, 81, ONE)}
    plan = PlanFacts(record, after, old, None, dict)
    moves, kept = found(plan)
    assert (moves, kept) == ({"x.port": ({f"tcp {ONE}": "80-81"}, {f"tcp {ONE}": "80"})}, {})


@pytest.mark.parametrize(
    ("actions", "needed"),
    [
        (["create", "create"], False),
        (["update"], False),
        (["delete"], False),
        (["replace"], True),
        (["create", "delete"], True),
        (["update", "update"], True),
        (["update", "noop"], False),
    ],
)
def test_an_order_is_looked_for_only_where_there_can_be_one(actions: list[str], needed: bool) -> None:
    record = Record(planned=tuple(change(str(number), action) for number, action in enumerate(actions)))
    assert needs_order(record) is needed


def test_rules_whose_keys_say_it_all_ask_nobody() -> None:
    def ask() -> Mapping[str, Any]:
        raise AssertionError("the plan was asked for")

    before = {"k": OpenRule("tcp", 80, 90, ONE)}
    after = {
        "k": OpenRule("tcp", 80, 84, ONE),
        "n": OpenRule("tcp", 86, 90, ONE),
        "o": OpenRule("tcp", 1, 1, ONE),
    }
    record = Record(planned=(change("n", "create"), change("k", "update")))
    moves, kept = found(PlanFacts(record, stack(), before, (before, after), ask))
    assert moves == {
        'x.port["k"]': ({f"tcp {ONE}": "80-90"}, {f"tcp {ONE}": "80-84"}),
        'x.port["n"]': ({}, {f"tcp {ONE}": "86-90"}),
    }
    assert kept == {f"tcp {ONE}": "1"}


def test_a_rule_from_port_0_is_told_from_the_first_port() -> None:
    before = {"k": OpenRule("tcp", 0, 65535, ONE)}
    record = Record(planned=(change("k", "delete"), change("n", "create")))
    moves, _ = port_moves(PlanFacts(record, stack(), before, (before, {}), dict))
    assert moves[0].before == {("tcp", ONE): PortSet((PortRange(1, 65535),))}
