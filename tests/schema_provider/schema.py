"""A provider's schema: read from the JSON of `terraform providers schema`, told in the protocol's bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.schema_provider.wire import map_entries, message

_MODES = {"single": 1, "list": 2, "set": 3, "map": 4, "group": 5}
_GET_SCHEMA_OPTIONAL = 2


@dataclass(frozen=True)
class Nested:
    """What holds objects of its own: a block, or an attribute that is written like one.

    `mode` is single, list, set, map or group.
    """

    mode: str
    block: Block
    min_items: int = 0
    max_items: int = 0

    @property
    def is_single(self) -> bool:
        """Whether it holds one object, and not a collection."""
        return self.mode in ("single", "group")


@dataclass(frozen=True)
class Attribute:
    """An attribute: of a type in Terraform's JSON notation, or nested."""

    type: Any
    nested: Nested | None
    flags: Mapping[str, bool]

    @property
    def computed(self) -> bool:
        """Whether the provider may choose the value."""
        return self.flags.get("computed", False)

    def full_type(self) -> Any:
        """The type, that of nested objects spelt out."""
        if self.nested is None:
            return self.type
        attributes = self.nested.block.attributes
        inner = ["object", {name: attribute.full_type() for name, attribute in attributes.items()}]
        return inner if self.nested.is_single else [self.nested.mode, inner]


@dataclass(frozen=True)
class Block:
    """Attributes, and blocks in it, by name."""

    attributes: Mapping[str, Attribute]
    blocks: Mapping[str, Nested]

    def nested(self) -> Iterator[tuple[str, Nested]]:
        """Everything in it that holds objects."""
        yield from self.blocks.items()
        for name, attribute in self.attributes.items():
            if attribute.nested:
                yield name, attribute.nested


@dataclass(frozen=True)
class Schema:
    """The schema of a provider's settings, of a resource type, or of a data source."""

    version: int
    block: Block


@dataclass(frozen=True)
class ProviderSchema:
    """All schemas of a provider; `source` is its address, such as registry.terraform.io/hashicorp/google."""

    source: str
    provider: Schema
    resources: Mapping[str, Schema]
    data_sources: Mapping[str, Schema]


def read_schema(path: Path) -> ProviderSchema:
    """Read a file in the format of `terraform providers schema -json` that holds one provider."""
    document = json.loads(path.read_text(encoding="utf-8"))
    ((source, schemas),) = document["provider_schemas"].items()
    return ProviderSchema(
        source,
        _schema(schemas["provider"]),
        {name: _schema(item) for name, item in schemas.get("resource_schemas", {}).items()},
        {name: _schema(item) for name, item in schemas.get("data_source_schemas", {}).items()},
    )


def _schema(item: Mapping[str, Any]) -> Schema:
    return Schema(item.get("version", 0), _block(item["block"]))


def _block(item: Mapping[str, Any]) -> Block:
    return Block(
        {name: _attribute(attribute) for name, attribute in item.get("attributes", {}).items()},
        {name: _nested_block(block) for name, block in item.get("block_types", {}).items()},
    )


def _nested_block(item: Mapping[str, Any]) -> Nested:
    block = _block(item["block"])
    return Nested(item["nesting_mode"], block, item.get("min_items", 0), item.get("max_items", 0))


def _attribute(item: Mapping[str, Any]) -> Attribute:
    inner = item.get("nested_type")
    nested = Nested(inner["nesting_mode"], _block(inner)) if inner else None
    return Attribute(item.get("type"), nested, {name: flag for name, flag in item.items() if flag is True})


def encode_schemas(schemas: ProviderSchema) -> bytes:
    """The answer to GetProviderSchema; Terraform may keep it for as long as it runs."""
    return message(
        (1, _encode(schemas.provider)),
        (2, map_entries((name, _encode(schema)) for name, schema in schemas.resources.items())),
        (3, map_entries((name, _encode(schema)) for name, schema in schemas.data_sources.items())),
        (6, message((_GET_SCHEMA_OPTIONAL, True))),
    )


def _encode(schema: Schema) -> bytes:
    return message((1, schema.version), (2, _encode_block(schema.block)))


def _encode_block(block: Block) -> bytes:
    return message(
        (2, [_encode_attribute(name, attribute) for name, attribute in block.attributes.items()]),
        (3, [_encode_nested_block(name, nested) for name, nested in block.blocks.items()]),
    )


def _encode_nested_block(name: str, nested: Nested) -> bytes:
    return message(
        (1, name),
        (2, _encode_block(nested.block)),
        (3, _MODES[nested.mode]),
        (4, nested.min_items),
        (5, nested.max_items),
    )


def _encode_attribute(name: str, attribute: Attribute) -> bytes:
    nested, flags = attribute.nested, attribute.flags
    return message(
        (1, name),
        (2, None if nested else json.dumps(attribute.type)),
        (4, flags.get("required")),
        (5, flags.get("optional")),
        (6, flags.get("computed")),
        (7, flags.get("sensitive")),
        (9, flags.get("deprecated")),
        (10, _encode_nested_attribute(nested) if nested else None),
        (11, flags.get("write_only")),
    )


def _encode_nested_attribute(nested: Nested) -> bytes:
    attributes = nested.block.attributes.items()
    return message(
        (1, [_encode_attribute(name, attribute) for name, attribute in attributes]),
        (3, _MODES[nested.mode]),
    )
