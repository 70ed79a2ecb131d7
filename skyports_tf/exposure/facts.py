"""How providers spell a rule, as providers/<prefix>.yaml tells it; no provider is named in code.

A type of resource holds rules: itself, or each block at a path. Of each rule the facts say where
protocol, ports and sources stand, what lets it count, whether it allows or denies, and which rules are
weighed together.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path as File
from typing import Any

from skyports_tf.diagnostics import FindingsError
from skyports_tf.exposure.intervals import EVERY_PORT, IntervalSet
from skyports_tf.exposure.shapes import (
    AttachingFact,
    Condition,
    PortsFact,
    ProtocolFact,
    ResourceFact,
    RuleFact,
    SourceFact,
)
from skyports_tf.exposure.values import Path
from skyports_tf.schema import schema_findings
from skyports_tf.source import read_yaml

PROVIDERS = File(__file__).parent / "providers"

# names of firewalls, and of the rules in them
_FIREWALL = re.compile(r"firewall|security_?group|secgroup|security_rule|security_list|open_port|public_port")


@lru_cache(maxsize=4096)
def facts_of(resource_type: str) -> ResourceFact | None:
    """What is known of a type of resource; None where it opens nothing, or is not known."""
    return _provider(resource_type.partition("_")[0]).get(resource_type)


@lru_cache(maxsize=4096)
def attaching_of(resource_type: str) -> AttachingFact | None:
    """How a type of resource attaches groups; None where it attaches none, or is not known."""
    file = _file(resource_type.partition("_")[0])
    facts = read_provider(file).get("attaches", {}).get(resource_type) if file else None
    if facts is None:
        return None
    return AttachingFact(_paths(facts.get("groups")), _paths(facts.get("marks")), _paths(facts.get("to")))


@lru_cache(maxsize=4096)
def matters(resource_type: str) -> bool:
    """Whether a type of resource opens ports, is a group of rules, or attaches one."""
    prefix = resource_type.partition("_")[0]
    if facts_of(resource_type) or attaching_of(resource_type):
        return True
    return resource_type in _listed(prefix, "groups")


@lru_cache(maxsize=4096)
def looks_like_firewall(resource_type: str) -> bool:
    """Whether a type of resource is called like a firewall, and our facts do not say what it opens."""
    prefix = resource_type.partition("_")[0]
    return (
        _FIREWALL.search(resource_type) is not None
        and facts_of(resource_type) is None
        and attaching_of(resource_type) is None
        and resource_type not in _listed(prefix, "groups")
        and resource_type not in _listed(prefix, "opens_nothing")
    )


@lru_cache(maxsize=64)
def _listed(prefix: str, name: str) -> frozenset[str]:
    """A list of types in the facts of a provider."""
    file = _file(prefix)
    return frozenset() if file is None else frozenset(read_provider(file).get(name, ()))


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
        guards=_paths(facts.get("guards")),
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
        scope=_paths(facts.get("scope")),
        targets=_paths(facts.get("targets")),
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


def _paths(written: Sequence[str | Sequence[str]] | None) -> tuple[Path, ...]:
    return tuple(map(Path.of, written or ()))


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
        texts=_paths(facts.get("texts")),
        words=frozenset(str(word).lower() for word in facts.get("words", ())),
        unset=_range(facts["unset"]) if "unset" in facts else EVERY_PORT,
        unknown=_range(facts["unknown"]) if "unknown" in facts else None,
        zero_is_unset=facts.get("zero_is_unset", False),
        of_any_protocol=facts.get("of_any_protocol", False),
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
