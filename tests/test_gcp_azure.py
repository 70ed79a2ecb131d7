"""Google Cloud and Azure: what SkyPilot does beside our rules opens nothing, before, during and after."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest

from skyports_tf.clouds import load_cloud
from skyports_tf.pack import pack
from skyports_tf.packing.shapes import RuleShape, Wanted
from skyports_tf.ports import PortRange, PortSet
from skyports_tf.sources import parse_source
from tests.support.life import Life, life_on, reach
from tests.support.project import Project

FIREWALL, RULE = "google_compute_firewall", "azurerm_network_security_rule"
DECOY = "projects/my-project/global/firewalls/sky-ports-web-a1b2c3d4"


@pytest.fixture
def gcp(tmp_path: Path, mirror: Path, monkeypatch: pytest.MonkeyPatch) -> Life:
    return life_on("gcp", tmp_path, mirror, monkeypatch)


@pytest.fixture
def azure(tmp_path: Path, mirror: Path, monkeypatch: pytest.MonkeyPatch) -> Life:
    return life_on("azure", tmp_path, mirror, monkeypatch)


# -- Google Cloud ----------------------------------------------------------------------


def test_what_skypilot_writes_into_the_decoy_opens_nothing_and_changes_no_plan(gcp: Life) -> None:
    stack = gcp.compile("8080", sources=("203.0.113.0/24",))
    gcp.apply(stack)
    # sky/provision/gcp/instance_utils.py:create_or_update_firewall_rule, SkyPilot 0.14.1
    gcp.cloud.edit(FIREWALL, DECOY, allow=[{"protocol": "tcp", "ports": ["8080"]}])
    assert not gcp.plan(stack).counts.any
    enabled = [rule for rule in gcp.cloud.objects(FIREWALL)[FIREWALL] if not rule["disabled"]]
    assert [rule["source_ranges"] for rule in enabled] == [["203.0.113.0/24"]]
    assert {tag for rule in enabled for tag in rule["target_tags"]} == {"web-a1b2c3d4"}


def test_a_rule_that_skypilot_made_in_the_decoys_place_is_disabled_again(gcp: Life) -> None:
    stack = gcp.compile("8080")
    gcp.apply(stack)
    gcp.cloud.edit(FIREWALL, DECOY, disabled=False, description="Allow user-specified port ['8080'] for ...")
    plan = gcp.plan(stack)
    assert (plan.counts.create, plan.counts.update, plan.counts.delete) == (0, 1, 0)
    gcp.apply(stack)
    assert [rule["name"] for rule in gcp.cloud.objects(FIREWALL)[FIREWALL] if rule["disabled"]] == [
        "sky-ports-web-a1b2c3d4"
    ]


def test_overlapping_rules_are_shown_once_with_the_widest_range(gcp: Life) -> None:
    gcp.project.config(
        "user_hash: a1b2c3d4\ngcp: {project: my-project}\nsources: [10.0.0.0/8]\n"
        "rules: [{cluster: web, ports: {8080: {sources: [10.0.0.0/8, 192.168.0.0/16]}}}]\n"
    )
    stack = gcp.compile("8080-8081")
    assert len(stack.packed) == 2
    status = gcp.apply(stack)
    assert [(rule.from_port, rule.to_port, rule.sources) for rule in status.rules] == [
        (8080, 8080, ("192.168.0.0/16",)),
        (8080, 8081, ("10.0.0.0/8",)),
    ]


def test_names_of_rules_fit_for_the_longest_name_of_a_cluster(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.config("gcp: {project: my-project}\n")
    task = project.task("8080", name="Very.long_" * 20 + "x", infra="gcp")
    [compiled] = project.compile(task, user_hash="a1b2c3d4").stacks
    prefix = compiled.stack.names["rule_prefix"]
    assert len(prefix) == 44 and len(f"{prefix}-ipv4-9999") <= 63
    assert load_cloud("gcp").name_rules["rule_prefix"].max_length + len("-ipv4-9999") == 63


# -- Azure -----------------------------------------------------------------------------


def is_let_in(life: Life, port: int, address: str, protocol: str = "Tcp") -> bool:
    """What Azure makes of a packet: the first rule by priority, SkyPilot's and Azure's own included."""
    rules = [
        *life.cloud.objects(RULE).get(RULE, []),
        # sky/provision/azure/azure-config-template.json, and instance.py:open_ports, SkyPilot 0.14.1
        skypilot(1000, ["22"]),
        skypilot(1001, ["8080", "9000-9005"]),
    ]
    for rule in sorted(rules, key=lambda item: item["priority"]):
        if rule["protocol"] in ("*", protocol) and is_at(rule, port) and is_from(rule, address):
            return bool(rule["access"] == "Allow")
    return is_inside(address)


def is_inside(address: str) -> bool:
    """Whether it is of the cluster's own network."""
    return ip_address(address) in ip_network("10.0.0.0/8")


def skypilot(priority: int, ports: list[str]) -> dict[str, Any]:
    return {
        "priority": priority,
        "access": "Allow",
        "protocol": "Tcp",
        "source_address_prefix": "*",
        "destination_port_ranges": ports,
    }


def is_at(rule: dict[str, Any], port: int) -> bool:
    ranges = rule.get("destination_port_ranges") or [rule["destination_port_range"]]
    return any(int(item.split("-")[0]) <= port <= int(item.split("-")[-1]) for item in ranges)


