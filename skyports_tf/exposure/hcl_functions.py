"""The functions of HCL that have a value wherever what they are given has one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from skyports_tf.exposure.values import UNKNOWN


def spelled(value: Any) -> str:
    """A plain value as HCL puts it into a text; raises `TypeError` for one that is not known."""
    if value is UNKNOWN or isinstance(value, (list, dict)):
        raise TypeError("no plain value")
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _flatten(value: Sequence[Any]) -> list[Any]:
    return [part for item in value for part in (_flatten(item) if isinstance(item, list) else [item])]


def _merge(*given: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for mapping in given for key, value in mapping.items()}


def _distinct(value: Sequence[Any]) -> list[Any]:
    return [item for place, item in enumerate(value) if item not in value[:place]]


#: By name, each of plain values, lists and mappings.
FUNCTIONS: Final[dict[str, Callable[..., Any]]] = {
    "compact": lambda value: [item for item in value if item not in (None, "")],
    "concat": lambda *given: [item for value in given for item in value],
    "distinct": _distinct,
    "flatten": _flatten,
    "join": lambda mark, value: str(mark).join(map(spelled, value)),
    "keys": lambda value: sorted(value),
    "length": len,
    "lower": lambda value: str(value).lower(),
    "merge": _merge,
    "sort": lambda value: sorted(value),
    "split": lambda mark, value: str(value).split(mark),
    "tolist": list,
    "tomap": dict,
    "tonumber": int,
    "toset": _distinct,
    "tostring": spelled,
    "upper": lambda value: str(value).upper(),
    "values": lambda value: [value[key] for key in sorted(value)],
}
