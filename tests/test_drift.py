"""What `drift` finds: what was closed, changed or opened behind our back, with the real Terraform."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from skyports_tf.outcomes import PortChanges
from skyports_tf.running.differences import differences_of
from skyports_tf.schema import schema_of
from tests.support.command_line import Answer, call
from tests.support.life import MATRIX, life_on, lose_port
from tests.support.local_aws import MotoServer, ec2, launch_nodes
from tests.support.project import Project
from tests.support.schema_cloud import SchemaCloud
from tests.support.stacks import ANYWHERE, NAME_ON_CLOUD, aws_stack

GROUP = "sky-sg-web"
STACK = "web-aws-us-east-1"
CONFIG = """\
user_hash: a1b2c3d4
rules:
  - cluster: web
    ports:
      "9000-9005": {sources: [10.0.0.0/8, 192.168.0.0/16]}
"""


@pytest.fixture
def project(aws: MotoServer, tmp_path: Path) -> Project:
    """A cluster with 7000, 8888 and 9000-9005 open."""
    project = Project(tmp_path)
    project.config(CONFIG)
    project.task("[7000, 8888, 9000-9005]")
    assert call(tmp_path, "apply", "-y", "web.yaml").code == 0
    return project


def drift(project: Project, *arguments: str) -> tuple[Answer, Any]:
    """The call with `--json`, and its stacks: the document holds to the schema."""
    answer = call(project.folder, "drift", "--json", *arguments)
    jsonschema.validate(answer.json, schema_of("drift"))
    return answer, answer.json["stacks"]


def group_of(aws: MotoServer, name: str = GROUP) -> str:
    found = ec2(aws.url).describe_security_groups(Filters=[{"Name": "group-name", "Values": [name]}])
    return str(found["SecurityGroups"][0]["GroupId"])


def live(aws: MotoServer) -> dict[tuple[int, str | None], str]:
    """The ids of the group's rules by first port and source."""
    filters = [{"Name": "group-id", "Values": [group_of(aws)]}]
    rules = ec2(aws.url).describe_security_group_rules(Filters=filters)["SecurityGroupRules"]
    return {
        (rule["FromPort"], rule.get("CidrIpv4")): rule["SecurityGroupRuleId"]
        for rule in rules
        if not rule["IsEgress"]
    }


def revoke(aws: MotoServer, port: int, source: str | None = ANYWHERE) -> None:
    ec2(aws.url).revoke_security_group_ingress(
        GroupId=group_of(aws), SecurityGroupRuleIds=[live(aws)[port, source]]
    )


def authorize(aws: MotoServer, first: int, last: int, source: str = ANYWHERE) -> str:
    """Open ports by hand; gives the id of the rule."""
    made = ec2(aws.url).authorize_security_group_ingress(
        GroupId=group_of(aws),
        IpPermissions=[
            {"IpProtocol": "tcp", "FromPort": first, "ToPort": last, "IpRanges": [{"CidrIp": source}]}
        ],
    )
    return str(made["SecurityGroupRules"][0]["SecurityGroupRuleId"])


def rule(first: int, last: int, *sources: str, asked: bool = True) -> dict[str, Any]:
    return {
        "protocol": "tcp",
        "from_port": first,
        "to_port": last,
        "sources": list(sources),
        "tasks": ["web.yaml"] if asked else [],
    }


def state_of(project: Project) -> bytes:
    return (project.folder / "infra/web/aws-us-east-1/terraform.tfstate").read_bytes()


def test_nothing_has_drifted_whatever_nodes_and_files_do(aws: MotoServer, project: Project) -> None:
    launch_nodes(aws.url, NAME_ON_CLOUD, 2)
    # the files are ahead of the state: a plan's business
    project.compile(project.task("[7000, 8889]"))
    before = state_of(project)
    answer, (stack,) = drift(project)
    assert (answer.code, answer.err, answer.json["diagnostics"]) == (0, "", [])
    assert stack["state"] == "in_sync" and stack["foreign"] == [] and stack["objects"] == []
    assert stack["changes"] == {"open": [], "change": [], "close": []}
    assert stack["terraform"] == {"create": 0, "update": 0, "delete": 0}
    assert state_of(project) == before
    assert list((project.folder / "infra/web/aws-us-east-1").glob("*.tfplan*")) == []