def is_from(rule: dict[str, Any], address: str) -> bool:
    prefix = rule.get("source_address_prefix")
    if prefix == "*":
        return True
    if prefix == "Internet":
        return not is_inside(address)
    found = ip_address(address)
    return any(found in ip_network(item) for item in rule.get("source_address_prefixes") or ())


def test_azure_lets_in_whom_the_config_names_and_nobody_else(azure: Life) -> None:
    stack = azure.compile("[8080, 9000-9005]", sources=("203.0.113.0/24", "10.9.0.0/16"))
    azure.apply(stack)
    assert is_let_in(azure, 8080, "203.0.113.9") and is_let_in(azure, 9005, "203.0.113.9")
    assert not is_let_in(azure, 8080, "198.51.100.9")
    assert is_let_in(azure, 22, "198.51.100.9"), "SSH is SkyPilot's own rule"
    assert is_let_in(azure, 8080, "10.1.0.4"), "traffic inside the network stays"


def test_a_dropped_port_does_not_open_to_all_by_the_rule_that_skypilot_leaves(azure: Life) -> None:
    azure.apply(azure.compile("[8080, 9000-9005]", sources=("203.0.113.0/24",)))
    azure.apply(azure.compile("8080", sources=("203.0.113.0/24",)))
    assert is_let_in(azure, 8080, "203.0.113.9")
    assert not is_let_in(azure, 9000, "203.0.113.9") and not is_let_in(azure, 9000, "198.51.100.9")
    stack = azure.compile("[]")
    assert azure.apply(stack).state == "closed"
    assert not is_let_in(azure, 8080, "203.0.113.9")
    assert azure.close(stack) and azure.cloud.objects() == {}


def test_ssh_is_for_those_alone_whom_the_config_names(azure: Life) -> None:
    stack = azure.compile("8080", ssh_sources=("203.0.113.0/25", "203.0.113.0/26", "2001:db8::/32"))
    azure.apply(stack)
    assert is_let_in(azure, 22, "203.0.113.9") and is_let_in(azure, 22, "2001:db8::9")
    assert not is_let_in(azure, 22, "203.0.113.200") and not is_let_in(azure, 22, "2001:db9::9")
    assert is_let_in(azure, 8080, "198.51.100.9")


def test_no_azure_rule_has_an_address_prefix_inside_another(azure: Life) -> None:
    given = ("10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "192.168.0.0/16", "2001:db8::/32", "2001:db8:1::/48")
    stack = azure.compile("8080", sources=(*given, "tag:Storage"))
    azure.apply(stack)
    held = [rule.get("source_address_prefixes") for rule in azure.cloud.objects(RULE)[RULE]]
    assert sorted(sorted(prefixes) for prefixes in held if prefixes) == [
        ["10.0.0.0/8", "192.168.0.0/16"],
        ["2001:db8::/32"],
    ]
    assert {source for _, _, source in reach(azure.status(stack).rules)} == {*given, "tag:Storage"}
    assert not azure.plan(stack).counts.any


def test_azure_plans_before_the_launch_and_destroys_after_the_cluster(azure: Life) -> None:
    stack = azure.compile("8080", ssh_sources=("203.0.113.0/25",))
    azure.apply(stack)
    world = azure.cloud.env["SCHEMA_CLOUD_AZURERM"]
    Path(world, "world.json").write_text("{}")
    early = azure.plan(stack)
    assert any("launch the cluster" in str(warning) for warning in early.warnings)
    assert azure.close(stack)
    gone = azure.compile("[]")
    assert not azure.plan(gone).counts.any


def test_a_resource_group_of_the_config_names_the_security_group(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.config("user_hash: a1b2c3d4\nazure: {resource_group: research}\n")
    [compiled] = project.compile(project.task("8080", infra="azure/eastus")).stacks
    assert compiled.stack.names["resource_group"] == "research"
    assert compiled.stack.names["nsg"] == "sky-web-a1b2c3d4-7412-nsg"


# -- packing ---------------------------------------------------------------------------


def test_sources_that_stand_alone_take_one_rule_each() -> None:
    shape = RuleShape("ranges", "family", alone=("tag",))
    a, b, block = (parse_source(text) for text in ("tag:A", "tag:B", "10.0.0.0/8"))
    wanted: Wanted = {
        ("tcp", a): PortSet((PortRange(80, 80), PortRange(90, 99))),
        ("tcp", b): PortSet((PortRange(80, 80),)),
        ("tcp", block): PortSet((PortRange(80, 80),)),
    }
    packed = pack(wanted, shape)
    assert [(rule.key, rule.sources) for rule in packed] == [
        ("tcp-ipv4-1", (block,)),
        ("tcp-tag-1", (a,)),
        ("tcp-tag-2", (b,)),
    ]
    # without A, B keeps its rule
    later = pack({key: ports for key, ports in wanted.items() if key[1] != a}, shape, packed)
    assert [rule.key for rule in later] == ["tcp-ipv4-1", "tcp-tag-2"]


@pytest.mark.parametrize(("ranges", "rules"), [(1, 1), (4, 1), (5, 2), (9, 3)])
def test_a_rule_holds_no_more_ranges_than_the_cloud_takes(ranges: int, rules: int) -> None:
    shape = RuleShape("ranges", "family", many_protocols=True, ports_max=4)
    ports = PortSet(tuple(PortRange(port, port) for port in range(8000, 8000 + 2 * ranges, 2)))
    packed = pack({("tcp", parse_source("10.0.0.0/8")): ports}, shape)
    assert len(packed) == rules
    assert PortSet.of(item for rule in packed for _, held in rule.ports for item in held) == ports
