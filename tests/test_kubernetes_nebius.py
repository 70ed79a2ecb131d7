"""Kubernetes and Nebius: what their modules make, and that nothing of it can be open to all by accident."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from skyports_tf.clouds import load_cloud
from skyports_tf.diagnostics import TerraformError
from skyports_tf.naming import name_on_cloud
from tests.support.life import Life, life_on

SERVICE, INGRESS = "kubernetes_service_v1", "kubernetes_ingress_v1"
GROUP, RULE = "nebius_vpc_v1_security_group", "nebius_vpc_v1_security_rule"
WHITELIST = "nginx.ingress.kubernetes.io/whitelist-source-range"
FOUR, SIX = "203.0.113.0/24", "2001:db8::/32"


def specs(life: Life, kind: str) -> dict[str, dict[str, Any]]:
    """The Kubernetes objects of a kind by name: their spec, with their annotations."""
    return {
        item["metadata"][0]["name"]: {
            **item["spec"][0],
            "annotations": item["metadata"][0]["annotations"] or {},
        }
        for item in life.cloud.objects(kind).get(kind, [])
    }


@pytest.fixture
def kubernetes(tmp_path: Path, mirror: Path, monkeypatch: pytest.MonkeyPatch) -> Life:
    return life_on("kubernetes", tmp_path, mirror, monkeypatch)


@pytest.fixture
def nebius(tmp_path: Path, mirror: Path, monkeypatch: pytest.MonkeyPatch) -> Life:
    return life_on("nebius", tmp_path, mirror, monkeypatch)


# -- kubernetes ------------------------------------------------------------------------


def test_a_load_balancer_is_of_the_family_of_its_sources(kubernetes: Life) -> None:
    status = kubernetes.apply(kubernetes.compile("[80, 443]", sources=(FOUR, SIX)))
    found = specs(kubernetes, SERVICE)
    assert {
        name: (spec["ip_families"], spec["load_balancer_source_ranges"]) for name, spec in found.items()
    } == {
        "web-a1b2c3d4--skyports-tcp4-1": (["IPv4"], [FOUR]),
        "web-a1b2c3d4--skyports-tcp6-1": (["IPv6"], [SIX]),
    }
    for spec in found.values():
        assert spec["type"] == "LoadBalancer" and spec["ip_family_policy"] == "SingleStack"
        assert spec["selector"] == {"skypilot-cluster-name": "web-a1b2c3d4"}
        assert [(port["name"], port["port"], port["target_port"]) for port in spec["port"]] == [
            ("port80", 80, "80"),
            ("port443", 443, "443"),
        ]
    assert status.endpoints == {"80": "203.0.113.10:80", "443": "203.0.113.10:443"}


def test_tcp_and_udp_have_load_balancers_of_their_own(kubernetes: Life) -> None:
    config = (kubernetes.project.folder / "skyports.yaml").read_text()
    kubernetes.project.config(f"{config}rules: [{{cluster: web, ports: {{53: {{protocol: [tcp, udp]}}}}}}]\n")
    status = kubernetes.apply(kubernetes.compile("53", sources=(FOUR,)))
    assert {name: spec["port"][0]["protocol"] for name, spec in specs(kubernetes, SERVICE).items()} == {
        "web-a1b2c3d4--skyports-tcp4-1": "TCP",
        "web-a1b2c3d4--skyports-udp4-1": "UDP",
    }
    assert {(rule.protocol, rule.from_port) for rule in status.rules} == {("tcp", 53), ("udp", 53)}
    assert set(status.endpoints) == {"53", "udp 53"}


def test_an_ingress_has_the_paths_of_skypilot_and_the_sources_of_its_port(kubernetes: Life) -> None:
    config = (kubernetes.project.folder / "skyports.yaml").read_text()
    rules = f"rules: [{{cluster: web, ports: {{8081: {{sources: [{FOUR}, '{SIX}']}}}}}}]\n"
    kubernetes.project.config(f"{config}{rules}kubernetes: {{ports: ingress, nodes: head}}\n")
    stack = kubernetes.compile("8080-8081")
    status = kubernetes.apply(stack)
    found = specs(kubernetes, INGRESS)
    assert {name: spec["annotations"][WHITELIST] for name, spec in found.items()} == {
        "web-a1b2c3d4--skyports-8080": "0.0.0.0/0",
        "web-a1b2c3d4--skyports-8081": f"{SIX},{FOUR}",
    }
    # as the vector rule-041 of sky/provision/kubernetes/network.py has it
    path = found["web-a1b2c3d4--skyports-8080"]["rule"][0]["http"][0]["path"][0]
    assert path["path"] == "/skypilot/default/web-a1b2c3d4/8080(/|$)(.*)"
    assert path["backend"][0]["service"][0]["name"] == "web-a1b2c3d4--skyports-8080"
    services = specs(kubernetes, SERVICE)
    assert set(services) == set(found)
    for service in services.values():
        assert service["type"] == "ClusterIP"
        assert service["selector"] == {"skypilot-cluster-name": "web-a1b2c3d4", "skypilot-head-node": "1"}
    assert status.endpoints["8081"] == "http://203.0.113.20/skypilot/default/web-a1b2c3d4/8081"

    more = kubernetes.plan(kubernetes.compile("8080-8082"))
    assert [(rule.from_port, rule.to_port) for rule in more.changes.open] == [(8082, 8082)]
    assert (more.counts.create, more.counts.update, more.counts.delete) == (2, 0, 0)
    assert kubernetes.close(stack) and kubernetes.cloud.objects() == {}


def test_a_load_balancer_that_lost_its_sources_is_told_as_open_to_all(kubernetes: Life) -> None:
    stack = kubernetes.compile("8080", sources=(FOUR,))
    kubernetes.apply(stack)
    (service,) = kubernetes.cloud.objects(SERVICE)[SERVICE]
    spec = {**service["spec"][0], "load_balancer_source_ranges": []}
    kubernetes.cloud.edit(SERVICE, service["id"], spec=[spec])
    assert kubernetes.terraform(stack, "apply", "-refresh-only", "-auto-approve").returncode == 0
    assert [rule.sources for rule in kubernetes.status(stack).rules] == [("0.0.0.0/0",)]
    assert kubernetes.plan(stack).changes.close[0].sources == ("0.0.0.0/0",)


@pytest.mark.parametrize(
    "cluster", ["w", "Web.Main_1", "a-very-long-name-of-a-cluster-that-skypilot-cuts" * 3]
)
def test_the_longest_name_of_a_load_balancer_is_a_dns_label(cluster: str) -> None:
    cloud = load_cloud("kubernetes")
    on_cloud = name_on_cloud(cluster, "a1b2c3d4", cloud.name_on_cloud_max_length)
    service = cloud.names_of(cluster, "takeover", on_cloud, {})["service"]
    assert len(service) <= cloud.name_rules["service"].max_length
    assert len(f"{service}-udp6-9999") <= 63 and len(f"{service}-65535") <= 63


# -- nebius ----------------------------------------------------------------------------


@pytest.mark.parametrize("argument", ["destination_ports", "source_cidrs", "source_security_group_id"])
def test_a_rule_that_would_be_open_to_all_is_refused(nebius: Life, argument: str) -> None:
    # Terraform passes over what it does not know inside such an argument, so that `validate` can't tell
    stack = nebius.compile("8080", sources=(FOUR,))
    module = nebius.project.folder / "infra/modules/nebius/main.tf"
    text = module.read_text()
    assert f"    {argument} " in text
    module.write_text(text.replace(f"    {argument} ", f"    {argument}s "))
    with pytest.raises(TerraformError) as error:
        nebius.plan(stack)
    assert "would open the nodes to all" in error.value.output


def test_rules_hold_eight_sources_and_go_before_their_group(nebius: Life) -> None:
    many = tuple(f"10.{number}.0.0/16" for number in range(0, 18, 2))
    stack = nebius.compile("8080", sources=many, ssh_sources=many)
    nebius.apply(stack)
    rules = {rule["name"]: rule["ingress"] for rule in nebius.cloud.objects(RULE)[RULE] if rule["ingress"]}
    assert {name: len(ingress["source_cidrs"] or ()) for name, ingress in rules.items()} == {
        "self": 0,
        "ssh-1": 8,
        "ssh-2": 1,
        "tcp-ipv4-1": 8,
        "tcp-ipv4-2": 1,
    }
    assert rules["ssh-1"]["destination_ports"] == [22, 10022]
    (group,) = nebius.cloud.objects(GROUP)[GROUP]
    assert rules["self"]["source_security_group_id"] == group["id"]
    assert nebius.close(stack)
    assert [call["type"] for call in nebius.cloud.journal("delete")] == [RULE] * 6 + [GROUP]


# -- both ------------------------------------------------------------------------------


@pytest.mark.parametrize(("cloud", "rules"), [("kubernetes", 3), ("nebius", 13)])
def test_a_hundred_and_one_ports_take_the_fewest_rules(
    cloud: str, rules: int, tmp_path: Path, mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    life = life_on(cloud, tmp_path, mirror, monkeypatch)
    assert len(life.compile("8000-8100").packed) == rules


@pytest.mark.parametrize(
    ("cloud", "told"),
    [
        ("kubernetes", {"kubernetes": {"ports": "podip"}}),
        # a list of patterns: a plain name would put every other cluster into this group, too
        ("nebius", {"nebius": {"security_group_name": [{"web": "sky-sg-web-a1b2c3d4"}]}}),
    ],
)
def test_skypilots_config_says_what_it_must(
    cloud: str, told: dict[str, Any], tmp_path: Path, mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    life = life_on(cloud, tmp_path, mirror, monkeypatch)
    stack = life.compile("8080")
    assert yaml.safe_load(life.project.text(f"{stack.directory}/sky-config.yaml")) == told
