"""What a plan of Terraform's means in ports, and what a state's outputs say is open.

A port rule is a resource named `port`, on every cloud; its for_each key is the key of the rule
in the stack. The stream names keys and actions only: what a rule will be comes from the stack,
what it was from the state's outputs, and where these can't tell, from `terraform show -json`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from skyports_tf.model import Stack
from skyports_tf.outcomes import Node, PortChanges, PortRule, ResourceCounts, RuleChange
from skyports_tf.ports import FIRST_PORT, LAST_PORT
from skyports_tf.running.openings import openings_of
from skyports_tf.running.stream import Record
from skyports_tf.sources import SourceError, parse_source

PORT_RULE = "port"

#: What the clouds' rule resources call protocol and source, the first that is set counts.
_PROTOCOL_ATTRIBUTES = ("ip_protocol", "protocol")
_SOURCE_ATTRIBUTES = ("cidr_ipv4", "cidr_ipv6", "prefix_list_id", "referenced_security_group_id", "source")
_KEY = re.compile(r"(?P<protocol>[a-z]+)-(?P<port>[0-9]{1,5})@(?P<source>.+)")
# what removed blocks do, as Terraform and OpenTofu spell it
_FORGETS = ("forget", "remove")
_REWRITES = frozenset({"update", "delete", "replace"})


@dataclass(frozen=True, slots=True)
class OpenRule:
    """One range open to one source, as a state, a plan or a stack has it."""

    protocol: str
    from_port: int
    to_port: int
    source: str
    tasks: tuple[str, ...] = ()

    @property
    def opening(self) -> tuple[str, int, int, str]:
        """What it opens, whoever asked for it."""
        return self.protocol, self.from_port, self.to_port, self.source


Rules = Mapping[str, OpenRule]


def planned_rules(record: Record) -> dict[str, str]:
    """The port rules that a plan touches: key to action (create, update, delete or replace).

    A cloud whose rules stand in one resource has the key "" alone.
    """
    return {
        change.resource.key or "": change.action
        for change in record.planned
        if change.resource.name == PORT_RULE and (change.action == "create" or change.action in _REWRITES)
    }


def is_content_key(key: str) -> bool:
    """Whether a rule's key says what the rule opens: protocol, first port and source."""
    return _KEY.fullmatch(key) is not None


def needs_outputs(record: Record) -> bool:
    """Whether the plan touches port rules that are there already."""
    return bool(_REWRITES.intersection(planned_rules(record).values()))


def needs_plan(record: Record, stack: Rules, before: Rules) -> bool:
    """Whether only the plan itself can tell: a rule is drifted, or neither stack nor state knows it."""
    planned = planned_rules(record)
    drifted = {drift.resource.key for drift in record.drift if drift.resource.name == PORT_RULE}
    return any(
        (action in _REWRITES and (key in drifted or key not in before))
        or (action != "delete" and key not in stack)
        for key, action in planned.items()
    )


def stack_rules(stack: Stack) -> dict[str, OpenRule]:
    """The rules that a stack wants, by key."""
    return {
        rule.key: OpenRule(rule.protocol, rule.ports.first, rule.ports.last, str(rule.source), rule.tasks)
        for rule in stack.rules
    }


def output_rules(outputs: Mapping[str, Any]) -> dict[str, OpenRule]:
    """The rules of a state by key, from its root output `rules`; what has another form is left out."""
    rules = outputs.get("rules")
    found = rules.items() if isinstance(rules, dict) else ()
    return {key: rule for key, value in found if (rule := rule_of(value)) is not None}


def state_rules(shown: Mapping[str, Any], stack: Rules) -> dict[str, OpenRule]:
    """The rules by key from the resources of `terraform show -json`, without a plan file.

    Of a resource whose attributes have another form, `stack` or its key tell what it opens: a
    rule that is there is never left out.
    """
    root = (shown.get("values") or {}).get("root_module") or {}
    found = (
        (str(item.get("index")), item.get("values")) for item in resources_of(root) if _is_port_rule(item)
    )
    return {key: rule_of(values) or stack.get(key) or rule_of_key(key) for key, values in found}


def plan_rules(shown: Mapping[str, Any], stack: Rules) -> tuple[dict[str, OpenRule], dict[str, OpenRule]]:
    """The rules before and after by key, from `terraform show -json PLAN`; see `state_rules`."""
    before: dict[str, OpenRule] = {}
    after: dict[str, OpenRule] = {}
    for resource in filter(_is_port_rule, shown.get("resource_changes") or ()):
        change, key = resource.get("change") or {}, str(resource.get("index"))
        if change.get("before"):
            before[key] = rule_of(change["before"]) or rule_of_key(key)
        if change.get("after"):
            after[key] = rule_of(change["after"]) or stack.get(key) or rule_of_key(key)
    return before, after


def port_changes(record: Record, before: Rules, after: Rules) -> PortChanges:
    """The plan in port words: `before` and `after` hold at least the rules that it touches."""
    planned = planned_rules(record)
    opened = [
        after[key] for key, action in planned.items() if action in ("create", "replace") and key in after
    ]
    closed = [
        before[key] for key, action in planned.items() if action in ("delete", "replace") and key in before
    ]
    changed = [
        (before[key], after[key])
        for key, action in planned.items()
        if action == "update" and key in before and key in after and before[key].opening != after[key].opening
    ]
    return PortChanges(open=group_rules(opened), change=_group_changes(changed), close=group_rules(closed))


