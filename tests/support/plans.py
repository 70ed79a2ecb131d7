"""Plans and states as `terraform show -json` has them, from a few attributes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def change(
    address: str,
    after: Mapping[str, Any] | None,
    before: Mapping[str, Any] | None = None,
    unknown: Mapping[str, Any] | None = None,
    actions: Sequence[str] | None = None,
) -> dict[str, Any]:
    """One entry of `resource_changes`; what is done follows from what was and what will be."""
    place = address.rpartition("[")[0] if address.endswith("]") else address
    *_, kind, name = place.split(".")
    if actions is None:
        actions = ["delete"] if after is None else ["create"] if before is None else ["no-op"]
        actions = ["update"] if before is not None and after is not None and before != after else actions
    return {
        "address": address,
        "mode": "managed",
        "type": kind,
        "name": name,
        "change": {
            "actions": list(actions),
            "before": before,
            "after": after,
            "after_unknown": unknown or ({} if after is not None else False),
        },
    }


def plan(*changes: Mapping[str, Any], configuration: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A plan of these changes."""
    return {
        "format_version": "1.2",
        "terraform_version": "1.11.4",
        "resource_changes": list(changes),
        "configuration": {"root_module": configuration or {}},
    }


def code(**resources: Mapping[str, Any]) -> dict[str, Any]:
    """The root module of a plan's configuration: expressions by TYPE__NAME."""
    return {
        "resources": [
            {"address": place.replace("__", "."), "expressions": expressions}
            for place, expressions in resources.items()
        ]
    }


def state(resources: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """A state of these resources, by address."""
    listed = [
        {"address": address, "mode": "managed", "type": address.split(".")[0], "values": values}
        for address, values in resources.items()
    ]
    return {
        "format_version": "1.0",
        "terraform_version": "1.11.4",
        "values": {"root_module": {"resources": listed}},
    }
