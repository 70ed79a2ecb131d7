"""What the probe sees of a cluster in the cloud, with the real provider and a local AWS."""

from __future__ import annotations

from pathlib import Path

import pytest

from skyports_tf.diagnostics import TerraformError
from skyports_tf.lifecycle import RunSettings, apply_plan, plan_stack
from skyports_tf.model import Stack
from skyports_tf.running.execution import execution_of
from skyports_tf.running.probe import Leftover, Probe, read_probe
from skyports_tf.running.settings import silent
from tests.support.local_aws import MotoServer, ec2, launch_nodes
from tests.support.stacks import ANYWHERE, NAME_ON_CLOUD, compile_stack

SETTINGS = RunSettings()
PORTS = {"8888": [ANYWHERE], "9000-9005": ["10.0.0.0/8"]}


def look(folder: Path, stack: Stack) -> Probe:
    with execution_of(str(folder / "infra"), stack, SETTINGS, silent) as execution:
        probe = read_probe(execution)
    assert probe is not None
    return probe


def opened(folder: Path, *, attach: bool = False) -> Stack:
    stack = compile_stack(folder, PORTS, attach=attach)
    out = str(folder / "infra")
    apply_plan(out, plan_stack(out, stack, SETTINGS), SETTINGS)
    return stack


def test_an_account_without_the_cluster_has_nothing(aws: MotoServer, tmp_path: Path) -> None:
    probe = look(tmp_path, compile_stack(tmp_path, PORTS))
    assert probe == Probe(nodes=(), objects={}, rules=())


def test_it_sees_nodes_objects_rules_and_what_holds_the_group(aws: MotoServer, tmp_path: Path) -> None:
    nodes = launch_nodes(aws.url, NAME_ON_CLOUD, 2)
    stack = opened(tmp_path, attach=True)
    (group,) = groups(aws, "skyports-web")
    probe = look(tmp_path, stack)
    assert probe.nodes == tuple(sorted(nodes))
    assert probe.objects is not None and probe.rules is not None
    attachments = {
        f'module.ports.aws_network_interface_sg_attachment.node["{node}"]': f"{group}_{interface}"
        for node, interface in interfaces(aws).items()
    }
    assert dict(probe.objects) == {"module.ports.aws_security_group.this": group, **attachments}
    assert {rule.opens.opening for rule in probe.rules} == {
        ("tcp", 8888, 8888, ANYWHERE),
        ("tcp", 9000, 9005, "10.0.0.0/8"),
    }
    assert probe.is_ours and all(rule.is_ours for rule in probe.rules)
    # what we have attached holds nothing: it goes with the group
    assert probe.holders == ()
    assert probe.leftovers == (Leftover("security group", group, "skyports-web", True),)
    # nothing of it stays: what was read may be nobody's business
    assert list((tmp_path / "infra" / stack.directory).glob(".terraform/skyports-probe*")) == []


def test_a_group_of_skypilots_own_is_not_ours(aws: MotoServer, tmp_path: Path) -> None:
    client = ec2(aws.url)
    vpc = client.describe_vpcs()["Vpcs"][0]["VpcId"]
    group = client.create_security_group(GroupName="sky-sg-web", Description="theirs", VpcId=vpc)["GroupId"]
    client.authorize_security_group_ingress(
        GroupId=group,
        IpPermissions=[
            {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "IpRanges": [{"CidrIp": ANYWHERE}]}
            for port in (22, 8888)
        ],
    )
    probe = look(tmp_path, compile_stack(tmp_path, PORTS))
    assert not probe.is_ours and probe.rules
    assert {(rule.address.rpartition(".")[2], rule.key, rule.opens.from_port) for rule in probe.rules} == {
        ("ssh", ANYWHERE, 22),
        ("port", None, 8888),
    }
    assert probe.leftovers == (Leftover("security group", group, "sky-sg-web", False),)


@pytest.mark.own_provider
def test_a_cloud_that_does_not_answer_is_not_known(
    aws: MotoServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = compile_stack(tmp_path, PORTS)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(TerraformError):
        look(tmp_path, stack)


def groups(aws: MotoServer, name: str) -> list[str]:
    found = ec2(aws.url).describe_security_groups()["SecurityGroups"]
    return [group["GroupId"] for group in found if group["GroupName"] == name]


def interfaces(aws: MotoServer) -> dict[str, str]:
    found = ec2(aws.url).describe_network_interfaces()["NetworkInterfaces"]
    return {item["Attachment"]["InstanceId"]: item["NetworkInterfaceId"] for item in found}
