"""The policy of the config: rules on what ports may be, and exceptions to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

from skyports_tf.expiry import stamp
from skyports_tf.model import Protocol
from skyports_tf.ports import PortSet
from skyports_tf.sources import Source

RuleKind = Literal[
    "denied_ports", "allowed_sources", "internet_ports", "required_expiry", "required_tags", "maximum_ports"
]
PolicySeverity = Literal["error", "warning"]
PolicyPorts = Mapping[Protocol, PortSet]

#: The code of a breach of each kind of rule.
CODES_OF: Final[dict[RuleKind, str]] = {
    "denied_ports": "policy-denied-port",
    "allowed_sources": "policy-source",
    "internet_ports": "policy-internet",
    "required_expiry": "policy-expiry",
    "required_tags": "policy-tag",
    "maximum_ports": "policy-too-many-ports",
}
#: Kinds that are about single ports, so that an exception may name some of them.
PORT_KINDS: Final[frozenset[RuleKind]] = frozenset(
    ("denied_ports", "allowed_sources", "internet_ports", "required_expiry")
)


@dataclass(frozen=True, slots=True)
class PolicyRule:
    """One rule for the clusters whose name matches the glob `cluster`; `position` counts in the config.

    `ports` are those that are denied, or that may be open to the internet; for allowed sources and
    required expiry those that the rule is about. `longest` is a duration, None where any end will
    do; `tags` maps the required tags to globs on their values.
    """

    name: str
    kind: RuleKind
    cluster: str = "*"
    severity: PolicySeverity = "error"
    ports: PolicyPorts = field(default_factory=dict)
    sources: tuple[Source, ...] = ()
    longest: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    most: int = 0
    position: int = 0

    @property
    def code(self) -> str:
        """The diagnostic code of its breaches."""
        return CODES_OF[self.kind]


@dataclass(frozen=True, slots=True)
class PolicyException:
    """A reviewed exception to one rule; `until` is an absolute time, from which on it has no effect.

    `ports` and `sources` are None where it covers whatever breaks the rule.
    """

    rule: str
    cluster: str
    reason: str
    until: str
    ports: PolicyPorts | None = field(default=None, hash=False)
    sources: tuple[Source, ...] | None = None
    position: int = 0

    def is_over(self, now: datetime) -> bool:
        """Whether its time has ended by `now`."""
        return self.until <= stamp(now)


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules of the config and their exceptions, each in the order of the file."""

    rules: tuple[PolicyRule, ...] = ()
    exceptions: tuple[PolicyException, ...] = ()


NO_POLICY: Final = Policy()
