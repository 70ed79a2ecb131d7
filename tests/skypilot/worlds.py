"""What our Terraform has made on a cloud of the schema provider, as that cloud's API tells it to SkyPilot."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from tests.support.schema_cloud import SchemaCloud

NAME_ON_CLOUD = "web-a1b2c3d4"
NODES = (f"{NAME_ON_CLOUD}-head-1a2b-compute", f"{NAME_ON_CLOUD}-worker-3c4d-compute")
ANYWHERE = {"0.0.0.0/0"}


def world_of(cloud: str, made: SchemaCloud) -> dict[str, Any]:
    """A world of pretend.py: our objects, and two nodes of the cluster web-a1b2c3d4."""
    return _WORLDS[cloud](made.objects())


def _google(made: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    instances = [
        {
            "name": name,
            "labels": {"ray-cluster-name": NAME_ON_CLOUD},
            "tags": {"items": [], "fingerprint": "x"},
            "networkInterfaces": [{"network": "projects/my-project/global/networks/skypilot-vpc"}],
        }
        for name in NODES
    ]
    firewalls = [
        {
            "name": rule["name"],
            "network": f"projects/my-project/global/networks/{rule['network']}",
            "direction": rule["direction"],
            "priority": rule["priority"],
            "disabled": bool(rule["disabled"]),
            "sourceRanges": rule["source_ranges"],
            "targetTags": rule["target_tags"],
            "allowed": [{"IPProtocol": item["protocol"], "ports": item["ports"]} for item in rule["allow"]],
        }
        for rule in made["google_compute_firewall"]
    ]
    return {
        "project": "my-project",
        "zone": "us-central1-a",
        "firewalls": firewalls,
        "instances": instances,
    }


def _kubernetes(made: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    services = [
        {
            "metadata": {"name": item["metadata"][0]["name"], "labels": item["metadata"][0]["labels"]},
            "spec": {
                "type": item["spec"][0]["type"],
                "loadBalancerSourceRanges": item["spec"][0]["load_balancer_source_ranges"],
                "ports": [{"port": port["port"]} for port in item["spec"][0]["port"]],
            },
        }
        for item in made["kubernetes_service_v1"]
    ]
    return {"services": services, "ingresses": []}


def _nebius(made: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    (group,) = made["nebius_vpc_v1_security_group"]
    return {
        "project": group["parent_id"],
        "network": group["network_id"],
        "groups": [{key: group[key] for key in ("id", "name", "network_id")}],
        "rules": [
            {
                **{key: rule[key] for key in ("id", "name", "parent_id", "access", "protocol")},
                **{way: _without_nulls(rule[way]) for way in ("ingress", "egress")},
            }
            for rule in made["nebius_vpc_v1_security_rule"]
        ],
    }


def _without_nulls(values: dict[str, Any] | None) -> dict[str, Any] | None:
    return values and {key: value for key, value in values.items() if value is not None}


def _oracle(made: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    (group,) = made["oci_core_network_security_group"]
    return {
        "compartment": group["compartment_id"],
        "vcn": group["vcn_id"],
        "groups": [{key: group[key] for key in ("id", "display_name", "vcn_id")}],
        "rules": [
            {
                "group": rule["network_security_group_id"],
                "source": rule["source"],
                "tcp": [rule["tcp_options"][0]["destination_port_range"][0][end] for end in ("min", "max")],
            }
            for rule in made["oci_core_network_security_group_security_rule"]
        ],
        "vnics": {name: {"id": f"vnic-{name}", "nsg_ids": []} for name in ("head", "worker")},
    }


_WORLDS: dict[str, Callable[[dict[str, list[dict[str, Any]]]], dict[str, Any]]] = {
    "gcp": _google,
    "kubernetes": _kubernetes,
    "nebius": _nebius,
    "oci": _oracle,
}


# -- what is open ----------------------------------------------------------------------

Openings = set[tuple[str, str]]


def open_in(cloud: str, world: dict[str, Any]) -> Openings:
    """The ports that a world opens to addresses, each range with its source."""
    return set(_OPENINGS[cloud](world))


def _google_openings(world: dict[str, Any]) -> Iterable[tuple[str, str]]:
    for rule in world["firewalls"]:
        for allowed in rule["allowed"] if not rule.get("disabled") else ():
            yield from ((port, source) for port in allowed["ports"] for source in rule["sourceRanges"])


def _kubernetes_openings(world: dict[str, Any]) -> Iterable[tuple[str, str]]:
    for item in world["services"]:
        if item["spec"]["type"] == "LoadBalancer":
            for source in item["spec"].get("loadBalancerSourceRanges") or ANYWHERE:
                yield from ((str(port["port"]), source) for port in item["spec"]["ports"])


def _nebius_openings(world: dict[str, Any]) -> Iterable[tuple[str, str]]:
    for rule in world["rules"]:
        ingress = rule.get("ingress") or {}
        for source in ingress.get("source_cidrs") or ():
            yield from ((str(port), source) for port in ingress["destination_ports"])


def _oracle_openings(world: dict[str, Any]) -> Iterable[tuple[str, str]]:
    for rule in world["rules"]:
        first, last = rule["tcp"]
        yield (str(first) if first == last else f"{first}-{last}", rule["source"])


_OPENINGS: dict[str, Callable[[dict[str, Any]], Iterable[tuple[str, str]]]] = {
    "gcp": _google_openings,
    "kubernetes": _kubernetes_openings,
    "nebius": _nebius_openings,
    "oci": _oracle_openings,
}
