"""`exposure --format sarif` and `junit`: what the internet reaches, for code scanning and test reports."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.command_line import call
from tests.support.plans import change, plan
from tests.test_reports import junit, sarif

RULE = "aws_vpc_security_group_ingress_rule"
OPEN = {"ip_protocol": "tcp", "from_port": 22, "to_port": 22, "cidr_ipv4": "0.0.0.0/0"}
TASK = "name: web\nresources: {infra: aws/us-east-1, ports: [22, 8080]}\nrun: serve\n"
#: What checkov and trivy call SSH that is open to everyone.
SSH = ["CKV_AWS_24", "AWS-0107"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A plan that opens SSH to everyone, closes it elsewhere and tells of a private rule, and a task."""
    document = plan(
        change(f"{RULE}.open", OPEN),
        change(f"{RULE}.closing", None, OPEN),
        change(f"{RULE}.private", {**OPEN, "cidr_ipv4": "10.0.0.0/8"}),
        change(f"{RULE}.half", {**OPEN, "cidr_ipv4": "0.0.0.0/1"}),
        change(f"{RULE}.all", {"ip_protocol": "-1", "cidr_ipv6": "::/0"}),
        change(f"{RULE}.ping", {**OPEN, "ip_protocol": "icmp", "from_port": 8, "to_port": 0}),
    )
    (tmp_path / "plan.json").write_text(json.dumps(document), encoding="utf-8")
    (tmp_path / "skyports.yaml").write_text("ssh_sources: []\nuser_hash: a1b2c3d4\n", encoding="utf-8")
    (tmp_path / "web.yaml").write_text(TASK, encoding="utf-8")
    return tmp_path


def test_what_the_internet_will_reach_is_a_result_with_the_ids_of_other_tools(folder: Path) -> None:
    answer = call(folder, "exposure", "plan.json", "--format", "sarif")
    assert answer.code == 0
    run = sarif(answer.out)
    found = {
        item["message"]["text"]: item.get("properties", {}).get("tags", [])
        for item in run["results"]
        if item["ruleId"] == "exposed-to-internet"
    }
    assert found.pop(f"the internet (::/0) reaches everything, through {RULE}.all") >= SSH[:1]
    # half of the internet is no source that other tools look for
    assert found.pop(f"the internet (0.0.0.0/1) reaches tcp 22, through {RULE}.half") == []
    assert found.pop(f"the internet (0.0.0.0/0) reaches tcp 22, through {RULE}.open") == SSH
    assert [text for text in found if "icmp" not in text] == []
    assert {item["level"] for item in run["results"]} == {"warning"}
    (place,) = {json.dumps(item["locations"]) for item in run["results"]}
    assert "plan.json" in place
    assert run["automationDetails"]["id"] == "skyports-tf/exposure/"


def test_a_stack_of_ours_is_told_at_its_own_file(folder: Path) -> None:
    assert call(folder, "compile", "web.yaml").code == 0
    run = sarif(call(folder, "exposure", "--format", "sarif").out)
    places = {
        item["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]: item["properties"]["tags"]
        for item in run["results"]
        if "tcp 22," in item["message"]["text"]
    }
    assert places == {"infra/web/aws-us-east-1/main.tf": SSH}


def test_a_port_that_was_asked_about_fails_in_a_report_of_tests(folder: Path) -> None:
    answer = call(folder, "exposure", "plan.json", "--asks", "tcp/22", "--format", "junit")
    assert answer.code == 1
    failed = [
        case.get("name") for case in junit(answer.out).iter("testcase") if case.find("failure") is not None
    ]
    assert failed == ["internet-reaches"]
    passed = call(folder, "exposure", "plan.json", "--format", "junit")
    assert passed.code == 0 and junit(passed.out).find(".//failure") is None


def test_input_that_cannot_be_read_is_a_result_too(folder: Path) -> None:
    answer = call(folder, "exposure", "no.json", "--format", "sarif")
    assert answer.code == 1
    assert [item["level"] for item in sarif(answer.out)["results"]] == ["error"]
    assert call(folder, "exposure", "--format", "sarif", "--json").code == 2
