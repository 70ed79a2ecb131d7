"""`policy:` of the config as rules and exceptions; the schema has checked its shape."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

from skyports_tf.diagnostics import Diagnostic, suggest
from skyports_tf.expiry import NEVER, ExpiryError, deadline_of, parse_expiry
from skyports_tf.model import Protocol
from skyports_tf.policy import PORT_KINDS, Policy, PolicyException, PolicyPorts, PolicyRule, RuleKind
from skyports_tf.ports import PortError, PortRange, PortSet, parse_port_range
from skyports_tf.source import YamlDocument
from skyports_tf.sources import Source, SourceError, parse_source

_KINDS: tuple[RuleKind, ...] = get_args(RuleKind)
_PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)
#: Kinds whose `ports` say which ports the rule is about.
_ABOUT_PORTS: tuple[RuleKind, ...] = ("allowed_sources", "required_expiry")
_PORTS_HINT = "write 22, 8000-8010, tcp/22 or udp/53; without a protocol, each is meant"
_KeyPath = tuple["str | int", ...]


def read_policy(document: YamlDocument, given: Mapping[str, Any], findings: list[Diagnostic]) -> Policy:
    """The policy in `given`, which stands under `policy` of the document; `findings` takes what is wrong."""
    reader = _Reader(document, findings)
    rules = [
        rule
        for position, item in enumerate(given.get("rules", ()))
        if (rule := reader.rule(item, position)) is not None
    ]
    for position, item in enumerate(given.get("exceptions", ())):
        reader.exception(item, position, {rule.name: rule for rule in rules})
    return Policy(tuple(rules), tuple(reader.exceptions))


@dataclass(slots=True)
class _Reader:
    document: YamlDocument
    findings: list[Diagnostic]
    names: set[str] = field(default_factory=set)
    exceptions: list[PolicyException] = field(default_factory=list)

    def tell(self, code: str, message: str, at: _KeyPath, help_text: str | None = None) -> None:
        self.findings.append(self.document.diagnostic(code, message, at, help=help_text))

    def rule(self, given: Mapping[str, Any], position: int) -> PolicyRule | None:
        at: _KeyPath = ("policy", "rules", position)
        name = given["name"]
        if name in self.names:
            self.tell("config-value", f"two rules are called {name!r}", (*at, "name"))
        self.names.add(name)
        kinds = [kind for kind in _KINDS if kind in given]
        if len(kinds) != 1:
            said = "nothing" if not kinds else "several things"
            help_text = f"give it exactly one of {', '.join(_KINDS)}"
            self.tell("config-value", f"the rule {name!r} asks for {said}", at, help_text)
            return None
        kind = kinds[0]
        if "ports" in given and kind not in _ABOUT_PORTS:
            message = f"'ports' says nothing beside {kind!r}"
            self.tell("config-value", message, (*at, "ports"), f"it goes with {' and '.join(_ABOUT_PORTS)}")
        named = kind if kind in ("denied_ports", "internet_ports") else "ports"
        return PolicyRule(
            name=name,
            kind=kind,
            cluster=given.get("cluster", "*"),
            severity=given.get("severity", "error"),
            ports=self.ports(given.get(named, ()), (*at, named)),
            sources=self.sources(given.get("allowed_sources", ()), (*at, "allowed_sources")),
            longest=self.longest(given, at),
            tags=self.tags(given.get("required_tags", ())),
            most=given.get("maximum_ports", 0),
            position=position,
        )

    def exception(self, given: Mapping[str, Any], position: int, rules: Mapping[str, PolicyRule]) -> None:
        at: _KeyPath = ("policy", "exceptions", position)
        name = given["rule"]
        if name not in self.names:
            known = f"rules: {', '.join(sorted(self.names))}" if self.names else "there are no rules"
            message = f"no rule is called {name!r}"
            self.tell("config-value", message, (*at, "rule"), suggest(name, self.names, known))
        rule = rules.get(name)
        for key in ("ports", "sources"):
            if rule and key in given and rule.kind not in PORT_KINDS:
                message = f"{key!r} says nothing in an exception to a rule on {rule.kind!r}"
                self.tell("config-value", message, (*at, key), "leave it out")
        until = self.until(given["until"], (*at, "until"))
        if not given["reason"].strip():
            self.tell(
                "config-value", "the reason is empty", (*at, "reason"), "say why, for the next reviewer"
            )
        ports = self.ports(given["ports"], (*at, "ports")) if "ports" in given else None
        sources = self.sources(given["sources"], (*at, "sources")) if "sources" in given else None
        if until is not None:
            found = (name, given["cluster"], " ".join(given["reason"].split()), until)
            self.exceptions.append(PolicyException(*found, ports, sources, position))

    def until(self, value: object, at: _KeyPath) -> str | None:
        help_text = "write a date such as 2026-12-01 (that day counts whole, in UTC), or 2026-12-01T18:00Z"
        try:
            end = deadline_of(parse_expiry(value))
        except ExpiryError as error:
            self.tell("bad-expiry", str(error), at, help_text)
            return None
        if end is None:
            self.tell("bad-expiry", f"{value!r} is no date", at, help_text)
        return end

    def ports(self, items: Sequence[object], at: _KeyPath) -> PolicyPorts:
        found: dict[Protocol, list[PortRange]] = {}
        written = self.document.texts(at) if items else ()
        for position, item in enumerate(items):
            if type(item) is int and written[position] != str(item):
                # 22:30 is no range, but a number in base 60: what is denied must be what was meant
                message = f"YAML reads {written[position]!r} as the number {item}"
                self.tell("bad-port", message, (*at, position), f"write {item}, or a range such as 8000-8010")
                continue
            try:
                for protocol, ports in _ports_of(item):
                    found.setdefault(protocol, []).append(ports)
            except PortError as error:
                self.tell("bad-port", str(error), (*at, position), _PORTS_HINT)
        return {protocol: PortSet.of(ranges) for protocol, ranges in sorted(found.items())}

    def sources(self, items: Sequence[str], at: _KeyPath) -> tuple[Source, ...]:
        found: dict[Source, None] = {}
        for position, item in enumerate(items):
            try:
                found[parse_source(item)] = None
            except SourceError as error:
                self.tell("bad-source", str(error), (*at, position))
        return tuple(sorted(found, key=lambda source: source.sort_key))

    def longest(self, given: Mapping[str, Any], at: _KeyPath) -> str | None:
        """The longest time of `required_expiry`; None where any end will do."""
        value = given.get("required_expiry", True)
        if value is True:
            return None
        place, help_text = (
            (*at, "required_expiry"),
            "write true, or the longest time that is allowed, such as 7d",
        )
        try:
            spec = parse_expiry(value)
        except ExpiryError as error:
            self.tell("bad-expiry", str(error), place, help_text)
            return None
        if spec == NEVER or deadline_of(spec) is not None:
            self.tell("bad-expiry", f"{str(value)!r} is no duration", place, help_text)
            return None
        return spec

    @staticmethod
    def tags(given: Mapping[str, Any] | Sequence[str]) -> Mapping[str, str]:
        """The required tags with globs on their values; any value will do where there is none."""
        if isinstance(given, Mapping):
            return {name: "*" if pattern is None else pattern for name, pattern in given.items()}
        return dict.fromkeys(given, "*")


def _ports_of(item: object) -> Iterator[tuple[Protocol, PortRange]]:
    """What `22`, `8000-8010` or `udp/53` names; raises `PortError` for anything else."""
    # as YAML spells it: true, not True
    text = json.dumps(item) if item is None or isinstance(item, bool) else str(item)
    protocol, slash, ports = text.partition("/")
    if not slash:
        found = parse_port_range(text)
        yield from ((known, found) for known in _PROTOCOLS)
        return
    known_protocols = [known for known in _PROTOCOLS if known == protocol]
    if not known_protocols:
        raise PortError(f"{protocol!r} is no protocol: tcp or udp")
    yield known_protocols[0], parse_port_range(ports)