def test_what_was_closed_changed_and_opened_by_hand_is_told_in_ports(
    aws: MotoServer, project: Project
) -> None:
    revoke(aws, 8888)
    revoke(aws, 22)
    revoke(aws, 9000, "192.168.0.0/16")
    changed = {"IpProtocol": "tcp", "FromPort": 7000, "ToPort": 7010, "CidrIpv4": "192.0.2.0/24"}
    ec2(aws.url).modify_security_group_rules(
        GroupId=group_of(aws),
        SecurityGroupRules=[{"SecurityGroupRuleId": live(aws)[7000, ANYWHERE], "SecurityGroupRule": changed}],
    )
    foreign = {authorize(aws, 6000, 6001), authorize(aws, 5432, 5432, "203.0.113.0/24")}
    before = state_of(project)
    answer, (stack,) = drift(project)
    assert answer.code == 1 and stack["state"] == "drifted"
    assert stack["changes"] == {
        "open": [],
        "change": [
            {"before": rule(7000, 7000, ANYWHERE), "after": rule(7000, 7010, "192.0.2.0/24", asked=False)}
        ],
        "close": [
            rule(22, 22, ANYWHERE, asked=False),
            rule(8888, 8888, ANYWHERE),
            rule(9000, 9005, "192.168.0.0/16"),
        ],
    }
    assert stack["terraform"] == {"create": 0, "update": 1, "delete": 3}
    assert {item["id"] for item in stack["foreign"]} == foreign
    assert [(item["from_port"], item["to_port"], item["sources"]) for item in stack["foreign"]] == [
        (5432, 5432, ["203.0.113.0/24"]),
        (6000, 6001, [ANYWHERE]),
    ]
    assert stack["objects"] == []
    (finding,) = answer.json["diagnostics"]
    assert (finding["code"], finding["severity"]) == ("drifted", "error")
    assert "1 port changed, 3 ports closed, 2 foreign rules" in finding["message"]
    assert state_of(project) == before

    told = call(project.folder, "drift", "web", "--detailed-exitcode")
    assert told.code == 2
    assert "- closed   tcp 8888" in told.out and "~ changed  tcp 7000-7010" in told.out
    assert "was tcp 7000, was from 0.0.0.0/0" in told.out
    assert "! foreign  tcp 6000-6001" in told.out and "to the internet" in told.out
    assert all(name in told.out for name in foreign)

    # an apply makes it right again; what nobody reviewed stays foreign
    assert call(project.folder, "apply", "-y", "web.yaml").code == 0
    answer, (stack,) = drift(project)
    assert answer.code == 1 and stack["changes"] == {"open": [], "change": [], "close": []}
    assert {item["id"] for item in stack["foreign"]} == foreign


def test_a_group_that_is_gone_and_made_anew_by_somebody_else(aws: MotoServer, project: Project) -> None:
    client = ec2(aws.url)
    vpc = client.describe_vpcs()["Vpcs"][0]["VpcId"]
    client.delete_security_group(GroupId=group_of(aws))
    answer, (stack,) = drift(project)
    assert answer.code == 1 and "module.ports.aws_security_group.this" in {
        item["address"] for item in stack["objects"] if item["action"] == "delete"
    }
    assert {item["from_port"] for item in stack["changes"]["close"]} >= {7000, 8888, 9000}
    assert stack["foreign"] == []

    client.create_security_group(GroupName=GROUP, Description="theirs", VpcId=vpc)
    opened = authorize(aws, 8888, 8888)
    _, (stack,) = drift(project)
    assert [item["id"] for item in stack["foreign"]] == [opened]


def test_a_tag_and_traffic_among_the_nodes_count_and_what_the_provider_computes_does_not(
    aws: MotoServer, project: Project
) -> None:
    ec2(aws.url).create_tags(Resources=[group_of(aws)], Tags=[{"Key": "cost-centre", "Value": "42"}])
    everything = {"IpProtocol": "-1", "FromPort": -1, "ToPort": -1, "CidrIpv4": ANYWHERE}
    ec2(aws.url).modify_security_group_rules(
        GroupId=group_of(aws),
        SecurityGroupRules=[{"SecurityGroupRuleId": live(aws)[-1, None], "SecurityGroupRule": everything}],
    )
    answer, (stack,) = drift(project)
    assert stack["objects"] == [
        {"address": "module.ports.aws_security_group.this", "action": "update", "attributes": ["tags"]}
    ]
    (change,) = stack["changes"]["change"]
    assert (change["after"]["protocol"], change["after"]["sources"]) == ("all", [ANYWHERE])
    told = call(project.folder, "drift")
    assert "~ differs  module.ports.aws_security_group.this  tags" in told.out
    assert answer.code == told.code == 1