def changed_rules(pairs: Iterable[tuple[OpenRule | None, OpenRule | None]]) -> PortChanges:
    """Rules before and after in port words; None is for a rule that is not there."""
    known = list(pairs)
    return PortChanges(
        open=group_rules(new for old, new in known if new and not old),
        change=_group_changes(
            [(old, new) for old, new in known if old and new and old.opening != new.opening]
        ),
        close=group_rules(old for old, new in known if old and not new),
    )


def resource_counts(record: Record) -> ResourceCounts:
    """How many resources the plan creates, updates and deletes, takes over and lets go of."""
    actions = [change.action for change in record.planned]
    summary, forgotten = record.summary, sum(map(actions.count, _FORGETS))
    if summary is not None:
        return ResourceCounts(summary.add, summary.change, summary.remove, summary.imported, forgotten)
    replaced = actions.count("replace")
    return ResourceCounts(
        actions.count("create") + replaced, actions.count("update"), actions.count("delete") + replaced
    )


def outputs_changed(record: Record) -> bool:
    """Whether the plan changes the root module's outputs."""
    actions = record.outputs.actions.values() if record.outputs else ()
    return any(action not in ("", "noop") for action in actions)


def group_rules(rules: Iterable[OpenRule]) -> tuple[PortRule, ...]:
    """One `PortRule` a protocol and range, in the order of the ports, its sources sorted."""
    groups: dict[tuple[str, int, int], list[OpenRule]] = {}
    for rule in rules:
        groups.setdefault((rule.protocol, rule.from_port, rule.to_port), []).append(rule)
    ordered = sorted(groups.items(), key=lambda item: (item[0][1], item[0][2], item[0][0]))
    return tuple(_port_rule(members) for _, members in ordered)


def nodes_of(outputs: Mapping[str, Any]) -> tuple[Node, ...]:
    """The nodes of a state, from its root output `nodes`; an empty address is none."""
    nodes = outputs.get("nodes")
    return tuple(
        Node(
            id=str(node.get("id", "")),
            public_ip=node.get("public_ip") or None,
            private_ip=node.get("private_ip") or None,
            is_head=bool(node.get("head")),
        )
        for node in (nodes if isinstance(nodes, list) else ())
        if isinstance(node, dict)
    )


def endpoints_of(outputs: Mapping[str, Any]) -> dict[str, str]:
    """Where ports are reached, from the root output `endpoints`; empty where there is none."""
    endpoints = outputs.get("endpoints")
    return {str(port): str(text) for port, text in endpoints.items()} if isinstance(endpoints, dict) else {}


def _group_changes(changed: list[tuple[OpenRule, OpenRule]]) -> tuple[RuleChange, ...]:
    groups: dict[tuple[object, ...], list[tuple[OpenRule, OpenRule]]] = {}
    for before, after in changed:
        # a rule whose source changed stands alone: merged, nobody could tell who gains and who loses
        alone = None if before.source == after.source else (before.source, after.source)
        groups.setdefault((before.opening[:3], after.opening[:3], alone), []).append((before, after))
    changes = [
        RuleChange(_port_rule([old for old, _ in pairs]), _port_rule([new for _, new in pairs]))
        for pairs in groups.values()
    ]
    return tuple(
        sorted(changes, key=lambda item: (item.after.from_port, item.after.to_port, item.after.protocol))
    )


def _port_rule(rules: list[OpenRule]) -> PortRule:
    sources = sorted({rule.source for rule in rules}, key=_source_order)
    tasks = sorted({task for rule in rules for task in rule.tasks})
    return PortRule(rules[0].protocol, rules[0].from_port, rules[0].to_port, tuple(sources), tuple(tasks))


def _source_order(source: str) -> tuple[int, int, int, str]:
    try:
        return parse_source(source).sort_key
    except SourceError:
        return 9, 0, 0, source


def rule_of(attributes: object) -> OpenRule | None:
    """One rule from the attributes of its resource, or from an item of the output `rules`; else None."""
    if not isinstance(attributes, dict):
        return None
    if not isinstance(attributes.get("from_port"), int) and (read := _lone_opening(attributes)):
        return read
    protocol = next((str(attributes[name]) for name in _PROTOCOL_ATTRIBUTES if attributes.get(name)), "")
    source = next((str(attributes[name]) for name in _SOURCE_ATTRIBUTES if attributes.get(name)), "")
    if not protocol or not source:
        return None
    first, last = attributes.get("from_port"), attributes.get("to_port")
    if protocol == "-1" or not isinstance(first, int) or not isinstance(last, int):
        # every protocol, which has no ports of its own
        return OpenRule("all" if protocol == "-1" else protocol, FIRST_PORT, LAST_PORT, source)
    return OpenRule(protocol, first, last, source)


def _lone_opening(attributes: object) -> OpenRule | None:
    """One rule from attributes that hold its ports in a block of their own."""
    found = [(place, item) for place, ports in openings_of(attributes).items() for item in ports]
    if len(found) != 1:
        return None
    ((protocol, source), ports) = found[0]
    return OpenRule(protocol, ports.first, ports.last, source)


def rule_of_key(key: str) -> OpenRule:
    """What a content key says: its first port stands for the range; another key stands for all ports."""
    found = _KEY.fullmatch(key)
    if found is None:
        return OpenRule("all", FIRST_PORT, LAST_PORT, key)
    return OpenRule(found["protocol"], int(found["port"]), int(found["port"]), found["source"])


def _is_port_rule(resource: Mapping[str, Any]) -> bool:
    return resource.get("name") == PORT_RULE and resource.get("mode") != "data"


def resources_of(module: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    """The resources of a module in `terraform show -json`, and of the modules that it calls."""
    yield from module.get("resources") or ()
    for child in module.get("child_modules") or ():
        yield from resources_of(child)
