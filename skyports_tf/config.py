"""skyports.yaml: found in the current folder or above, every key optional."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from skyports_tf.backends import LOCAL, backend_findings, partial_config
from skyports_tf.clouds import CATALOG, Catalog
from skyports_tf.diagnostics import Diagnostic, FindingsError, suggest
from skyports_tf.expiry import WAY_OUT, ExpiryError, parse_expiry
from skyports_tf.model import Layout, Protocol
from skyports_tf.policy import NO_POLICY, Policy
from skyports_tf.ports import PortError, PortRange, parse_port_range
from skyports_tf.schema import schema_findings, schema_of
from skyports_tf.source import YamlDocument, read_yaml
from skyports_tf.sources import Source, SourceError, parse_source
from skyports_tf.tasks.infra import ALIASES

CONFIG_NAME = "skyports.yaml"
DEFAULT_OUT = "infra"
DEFAULT_CLOUDS = ("aws",)
INTERNET = (Source("ipv4", "0.0.0.0/0"),)

_KeyPath = tuple["str | int", ...]


@dataclass(frozen=True, slots=True)
class PortRefinement:
    """What the config says of a range of ports; None leaves it as it is."""

    ports: PortRange
    sources: tuple[Source, ...] | None = None
    protocols: tuple[Protocol, ...] | None = None
    description: str | None = None
    expires: str | None = None


@dataclass(frozen=True, slots=True)
class ClusterRule:
    """What the config says of the clusters whose name matches the glob `cluster`."""

    cluster: str
    sources: tuple[Source, ...] | None = None
    ssh_sources: tuple[Source, ...] | None = None
    ports: tuple[PortRefinement, ...] = ()
    expires: str | None = None


@dataclass(frozen=True, slots=True)
class Config:
    """The config as read, or its defaults.

    `path` is None where there is no file; `out` is relative to the current folder where it
    lies below it. `backend_config` are files and NAME=VALUE pairs for `terraform init` alone, and with
    `migrate_state` a state follows its backend. `ours` are blocks whose addresses are not the
    internet. `cloud_settings` holds each cloud's own part; `document` gives findings on settings
    their place.
    """

    path: str | None = None
    out: str = DEFAULT_OUT
    clouds: tuple[str, ...] = DEFAULT_CLOUDS
    clouds_given: bool = False
    user_hash: str | None = None
    sources: tuple[Source, ...] = INTERNET
    ssh_sources: tuple[Source, ...] = INTERNET
    retain: bool = False
    expires: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    backend_kind: str = LOCAL
    backend: Mapping[str, Any] = field(default_factory=dict)
    layout: Layout = "separate"
    backend_config: tuple[str, ...] = ()
    migrate_state: bool = False
    terraform_binary: str | None = None
    sky_binary: str | None = None
    rules: tuple[ClusterRule, ...] = ()
    ours: tuple[str, ...] = ()
    policy: Policy = NO_POLICY
    cloud_settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    ci: Mapping[str, Any] = field(default_factory=dict)
    catalog: Catalog = CATALOG
    document: YamlDocument | None = field(default=None, compare=False, repr=False)

    def settings_of(self, cloud: str) -> Mapping[str, Any]:
        """The config's own part for `cloud`."""
        return self.cloud_settings.get(cloud) or {}

    def finding(self, code: str, message: str, at: _KeyPath, help_text: str | None = None) -> Diagnostic:
        """A finding on the setting `at`, with its place where there is a file."""
        if self.document is None:
            return Diagnostic(code, message, help=help_text)
        return self.document.diagnostic(code, message, at, help=help_text)


def find_config(start: Path) -> Path | None:
    """The nearest skyports.yaml in `start` or a folder above it."""
    for folder in (start, *start.parents):
        candidate = folder / CONFIG_NAME
        if candidate.is_file():
            return candidate
    return None


