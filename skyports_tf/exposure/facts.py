"""How providers spell a rule, as providers/<prefix>.yaml tells it; no provider is named in code.

A type of resource holds rules: itself, or each block at a path. Of each rule the facts say where
protocol, ports and sources stand, what lets it count, whether it allows or denies, and which rules are
weighed together.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path as File
from typing import Any

from skyports_tf.diagnostics import FindingsError
from skyports_tf.exposure.intervals import EVERY_PORT, IntervalSet
from skyports_tf.exposure.shapes import (
    AttachingFact,
    Condition,
    DefaultFact,
    PortsFact,
    ProtocolFact,
    ResourceFact,
    RuleFact,
    SourceFact,
    ViaFact,
)
from skyports_tf.exposure.values import ELSEWHERE, Path
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
    """Whether a type of resource opens ports, is a group of rules, attaches one, or has to do with them."""
    prefix = resource_type.partition("_")[0]
    if facts_of(resource_type) or attaching_of(resource_type):
        return True
    names = ("groups", "others", "narrows", "open_without", "defaults")
    return any(resource_type in _listed(prefix, name) for name in names)


@lru_cache(maxsize=4096)
def is_group(resource_type: str) -> bool:
    """Whether a type of resource is a group of rules, which others may name as a source."""
    prefix = resource_type.partition("_")[0]
    return resource_type in _listed(prefix, "groups")


@lru_cache(maxsize=4096)
def narrowing_of(resource_type: str) -> tuple[Condition, ...] | None:
    """When a type of resource takes away from what others open; None where it does not, or is not known."""
    prefix = resource_type.partition("_")[0]
    facts = _listed(prefix, "narrows").get(resource_type)
    return None if facts is None else _conditions(facts)


@lru_cache(maxsize=4096)
def default_of(resource_type: str) -> DefaultFact | None:
    """The rules that a cloud has beside a type of resource before any code has; None where it has none."""
    prefix = resource_type.partition("_")[0]
    facts = _listed(prefix, "defaults").get(resource_type)
    if facts is None:
        return None
    taken = facts.get("taken_over", {})
    return DefaultFact(
        lets_in=facts["lets_in"],
        when=_conditions(facts.get("when", ())),
        names=_paths(facts.get("names")),
        taken_over=taken.get("type"),
        at=_path(taken.get("at")),
    )


@lru_cache(maxsize=4096)
def open_without(resource_type: str) -> tuple[Path, ...] | None:
    """The marks of a type of machine that is open on every port without a firewall; None for any other."""
    prefix = resource_type.partition("_")[0]
    marks = _listed(prefix, "open_without").get(resource_type)
    return None if marks is None else _paths(marks)


@lru_cache(maxsize=4096)
def looks_like_firewall(resource_type: str) -> bool:
    """Whether a type of resource opens something, or is called so, and our facts do not say what."""
    prefix = resource_type.partition("_")[0]
    if resource_type in _listed(prefix, "unseen"):
        return True
    return (
        _FIREWALL.search(resource_type) is not None
        and not matters(resource_type)
        and resource_type not in _listed(prefix, "opens_nothing")
    )


@lru_cache(maxsize=256)
def _listed(prefix: str, name: str) -> Mapping[str, Any]:
    """Types that the facts of a provider list under a name, with what is said of each."""
    file = _file(prefix)
    found = {} if file is None else read_provider(file).get(name, {})
    return found if isinstance(found, Mapping) else dict.fromkeys(found)


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
        inside=tuple(_together(item) for item in inside.get("any", ())),
        inside_name=inside.get("source", ""),
        via=_via(facts["via"]) if "via" in facts else None,
        unguarded=_path(facts.get("unguarded")),
    )


def _path(written: str | Sequence[str] | None) -> Path | None:
    return None if written is None else Path.of(written)


def _paths(written: Sequence[str | Sequence[str]] | None) -> tuple[Path, ...]:
    return tuple(map(Path.of, written or ()))


def _via(facts: Mapping[str, Any]) -> ViaFact:
    return ViaFact(
        at=Path.of(facts["at"]),
        types=frozenset(facts["types"]),
        by=_path(facts.get("by")),
        needed=facts.get("needed", False),
        when=tuple(
            replace(item, at=Path(item.at.steps, ELSEWHERE)) for item in _conditions(facts.get("when", ()))
        ),
    )


def _together(facts: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> tuple[Condition, ...]:
    return _conditions([facts] if isinstance(facts, Mapping) else facts)


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
        strip=tuple(facts.get("strip", ())),
    )
