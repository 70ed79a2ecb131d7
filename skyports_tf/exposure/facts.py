"""How providers spell a rule, as providers/<prefix>.yaml tells it; no provider is named in code.

A type of resource holds rules: itself, or each block at a path. Of each rule the facts say where
protocol, ports and sources stand, what lets it count, whether it allows or denies, and which rules are
weighed together.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path as File
from typing import Any, Literal

from skyports_tf.diagnostics import FindingsError
from skyports_tf.exposure.intervals import EVERY_PORT, IntervalSet
from skyports_tf.exposure.values import Path
from skyports_tf.schema import schema_findings
from skyports_tf.source import read_yaml

PROVIDERS = File(__file__).parent / "providers"

# names of firewalls, and of the rules in them
_FIREWALL = re.compile(r"firewall|security_?group|secgroup|security_rule|security_list|open_port|public_port")

SourceWord = Literal["cidr", "group", "prefix_list", "tag", "text"]


@dataclass(frozen=True, slots=True)
class Condition:
    """Holds where the value at `at` is one of `values`; `unset` is the answer where there is none."""

    at: Path
    values: frozenset[str]
    unset: bool


@dataclass(frozen=True, slots=True)
class ProtocolFact:
    """The protocol stands at `at`, or is that of the block of `blocks` which is there; else `default`."""

    at: Path | None
    blocks: tuple[tuple[Path, str], ...]
    names: Mapping[str, str]
    default: str


@dataclass(frozen=True, slots=True)
class PortsFact:
    """Ports stand as pairs of numbers, or as texts; `unset` are those where none stands.

    `words` are texts for every port; `unknown` are the ports that one has which is not known yet.
    """

    pairs: tuple[tuple[Path, Path], ...]
    texts: tuple[Path, ...]
    words: frozenset[str]
    unset: IntervalSet
    unknown: IntervalSet | None
    zero_is_unset: bool


@dataclass(frozen=True, slots=True)
class SourceFact:
    """Sources stand at `at`. A `text` may be a block or a word; what else it may be is `other`.

    `bits` is where the length of the prefix stands, `itself` says that the value is yes or no, and a yes
    means the group itself; a value that begins with one of `prefixes` is of that kind.
    """

    at: Path
    kind: SourceWord
    other: SourceWord
    bits: Path | None
    itself: bool
    prefixes: Mapping[str, SourceWord]


@dataclass(frozen=True, slots=True)
class RuleFact:
    """One kind of rule in a type of resource; schemas/exposure-facts.schema.json describes each fact."""

    each: tuple[str, ...]
    echo_of: tuple[str, ...]
    when: tuple[Condition, ...]
    unless: tuple[Condition, ...]
    allow: tuple[Condition, ...]
    deny: tuple[Condition, ...] | None
    deny_whole: tuple[Condition, ...]
    priority: Path | None
    priority_unset: int
    priority_zero_is_unset: bool
    ordered: bool
    last: bool
    deny_wins_ties: bool
    scope: tuple[Path, ...]
    targets: tuple[Path, ...]
    protocol: ProtocolFact
    ports: PortsFact
    sources: tuple[SourceFact, ...]
    no_source: Literal["everyone", "opens", "nobody"]
    families: Path | None
    every_family: tuple[int, ...]
    inside: tuple[Condition, ...]
    inside_name: str


@dataclass(frozen=True, slots=True)
class ResourceFact:
    """A type of resource that opens ports: its cloud, its rules, the group that it belongs to."""

    cloud: str
    rules: tuple[RuleFact, ...]
    group: Path | None
    words: Mapping[str, str]


@lru_cache(maxsize=4096)
def facts_of(resource_type: str) -> ResourceFact | None:
    """What is known of a type of resource; None where it opens nothing, or is not known."""
    return _provider(resource_type.partition("_")[0]).get(resource_type)


@lru_cache(maxsize=4096)
def looks_like_firewall(resource_type: str) -> bool:
    """Whether a type of resource is called like a firewall, and our facts do not say what it opens."""
    prefix = resource_type.partition("_")[0]
    return (
        _FIREWALL.search(resource_type) is not None
        and facts_of(resource_type) is None
        and resource_type not in _opens_nothing(prefix)
    )


def known_providers() -> tuple[str, ...]:
    """The prefixes of the types of resources that we know, sorted."""
    return tuple(sorted(file.stem for file in PROVIDERS.glob("*.yaml")))


@lru_cache(maxsize=64)
def _opens_nothing(prefix: str) -> frozenset[str]:
    file = _file(prefix)
    return frozenset() if file is None else frozenset(read_provider(file).get("opens_nothing", ()))


def _file(prefix: str) -> File | None:
    file = PROVIDERS / f"{prefix}.yaml"
    return file if prefix.isalnum() and file.is_file() else None


@lru_cache(maxsize=64)
def _provider(prefix: str) -> Mapping[str, ResourceFact]:
    file = _file(prefix)
    if file is None:
        return {}
    facts = read_provider(file)
    words = {str(word).lower(): meaning for word, meaning in facts.get("words", {}).items()}
    resources = facts["resources"]
    return {
        name: _resource(facts["cloud"], words, resources[resource.get("like", name)])
        for name, resource in resources.items()
    }


@lru_cache(maxsize=64)
def read_provider(file: File) -> Mapping[str, Any]:
    """The facts of one file, which our own schema accepts; raises `FindingsError` else."""
    document = read_yaml(str(file)).documents[0]
    facts: Mapping[str, Any] = document.data
    return facts


def check_provider(file: File) -> None:
    """Raise `FindingsError` with all that schemas/exposure-facts.schema.json refuses of a file of facts."""
    findings = schema_findings("exposure-facts", read_yaml(str(file)).documents[0])
    if findings:
        raise FindingsError(findings)


def _resource(cloud: str, words: Mapping[str, str], facts: Mapping[str, Any]) -> ResourceFact:
    return ResourceFact(
        cloud=cloud,
        rules=tuple(map(_rule, facts.get("rules", ()))),
        group=_path(facts.get("group")),
        words=words,
    )


def _rule(facts: Mapping[str, Any]) -> RuleFact:
    priority, action = facts.get("priority", {}), facts.get("action", {})
    inside = facts.get("inside", {})
    families = facts.get("families", {})
    return RuleFact(
        each=tuple(facts["each"].split(".")) if "each" in facts else (),
        echo_of=tuple(facts.get("echo_of", ())),
        when=_conditions(facts.get("when", ())),
        unless=_conditions(facts.get("unless", ())),
        allow=_conditions(action.get("allow", ())),
        deny=_conditions(action["deny"]) if "deny" in action else None,
        deny_whole=_conditions(action.get("whole", ())),
        priority=_path(priority.get("at")),
        priority_unset=priority.get("unset", 0),
        priority_zero_is_unset=priority.get("zero_is_unset", False),
        ordered=priority.get("ordered", False),
        last=priority.get("last", False),
        deny_wins_ties=priority.get("ties", "") == "deny",
        scope=tuple(map(Path.of, facts.get("scope", ()))),
        targets=tuple(map(Path.of, facts.get("targets", ()))),
        protocol=_protocol(facts.get("protocol", {})),
        ports=_ports(facts.get("ports", {})),
        sources=tuple(map(_source, facts.get("sources", ()))),
        no_source=facts.get("no_source", "nobody"),
        families=_path(families.get("at")),
        every_family=tuple(families.get("all", (4, 6))),
        inside=_conditions(inside.get("any", ())),
        inside_name=inside.get("source", ""),
    )


def _path(written: str | Sequence[str] | None) -> Path | None:
    return None if written is None else Path.of(written)


def _conditions(facts: Sequence[Mapping[str, Any]]) -> tuple[Condition, ...]:
    return tuple(
        Condition(
            Path.of(item["at"]),
            frozenset(str(value).lower() for value in item.get("is", ())),
            item.get("unset", False),
        )
        for item in facts
    )


def _protocol(facts: Mapping[str, Any]) -> ProtocolFact:
    return ProtocolFact(
        at=_path(facts.get("at")),
        blocks=tuple((Path.of(at), name) for at, name in facts.get("blocks", {}).items()),
        names=facts.get("names", {}),
        default=facts.get("default", "all"),
    )


def _ports(facts: Mapping[str, Any]) -> PortsFact:
    return PortsFact(
        pairs=tuple((Path.of(first), Path.of(last)) for first, last in facts.get("pairs", ())),
        texts=tuple(map(Path.of, facts.get("texts", ()))),
        words=frozenset(str(word).lower() for word in facts.get("words", ())),
        unset=_range(facts["unset"]) if "unset" in facts else EVERY_PORT,
        unknown=_range(facts["unknown"]) if "unknown" in facts else None,
        zero_is_unset=facts.get("zero_is_unset", False),
    )


def _range(pair: Sequence[int]) -> IntervalSet:
    return IntervalSet.of([(pair[0], pair[1])])


def _source(facts: Mapping[str, Any]) -> SourceFact:
    return SourceFact(
        at=Path.of(facts["at"]),
        kind=facts["kind"],
        other=facts.get("other", "tag"),
        bits=_path(facts.get("bits")),
        itself=facts.get("itself", False),
        prefixes=facts.get("prefixes", {}),
    )