def test_an_attachment_that_is_taken_off_a_node_is_drift_and_a_node_that_is_gone_is_none(
    aws: MotoServer, tmp_path: Path
) -> None:
    project = Project(tmp_path)
    project.config(CONFIG)
    project.task("8888")
    nodes = launch_nodes(aws.url, NAME_ON_CLOUD, 2)
    assert call(tmp_path, "apply", "-y", "--attach", "web.yaml").code == 0
    client = ec2(aws.url)
    client.terminate_instances(InstanceIds=nodes[:1])
    answer, (stack,) = drift(project)
    assert (answer.code, stack["state"]) == (0, "in_sync")
    interface = client.describe_instances(InstanceIds=nodes[1:])["Reservations"][0]["Instances"][0][
        "NetworkInterfaces"
    ][0]["NetworkInterfaceId"]
    ours = group_of(aws, "skyports-web")
    held = client.describe_network_interfaces(NetworkInterfaceIds=[interface])["NetworkInterfaces"][0][
        "Groups"
    ]
    rest = [item["GroupId"] for item in held if item["GroupId"] != ours]
    client.modify_network_interface_attribute(NetworkInterfaceId=interface, Groups=rest)
    answer, (stack,) = drift(project)
    assert answer.code == 1
    assert [(item["action"], nodes[1] in item["address"]) for item in stack["objects"]] == [("delete", True)]


def test_a_fresh_checkout_without_a_mark_of_this_machine_tells_the_same(
    aws: MotoServer, project: Project, tmp_path: Path
) -> None:
    revoke(aws, 8888)
    shutil.rmtree(tmp_path / "infra/web/aws-us-east-1/.terraform")
    answer, (stack,) = drift(project)
    assert answer.code == 1 and stack["changes"]["close"] == [rule(8888, 8888, ANYWHERE)]

    # no state either: all that lives in our group is in no state
    for left in (tmp_path / "infra/web/aws-us-east-1").glob("terraform.tfstate*"):
        left.unlink()
    answer, (stack,) = drift(project)
    assert answer.code == 1
    assert {item["from_port"] for item in stack["foreign"]} == {22, 7000, 9000}


