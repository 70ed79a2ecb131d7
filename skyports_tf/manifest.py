"""A cloud's manifest.yaml: read, and checked beyond what its JSON Schema can say."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from string import Formatter
from typing import Any

from skyports_tf.diagnostics import Diagnostic, FindingsError, suggest
from skyports_tf.schema import schema_findings
from skyports_tf.source import YamlDocument, read_yaml

_KeyPath = tuple["str | int", ...]

#: What a pattern of an object's name may hold, beside settings and the objects before it.
_NAME_FIELDS = ("cluster", "name_on_cloud", "region")


def read_manifest(path: Path, *, is_ours: bool = False) -> Mapping[str, Any]:
    """The facts in the manifest at `path`, whose folder is the cloud's.

    Raises `FindingsError` with all that is wrong: what schemas/manifest.schema.json refuses,
    else expressions that cannot be read, and names of what is not there. Where it `is_ours`, a test
    has checked that, and no start has to.
    """
    document = read_yaml(shown_path(path)).documents[0]
    if not is_ours:
        findings = schema_findings("manifest", document) or list(_findings(document, path.parent.name))
        if findings:
            raise FindingsError(findings)
    facts: Mapping[str, Any] = document.data
    return facts


def shown_path(path: Path) -> str:
    """A path as people are told it: relative to the current folder where it lies below it."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative


def _findings(document: YamlDocument, folder: str) -> Iterator[Diagnostic]:
    facts = document.data
    if facts["name"] != folder:
        yield document.diagnostic("manifest-name", f"the folder is called {folder!r}", ("name",))
    for at, pattern in _patterns(facts):
        try:
            re.compile(pattern)
        except re.error as error:
            message = f"{pattern!r} is no regular expression: {error}"
            yield document.diagnostic("manifest-value", message, at)
    yield from _setting_findings(document)
    yield from _name_findings(document)


def _patterns(facts: Mapping[str, Any]) -> Iterator[tuple[_KeyPath, str]]:
    """Every regular expression of the manifest with its place."""
    places: list[_KeyPath] = [
        ("region", "pattern"),
        ("description", "pattern"),
        ("tags", "key_pattern"),
        ("tags", "value_pattern"),
        *(("names", "rules", name, "pattern") for name in facts["names"].get("rules", {})),
        *(("settings", name, "pattern") for name in facts.get("settings", {})),
    ]
    for at in places:
        value: Any = facts
        for step in at:
            value = value.get(step, {})
        if isinstance(value, str):
            yield at, value


def _setting_findings(document: YamlDocument) -> Iterator[Diagnostic]:
    facts = document.data
    known = facts.get("settings", {})
    places: list[tuple[_KeyPath, str | None]] = [
        *((("limits", name, "setting"), limit.get("setting")) for name, limit in facts["limits"].items()),
        *(
            (("required_settings", place), name)
            for place, name in enumerate(facts.get("required_settings", ()))
        ),
        *((("sky_config_with", name), name) for name in facts.get("sky_config_with", {})),
        *(
            (("exclusions", place, "setting"), item["setting"])
            for place, item in enumerate(facts.get("exclusions", ()))
        ),
    ]
    for at, name in places:
        if name is not None and name not in known:
            message = f"there is no setting {name!r}"
            help_text = suggest(name, known, "describe it under `settings`")
            yield document.diagnostic("manifest-value", message, at, help=help_text)


def _name_findings(document: YamlDocument) -> Iterator[Diagnostic]:
    names = document.data["names"]
    known = [*_NAME_FIELDS, *document.data.get("settings", {})]
    for kind, given in names["objects"].items():
        patterns = given.items() if isinstance(given, dict) else ((None, given),)
        for mode, pattern in patterns:
            at = ("names", "objects", kind) if mode is None else ("names", "objects", kind, mode)
            yield from _field_findings(document, at, pattern, known)
        known += [kind, f"{kind}_digest"]
    for kind in names.get("rules", {}):
        if kind not in names["objects"]:
            message = f"there is no object {kind!r}"
            help_text = suggest(kind, names["objects"], "name it under `names.objects`")
            yield document.diagnostic(
                "manifest-value", message, ("names", "rules", kind), key=True, help=help_text
            )


def _field_findings(
    document: YamlDocument, at: _KeyPath, pattern: str, known: list[str]
) -> Iterator[Diagnostic]:
    try:
        fields = [name for _, name, _, _ in Formatter().parse(pattern) if name is not None]
    except ValueError as error:
        yield document.diagnostic("manifest-value", f"{pattern!r} is no pattern of a name: {error}", at)
        return
    for name in fields:
        if name not in known:
            message = f"nothing is called {name!r} here"
            help_text = suggest(name, known, f"known: {', '.join(known)}")
            yield document.diagnostic("manifest-value", message, at, help=help_text)
