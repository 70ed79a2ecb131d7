"""Adopting what SkyPilot has opened, and giving it back, with the real provider and a local AWS."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.command_line import Answer, call, environment, valid
from tests.support.local_aws import MotoServer, ec2, launch_nodes
from tests.support.project import Project
from tests.support.sky_group import (
    ANYWHERE,
    allow,
    launch_with_group,
    make_group,
    open_cells,
    open_to,
    snapshot,
    terminate,
)

USER_HASH = "a1b2c3d4"
NAME_ON_CLOUD = f"web-{USER_HASH}"
PORTS = ("8888", "9000-9005")
SSH = ("tcp", 22, 22, ANYWHERE)
STACK = Path("infra/web/aws-us-east-1")


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with environment(SKYPILOT_USER_ID=USER_HASH):
        yield Project(tmp_path)


def launched(aws: MotoServer, *ports: str) -> str:
    return launch_with_group(aws.url, "web", NAME_ON_CLOUD, ports or PORTS)


def adopted(project: Project, *arguments: str) -> Answer:
    answer = call(project.folder, "adopt", "web", "--yes", *arguments)
    assert answer.code == 0, answer.err
    return answer


def state_of(project: Project) -> list[str]:
    """The types of what the state holds, data sources left out."""
    state = json.loads((project.folder / STACK / "terraform.tfstate").read_text(encoding="utf-8"))
    return sorted(item["name"] for item in state["resources"] if item["mode"] == "managed")


def document(answer: Answer, schema: str) -> Any:
    return valid(schema, answer.json)


def codes(answer: Answer) -> list[str]:
    return [item["code"] for item in answer.json["diagnostics"]]


# -- adopt -------------------------------------------------------------------------------


def test_adopting_imports_all_and_changes_nothing(aws: MotoServer, project: Project) -> None:
    group = launched(aws)
    before = snapshot(aws.url, group)
    planned = call(project.folder, "adopt", "web", "--infra", "aws/us-east-1")
    assert planned.code == 0
    assert "6 to import, 0 to add, 0 to change, 0 to destroy" in planned.out
    assert "nothing was adopted yet" in planned.err
    imports = (project.folder / STACK / "imports.tf").read_text(encoding="utf-8")
    assert imports.count("import {") == 6 and group in imports and set(before["rules"]) <= set(words(imports))
    done = call(project.folder, "adopt", "web", "--yes", "--json")
    (stack,) = document(done, "adopt")["stacks"]
    assert stack["terraform"] == {"import": 6, "create": 0, "update": 0, "delete": 0}
    assert stack["changes"] == {"open": [], "change": [], "close": []} and stack["applied"]
    assert [rule["from_port"] for rule in stack["adopts"]] == [8888, 9000]
    assert snapshot(aws.url, group) == before
    assert not (project.folder / STACK / "imports.tf").exists()
    assert state_of(project) == ["all", "port", "self", "ssh", "this"]
    tree = project.text("web/aws-us-east-1/stack.json")
    assert "imports" not in json.loads(tree)
    (stack,) = call(project.folder, "status", "web", "--json").json["stacks"]
    assert stack["state"] == "open" and stack["ports"] == ["8888", "9000-9005"]
    assert len(stack["nodes"]) == 2 and {"8888", "9005"} <= set(stack["endpoints"])
    again = call(project.folder, "adopt", "web", "--json")  # a quiet success
    assert (again.code, codes(again)) == (0, [])
    assert again.json["stacks"][0]["terraform"] == {"import": 0, "create": 0, "update": 0, "delete": 0}
    assert project.text("web/aws-us-east-1/stack.json") == tree


def words(text: str) -> list[str]:
    return text.replace('"', " ").split()


def test_a_task_narrows_the_sources_and_the_group_stays(aws: MotoServer, project: Project) -> None:
    group = launched(aws)
    adopted(project)
    narrow = [project.task("8888"), "--source", "10.0.0.0/8", "--ssh-source", "10.0.0.0/8"]
    (stack,) = call(project.folder, "plan", *narrow, "--json").json["stacks"]
    assert {rule["from_port"] for rule in stack["changes"]["close"]} == {8888}
    assert call(project.folder, "apply", *narrow, "--yes").code == 0
    assert open_cells(aws.url, group) == {
        ("tcp", 22, 22, "10.0.0.0/8"),
        ("tcp", 8888, 8888, "10.0.0.0/8"),
        ("tcp", 9000, 9005, ANYWHERE),  # no task asks for it: it stays
    }
    forget = call(project.folder, "apply", "--forget", "adopted", "--cluster", "web", "--yes")
    assert forget.code == 0, forget.err
    assert ("tcp", 9000, 9005, ANYWHERE) not in open_cells(aws.url, group)
    after = snapshot(aws.url, group)
    assert (after["name"], after["tags"]) == ("sky-sg-web", [("skypilot", "true")])
    assert after["description"].startswith("Auto-created")


def test_what_is_ours_needs_no_adoption(aws: MotoServer, project: Project) -> None:
    launch_nodes(aws.url, NAME_ON_CLOUD, 1)
    assert call(project.folder, "apply", project.task("8888"), "--yes").code == 0
    tree = project.tree()
    assert "ours already" in adopted(project).out
    assert project.tree() == tree


def test_a_port_that_was_opened_in_our_group_is_adopted(aws: MotoServer, project: Project) -> None:
    assert call(project.folder, "apply", project.task("8888"), "--yes").code == 0
    (group,) = named(aws, "sky-sg-web")
    open_to(aws.url, group, ["7777"], "10.1.0.0/16")
    assert "1 to import, 0 to add, 0 to change, 0 to destroy" in adopted(project).out
    assert open_cells(aws.url, group) == {
        SSH,
        ("tcp", 8888, 8888, ANYWHERE),
        ("tcp", 7777, 7777, "10.1.0.0/16"),
    }
    assert project.keys() == ["tcp-7777@10.1.0.0/16", "tcp-8888@0.0.0.0/0"]


def test_where_nothing_is_there_nothing_is_written(aws: MotoServer, project: Project) -> None:
    answer = call(project.folder, "adopt", "web", "--infra", "aws/us-east-1", "--yes", "--json")
    assert (answer.code, codes(answer)) == (1, ["nothing-to-adopt"])
    assert not (project.folder / "infra").exists()
    make_group(aws.url, "web")  # a group in which SkyPilot has opened no port yet
    answer = call(project.folder, "adopt", "web", "--infra", "aws/us-east-1", "--yes", "--json")
    assert codes(answer) == ["nothing-to-adopt"]


def test_what_no_rule_of_ours_says_is_told_and_left_alone(aws: MotoServer, project: Project) -> None:
    group = launched(aws)
    client = ec2(aws.url)
    allow(client, group, IpProtocol="-1", FromPort=-1, ToPort=-1, IpRanges=[{"CidrIp": "10.9.0.0/16"}])
    allow(client, group, IpProtocol="icmp", FromPort=-1, ToPort=-1, IpRanges=[{"CidrIp": ANYWHERE}])
    allow(client, group, IpProtocol="tcp", FromPort=0, ToPort=65535, IpRanges=[{"CidrIp": "10.8.0.0/16"}])
    allow(client, group, IpProtocol="tcp", FromPort=9000, ToPort=9001, IpRanges=[{"CidrIp": ANYWHERE}])
    before = snapshot(aws.url, group)
    answer = adopted(project, "--json")
    assert codes(answer).count("rule-foreign") == 4
    assert answer.json["stacks"][0]["terraform"]["import"] == 6
    apply = call(project.folder, "apply", project.task("8888"), "--yes")
    assert apply.code == 0 and snapshot(aws.url, group) == before


def test_descriptions_tags_and_ranges_of_rules_stay(aws: MotoServer, project: Project) -> None:
    group = launched(aws, "8888", "9000-9005", "9006")  # SkyPilot opened the last one later
    open_to(aws.url, group, ["7000"], "2001:db8::/32")
    source = {"CidrIp": "10.1.0.0/16", "Description": "for the office"}
    allow(ec2(aws.url), group, IpProtocol="udp", FromPort=53, ToPort=53, IpRanges=[source])
    rules = snapshot(aws.url, group)["rules"]
    ec2(aws.url).create_tags(Resources=sorted(rules)[:3], Tags=[{"Key": "owner", "Value": "${me}"}])
    before = snapshot(aws.url, group)
    assert "9 to import, 0 to add, 0 to change, 0 to destroy" in adopted(project).out
    assert snapshot(aws.url, group) == before
    planned = call(project.folder, "plan", project.task("[8888, 9000-9006]"), "--json")
    assert planned.json["stacks"][0]["tasks"] == ["adopted", "web.yaml"]
    assert planned.json["stacks"][0]["terraform"] == {"create": 0, "update": 0, "delete": 0}


def test_tasks_that_were_never_applied_are_set_aside(aws: MotoServer, project: Project) -> None:
    launched(aws)
    assert call(project.folder, "plan", project.task("[8888, 7777]")).code == 0
    answer = adopted(project, "--json")
    assert codes(answer) == ["tasks-set-aside"]
    assert answer.json["stacks"][0]["terraform"] == {"import": 6, "create": 0, "update": 0, "delete": 0}
    planned = call(project.folder, "plan", "web.yaml", "--json")
    assert [rule["from_port"] for rule in planned.json["stacks"][0]["changes"]["open"]] == [7777]


def test_a_pending_adoption_is_kept_by_other_verbs(aws: MotoServer, project: Project) -> None:
    group = launched(aws)
    assert call(project.folder, "adopt", "web").code == 0
    refused = call(project.folder, "compile", "--forget", "adopted", "--json")
    assert (refused.code, codes(refused)) == (1, ["adoption-pending"])
    applied = call(project.folder, "apply", project.task("7777"), "--yes", "--json")
    assert applied.code == 0 and "adoption-pending" in codes(applied)
    terraform = document(applied, "apply")["stacks"][0]["terraform"]
    assert terraform == {"create": 1, "update": 0, "delete": 0, "import": 6}
    assert not (project.folder / STACK / "imports.tf").exists()
    assert len(open_cells(aws.url, group)) == 4
    planned = call(project.folder, "plan", "web.yaml", "--json")
    assert planned.json["stacks"][0]["terraform"] == {"create": 0, "update": 0, "delete": 0}


def test_a_no_at_the_terminal_adopts_nothing(aws: MotoServer, project: Project) -> None:
    group = launched(aws)
    before = snapshot(aws.url, group)
    answer = call(project.folder, "adopt", "web", answer="n\n", terminal=True)
    assert answer.code == 1 and "Nothing was adopted" in answer.err
    assert (project.folder / STACK / "terraform.tfstate").stat().st_size == 0
    assert call(project.folder, "release", "web", "--yes").code == 0
    assert project.stack().entries == () and not (project.folder / STACK / "imports.tf").exists()
    assert snapshot(aws.url, group) == before


def test_an_imports_file_of_the_users_is_not_touched(aws: MotoServer, project: Project) -> None:
    launched(aws)
    project.compile(project.task("8888"))
    (project.folder / STACK / "imports.tf").write_text("# mine\n", encoding="utf-8")
    project.compile("web.yaml")
    answer = call(project.folder, "adopt", "web", "--yes", "--json")
    assert (answer.code, codes(answer)) == (1, ["file-foreign"])
    assert (project.folder / STACK / "imports.tf").read_text(encoding="utf-8") == "# mine\n"


def test_a_group_of_our_own_that_is_attached_is_not_skypilots(aws: MotoServer, project: Project) -> None:
    launched(aws)
    project.config("aws: {mode: attach}")
    answer = call(project.folder, "adopt", "web", "--json")
    assert (answer.code, codes(answer)) == (1, ["nothing-to-adopt", "region-default"])


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["web", "--infra", "mars"], "bad-infra"),
        (["web", "--infra", "lambda"], "cloud-unsupported"),
        (["web", "--infra", "aws/nowhere"], "region-invalid"),
        (["web", "--user-hash", "-"], "bad-user-hash"),
        (["we b"], "cluster-unknown"),
        (["modules"], "cluster-name"),
    ],
)
def test_a_place_that_cannot_be_is_refused(project: Project, arguments: list[str], code: str) -> None:
    answer = call(project.folder, "adopt", *arguments, "--json")
    assert (answer.code, codes(answer)) == (1, [code])


# -- the end of an adopted cluster ----------------------------------------------------------


def test_an_adopted_cluster_is_destroyed_and_made_anew_as_ours(aws: MotoServer, project: Project) -> None:
    launched(aws)
    adopted(project)
    stop_nodes(aws)
    assert call(project.folder, "destroy", "web", "--yes").code == 0
    assert named(aws, "sky-sg-web") == []
    assert project.stack().entries == () and project.stack().adopted == {}
    assert call(project.folder, "apply", project.task("8888"), "--yes").code == 0
    (group,) = named(aws, "sky-sg-web")
    assert ("skyports-cluster", "web") in snapshot(aws.url, group)["tags"]
    assert open_cells(aws.url, group) == {SSH, ("tcp", 8888, 8888, ANYWHERE)}


def test_skypilots_shutdown_of_an_adopted_cluster_leaves_a_quiet_destroy(
    aws: MotoServer, project: Project
) -> None:
    group = launched(aws)
    adopted(project)
    terminate(aws.url, group)
    assert call(project.folder, "destroy", "web", "--yes").code == 0
    assert call(project.folder, "destroy", "web", "--yes").code == 0
    assert state_of(project) == []


# -- release -----------------------------------------------------------------------------


def test_release_gives_back_what_was_adopted(aws: MotoServer, project: Project) -> None:
    group = launched(aws)
    before = snapshot(aws.url, group)
    adopted(project)
    unasked = call(project.folder, "release", "web", "--json")
    assert (unasked.code, codes(unasked)) == (1, ["not-confirmed"])
    # nothing of it stays: the files are as the ledger has them
    assert not (project.folder / STACK / "release.tf").exists()
    assert 'module "ports"' in project.text("web/aws-us-east-1/main.tf")
    shown = call(project.folder, "release", "web", answer="n\n", terminal=True)
    assert shown.code == 1 and "6 to forget, 0 to add, 0 to change, 0 to destroy" in shown.out
    released = call(project.folder, "release", "web", "--yes", "--json")
    (stack,) = document(released, "release")["stacks"]
    assert stack["terraform"] == {"create": 0, "update": 0, "delete": 0, "forget": 6} and stack["released"]
    assert snapshot(aws.url, group) == before and state_of(project) == []
    assert project.stack().entries == () and "removed {" not in "".join(project.tree().values())
    again = call(project.folder, "release", "web", "--yes", "--json")
    assert (again.code, codes(again)) == (0, [])
    terminate(aws.url, group)  # SkyPilot's own shutdown
    assert named(aws, "sky-sg-web") == []


def test_what_was_ours_is_released_as_it_is_and_adopted_again(aws: MotoServer, project: Project) -> None:
    assert call(project.folder, "apply", project.task("8888"), "--yes").code == 0
    (group,) = named(aws, "sky-sg-web")
    before = snapshot(aws.url, group)
    assert call(project.folder, "release", "web", "--yes").code == 0
    assert snapshot(aws.url, group) == before and state_of(project) == []
    assert "6 to import, 0 to add, 0 to change, 0 to destroy" in adopted(project).out
    assert snapshot(aws.url, group) == before
    planned = call(project.folder, "plan", "web.yaml", "--json")
    assert planned.json["stacks"][0]["terraform"] == {"create": 0, "update": 0, "delete": 0}


def test_release_of_an_unknown_cluster_is_a_finding(project: Project) -> None:
    answer = call(project.folder, "release", "web", "--yes", "--json")
    assert (answer.code, codes(answer)) == (1, ["cluster-unknown"])


def named(aws: MotoServer, name: str) -> list[str]:
    found = ec2(aws.url).describe_security_groups()["SecurityGroups"]
    return [group["GroupId"] for group in found if group["GroupName"] == name]


def stop_nodes(aws: MotoServer) -> None:
    client = ec2(aws.url)
    reservations = client.describe_instances()["Reservations"]
    client.terminate_instances(
        InstanceIds=[instance["InstanceId"] for item in reservations for instance in item["Instances"]]
    )
