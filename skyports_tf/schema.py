"""JSON Schemas as findings: each violation with its place, our words and a did-you-mean."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, Final

import jsonschema

import skyports_tf.schemas
from skyports_tf.diagnostics import Diagnostic, suggest
from skyports_tf.source import YamlDocument

#: More errors of one document than these are not told.
MOST_ERRORS: Final = 1001

_SCHEMAS = Path(skyports_tf.schemas.__file__ or "").parent

_TYPE_NAMES: Final = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "empty",
}
_PATTERN_HINTS: Final = {
    "^[0-9]+(m|h|d|w|M|H|D|W)?$": "write a number of minutes, or a time such as 30m, 2h, 1d",
    "^(?:ALL|BUILD)$(?!\\n)": "write true, false, ALL or BUILD",
}


@lru_cache(maxsize=8)
def schema_of(schema: str) -> Mapping[str, Any]:
    """The JSON Schema `schemas/<schema>.schema.json`."""
    loaded: Mapping[str, Any] = json.loads((_SCHEMAS / f"{schema}.schema.json").read_text("utf-8"))
    return loaded


@lru_cache(maxsize=8)
def _validator(schema: str) -> Any:
    return _validator_of(schema_of(schema))


def _validator_of(contents: Mapping[str, Any]) -> Any:
    return jsonschema.validators.validator_for(contents)(contents)


def schema_findings(
    schema: str | Mapping[str, Any], document: YamlDocument, instance: Any = ...
) -> list[Diagnostic]:
    """What the document breaks of the schema; empty where all is well.

    `schema` is the name of `schemas/<schema>.schema.json`, or a JSON Schema itself.
    `instance` is what to check where it is not the document's own data; its key paths
    are those of the document.
    """
    checked = document.data if instance is ... else instance
    validator = _validator(schema) if isinstance(schema, str) else _validator_of(schema)
    errors = islice(validator.iter_errors(checked), MOST_ERRORS)
    # of several keys that are missing in one place, each has an error of its own, and all say the same
    return list(dict.fromkeys(item for error in errors for item in _findings(error, document)))


def _findings(error: Any, document: YamlDocument) -> Iterator[Diagnostic]:
    if error.validator in ("if", "allOf", "anyOf", "oneOf") and error.context:
        for part in error.context:
            yield from _findings(part, document)
        return
    at = tuple(error.absolute_path)
    if error.validator == "additionalProperties":
        yield from _unknown_keys(error, document, at)
        return
    code, message, help_text = _DESCRIBED.get(error.validator, _other)(error)
    where = f"{_name_of(at)} " if at else "the document "
    yield document.diagnostic(code, where + message, at, key=error.validator in (None, "not"), help=help_text)


def _unknown_keys(error: Any, document: YamlDocument, at: tuple[Any, ...]) -> Iterator[Diagnostic]:
    known = set(error.schema.get("properties", ()))
    patterns = error.schema.get("patternProperties", {})
    within = f" in {_name_of(at)}" if at else ""
    unknown = [
        key
        for key in error.instance
        if key not in known and not any(_matches(item, key) for item in patterns)
    ]
    for key in unknown[:MOST_ERRORS]:
        public = {name for name in known if not name.startswith("_")}
        help_text = suggest(str(key), public, f"known keys: {', '.join(sorted(public))}" if public else None)
        message = f"unknown key {_spelled(key)}{within}"
        yield document.diagnostic("unknown-key", message, (*at, key), key=True, help=help_text)


def _matches(pattern: str, key: object) -> bool:
    return isinstance(key, str) and re.search(pattern, key) is not None


def _name_of(at: tuple[Any, ...]) -> str:
    """A key path as people write it: `resources.any_of[0].ports`."""
    name = ""
    for step in at:
        name += f"[{step}]" if isinstance(step, int) and not isinstance(step, bool) else f".{step}"
    return f"'{name.lstrip('.')}'"


def _spelled(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def kind_of(value: object) -> str:
    """What a value is, in words: `a list`, `the text 'x'`, `the date 2024-10-20`."""
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"the text {_spelled(value)}"
    if isinstance(value, int) and value.bit_length() > 128:
        return "a number far too large"  # CPython refuses to spell one of more than 4,300 digits
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, set):
        return "a set"
    return "binary" if isinstance(value, bytes) else f"the date {value}"


def _type(error: Any) -> tuple[str, str, str | None]:
    allowed = error.validator_value
    names = [
        _TYPE_NAMES[name] for name in ([allowed] if isinstance(allowed, str) else allowed) if name != "null"
    ]
    wanted = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
    got = kind_of(error.instance)
    quote = isinstance(error.instance, int | float) and names == ["a text"]
    return "wrong-type", f"must be {wanted}, not {got}", "quote it to make it a text" if quote else None


def _enum(error: Any) -> tuple[str, str, str | None]:
    allowed = [str(value) for value in error.validator_value]
    help_text = suggest(str(error.instance), allowed, f"one of {', '.join(allowed)}")
    return "bad-value", f"cannot be {kind_of(error.instance)}", help_text


def _pattern(error: Any) -> tuple[str, str, str | None]:
    hint = _PATTERN_HINTS.get(error.validator_value) or error.schema.get("description")
    help_text = hint or f"it must match {error.validator_value}"
    return "bad-value", f"cannot be {kind_of(error.instance)}", help_text


def _required(error: Any) -> tuple[str, str, str | None]:
    missing = [name for name in error.validator_value if name not in error.instance]
    return "missing-key", f"needs the key{'s'[: len(missing) - 1]} {', '.join(map(repr, missing))}", None


def _limit(word: str) -> Callable[[Any], tuple[str, str, str | None]]:
    def describe(error: Any) -> tuple[str, str, str | None]:
        return "bad-value", f"must {word.format(error.validator_value)}, not {kind_of(error.instance)}", None

    return describe


def _count(word: str) -> Callable[[Any], tuple[str, str, str | None]]:
    def describe(error: Any) -> tuple[str, str, str | None]:
        if error.validator.startswith("min") and error.validator_value == 1:
            return "bad-value", "must not be empty", None
        return "bad-value", f"must have {word.format(error.validator_value)}", None

    return describe


def _other(error: Any) -> tuple[str, str, str | None]:
    if error.validator in (None, "not"):  # the schema `false`, and `{"not": {}}`, which keeps the path
        return "bad-value", "cannot be set here", None
    return "bad-value", "has a value that is not allowed here", None


_DESCRIBED: Final[dict[str | None, Callable[[Any], tuple[str, str, str | None]]]] = {
    "type": _type,
    "enum": _enum,
    "const": _limit("be {!r}"),
    "pattern": _pattern,
    "required": _required,
    "minimum": _limit("be at least {}"),
    "maximum": _limit("be at most {}"),
    "exclusiveMinimum": _limit("be more than {}"),
    "minLength": _count("at least {} characters"),
    "maxLength": _count("at most {} characters"),
    "minItems": _count("at least {} items"),
    "maxItems": _count("at most {} items"),
    "uniqueItems": _count("no item twice"),
    "minProperties": _count("at least {} keys"),
    "maxProperties": _count("at most {} keys"),
}
