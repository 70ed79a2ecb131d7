"""What a cloud does beyond its provider's schema, from facts/<provider>.json; README.md tells the format."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.schema_provider.values import digest
from tests.schema_provider.wire import is_unknown

FOLDER = Path(__file__).parent


def variable_of(provider: str) -> str:
    """The environment variable that names the folder of the provider's cloud."""
    return f"SCHEMA_CLOUD_{provider.upper()}"


@dataclass(frozen=True)
class Rule:
    """A rule of the cloud: its kind, what it is about, when it is checked, and who says so.

    `stage` is validate, plan or apply: when the real provider or its cloud would notice.
    """

    kind: str
    stage: str
    about: Mapping[str, Any]
    source: str


@dataclass(frozen=True)
class ResourceFacts:
    """A resource type: values it defaults to, values the cloud chooses, what replaces it, its rules."""

    defaults: Mapping[str, Any] = field(default_factory=dict)
    computed: Mapping[str, Any] = field(default_factory=dict)
    force_new: Sequence[str] = ()
    import_ids: Sequence[str] = ()
    rules: Sequence[Rule] = ()


@dataclass(frozen=True)
class DataFacts:
    """A data source that lists: the attribute with the list, and how a search is told.

    `filter` names the field that holds a filter block's attribute, `subset` maps an argument
    that has to be contained to the attribute that contains it. `of` names resource types whose
    objects it tells of, too; `parts` has, by attribute, the `type` of objects that are parts of
    the one told of, and `where`: their attributes, each with the one of the whole that it equals.
    """

    list: str = ""
    filter: str = ""
    subset: Mapping[str, str] = field(default_factory=dict)
    of: Sequence[str] = ()
    parts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Facts:
    """All that is known of a provider: `version`, and by type its resources and data sources.

    `settings` maps a setting of the provider to the environment variable that stands in for it;
    `legacy` says that it is built on SDKv2, whose answers Terraform takes less strictly.
    """

    version: str
    legacy: bool
    settings: Mapping[str, str]
    resources: Mapping[str, ResourceFacts]
    data_sources: Mapping[str, DataFacts]


def read_facts(provider: str) -> Facts:
    """The facts on a provider, by its short name."""
    document = json.loads((FOLDER / "facts" / f"{provider}.json").read_text(encoding="utf-8"))
    return Facts(
        document["version"],
        document["legacy"],
        document.get("settings", {}),
        {name: _resource(item) for name, item in document["resources"].items()},
        {name: DataFacts(**item) for name, item in document.get("data_sources", {}).items()},
    )


def _resource(item: Mapping[str, Any]) -> ResourceFacts:
    rules = item.get("rules", ())
    return ResourceFacts(
        item.get("defaults", {}),
        item.get("computed", {}),
        item.get("force_new", ()),
        item.get("import_ids", ("{id}",)),
        tuple(Rule(rule["kind"], rule.get("stage", "validate"), rule, rule["source"]) for rule in rules),
    )


class MissingValueError(ValueError):
    """A name in a template stands for nothing."""


def fill_template(template: Any, values: Mapping[str, Any]) -> Any:
    """The template, and all templates in it, with values for their names in braces.

    A name is a dotted path with positions: `{metadata.0.name}`; a text that is one name alone
    becomes the value itself. Raises MissingValueError.
    """
    if isinstance(template, dict):
        return {key: fill_template(item, values) for key, item in template.items()}
    if isinstance(template, list):
        return [fill_template(item, values) for item in template]
    if not isinstance(template, str) or "{" not in template:
        return template
    out, rest = "", template
    while "{" in rest:
        before, _, rest = rest.partition("{")
        name, _, rest = rest.partition("}")
        value = _filled(values, name)
        if not (out or before or rest):
            return value
        out += f"{before}{value}"
    return out + rest


def value_at(values: Any, path: str) -> Any:
    """What is at a dotted path with positions, such as `metadata.0.name`; None where there is nothing."""
    found = values
    for part in path.split("."):
        try:
            found = found[int(part)] if isinstance(found, list) else found[part]
        except (KeyError, IndexError, TypeError, ValueError):
            return None
    return found


def _filled(values: Mapping[str, Any], name: str) -> Any:
    found = value_at(values, name)
    if found is None or is_unknown(found):
        raise MissingValueError(name)
    return found


def identifiers(seed: str) -> dict[str, Any]:
    """Values a cloud would draw, for templates: `@hex`, `@uuid`, `@number`; the same for a seed."""
    hexadecimal = digest(seed)
    parts = (hexadecimal[:8], hexadecimal[8:12], hexadecimal[12:16], hexadecimal[16:20], hexadecimal[20:32])
    return {"@hex": hexadecimal, "@uuid": "-".join(parts), "@number": int(hexadecimal[:12], 16)}
