"""The proxy that the reliability tests put between Terraform and the local AWS."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from tests.support.ec2_proxy import Call, Decision, Drop, Proxy, Refuse, start_proxy
from tests.support.local_aws import REGION, MotoServer, ec2, launch_nodes, reset

ONCE = Config(retries={"total_max_attempts": 1}, read_timeout=3)


@pytest.fixture
def proxy(moto: MotoServer) -> Iterator[Proxy]:
    reset(moto.url)
    with start_proxy(moto.url) as proxy:
        yield proxy


def client(proxy: Proxy) -> Any:
    """A client that asks once, and waits half a second."""
    import boto3

    return boto3.client(
        "ec2",
        endpoint_url=proxy.server.url,
        region_name=REGION,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        config=ONCE,
    )


def new_group(proxy: Proxy) -> str:
    return str(ec2(proxy.server.url).create_security_group(GroupName="g", Description="g")["GroupId"])


def group_names(moto: MotoServer) -> set[str]:
    return {group["GroupName"] for group in ec2(moto.url).describe_security_groups()["SecurityGroups"]}


def test_calls_are_numbered_and_kept_with_action_parameters_and_answer(proxy: Proxy) -> None:
    group = new_group(proxy)
    permission = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 81, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}
    ec2(proxy.server.url).authorize_security_group_ingress(GroupId=group, IpPermissions=[permission])
    ec2(proxy.server.url).describe_security_groups()
    made, opened, listed = proxy.calls
    assert [call.number for call in proxy.calls] == [1, 2, 3]
    assert [call.service for call in proxy.calls] == ["ec2"] * 3
    assert (made.action, made.parameters["GroupName"], made.is_write) == ("CreateSecurityGroup", "g", True)
    assert opened.parameters["IpPermissions.1.FromPort"] == "80"
    assert opened.is_done and opened.answer is not None and "<return>true</return>" in opened.answer.text
    assert (listed.action, listed.is_write) == ("DescribeSecurityGroups", False)
    proxy.forget()
    assert proxy.calls == ()


def test_a_call_that_is_refused_does_not_reach_the_cloud(proxy: Proxy, moto: MotoServer) -> None:
    proxy.before = lambda call: (
        Refuse("RequestLimitExceeded", "slow down <&>", 503) if call.is_write else None
    )
    with pytest.raises(ClientError) as caught:
        client(proxy).create_security_group(GroupName="g", Description="g")
    assert caught.value.response["Error"] == {"Code": "RequestLimitExceeded", "Message": "slow down <&>"}
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    assert "g" not in group_names(moto)
    assert not proxy.calls[-1].is_done


@pytest.mark.parametrize("silence", [0.0, 5.0])
def test_an_answer_that_is_lost_leaves_what_the_call_has_done(
    proxy: Proxy, moto: MotoServer, silence: float
) -> None:
    proxy.after = lambda call: Drop(silence)
    with pytest.raises(ReadTimeoutError if silence else ConnectionClosedError):
        client(proxy).create_security_group(GroupName="g", Description="g")
    assert "g" in group_names(moto)
    assert (proxy.calls[-1].is_done, proxy.calls[-1].spoiled) == (True, Drop(silence))


def test_silence_holds_up_nobody_else(proxy: Proxy, moto: MotoServer) -> None:
    proxy.before = lambda call: Drop(60.0) if call.number == 1 else None
    with pytest.raises(ReadTimeoutError):
        client(proxy).describe_vpcs()
    # the first is silent still; held up, this one would time out as well
    assert client(proxy).describe_vpcs()["Vpcs"]


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_hook_can_kill_the_caller_at_a_call_and_knows_what_was_done(
    proxy: Proxy, moto: MotoServer, moment: str
) -> None:
    code = (
        "import sys\nfrom tests.support.local_aws import ec2\n"
        "ec2(sys.argv[1]).create_security_group(GroupName='g', Description='g')\n"
    )
    started: list[subprocess.Popen[bytes]] = []

    def kill(call: Call) -> Decision | None:
        started[0].kill()
        started[0].wait()
        return Drop()

    setattr(proxy, moment, kill)
    started.append(subprocess.Popen([sys.executable, "-c", code, proxy.server.url]))
    assert started[0].wait(60) == -9
    assert ("g" in group_names(moto)) == (moment == "after")


def test_a_group_is_kept_while_a_node_holds_it(proxy: Proxy, moto: MotoServer) -> None:
    group = new_group(proxy)
    (node,) = launch_nodes(moto.url, "web-a1b2c3d4", 1)
    ec2(moto.url).modify_instance_attribute(InstanceId=node, Groups=[group])
    with pytest.raises(ClientError, match="DependencyViolation"):
        client(proxy).delete_security_group(GroupId=group)
    ec2(moto.url).terminate_instances(InstanceIds=[node])
    client(proxy).delete_security_group(GroupId=group)
    assert "g" not in group_names(moto)