def test_a_group_of_skypilots_own_is_not_ours_before_the_first_apply(aws: MotoServer, tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.compile(project.task("8888"))
    client = ec2(aws.url)
    vpc = client.describe_vpcs()["Vpcs"][0]["VpcId"]
    client.create_security_group(GroupName=GROUP, Description="theirs", VpcId=vpc)
    authorize(aws, 8888, 8888)
    answer, (stack,) = drift(project)
    assert (answer.code, stack["state"], stack["foreign"]) == (0, "in_sync", [])


def test_a_stack_that_cannot_be_looked_at_is_unknown_and_hides_no_other(
    aws: MotoServer, project: Project
) -> None:
    project.compile(project.task("80", name="other", file="other.yaml"))
    broken = project.folder / "infra/other/aws-us-east-1/main.tf"
    broken.write_text(broken.read_text(encoding="utf-8") + "\nnonsense {}\n", encoding="utf-8")
    (broken.parent / "terraform.tfstate").write_text(json.dumps({"version": 4}), encoding="utf-8")
    revoke(aws, 8888)
    answer, stacks = drift(project)
    assert {item["cluster"]: item["state"] for item in stacks} == {"other": "unknown", "web": "drifted"}
    assert answer.code == 3
    assert {item["code"] for item in answer.json["diagnostics"]} == {"terraform-failed", "drifted"}
    assert call(project.folder, "drift", "--detailed-exitcode").code == 1
    unknown = call(project.folder, "drift", "nothing", "--json")
    assert (unknown.code, unknown.json["diagnostics"][0]["code"]) == (1, "cluster-unknown")


def test_rules_that_hold_many_ports_are_told_by_what_they_open(
    tmp_path: Path, mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud = SchemaCloud(tmp_path / "clouds", "google", mirror)
    for name, value in cloud.env.items():
        monkeypatch.setenv(name, value)
    project = Project(tmp_path / "project")
    project.config("user_hash: a1b2c3d4\ngcp: {project: my-project}\n")
    project.task("[80, 8000-8010]", infra="gcp")
    assert call(project.folder, "apply", "-y", "web.yaml").code == 0
    _, (stack,) = drift(project)
    assert (stack["state"], stack["objects"]) == ("in_sync", [])

    (opening,) = [
        item
        for item in cloud.objects("google_compute_firewall")["google_compute_firewall"]
        if not item["disabled"]
    ]
    cloud.edit(
        "google_compute_firewall",
        opening["id"],
        allow=[{"protocol": "tcp", "ports": ["80", "8000-8004", "9999"]}],
        source_ranges=["0.0.0.0/0", "198.51.100.0/24"],
    )
    answer, (stack,) = drift(project)
    assert answer.code == 1
    assert {(item["from_port"], item["to_port"], *item["sources"]) for item in stack["changes"]["open"]} == {
        (80, 80, "198.51.100.0/24"),
        (8000, 8004, "198.51.100.0/24"),
        (9999, 9999, "0.0.0.0/0", "198.51.100.0/24"),
    }
    assert stack["changes"]["close"] == [rule(8005, 8010, ANYWHERE)]
    assert stack["terraform"] == {"create": 0, "update": 1, "delete": 0}

    cloud.delete("google_compute_firewall", opening["id"])
    answer, (stack,) = drift(project)
    assert {item["from_port"] for item in stack["changes"]["close"]} == {80, 8000}


@pytest.mark.parametrize("cloud", MATRIX)
def test_on_every_cloud_what_was_applied_is_in_sync_and_a_port_that_was_lost_is_told(
    cloud: str, tmp_path: Path, mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    life = life_on(cloud, tmp_path, mirror, monkeypatch)
    stack = life.compile("[8000-8003, 9000]")
    life.apply(stack)
    answer, (stack_json,) = drift(life.project)
    assert answer.code == 0, answer.out
    assert (stack_json["state"], stack_json["objects"]) == ("in_sync", [])
    notes = [item["code"] for item in answer.json["diagnostics"]]
    # what cannot be listed is never told as clean
    assert notes == ([] if stack_json["foreign"] == [] else ["foreign-unseen"])
    lose_port(life, 9000)
    answer, (stack_json,) = drift(life.project)
    assert (answer.code, stack_json["state"]) == (1, "drifted")
    assert 9000 in {rule["from_port"] for rule in stack_json["changes"]["close"]}
    assert stack_json["changes"]["open"] == []


def shown(
    before: dict[str, Any], after: dict[str, Any] | None, expressions: dict[str, Any]
) -> dict[str, Any]:
    """A shown plan in which one object, which holds no port, has drifted."""
    change = {"actions": ["update" if after else "delete"], "before": before, "after": after}
    item = {"address": "m.lb.this", "type": "lb", "name": "this", "mode": "managed", "change": change}
    module = {"resources": [{"type": "lb", "name": "this", "expressions": expressions}]}
    return {
        "resource_drift": [item],
        "configuration": {"root_module": {"module_calls": {"ports": {"module": module}}}},
    }


@pytest.mark.parametrize(
    ("before", "after", "attributes"),
    [
        # what the provider computes is nobody's doing, at any depth
        ({"name": "a", "status": "new"}, {"name": "a", "status": "active"}, None),
        ({"meta": [{"labels": {}, "version": "1"}]}, {"meta": [{"labels": {}, "version": "2"}]}, None),
        ({"meta": [{"labels": {}}]}, {"meta": [{"labels": {"x": "y"}}]}, ("meta",)),
        ({"meta": [{"labels": {}}]}, {"meta": []}, ("meta",)),
        ({"name": "a", "rule": [{"port": 1}]}, {"name": "b", "rule": [{"port": 2}]}, ("name", "rule")),
        ({"name": "a", "ingress": []}, {"name": "a", "ingress": [{"port": 1}]}, None),
    ],
)
def test_an_object_differs_where_what_we_set_differs(
    before: dict[str, Any], after: dict[str, Any], attributes: tuple[str, ...] | None
) -> None:
    expressions: dict[str, Any] = {"name": {}, "meta": [{"labels": {}, "name": {}}]}
    found = differences_of(shown(before, after, expressions), aws_stack(), frozenset({"rule"}))
    assert [item.attributes for item in found.objects] == ([attributes] if attributes else [])
    assert found.changes == PortChanges() and not found.is_empty
    gone = differences_of(shown(before, None, expressions), aws_stack(), frozenset())
    assert [(item.address, item.action) for item in gone.objects] == [("m.lb.this", "delete")]
