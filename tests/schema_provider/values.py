"""What a provider does with values: it plans them, settles them at apply, and completes them at read."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.schema_provider.schema import Block, Nested
from tests.schema_provider.wire import UNKNOWN, is_unknown

Object = dict[str, Any]
Key = str | int
_ZEROS: Mapping[str, Any] = {"string": "", "number": 0, "bool": False}
_COLLECTIONS = ("list", "set", "tuple")


def each_object(nested: Nested, value: Any, change: Callable[[Key, Object], Object]) -> Any:
    """The value with `change` made to each object in it; missing and unknown values stay."""
    if value is None or is_unknown(value):
        return value
    if nested.is_single:
        return change(0, value)
    if nested.mode == "map":
        return {key: change(key, item) for key, item in value.items()}
    return [item if is_unknown(item) else change(place, item) for place, item in enumerate(value)]


def below(name: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts on what is in `name`: of `spec.type`, `type` is below `spec`."""
    start = f"{name}."
    return {path[len(start) :]: fact for path, fact in facts.items() if path.startswith(start)}


# ---- plan


def plan_object(block: Block, proposed: Object, prior: Object | None, defaults: Mapping[str, Any]) -> Object:
    """The planned object: defaults where nothing is said, unknown where the provider will choose.

    `defaults` has a dotted path for each. What `prior` has chosen already, Terraform has put
    into `proposed`.
    """
    planned = dict(proposed)
    for name, attribute in block.attributes.items():
        value = planned.get(name)
        if value is None:
            value = defaults.get(name)
        if value is None and attribute.computed and prior is None:
            value = UNKNOWN
        planned[name] = zero_filled(attribute.type, value)
    for name, nested in block.nested():
        old = (prior or {}).get(name)
        rest = below(name, defaults)

        def plan_item(
            key: Key, item: Object, nested: Nested = nested, old: Any = old, rest: Object = rest
        ) -> Object:
            return plan_object(nested.block, item, _prior_item(nested, old, key, item), rest)

        planned[name] = each_object(nested, planned.get(name), plan_item)
    return planned


def _prior_item(nested: Nested, old: Any, key: Key, item: Object) -> Object | None:
    """What the object was before: by its place, or in a set, by being the same."""
    if old is None:
        return None
    if nested.is_single:
        return dict(old)
    if nested.mode == "map":
        return dict(old[key]) if key in old else None
    if nested.mode == "set":
        return item if item in old else None
    return dict(old[key]) if int(key) < len(old) else None


def zero_filled(kind: Any, value: Any) -> Any:
    """The value with zeros for what is left out of objects in an attribute that is written as a block.

    Terraform's older provider kit (SDKv2) does so; observed in the aws provider 5.100.0.
    """
    if not isinstance(value, list) or not isinstance(kind, list) or kind[0] not in _COLLECTIONS[:2]:
        return value
    if kind[1][0] != "object":
        return value
    return [_zero_filled_object(kind[1][1], item) if isinstance(item, dict) else item for item in value]


def _zero_filled_object(kinds: Mapping[str, Any], item: Object) -> Object:
    return {
        name: zero_filled(kind, _zero(kind) if item.get(name) is None else item[name])
        for name, kind in kinds.items()
    }


def _zero(kind: Any) -> Any:
    if isinstance(kind, str):
        return _ZEROS.get(kind)
    return {} if kind[0] == "map" else []


# ---- apply


def settle_object(block: Block, planned: Object, facts: Mapping[str, Any], seed: str) -> Object:
    """The object as the cloud made it: an answer for all that was unknown.

    `facts` has values for dotted paths; what they don't say is invented from `seed`.
    """
    settled = dict(planned)
    for name, nested in block.blocks.items():
        rest = below(name, facts)

        def settle_item(key: Key, item: Object, nested: Nested = nested, rest: Object = rest) -> Object:
            return settle_object(nested.block, item, rest, f"{seed}.{key}")

        settled[name] = each_object(nested, settled.get(name), settle_item)
    for name, attribute in block.attributes.items():
        kind, value = attribute.full_type(), settled.get(name)
        if is_unknown(value) and name in facts:
            value = conform(kind, facts[name])
        settled[name] = _settle(kind, value, f"{seed}.{name}")
    return settled


def _settle(kind: Any, value: Any, seed: str) -> Any:
    if is_unknown(value):
        return invent(kind, seed)
    if isinstance(value, list) and kind[0] in ("list", "set"):
        return [_settle(kind[1], item, f"{seed}.{place}") for place, item in enumerate(value)]
    if isinstance(value, dict) and kind[0] == "map":
        return {key: _settle(kind[1], item, f"{seed}.{key}") for key, item in value.items()}
    if isinstance(value, dict) and kind[0] == "object":
        return {key: _settle(kind[1][key], item, f"{seed}.{key}") for key, item in value.items()}
    return value


def invent(kind: Any, seed: str) -> Any:
    """A value of the type, always the same for a seed."""
    if kind == "string":
        return f"{seed.rpartition('.')[2]}-{digest(seed)[:8]}"
    if kind == "number":
        return int(digest(seed)[:4], 16)
    if kind == "bool":
        return False
    if isinstance(kind, list) and kind[0] == "object":
        return {name: invent(inner, f"{seed}.{name}") for name, inner in kind[1].items()}
    if isinstance(kind, list):
        return {} if kind[0] == "map" else []
    return None


def digest(text: str) -> str:
    """40 hexadecimal digits that stand for the text."""
    return hashlib.sha1(text.encode()).hexdigest()


# ---- read


def conform_object(block: Block, partial: Mapping[str, Any]) -> Object:
    """All that the schema asks for, from an object that need not have it all."""
    attributes = block.attributes.items()
    whole: Object = {name: conform(item.full_type(), partial.get(name)) for name, item in attributes}
    for name, nested in block.blocks.items():
        missing: Any = [] if nested.mode in ("list", "set") else None

        def conform_item(_: Key, item: Object, nested: Nested = nested) -> Object:
            return conform_object(nested.block, item)

        whole[name] = each_object(nested, partial.get(name, missing), conform_item)
    return whole


def conform(kind: Any, value: Any) -> Any:
    """The value with all members that objects of the type have."""
    if value is None or isinstance(kind, str):
        return value
    if kind[0] == "object":
        return {name: conform(inner, value.get(name)) for name, inner in kind[1].items()}
    if kind[0] == "map":
        return {key: conform(kind[1], item) for key, item in value.items()}
    return [conform(kind[1], item) for item in value] if kind[0] in ("list", "set") else value


# ---- places in objects


def leaves(value: Any, path: str) -> list[Any]:
    """What is known at a dotted path, in every element of the collections on the way."""
    found = [value]
    for part in path.split("."):
        found = [item[part] for parent in found for item in _elements(parent) if part in item]
    return [item for item in found if item is not None and not is_unknown(item)]


def _elements(value: Any) -> Sequence[Mapping[str, Any]]:
    items = value if isinstance(value, list) else [value]
    return [item for item in items if isinstance(item, dict)]