def read_config(path: str | None) -> Config:
    """Read the config file at `path`; None gives the defaults.

    Raises `FindingsError` with every finding of the file.
    """
    if path is None:
        return Config()
    documents = [document for document in read_yaml(path).documents if document.data is not None]
    if not documents:
        return Config(path=path, out=_relative_to_here(Path(path).parent / DEFAULT_OUT))
    document, *others = documents
    catalog = _catalog(path, document)
    findings = schema_findings(_config_schema(catalog, document.data), document)
    findings += [other.diagnostic("config-value", "a config is one document") for other in others]
    if findings:
        raise FindingsError(findings)
    findings = [
        *backend_findings(document),
        *_cloud_findings(document, catalog),
        *_nul_findings(document, document.data),
    ]
    config = _Reader(document, catalog, findings).config(path)
    if findings:
        raise FindingsError(findings)
    return config


def _catalog(path: str, document: YamlDocument) -> Catalog:
    """Our clouds, and before them those of the folder that the config names."""
    named = document.data.get("templates") if isinstance(document.data, dict) else None
    if not isinstance(named, str):
        return CATALOG
    folder = (Path(path).parent / named).resolve()
    if not folder.is_dir():
        raise FindingsError(document.diagnostic("config-value", f"no such folder: {named!r}", ("templates",)))
    return Catalog((folder, *CATALOG.folders))


def _config_schema(catalog: Catalog, given: Any) -> Mapping[str, Any]:
    """The schema of the config, with the settings of the clouds that `given` configures."""
    schema = schema_of("config")
    clouds: dict[str, Any] = {}
    for name in catalog.managed():
        is_named = isinstance(given, dict) and name in given
        properties = catalog.load(name).settings if is_named else {}
        clouds[name] = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**schema, "properties": {**schema["properties"], **clouds}}


def _cloud_findings(document: YamlDocument, catalog: Catalog) -> Iterator[Diagnostic]:
    known = (*catalog.managed(), *catalog.unmanaged())
    for position, name in enumerate(document.data.get("clouds", ())):
        if name not in known:
            word = ALIASES.get(name.lower(), name.lower())
            help_text = suggest(word, known, f"managed clouds: {', '.join(catalog.managed())}")
            at = ("clouds", position)
            yield document.diagnostic("cloud-unknown", f"unknown cloud {name!r}", at, help=help_text)


def _nul_findings(document: YamlDocument, value: Any, at: _KeyPath = ()) -> Iterator[Diagnostic]:
    """HCL cannot hold a NUL character, wherever it stands."""
    if isinstance(value, str) and "\0" in value:
        yield document.diagnostic("config-value", "a text cannot hold a NUL character", at)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _nul_findings(document, key, (*at, key))
            yield from _nul_findings(document, item, (*at, key))
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from _nul_findings(document, item, (*at, position))


