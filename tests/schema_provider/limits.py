"""Rules on an object among the others in the cloud: unique, not too many, of something that is there.

They show at apply, when the cloud is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from tests.schema_provider.facts import Rule, value_at
from tests.schema_provider.objects import Cloud
from tests.schema_provider.rules import About, applies

Check = Callable[[About, str, Mapping[str, Any], Cloud], Iterator[str]]


def refusals(rules: Iterable[Rule], kind: str, value: Mapping[str, Any], cloud: Cloud) -> list[str]:
    """Why the cloud won't have the object, new or changed."""
    return _ask(WRITE_CHECKS, rules, kind, value, cloud)


def holders(rules: Iterable[Rule], kind: str, value: Mapping[str, Any], cloud: Cloud) -> list[str]:
    """Why the cloud won't delete the object."""
    return _ask(DELETE_CHECKS, rules, kind, value, cloud)


def _ask(
    checks: Mapping[str, Check], rules: Iterable[Rule], kind: str, value: Mapping[str, Any], cloud: Cloud
) -> list[str]:
    return [
        message
        for rule in rules
        if rule.kind in checks and applies(rule.about, value)
        for message in checks[rule.kind](rule.about, kind, value, cloud)
    ]


def _others(about: About, kind: str, value: Mapping[str, Any], cloud: Cloud) -> list[Mapping[str, Any]]:
    """The other objects of the type that share the values of `within`."""
    scope = about.get("within", ())
    return [
        other for other in cloud.made(kind) if other["id"] != value.get("id") and _agree(scope, value, other)
    ]


def _agree(names: Iterable[str], one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return all(one.get(name) == other.get(name) for name in names)


def _unique(about: About, kind: str, value: Mapping[str, Any], cloud: Cloud) -> Iterator[str]:
    for other in _others(about, kind, value, cloud):
        if _agree(about["fields"], value, other):
            taken = ", ".join(f"{name} {value.get(name)!r}" for name in about["fields"])
            yield f"{taken} is taken by {other['id']}"


def _quota(about: About, kind: str, value: Mapping[str, Any], cloud: Cloud) -> Iterator[str]:
    if len(_others(about, kind, value, cloud)) >= about["max"]:
        yield f"quota exceeded: at most {about['max']} {kind}"


def _exists(about: About, kind: str, value: Mapping[str, Any], cloud: Cloud) -> Iterator[str]:
    """`fields` maps attributes to those of the `type` that has to be there."""
    wanted = {there: value_at(value, here) for here, there in about["fields"].items()}
    there = cloud.there(about["type"])
    if not any(all(value_at(other, name) == item for name, item in wanted.items()) for other in there):
        yield f"no such {about['type']}: {', '.join(f'{name} {item!r}' for name, item in wanted.items())}"


def _unused(about: About, kind: str, value: Mapping[str, Any], cloud: Cloud) -> Iterator[str]:
    users = [other["id"] for other in cloud.made(about["type"]) if other.get(about["field"]) == value["id"]]
    if users:
        yield f"{value['id']} is still used by {', '.join(sorted(users))}"


#: The kinds of rules on an object among others, when it is made or changed, and when it is deleted.
WRITE_CHECKS: Mapping[str, Check] = {"unique": _unique, "quota": _quota, "exists": _exists}
DELETE_CHECKS: Mapping[str, Check] = {"unused": _unused}
