"""The JSON that the verbs answer with: keys always present, in a fixed order (schemas/*.schema.json)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from skyports_tf.diagnostics import Diagnostic, told_once
from skyports_tf.model import Stack
from skyports_tf.outcomes import PortChanges, PortRule, ResourceCounts, StackClosed, StackPlan, StackStatus
from skyports_tf.report.diagnostics import diagnostic_json
from skyports_tf.report.endpoints import endpoints
from skyports_tf.report.expiry import expiry_json
from skyports_tf.report.rules import port_texts, stack_ports, task_files
from skyports_tf.roots import relative_file
from skyports_tf.running.changes import group_rules, stack_rules

if TYPE_CHECKING:
    from skyports_tf.clouds import Cloud
    from skyports_tf.compiler import CompiledStack
    from skyports_tf.drift import StackDrift
    from skyports_tf.unmanaged import UnmanagedCloud

VERSION = 1
Json = dict[str, Any]


def tree_json(out: str, stacks: Iterable[Json], diagnostics: Iterable[Diagnostic]) -> Json:
    """The document of `compile`, `plan`, `apply` and `destroy`."""
    return {"version": VERSION, "out": out, "stacks": list(stacks), "diagnostics": _findings(diagnostics)}


def status_json(
    statuses: Iterable[StackStatus], diagnostics: Iterable[Diagnostic], now: datetime | None = None
) -> Json:
    """The document of `status`; with `now`, ports past their time are told as expired."""
    stacks = [_status_json(status, now) for status in statuses]
    return {"version": VERSION, "stacks": stacks, "diagnostics": _findings(diagnostics)}


def compiled_json(compiled: CompiledStack) -> Json:
    """A stack of `compile`: what it is, its files relative to its folder, and whether they changed."""
    files = sorted(relative_file(compiled.stack, item.path) for item in compiled.files)
    return {
        **_stack_json(compiled.stack),
        "files": files,
        "changed": compiled.changed,
        "sky_config": compiled.stack.sky_config or None,
        "expires": expiry_json(compiled.stack),
    }


def kept_json(stack: Stack, files: Iterable[str]) -> Json:
    """A stack of `destroy`, which compiles nothing: its files as they are in the tree."""
    return {**_stack_json(stack), "files": sorted(files), "changed": False}


def planned_json(stack: Json, plan: StackPlan) -> Json:
    """A stack of `plan` and `apply`: that of `compile`, and what the plan does.

    An apply begins durations, so `expires` is the plan's.
    """
    run = {**changes_json(plan.changes, plan.counts), "steps": plan.steps}
    return {**stack, "expires": expiry_json(plan.stack), **run}


def closed_json(stack: Json, closed: StackClosed) -> Json:
    """A stack of `destroy`: what was closed, and whether nothing is left."""
    return {**stack, **changes_json(closed.changes, closed.counts), "verified_empty": closed.verified_empty}


def drift_json(stack: Json, drift: StackDrift) -> Json:
    """A stack of `drift`: how the cloud differs from what its state says."""
    return {
        **stack,
        "sky_config": drift.stack.sky_config or None,
        "expires": expiry_json(drift.stack),
        **changes_json(drift.changes, drift.counts),
        "objects": [
            {"address": item.address, "action": item.action, "attributes": list(item.attributes)}
            for item in drift.objects
        ],
        "foreign": None
        if drift.foreign is None
        else [{**rule_json(item.rule), "id": item.id} for item in drift.foreign],
        "state": drift.state,
    }


def adopted_json(compiled: CompiledStack, plan: StackPlan, rules: Iterable[PortRule], applied: bool) -> Json:
    """A stack of `adopt`: as of `plan`, the rules that come into our hands, and whether they have."""
    document = planned_json(compiled_json(compiled), plan)
    terraform = {"import": plan.counts.imported, **document["terraform"]}
    return {
        **document,
        "terraform": terraform,
        "adopts": [rule_json(rule) for rule in rules],
        "applied": applied,
    }


def released_json(stack: Json, released: StackClosed) -> Json:
    """A stack of `release`: nothing opens or closes, and the state is empty."""
    document = {**stack, **changes_json(released.changes, released.counts)}
    terraform = {**document["terraform"], "forget": released.counts.forgotten}
    return {**document, "terraform": terraform, "released": released.verified_empty}


def rule_json(rule: PortRule) -> Json:
    """A rule in port words."""
    return {
        "protocol": rule.protocol,
        "from_port": rule.from_port,
        "to_port": rule.to_port,
        "sources": list(rule.sources),
        "tasks": list(rule.tasks),
    }


def names_json(
    cluster: str, user_hash: str | None, clouds: Mapping[str, Json], diagnostics: Iterable[Diagnostic]
) -> Json:
    """The document of `names`: each cloud's names by their kind."""
    return {
        "version": VERSION,
        "cluster": cluster,
        "user_hash": user_hash,
        "clouds": clouds,
        "diagnostics": _findings(diagnostics),
    }


