"""What the probe sees on each cloud that the schema provider plays, with the real Terraform."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any, Protocol

import hcl2
import pytest
import yaml

from skyports_tf.clouds import load_cloud, managed_clouds
from skyports_tf.model import Stack
from skyports_tf.render import render_probe
from skyports_tf.running.probe import FACETS, Leftover, Probe
from tests.support.life import MATRIX, Life, life_on
from tests.support.project import Project

ONE, TWO, SIX = "203.0.113.0/24", "198.51.100.0/24", "2001:db8::/32"
ANYONE = {"0.0.0.0/0", "::/0"}
NAME = "web-a1b2c3d4"


class Start(Protocol):
    """Begins a life on a cloud; `world` and `config` replace those of the cloud's file."""

    def __call__(
        self, cloud: str, *, world: dict[str, Any] | None = None, config: str | None = None
    ) -> Life: ...


@pytest.fixture
def start(tmp_path: Path, mirror: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    def started(cloud: str, *, world: dict[str, Any] | None = None, config: str | None = None) -> Life:
        return life_on(cloud, tmp_path, mirror, monkeypatch, world, config)

    return started


def applied(life: Life, ports: str, *sources: str, **options: Any) -> Stack:
    stack = life.compile(ports, sources=sources or (ONE,), **options)
    life.apply(stack)
    return stack


def openings(rules: Any) -> set[tuple[str, int, int, str]]:
    return {rule.opens.opening for rule in rules or ()}


def known(cloud: str, facet: str) -> bool:
    return facet not in load_cloud(cloud).blind


# -- every cloud -----------------------------------------------------------------------


@pytest.mark.parametrize("cloud", MATRIX)
def test_where_nothing_is_there_nothing_is_seen_and_nothing_fails(cloud: str, start: Start) -> None:
    life = start(cloud, world={})
    probe = life.look(life.compile("8080"))
    assert probe == Probe(
        nodes=() if known(cloud, "nodes") else None,
        objects={} if known(cloud, "objects") else None,
        rules=() if known(cloud, "rules") else None,
        unknown=frozenset(load_cloud(cloud).blind),
    )


@pytest.mark.parametrize("cloud", MATRIX)
def test_an_applied_stack_can_be_imported_by_what_is_seen_of_it(cloud: str, start: Start) -> None:
    life = start(cloud)
    stack = applied(life, "[8000-8003, 9000]", ONE, TWO, ssh_sources=(ONE,))
    probe, resources = life.look(stack), life.resources(stack)
    if not known(cloud, "objects") or not known(cloud, "rules"):
        assert (probe.objects, probe.rules) == (None, None) and not probe.is_ours
        return
    assert probe.objects is not None and probe.is_ours
    targets = dict(probe.objects)
    for rule in probe.rules or ():
        assert rule.is_ours
        (address,) = [name for name, item in resources.items() if item["id"] == rule.state_id]
        held = address.partition("[")
        assert held[0] == rule.address and rule.key in (None, held[2][1:-2])
        targets[address] = rule.id
    assert set(targets) == set(resources)
    assert {cell for cell in openings(probe.rules) if cell[1] not in (22, 10022)} >= {
        ("tcp", 9000, 9000, ONE),
        ("tcp", 9000, 9000, TWO),
    }
    assert all(item.is_ours for item in probe.leftovers if item.id in targets.values())
    # the proof of the ids: the state is lost, and all comes back as it was
    for name in ("terraform.tfstate", "terraform.tfstate.backup"):
        (life.folder(stack) / name).unlink(missing_ok=True)
    blocks = [
        f"import {{\n  to = {address}\n  id = {json.dumps(target)}\n}}\n"
        for address, target in targets.items()
    ]
    (life.folder(stack) / "imports.tf").write_text("".join(blocks), encoding="utf-8")
    words = life.terraform(stack, "plan", "-no-color").stdout
    assert f"Plan: {len(targets)} to import, 0 to add, 0 to change, 0 to destroy." in words


@pytest.mark.parametrize("cloud", MATRIX)
def test_nodes_are_those_that_the_stack_knows(cloud: str, start: Start) -> None:
    life = start(cloud)
    stack = applied(life, "8080")
    nodes = json.loads(life.terraform(stack, "output", "-json", "nodes").stdout)
    probe = life.look(stack)
    if not known(cloud, "nodes"):
        assert probe.nodes is None
    elif nodes:  # the modules of some clouds do not look for them
        assert probe.nodes == tuple(sorted(node["id"] for node in nodes))


SETTINGS_OF = {
    "azure": ["azure: {subscription_id: 00000000-0000-0000-0000-000000000001}"],
    "gcp": ["gcp: {project: my-project, asset_inventory: true}"],
    "kubernetes": [
        "kubernetes: {region: my-context}",
        "kubernetes: {config_path: '', region: my-context}",
        "kubernetes: {config_path: '', region: in-cluster}",
    ],
}


@pytest.mark.parametrize("cloud", managed_clouds())
def test_a_probe_is_formatted_and_reads_as_hcl_and_looks_only(cloud: str, tmp_path: Path) -> None:
    facts = yaml.safe_load(MATRIX[cloud].read_text(encoding="utf-8")) if cloud in MATRIX else {"config": ""}
    for config in [facts["config"], *SETTINGS_OF.get(cloud, [])]:
        project = Project(tmp_path)
        project.config(config)
        task = project.task("[8080, 9000-9005]", infra=facts.get("infra", cloud))
        stack = project.look(task, user_hash="a1b2c3d4").stacks[0].stack
        text = render_probe(stack)
        assert text is not None
        formatted = subprocess.run(
            [os.environ.get("TERRAFORM", "terraform"), "fmt", "-"],
            input=text,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert formatted.stdout == text
        read = hcl2.loads(text)
        outputs = {
            name.strip('"'): output["value"] for item in read["output"] for name, output in item.items()
        }
        assert "resource" not in read and set(outputs) - {"adopted"} == {*FACETS, "owned"}
        # what the manifest says it cannot know is null, and nothing else
        nulls, blind = {name for name in outputs if outputs[name] is None}, set(load_cloud(cloud).blind)
        assert nulls == (blind if config == facts["config"] else blind & {"rules"})


# -- azure -----------------------------------------------------------------------------

AZURE_GROUP = (
    "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/web-a1b2c3d4-eastus"
    "/providers/Microsoft.Network/networkSecurityGroups/sky-web-a1b2c3d4-3d61-nsg"
)


def azure_rule(life: Life, name: str, priority: int, ports: list[str], **values: Any) -> str:
    identifier = f"{AZURE_GROUP}/securityRules/{name}"
    life.cloud.make(
        "azurerm_network_security_rule",
        **{
            "id": identifier,
            "name": name,
            "resource_group_name": "web-a1b2c3d4-eastus",
            "network_security_group_name": "sky-web-a1b2c3d4-3d61-nsg",
            "priority": priority,
            "direction": "Inbound",
            "access": "Allow",
            "protocol": "Tcp",
            "source_port_range": "*",
            "source_address_prefix": "*",
            "destination_port_ranges": ports,
            "destination_address_prefix": "*",
            **values,
        },
    )
    return identifier


def test_what_skypilot_has_opened_on_azure_counts_until_our_deny_rule_is_there(start: Start) -> None:
    life = start("azure")
    azure_rule(life, "SSH", 1000, [], destination_port_range="22")
    theirs = azure_rule(life, "sky-ports-web-a1b2c3d4-1001", 1001, ["8080", "9000-9005"])
    stack = life.compile("8080", sources=(ONE,))
    before = life.look(stack)
    assert not before.is_ours and before.objects == {}
    assert openings(rule for rule in before.rules or () if rule.id == theirs) == {
        ("tcp", first, last, source) for first, last in ((8080, 8080), (9000, 9005)) for source in ANYONE
    }
    assert not any(rule.is_ours or rule.key for rule in before.rules or ())
    assert [item.is_ours for item in before.leftovers] == [False]
    life.apply(stack)
    after = life.look(stack)
    assert after.is_ours and openings(after.rules) == {("tcp", 8080, 8080, ONE)}
    # found by the name, whoever made the group
    assert after.leftovers[0] == Leftover(
        "network security group", AZURE_GROUP, "sky-web-a1b2c3d4-3d61-nsg", is_ours=False
    )


def test_a_rule_that_somebody_puts_before_our_deny_rule_on_azure_is_seen(start: Start) -> None:
    life = start("azure")
    stack = applied(life, "8080")
    foreign = azure_rule(
        life,
        "by-hand",
        950,
        [],
        protocol="*",
        destination_port_range="*",
        source_address_prefix="",
        source_address_prefixes=["192.0.2.7", "2001:db8::7", "AzureCloud", "10.0.0.0/8"],
    )
    azure_rule(life, "later", 991, ["9999"])
    azure_rule(life, "refused", 940, ["9999"], access="Deny")
    azure_rule(life, "leaving", 940, ["9999"], direction="Outbound")
    rules = [rule for rule in life.look(stack).rules or () if not rule.is_ours]
    assert {rule.id for rule in rules} == {foreign} and {rule.key for rule in rules} == {None}
    assert openings(rules) == {
        (protocol, 1, 65535, source)
        for protocol in ("tcp", "udp")
        for source in ("192.0.2.7/32", "2001:db8::7/128", "tag:AzureCloud", "10.0.0.0/8")
    }


# -- oci -------------------------------------------------------------------------------

NSG, NSG_RULE = "oci_core_network_security_group", "oci_core_network_security_group_security_rule"


def oci_group(life: Life, **values: Any) -> str:
    life.cloud.make(
        NSG,
        **{
            "id": "ocid1.networksecuritygroup.oc1.iad.theirs",
            "compartment_id": "ocid1.compartment.oc1..example",
            "display_name": "nsg_web-a1b2c3d4",
            "vcn_id": "ocid1.vcn.oc1.iad.skypilot",
            "state": "AVAILABLE",
            "freeform_tags": {},
            **values,
        },
    )
    return "ocid1.networksecuritygroup.oc1.iad.theirs"


def oci_rule(life: Life, group: str, rule: str, ports: tuple[int, int] | None, **values: Any) -> None:
    options = [{"destination_port_range": [dict(zip(("min", "max"), ports, strict=True))]}] if ports else []
    life.cloud.make(
        NSG_RULE,
        **{
            "id": rule,
            "network_security_group_id": group,
            "direction": "INGRESS",
            "protocol": "6",
            "source": "0.0.0.0/0",
            "source_type": "CIDR_BLOCK",
            "stateless": False,
            "tcp_options": options,
            **values,
        },
    )


def test_a_group_of_skypilots_on_oci_is_seen_and_not_ours(start: Start) -> None:
    life = start("oci")
    group = oci_group(life)
    # sky/provision/oci/query_utils.py:create_nsg_rules, SkyPilot 0.14.1
    oci_rule(life, group, "0A1B2C", (8080, 8080), description="SkyServe-Service-Port")
    probe = life.look(life.compile("8080"))
    assert probe.objects == {"module.ports.oci_core_network_security_group.this": group}
    (rule,) = probe.rules or ()
    assert rule.id == f"networkSecurityGroups/{group}/securityRules/0A1B2C" and rule.state_id == "0A1B2C"
    assert rule.opens.opening == ("tcp", 8080, 8080, "0.0.0.0/0")
    assert not rule.is_ours and not probe.is_ours
    assert probe.leftovers == (Leftover("network security group", group, "nsg_web-a1b2c3d4", False),)


def test_foreign_rules_and_what_holds_the_group_on_oci_are_seen(start: Start) -> None:
    life = start("oci")
    stack = applied(life, "8080")
    ((_, group),) = (life.look(stack).objects or {}).items()
    oci_rule(life, group, "FFFF01", None, description="by hand", source="10.0.0.0/8")
    oci_rule(life, group, "FFFF02", None, protocol="all", source=SIX)
    oci_rule(life, group, "FFFF03", None, direction="EGRESS", source=None)
    life.cloud.put(
        "oci_core_network_security_group_vnics",
        network_security_group_id=group,
        vnic_id="ocid1.vnic.oc1.iad.a",
        resource_id="ocid1.instance.oc1.iad.a",
    )
    probe = life.look(stack)
    foreign = {rule.state_id: rule.opens.opening for rule in probe.rules or () if not rule.is_ours}
    assert foreign == {"FFFF01": ("tcp", 1, 65535, "10.0.0.0/8"), "FFFF02": ("all", 1, 65535, SIX)}
    assert probe.holders == ("VNIC ocid1.vnic.oc1.iad.a of ocid1.instance.oc1.iad.a",)


def test_a_group_that_is_going_or_in_another_network_on_oci_is_not_the_clusters(start: Start) -> None:
    life = start("oci")
    oci_group(life, state="TERMINATED")
    stack = life.compile("8080")
    assert life.look(stack).leftovers == ()
    oci_group(life, vcn_id="ocid1.vcn.oc1.iad.other")
    probe = life.look(stack)
    assert probe.objects == {} and probe.rules == () and len(probe.leftovers) == 1


# -- kubernetes ------------------------------------------------------------------------

SERVICE, INGRESS = "kubernetes_service_v1", "kubernetes_ingress_v1"
SELECTOR = {"skypilot-cluster-name": NAME}


def service(
    life: Life, name: str, *ports: int, labels: Any = None, selector: Any = SELECTOR, **spec: Any
) -> None:
    life.cloud.make(
        SERVICE,
        id=f"default/{name}",
        metadata=[{"name": name, "namespace": "default", "labels": labels or {"parent": "skypilot"}}],
        spec=[
            {
                "type": "LoadBalancer",
                "selector": selector,
                "port": [
                    {
                        "port": port,
                        "protocol": "TCP",
                        "node_port": 30000 + port % 1000,
                        "name": f"port{port}",
                    }
                    for port in ports
                ],
                **spec,
            }
        ],
    )


def ingress(life: Life, name: str, backends: dict[str, Any], **spec: Any) -> None:
    """`backends` maps Services to the number or the name of the port that a path leads to."""
    paths = [{"path": f"/{target}", "backend": [backend(target, port)]} for target, port in backends.items()]
    life.cloud.make(
        INGRESS,
        id=f"default/{name}",
        metadata=[{"name": name, "namespace": "default"}],
        spec=[{"rule": [{"http": [{"path": paths}]}], **spec}],
    )


def backend(target: str, port: int | str) -> dict[str, Any]:
    place = "number" if isinstance(port, int) else "name"
    return {"service": [{"name": target, "port": [{place: port}]}]}


def pod(life: Life, name: str, phase: str, cluster: str = NAME) -> None:
    metadata = {"name": name, "namespace": "default", "labels": {"skypilot-cluster-name": cluster}}
    life.cloud.put(
        "kubernetes_resources", apiVersion="v1", kind="Pod", metadata=metadata, status={"phase": phase}
    )


def test_pods_that_live_are_nodes(start: Start) -> None:
    life = start("kubernetes")
    pod(life, "web-a1b2c3d4-worker1", "Pending")
    pod(life, "web-a1b2c3d4-head", "Running")
    pod(life, "web-a1b2c3d4-old", "Failed")
    pod(life, "other-head", "Running", cluster="other")
    assert life.look(life.compile("8080")).nodes == ("web-a1b2c3d4-head", "web-a1b2c3d4-worker1")


def test_skypilots_service_and_ingress_are_seen_and_not_ours(start: Start) -> None:
    life = start("kubernetes")
    service(life, "web-a1b2c3d4--skypilot-lb", 8080, 8443)
    service(life, "web-a1b2c3d4--skypilot-svc--9000", 9000, type="ClusterIP")
    ingress(life, "web-a1b2c3d4-skypilot-ingress", {"web-a1b2c3d4--skypilot-svc--9000": 9000})
    # those of others, and what only reaches the head inside the cluster
    service(life, "web-a1b2c3d4-head", 10001, type="ClusterIP")
    service(life, "shop", 8080, selector={"app": "shop"})
    ingress(life, "shop", {"shop": 8080})
    probe = life.look(life.compile("8080"))
    assert openings(probe.rules) == {
        ("tcp", 8080, 8080, "0.0.0.0/0"),
        ("tcp", 8443, 8443, "0.0.0.0/0"),
        ("tcp", 9000, 9000, "0.0.0.0/0"),
        ("tcp", 9000, 9000, "::/0"),
    }
    assert not probe.is_ours and probe.objects == {}
    assert not any(rule.is_ours or rule.key for rule in probe.rules or ())
    assert [(item.kind, item.id, item.is_ours) for item in probe.leftovers] == [
        ("Service", "default/web-a1b2c3d4--skypilot-lb", False),
        ("Service", "default/web-a1b2c3d4--skypilot-svc--9000", False),
        ("Ingress", "default/web-a1b2c3d4-skypilot-ingress", False),
    ]


def test_foreign_ways_to_the_pods_are_seen(start: Start) -> None:
    life = start("kubernetes")
    stack = applied(life, "8080")
    service(life, "by-hand", 8888, type="NodePort")
    service(life, "narrow", 9999, load_balancer_source_ranges=[TWO])
    service(life, "six", 9998, ip_families=["IPv6"])
    service(life, "outside", 9997, type="ClusterIP", external_ips=["192.0.2.9"])
    service(life, "inside", 9996, type="ClusterIP")
    ingress(life, "by-name", {"inside": "port9996", "shop": 80})
    ingress(life, "by-default", {}, default_backend=[backend("inside", 9996)])
    foreign = [rule for rule in life.look(stack).rules or () if not rule.is_ours]
    assert {(rule.id, rule.opens.from_port, rule.opens.source) for rule in foreign} == {
        *((f"default/{name}", 9996, source) for name in ("by-name", "by-default") for source in ANYONE),
        ("default/by-hand", 30888, "0.0.0.0/0"),
        ("default/narrow", 9999, TWO),
        ("default/six", 9998, "::/0"),
        ("default/outside", 9997, "0.0.0.0/0"),
    }


def test_paths_of_an_ingress_can_be_imported_by_what_is_seen_of_them(start: Start) -> None:
    life = start("kubernetes", config="kubernetes: {ports: ingress}")
    stack = applied(life, "[8080, 9000]", ONE, SIX)
    probe, resources = life.look(stack), life.resources(stack)
    assert probe.is_ours and probe.objects == {
        f'module.ports.kubernetes_service_v1.backend["{port}"]': f"default/{NAME}--skyports-{port}"
        for port in (8080, 9000)
    }
    assert openings(probe.rules) == {
        ("tcp", port, port, source) for port in (8080, 9000) for source in (ONE, SIX)
    }
    told = {f'{rule.address}["{rule.key}"]': rule.id for rule in probe.rules or ()} | dict(probe.objects)
    assert told == {address: item["id"] for address, item in resources.items()}


# -- gcp, do, ibm ----------------------------------------------------------------------

ASSETS = "google_cloud_asset_search_all_resources"
FIREWALLS = "projects/my-project/global/firewalls"


def asset(life: Life, kind: str, path: str, **values: Any) -> None:
    name = f"//compute.googleapis.com/projects/my-project/{path}"
    life.cloud.put(ASSETS, name=name, asset_type=f"compute.googleapis.com/{kind}", **values)


def test_cloud_asset_inventory_tells_nodes_and_rules_on_gcp_by_name(start: Start) -> None:
    life = start("gcp", config="gcp: {project: my-project, asset_inventory: true}")
    stack = life.compile("[8080, 9000]")
    assert life.look(stack) == Probe(nodes=(), objects={}, rules=None, unknown=frozenset({"rules"}))
    asset(life, "Instance", "zones/us-central1-a/instances/web-a1b2c3d4-04ab-head", network_tags=[NAME])
    asset(
        life,
        "Instance",
        "zones/us-central1-b/instances/web-a1b2c3d4-9f0e-worker",
        labels={"skypilot-cluster-name": NAME},
    )
    asset(life, "Instance", "zones/us-central1-b/instances/other", network_tags=["other"])
    asset(life, "Firewall", f"global/firewalls/sky-ports-{NAME}", description="SkyPilot's")
    before = life.look(stack)
    assert before.nodes == ("web-a1b2c3d4-04ab-head", "web-a1b2c3d4-9f0e-worker")
    assert before.objects == {"module.ports.google_compute_firewall.decoy": f"{FIREWALLS}/sky-ports-{NAME}"}
    assert not before.is_ours
    assert [(item.name, item.is_ours) for item in before.leftovers] == [(f"sky-ports-{NAME}", False)]


def test_what_cloud_asset_inventory_tells_on_gcp_can_be_imported(start: Start) -> None:
    life = start("gcp", config="gcp: {project: my-project, asset_inventory: true}")
    stack = applied(life, "[8080, 9000]", ONE, SIX)
    resources = life.resources(stack)
    for item in resources.values():
        asset(life, "Firewall", f"global/firewalls/{item['name']}", description=item["description"])
    probe = life.look(stack)
    assert probe.objects == {address: item["id"] for address, item in resources.items()}
    assert probe.is_ours and len(probe.leftovers) == 3 and all(item.is_ours for item in probe.leftovers)


def test_droplets_with_the_clusters_tag_are_nodes(start: Start) -> None:
    life = start("do")
    life.cloud.put("digitalocean_droplets", id=7, name="other", tags=["skypilot-cluster-name:other"])
    assert life.look(life.compile("8080")).nodes == ("1001", "1002")


def test_rules_of_others_on_ibm_are_seen_and_not_ours(start: Start) -> None:
    life = start("ibm")
    stack = applied(life, "8080")
    group = "r006-11111111-2222-3333-4444-555555555555"

    def put(rule: str, remote: str, direction: str = "inbound", **ports: Any) -> None:
        values = {"group": group, "rule_id": rule, "direction": direction, "ip_version": "ipv4"}
        life.cloud.make("ibm_is_security_group_rule", id=f"{group}.{rule}", remote=remote, **values, **ports)

    # sky/skylet/providers/ibm/vpc_provider.py:create_sg_rules, SkyPilot 0.14.1
    put("r006-ssh", "0.0.0.0/0", tcp=[{"port_min": 22, "port_max": 22}])
    put("r006-inside", group, tcp=[{"port_min": 1, "port_max": 65535}])
    put("r006-out", "0.0.0.0/0", "outbound", tcp=[{"port_min": 1, "port_max": 65535}])
    put("r006-hand", "192.0.2.7", udp=[{"port_min": 53, "port_max": 53}])
    put("r006-all", "10.0.0.0/8")
    rules = life.look(stack).rules or ()
    assert {rule.id: (rule.opens.opening, rule.is_ours) for rule in rules if not rule.is_ours} == {
        f"{group}.r006-ssh": (("tcp", 22, 22, "0.0.0.0/0"), False),
        f"{group}.r006-hand": (("udp", 53, 53, "192.0.2.7/32"), False),
        f"{group}.r006-all": (("all", 1, 65535, "10.0.0.0/8"), False),
    }
    assert [rule.opens.opening for rule in rules if rule.is_ours] == [("tcp", 8080, 8080, ONE)]
