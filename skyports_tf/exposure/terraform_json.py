"""What `terraform show -json` tells of a plan or a state, and what a raw state file does, as resources.

Formats: developer.hashicorp.com/terraform/internals/json-format (plan 1.x, state 1.0); a raw state is of
version 4. A plan lists each resource under resource_changes, also those that stay as they are; what it lets
go of (`forget`) stays in the cloud.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from skyports_tf.exposure.facts import looks_like_firewall, matters
from skyports_tf.exposure.resources import Configuration, Resource, module_of, without_index
from skyports_tf.exposure.values import overlay

_STATE_VERSION: Final = 4
_FORGETS: Final = frozenset({"forget", "remove"})


@dataclass(frozen=True, slots=True)
class View:
    """The resources that may open ports: as they are `before`, None where nobody can tell, and `after`.

    `unseen` are the addresses of those that look like a firewall, and that no facts describe; `put_off` of
    those that a plan defers, and `partial` says why else it does not hold all of the code.
    """

    after: tuple[Resource, ...]
    before: tuple[Resource, ...] | None = None
    unseen: tuple[str, ...] = ()
    put_off: tuple[str, ...] = ()
    partial: str = ""


def view_of(document: Any) -> View | None:
    """What a JSON document tells; None for one that is neither a plan nor a state of Terraform's."""
    if not isinstance(document, dict):
        return None
    if "resource_changes" in document or "planned_values" in document:
        return _plan(document)
    if "values" in document or ("format_version" in document and "terraform_version" in document):
        listed = list(_listed((document.get("values") or {}).get("root_module") or {}))
        return View(tuple(_read(listed, Configuration())), unseen=_unseen(listed))
    if document.get("version") == _STATE_VERSION and isinstance(document.get("resources"), list):
        return View(tuple(_raw_state(document)), unseen=_unseen(document["resources"]))
    return None


def _plan(document: Mapping[str, Any]) -> View:
    code = Configuration((document.get("configuration") or {}).get("root_module") or {})
    before: dict[str, Resource] = {}
    after: dict[str, Resource] = {}
    told: set[str] = set()
    for change in document.get("resource_changes") or ():
        told.add(str(change.get("address")))
        if _is_known(change):
            _change(change, code, before, after)
    planned = list(_listed((document.get("planned_values") or {}).get("root_module") or {}))
    prior = (document.get("prior_state") or {}).get("values") or {}
    for view, listed in ((after, planned), (before, _listed(prior.get("root_module") or {}))):
        untold = (item for item in listed if item.get("address") not in told)
        view.update((resource.address, resource) for resource in _read(untold, code))
    staying = [item for item in document.get("resource_changes") or () if _stays(item)]
    unseen = _unseen([*staying, *planned])
    put_off, partial = _put_off(document), _partial(document)
    return View(tuple(after.values()), tuple(before.values()), unseen, put_off, partial)


def _put_off(document: Mapping[str, Any]) -> tuple[str, ...]:
    """The addresses of changes that a plan defers."""
    changes = (item.get("resource_change") or {} for item in document.get("deferred_changes") or ())
    return tuple(sorted(str(change.get("address")) for change in changes if _is_known(change)))


def _partial(document: Mapping[str, Any]) -> str:
    """Why a plan leaves out some of the code; nothing where it holds all."""
    if document.get("errored"):
        return "it ended with an error"
    return "it is not complete, as with -target" if document.get("complete") is False else ""


def _stays(change: Mapping[str, Any]) -> bool:
    return (change.get("change") or {}).get("actions") != ["delete"]


def _change(
    resource: Mapping[str, Any],
    code: Configuration,
    before: dict[str, Resource],
    after: dict[str, Resource],
) -> None:
    change = resource.get("change") or {}
    key = f"{resource['address']} {resource.get('deposed') or ''}".rstrip()
    old, new = change.get("before"), change.get("after")
    if old:
        before[key] = _resource(resource, old, code)
    if _FORGETS.intersection(change.get("actions") or ()):
        after[key] = _resource(resource, old or {}, code)
    elif old and new == old and change.get("actions") == ["no-op"]:
        # one and the same, which is read once
        after[key] = before[key]
    elif new is not None:
        after[key] = _resource(resource, overlay(new, change.get("after_unknown")), code)


def _read(listed: Iterable[Mapping[str, Any]], code: Configuration) -> Iterator[Resource]:
    for resource in listed:
        if _is_known(resource):
            yield _resource(resource, resource.get("values") or {}, code)


def _unseen(listed: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    found = {
        str(item.get("address") or f"{item.get('type')}.{item.get('name')}")
        for item in listed
        if item.get("mode") != "data" and looks_like_firewall(str(item.get("type")))
    }
    return tuple(sorted(found))


def _listed(module: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from module.get("resources") or ()
    for child in module.get("child_modules") or ():
        yield from _listed(child)


def _is_known(resource: Mapping[str, Any]) -> bool:
    return resource.get("mode") != "data" and matters(str(resource.get("type")))


def _resource(resource: Mapping[str, Any], values: Mapping[str, Any], code: Configuration) -> Resource:
    address = str(resource["address"])
    module = module_of(address)
    place = without_index(address.removeprefix(f"{module}.") if module else address)
    return Resource(address, str(resource["type"]), values, module, code.expressions(module, place), code)


def _raw_state(document: Mapping[str, Any]) -> Iterator[Resource]:
    for resource in document["resources"]:
        if not _is_known(resource):
            continue
        module = resource.get("module") or ""
        place = f"{module}.{resource['type']}.{resource['name']}".lstrip(".")
        for instance in resource.get("instances") or ():
            address = f"{place}{_index(instance.get('index_key'))}"
            yield Resource(address, resource["type"], instance.get("attributes") or {}, module)


def _index(key: Any) -> str:
    if key is None:
        return ""
    if isinstance(key, str):
        escaped = key.replace("\\", "\\\\").replace('"', '\\"')
        return f'["{escaped}"]'
    return f"[{key}]"
