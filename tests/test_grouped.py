"""`layout: grouped`: many clusters of one place in one root module, each of them handled alone."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest

from skyports_tf.ledger import read_stack
from skyports_tf.lifecycle import RunSettings, close_ports, read_status
from tests.conftest import Calls
from tests.support.command_line import Answer, call
from tests.support.local_aws import MotoServer, ec2, launch_nodes
from tests.support.project import Project
from tests.support.stacks import write_program

PLACE = "aws-us-east-1"
RED = "module.red-one-x91bc1761"
CONFIG = "user_hash: a1b2c3d4\nlayout: grouped\nsources: [10.0.0.0/8]\nssh_sources: [10.0.0.0/8]\n"


@pytest.fixture
def fleet(aws: MotoServer, tmp_path: Path) -> Project:
    """Three clusters of one place in one root module, applied; each has two ports."""
    project = Project(tmp_path)
    project.config(CONFIG)
    for name in ("blue", "green", "red.one"):
        project.task("[7000, 8888]", name=name, file=f"tasks/{name}.yaml")
    answer = call(tmp_path, "apply", "-y", "tasks")
    assert answer.code == 0, answer.err
    return project


def groups(aws: MotoServer) -> dict[str, set[int]]:
    """The groups of clusters in the cloud, each with the ports of its rules, SSH left out."""
    client = ec2(aws.url)
    found = client.describe_security_groups(Filters=[{"Name": "group-name", "Values": ["sky-sg-*"]}])
    return {
        group["GroupName"].removeprefix("sky-sg-"): {
            rule["FromPort"] for rule in group["IpPermissions"] if rule.get("FromPort", 22) != 22
        }
        for group in found["SecurityGroups"]
    }


def group_of(aws: MotoServer, cluster: str) -> Any:
    """The group of one cluster, as EC2 has it."""
    filters = [{"Name": "group-name", "Values": [f"sky-sg-{cluster}"]}]
    (group,) = ec2(aws.url).describe_security_groups(Filters=filters)["SecurityGroups"]
    return group


def root(project: Project) -> Path:
    return project.folder / "infra" / "groups" / PLACE


def state(project: Project) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((root(project) / "terraform.tfstate").read_text(encoding="utf-8"))
    return found


def held(project: Project) -> dict[str, int]:
    """How many objects each module holds in the shared state."""
    counts: dict[str, int] = {}
    for item in state(project)["resources"]:
        if item["mode"] == "managed":
            counts[item["module"]] = counts.get(item["module"], 0) + len(item["instances"])
    return counts


def test_one_run_of_terraform_opens_the_ports_of_all_and_one_state_tells_them_apart(
    fleet: Project, aws: MotoServer
) -> None:
    assert groups(aws) == {"blue": {7000, 8888}, "green": {7000, 8888}, "red.one": {7000, 8888}}
    assert sorted(held(fleet)) == ["module.blue", "module.green", RED]
    stacks = call(fleet.folder, "status", "--json").json["stacks"]
    assert [(item["cluster"], item["state"], item["ports"]) for item in stacks] == [
        (name, "open", ["7000", "8888"]) for name in ("blue", "green", "red.one")
    ]
    again = call(fleet.folder, "plan", "--detailed-exitcode", "tasks")
    assert (again.code, again.out.count("no changes")) == (0, 3), again.out


def test_an_edit_of_one_cluster_touches_no_other(fleet: Project, aws: MotoServer) -> None:
    before = modules(fleet)
    fleet.task("[8888, 9000-9005]", name="green", file="tasks/green.yaml")
    planned = call(fleet.folder, "plan", "tasks/green.yaml", "--json").json["stacks"]
    assert [item["terraform"] for item in planned] == [{"create": 1, "update": 0, "delete": 1}]
    assert call(fleet.folder, "apply", "-y", "tasks/green.yaml").code == 0
    assert groups(aws) == {"blue": {7000, 8888}, "green": {8888, 9000}, "red.one": {7000, 8888}}
    assert untouched(before, modules(fleet)) == {"module.blue", RED}


def test_destroying_one_cluster_touches_no_other(fleet: Project, aws: MotoServer) -> None:
    before = modules(fleet)
    answer = call(fleet.folder, "destroy", "-y", "green", "--json")
    assert answer.code == 0, answer.err
    (closed,) = answer.json["stacks"]
    assert (closed["cluster"], closed["verified_empty"]) == ("green", True)
    assert groups(aws) == {"blue": {7000, 8888}, "red.one": {7000, 8888}}
    assert untouched(before, modules(fleet)) == {"module.blue", RED}
    assert sorted(state(fleet)["outputs"]) == ["blue", RED.removeprefix("module.")]
    planned = call(fleet.folder, "plan", "tasks", "--json").json["stacks"]
    assert [item["terraform"]["create"] for item in planned] == [0, 7, 0]


def test_a_cluster_that_asks_for_no_port_leaves_the_root_module(fleet: Project, aws: MotoServer) -> None:
    fleet.task("[]", name="green", file="tasks/green.yaml")
    answer = call(fleet.folder, "apply", "-y", "tasks")
    assert answer.code == 0, answer.err
    assert groups(aws) == {"blue": {7000, 8888}, "red.one": {7000, 8888}}
    assert sorted(state(fleet)["outputs"]) == ["blue", RED.removeprefix("module.")]
    assert not (root(fleet) / "green.cluster.tf").exists()
    assert call(fleet.folder, "plan", "--detailed-exitcode", "tasks").code == 0


def test_a_saved_plan_of_several_is_applied_as_a_whole(fleet: Project, aws: MotoServer) -> None:
    for name in ("blue", "green"):
        fleet.task("[8888]", name=name, file=f"tasks/{name}.yaml")
    assert call(fleet.folder, "plan", "tasks").code == 0
    part = call(fleet.folder, "apply", "-y", "--saved", "blue")
    assert part.code == 1
    assert (
        "error[plan-shared]: blue-aws-us-east-1: its plan was saved together with that of green" in part.err
    )
    whole = call(fleet.folder, "apply", "-y", "--saved", f"infra/groups/{PLACE}", "--json")
    assert whole.code == 0, whole.err
    assert [item["cluster"] for item in whole.json["stacks"]] == ["blue", "green"]
    assert groups(aws) == {"blue": {8888}, "green": {8888}, "red.one": {7000, 8888}}


def test_a_plan_that_does_more_than_was_reviewed_is_refused(fleet: Project, tmp_path: Path) -> None:
    fleet.task("[8888]", name="blue", file="tasks/blue.yaml")
    assert call(fleet.folder, "plan", "tasks").code == 0
    reviewed = tmp_path / "reviewed"
    shutil.copytree(fleet.folder / "infra", reviewed)
    assert call(fleet.folder, "plan", "tasks", "--reviewed", str(reviewed)).code == 0
    fleet.task("[8888]", name="green", file="tasks/green.yaml")
    refused = call(fleet.folder, "plan", "tasks", "--reviewed", str(reviewed))
    assert refused.code == 1
    assert "error[plan-unreviewed]: green-aws-us-east-1: nobody reviewed this plan" in refused.err
    assert "blue" not in refused.err


def test_drift_of_one_cluster_is_told_of_that_cluster(fleet: Project, aws: MotoServer) -> None:
    group = group_of(aws, "green")
    (rule,) = [item for item in group["IpPermissions"] if item.get("FromPort") == 7000]
    ec2(aws.url).revoke_security_group_ingress(GroupId=group["GroupId"], IpPermissions=[rule])
    stacks = call(fleet.folder, "drift", "--json").json["stacks"]
    assert [(item["cluster"], item["state"]) for item in stacks] == [
        ("blue", "in_sync"),
        ("green", "drifted"),
        ("red.one", "in_sync"),
    ]
    assert [rule["from_port"] for rule in stacks[1]["changes"]["close"]] == [7000]


def open_in(aws: MotoServer, cluster: str, port: int) -> None:
    """Somebody helps himself to a port of the cluster."""
    ec2(aws.url).authorize_security_group_ingress(
        GroupId=group_of(aws, cluster)["GroupId"],
        IpProtocol="tcp",
        FromPort=port,
        ToPort=port,
        CidrIp="0.0.0.0/0",
    )


def drifts(answer: Answer) -> dict[str, tuple[str, list[int] | None]]:
    """The state of each cluster, and the foreign ports in its group."""
    return {
        item["cluster"]: (
            item["state"],
            item["foreign"] and [found["from_port"] for found in item["foreign"]],
        )
        for item in answer.json["stacks"]
    }


def test_drift_of_many_clusters_is_one_plan_and_one_look(
    fleet: Project, aws: MotoServer, calls: Calls
) -> None:
    fleet.config(f"{CONFIG}terraform: {{binary: {calls.program}}}\n")
    assert call(fleet.folder, "drift").code == 0
    open_in(aws, "blue", 22022)
    open_in(aws, "red.one", 33033)
    calls.since_last()
    found = drifts(call(fleet.folder, "drift", "--json"))
    assert found == {"blue": ("drifted", [22022]), "green": ("in_sync", []), "red.one": ("drifted", [33033])}
    # a rule that is none of the state's when it was planned may have come into it since
    names = [command.split()[0] for command in calls.since_last()]
    assert names == ["plan", "show", "get", "apply", "show"]


def test_where_one_cluster_cannot_be_looked_at_the_others_are_told_of(
    fleet: Project, aws: MotoServer, terraform_argv: tuple[str, ...]
) -> None:
    program = write_program(
        fleet.folder / "blind",
        f"""\
        if [ "$1" = apply ] && grep -rqs sky-sg-green --include=main.tf .; then
          echo "nobody may look at green" >&2; exit 1
        fi
        exec {shlex.join(terraform_argv)} "$@"
        """,
    )
    fleet.config(f"{CONFIG}terraform: {{binary: {program}}}\n")
    open_in(aws, "blue", 22022)
    answer = call(fleet.folder, "drift", "--json")
    assert drifts(answer) == {
        "blue": ("drifted", [22022]),
        "green": ("unknown", None),
        "red.one": ("in_sync", []),
    }
    assert answer.code == 3
    assert [(item["code"], "green" in item["message"]) for item in answer.json["diagnostics"]] == [
        ("drifted", False),
        ("terraform-failed", True),
    ]
    answer = call(fleet.folder, "reap", "--no-sky", "--json")
    states = {item["cluster"]: item["state"] for item in answer.json["clusters"]}
    assert (answer.code, states) == (3, {"blue": "empty", "green": "unknown", "red.one": "empty"})


def test_reap_looks_at_all_clusters_at_once_and_again_at_what_it_closes(
    fleet: Project, aws: MotoServer, calls: Calls
) -> None:
    fleet.config(f"{CONFIG}terraform: {{binary: {calls.program}}}\n")
    clusters = ("blue", "green", "red.one")
    nodes = {
        name: launch_nodes(aws.url, fleet.stack(f"{name}/{PLACE}").name_on_cloud or "", 1)
        for name in clusters
    }
    reap = ("reap", "--grace", "0", "--no-sky", "--json")
    assert reaped(call(fleet.folder, *reap)) == dict.fromkeys(clusters, ("alive", False))
    calls.since_last()
    assert call(fleet.folder, *reap).code == 0
    assert [command.split()[0] for command in calls.since_last()] == ["state", "get", "apply"]
    ec2(aws.url).terminate_instances(InstanceIds=nodes["green"])
    assert reaped(call(fleet.folder, *reap, "--check")) == {
        "blue": ("alive", False),
        "green": ("gone", False),
        "red.one": ("alive", False),
    }
    assert [command.split()[0] for command in calls.since_last()] == ["state", "get", "apply"]
    assert reaped(call(fleet.folder, *reap))["green"] == ("gone", True)
    assert groups(aws) == {"blue": {7000, 8888}, "red.one": {7000, 8888}}
    assert sorted(held(fleet)) == ["module.blue", RED]


def reaped(answer: Answer) -> dict[str, tuple[str, bool]]:
    """Whether each cluster lives, and whether it was closed."""
    done = {item["cluster"]: item["verified_empty"] for item in answer.json["stacks"]}
    return {item["cluster"]: (item["state"], done[item["cluster"]]) for item in answer.json["clusters"]}


def test_ports_of_one_cluster_close_and_its_group_stays(fleet: Project, aws: MotoServer) -> None:
    before = modules(fleet)
    stack = read_stack(str(fleet.folder / "infra"), f"green/{PLACE}")
    plan = close_ports(str(fleet.folder / "infra"), stack, RunSettings())
    assert [rule.from_port for rule in plan.changes.close] == [7000, 8888]
    assert groups(aws) == {"blue": {7000, 8888}, "green": set(), "red.one": {7000, 8888}}
    assert untouched(before, modules(fleet)) == {"module.blue", RED}
    assert read_status(str(fleet.folder / "infra"), stack, RunSettings()).rules == ()


def test_what_an_interrupted_apply_left_is_taken_into_the_shared_state(
    fleet: Project, aws: MotoServer
) -> None:
    whole = state(fleet)
    lost = {**whole, "serial": whole["serial"] + 1}
    lost["resources"] = [item for item in whole["resources"] if item["module"] != "module.green"]
    (root(fleet) / "terraform.tfstate").write_text(json.dumps(lost), encoding="utf-8")
    (root(fleet) / ".terraform" / "skyports.unfinished.green").touch()
    answer = call(fleet.folder, "plan", "tasks", "--json")
    assert answer.code == 0, answer.err
    assert [item["terraform"]["create"] for item in answer.json["stacks"]] == [0, 0, 0]
    assert held(fleet) == {"module.blue": 7, "module.green": 7, RED: 7}
    assert call(fleet.folder, "destroy", "-y", "green", "blue", "red.one", "--parallel", "3").code == 0
    assert (groups(aws), held(fleet), state(fleet)["outputs"]) == ({}, {}, {})


def test_a_cluster_is_released_and_adopted_again(fleet: Project, aws: MotoServer) -> None:
    before = modules(fleet)
    released = call(fleet.folder, "release", "-y", "green")
    assert released.code == 0, released.err
    assert sorted(held(fleet)) == ["module.blue", RED]
    assert groups(aws)["green"] == {7000, 8888}
    assert untouched(before, modules(fleet)) == {"module.blue", RED}
    adopted = call(fleet.folder, "adopt", "-y", "green", "--infra", "aws/us-east-1")
    assert adopted.code == 0, adopted.err + adopted.out
    assert held(fleet)["module.green"] == 7
    assert not list(root(fleet).glob("*.imports.tf"))


def test_an_adoption_that_finds_nothing_leaves_the_tree_as_it_was(aws: MotoServer, tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.config(CONFIG)
    adopt = ("adopt", "-y", "green", "--infra", "aws/us-east-1")
    assert call(tmp_path, *adopt).code == 1
    assert not (tmp_path / "infra").exists()
    project.task("7000", name="blue", file="blue.yaml")
    assert call(tmp_path, "apply", "-y", "blue.yaml").code == 0
    before = project.tree()
    assert call(tmp_path, *adopt).code == 1
    assert project.tree() == before
    assert (groups(aws), held(project)) == ({"blue": {7000}}, {"module.blue": 6})
    # a root module whose clusters have no ledger any more is there for their state
    shutil.rmtree(tmp_path / "infra/blue")
    (root(project) / "blue.cluster.tf").unlink()
    assert call(tmp_path, *adopt).code == 1
    assert {"main.tf", "backend.tf", "terraform.tfstate"} <= {path.name for path in root(project).iterdir()}


def modules(project: Project) -> dict[str, Any]:
    """What the shared state holds, by module."""
    found: dict[str, Any] = {}
    for item in state(project)["resources"]:
        found.setdefault(item["module"], []).append(item)
    return found


def untouched(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    return {name for name in before if before[name] == after.get(name)}


def test_a_cluster_whose_files_are_gone_is_never_closed_by_a_plan_of_the_others(
    fleet: Project, aws: MotoServer
) -> None:
    shutil.rmtree(fleet.folder / "infra" / "green")
    (root(fleet) / "green.cluster.tf").unlink()
    (fleet.folder / "tasks" / "green.yaml").unlink()
    fleet.task("[8888]", name="blue", file="tasks/blue.yaml")
    answer = call(fleet.folder, "apply", "-y", "tasks", "--json")
    assert answer.code == 0, answer.err
    assert groups(aws) == {"blue": {8888}, "green": {7000, 8888}, "red.one": {7000, 8888}}
