"""The clouds, as their manifests in templates/<cloud>/ tell them; no cloud is named in code."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import skyports_tf.templates
from skyports_tf.manifest import read_manifest
from skyports_tf.model import Protocol, StackMode
from skyports_tf.packing.shapes import RuleShape
from skyports_tf.sky_config import name_for
from skyports_tf.sources import SourceKind

if TYPE_CHECKING:
    from skyports_tf.unmanaged import UnmanagedCloud

_TEMPLATES = Path(skyports_tf.templates.__file__ or "").parent
_MANIFEST = "manifest.yaml"

#: Limits that bound one rule; every other limit counts rules.
PORTS_PER_RULE, SOURCES_PER_RULE = "ports_per_rule", "sources_per_rule"
#: Marks, in a setting's JSON Schema, a mapping from clusters, or `*` for any other, to values.
BY_CLUSTER = "x-by-cluster"
#: Marks a setting in the form of SkyPilot's own config: `sky_config.name_for`.
BY_PATTERN = "x-by-pattern"


@dataclass(frozen=True, slots=True)
class Provider:
    """A Terraform provider: local name, registry address, version constraint."""

    name: str
    source: str
    version: str


@dataclass(frozen=True, slots=True)
class Limit:
    """A quota of the cloud, and where it is known from.

    `setting` is the config key that raises it, up to `maximum`. A limit on rules counts the
    two address families apart where `families_apart`; `fixed` is how many rules beside the
    ports' the module makes, by mode.
    """

    value: int
    quota: str
    source: str
    setting: str | None = None
    maximum: int | None = None
    unverified: bool = False
    families_apart: bool = False
    fixed: Mapping[StackMode, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TextRule:
    """What the cloud takes as a text: a regular expression and a length."""

    pattern: str
    max_length: int


@dataclass(frozen=True, slots=True)
class TagRule:
    """What the cloud takes as tags."""

    key_max_length: int
    value_max_length: int
    forbidden_prefix: str | None = None
    key_pattern: str | None = None
    value_pattern: str | None = None


@dataclass(frozen=True, slots=True)
class Exclusion:
    """A protocol that cannot be had while a setting has a value, and why."""

    setting: str
    value: str
    protocol: Protocol
    reason: str


@dataclass(frozen=True, slots=True)
class Region:
    """How the cloud's objects hang on a region: `pattern` is what one looks like, `example` is one."""

    pattern: str
    default: str | None = None
    example: str | None = None
    required: bool = True


@dataclass(frozen=True, slots=True)
class Priorities:
    """A window of priorities that is ours: the ports' rules count up from `first` to `last`."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Cloud:
    """One cloud's facts.

    `region` is None where the objects belong to no region. `sources` maps each kind of source
    to the argument that takes it; `object_names` maps an object to the pattern of its name by
    mode; `settings` maps the cloud's part of the config to JSON Schemas. `sky_config_with` is what
    SkyPilot's own config must say beside `sky_config`, by the setting that must be set; `blind`
    maps what the probe cannot know to the reason, and `unadoptable` is why nothing of SkyPilot's
    can be adopted; `checks` are other tools' checks against ports that are open to everyone.
    """

    name: str
    title: str
    provider: Provider
    shape: RuleShape
    sources: Mapping[SourceKind, str]
    protocols: tuple[Protocol, ...]
    modes: tuple[StackMode, ...]
    region: Region | None
    name_on_cloud_max_length: int | None
    needs_user_hash: bool
    object_names: Mapping[str, Mapping[StackMode, str]]
    name_rules: Mapping[str, TextRule]
    limits: Mapping[str, Limit]
    settings: Mapping[str, Mapping[str, Any]]
    required_settings: tuple[str, ...]
    ssh_ports: tuple[int, ...]
    priorities: Priorities | None
    description: TextRule | None
    tags: TagRule | None
    sky_config: Mapping[str, Any]
    sky_config_with: Mapping[str, Mapping[str, Any]]
    launch_first: bool
    keeps_out: bool
    blind: Mapping[str, str]
    unadoptable: str | None
    exclusions: tuple[Exclusion, ...]
    takeover: str
    objects: str
    found_by: str
    checks: tuple[Mapping[str, Any], ...]
    login: Mapping[str, Any]
    folder: Path

    def names_of(
        self, cluster: str, mode: StackMode, name_on_cloud: str | None, values: Mapping[str, Any]
    ) -> dict[str, str]:
        """What the cloud's objects are called, by kind of object.

        A pattern may hold `{cluster}`, `{name_on_cloud}`, any of `values` (such as `region`),
        an object before it, and `{OBJECT_digest}`: the first four hex digits of the MD5 of its
        name. One that needs what is unknown is left out; one that `values` names is called so, in
        takeover also by its `OBJECT_name`.
        """
        known = {name: str(value) for name, value in values.items() if value is not None}
        known["cluster"] = cluster
        if name_on_cloud is not None:
            known["name_on_cloud"] = name_on_cloud
        found: dict[str, str] = {}
        for kind, patterns in self.object_names.items():
            try:
                given = values.get(kind) or (values.get(f"{kind}_name") if mode == "takeover" else None)
                found[kind] = known[kind] = str(given or patterns[mode].format_map(known))
            except KeyError:
                continue
            # SkyPilot's own digest; nothing secret hangs on it
            known[f"{kind}_digest"] = hashlib.md5(known[kind].encode(), usedforsecurity=False).hexdigest()[:4]
        return found

    def setting(self, settings: Mapping[str, Any], name: str, cluster: str) -> Any:
        """A setting of the config's part for this cloud, or its default; of one by cluster, the cluster's."""
        schema = self.settings.get(name, {})
        value = settings.get(name, schema.get("default"))
        if value and schema.get(BY_CLUSTER):
            return value.get(cluster, value.get("*"))
        return name_for(cluster, value) if schema.get(BY_PATTERN) else value


@dataclass(frozen=True, slots=True)
class Catalog:
    """The clouds in `folders`; a cloud in an earlier folder hides its namesake in a later one."""

    folders: tuple[Path, ...] = (_TEMPLATES,)

    def managed(self) -> tuple[str, ...]:
        """The names of the clouds that have a module, sorted."""
        return tuple(_manifests(self.folders))

    def load(self, name: str) -> Cloud:
        """The facts of a managed cloud.

        Raises `FindingsError` as `read_manifest`, and `KeyError` for a cloud without a manifest.
        """
        return _load(_manifests(self.folders)[name])

    def unmanaged(self) -> Mapping[str, UnmanagedCloud]:
        """SkyPilot's other clouds by name, sorted."""
        from skyports_tf.unmanaged import read_unmanaged

        managed = self.managed()
        return {name: cloud for name, cloud in read_unmanaged(_TEMPLATES).items() if name not in managed}


