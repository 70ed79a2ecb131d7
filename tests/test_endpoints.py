"""The addresses that `status` prints are those of `sky status` (data/conformance/endpoints.jsonl)."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from skyports_tf.model import Stack
from skyports_tf.outcomes import Node, PortRule, StackStatus
from skyports_tf.ports import PortRange, PortSet
from skyports_tf.report.endpoints import (
    endpoint,
    endpoint_lines,
    endpoints,
    head_address,
    listed_ports,
    one_endpoint,
)

VECTORS = Path(__file__).parent / "data" / "conformance" / "endpoints.jsonl"
CASES = [json.loads(line) for line in VECTORS.read_text(encoding="utf-8").splitlines()]
STACK = Stack("web", "aws", "us-east-1")


def status(ports: list[str] | None, *nodes: Node) -> StackStatus:
    ranges = [text.partition("-") for text in ports or ()]
    rules = tuple(
        PortRule("tcp", int(first), int(last or first), ("0.0.0.0/0",)) for first, _, last in ranges
    )
    return StackStatus(STACK, "open", rules, nodes)


def head(public: str | None = "203.0.113.7", private: str | None = "10.0.0.4") -> Node:
    return Node("i-0", public, private, is_head=True)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_addresses_are_those_that_skypilot_prints(case: dict[str, Any]) -> None:
    found = status(case["ports"], head(case["head_ip"]))
    assert printed(found, case["flags"]) == case["stdout"]


def printed(found: StackStatus, flags: dict[str, Any]) -> str:
    """stdout of the flags; nothing where SkyPilot gives up."""
    if flags.get("ip"):
        return f"{head_address(found)}\n"
    port = flags.get("endpoint")
    lines = [one_endpoint(found, port)] if port else list(endpoint_lines(found))
    return "".join(f"{line}\n" for line in lines if line)


def test_ports_are_listed_in_the_order_of_a_cpython_set_of_them() -> None:
    ports = PortSet.of(
        [PortRange(22, 22), PortRange(8080, 8080), PortRange(9000, 9000), PortRange(30000, 30000)]
    )
    assert listed_ports(ports) == [8080, 30000, 9000, 22]


def test_the_head_is_the_node_that_is_marked_and_else_the_first() -> None:
    worker = Node("i-1", "203.0.113.8", "10.0.0.5")
    assert head_address(status(["80"], worker, head())) == "203.0.113.7"
    assert head_address(status(["80"], worker)) == "203.0.113.8"


def test_a_head_without_a_public_address_is_reached_at_its_private_one() -> None:
    assert list(endpoints(status(["80"], head(public=None)))) == [(80, "10.0.0.4:80")]


def test_without_nodes_there_is_no_endpoint() -> None:
    assert list(endpoints(status(["80"]))) == []
    assert one_endpoint(status(["80"]), 80) is None


def test_an_ipv6_address_stands_in_brackets() -> None:
    assert endpoint("2001:db8::7", 80) == "[2001:db8::7]:80"


def test_udp_ports_are_among_the_ports_of_the_cluster() -> None:
    found = StackStatus(STACK, "open", (PortRule("udp", 53, 53, ("10.0.0.0/8",)),), (head(),))
    assert one_endpoint(found, 53) == "203.0.113.7:53"


def test_a_load_balancer_is_reached_at_its_own_address() -> None:
    told = {"8080": "203.0.113.10:8080", "8081": "http://203.0.113.20/skypilot/default/web-a1b2c3d4/8081"}
    found = replace(status(["8080-8082"]), endpoints=told)
    assert list(endpoint_lines(found)) == [f"{port}: {text}" for port, text in told.items()]
    assert one_endpoint(found, 8081) == told["8081"]
    assert one_endpoint(found, 8082) is None and one_endpoint(found, 9000) is None
