"""The facts about providers: of the form that our schema says, and true to the providers' own schemas."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from skyports_tf.exposure.facts import PROVIDERS, check_provider, facts_of, looks_like_firewall, read_provider

SCHEMAS = Path(__file__).parent / "data/provider_schemas"
FILES = sorted(PROVIDERS.glob("*.yaml"))
#: Types whose schema nobody fixes: a manifest is what the user writes.
FREE = {"kubernetes_manifest"}


def schema_of(prefix: str) -> Mapping[str, Any]:
    (provider,) = json.loads((SCHEMAS / f"{prefix}.json").read_text("utf-8"))["provider_schemas"].values()
    return {name: schema["block"] for name, schema in provider["resource_schemas"].items()}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_facts_have_the_form_that_the_schema_says(file: Path) -> None:
    check_provider(file)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_path_of_the_facts_is_in_the_schema_of_the_provider(file: Path) -> None:
    schemas = schema_of(file.stem)
    for name, resource in read_provider(file)["resources"].items():
        if "like" in resource:
            assert resource["like"] in read_provider(file)["resources"]
            continue
        if name in FREE:
            continue
        for steps in paths(resource):
            assert exists(schemas[name], steps), f"{name}: {'.'.join(steps)}"
        for kind, steps in paths_elsewhere(resource):
            assert exists(schemas[kind], steps), f"{name}, of {kind}: {'.'.join(steps)}"
        for rule in resource["rules"]:
            for kind in rule.get("echo_of", ()):
                assert kind in schemas


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_what_attaches_groups_and_bears_marks_is_in_the_schema_of_the_provider(file: Path) -> None:
    schemas, facts = schema_of(file.stem), read_provider(file)
    attaching = {name: [*chain(*paths.values())] for name, paths in facts.get("attaches", {}).items()}
    defaults = {
        name: [*written_paths(fact.get("when", ())), *fact.get("names", ())]
        for name, fact in facts.get("defaults", {}).items()
    }
    taken = [fact["taken_over"] for fact in facts.get("defaults", {}).values() if "taken_over" in fact]
    defaults |= {item["type"]: [item["at"]] for item in taken}
    bearing = facts.get("open_without", {})
    for name, written in [*attaching.items(), *bearing.items(), *defaults.items()]:
        for path in written:
            assert exists(schemas[name], path.split(".")), f"{name}: {path}"


def paths(resource: Mapping[str, Any]) -> Iterator[list[str]]:
    """Every path in the facts of a type, from the resource."""
    for written in ([resource["group"]] if "group" in resource else []) + resource.get("guards", []):
        yield steps_of(written, [])
    for rule in resource["rules"]:
        each = rule["each"].split(".") if "each" in rule else []
        if each:
            yield each
        for written in written_paths(
            {key: value for key, value in rule.items() if key not in ("each", "via")}
        ):
            if not is_elsewhere(written):
                yield steps_of(written, each)
        if "via" in rule:
            # of the resource, whatever block the rule is in
            yield steps_of(rule["via"]["at"], [])


def paths_elsewhere(resource: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """Every path in the facts of a type that leads into another, with that type."""
    for rule in resource["rules"]:
        via = rule.get("via", {})
        inside = [*written_paths(via.get("when", ())), *([via["by"]] if "by" in via else [])]
        for written in (*filter(is_elsewhere, written_paths(rule)), *inside):
            steps = written.split(".") if isinstance(written, str) else written
            yield from ((kind, [steps[0].lstrip("@"), *steps[1:]]) for kind in via["types"])


def is_elsewhere(written: str | list[str]) -> bool:
    return written[0].startswith("@")


def written_paths(node: Any) -> Iterator[str | list[str]]:
    if isinstance(node, dict):
        for name, value in node.items():
            if name in ("at", "bits") or name == "unguarded":
                yield value
            elif name in ("texts", "scope", "targets"):
                yield from value
            elif name == "pairs":
                yield from (path for pair in value for path in pair)
            elif name == "blocks":
                yield from value
            else:
                yield from written_paths(value)
    elif isinstance(node, list):
        for item in node:
            yield from written_paths(item)


def steps_of(written: str | list[str], each: list[str]) -> list[str]:
    steps = written.split(".") if isinstance(written, str) else list(written)
    if steps[0].startswith("/"):
        return [steps[0][1:], *steps[1:]]
    name = steps[0].lstrip("^")
    up = len(steps[0]) - len(name)
    return [*each[: len(each) - up], name, *steps[1:]]


def exists(block: Mapping[str, Any], steps: list[str]) -> bool:
    """Whether a schema has what stands at `steps`; the keys of a map are free."""
    step, *rest = steps
    if step in block.get("block_types", {}):
        return not rest or exists(block["block_types"][step]["block"], rest)
    attribute = block.get("attributes", {}).get(step)
    if attribute is None:
        return False
    return not rest or in_attribute(attribute, rest)


def in_attribute(attribute: Mapping[str, Any], steps: list[str]) -> bool:
    if "nested_type" in attribute:
        return exists(attribute["nested_type"], steps)
    kind = attribute["type"]
    while isinstance(kind, list) and kind[0] in ("set", "list"):
        kind = kind[1]
    if not isinstance(kind, list):
        return False
    return kind[0] == "map" or (kind[0] == "object" and steps[0] in kind[1])


def test_a_path_that_no_schema_has_is_found_out() -> None:
    block = schema_of("hcloud")["hcloud_firewall"]
    assert exists(block, ["rule", "source_ips"])
    assert not exists(block, ["rule", "sources"])
    assert not exists(block, ["rules"])


def test_what_is_called_like_a_firewall_and_not_described_is_noticed() -> None:
    assert looks_like_firewall("alicloud_security_group_rule")
    assert looks_like_firewall("azurerm_firewall_network_rule_collection")
    assert not looks_like_firewall("hcloud_firewall")
    assert not looks_like_firewall("hcloud_firewall_attachment")
    assert not looks_like_firewall("hcloud_server")
    assert facts_of("../x_y") is None
