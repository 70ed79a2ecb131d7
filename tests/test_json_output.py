"""The JSON answers: real ones, from the real Terraform on a local AWS, hold to their published schemas."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from skyports_tf.schema import schema_of
from tests.support.command_line import Answer, call
from tests.support.local_aws import MotoServer, ec2, launch_nodes
from tests.support.pretend_terraform import pretend_terraform
from tests.support.project import Project

SCHEMAS = [
    "compile",
    "plan",
    "apply",
    "launch",
    "run",
    "destroy",
    "drift",
    "reap",
    "down",
    "adopt",
    "release",
    "status",
    "report",
    "names",
    "clouds",
]
RULE = {
    "protocol": "tcp",
    "from_port": 8888,
    "to_port": 8888,
    "sources": ["10.0.0.0/8"],
    "tasks": ["web.yaml"],
}
WIDE = {**RULE, "from_port": 9000, "to_port": 9005}


def valid(schema: str, answer: Answer) -> Any:
    """The document, once its schema has taken it."""
    contents = schema_of(schema)
    jsonschema.validators.validator_for(contents)(contents).validate(answer.json)
    return answer.json


@dataclass
class Life:
    """A cluster from its first plan to its end, as the command line told it."""

    documents: dict[str, Any] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    failed: dict[str, Answer] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_is_a_schema_and_lets_no_unknown_key_through(name: str) -> None:
    contents = schema_of(name)
    validator = jsonschema.validators.validator_for(contents)
    validator.check_schema(dict(contents))
    assert set(contents["required"]) == set(contents["properties"])
    assert contents["additionalProperties"] is False


@pytest.mark.parametrize(("name", "base"), [("run", "apply"), ("launch", "apply"), ("down", "destroy")])
def test_verbs_of_several_steps_answer_with_the_stacks_of_the_verb_that_they_build_on(
    name: str, base: str
) -> None:
    ours, theirs = schema_of(name), schema_of(base)
    assert ours["properties"]["stacks"] == theirs["properties"]["stacks"]
    assert ours["$defs"].items() >= theirs["$defs"].items()


def every_command_of_a_life_succeeds(life: Life) -> None:
    assert life.failed == {}


def a_plan_tells_what_opens(life: Life) -> None:
    (stack,) = life.documents["plan"]["stacks"]
    assert stack["changes"] == {"open": [RULE, WIDE], "change": [], "close": []}
    assert stack["terraform"]["create"] > 2
    assert stack["ports"] == ["8888", "9000-9005"]
    assert life.documents["plan"]["diagnostics"] == []


def an_apply_tells_what_it_opened(life: Life) -> None:
    assert life.documents["apply"]["stacks"][0]["changes"]["open"] == [RULE, WIDE]


def a_status_tells_ports_nodes_and_endpoints(life: Life) -> None:
    (stack,) = life.documents["status"]["stacks"]
    assert (stack["state"], stack["rules"], len(stack["nodes"])) == ("open", [RULE, WIDE], 2)
    address = life.texts["ip"].strip()
    assert address == stack["nodes"][0]["public_ip"]
    ports = [8888, *range(9000, 9006)]
    assert stack["endpoints"] == {str(port): f"{address}:{port}" for port in ports}


def a_second_plan_finds_nothing_to_do(life: Life) -> None:
    assert "Nothing to do" in life.texts["again"]


def a_wider_range_is_a_change_of_one_rule(life: Life) -> None:
    (stack,) = life.documents["wider"]["stacks"]
    (change,) = stack["changes"]["change"]
    assert (change["before"], change["after"]) == (WIDE, {**WIDE, "to_port": 9010})
    assert (stack["changes"]["open"], stack["changes"]["close"]) == ([], [])
    assert stack["terraform"] == {"create": 0, "update": 1, "delete": 0}


def a_destroy_tells_what_it_closed_and_proves_that_nothing_is_left(life: Life) -> None:
    (stack,) = life.documents["destroy"]["stacks"]
    assert [rule["from_port"] for rule in stack["changes"]["close"]] == [8888, 9000]
    assert stack["verified_empty"] is True
    assert (life.documents["closed"]["stacks"][0]["state"], life.left) == ("closed", [])


def a_second_destroy_says_that_nothing_is_left(life: Life) -> None:
    assert "nothing was open; nothing is left" in life.texts["second"]


PROMISES = [
    every_command_of_a_life_succeeds,
    a_plan_tells_what_opens,
    an_apply_tells_what_it_opened,
    a_status_tells_ports_nodes_and_endpoints,
    a_second_plan_finds_nothing_to_do,
    a_wider_range_is_a_change_of_one_rule,
    a_destroy_tells_what_it_closed_and_proves_that_nothing_is_left,
    a_second_destroy_says_that_nothing_is_left,
]


def test_a_clusters_life_as_json_tells_it(aws: MotoServer, tmp_path: Path) -> None:
    # one test, and so one worker: each of these commands takes seconds
    told = live(aws, Project(tmp_path))
    for promise in PROMISES:
        promise(told)


def live(aws: MotoServer, project: Project) -> Life:
    """From the first plan to the second destroy, with two nodes already running."""
    told = Life()
    project.task("[8888, 9000-9005]")
    launch_nodes(aws.url, "web-a1b2c3d4", 2)
    source = ("--source", "10.0.0.0/8")

    def say(name: str, *arguments: str) -> None:
        answer = call(project.folder, *arguments)
        told.texts[name] = answer.out
        if answer.code:
            told.failed[name] = answer
        if "--json" in arguments:
            told.documents[name] = valid(arguments[0], answer)

    say("plan", "plan", "web.yaml", *source, "--json")
    say("apply", "apply", "-y", "web.yaml", *source, "--json")
    say("status", "status", "web", "--json")
    say("ip", "status", "web", "--ip")
    say("again", "plan", "web.yaml", *source, "--detailed-exitcode")
    say("wider", "plan", "web.yaml", *source, "--ports", "8888,9000-9010", "--json")
    say("destroy", "destroy", "-y", "web", "--json")
    say("closed", "status", "--json")
    say("second", "down", "-y", "web", "--no-sky")
    groups = ec2(aws.url).describe_security_groups()["SecurityGroups"]
    told.left = [group["GroupName"] for group in groups if group["GroupName"].startswith("sky")]
    return told


def test_the_answers_that_need_no_cloud_hold_to_their_schemas(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.task("[53, 8888]")
    project.config("rules:\n- cluster: web\n  ports:\n    53: {protocol: udp, sources: ['10.0.0.0/8']}\n")
    (stack,) = valid("compile", call(tmp_path, "compile", "web.yaml", "--json"))["stacks"]
    assert (stack["ports"], stack["changed"]) == (["8888", "udp 53"], True)
    assert stack["files"] == ["backend.tf", "main.tf", "outputs.tf", "stack.json"]
    valid("names", call(tmp_path, "names", "web", "--json"))
    valid("clouds", call(tmp_path, "clouds", "--json"))


@pytest.mark.parametrize(
    ("verb", "arguments"),
    [
        ("compile", ["none.yaml"]),
        ("plan", ["none.yaml"]),
        ("apply", ["none.yaml"]),
        ("apply", ["web.yaml"]),
        ("destroy", ["none"]),
        ("status", ["none"]),
        ("names", ["1"]),
    ],
)
def test_an_answer_with_findings_holds_to_the_same_schema(
    verb: str, arguments: list[str], tmp_path: Path
) -> None:
    project = Project(tmp_path / "project")
    project.task("8888")
    project.config(f"terraform:\n  binary: {pretend_terraform(tmp_path / 'bin')}\n")
    answer = call(project.folder, verb, *arguments, "--json")
    assert answer.code == 1
    assert valid(verb, answer)["diagnostics"]