CATALOG = Catalog()


def managed_clouds() -> tuple[str, ...]:
    """The names of our own clouds, sorted."""
    return CATALOG.managed()


def load_cloud(name: str) -> Cloud:
    """The facts of one of our own clouds; raises as `Catalog.load`."""
    return CATALOG.load(name)


def unmanaged_clouds() -> Mapping[str, UnmanagedCloud]:
    """SkyPilot's other clouds by name."""
    return CATALOG.unmanaged()


@lru_cache(maxsize=8)
def _manifests(folders: tuple[Path, ...]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for folder in folders:
        for manifest in folder.glob(f"*/{_MANIFEST}"):
            found.setdefault(manifest.parent.name, manifest)
    return dict(sorted(found.items()))


@lru_cache(maxsize=64)
def _load(manifest: Path) -> Cloud:
    is_ours = manifest.parent.parent == _TEMPLATES
    return _cloud_of(read_manifest(manifest, is_ours=is_ours), manifest.parent)


def _cloud_of(facts: Mapping[str, Any], folder: Path) -> Cloud:
    names = facts["names"]
    limits = {name: Limit(**limit) for name, limit in facts["limits"].items()}
    return Cloud(
        name=facts["name"],
        title=facts["title"],
        provider=Provider(**facts["provider"]),
        shape=_shape_of(facts["rule_shape"], limits),
        sources=facts["sources"],
        protocols=tuple(facts["protocols"]),
        modes=tuple(facts["modes"]),
        region=Region(**facts["region"]) if "region" in facts else None,
        name_on_cloud_max_length=names.get("name_on_cloud_max_length"),
        needs_user_hash=names.get("needs_user_hash", False),
        object_names={kind: _by_mode(name, facts["modes"]) for kind, name in names["objects"].items()},
        name_rules={kind: TextRule(**rule) for kind, rule in names.get("rules", {}).items()},
        limits=limits,
        settings=facts.get("settings", {}),
        required_settings=tuple(facts.get("required_settings", ())),
        ssh_ports=tuple(facts.get("ssh_ports", ())),
        priorities=Priorities(**facts["priorities"]) if "priorities" in facts else None,
        description=TextRule(**facts["description"]) if "description" in facts else None,
        tags=TagRule(**facts["tags"]) if "tags" in facts else None,
        sky_config=facts.get("sky_config", {}),
        sky_config_with=facts.get("sky_config_with", {}),
        launch_first=facts.get("launch_first", False),
        keeps_out=facts.get("keeps_out", False),
        blind=facts.get("blind", {}),
        unadoptable=facts.get("unadoptable"),
        exclusions=tuple(Exclusion(**item) for item in facts.get("exclusions", ())),
        takeover=facts["takeover"],
        objects=facts["objects"],
        found_by=facts["found_by"],
        checks=tuple(facts.get("checks", ())),
        login=facts.get("login", {}),
        folder=folder,
    )


def _shape_of(facts: Mapping[str, Any], limits: Mapping[str, Limit]) -> RuleShape:
    most = {
        name: limits[name].value if name in limits else None for name in (PORTS_PER_RULE, SOURCES_PER_RULE)
    }
    return RuleShape(
        ports=facts["ports"],
        sources=facts["sources"],
        many_protocols=facts.get("many_protocols", False),
        ports_max=most[PORTS_PER_RULE],
        sources_max=most[SOURCES_PER_RULE],
        alone=tuple(facts.get("alone", ())),
    )


def _by_mode(name: str | Mapping[StackMode, str], modes: list[StackMode]) -> Mapping[StackMode, str]:
    return dict.fromkeys(modes, name) if isinstance(name, str) else name