def clouds_json(managed: Iterable[Cloud], unmanaged: Iterable[UnmanagedCloud]) -> Json:
    """The document of `clouds`: `reason` and `instead` are null for those that can be had."""
    known = [_managed_json(cloud) for cloud in managed] + [_unmanaged_json(cloud) for cloud in unmanaged]
    return {"version": VERSION, "clouds": sorted(known, key=lambda cloud: str(cloud["name"]))}


def _managed_json(cloud: Cloud) -> Json:
    return {
        "name": cloud.name,
        "managed": True,
        "title": cloud.title,
        "provider": {"source": cloud.provider.source, "version": cloud.provider.version},
        "sources": list(cloud.sources),
        "protocols": list(cloud.protocols),
        "modes": list(cloud.modes),
        "limits": {
            name: {
                "value": limit.value,
                "quota": limit.quota,
                "setting": limit.setting,
                "maximum": limit.maximum,
                "source": limit.source,
                "unverified": limit.unverified,
            }
            for name, limit in cloud.limits.items()
        },
        "takeover": cloud.takeover,
        "reason": None,
        "instead": None,
    }


def _unmanaged_json(cloud: UnmanagedCloud) -> Json:
    return {
        "name": cloud.name,
        "managed": False,
        "title": None,
        "provider": None,
        "sources": [],
        "protocols": [],
        "modes": [],
        "limits": {},
        "takeover": None,
        "reason": cloud.reason,
        "instead": cloud.instead,
    }


def _stack_json(stack: Stack) -> Json:
    return {
        "name": stack.name,
        "directory": stack.directory,
        "cluster": stack.cluster,
        "cloud": stack.cloud,
        "region": stack.region,
        "tasks": task_files(stack),
        "ports": stack_ports(stack),
        "rules": [rule_json(rule) for rule in group_rules(stack_rules(stack).values())],
    }


def changes_json(changes: PortChanges, counts: ResourceCounts) -> Json:
    """What a run of Terraform does, in port words and in resources."""
    return {
        "changes": {
            "open": [rule_json(rule) for rule in changes.open],
            "change": [
                {"before": rule_json(item.before), "after": rule_json(item.after)} for item in changes.change
            ],
            "close": [rule_json(rule) for rule in changes.close],
        },
        "terraform": {
            "create": counts.create,
            "update": counts.update,
            "delete": counts.delete,
            **({"import": counts.imported} if counts.imported else {}),
        },
    }


def _status_json(status: StackStatus, now: datetime | None) -> Json:
    return {
        "name": status.stack.name,
        "cluster": status.stack.cluster,
        "cloud": status.stack.cloud,
        "region": status.stack.region,
        "state": status.state,
        "ports": port_texts(status.rules),
        "rules": [rule_json(rule) for rule in status.rules],
        "nodes": [
            {"id": node.id, "public_ip": node.public_ip, "private_ip": node.private_ip}
            for node in status.nodes
        ],
        "endpoints": {str(port): text for port, text in sorted(endpoints(status))},
        "expires": expiry_json(status.stack, now),
    }


def _findings(diagnostics: Iterable[Diagnostic]) -> list[Json]:
    return [diagnostic_json(item) for item in told_once(diagnostics)]
