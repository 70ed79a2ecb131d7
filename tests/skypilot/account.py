"""The local AWS as SkyPilot wants it, and what tests ask of it."""

from __future__ import annotations

from typing import Any

from tests.support.ec2_proxy import Call, Proxy, Refuse
from tests.support.local_aws import REGION, ec2

#: A rule as (protocol, first port, last port, source); "self" is the group itself.
Rule = tuple[str, int, int, str]
# sky/provision/aws/config.py:DEFAULT_SKYPILOT_INSTANCE_PROFILE
_PROFILE = "skypilot-v1"


def furnish_account(url: str) -> None:
    """Give the default VPC a way to the internet, and the account SkyPilot's role.

    Without the one SkyPilot takes all subnets for private ones; without the other it makes the role
    and waits half a minute for it.
    """
    client = ec2(url)
    vpc = client.describe_vpcs()["Vpcs"][0]["VpcId"]
    gateway = client.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    client.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    table = client.describe_route_tables()["RouteTables"][0]["RouteTableId"]
    client.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    roles = _iam(url)
    roles.create_instance_profile(InstanceProfileName=_PROFILE)
    roles.create_role(RoleName=_PROFILE, AssumeRolePolicyDocument="{}")
    roles.add_role_to_instance_profile(InstanceProfileName=_PROFILE, RoleName=_PROFILE)


def _iam(url: str) -> Any:
    import boto3

    return boto3.client(
        "iam",
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )


class Account:
    """The local AWS at `url`; SkyPilot and Terraform use it through `proxy`."""

    def __init__(self, url: str, proxy: Proxy) -> None:
        self.proxy = proxy
        self._client = ec2(url)
        self.image: str = self._client.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
        proxy.after = self._remember_groups

    def _remember_groups(self, call: Call) -> None:
        """An instance has the groups of its first interface: EC2 says so, moto forgets them."""
        if call.action == "RunInstances" and call.is_done:
            group = call.parameters["NetworkInterface.1.SecurityGroupId.1"]
            for instance in self._instances():
                if not instance["SecurityGroups"]:
                    self._client.modify_instance_attribute(InstanceId=instance["InstanceId"], Groups=[group])

    def _instances(self) -> list[dict[str, Any]]:
        found = self._client.describe_instances()["Reservations"]
        return [
            instance
            for reservation in found
            for instance in reservation["Instances"]
            if instance["State"]["Name"] != "terminated"
        ]

    def nodes(self) -> dict[str, list[str]]:
        """The names of the groups that each node is in, by its id."""
        return {
            instance["InstanceId"]: [group["GroupName"] for group in instance["SecurityGroups"]]
            for instance in self._instances()
        }

    def fill_first_zone(self) -> None:
        """Let the first zone that is tried have no capacity, however often it is asked."""
        full: list[str] = []

        def refuse(call: Call) -> Refuse | None:
            if call.action != "RunInstances":
                return None
            subnet = call.parameters["NetworkInterface.1.SubnetId"]
            full.append(subnet)
            return Refuse("InsufficientInstanceCapacity", "no capacity") if subnet == full[0] else None

        self.proxy.before = refuse

    def make_group(self, name: str, source: str, *, guarded: bool) -> None:
        """A group of the user's: its own traffic, SSH from `source`; guarded, all of another group too."""
        vpc = self._client.describe_vpcs()["Vpcs"][0]["VpcId"]
        made = [
            self._client.create_security_group(GroupName=word, Description=word, VpcId=vpc)["GroupId"]
            for word in (name, f"{name}-guard")
        ]
        sources: list[dict[str, Any]] = [
            {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group}]}
            for group in (made if guarded else made[:1])
        ]
        sources.append({"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": source}]})
        self._client.authorize_security_group_ingress(GroupId=made[0], IpPermissions=sources)

    def kill_nodes(self) -> None:
        """The nodes end by themselves: autodown, a spot price, a person at the console."""
        self._client.terminate_instances(InstanceIds=[*self.nodes()])

    def groups(self) -> dict[str, str]:
        """The ids of the groups by name, without the VPC's own."""
        found = self._client.describe_security_groups()["SecurityGroups"]
        return {group["GroupName"]: group["GroupId"] for group in found if group["GroupName"] != "default"}

    def rules(self, group: str) -> set[Rule]:
        """What the group lets in."""
        named = [{"Name": "group-name", "Values": [group]}]
        (found,) = self._client.describe_security_groups(Filters=named)["SecurityGroups"]
        return {
            rule for permission in found["IpPermissions"] for rule in _rules(permission, found["GroupId"])
        }

    def open_to(self, group: str, source: str) -> set[int]:
        """The ports that the group opens to a source."""
        return {
            port
            for _, first, last, origin in self.rules(group)
            if origin == source
            for port in range(first, last + 1)
        }


def _rules(permission: dict[str, Any], group: str) -> list[Rule]:
    first, last = permission.get("FromPort", -1), permission.get("ToPort", -1)
    sources = [item["CidrIp"] for item in permission["IpRanges"]]
    sources += [item["CidrIpv6"] for item in permission["Ipv6Ranges"]]
    sources += [
        "self" if pair["GroupId"] == group else pair["GroupId"] for pair in permission["UserIdGroupPairs"]
    ]
    return [(permission["IpProtocol"], first, last, source) for source in sources]
