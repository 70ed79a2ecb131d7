"""Adopting what SkyPilot has opened on the clouds of the schema provider, and giving it back."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import hcl2
import pytest

from skyports_tf.render import render_probe
from tests.support.command_line import Answer, call
from tests.support.life import Life, life_on
from tests.support.project import Project

NAME = "web-a1b2c3d4"
FIREWALL = "google_compute_firewall"
NSG, NSG_RULE = "oci_core_network_security_group", "oci_core_network_security_group_security_rule"
AZURE_RULE, SERVICE, INGRESS = (
    "azurerm_network_security_rule",
    "kubernetes_service_v1",
    "kubernetes_ingress_v1",
)
GROUP = "ocid1.networksecuritygroup.oc1.iad.theirs"
IN_AZURE = {
    "resource_group_name": f"{NAME}-eastus",
    "network_security_group_name": f"sky-{NAME}-3d61-nsg",
    "direction": "Inbound",
    "access": "Allow",
    "protocol": "Tcp",
    "source_port_range": "*",
    "source_address_prefix": "*",
    "destination_address_prefix": "*",
}


def on_google(life: Life) -> None:
    """sky/provision/gcp/instance_utils.py:create_or_update_firewall_rule."""
    life.cloud.make(
        FIREWALL,
        id=f"projects/my-project/global/firewalls/sky-ports-{NAME}",
        name=f"sky-ports-{NAME}",
        project="my-project",
        network="projects/my-project/global/networks/skypilot-vpc",
        description=f"Allow user-specified port ['8080', '9000-9005'] for cluster {NAME}",
        direction="INGRESS",
        disabled=False,
        priority=65534,
        source_ranges=["0.0.0.0/0"],
        target_tags=[NAME],
        allow=[{"protocol": "tcp", "ports": ["8080", "9000-9005"]}],
    )


def on_oracle(life: Life) -> None:
    """sky/provision/oci/query_utils.py:create_nsg_rules."""
    life.cloud.make(
        NSG,
        id=GROUP,
        compartment_id="ocid1.compartment.oc1..example",
        display_name=f"nsg_{NAME}",
        vcn_id="ocid1.vcn.oc1.iad.skypilot",
        state="AVAILABLE",
        freeform_tags={},
    )
    for rule, first, last in (("A1", 8080, 8080), ("A2", 9000, 9005)):
        life.cloud.make(
            NSG_RULE,
            id=rule,
            network_security_group_id=GROUP,
            direction="INGRESS",
            protocol="6",
            source="0.0.0.0/0",
            source_type="CIDR_BLOCK",
            stateless=False,
            description="SkyServe-Service-Port",
            tcp_options=[{"destination_port_range": [{"min": first, "max": last}]}],
        )


def on_azure(life: Life) -> None:
    """sky/provision/azure/instance.py:open_ports, and the rule for SSH of its template."""
    group = (
        "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/"
        f"{NAME}-eastus/providers/Microsoft.Network/networkSecurityGroups/sky-{NAME}-3d61-nsg"
    )
    stack = life.compile("8080")
    life.launch(stack)
    rules = ((f"sky-ports-{NAME}-1001", 1001, ["8080", "9000-9005"]), ("SSH", 1000, ["22"]))
    for name, priority, ports in rules:
        life.cloud.make(
            AZURE_RULE,
            id=f"{group}/securityRules/{name}",
            name=name,
            priority=priority,
            destination_port_ranges=ports,
            **IN_AZURE,
        )


def on_kubernetes(life: Life) -> None:
    """sky/templates/kubernetes-loadbalancer.yml.j2."""
    ports = [8080, *range(9000, 9006)]
    life.cloud.make(
        SERVICE,
        id=f"default/{NAME}--skypilot-lb",
        metadata=[{"name": f"{NAME}--skypilot-lb", "namespace": "default", "labels": {"parent": "skypilot"}}],
        spec=[
            {
                "type": "LoadBalancer",
                "selector": {"skypilot-cluster-name": NAME},
                "ip_families": ["IPv4"],
                "port": [
                    {"port": port, "protocol": "TCP", "name": f"port{port}", "node_port": 30000 + port % 1000}
                    for port in ports
                ],
            }
        ],
        status=[{"load_balancer": [{"ingress": [{"ip": "203.0.113.7", "hostname": ""}]}]}],
    )


def by_an_ingress(life: Life) -> None:
    """sky/templates/kubernetes-ingress.yml.j2."""
    for port in (8080, 9000):
        name = f"{NAME}--skypilot-svc--{port}"
        life.cloud.make(
            SERVICE,
            id=f"default/{name}",
            metadata=[{"name": name, "namespace": "default", "labels": {"parent": "skypilot"}}],
            spec=[
                {
                    "type": "ClusterIP",
                    "selector": {"skypilot-cluster-name": NAME},
                    "port": [{"port": port, "protocol": "TCP"}],
                }
            ],
        )
    life.cloud.make(
        INGRESS,
        id=f"default/{NAME}-skypilot-ingress",
        metadata=[{"name": f"{NAME}-skypilot-ingress", "namespace": "default"}],
        spec=[
            {
                "ingress_class_name": "nginx",
                "rule": [
                    {
                        "http": [
                            {
                                "path": [
                                    {
                                        "path": f"/skypilot/default/{NAME}/{port}(/|$)(.*)",
                                        "path_type": "ImplementationSpecific",
                                        "backend": [
                                            {
                                                "service": [
                                                    {
                                                        "name": f"{NAME}--skypilot-svc--{port}",
                                                        "port": [{"number": port}],
                                                    }
                                                ]
                                            }
                                        ],
                                    }
                                    for port in (8080, 9000)
                                ]
                            }
                        ]
                    }
                ],
            }
        ],
    )


#: Cloud, what SkyPilot made there, how much of it comes over, its ports, and the type that holds them.
SHAPES = [
    pytest.param("gcp", on_google, 1, ["8080", "9000-9005"], id="gcp"),
    pytest.param("oci", on_oracle, 3, ["8080", "9000-9005"], id="oci"),
    pytest.param("azure", on_azure, 1, ["8080", "9000-9005"], id="azure"),
    pytest.param("kubernetes", on_kubernetes, 1, ["8080", "9000-9005"], id="kubernetes"),
    pytest.param("kubernetes", by_an_ingress, 1, ["8080", "9000"], id="kubernetes-ingress"),
]


def call_on(life: Life, *words: str) -> Answer:
    answer = call(life.project.folder, *words)
    assert answer.code == 0, answer.out + answer.err
    return answer


def changing(life: Life) -> list[tuple[str, str, str]]:
    return [
        (item["op"], item["type"], item["id"]) for item in life.cloud.journal("create", "update", "delete")
    ]


@pytest.mark.parametrize(("cloud", "make", "imported", "ports"), SHAPES)
def test_what_skypilot_opened_is_adopted_narrowed_and_destroyed(
    cloud: str,
    make: Callable[[Life], None],
    imported: int,
    ports: list[str],
    tmp_path: Path,
    mirror: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    life = life_on(cloud, tmp_path, mirror, monkeypatch)
    make(life)
    before = life.cloud.objects()
    adopting = ["adopt", "web", "--infra", life.place or cloud, "--yes"]
    said = call_on(life, *adopting)
    assert f"{imported} to import, 0 to add, 0 to change, 0 to destroy" in said.out
    assert life.cloud.objects() == before and changing(life) == []
    (status,) = call_on(life, "status", "web", "--json").json["stacks"]
    assert (status["state"], status["ports"]) == ("open", ports)
    again = call_on(life, *adopting, "--json").json
    assert again["stacks"][0]["terraform"] == {"import": 0, "create": 0, "update": 0, "delete": 0}
    assert again["diagnostics"] == []
    # the task asks for less, and for others; the rest stays
    task = life.project.task("8080", infra=life.place)
    (planned,) = call_on(life, "plan", task, "--source", "203.0.113.0/24", "--json").json["stacks"]
    closed = {(rule["from_port"], *rule["sources"]) for rule in planned["changes"]["close"]}
    assert {item[0] for item in closed} == {8080}
    call_on(life, "apply", task, "--source", "203.0.113.0/24", "--yes")
    (status,) = call_on(life, "status", "web", "--json").json["stacks"]
    open_to = {rule["from_port"]: rule["sources"] for rule in status["rules"]}
    assert open_to[8080] == ["203.0.113.0/24"] and "0.0.0.0/0" in open_to[9000]
    kept = [op for op, kind, _ in changing(life) if kind in (FIREWALL, NSG)]
    assert "delete" not in kept
    call_on(life, "apply", "--forget", "adopted", "--cluster", "web", "--yes")
    (status,) = call_on(life, "status", "web", "--json").json["stacks"]
    assert status["ports"] == ["8080"]
    call_on(life, "destroy", "web", "--yes")


@pytest.mark.parametrize(("cloud", "make", "imported", "ports"), SHAPES)
def test_what_was_adopted_is_given_back_as_it_was(
    cloud: str,
    make: Callable[[Life], None],
    imported: int,
    ports: list[str],
    tmp_path: Path,
    mirror: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    life = life_on(cloud, tmp_path, mirror, monkeypatch)
    make(life)
    before = life.cloud.objects()
    call_on(life, "adopt", "web", "--infra", life.place or cloud, "--yes")
    (stack,) = call_on(life, "release", "web", "--yes", "--json").json["stacks"]
    assert stack["terraform"] == {"create": 0, "update": 0, "delete": 0, "forget": imported}
    assert life.cloud.objects() == before and changing(life) == []
    assert call_on(life, "release", "web", "--yes", "--json").json["diagnostics"] == []


def test_googles_rule_closes_only_when_ours_are_there(
    tmp_path: Path, mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    life = life_on("gcp", tmp_path, mirror, monkeypatch)
    on_google(life)
    call_on(life, "adopt", "web", "--infra", "gcp", "--yes")
    task = life.project.task("[8080, 9000-9005]", infra="gcp")
    call_on(life, "apply", task, "--source", "10.0.0.0/8", "--yes")
    assert [op for op, _, _ in changing(life)] == ["create", "update"]
    (decoy,) = [
        item for item in life.cloud.objects(FIREWALL)[FIREWALL] if item["name"] == f"sky-ports-{NAME}"
    ]
    assert decoy["disabled"] and decoy["description"].startswith("Disabled: ")


@pytest.mark.parametrize(
    ("cloud", "infra"), [("do", "do/nyc3"), ("ibm", "ibm/us-south"), ("nebius", "nebius")]
)
def test_where_skypilot_opens_nothing_that_can_be_seen_nothing_is_written(
    cloud: str, infra: str, tmp_path: Path, mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    life = life_on(cloud, tmp_path, mirror, monkeypatch)
    answer = call(life.project.folder, "adopt", "web", "--infra", life.place or infra, "--json")
    assert (answer.code, [item["code"] for item in answer.json["diagnostics"]]) == (1, ["nothing-to-adopt"])
    assert cloud in answer.json["diagnostics"][0]["help"]
    assert not (life.project.folder / "infra").exists()


@pytest.mark.parametrize("cloud", ["gcp", "oci", "kubernetes"])
def test_where_skypilot_opened_nothing_there_is_nothing_to_adopt(
    cloud: str, tmp_path: Path, mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    life = life_on(cloud, tmp_path, mirror, monkeypatch)
    answer = call(life.project.folder, "adopt", "web", "--infra", life.place or cloud, "--json")
    assert (answer.code, [item["code"] for item in answer.json["diagnostics"]]) == (1, ["nothing-to-adopt"])
    assert not (life.project.folder / "infra" / "web").exists()


def test_the_look_at_googles_rule_is_formatted_and_can_change_nothing(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.config("gcp: {project: my-project}")
    task = project.task("8080", infra="gcp/us-central1")
    text = render_probe(project.look(task, user_hash="a1b2c3d4").stacks[0].stack, room="adopt") or ""
    command = [os.environ.get("TERRAFORM", "terraform"), "fmt", "-"]
    assert subprocess.run(command, input=text, stdout=subprocess.PIPE, text=True).stdout == text
    (resource,) = hcl2.loads(text)["resource"]
    (lifecycle,) = resource['"google_compute_firewall"']['"found"']["lifecycle"]
    assert lifecycle["ignore_changes"] in ("all", "${all}") and lifecycle["prevent_destroy"] is True
