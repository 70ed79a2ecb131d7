"""Exposures: a thousand stacks from the JSON of their plans, and random questions against an oracle."""

from __future__ import annotations

import json
import time
import zlib
from pathlib import Path
from typing import Any

from bench.measure import Comparison, PartResult, Seconds, environment, in_turns, timed
from bench.workspace import installed, memory_folder
from tests.support.exposure_game import disagreements
from tests.support.plans import change, plan

STACKS = 1000
ROUNDS = 5
QUESTIONS = 100_000
_SEED = 20_261_125
_AT_MOST = Seconds(2.0, 2.0)
_MODULE = "module.ports"
_PORTS = (8080, 8888, 9000, 27015)


def run_part() -> PartResult:
    """The whole process on 1,000 plans against two seconds, and 100,000 questions."""
    with memory_folder() as folder, installed() as programs:
        names = write_plans(folder, STACKS)
        size = sum((folder / name).stat().st_size for name in names)
        command: list[str | Path] = [programs / "skyports-tf", "exposure", "--json", *names]
        sides = {"ours": lambda: timed(command, folder, environment())}
        spent = in_turns(sides, ROUNDS)["ours"]
    start = time.perf_counter()
    wrong = disagreements(QUESTIONS, _SEED)
    asked = time.perf_counter() - start
    return PartResult(
        "exposure",
        "Exposure",
        f"`skyports-tf exposure --json` on the plans of {STACKS:,} stacks, as `terraform show -json` has "
        f"them: {size / STACKS / 1024:.0f} KiB and {len(_PORTS)} ports each, wall time of the whole process.",
        (Comparison(f"{STACKS:,} plans : 2 s", spent, _AT_MOST, 1.0, ROUNDS),),
        (
            "Questions (may this packet in?) about random firewalls of six kinds (rules by priority, in "
            "order, with tags, without denying; ports and listeners of balancers) that a brute force over "
            "the rules answered differently: "
            f"**{len(wrong)}** of {QUESTIONS:,} (seed {_SEED}, {asked:.0f} s).",
        ),
        tuple(f"{len(wrong)} questions were answered differently, the first: {item}" for item in wrong[:1]),
    )


def write_plans(folder: Path, count: int) -> list[str]:
    """The plans of `count` stacks, no two alike; their names."""
    names = []
    for number in range(count):
        names.append(f"stack{number:05d}.json")
        (folder / names[-1]).write_text(json.dumps(_plan(number)), encoding="utf-8")
    return names


def _plan(number: int) -> dict[str, Any]:
    """A plan of one of our stacks that opens its last port; the rest is there."""
    group = _group(number)
    changes = [change(f"{_MODULE}.aws_security_group.this", group, group)]
    changes.append(
        _rule(number, "self[0]", {"ip_protocol": "-1", "referenced_security_group_id": group["id"]})
    )
    for port in _PORTS:
        opened = {"ip_protocol": "tcp", "from_port": port, "to_port": port + number % 7}
        source = "0.0.0.0/0" if port == 8888 else f"10.{number % 256}.0.0/16"
        rule = {**opened, "cidr_ipv4": source}
        changes.append(_rule(number, f'port["tcp-{port}@{source}"]', rule, new=port == _PORTS[-1]))
    ssh = {"ip_protocol": "tcp", "from_port": 22, "to_port": 22, "cidr_ipv4": "81.2.69.0/24"}
    changes.append(_rule(number, 'ssh["81.2.69.0/24"]', ssh))
    planned = [
        {
            **{name: item[name] for name in ("address", "mode", "type", "name")},
            "values": item["change"]["after"],
        }
        for item in changes
    ]
    module = {"child_modules": [{"address": _MODULE, "resources": planned}]}
    return {
        **plan(*changes, configuration=_configuration()),
        "variables": {"closed": {"value": False}},
        "planned_values": {"root_module": module},
        "prior_state": {"format_version": "1.0", "values": {"root_module": module}},
        "applyable": True,
        "complete": True,
        "errored": False,
    }


def _group(number: int) -> dict[str, Any]:
    identifier = f"sg-{number:017x}"
    return {
        "arn": f"arn:aws:ec2:us-east-1:123456789012:security-group/{identifier}",
        "description": "Ports of a SkyPilot cluster, managed by Terraform",
        "egress": [
            {"cidr_blocks": ["0.0.0.0/0"], "from_port": 0, "to_port": 0, "protocol": "-1", "self": False}
        ],
        "id": identifier,
        "ingress": [],
        "name": f"sky-sg-fleet-{number}",
        "tags": {"Name": f"sky-sg-fleet-{number}", "skyports-cluster": f"fleet-{number}"},
        "tags_all": {"Name": f"sky-sg-fleet-{number}", "skyports-cluster": f"fleet-{number}"},
        "vpc_id": "vpc-0123456789abcdef0",
    }


def _rule(number: int, name: str, opened: dict[str, Any], new: bool = False) -> dict[str, Any]:
    identifier = f"sgr-{zlib.crc32(f'{number} {name}'.encode()):017x}"
    values = {
        "arn": f"arn:aws:ec2:us-east-1:123456789012:security-group-rule/{identifier}",
        "cidr_ipv4": None,
        "cidr_ipv6": None,
        "description": f"Port of SkyPilot cluster fleet-{number}",
        "from_port": None,
        "id": identifier,
        "prefix_list_id": None,
        "referenced_security_group_id": None,
        "security_group_id": f"sg-{number:017x}",
        "security_group_rule_id": identifier,
        "tags": {"skyports-cluster": f"fleet-{number}"},
        "tags_all": {"skyports-cluster": f"fleet-{number}"},
        "to_port": None,
        **opened,
    }
    address = f"{_MODULE}.aws_vpc_security_group_ingress_rule.{name}"
    unknown = {"arn": True, "id": True, "security_group_rule_id": True, "tags": {}, "tags_all": {}}
    return change(address, values, None if new else values, unknown if new else None)


def _configuration() -> dict[str, Any]:
    kinds = ("cidr_ipv4", "cidr_ipv6", "from_port", "to_port", "ip_protocol", "prefix_list_id", "tags")
    each = {name: {"references": [f"each.value.{name}", "each.value"]} for name in kinds}
    group = ["aws_security_group.this.id", "aws_security_group.this"]
    rule = {**each, "security_group_id": {"references": group}}
    resources = [
        {
            "address": "aws_security_group.this",
            "mode": "managed",
            "type": "aws_security_group",
            "name": "this",
            "expressions": {"name": {"references": ["var.security_group_name"]}},
        }
    ]
    for name in ("port", "self", "ssh"):
        kind = "aws_vpc_security_group_ingress_rule"
        place = {"address": f"{kind}.{name}", "mode": "managed", "type": kind, "name": name}
        resources.append({**place, "expressions": rule})
    module = {"resources": resources, "variables": {name: {} for name in ("rules", "ssh_rules", "cluster")}}
    arguments = {"rules": {"constant_value": {}}, "cluster": {"constant_value": "fleet"}}
    return {
        "module_calls": {"ports": {"source": "../../modules/aws", "expressions": arguments, "module": module}}
    }
