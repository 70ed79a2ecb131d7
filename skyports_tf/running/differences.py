"""What a refresh-only plan of Terraform's means in ports: how the cloud differs from what the state says.

Read from `terraform show -json` of the plan (format 1.2, Terraform 1.11): `resource_drift` has each
resource before and after, `output_changes` the outputs, and `configuration` which attributes are
set by us. What only the provider computes is no drift, and neither is a node that came or went.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from skyports_tf.model import Stack
from skyports_tf.outcomes import PortChanges, ResourceCounts
from skyports_tf.reach import union
from skyports_tf.running.changes import (
    PORT_RULE,
    OpenRule,
    Rules,
    changed_rules,
    is_content_key,
    output_rules,
    resources_of,
    rule_of,
    rule_of_key,
)
from skyports_tf.running.contents import cell_changes, reach_changes
from skyports_tf.running.openings import openings_of
from skyports_tf.running.ssh import SSH_RULE
from skyports_tf.running.state import with_tasks

#: Resources that let something in, on every cloud: ports, SSH, and all traffic among the nodes.
_INGRESS: Final = (PORT_RULE, SSH_RULE, "self")
#: What binds a group to a node; its key is the node's id.
_BINDING: Final = "node"

_Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DriftedObject:
    """An object in the state that is gone (`delete`) or other than it was (`update`) in the cloud."""

    address: str
    action: Literal["update", "delete"]
    attributes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Differences:
    """How the cloud differs from the state.

    `changes` are in port words, `objects` what these do not tell. `held` are the ids of all that
    the state holds, `is_empty` says that it holds nothing. `addresses` are the drifted resources,
    `counts` how many of them changed or went.
    """

    changes: PortChanges
    objects: tuple[DriftedObject, ...]
    held: frozenset[str]
    is_empty: bool
    addresses: tuple[str, ...]
    counts: ResourceCounts


#: A state that holds nothing, and so cannot differ.
NOTHING: Final = Differences(PortChanges(), (), frozenset(), True, (), ResourceCounts())


def differences_of(shown: _Json, stack: Stack, dynamic: frozenset[str]) -> Differences:
    """The differences from a shown plan; `dynamic` are the blocks that the module makes by `dynamic`.

    The plan's configuration does not list these blocks.
    """
    drifted = [item for item in shown.get("resource_drift") or () if not _is_gone_node(item, shown)]
    before, after = _outputs(shown, "before"), _outputs(shown, "after")
    ports = [item for item in drifted if item.get("name") == PORT_RULE]
    if all(is_content_key(_key(item)) for item in ports):
        pairs = {item["address"]: _contents(item, before, after) for item in drifted if _lets_in(item)}
        changes = changed_rules(
            (_asked(old, stack), _asked(new, stack)) for old, new in pairs.values() if old != new
        )
        told = {address for address, (old, new) in pairs.items() if old != new}
    else:
        changes = _packed_changes(ports, shown, stack) or cell_changes(before, after, stack)
        told = {item["address"] for item in ports} if changes != PortChanges() else set()
    ours = _ConfiguredAttributes(shown.get("configuration") or {}, dynamic)
    objects = tuple(_objects((item for item in drifted if item["address"] not in told), ours))
    held = _ids(_held(shown))
    actions = [_action(item) for item in drifted if item["address"] in told]
    actions += [item.action for item in objects]
    return Differences(
        changes=changes,
        objects=objects,
        held=held | {str(_values(item, "before").get("id")) for item in drifted},
        is_empty=not held and not drifted,
        addresses=tuple(item["address"] for item in drifted),
        counts=ResourceCounts(update=actions.count("update"), delete=actions.count("delete")),
    )


def _packed_changes(ports: Sequence[_Json], shown: _Json, stack: Stack) -> PortChanges | None:
    """What rules that hold many ports opened and closed; None where their attributes do not tell."""
    found = [(_values(item, "before"), _values(item, "after"), item["address"]) for item in ports]
    if not all(openings_of(old) and (openings_of(new) or not new) for old, new, _ in found):
        return None
    drifted = {address for _, _, address in found}
    rest = [
        openings_of(item.get("values"))
        for item in _held(shown)
        if item.get("name") == PORT_RULE and item.get("address") not in drifted
    ]
    old = union([*rest, *(openings_of(values) for values, _, _ in found)])
    new = union([*rest, *(openings_of(values) for _, values, _ in found)])
    return reach_changes(old, new, stack)


def _values(item: _Json, when: str) -> _Json:
    return (item.get("change") or {}).get(when) or {}


def _asked(rule: OpenRule | None, stack: Stack) -> OpenRule | None:
    """The rule, with the task files that ask for it."""
    return with_tasks({_content_key(rule): rule}, stack)[_content_key(rule)] if rule else None


def _content_key(rule: OpenRule) -> str:
    return f"{rule.protocol}-{rule.from_port}@{rule.source}"


def _contents(item: _Json, before: Rules, after: Rules) -> tuple[OpenRule | None, OpenRule | None]:
    """What a rule opens before and after, None where it is gone, or where nothing tells."""
    key = _key(item)
    is_port = item.get("name") == PORT_RULE
    change = item.get("change") or {}
    old = _told(change.get("before"), before.get(key) if is_port else None)
    if old is None and is_port:
        old = rule_of_key(key)
    if _action(item) == "delete":
        return old, None
    return old, _told(change.get("after"), after.get(key) if is_port else None) or old


def _told(attributes: object, output: OpenRule | None) -> OpenRule | None:
    """From the attributes where they speak of ports as we do, else from the output."""
    found = rule_of(attributes)
    if found is not None and not found.protocol.isdigit():
        return found
    return output


def _lets_in(item: _Json) -> bool:
    return item.get("name") in _INGRESS


def _key(item: _Json) -> str:
    index = item.get("index")
    return "" if index is None else str(index)


def _action(item: _Json) -> str:
    actions = (item.get("change") or {}).get("actions") or ()
    return "delete" if "delete" in actions else "update"


def _outputs(shown: _Json, when: str) -> dict[str, OpenRule]:
    return output_rules({"rules": _output(shown, "rules", when)})


def _output(shown: _Json, name: str, when: str) -> object:
    return ((shown.get("output_changes") or {}).get(name) or {}).get(when)


def _is_gone_node(item: _Json, shown: _Json) -> bool:
    """Whether what drifted bound a group to a node that is gone: that is no drift of the ports."""
    nodes = _output(shown, "nodes", "after")
    if item.get("name") != _BINDING or _action(item) != "delete" or not isinstance(nodes, list):
        return False
    return _key(item) not in {str(node.get("id")) for node in nodes if isinstance(node, dict)}


def _objects(drifted: Iterable[_Json], ours: _ConfiguredAttributes) -> Iterator[DriftedObject]:
    for item in sorted(drifted, key=lambda item: str(item["address"])):
        if _action(item) == "delete":
            yield DriftedObject(item["address"], "delete")
        elif names := tuple(sorted(ours.changed(item))):
            yield DriftedObject(item["address"], "update", names)


class _ConfiguredAttributes:
    """Which attributes of which resource are set in the files: others are the provider's alone."""

    def __init__(self, configuration: _Json, dynamic: frozenset[str]) -> None:
        self._expressions = dict(_expressions(configuration.get("root_module") or {}))
        self._dynamic = dynamic

    def changed(self, item: _Json) -> Iterator[str]:
        """The attributes set by us that a drifted resource has other values of."""
        change = item.get("change") or {}
        before, after = change.get("before") or {}, change.get("after") or {}
        set_here = self._expressions.get((str(item.get("type")), str(item.get("name"))))
        if set_here is None:
            return
        for name in {*before, *after}:
            known = set_here.get(name)
            # an attribute has its expression, a block a list of them
            if (known is not None or name in self._dynamic) and _differ(
                known, before.get(name), after.get(name)
            ):
                yield name


