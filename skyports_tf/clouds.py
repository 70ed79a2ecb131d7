"""The clouds, as their manifests in templates/<cloud>/ tell them; no cloud is named in code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import skyports_tf.templates
from skyports_tf.diagnostics import FindingsError
from skyports_tf.model import Protocol, StackMode
from skyports_tf.schema import schema_findings
from skyports_tf.source import read_yaml
from skyports_tf.sources import SourceKind

_TEMPLATES = Path(skyports_tf.templates.__file__ or "").parent


@dataclass(frozen=True, slots=True)
class Provider:
    """A Terraform provider: local name, registry address, version constraint."""

    name: str
    source: str
    version: str


@dataclass(frozen=True, slots=True)
class Limit:
    """A quota of the cloud; `setting` is the config key that raises it, up to `maximum`."""

    value: int
    quota: str
    setting: str | None = None
    maximum: int | None = None


@dataclass(frozen=True, slots=True)
class DescriptionRule:
    """What the cloud takes as a rule's description: a regular expression and a length."""

    pattern: str
    max_length: int


@dataclass(frozen=True, slots=True)
class TagRule:
    """What the cloud takes as tags."""

    key_max_length: int
    value_max_length: int
    forbidden_prefix: str


@dataclass(frozen=True, slots=True)
class Cloud:
    """One cloud's facts.

    `sources` maps each kind of source to the argument that takes it; `object_names` maps an
    object to its name by mode, with `{cluster}`.
    """

    name: str
    title: str
    provider: Provider
    rule_shape: str
    sources: Mapping[SourceKind, str]
    protocols: tuple[Protocol, ...]
    modes: tuple[StackMode, ...]
    region_default: str | None
    region_pattern: str | None
    name_on_cloud_max_length: int | None
    object_max_length: int | None
    object_names: Mapping[str, Mapping[str, str]]
    limits: Mapping[str, Limit]
    settings: Mapping[str, str | int | bool]
    description: DescriptionRule | None
    tags: TagRule | None
    folder: Path

    def names_of(self, cluster: str, mode: StackMode) -> dict[str, str]:
        """What the cloud's objects are called for `cluster`, by kind of object."""
        return {kind: names[mode].format(cluster=cluster) for kind, names in self.object_names.items()}


@dataclass(frozen=True, slots=True)
class UnmanagedCloud:
    """A cloud of SkyPilot's that we cannot manage: why, and what the user can do instead."""

    name: str
    reason: str
    instead: str


def templates_folder() -> Path:
    """The folder that holds the clouds' folders and the templates that they share."""
    return _TEMPLATES


@lru_cache(maxsize=1)
def managed_clouds() -> tuple[str, ...]:
    """The names of the clouds that have a module, sorted."""
    return tuple(sorted(item.parent.name for item in _TEMPLATES.glob("*/manifest.yaml")))


@lru_cache(maxsize=1)
def unmanaged_clouds() -> Mapping[str, UnmanagedCloud]:
    """SkyPilot's other clouds by name."""
    document = read_yaml(str(_TEMPLATES / "unmanaged.yaml")).documents[0]
    return {
        name: UnmanagedCloud(name, facts["reason"], facts["instead"])
        for name, facts in sorted(document.data.items())
        if name not in managed_clouds()
    }


@lru_cache(maxsize=32)
def load_cloud(name: str) -> Cloud:
    """The facts of a managed cloud.

    Raises `FindingsError` for a manifest that its schema refuses, and `KeyError` for a cloud
    without one.
    """
    if name not in managed_clouds():
        raise KeyError(name)
    folder = _TEMPLATES / name
    document = read_yaml(str(folder / "manifest.yaml")).documents[0]
    findings = schema_findings("manifest", document)
    if findings:
        raise FindingsError(findings)
    return _cloud_of(document.data, folder)


def _cloud_of(facts: Mapping[str, Any], folder: Path) -> Cloud:
    region, names = facts.get("region", {}), facts["names"]
    return Cloud(
        name=facts["name"],
        title=facts["title"],
        provider=Provider(**facts["provider"]),
        rule_shape=facts["rule_shape"],
        sources=facts["sources"],
        protocols=tuple(facts["protocols"]),
        modes=tuple(facts["modes"]),
        region_default=region.get("default"),
        region_pattern=region.get("pattern"),
        name_on_cloud_max_length=names.get("name_on_cloud_max_length"),
        object_max_length=names.get("object_max_length"),
        object_names=names["objects"],
        limits={name: _limit_of(limit) for name, limit in facts["limits"].items()},
        settings={name: setting.get("default") for name, setting in facts.get("settings", {}).items()},
        description=DescriptionRule(**facts["description"]) if "description" in facts else None,
        tags=TagRule(**facts["tags"]) if "tags" in facts else None,
        folder=folder,
    )


def _limit_of(facts: Mapping[str, Any]) -> Limit:
    return Limit(facts["value"], facts["quota"], facts.get("setting"), facts.get("maximum"))
