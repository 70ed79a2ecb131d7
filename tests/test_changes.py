"""What a plan means in ports: tables of plans and what they open, change and close."""

from __future__ import annotations

from typing import Any

import pytest

from skyports_tf.outcomes import Node, PortChanges, PortRule, ResourceCounts, RuleChange
from skyports_tf.running.changes import (
    OpenRule,
    group_rules,
    needs_outputs,
    needs_plan,
    nodes_of,
    output_rules,
    outputs_changed,
    plan_rules,
    port_changes,
    resource_counts,
    stack_rules,
    state_rules,
)
from skyports_tf.running.stream import Drift, Outputs, PlannedChange, Record, Resource, Summary
from tests.support.stacks import ANYWHERE, aws_stack, rule

KEY = "tcp-9000@0.0.0.0/0"
NARROW = OpenRule("tcp", 9000, 9005, ANYWHERE)
WIDE = OpenRule("tcp", 9000, 9010, ANYWHERE)


def resource(key: str | None, name: str = "port") -> Resource:
    return Resource(f"module.ports.x.{name}", "x", name, key)


def plan(*changes: tuple[str, str], drift: tuple[str, ...] = ()) -> Record:
    return Record(
        planned=tuple(PlannedChange(resource(key), action) for key, action in changes),
        drift=tuple(Drift(resource(key), "update") for key in drift),
    )


def shown(first: int, last: int, source: str = ANYWHERE) -> PortRule:
    return PortRule("tcp", first, last, (source,))


@pytest.mark.parametrize(
    ("action", "changes"),
    [
        ("create", PortChanges(open=(shown(9000, 9010),))),
        ("update", PortChanges(change=(RuleChange(shown(9000, 9005), shown(9000, 9010)),))),
        ("delete", PortChanges(close=(shown(9000, 9005),))),
        ("replace", PortChanges(open=(shown(9000, 9010),), close=(shown(9000, 9005),))),
        ("noop", PortChanges()),
        ("read", PortChanges()),
        ("import", PortChanges()),
        ("forget", PortChanges()),
    ],
)
def test_an_action_on_a_port_rule_in_port_words(action: str, changes: PortChanges) -> None:
    assert port_changes(plan((KEY, action)), {KEY: NARROW}, {KEY: WIDE}) == changes


def test_other_resources_are_no_ports() -> None:
    record = Record(
        planned=(
            PlannedChange(resource("0.0.0.0/0", "ssh"), "create"),
            PlannedChange(resource(None), "create"),
        )
    )
    assert port_changes(record, {}, {}) == PortChanges()
    assert not needs_outputs(record)


def test_a_new_description_is_no_change_of_ports() -> None:
    assert port_changes(plan((KEY, "update")), {KEY: NARROW}, {KEY: NARROW}) == PortChanges()


def test_rules_of_one_range_are_one_with_sorted_sources_and_all_their_tasks() -> None:
    rules = [
        OpenRule("tcp", 80, 80, "2001:db8::/32", ("b.yaml",)),
        OpenRule("tcp", 80, 80, "192.0.2.0/24", ("a.yaml", "b.yaml")),
        OpenRule("tcp", 80, 80, "10.0.0.0/8"),
        OpenRule("udp", 80, 80, ANYWHERE),
        OpenRule("tcp", 22, 22, "tag:x"),
    ]
    assert group_rules(rules) == (
        PortRule("tcp", 22, 22, ("tag:x",)),
        PortRule("tcp", 80, 80, ("10.0.0.0/8", "192.0.2.0/24", "2001:db8::/32"), ("a.yaml", "b.yaml")),
        PortRule("udp", 80, 80, (ANYWHERE,)),
    )


def test_changes_of_one_range_are_one_unless_a_source_changed() -> None:
    inner = OpenRule("tcp", 9000, 9005, "10.0.0.0/8")
    moved = OpenRule("tcp", 9000, 9010, "172.16.0.0/12")
    before = {"a": NARROW, "b": inner, "c": inner}
    after = {"a": WIDE, "b": OpenRule("tcp", 9000, 9010, "10.0.0.0/8"), "c": moved}
    changes = port_changes(plan(("a", "update"), ("b", "update"), ("c", "update")), before, after).change
    assert [(change.before.sources, change.after.sources) for change in changes] == [
        ((ANYWHERE, "10.0.0.0/8"), (ANYWHERE, "10.0.0.0/8")),
        (("10.0.0.0/8",), ("172.16.0.0/12",)),
    ]


@pytest.mark.parametrize(
    ("record", "needed"),
    [
        (plan((KEY, "create")), False),
        (plan((KEY, "update")), False),
        (plan((KEY, "delete")), False),
        (plan((KEY, "update"), drift=(KEY,)), True),
        (plan((KEY, "update"), drift=("another",)), False),
        (plan(drift=(KEY,)), False),
        (plan(("new", "create")), True),
        (plan(("unknown", "delete")), True),
    ],
    ids=[
        "create",
        "update",
        "delete",
        "drifted",
        "other drift",
        "drift alone",
        "not in stack",
        "not in state",
    ],
)
def test_the_plan_is_shown_only_where_stack_and_state_cannot_tell(record: Record, needed: bool) -> None:
    assert needs_plan(record, {KEY: WIDE}, {KEY: NARROW}) is needed


