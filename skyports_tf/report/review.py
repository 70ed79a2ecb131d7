"""What a reviewer asks of plans: who could reach what before, who can after, and what makes the difference.

A reach is a set of ports by protocol and source (reach.py); sources are told as the internet where the
exposure of the stack says so.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

from skyports_tf.exposure.addresses import is_internet
from skyports_tf.exposure.ours import stack_exposures
from skyports_tf.model import IngressRule, Stack
from skyports_tf.outcomes import PortRule, StackPlan
from skyports_tf.ports import PortRange, PortSet
from skyports_tf.reach import minus, union
from skyports_tf.sources import SourceError, parse_source

#: The internet at large, some public addresses that the config does not call ours, or neither.
Audience = Literal["internet", "public", "inside"]
#: The one that matters most comes first.
AUDIENCES: Final[tuple[Audience, ...]] = ("internet", "public", "inside")
Mark = Literal["opens", "changes", "closes", "stays"]
Reach = Mapping[tuple[str, str], PortSet]

# a /8 of IPv4 is sixteen million addresses, a /16 of IPv6 more than a regional registry hands out at once
_WIDEST: Final = {4: 8, 6: 16}


@dataclass(frozen=True, slots=True)
class RuleRow:
    """One rule that a plan opens, changes or closes; `before` is what a changed one was."""

    mark: Mark
    rule: PortRule
    before: PortRule | None = None
    ssh: bool = False


@dataclass(frozen=True, slots=True)
class StackReview:
    """A stack under review: `opened` and `closed` are what the rules of its plan open and close.

    `before` and `after` are all that is open, `gained` what can be reached after and could not before,
    `lost` the other way round. What is opened and was open before, by another rule, is no news.
    """

    plan: StackPlan
    rows: tuple[RuleRow, ...]
    before: Reach
    after: Reach
    opened: Reach
    closed: Reach
    gained: Reach
    lost: Reach
    ours: tuple[str, ...] = ()

    @property
    def stack(self) -> Stack:
        """The stack."""
        return self.plan.stack

    def audience(self, source: str) -> Audience:
        """Who stands behind the source."""
        return audience(self.stack.cloud, source, self.ours)


def review_plan(plan: StackPlan, ours: tuple[str, ...] = ()) -> StackReview:
    """The plan under review; `ours` are the blocks that the config does not take for the internet."""
    changes = plan.changes
    rows = [RuleRow("opens", rule) for rule in changes.open]
    rows += [RuleRow("opens", rule, ssh=True) for rule in plan.ssh]
    rows += [RuleRow("changes", item.after, item.before) for item in changes.change]
    rows += [RuleRow("closes", rule) for rule in changes.close]
    new, old = ([rule_reach(getattr(item, end)) for item in changes.change] for end in ("after", "before"))
    opened = union(
        [
            *map(rule_reach, (*changes.open, *plan.ssh)),
            *(minus(after, before) for after, before in zip(new, old, strict=True)),
        ]
    )
    closed = union(
        [
            *map(rule_reach, changes.close),
            *(minus(before, after) for after, before in zip(new, old, strict=True)),
        ]
    )
    after = union([stack_reach(plan.stack), opened])
    before = union([minus(after, opened), closed])
    news = minus(opened, before), minus(closed, after)
    return StackReview(plan, tuple(rows), before, after, opened, closed, *news, tuple(ours))


def stack_reach(stack: Stack) -> Reach:
    """All that a stack wants open, SSH with it where that is ours to open."""
    found: list[Reach] = [{(rule.protocol, str(rule.source)): PortSet((rule.ports,))} for rule in stack.rules]
    if stack.is_kept:
        ssh = PortSet.of(PortRange(port, port) for port in stack.ssh_ports)
        found += [{("tcp", str(source)): ssh} for source in stack.ssh_sources]
    return union(found)


def rule_reach(rule: PortRule) -> Reach:
    """What a rule opens."""
    # a rule for every protocol begins at 0, which is no port
    ports = PortSet((PortRange(max(rule.from_port, 1), max(rule.to_port, 1)),))
    return {(rule.protocol, source): ports for source in rule.sources}


@lru_cache(maxsize=8192)
def audience(cloud: str, source: str, ours: tuple[str, ...] = ()) -> Audience:
    """Who stands behind a source of a cloud, which may have words of its own for the internet."""
    if is_internet(source, ours):
        return "internet" if _is_wide(source) else "public"
    try:
        parsed = parse_source(source)
    except SourceError:
        return "inside"
    if parsed.kind != "tag":
        return "inside"
    probe = Stack("probe", cloud, None, rules=(IngressRule("tcp", PortRange(1, 1), parsed),))
    return "internet" if any(item.internet for item in stack_exposures((probe,), ours)) else "inside"


def _is_wide(source: str) -> bool:
    block = ipaddress.ip_network(source, strict=False)
    return block.prefixlen <= _WIDEST[block.version]


def source_order(cloud: str, source: str, ours: tuple[str, ...]) -> tuple[object, ...]:
    """The internet first, then public addresses, then the rest, each in the order of the addresses."""
    place = AUDIENCES.index(audience(cloud, source, ours))
    try:
        return place, 0, parse_source(source).sort_key, source
    except SourceError:
        return place, 1, (), source


def reaches_internet(review: StackReview, reach: Reach) -> bool:
    """Whether a reach of the stack lets anybody in who is not ours."""
    return any(review.audience(source) != "inside" for _, source in reach)


def number_of_ranges(reaches: Iterable[Reach]) -> int:
    """How many ranges to a source the reaches hold."""
    return sum(len(ports.ranges) for reach in reaches for ports in reach.values())
