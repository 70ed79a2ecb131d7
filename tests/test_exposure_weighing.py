"""Rules that allow weighed against rules that deny: single cases, and 4,000 questions to an oracle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from skyports_tf.exposure import rules
from skyports_tf.exposure.rules import Rule
from skyports_tf.exposure.terraform_json import view_of
from skyports_tf.exposure.views import exposed
from tests.support.exposure_game import disagreements
from tests.support.plans import change, code, plan

Opened = set[tuple[str, int, int, str]]


def opened(*resources: Mapping[str, Any], configuration: Mapping[str, Any] | None = None) -> Opened:
    view = view_of(plan(*resources, configuration=configuration))
    assert view is not None
    return {(item.protocol, item.from_port, item.to_port, item.source) for item in exposed(view).after}


NSG = {
    "direction": "Inbound",
    "source_port_range": "*",
    "destination_address_prefix": "*",
    "resource_group_name": "g",
    "network_security_group_name": "n",
}


def numbered(name: str, access: str, priority: int, port: str, source: str, **more: Any) -> dict[str, Any]:
    rule = {
        **NSG,
        "access": access,
        "priority": priority,
        "protocol": "Tcp",
        "destination_port_range": port,
        "source_address_prefix": source,
        **more,
    }
    return change(f"azurerm_network_security_rule.{name}", rule)


def tagged(name: str, action: str, priority: int, ports: list[str], ranges: list[str], **more: Any) -> Any:
    block = {"protocol": "tcp", "ports": ports}
    values = {
        "name": name,
        "network": "default",
        "priority": priority,
        "source_ranges": ranges,
        action: [block],
        **more,
    }
    return change(f"google_compute_firewall.{name}", values)


def test_a_rule_that_denies_first_takes_its_ports() -> None:
    found = opened(numbered("a", "Allow", 200, "20-30", "10.0.0.0/8"), numbered("d", "Deny", 100, "22", "*"))
    assert found == {("tcp", 20, 21, "10.0.0.0/8"), ("tcp", 23, 30, "10.0.0.0/8")}


def test_a_rule_that_denies_later_takes_nothing() -> None:
    found = opened(numbered("a", "Allow", 100, "22", "10.0.0.0/8"), numbered("d", "Deny", 200, "22", "*"))
    assert found == {("tcp", 22, 22, "10.0.0.0/8")}


def test_what_is_left_of_a_block_is_told_as_blocks() -> None:
    found = opened(
        numbered("a", "Allow", 200, "22-23", "10.0.0.0/8"), numbered("d", "Deny", 100, "22", "10.0.0.0/9")
    )
    assert found == {("tcp", 22, 22, "10.128.0.0/9"), ("tcp", 23, 23, "10.0.0.0/8")}


def test_denying_the_internet_leaves_private_addresses_and_the_network() -> None:
    """What our own stacks do to the rule that SkyPilot appends."""
    view = view_of(
        plan(
            numbered("sky", "Allow", 1001, "8888", "*"),
            numbered("net", "Allow", 1002, "8888", "VirtualNetwork"),
            numbered("deny", "Deny", 990, "0-65535", "Internet", protocol="*"),
        )
    )
    assert view is not None
    found = exposed(view).after
    assert {item.internet for item in found} == {False}
    assert "10.0.0.0/8" in {item.source for item in found}
    assert "VirtualNetwork" in {item.source for item in found}


def test_denying_everyone_denies_a_name_too_and_denying_a_name_denies_that_name() -> None:
    names = [
        numbered("a", "Allow", 200, "22-24", "VirtualNetwork"),
        numbered("d", "Deny", 100, "23", "VirtualNetwork"),
    ]
    assert opened(*names) == {("tcp", 22, 22, "VirtualNetwork"), ("tcp", 24, 24, "VirtualNetwork")}
    assert opened(names[0], numbered("e", "Deny", 100, "22-23", "*")) == {("tcp", 24, 24, "VirtualNetwork")}
    assert opened(names[0], numbered("e", "Deny", 100, "22-23", "10.0.0.0/8")) == {
        ("tcp", 22, 24, "VirtualNetwork")
    }


def test_one_denied_protocol_leaves_the_others() -> None:
    found = opened(
        numbered("a", "Allow", 200, "*", "10.0.0.0/8", protocol="*"),
        numbered("d", "Deny", 100, "22", "*"),
    )
    assert found == {
        ("tcp", 0, 21, "10.0.0.0/8"),
        ("tcp", 23, 65535, "10.0.0.0/8"),
        ("udp", 0, 65535, "10.0.0.0/8"),
        ("icmp", 0, 65535, "10.0.0.0/8"),
        ("other", 0, 65535, "10.0.0.0/8"),
    }


@pytest.mark.parametrize(
    "narrow",
    [
        {"destination_address_prefix": "10.0.0.4"},
        {"source_port_range": "1024-65535"},
        {"destination_address_prefixes": ["10.0.0.4"]},
        {"network_security_group_name": "other"},
        {"direction": "Outbound"},
    ],
)
def test_what_is_denied_to_some_machines_alone_stays_open(narrow: Mapping[str, Any]) -> None:
    deny: dict[str, Any] = {"access": "Deny", "priority": 100, "port": "22", "source": "*"}
    found = opened(numbered("a", "Allow", 200, "22", "10.0.0.0/8"), numbered("d", **deny, **narrow))
    assert found == {("tcp", 22, 22, "10.0.0.0/8")}


def test_networks_of_one_name_in_two_projects_are_two() -> None:
    deny = tagged("d", "deny", 900, ["22"], ["0.0.0.0/0"], project="one")
    allow = tagged("a", "allow", 1000, ["22"], ["0.0.0.0/0"], project="two")
    assert opened(deny, allow) == {("tcp", 22, 22, "0.0.0.0/0")}
    same = tagged("a", "allow", 1000, ["22"], ["0.0.0.0/0"], project="one")
    assert opened(deny, same) == set()


def test_denying_some_ports_of_every_protocol_takes_these_alone() -> None:
    deny = numbered("d", "Deny", 100, "22", "0.0.0.0/0", protocol="*")
    allow = numbered("a", "Allow", 200, "*", "0.0.0.0/0", protocol="*")
    left = {(1 + 22, 65535), (0, 21)}
    assert opened(deny, allow) == {
        *((protocol, *ports, "0.0.0.0/0") for protocol in ("tcp", "udp") for ports in left),
        ("icmp", 0, 65535, "0.0.0.0/0"),
        ("other", 0, 65535, "0.0.0.0/0"),
    }


def test_denying_wins_a_tie_where_the_cloud_says_so() -> None:
    allow = tagged("a", "allow", 1000, ["22-23"], ["10.0.0.0/8"])
    assert opened(allow, tagged("d", "deny", 1000, ["22"], ["0.0.0.0/0"])) == {("tcp", 23, 23, "10.0.0.0/8")}
    assert opened(allow, tagged("d", "deny", 1001, ["22"], ["0.0.0.0/0"])) == {("tcp", 22, 23, "10.0.0.0/8")}
    off = tagged("d", "deny", 1, ["22"], ["0.0.0.0/0"], disabled=True)
    assert opened(allow, off) == {("tcp", 22, 23, "10.0.0.0/8")}


@pytest.mark.parametrize(("denied", "left"), [(None, set()), (499, set()), (501, {22})])
def test_of_rules_without_a_number_those_that_deny_come_first(denied: int | None, left: set[int]) -> None:
    ingress = {"source_cidrs": ["0.0.0.0/0"], "destination_ports": [22]}
    rule = {"parent_id": "g", "protocol": "TCP", "ingress": ingress}
    kind = "nebius_vpc_v1_security_rule"
    found = opened(
        change(f"{kind}.allow", {**rule, "access": "ALLOW", "priority": 0}),
        change(f"{kind}.deny", {**rule, "access": "DENY", "priority": denied}),
    )
    assert {first for _, first, _, _ in found} == left


def test_a_rule_for_some_tags_denies_machines_with_them_alone() -> None:
    deny = tagged("d", "deny", 1, ["22"], ["0.0.0.0/0"], target_tags=["web"])
    everywhere = tagged("a", "allow", 1000, ["22"], ["10.0.0.0/8"])
    assert opened(everywhere, deny) == {("tcp", 22, 22, "10.0.0.0/8")}
    web = tagged("a", "allow", 1000, ["22"], ["10.0.0.0/8"], target_tags=["web"])
    assert opened(web, deny) == set()
    both = tagged("a", "allow", 1000, ["22"], ["10.0.0.0/8"], target_tags=["web", "db"])
    assert opened(both, deny) == {("tcp", 22, 22, "10.0.0.0/8")}
    assert opened(both, deny, tagged("e", "deny", 1, ["22"], ["0.0.0.0/0"], target_tags=["db"])) == set()


def test_rules_of_one_new_network_meet_through_the_code() -> None:
    refers = {"network": {"references": ["google_compute_network.vpc.id", "google_compute_network.vpc"]}}
    allow = tagged("a", "allow", 1000, ["22"], ["10.0.0.0/8"])
    deny = tagged("d", "deny", 1, ["22"], ["0.0.0.0/0"])
    for item in (allow, deny):
        item["change"]["after"].pop("network")
        item["change"]["after_unknown"] = {"network": True}
    known = code(google_compute_firewall__a=refers, google_compute_firewall__d=refers)
    assert opened(allow, deny, configuration=known) == set()
    assert opened(allow, deny) == {("tcp", 22, 22, "10.0.0.0/8")}, "nobody knows that it is one network"


def test_rules_of_several_new_networks_meet_those_of_the_same_one_alone() -> None:
    network = {"network": {"references": ["google_compute_network.n", "each.key"]}}

    def rules(deny: str, allow: str) -> Opened:
        made = (
            tagged(f'd["{deny}"]', "deny", 900, ["22"], ["0.0.0.0/0"]),
            tagged(f'a["{allow}"]', "allow", 1000, ["22"], ["0.0.0.0/0"]),
        )
        for item in made:
            item["change"]["after"].pop("network")
            item["change"]["after_unknown"] = {"network": True}
        return opened(
            *made, configuration=code(google_compute_firewall__d=network, google_compute_firewall__a=network)
        )

    assert rules("x", "x") == set()
    assert rules("x", "y") == {("tcp", 22, 22, "0.0.0.0/0")}


def test_a_policy_comes_after_the_rules_and_in_their_order() -> None:
    rules = [
        {"action": "ACCEPT", "protocol": "TCP", "ports": "22", "ipv4": ["10.1.0.0/16"]},
        {"action": "DROP", "protocol": "TCP", "ports": "1-65535", "ipv4": ["0.0.0.0/0"], "ipv6": ["::/0"]},
        {"action": "ACCEPT", "protocol": "TCP", "ports": "80", "ipv4": ["0.0.0.0/0"]},
    ]
    found = opened(change("linode_firewall.a", {"inbound_policy": "ACCEPT", "inbound": rules}))
    assert ("tcp", 22, 22, "10.1.0.0/16") in found
    assert ("tcp", 0, 0, "0.0.0.0/0") in found, "the policy accepts what no rule is about"
    assert ("udp", 0, 65535, "0.0.0.0/0") in found
    assert not any(protocol == "tcp" and last >= 80 for protocol, _, last, _ in found)


def test_separate_rules_come_before_the_policy_of_their_group() -> None:
    rules = [{"action": "drop", "protocol": "ANY", "ip_range": "0.0.0.0/0"}]
    group = {"id": "fr-par-1/11111111-2222", "inbound_default_policy": "accept"}
    separate = {"security_group_id": "fr-par-1/11111111-2222", "inbound_rule": rules}
    found = opened(
        change("scaleway_instance_security_group.g", group),
        change("scaleway_instance_security_group_rules.r", separate),
    )
    assert found == {("all", 0, 65535, "::/0")}


@pytest.mark.parametrize("seed", [1, 2])
def test_four_thousand_questions_are_answered_as_the_oracle_does(seed: int) -> None:
    assert disagreements(2000, seed, per_firewall=25) == []


def test_the_oracle_finds_out_a_rule_that_is_weighed_wrongly(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(self: Rule, other: Rule, mark: object) -> bool:
        return False

    monkeypatch.setattr(rules.Rule, "beats", never)
    assert disagreements(500, 1, per_firewall=25)
