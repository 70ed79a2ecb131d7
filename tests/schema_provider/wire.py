"""The bytes of Terraform's plugin protocol: protobuf as far as it is used there, and values in MessagePack.

Field numbers are those of tfplugin6.proto (Terraform, docs/plugin-protocol/tfplugin6.4.proto).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgpack  # type: ignore[import-untyped,unused-ignore]

#: A value not known before apply (cty's MessagePack encoding: an extension).
UNKNOWN = msgpack.ExtType(0, b"\0")

_VARINT, _BYTES = 0, 2
_ATTRIBUTE_NAME, _ELEMENT_INT = 1, 3
_ERROR = 1

Field = str | bytes | int | Sequence[bytes] | None
Fields = dict[int, Any]
#: A place in an object: attribute names, and positions in lists.
Path = tuple[str | int, ...]


def message(*fields: tuple[int, Field]) -> bytes:
    """A protobuf message of (number, value) pairs; a sequence repeats its field.

    None, 0, False and "" are left out, as proto3 leaves out defaults; empty bytes, a message
    without fields, are not.
    """
    return b"".join(_field(number, value) for number, value in fields)


def _field(number: int, value: Field) -> bytes:
    if isinstance(value, bytes):
        return _varint(number << 3 | _BYTES) + _varint(len(value)) + value
    if isinstance(value, str):
        return _field(number, value.encode()) if value else b""
    if isinstance(value, int):
        return _varint(number << 3 | _VARINT) + _varint(int(value)) if value else b""
    return b"".join(_field(number, item) for item in value or ())


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def fields(buffer: bytes) -> Fields:
    """The fields of a message by number: an int or bytes each. Of a repeated field, the last."""
    return dict(each_field(buffer))


def each_field(buffer: bytes) -> Iterator[tuple[int, Any]]:
    """The fields of a message in their order, as (number, value) pairs for `message`."""
    place = 0
    while place < len(buffer):
        key, place = _read_varint(buffer, place)
        value, place = _read_varint(buffer, place)
        if key & 7 == _BYTES:
            yield key >> 3, buffer[place : place + value]
            place += value
        else:
            yield key >> 3, value


def _read_varint(buffer: bytes, place: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = buffer[place]
        place += 1
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return number, place


def is_unknown(value: object) -> bool:
    """Whether Terraform does not know the value yet."""
    return isinstance(value, msgpack.ExtType)


def value_of(dynamic: bytes | None) -> Any:
    """The Python value of a DynamicValue; unknown parts satisfy `is_unknown`."""
    found = fields(dynamic or b"")
    if 1 in found:
        return msgpack.unpackb(found[1])
    return json.loads(found[2]) if 2 in found else None


def dynamic_value(value: object) -> bytes:
    """A DynamicValue that holds the value."""
    return message((1, msgpack.packb(value)))


def with_type(value: object) -> list[object]:
    """A value of an attribute that is of any type: told with its type."""
    return [json.dumps(_type_of(value)).encode(), value]


def _type_of(value: object) -> object:
    if isinstance(value, dict):
        return ["object", {name: _type_of(item) for name, item in value.items()}]
    if isinstance(value, list):
        return ["tuple", [_type_of(item) for item in value]]
    return "bool" if isinstance(value, bool) else "number" if isinstance(value, int | float) else "string"


def attribute_path(path: Path) -> bytes:
    """An AttributePath."""
    return message((1, [_step(part) for part in path]))


def _step(part: str | int) -> bytes:
    if isinstance(part, str):
        return message((_ATTRIBUTE_NAME, part))
    # one of several: a position of 0 is told, too
    return _varint(_ELEMENT_INT << 3 | _VARINT) + _varint(part)


def error(summary: str, detail: str = "", path: Path = ()) -> bytes:
    """A Diagnostic of severity error."""
    return message((1, _ERROR), (2, summary), (3, detail), (4, attribute_path(path) if path else None))


def map_entries(entries: Iterable[tuple[str, bytes]]) -> list[bytes]:
    """The entries of a protobuf map from text to messages."""
    return [message((1, key), (2, value)) for key, value in entries]
