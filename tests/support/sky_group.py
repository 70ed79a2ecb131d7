"""A running cluster as SkyPilot itself leaves it on AWS: its security group, its rules, its nodes.

Facts: sky/provision/aws/config.py:_configure_security_group and sky/provision/aws/instance.py:
open_ports, SkyPilot 0.14.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.support.local_aws import ec2, launch_nodes

DESCRIPTION = "Auto-created security group for Ray workers"
ANYWHERE = "0.0.0.0/0"


def launch_with_group(
    url: str, cluster: str, name_on_cloud: str, ports: Sequence[str], nodes: int = 2
) -> str:
    """Run nodes in a group of SkyPilot's own with `ports` open to everyone; gives the group's id."""
    group = make_group(url, cluster)
    open_to(url, group, ports)
    client = ec2(url)
    for node in launch_nodes(url, name_on_cloud, nodes):
        client.modify_instance_attribute(InstanceId=node, Groups=[group])
    return group


def make_group(url: str, cluster: str) -> str:
    """SkyPilot's group before it has opened a port: all traffic between the nodes, and SSH."""
    client = ec2(url)
    vpc = client.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"][0]["VpcId"]
    group: str = client.create_security_group(
        GroupName=f"sky-sg-{cluster}",
        Description=DESCRIPTION,
        VpcId=vpc,
        TagSpecifications=[
            {"ResourceType": "security-group", "Tags": [{"Key": "skypilot", "Value": "true"}]}
        ],
    )["GroupId"]
    allow(client, group, IpProtocol="-1", FromPort=-1, ToPort=-1, UserIdGroupPairs=[{"GroupId": group}])
    allow(client, group, IpProtocol="tcp", FromPort=22, ToPort=22, IpRanges=[{"CidrIp": ANYWHERE}])
    return group


def open_to(
    url: str, group: str, ports: Sequence[str], source: str = ANYWHERE, protocol: str = "tcp"
) -> None:
    """Open each range to `source`, a rule each."""
    for ports_text in ports:
        first, _, last = ports_text.partition("-")
        ranges = (
            {"IpRanges": [{"CidrIp": source}]}
            if ":" not in source
            else {"Ipv6Ranges": [{"CidrIpv6": source}]}
        )
        allow(ec2(url), group, IpProtocol=protocol, FromPort=int(first), ToPort=int(last or first), **ranges)


def allow(client: Any, group: str, **permission: Any) -> None:
    """Add one ingress rule."""
    client.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission])


def terminate(url: str, group: str) -> None:
    """SkyPilot's shutdown: the nodes go, then the group."""
    client = ec2(url)
    reservations = client.describe_instances()["Reservations"]
    ids = [instance["InstanceId"] for item in reservations for instance in item["Instances"]]
    if ids:
        client.terminate_instances(InstanceIds=ids)
    client.delete_security_group(GroupId=group)


def snapshot(url: str, group: str) -> dict[str, Any]:
    """All that EC2 says of a group and its rules, by rule id."""
    client = ec2(url)
    (found,) = client.describe_security_groups(GroupIds=[group])["SecurityGroups"]
    rules = client.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group]}])
    return {
        "name": found["GroupName"],
        "description": found["Description"],
        "tags": sorted((tag["Key"], tag["Value"]) for tag in found.get("Tags", [])),
        "rules": {rule["SecurityGroupRuleId"]: rule for rule in rules["SecurityGroupRules"]},
    }


def open_cells(url: str, group: str) -> set[tuple[str, int, int, str]]:
    """Protocol, first port, last port and source of each ingress rule that has ports."""
    rules = snapshot(url, group)["rules"].values()
    return {
        (
            rule["IpProtocol"],
            rule["FromPort"],
            rule["ToPort"],
            rule.get("CidrIpv4") or rule.get("CidrIpv6") or "",
        )
        for rule in rules
        if not rule["IsEgress"] and rule["IpProtocol"] in ("tcp", "udp")
    }
