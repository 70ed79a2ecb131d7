"""A group that nodes still hold: the ports close at once, the group is waited for, its holders are named."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from skyports_tf.closing import close_stack, plan_close
from skyports_tf.lifecycle import RunSettings, apply_plan, plan_stack
from skyports_tf.model import Stack
from tests.support.command_line import call
from tests.support.ec2_proxy import Call, Proxy, start_proxy
from tests.support.local_aws import MotoServer, ec2
from tests.support.resident import resident_aws
from tests.support.stacks import ANYWHERE, compile_stack

SETTINGS = RunSettings()
pytestmark = pytest.mark.xdist_group("held")


@pytest.fixture
def proxy(aws: MotoServer, aws_program: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """A proxy that refuses to delete a group in use, as EC2 does and moto does not."""
    with start_proxy(aws.url) as proxy:
        for name, value in proxy.server.env.items():
            monkeypatch.setenv(name, value)
        with resident_aws(aws_program, proxy.server.env) as environment:
            for name, value in environment.items():
                monkeypatch.setenv(name, value)
            yield proxy


def group_of(aws: MotoServer) -> dict[str, Any] | None:
    found = ec2(aws.url).describe_security_groups()["SecurityGroups"]
    return next((group for group in found if group["GroupName"] == "sky-sg-web"), None)


def opened(folder: Path, ports: dict[str, list[str]]) -> tuple[Stack, str]:
    """A stack that was compiled and applied, and the folder of its tree."""
    stack, out = compile_stack(folder, ports), str(folder / "infra")
    apply_plan(out, plan_stack(out, stack, SETTINGS), SETTINGS)
    return stack, out


def launch_into(aws: MotoServer, group: str) -> str:
    """A node in the group, as SkyPilot launches one; gives its id."""
    client = ec2(aws.url)
    image = client.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
    launched = client.run_instances(
        ImageId=image, InstanceType="t3.micro", MinCount=1, MaxCount=1, SecurityGroupIds=[group]
    )
    return str(launched["Instances"][0]["InstanceId"])


def test_a_held_group_is_waited_for_its_holders_named_and_gone_in_the_end(
    aws: MotoServer, proxy: Proxy, tmp_path: Path
) -> None:
    stack, out = opened(tmp_path, {"8888": [ANYWHERE]})
    group = group_of(aws)
    assert group is not None
    node = launch_into(aws, group["GroupId"])

    before = time.monotonic()
    answer = call(tmp_path, "destroy", "web", "--yes", "--timeout", "4s")
    assert answer.code == 1
    assert "error[group-held]: web-aws-us-east-1: the ports are closed" in answer.err
    assert f"of instance {node}" in answer.err
    assert "sky down web" in answer.err
    assert time.monotonic() - before > 4
    left = group_of(aws)
    assert left is not None
    assert {rule.get("FromPort") for rule in left["IpPermissions"]} == {None, 22}

    # the nodes go while it waits
    looks = 0

    def terminate(seen: Call) -> None:
        nonlocal looks
        looks += seen.action == "DescribeNetworkInterfaces"
        if looks == 3:
            ec2(aws.url).terminate_instances(InstanceIds=[node])

    proxy.before = terminate
    closed = close_stack(out, plan_close(out, stack, SETTINGS), SETTINGS, wait_seconds=120)
    assert closed.verified_empty and group_of(aws) is None
    # none was refused: nobody asked before it was free
    assert [call.is_done for call in proxy.calls if call.action == "DeleteSecurityGroup"] == [True]


def test_what_somebody_else_removes_between_plan_and_destroy_is_fine(aws: MotoServer, tmp_path: Path) -> None:
    stack, out = opened(tmp_path, {"8888": [ANYWHERE], "9000-9005": [ANYWHERE]})
    plan = plan_close(out, stack, SETTINGS)
    client, group = ec2(aws.url), group_of(aws)
    assert group is not None
    client.revoke_security_group_ingress(GroupId=group["GroupId"], IpPermissions=group["IpPermissions"][:1])
    assert close_stack(out, plan, SETTINGS).verified_empty
    assert group_of(aws) is None


def test_a_state_that_was_lost_while_it_was_written_is_made_again(aws: MotoServer, tmp_path: Path) -> None:
    stack, out = opened(tmp_path, {"8888": [ANYWHERE]})
    plan = plan_close(out, stack, SETTINGS)
    # Terraform empties the file before it writes it (seen at a SIGKILL, Terraform 1.11.4)
    (tmp_path / "infra" / stack.directory / "terraform.tfstate").write_bytes(b"")
    assert close_stack(out, plan, SETTINGS).verified_empty
    assert group_of(aws) is None


def test_what_is_left_over_and_ours_goes_with_the_next_destroy(aws: MotoServer, tmp_path: Path) -> None:
    stack, out = opened(tmp_path, {"8888": [ANYWHERE]})
    state = Path(out) / stack.directory / "terraform.tfstate"
    forgotten = json.loads(state.read_text(encoding="utf-8"))
    forgotten["resources"] = [item for item in forgotten["resources"] if item["type"] != "aws_security_group"]
    state.write_text(json.dumps(forgotten), encoding="utf-8")
    first = call(tmp_path, "destroy", "web", "--yes")
    assert first.code == 1 and "error[left-over]: web-aws-us-east-1: security group sg-" in first.err
    assert call(tmp_path, "destroy", "web", "--yes").code == 0
    assert group_of(aws) is None


def test_a_group_that_somebody_else_made_is_left_and_told(aws: MotoServer, tmp_path: Path) -> None:
    stack, out = opened(tmp_path, {"8888": [ANYWHERE]})
    group = group_of(aws)
    assert group is not None
    plan = plan_close(out, stack, SETTINGS)
    # SkyPilot deletes our group at `sky down`, and another launch makes one of its own, with a node in it
    client = ec2(aws.url)
    client.delete_security_group(GroupId=group["GroupId"])
    theirs = client.create_security_group(GroupName="sky-sg-web", Description="theirs", VpcId=group["VpcId"])
    launch_into(aws, theirs["GroupId"])
    closed = close_stack(out, plan, SETTINGS, wait_seconds=120)
    assert closed.verified_empty
    assert [warning.code for warning in closed.warnings] == ["left-over"]
    assert group_of(aws) is not None


@pytest.mark.parametrize("value", ["", "5", "1x", "-1s", "m"])
def test_a_timeout_that_is_no_duration_is_a_usage_error(tmp_path: Path, value: str) -> None:
    answer = call(tmp_path, "destroy", "web", "--timeout", value)
    assert answer.code == 2
    assert "no duration such as 90s, 15m or 1h30m" in answer.err
