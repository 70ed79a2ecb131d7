"""Nebius's services as far as SkyPilot's bootstrap and port code call them, under the real SDK."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import sky
from nebius.aio.service_error import RequestError
from nebius.api.nebius.common.v1 import ResourceMetadata
from nebius.api.nebius.compute import v1 as compute
from nebius.api.nebius.iam import v1 as iam
from nebius.api.nebius.vpc import v1 as vpc
from pretend import CLUSTER, NAME_ON_CLOUD, World
from sky import clouds
from sky.adaptors import nebius
from sky.provision import common
from sky.provision.nebius import config
from sky.utils import resources_utils

REGION = "eu-north1"


def begin(world: World) -> dict[str, Any]:
    """SkyPilot's settings for a world of {"project", "network", "groups": [...], "rules": [...]}."""
    nebius.sdk = lambda: None
    vpc.SecurityGroupServiceClient = lambda sdk: _Groups(world)
    vpc.SecurityRuleServiceClient = lambda sdk: _Rules(world)
    vpc.SubnetServiceClient = lambda sdk: _Subnets(world)
    iam.ProjectServiceClient = lambda sdk: _Projects(world)
    compute.InstanceServiceClient = lambda sdk: _Instances()
    return {"region": REGION, "project_id": world["project"], "security_group": _choice()}


def _choice() -> dict[str, Any]:
    """The group that SkyPilot chooses by its config."""
    resources = sky.Resources(infra=f"nebius/{REGION}", instance_type="cpu-d3_4vcpu-16gb", ports=["8888"])
    chosen = clouds.Nebius().make_deploy_resources_variables(
        resources, resources_utils.ClusterName(CLUSTER, NAME_ON_CLOUD), clouds.Region(REGION), None, 2
    )
    return {
        "GroupName": chosen["security_group"],
        "ManagedBySkyPilot": chosen["security_group_managed_by_skypilot"] == "true",
    }


def bootstrap(provider: dict[str, Any]) -> dict[str, Any]:
    """SkyPilot's settings after its bootstrap_instances."""
    asked = common.ProvisionConfig(provider, {}, {}, {}, 2, {}, True, None)
    made: dict[str, Any] = config.bootstrap_instances(REGION, NAME_ON_CLOUD, asked).provider_config
    return made


class _NotFoundError(RequestError):  # type: ignore[misc]
    def __init__(self) -> None:
        Exception.__init__(self)

    def __str__(self) -> str:
        return "not found"


class _Groups:
    def __init__(self, world: World) -> None:
        self._world = world

    async def get_by_name(self, request: Any, **rest: Any) -> Any:
        for item in self._world["groups"]:
            if item["name"] == request.name:
                return vpc.SecurityGroup(
                    metadata=ResourceMetadata(id=item["id"], name=item["name"]),
                    spec=vpc.SecurityGroupSpec(network_id=item["network_id"]),
                )
        raise _NotFoundError

    async def create(self, request: Any, **rest: Any) -> Any:
        name = request.metadata.name
        self._world["calls"].append(f"create group {name}")
        made = {"id": f"new-{name}", "name": name, "network_id": request.spec.network_id}
        self._world["groups"].append(made)
        return SimpleNamespace(resource_id=made["id"])

    async def delete(self, request: Any, **rest: Any) -> None:
        self._world["calls"].append(f"delete group {request.id}")
        self._world["groups"] = [item for item in self._world["groups"] if item["id"] != request.id]


class _Rules:
    def __init__(self, world: World) -> None:
        self._world = world

    async def list(self, request: Any, **rest: Any) -> Any:
        rules = [_rule(item) for item in self._world["rules"] if item["parent_id"] == request.parent_id]
        return SimpleNamespace(items=rules, next_page_token="")

    async def create(self, request: Any, **rest: Any) -> None:
        spec, name = request.spec, request.metadata.name
        self._world["calls"].append(f"create rule {name.rpartition('-')[0]}")
        made = {"id": f"new-{name}", "name": name, "parent_id": request.metadata.parent_id}
        made |= {"access": spec.access.name, "protocol": spec.protocol.name}
        if spec.ingress is not None:
            made["ingress"] = {
                "source_cidrs": [*spec.ingress.source_cidrs],
                "destination_ports": [*spec.ingress.destination_ports],
            }
        self._world["rules"].append(made)

    async def delete(self, request: Any, **rest: Any) -> None:
        self._world["calls"].append(f"delete rule {request.id}")
        self._world["rules"] = [item for item in self._world["rules"] if item["id"] != request.id]


def _rule(item: dict[str, Any]) -> Any:
    ways = {"ingress": vpc.RuleIngress, "egress": vpc.RuleEgress}
    spec = vpc.SecurityRuleSpec(
        access=vpc.RuleAccessAction[item["access"]],
        protocol=vpc.RuleProtocol[item["protocol"]],
        **{name: way(**item[name]) for name, way in ways.items() if item.get(name)},
    )
    return vpc.SecurityRule(metadata=ResourceMetadata(id=item["id"], name=item["name"]), spec=spec)


class _Projects:
    def __init__(self, world: World) -> None:
        metadata, status = SimpleNamespace(id=world["project"]), SimpleNamespace(region=REGION)
        self._project = SimpleNamespace(metadata=metadata, status=status)

    async def list(self, request: Any, **rest: Any) -> Any:
        return SimpleNamespace(items=[self._project])


class _Subnets:
    def __init__(self, world: World) -> None:
        spec = SimpleNamespace(network_id=world["network"])
        self._subnet = SimpleNamespace(metadata=SimpleNamespace(id="subnet"), spec=spec)

    async def list(self, request: Any, **rest: Any) -> Any:
        return SimpleNamespace(items=[self._subnet])

    async def get(self, request: Any, **rest: Any) -> Any:
        return self._subnet


class _Instances:
    async def list(self, request: Any, **rest: Any) -> Any:
        return SimpleNamespace(items=[], next_page_token="")
