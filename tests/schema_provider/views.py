"""How data sources tell of objects that resources of other types have made."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from tests.schema_provider.facts import DataFacts
from tests.schema_provider.objects import Cloud
from tests.schema_provider.schema import Block
from tests.schema_provider.values import Object

#: Kubernetes' own name and version of what a resource makes.
_API_KINDS = {
    "kubernetes_service_v1": ("v1", "Service"),
    "kubernetes_ingress_v1": ("networking.k8s.io/v1", "Ingress"),
}
_API_PARTS = ("metadata", "spec")


def told_objects(kind: str, facts: DataFacts, blocks: Mapping[str, Block], cloud: Cloud) -> Iterator[Object]:
    """What a data source of this kind can tell of: the world's own, then what `of` and `parts` add.

    `blocks` are those of the provider's resources.
    """
    for item in cloud.there(kind):
        yield {**item, **{name: _parts(item, part, cloud) for name, part in facts.parts.items()}}
    view = _VIEWS.get(kind, _as_it_is)
    for resource in facts.of:
        for item in cloud.there(resource):
            yield view(resource, blocks[resource], item)


def _as_it_is(_kind: str, _block: Block, item: Object) -> Object:
    return item


def _parts(whole: Object, part: Mapping[str, Any], cloud: Cloud) -> list[Object]:
    """The objects that are parts of another: `where` maps their attributes to those of the whole."""
    where = part["where"].items()
    return [
        item
        for item in cloud.there(part["type"])
        if all(item.get(own) == whole.get(theirs) for own, theirs in where)
    ]


def selected(item: Object, arguments: Object) -> bool:
    """Whether an object of Kubernetes' API is of the kind, namespace and labels that are asked for."""
    metadata = item["metadata"]
    labels = metadata.get("labels") or {}
    wanted = [text.split("=", 1) for text in (arguments.get("label_selector") or "").split(",") if text]
    return (
        (item["apiVersion"], item["kind"]) == (arguments["api_version"], arguments["kind"])
        and metadata["namespace"] == (arguments.get("namespace") or "default")
        and all(labels.get(name) == value for name, value in wanted)
    )


def _api_object(resource: str, block: Block, item: Object) -> Object:
    version, kind = _API_KINDS[resource]
    told = _api_form(block, item)
    return {"apiVersion": version, "kind": kind, **{name: told.get(name) for name in _API_PARTS}}


def _api_form(block: Block, item: Object) -> Object:
    """An object as the API has it: a block of which there is one is an object, others are lists."""
    told: Object = {_camel(name): item.get(name) for name in block.attributes}
    for name, nested in block.blocks.items():
        found: Sequence[Object] = item.get(name) or []
        if nested.is_single:
            continue
        forms = [_api_form(nested.block, each) for each in found]
        if nested.max_items == 1:
            told[_camel(name)] = forms[0] if forms else None
        else:
            told[f"{_camel(name)}s"] = forms or None
    return told


def _camel(name: str) -> str:
    camel = re.sub("_([a-z])", lambda found: found[1].upper(), name)
    return re.sub("Ip(s?)$", r"IP\1", camel)


def _ibm_rule(_resource: str, _block: Block, item: Object) -> Object:
    """A security rule as ibm_is_security_group_rules lists it."""
    protocol = next((name for name in ("tcp", "udp", "icmp") if item.get(name)), "all")
    ports = (item.get(protocol) or [{}])[0]
    remote: str = item["remote"]
    place = "cidr_block" if "/" in remote else "address" if remote[0].isdigit() else "id"
    return {
        "security_group": item["group"],
        "id": item["rule_id"],
        "direction": item["direction"],
        "ip_version": item["ip_version"],
        "protocol": protocol,
        "port_min": ports.get("port_min"),
        "port_max": ports.get("port_max"),
        "remote": [{place: remote}],
    }


def _ibm_group(_resource: str, _block: Block, item: Object) -> Object:
    """A security group as ibm_is_security_groups lists it."""
    return {"id": item["id"], "name": item["name"], "vpc": [{"id": item["vpc"]}]}


_VIEWS: Mapping[str, Callable[[str, Block, Object], Object]] = {
    "kubernetes_resources": _api_object,
    "ibm_is_security_group_rules": _ibm_rule,
    "ibm_is_security_groups": _ibm_group,
}
