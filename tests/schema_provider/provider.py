"""The provider: Terraform's calls, answered from a schema, facts and a cloud on disk."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from tests.schema_provider.facts import (
    DataFacts,
    Facts,
    MissingValueError,
    ResourceFacts,
    fill_template,
    identifiers,
    value_at,
)
from tests.schema_provider.limits import holders, refusals
from tests.schema_provider.lookup import look_up
from tests.schema_provider.objects import Cloud
from tests.schema_provider.rules import broken_rules
from tests.schema_provider.schema import Block, ProviderSchema, encode_schemas
from tests.schema_provider.values import Object, conform_object, plan_object, settle_object
from tests.schema_provider.views import told_objects
from tests.schema_provider.wire import (
    Fields,
    Path,
    attribute_path,
    dynamic_value,
    error,
    fields,
    is_unknown,
    message,
    value_of,
)

_NOTHING_KNOWN = ResourceFacts()
_COUNT = "#"


class SchemaProvider:
    """A provider of the schema's types; `calls` maps the protocol's method names to what answers them.

    An answer takes the fields of the request, and gives the bytes of the response.
    """

    def __init__(self, schema: ProviderSchema, facts: Facts, cloud: Cloud) -> None:
        self._schema = schema
        self._facts = facts
        self._cloud = cloud
        self._settings: Object = {}
        self.calls: Mapping[str, Callable[[Fields], bytes]] = {
            "GetProviderSchema": lambda _: encode_schemas(schema),
            "ValidateProviderConfig": lambda _: b"",
            "ValidateResourceConfig": self._validate,
            "ValidateDataResourceConfig": lambda _: b"",
            "ConfigureProvider": self._configure,
            "UpgradeResourceState": lambda request: message((1, message((2, fields(request[3])[1])))),
            "ReadResource": self._read,
            "PlanResourceChange": self._plan,
            "ApplyResourceChange": self._apply,
            "ImportResourceState": self._import,
            "ReadDataSource": self._read_data,
            "StopProvider": lambda _: b"",
        }

    def _known(self, kind: str) -> ResourceFacts:
        return self._facts.resources.get(kind, _NOTHING_KNOWN)

    def _block(self, kind: str) -> Block:
        return self._schema.resources[kind].block

    def _configure(self, request: Fields) -> bytes:
        config = value_of(request[2]) or {}
        stand_ins = {name: os.environ.get(variable) for name, variable in self._facts.settings.items()}
        given = {name: item for name, item in config.items() if item is not None}
        self._settings = {**stand_ins, **given}
        return b""

    def _validate(self, request: Fields) -> bytes:
        kind, config = _kind(request), value_of(request[2])
        return message((1, _errors(kind, broken_rules(self._known(kind).rules, config, "validate"))))

    def _read(self, request: Fields) -> bytes:
        kind, state = _kind(request), value_of(request[2])
        failure = self._cloud.failure("read", kind)
        if failure:
            return message((1, request[2]), (2, error(failure, f"reading {kind}")))
        there = self._cloud.get(kind, state["id"])
        return message((1, dynamic_value(there and conform_object(self._block(kind), there))))

    def _plan(self, request: Fields) -> bytes:
        kind, prior, proposed = _kind(request), value_of(request[2]), value_of(request[3])
        if proposed is None:
            return message((1, request[3]))
        known = self._known(kind)
        planned = plan_object(self._block(kind), proposed, prior, known.defaults)
        wrong = broken_rules(known.rules, planned, "plan")
        failure = self._cloud.failure("plan", kind)
        replaced = [path for path in known.force_new if prior and _differs(path, prior, planned)]
        return message(
            (1, dynamic_value(planned)),
            (2, [attribute_path(_steps(path)) for path in replaced]),
            (4, _errors(kind, [*wrong, *([failure] if failure else [])])),
            (5, self._facts.legacy),
        )

    def _apply(self, request: Fields) -> bytes:
        kind, prior, planned = _kind(request), value_of(request[2]), value_of(request[3])
        op = "delete" if planned is None else "update" if prior else "create"
        with self._cloud.lock:
            failure = self._cloud.failure(op, kind)
            wrong = [failure] if failure else self._refusals(kind, prior, planned)
            if wrong:
                return message((1, request[2]), (3, _errors(kind, wrong)), (4, self._facts.legacy))
            if planned is None:
                self._cloud.remove(kind, prior["id"])
                self._cloud.note(op, kind, prior["id"], prior)
                return message((1, request[3]))
            return self._write(op, kind, planned)

    def _refusals(self, kind: str, prior: Object, planned: Object | None) -> list[str]:
        rules = self._known(kind).rules
        if planned is None:
            return holders(rules, kind, prior, self._cloud)
        return [*broken_rules(rules, planned, "apply"), *refusals(rules, kind, planned, self._cloud)]

    def _write(self, op: str, kind: str, planned: Object) -> bytes:
        try:
            value = self._settle(kind, planned)
        except MissingValueError as missing:
            return message((3, [error(f"{missing}: required field is not set", f"{kind}: {op}")]))
        if op == "create" and self._cloud.get(kind, value["id"]):
            return message((3, [error(f"{value['id']} already exists", f"{kind}: import it to manage it")]))
        self._cloud.put(kind, value)
        self._cloud.note(op, kind, value["id"], value)
        return message((1, dynamic_value(value)), (4, self._facts.legacy))

    def _settle(self, kind: str, planned: Object) -> Object:
        """The object as the cloud makes it: no two are given the same id, save by their names."""
        block, templates = self._block(kind), self._known(kind).computed
        salt = 0
        while True:
            seed = f"{kind}.{salt}.{sorted(planned.items(), key=str)}"
            chosen = self._chosen(block, planned, templates, seed)
            value = settle_object(block, planned, chosen, seed)
            if not is_unknown(planned["id"]) or "{@" not in templates.get("id", "{@"):
                return value
            if not self._cloud.get(kind, value["id"]):
                return value
            salt += 1

    def _chosen(
        self, block: Block, planned: Object, templates: Mapping[str, Any], seed: str
    ) -> dict[str, Any]:
        """The values that the cloud chooses, by path; one may use those before it."""
        values = {**planned, "provider": self._settings, **identifiers(seed)}
        chosen: dict[str, Any] = {}
        for path, template in templates.items():
            if path not in block.attributes or is_unknown(planned.get(path)):
                chosen[path] = values[path] = fill_template(template, values)
        return chosen

    def _import(self, request: Fields) -> bytes:
        kind, wanted = _kind(request), request[2].decode()
        for there in self._cloud.made(kind):
            if any(_filled(template, there) == wanted for template in self._known(kind).import_ids):
                state = dynamic_value(conform_object(self._block(kind), there))
                return message((1, [message((1, kind), (2, state))]))
        return message((2, [error("Cannot import non-existent remote object", f"{kind}: {wanted}")]))

    def _read_data(self, request: Fields) -> bytes:
        kind, config = _kind(request), value_of(request[2])
        failure = self._cloud.failure("data", kind)
        if failure:
            return message((2, [error(failure, f"reading data {kind}")]))
        block = self._schema.data_sources[kind].block
        facts = self._facts.data_sources.get(kind)
        found = look_up(block, facts, config, self._told(kind, facts)) if facts else None
        if found is None:
            given = {name: item for name, item in config.items() if item}
            return message((2, [error(f"{kind}: not found", f"nothing matches {given}")]))
        self._cloud.note("data", kind, found.get("id"), config)
        return message((1, dynamic_value(found)))

    def _told(self, kind: str, facts: DataFacts) -> list[Object]:
        blocks = {name: schema.block for name, schema in self._schema.resources.items()}
        return list(told_objects(kind, facts, blocks, self._cloud))


def _kind(request: Fields) -> str:
    name: bytes = request[1]
    return name.decode()


def _errors(kind: str, texts: list[str]) -> list[bytes]:
    return [error(text, f"{kind} (a rule of the cloud beyond the provider's schema)") for text in texts]


def _filled(template: str, value: Object) -> Any:
    try:
        return fill_template(template, value)
    except MissingValueError:
        return None


def _steps(path: str) -> Path:
    return tuple(int(part) if part.isdigit() else part for part in path.split(".") if part != _COUNT)


def _differs(path: str, prior: Object, planned: Object) -> bool:
    """Whether what is at the path differs; at `block.#`, the number of blocks."""
    before, after = (value_at(value, path.removesuffix(f".{_COUNT}")) for value in (prior, planned))
    if path.endswith(_COUNT):
        return len(before or ()) != len(after or ())
    return bool(before != after)