ATTRIBUTES: list[tuple[dict[str, Any], OpenRule]] = [
    (
        {"ip_protocol": "tcp", "from_port": 80, "to_port": 81, "cidr_ipv4": ANYWHERE},
        OpenRule("tcp", 80, 81, ANYWHERE),
    ),
    (
        {"ip_protocol": "udp", "from_port": 53, "to_port": 53, "cidr_ipv4": "", "cidr_ipv6": "::/0"},
        OpenRule("udp", 53, 53, "::/0"),
    ),
    (
        {"ip_protocol": "tcp", "from_port": 80, "to_port": 80, "prefix_list_id": "pl-12345678"},
        OpenRule("tcp", 80, 80, "pl-12345678"),
    ),
    (
        {
            "ip_protocol": "-1",
            "from_port": None,
            "to_port": None,
            "referenced_security_group_id": "sg-12345678",
        },
        OpenRule("all", 1, 65535, "sg-12345678"),
    ),
    ({"unknown": "form"}, OpenRule("tcp", 9000, 9000, ANYWHERE)),
    ({"ip_protocol": "tcp", "from_port": 80}, OpenRule("tcp", 9000, 9000, ANYWHERE)),
]


@pytest.mark.parametrize(("attributes", "expected"), ATTRIBUTES)
def test_a_rule_of_the_state_is_read_from_its_attributes_or_its_key(
    attributes: dict[str, Any], expected: OpenRule
) -> None:
    port = {"name": "port", "index": KEY, "mode": "managed", "values": attributes}
    data = {"name": "port", "index": "data", "mode": "data", "values": attributes}
    other = {"name": "ssh", "index": KEY, "mode": "managed", "values": attributes}
    root = {"resources": [data], "child_modules": [{"resources": [other, port]}]}
    assert state_rules({"values": {"root_module": root}}, {}) == {KEY: expected}


def test_a_rule_that_nobody_can_read_is_open_to_say_the_least() -> None:
    port = {"name": "port", "index": "odd", "values": {}}
    assert state_rules({"values": {"root_module": {"resources": [port]}}}, {}) == {
        "odd": OpenRule("all", 1, 65535, "odd")
    }
    assert state_rules({"values": {"root_module": {"resources": [port]}}}, {"odd": WIDE}) == {"odd": WIDE}


def test_a_shown_plan_tells_before_and_after() -> None:
    def change(before: object, after: object) -> dict[str, Any]:
        return {"name": "port", "index": KEY, "mode": "managed", "change": {"before": before, "after": after}}

    before = {"ip_protocol": "tcp", "from_port": 9000, "to_port": 9005, "cidr_ipv4": ANYWHERE}
    assert plan_rules({"resource_changes": [change(before, None)]}, {}) == ({KEY: NARROW}, {})
    assert plan_rules({"resource_changes": [change(None, {"ip_protocol": "tcp"})]}, {KEY: WIDE}) == (
        {},
        {KEY: WIDE},
    )
    assert plan_rules({}, {}) == ({}, {})


@pytest.mark.parametrize("empty", [{}, {"values": {}}, {"values": None}])
def test_an_empty_state_has_no_rules(empty: dict[str, Any]) -> None:
    assert state_rules(empty, {}) == {}


@pytest.mark.parametrize("rules", [None, [], "x", {"k": None}, {"k": {"protocol": "tcp"}}, {"k": 1}])
def test_outputs_of_another_form_are_no_rules(rules: object) -> None:
    assert output_rules({"rules": rules}) == {}


def test_the_rules_of_a_stack_carry_their_tasks() -> None:
    stack = aws_stack(rule("9000-9005", ANYWHERE, "a.yaml"))
    assert stack_rules(stack) == {KEY: OpenRule("tcp", 9000, 9005, ANYWHERE, ("a.yaml",))}


def test_nodes_without_an_address_have_none() -> None:
    nodes = [{"id": "i-1", "public_ip": "", "private_ip": "10.0.0.1", "head": True}, {"id": "i-2"}, "x"]
    assert nodes_of({"nodes": nodes}) == (Node("i-1", None, "10.0.0.1", True), Node("i-2", None, None))
    assert nodes_of({"nodes": None}) == ()


def test_counts_are_terraforms_own_and_a_replacement_counts_twice() -> None:
    record = Record(planned=plan(("a", "replace"), ("b", "create"), ("c", "update")).planned)
    assert resource_counts(record) == ResourceCounts(create=2, update=1, delete=1)
    assert resource_counts(Record(summary=Summary("plan", 5, 6, 7))) == ResourceCounts(5, 6, 7)


@pytest.mark.parametrize(
    ("actions", "changed"), [({}, False), ({"a": "noop"}, False), ({"a": "noop", "b": "update"}, True)]
)
def test_outputs_change_where_one_of_them_does(actions: dict[str, str], changed: bool) -> None:
    assert outputs_changed(Record(outputs=Outputs(actions=actions))) is changed
    assert not outputs_changed(Record())