@dataclass(frozen=True, slots=True)
class _Reader:
    """Turns the checked data into a `Config`; what is still wrong goes to `findings`."""

    document: YamlDocument
    catalog: Catalog
    findings: list[Diagnostic]

    def config(self, path: str) -> Config:
        given: Mapping[str, Any] = {k: v for k, v in (self.document.data or {}).items() if v is not None}
        backend_kind, backend = next(iter((given.get("backend") or {LOCAL: None}).items()))
        return Config(
            path=path,
            out=_relative_to_here(Path(path).parent / given.get("out", DEFAULT_OUT)),
            clouds=tuple(given.get("clouds", DEFAULT_CLOUDS)),
            clouds_given="clouds" in given,
            user_hash=given.get("user_hash"),
            sources=self.sources(given.get("sources"), ("sources",)) or INTERNET,
            ssh_sources=self.sources(given.get("ssh_sources"), ("ssh_sources",), INTERNET) or (),
            retain=given.get("retain", False),
            expires=self.expires(given, ()),
            tags=given.get("tags", {}),
            backend_kind=backend_kind,
            backend=backend or {},
            layout=given.get("layout", "separate"),
            backend_config=partial_config(path, given),
            terraform_binary=_binary_path(path, given.get("terraform", {}).get("binary")),
            sky_binary=_binary_path(path, given.get("skypilot", {}).get("binary")),
            rules=tuple(self.rule(rule, ("rules", at)) for at, rule in enumerate(given.get("rules", ()))),
            ours=self.ours(given.get("exposure") or {}),
            policy=self.policy(given["policy"]) if given.get("policy") else NO_POLICY,
            cloud_settings={name: value for name, value in given.items() if name in self.catalog.managed()},
            ci=given.get("ci", {}),
            catalog=self.catalog,
            document=self.document,
        )

    def sources(
        self, texts: Sequence[str] | None, at: _KeyPath, default: tuple[Source, ...] | None = None
    ) -> tuple[Source, ...] | None:
        if texts is None or not isinstance(texts, list):
            return default
        found: dict[Source, None] = {}
        for position, text in enumerate(texts):
            try:
                found[parse_source(str(text))] = None
            except SourceError as error:
                self.findings.append(self.document.diagnostic("bad-source", str(error), (*at, position)))
        return tuple(sorted(found, key=lambda source: source.sort_key))

    def ours(self, exposure: Mapping[str, Any]) -> tuple[str, ...]:
        return tuple(map(str, self.sources(exposure.get("ours"), ("exposure", "ours")) or ()))

    def policy(self, given: Mapping[str, Any]) -> Policy:
        from skyports_tf.rulebook import read_policy

        return read_policy(self.document, given, self.findings)

    def rule(self, rule: Mapping[str, Any], at: _KeyPath) -> ClusterRule:
        refinements = (
            self.refinement(key, value or {}, (*at, "ports", key))
            for key, value in rule.get("ports", {}).items()
        )
        return ClusterRule(
            cluster=rule.get("cluster", ""),
            sources=self.sources(rule.get("sources"), (*at, "sources")),
            ssh_sources=self.sources(rule.get("ssh_sources"), (*at, "ssh_sources")),
            expires=self.expires(rule, at),
            ports=tuple(item for item in refinements if item is not None),
        )

    def refinement(self, key: object, value: Mapping[str, Any], at: _KeyPath) -> PortRefinement | None:
        protocol: Protocol | list[Protocol] | None = value.get("protocol")
        sources = self.sources(value.get("sources"), (*at, "sources"))
        written = self.document.key_text(at)
        if type(key) is int and written != str(key):  # 22:30 is a number in base 60
            message = f"YAML reads {written!r} as the number {key}"
            help_text = f"write {key}, or a range such as 8000-8010"
            self.findings.append(self.document.diagnostic("bad-port", message, at, key=True, help=help_text))
            return None
        try:
            ports = parse_port_range(str(key))
        except PortError as error:
            self.findings.append(self.document.diagnostic("bad-port", str(error), at, key=True))
            return None
        return PortRefinement(
            ports=ports,
            sources=sources,
            protocols=(protocol,)
            if isinstance(protocol, str)
            else tuple(sorted(protocol))
            if protocol
            else None,
            description=value.get("description"),
            expires=self.expires(value, at),
        )

    def expires(self, settings: Mapping[str, Any], at: _KeyPath) -> str | None:
        """The normal form of `expires` in `settings`, which stand at `at`; empty is not set."""
        value = settings.get("expires")
        if value is None:
            return None
        try:
            return parse_expiry(value)
        except ExpiryError as error:
            place = (*at, "expires")
            self.findings.append(self.document.diagnostic("bad-expiry", str(error), place, help=WAY_OUT))
            return None


def _relative_to_here(folder: Path) -> str:
    relative = os.path.relpath(folder)
    return str(folder) if relative.startswith("..") and folder.is_absolute() else relative


def _binary_path(config_path: str, binary: str | None) -> str | None:
    """A binary with a folder in its name is relative to the config; a bare name is looked for on PATH."""
    if binary is None or os.sep not in binary:
        return binary
    return os.path.abspath(Path(config_path).parent / Path(binary).expanduser())
