"""What names mean in .tf files, and how often a block stands for something."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from skyports_tf.exposure.hcl_code import Body
from skyports_tf.exposure.hcl_expressions import references_of
from skyports_tf.exposure.values import UNKNOWN

#: Arguments and blocks that are Terraform's own, on every resource.
META: Final = frozenset(
    {"for_each", "count", "lifecycle", "depends_on", "provider", "provisioner", "connection"}
)
_MOST_INSTANCES: Final = 10_000

#: Index of an instance, and the names that it adds.
Instances = list[tuple[str, dict[str, Any]]]


class Names(Protocol):
    """The names of a module."""

    def variable(self, name: str) -> Any:
        """The value of var.NAME, `UNKNOWN` where it has none."""

    def local(self, name: str) -> Any:
        """The value of local.NAME, `UNKNOWN` where it has none."""

    def attribute(self, steps: Sequence[str | int]) -> Any:
        """The value of TYPE.NAME.ATTRIBUTE, `UNKNOWN` where it has none."""


class NoNames:
    """A scope without names."""

    def lookup(self, steps: Sequence[str | int]) -> Any:  # noqa: ARG002 - the protocol names it
        """No name has a value."""
        return UNKNOWN


class ModuleScope:
    """The names of a module, and those that a block adds, such as each.value."""

    def __init__(self, module: Names, names: Mapping[str, Any]) -> None:
        self.module, self.names = module, names

    def lookup(self, steps: Sequence[str | int]) -> Any:
        """The value of a reference in this module; see `Scope`."""
        head, *rest = steps
        if head in self.names:
            return _walk(self.names[str(head)], rest)
        if head in ("var", "local") and rest:
            value = self.module.variable(str(rest[0])) if head == "var" else self.module.local(str(rest[0]))
            return _walk(value, rest[1:])
        return self.module.attribute(steps) if len(steps) == 3 else UNKNOWN


def _walk(value: Any, steps: Sequence[str | int]) -> Any:
    for step in steps:
        if value is UNKNOWN:
            return UNKNOWN
        try:
            value = value[str(step)] if isinstance(value, dict) else value[int(step)]
        except (LookupError, TypeError, ValueError):
            return UNKNOWN
    return value


def counted(value: Any) -> Instances | None:
    """The instances of a `count`; None where it is not known."""
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return [(f"[{place}]", {"count": {"index": place}}) for place in range(min(value, _MOST_INSTANCES))]


def each_of(value: Any) -> Instances | None:
    """Index and names of each item of a set, a list or a mapping; None where one of its keys is not known."""
    if isinstance(value, dict):
        pairs = list(value.items())
    elif isinstance(value, list) and UNKNOWN not in value:
        pairs = [(item if isinstance(item, str) else str(place), item) for place, item in enumerate(value)]
    else:
        return None
    return [(f'["{key}"]', {"each": {"key": key, "value": item}}) for key, item in pairs]


def expressions_of(body: Body) -> dict[str, Any]:
    """A body as the `expressions` of a plan's configuration: what each attribute refers to."""
    found: dict[str, Any] = {
        name: {"references": references_of(item.text)}
        for name, item in body.attributes.items()
        if name not in META
    }
    for block in body.blocks:
        if block.kind == "dynamic" and block.labels:
            inside = next(block.body.of("content"), None)
            parts = [] if inside is None else [expressions_of(inside.body)]
            found.setdefault(block.labels[0], []).extend(parts)
        elif block.kind not in META and isinstance(found.setdefault(block.kind, []), list):
            found[block.kind].append(expressions_of(block.body))
    return found
