"""What each provider's resources expose, from plans and states of any Terraform code."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from skyports_tf.exposure.facts import PROVIDERS, matters, read_provider
from skyports_tf.exposure.terraform_json import view_of
from skyports_tf.exposure.views import Exposed, exposed
from tests.support.plans import change, code, plan, state

ALL = (0, 65535)
#: Types that only take away from what others open.
NEVER_OPEN = {"aws_network_acl_rule", "kubernetes_network_policy_v1"}

Row = tuple[str, int, int, str, str, bool]


def read(document: Mapping[str, Any], ours: tuple[str, ...] = ()) -> Exposed:
    view = view_of(document)
    assert view is not None
    return exposed(view, ours)


def rows(found: Exposed) -> set[Row]:
    return {
        (item.protocol, item.from_port, item.to_port, item.source, item.source_kind, item.internet)
        for item in found.after
    }


def cidr(protocol: str, ports: tuple[int, int], block: str, internet: bool = True) -> set[Row]:
    return {(protocol, *ports, block, "cidr", internet)}


def named(protocol: str, ports: tuple[int, int], name: str, kind: str) -> set[Row]:
    return {(protocol, *ports, name, kind, False)}


SSH = (22, 22)
AWS_RULE = {"ip_protocol": "tcp", "from_port": 22, "to_port": 22}
OLD_RULE = {"type": "ingress", "protocol": "tcp", "from_port": 22, "to_port": 22}

CASES = yaml.safe_load((Path(__file__).parent / "data/exposure/cases.yaml").read_text("utf-8"))
_OPENING = re.compile(
    r"(\S+) (?:(every port)|(\d+)(?:-(\d+))?) \| (cidr|group|prefix_list|tag) (.*?)( \| internet)?"
)


def opening(text: str) -> Row:
    """An opening of cases.yaml as a row."""
    found = _OPENING.fullmatch(text)
    assert found, text
    protocol, every, first, last, kind, source, internet = found.groups()
    ports = ALL if every else (int(first), int(last or first))
    return (protocol, *ports, source, kind, internet is not None)


@pytest.mark.parametrize("case", CASES, ids=[f"{place}-{case['type']}" for place, case in enumerate(CASES)])
def test_a_resource_exposes_what_its_provider_says(case: Mapping[str, Any]) -> None:
    resources = {f"{case['type']}.a": case["values"]}
    resources |= {f"{kind}.b": values for kind, values in case.get("beside", {}).items()}
    changes = [change(address, values) for address, values in resources.items()]
    for document in (plan(*changes), state(resources)):
        found = read(document)
        assert rows(found) == set(map(opening, case["opens"]))
        assert found.untold == ()


def test_every_type_of_the_facts_has_a_case() -> None:
    known = {kind for file in PROVIDERS.glob("*.yaml") for kind in read_provider(file)["resources"]}
    assert known == {case["type"] for case in CASES} - NEVER_OPEN


def test_every_type_beside_another_is_one_that_is_looked_at() -> None:
    assert {kind for case in CASES for kind in case.get("beside", {}) if not matters(kind)} == set()


# -- plans -----------------------------------------------------------------------------

RULE = "aws_vpc_security_group_ingress_rule"
OPEN = {**AWS_RULE, "cidr_ipv4": "0.0.0.0/0"}
LB = ["aws_security_group.lb.id", "aws_security_group.lb"]
PRIVATE = {**AWS_RULE, "cidr_ipv4": "10.0.0.0/8"}


def test_before_and_after_are_told_apart() -> None:
    found = read(
        plan(
            change(f"{RULE}.stays", PRIVATE, PRIVATE),
            change(f"{RULE}.opens", OPEN),
            change(f"{RULE}.closes", None, OPEN),
            change(f'{RULE}.narrows["a"]', PRIVATE, OPEN),
            change(f"{RULE}.replaced", PRIVATE, OPEN, actions=["delete", "create"]),
        )
    )
    assert [(item.address, item.internet) for item in found.before or ()] == [
        (f"{RULE}.closes", True),
        (f'{RULE}.narrows["a"]', True),
        (f"{RULE}.replaced", True),
        (f"{RULE}.stays", False),
    ]
    assert [(item.address, item.internet) for item in found.after] == [
        (f'{RULE}.narrows["a"]', False),
        (f"{RULE}.opens", True),
        (f"{RULE}.replaced", False),
        (f"{RULE}.stays", False),
    ]


def test_what_terraform_forgets_stays_open() -> None:
    found = read(plan(change(f"{RULE}.a", None, OPEN, actions=["forget"])))
    assert [item.internet for item in found.after] == [True]


def test_a_deposed_object_is_open_until_it_goes() -> None:
    old = {**change(f"{RULE}.a", None, OPEN), "deposed": "00000001"}
    found = read(plan(change(f"{RULE}.a", PRIVATE, PRIVATE), old))
    assert sorted(item.internet for item in found.before or ()) == [False, True]
    assert [item.internet for item in found.after] == [False]


def test_data_sources_open_nothing() -> None:
    assert (
        read(
            plan(
                {
                    **change("data.aws_security_group.a", {"ingress": [OPEN]}),
                    "mode": "data",
                    "type": "aws_security_group",
                }
            )
        ).after
        == ()
    )


def test_an_unknown_block_of_addresses_is_told() -> None:
    found = read(
        plan(
            change(
                "aws_security_group_rule.a",
                {**OLD_RULE, "cidr_blocks": ["10.0.0.0/8", None]},
                unknown={"cidr_blocks": [False, True]},
            )
        )
    )
    assert rows(found) == cidr("tcp", SSH, "10.0.0.0/8", internet=False)
    assert [(item.address, item.attribute) for item in found.untold] == [
        ("aws_security_group_rule.a", "cidr_blocks")
    ]


@pytest.mark.parametrize("attribute", ["ip_protocol", "from_port", "cidr_ipv4"])
def test_an_unknown_part_of_a_rule_is_told(attribute: str) -> None:
    found = read(plan(change(f"{RULE}.a", {**OPEN, attribute: None}, unknown={attribute: True})))
    assert found.after == ()
    assert [item.attribute for item in found.untold] == [attribute]


def test_a_group_that_is_made_in_the_same_plan_is_a_group() -> None:
    expressions = {
        "referenced_security_group_id": {"references": ["aws_security_group.lb.id", "aws_security_group.lb"]}
    }
    found = read(
        plan(
            change(f"{RULE}.a", AWS_RULE, unknown={"referenced_security_group_id": True, "id": True}),
            configuration=code(aws_vpc_security_group_ingress_rule__a=expressions),
        )
    )
    assert rows(found) == named("tcp", SSH, "aws_security_group.lb", "group")
    assert found.untold == ()


def test_a_group_is_followed_through_the_arguments_and_outputs_of_modules() -> None:
    module = {
        "resources": [
            {
                "address": f"{RULE}.a",
                "expressions": {"referenced_security_group_id": {"references": ["var.from"]}},
            }
        ]
    }
    other = {
        "outputs": {
            "id": {"expression": {"references": ["aws_security_group.lb.id", "aws_security_group.lb"]}}
        }
    }
    calls = {
        "web": {"module": module, "expressions": {"from": {"references": ["module.lb.id", "module.lb"]}}},
        "lb": {"module": other},
    }
    address = f'module.web["x"].{RULE}.a'
    found = read(
        plan(
            change(address, AWS_RULE, unknown={"referenced_security_group_id": True}),
            configuration={"module_calls": calls},
        )
    )
    assert rows(found) == named("tcp", SSH, "module.lb.aws_security_group.lb", "group")


def test_what_the_code_leaves_to_the_provider_is_not_set() -> None:
    """source_security_group_id is computed: unknown in every plan that does not give it."""
    values = {**OLD_RULE, "cidr_blocks": ["0.0.0.0/0"]}
    document = plan(
        change("aws_security_group_rule.a", values, unknown={"source_security_group_id": True}),
        configuration=code(aws_security_group_rule__a={"cidr_blocks": {"constant_value": ["0.0.0.0/0"]}}),
    )
    assert rows(read(document)) == cidr("tcp", SSH, "0.0.0.0/0")
    assert read(document).untold == ()


def test_a_new_group_whose_rules_are_resources_of_their_own_is_no_riddle() -> None:
    document = plan(
        change("aws_security_group.web", {"name": "web"}, unknown={"id": True, "ingress": True}),
        change(f"{RULE}.a", OPEN, unknown={"security_group_id": True}),
        configuration=code(
            aws_security_group__web={"name": {"constant_value": "web"}},
            aws_vpc_security_group_ingress_rule__a={
                "security_group_id": {"references": ["aws_security_group.web.id", "aws_security_group.web"]}
            },
        ),
    )
    assert rows(read(document)) == cidr("tcp", SSH, "0.0.0.0/0")
    assert read(document).untold == ()


INLINE = {"protocol": "tcp", "from_port": 22, "to_port": 22, "cidr_blocks": ["0.0.0.0/0"]}


def test_a_state_tells_a_separate_rule_once_though_its_group_repeats_it() -> None:
    group = {"id": "sg-1", "name": "web", "ingress": [INLINE]}
    found = read(state({"aws_security_group.web": group, f"{RULE}.a": {**OPEN, "security_group_id": "sg-1"}}))
    assert [item.address for item in found.after] == [f"{RULE}.a"]


def test_what_somebody_opened_in_the_group_beside_its_rules_is_told() -> None:
    foreign = {**INLINE, "from_port": 3389, "to_port": 3389}
    group = {"id": "sg-1", "ingress": [INLINE, foreign]}
    found = read(state({"aws_security_group.web": group, f"{RULE}.a": {**OPEN, "security_group_id": "sg-1"}}))
    assert [(item.address, item.from_port) for item in found.after] == [
        ("aws_security_group.web", 3389),
        (f"{RULE}.a", 22),
    ]


def test_a_list_repeats_no_rule_of_another_group_with_its_name() -> None:
    rule = {
        "direction": "Inbound",
        "access": "Allow",
        "protocol": "Tcp",
        "priority": 100,
        "destination_port_range": "22",
        "source_address_prefix": "0.0.0.0/0",
    }
    group = {"name": "web", "resource_group_name": "one", "security_rule": [rule]}
    separate = {**rule, "network_security_group_name": "web"}
    addresses = {
        place: [
            item.address
            for item in read(
                state(
                    {
                        "azurerm_network_security_group.web": group,
                        "azurerm_network_security_rule.ssh": {**separate, "resource_group_name": place},
                    }
                )
            ).after
        ]
        for place in ("one", "two")
    }
    assert addresses == {
        "one": ["azurerm_network_security_rule.ssh"],
        "two": ["azurerm_network_security_group.web", "azurerm_network_security_rule.ssh"],
    }


def test_a_list_repeats_no_rule_of_another_instance_of_its_group() -> None:
    groups = {key: {"id": f"sg-{key}", "ingress": [INLINE]} for key in "ab"}
    rule = {**OPEN, "security_group_id": "sg-a"}
    found = read(
        plan(
            *(change(f'aws_security_group.web["{key}"]', group, group) for key, group in groups.items()),
            change(f"{RULE}.a", rule, rule),
            configuration=code(
                aws_security_group__web={"name": {"references": ["each.key"]}},
                aws_vpc_security_group_ingress_rule__a={
                    "security_group_id": {"references": ["aws_security_group.web", "each.key"]}
                },
            ),
        )
    )
    assert [item.address for item in found.after] == ['aws_security_group.web["b"]', f"{RULE}.a"]


def test_a_rule_that_goes_does_not_stay_in_the_list_of_its_group() -> None:
    group = {"id": "sg-1", "ingress": [INLINE]}
    found = read(
        plan(
            change("aws_security_group.web", group, group),
            change(f"{RULE}.a", None, {**OPEN, "security_group_id": "sg-1"}),
            configuration=code(aws_security_group__web={"name": {"constant_value": "web"}}),
        )
    )
    assert found.after == ()
    assert [item.address for item in found.before or ()] == [f"{RULE}.a"]


def test_a_list_that_the_code_gives_counts_whatever_stands_beside_it() -> None:
    group = {"id": "sg-1", "ingress": [INLINE]}
    found = read(
        plan(
            change("aws_security_group.web", group, group),
            change(f"{RULE}.a", None, {**OPEN, "security_group_id": "sg-1"}),
            configuration=code(aws_security_group__web={"ingress": {}}),
        )
    )
    assert [item.address for item in found.after] == ["aws_security_group.web"]


def test_ours_are_not_the_internet() -> None:
    document = plan(change(f"{RULE}.a", {**AWS_RULE, "cidr_ipv4": "81.2.69.0/24"}))
    assert [item.internet for item in read(document).after] == [True]
    assert [item.internet for item in read(document, ("81.2.0.0/16",)).after] == [False]


def test_planned_values_and_prior_state_are_enough() -> None:
    resource = {"address": f"{RULE}.a", "mode": "managed", "type": RULE, "values": OPEN}
    module = {
        "child_modules": [
            {"address": "module.m", "resources": [{**resource, "address": f"module.m.{RULE}.a"}]}
        ]
    }
    document = {
        "format_version": "1.2",
        "planned_values": {"root_module": module},
        "prior_state": {"values": {"root_module": {"resources": [resource]}}},
    }
    found = read(document)
    assert [item.address for item in found.after] == [f"module.m.{RULE}.a"]
    assert [item.address for item in found.before or ()] == [f"{RULE}.a"]


def test_a_raw_state_has_the_addresses_that_terraform_shows() -> None:
    instances = [
        {"index_key": 'a"b', "attributes": OPEN},
        {"index_key": 0, "attributes": PRIVATE},
        {"attributes": OPEN, "deposed": "1"},
    ]
    resources = [
        {"mode": "managed", "module": 'module.m["x"]', "type": RULE, "name": "a", "instances": instances},
        {
            "mode": "data",
            "type": "aws_security_group",
            "name": "d",
            "instances": [{"attributes": {"ingress": [INLINE]}}],
        },
    ]
    found = read({"version": 4, "terraform_version": "1.11.4", "resources": resources})
    place = f'module.m["x"].{RULE}.a'
    assert [item.address for item in found.after] == [place, f'{place}["a\\"b"]', f"{place}[0]"]
    assert found.before is None


@pytest.mark.parametrize("document", [{}, [], "x", None, {"version": 3, "resources": []}, {"a": 1}])
def test_other_documents_are_no_view(document: Any) -> None:
    assert view_of(document) is None


def test_what_is_called_like_a_firewall_and_unknown_is_kept_in_mind() -> None:
    view = view_of(
        plan(change("alicloud_security_group_rule.a", {"cidr_ip": "0.0.0.0/0"}), change("aws_instance.b", {}))
    )
    assert view is not None
    assert view.unseen == ("alicloud_security_group_rule.a",)
