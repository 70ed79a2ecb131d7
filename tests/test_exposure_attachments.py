"""What a rule's group is attached to: followed by ids, by names, by marks and through the code."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from skyports_tf.exposure.terraform_json import view_of
from skyports_tf.exposure.views import exposed
from tests.support.command_line import call, valid
from tests.support.plans import change, code, plan, state

RULE = "aws_vpc_security_group_ingress_rule"
OPEN = {"ip_protocol": "tcp", "from_port": 22, "to_port": 22, "cidr_ipv4": "0.0.0.0/0"}


def attached(document: Mapping[str, Any]) -> Mapping[str, tuple[str, ...]]:
    view = view_of(document)
    assert view is not None
    return exposed(view).attached


def test_a_group_is_followed_by_its_id() -> None:
    found = attached(
        state(
            {
                "aws_security_group.web": {"id": "sg-1", "name": "web", "ingress": []},
                f"{RULE}.a": {**OPEN, "security_group_id": "sg-1"},
                f"{RULE}.b": {**OPEN, "security_group_id": "sg-2"},
                "aws_instance.one": {"vpc_security_group_ids": ["sg-1"]},
                "aws_lb.two": {"security_groups": ["sg-1", "sg-3"]},
                "aws_network_interface_sg_attachment.c": {
                    "security_group_id": "sg-1",
                    "network_interface_id": "eni-1",
                },
                "aws_instance.other": {"vpc_security_group_ids": ["sg-3"]},
            }
        )
    )
    everything = ("aws_instance.one", "aws_lb.two", "eni-1")
    assert found == {f"{RULE}.a": everything, "aws_security_group.web": everything}


def test_a_new_group_is_followed_through_the_code_and_its_modules() -> None:
    group = {"references": ["aws_security_group.web.id", "aws_security_group.web"]}
    instance = {
        "resources": [
            {
                "address": "aws_instance.i",
                "expressions": {"vpc_security_group_ids": {"references": ["var.groups"]}},
            }
        ]
    }
    known = {
        **code(aws_vpc_security_group_ingress_rule__a={"security_group_id": group}),
        "module_calls": {"m": {"module": instance, "expressions": {"groups": group}}},
    }
    found = attached(
        plan(
            change("aws_security_group.web", {"name": "web"}, unknown={"id": True, "ingress": True}),
            change(f"{RULE}.a", OPEN, unknown={"security_group_id": True}),
            change("module.m.aws_instance.i", {}, unknown={"vpc_security_group_ids": True}),
            configuration=known,
        )
    )
    assert found[f"{RULE}.a"] == ("module.m.aws_instance.i",)


def test_a_rule_that_names_its_group_and_an_association_that_refers_to_it_meet() -> None:
    rule = {
        "network_security_group_name": "web",
        "resource_group_name": "g",
        "direction": "Inbound",
        "access": "Allow",
        "priority": 100,
        "protocol": "Tcp",
        "destination_port_range": "22",
        "source_address_prefix": "*",
    }
    group = {"references": ["azurerm_network_security_group.n.id", "azurerm_network_security_group.n"]}
    subnet = {"references": ["azurerm_subnet.s.id", "azurerm_subnet.s"]}
    association = "azurerm_subnet_network_security_group_association"
    found = attached(
        plan(
            change("azurerm_network_security_group.n", {"name": "web", "resource_group_name": "g"}),
            change("azurerm_network_security_rule.r", rule),
            change(f"{association}.a", {}, unknown={"network_security_group_id": True, "subnet_id": True}),
            configuration=code(
                **{f"{association}__a": {"network_security_group_id": group, "subnet_id": subnet}}
            ),
        )
    )
    assert found["azurerm_network_security_rule.r"] == ("azurerm_subnet.s",)


def test_machines_are_found_by_the_tag_that_a_rule_is_for() -> None:
    rule = {"network": "default", "source_ranges": ["0.0.0.0/0"], "allow": [{"protocol": "tcp"}]}
    found = attached(
        state(
            {
                "google_compute_firewall.a": {**rule, "target_tags": ["web"]},
                "google_compute_firewall.b": {**rule, "target_tags": ["db"]},
                "google_compute_instance.one": {"tags": ["web", "x"]},
            }
        )
    )
    assert found == {"google_compute_firewall.a": ("google_compute_instance.one",)}


def test_a_firewall_may_name_its_machines_itself() -> None:
    found = attached(state({"digitalocean_firewall.a": {"droplet_ids": [7, 8], "tags": ["web"]}}))
    assert found == {"digitalocean_firewall.a": ("7", "8", "web")}


def test_an_instance_of_a_resource_belongs_to_its_group() -> None:
    group = {
        "references": ["aws_security_group.web[0].id", "aws_security_group.web[0]", "aws_security_group.web"]
    }
    found = attached(
        plan(
            change("aws_security_group.web[0]", {"name": "web"}, unknown={"id": True}),
            change(f"{RULE}.a", OPEN, unknown={"security_group_id": True}),
            change("aws_instance.i", {}, unknown={"vpc_security_group_ids": True}),
            configuration=code(
                aws_vpc_security_group_ingress_rule__a={"security_group_id": group},
                aws_instance__i={"vpc_security_group_ids": group},
            ),
        )
    )
    assert found[f"{RULE}.a"] == ("aws_instance.i",)


def test_the_answer_tells_it_in_a_column_and_in_json(tmp_path: Path) -> None:
    document = state(
        {
            f"{RULE}.ssh": {**OPEN, "security_group_id": "sg-1"},
            "aws_instance.bastion": {"vpc_security_group_ids": ["sg-1"]},
        }
    )
    (tmp_path / "state.json").write_text(json.dumps(document), encoding="utf-8")
    answer = call(tmp_path, "exposure", "state.json")
    assert answer.out.startswith(
        "   who                  what    through                                  on\n"
        "   INTERNET  0.0.0.0/0  tcp 22  aws_vpc_security_group_ingress_rule.ssh  aws_instance.bastion\n"
    )
    found = valid("exposure", call(tmp_path, "exposure", "state.json", "--json").json)
    assert found["attached"] == {f"{RULE}.ssh": ["aws_instance.bastion"]}


# -- whatever stands in a document -------------------------------------------------------

ODD: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1.5,
    "",
    "x",
    "${x}",
    [],
    {},
    [None],
    [[]],
    {"a": 1},
    ["0.0.0.0/0", 7],
)


def spoiled(seed: random.Random, value: Any) -> Any:
    """A document with something odd somewhere in it."""
    if seed.random() < 0.06:
        return seed.choice(ODD)
    if isinstance(value, dict):
        return {key: spoiled(seed, item) for key, item in value.items() if seed.random() > 0.01}
    if isinstance(value, list):
        return [spoiled(seed, item) for item in value]
    return value


@pytest.mark.parametrize("number", range(12))
def test_a_spoiled_document_is_answered_or_refused_never_a_crash(number: int, tmp_path: Path) -> None:
    import yaml

    cases = yaml.safe_load((Path(__file__).parent / "data/exposure/cases.yaml").read_text("utf-8"))
    seed = random.Random(number)
    changes = [change(f"{case['type']}.a{place}", case["values"]) for place, case in enumerate(cases)]
    names = []
    for turn in range(25):
        document = spoiled(seed, plan(*seed.sample(changes, 12), configuration=code()))
        names.append(f"plan{turn}.json")
        (tmp_path / names[-1]).write_text(json.dumps(document), encoding="utf-8")
    answer = call(tmp_path, "exposure", "--json", *names)
    assert answer.code in (0, 1)
    valid("exposure", answer.json)
