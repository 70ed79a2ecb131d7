"""One stack of a shared root module, seen as if it had its root module to itself.

What Terraform says of the root is cut down to the stack's module, which is then called as in a root of
its own; addresses of ours are called back. So all that knows what a stack's resources mean needs no
word on layouts. Formats: state version 4, `terraform show -json` 1.2, "Machine-Readable UI" 1.2.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from skyports_tf.model import Stack
from skyports_tf.roots import LONE_MODULE, module_of
from skyports_tf.running.stream import Drift, Outputs, PlannedChange, Record, Resource, Summary

_LONE: Final = f"module.{LONE_MODULE}"
_IMPORT: Final = "import"
# where a diagnostic points, as `format_message` has it
_PLACE: Final = re.compile(r"with (module\.[^.\[]+)[.\[]")
_MODULE: Final = re.compile(r"module\.[^.\[]+")

_Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Lens:
    """A stack's module in a root module: `module` is its address there, such as `module.jupyter`."""

    module: str

    @classmethod
    def of(cls, stack: Stack) -> Lens:
        """The lens of a stack; that of a stack with a root module of its own changes nothing."""
        return cls(f"module.{module_of(stack)}")

    @property
    def output(self) -> str:
        """The name of the output that tells of the stack."""
        return self.module.removeprefix("module.")

    @staticmethod
    def module_in(address: str) -> str:
        """The module of the root that an address is in; empty where it is in none."""
        found = _MODULE.match(address)
        return found[0] if found else ""

    def outward(self, address: str) -> str:
        """An address of the stack as it is called in the root module."""
        if address == _LONE or address.startswith((f"{_LONE}.", f"{_LONE}[")):
            return self.module + address.removeprefix(_LONE)
        return address

    def inward(self, address: str) -> str | None:
        """An address of the root module as the stack calls it; None where it is none of the stack's."""
        if address == self.module or address.startswith((f"{self.module}.", f"{self.module}[")):
            return _LONE + address.removeprefix(self.module)
        return None

    def addresses(self, lines: Iterable[str]) -> list[str]:
        """Those of the addresses that are the stack's."""
        return [found for line in lines if (found := self.inward(line)) is not None]

    # -- the stream ------------------------------------------------------------------------

    def record(self, record: Record) -> Record:
        """What a run said of the stack."""
        planned = tuple(
            PlannedChange(found, change.action)
            for change in record.planned
            if (found := self._resource(change.resource))
        )
        drift = tuple(
            Drift(found, item.action) for item in record.drift if (found := self._resource(item.resource))
        )
        return replace(
            record,
            planned=planned,
            drift=drift,
            summary=_summary_of(record.summary, planned, len(record.planned)),
            outputs=self._stream_outputs(record.outputs),
            messages=tuple(item for item in record.messages if self._concerns(item.place)),
        )

    def _resource(self, resource: Resource) -> Resource | None:
        address = self.inward(resource.address)
        return None if address is None else replace(resource, address=address)

    def _stream_outputs(self, outputs: Outputs | None) -> Outputs | None:
        if outputs is None:
            return None
        name = self.output
        actions = {name: outputs.actions[name]} if name in outputs.actions else {}
        values = outputs.values.get(name)
        return Outputs(actions, values if isinstance(values, dict) else {})

    def _concerns(self, place: str) -> bool:
        found = _PLACE.match(place)
        return found is None or found[1] == self.module

    # -- documents -------------------------------------------------------------------------

    def shown(self, shown: _Json) -> dict[str, Any]:
        """`terraform show -json` of the state or of a plan."""
        found = dict(shown)
        for name in ("values", "planned_values"):
            if isinstance(found.get(name), dict):
                found[name] = self._values(found[name])
        if isinstance(found.get("prior_state"), dict):
            prior = found["prior_state"]
            found["prior_state"] = {**prior, "values": self._values(prior.get("values") or {})}
        for name in ("resource_changes", "resource_drift"):
            if name in found:
                found[name] = list(self._renamed(found[name] or ()))
        if isinstance(found.get("output_changes"), dict):
            found["output_changes"] = self._output_changes(found["output_changes"])
        if isinstance(found.get("configuration"), dict):
            found["configuration"] = self._configuration(found["configuration"])
        return found

    def outputs(self, state: _Json) -> dict[str, Any]:
        """The stack's outputs, by name, from `terraform state pull`; empty where it holds nothing.

        An output stays behind where a plan has targeted what it tells of (Terraform 1.11).
        """
        if next(self._held(state), None) is None:
            return {}
        value = ((state.get("outputs") or {}).get(self.output) or {}).get("value")
        return dict(value) if isinstance(value, dict) else {}

    def state(self, state: _Json) -> dict[str, Any]:
        """`terraform state pull`; its serial tells changes of the stack from those of others."""
        resources = [{**item, "module": self.inward(str(item["module"]))} for item in self._all_held(state)]
        outputs = {name: {"value": value} for name, value in self.outputs(state).items()}
        digest = hashlib.sha256(json.dumps([resources, outputs], sort_keys=True).encode()).hexdigest()
        return {**state, "resources": resources, "outputs": outputs, "serial": digest[:16]}

    def rest(self, state: _Json) -> dict[str, Any]:
        """`terraform state pull` without the stack."""
        outputs = state.get("outputs") or {}
        names = set(outputs) if self.module == _LONE else {self.output}
        kept = {name: value for name, value in outputs.items() if name not in names}
        resources = [item for item in state.get("resources") or () if not self._is_mine(item)]
        return {**state, "resources": resources, "outputs": kept} if state else {}

    def identities(self, state: _Json) -> frozenset[tuple[str, str]]:
        """What the stack holds by `terraform state pull`: addresses without keys, and ids."""
        return frozenset(
            (f"{item.get('type')}.{item.get('name')}", json.dumps([part.get("index_key"), _id_of(part)]))
            for item in self._held(state)
            for part in item.get("instances") or ()
        )

    def _all_held(self, state: _Json) -> Iterator[_Json]:
        return filter(self._is_mine, state.get("resources") or ())

    def _is_mine(self, item: _Json) -> bool:
        return self.inward(str(item.get("module") or "")) is not None

    def _held(self, state: _Json) -> Iterator[_Json]:
        return (item for item in self._all_held(state) if item.get("mode") != "data")

    def _values(self, values: _Json) -> dict[str, Any]:
        root = values.get("root_module") or {}
        children = [
            self._module(child)
            for child in root.get("child_modules") or ()
            if child.get("address") == self.module
        ]
        output = (values.get("outputs") or {}).get(self.output) or {}
        inner = output.get("value")
        outputs = {name: {"value": value} for name, value in inner.items()} if isinstance(inner, dict) else {}
        return {**values, "root_module": {"child_modules": children}, "outputs": outputs}

    def _module(self, module: _Json) -> dict[str, Any]:
        found = {**module, "address": self.inward(str(module.get("address")))}
        found["resources"] = list(self._renamed(module.get("resources") or ()))
        if module.get("child_modules"):
            found["child_modules"] = [self._module(child) for child in module["child_modules"]]
        return found

    def _renamed(self, items: Iterable[_Json]) -> Iterator[dict[str, Any]]:
        for item in items:
            address = self.inward(str(item.get("address")))
            if address is not None:
                yield {**item, "address": address}

    def _output_changes(self, changes: _Json) -> dict[str, Any]:
        """The change of the one output, as changes of each part of it."""
        change = changes.get(self.output) or {}
        sides = {side: change.get(side) for side in ("before", "after")}
        parts = {side: value if isinstance(value, dict) else {} for side, value in sides.items()}
        names = sorted({*parts["before"], *parts["after"]})
        return {name: {**change, **{side: part.get(name) for side, part in parts.items()}} for name in names}

    def _configuration(self, configuration: _Json) -> dict[str, Any]:
        root = dict(configuration.get("root_module") or {})
        calls = root.get("module_calls") or {}
        name = self.output
        root["module_calls"] = {LONE_MODULE: calls[name]} if name in calls else {}
        return {**configuration, "root_module": root}


def _id_of(instance: _Json) -> object:
    return (instance.get("attributes") or {}).get("id")


def _summary_of(summary: Summary | None, planned: Sequence[PlannedChange], everything: int) -> Summary | None:
    """Terraform's counts, of these changes alone."""
    if summary is None or len(planned) == everything:
        return summary
    actions = [change.action for change in planned]
    replaced = actions.count("replace")
    return Summary(
        summary.operation,
        add=actions.count("create") + replaced,
        change=actions.count("update"),
        remove=actions.count("delete") + replaced,
        imported=actions.count(_IMPORT),
    )
