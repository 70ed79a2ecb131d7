"""Oracle's SDK as far as SkyPilot's port code calls it."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

from pretend import NAME_ON_CLOUD, World


class _Data(SimpleNamespace):
    """A model of the SDK: its fields by name, None where one is not set."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return None


def begin(world: World) -> dict[str, Any]:
    """SkyPilot's settings for a world of {"compartment", "vcn", "groups", "rules", "vnics"}."""
    sdk: Any = ModuleType("oci")
    sdk.config = SimpleNamespace(from_file=lambda **_: {"tenancy": "ocid1.tenancy"})
    sdk.exceptions = SimpleNamespace(ServiceError=type("ServiceError", (Exception,), {}))
    sdk.wait_until = lambda *words, **rest: None
    models: Any = type("Models", (), {"__getattr__": lambda self, name: _Data})()
    search = type("Search", (_Data,), {"MATCHING_CONTEXT_TYPE_NONE": "NONE"})
    sdk.core = SimpleNamespace(
        models=models,
        ComputeClient=lambda config: _OracleCompute(world),
        VirtualNetworkClient=lambda config: _OracleNetwork(world),
    )
    sdk.resource_search = SimpleNamespace(
        models=SimpleNamespace(StructuredSearchDetails=_Data, SearchDetails=search),
        ResourceSearchClient=lambda config: _OracleSearch(world),
    )
    sdk.identity = SimpleNamespace(
        IdentityClient=lambda config: SimpleNamespace(
            list_compartments=lambda **_: _Data(data=[_Data(id=world["compartment"])])
        )
    )
    sys.modules["oci"] = sdk
    return {"region": "us-ashburn-1"}


class _OracleSearch:
    def __init__(self, world: World) -> None:
        self._world = world

    def search_resources(self, query: Any) -> Any:
        assert f"freeformTags.value = '{NAME_ON_CLOUD}'" in query.query
        items = [
            _Data(identifier=name, availability_domain="AD-1", compartment_id=self._world["compartment"])
            for name in self._world["vnics"]
        ]
        return _Data(data=_Data(items=items))


class _OracleCompute:
    def __init__(self, world: World) -> None:
        self._world = world

    def list_vnic_attachments(self, instance_id: str, **rest: Any) -> Any:
        return _Data(data=[_Data(vnic_id=self._world["vnics"][instance_id]["id"])])


class _OracleNetwork:
    def __init__(self, world: World) -> None:
        self._world = world

    def list_vcns(self, display_name: str, **rest: Any) -> Any:
        assert display_name == "skypilot_vcn"
        return _Data(data=[_Data(id=self._world["vcn"])])

    def list_network_security_groups(self, vcn_id: str, display_name: str, **rest: Any) -> Any:
        groups = [
            _Data(id=item["id"])
            for item in self._world["groups"]
            if (item["display_name"], item["vcn_id"]) == (display_name, vcn_id)
        ]
        return _Data(data=groups)

    def create_network_security_group(self, create_network_security_group_details: Any) -> Any:
        asked = create_network_security_group_details
        self._world["calls"].append(f"create group {asked.display_name}")
        made = {"id": f"new-{asked.display_name}", "display_name": asked.display_name, "vcn_id": asked.vcn_id}
        self._world["groups"].append(made)
        return _Data(data=_Data(id=made["id"]))

    def get_network_security_group(self, network_security_group_id: str) -> Any:
        return _Data(data=_Data(id=network_security_group_id))

    def delete_network_security_group(self, network_security_group_id: str) -> None:
        self._world["calls"].append(f"delete group {network_security_group_id}")
        for kind, key in (("groups", "id"), ("rules", "group")):
            self._world[kind] = [item for item in self._world[kind] if item[key] != network_security_group_id]

    def get_vnic(self, vnic_id: str) -> Any:
        (vnic,) = [item for item in self._world["vnics"].values() if item["id"] == vnic_id]
        return _Data(data=_Data(**vnic))

    def update_vnic(self, vnic_id: str, update_vnic_details: Any) -> None:
        self._world["calls"].append(f"attach {vnic_id}")
        for vnic in self._world["vnics"].values():
            if vnic["id"] == vnic_id:
                vnic["nsg_ids"] = list(update_vnic_details.nsg_ids)

    def list_network_security_group_security_rules(self, network_security_group_id: str, **rest: Any) -> Any:
        ranges = [
            _Data(min=rule["tcp"][0], max=rule["tcp"][1])
            for rule in self._world["rules"]
            if rule["group"] == network_security_group_id
        ]
        return _Data(data=[_Data(tcp_options=_Data(destination_port_range=ports)) for ports in ranges])

    def add_network_security_group_security_rules(
        self, network_security_group_id: str, add_network_security_group_security_rules_details: Any
    ) -> None:
        for rule in add_network_security_group_security_rules_details.security_rules:
            ports = rule.tcp_options.destination_port_range
            self._world["calls"].append(f"open {ports.min}-{ports.max}")
            self._world["rules"].append(
                {"group": network_security_group_id, "source": rule.source, "tcp": [ports.min, ports.max]}
            )