def _differ(known: object, before: object, after: object) -> bool:
    blocks = _blocks(known)
    if not blocks or not isinstance(before, list) or not isinstance(after, list):
        return before != after
    if len(before) != len(after):
        return True
    # a dynamic block inside is not listed, so what cannot be told apart counts
    names = {name for item in blocks for name in item}
    return any(
        _differ(_inside(blocks, name), old.get(name), new.get(name))
        for old, new in zip(before, after, strict=True)
        if isinstance(old, dict) and isinstance(new, dict)
        for name in names
    )


def _blocks(known: object) -> list[_Json]:
    """The expressions of a block, once for each; empty for an attribute."""
    found = known if isinstance(known, list) else []
    return found if all(isinstance(item, dict) for item in found) else []


def _inside(blocks: Iterable[_Json], name: str) -> object:
    return next((block[name] for block in blocks if name in block), None)


def _expressions(module: _Json) -> Iterator[tuple[tuple[str, str], _Json]]:
    for item in module.get("resources") or ():
        yield (str(item.get("type")), str(item.get("name"))), item.get("expressions") or {}
    for call in (module.get("module_calls") or {}).values():
        yield from _expressions(call.get("module") or {})


def _ids(resources: Iterable[_Json]) -> frozenset[str]:
    found = ((item.get("values") or {}).get("id") for item in resources)
    return frozenset(str(name) for name in found if name)


def _held(shown: _Json) -> Iterable[_Json]:
    values = (shown.get("prior_state") or {}).get("values") or {}
    found = resources_of(values.get("root_module") or {})
    return (item for item in found if item.get("mode") == "managed")
