"""What of a stack breaks a policy, judged over the union of all its tasks.

Pure: rules, exceptions and the time come in, breaches go out. An exception takes exactly its own ports
and sources out of its own rule's breaches, so that it can hide nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import NamedTuple

from skyports_tf.expiry import NEVER, deadline_of, read_time, spell_stamp
from skyports_tf.exposure.addresses import AddressSet
from skyports_tf.exposure.ours import reaches_internet
from skyports_tf.model import LedgerEntry, Protocol, Stack
from skyports_tf.policy import PORT_KINDS, Policy, PolicyException, PolicyRule
from skyports_tf.ports import PortRange, PortSet
from skyports_tf.sources import Source

_NONE = PortSet()


@dataclass(frozen=True, slots=True)
class Breach:
    """What breaks a rule: `ports` open to `sources`, asked for by `entry` (None: SSH, or the whole stack).

    A breach of the whole stack has no ports. `reason` says what is wrong beyond the rule's kind;
    `exception` is what covers it.
    """

    rule: PolicyRule
    stack: Stack
    entry: LedgerEntry | None = None
    protocol: Protocol | None = None
    ports: PortSet = _NONE
    sources: tuple[Source, ...] = ()
    reason: str = ""
    exception: PolicyException | None = None


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a verdict depends on beside rules and stacks: the time, our own addresses, the stacks' tags."""

    now: datetime
    ours: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)


class _Opening(NamedTuple):
    """Ports that one entry opens to one source; SSH has no entry."""

    entry: LedgerEntry | None
    protocol: Protocol
    ports: PortSet
    source: Source
    expires: str | None = None
    expires_at: str | None = None


class _Group(NamedTuple):
    """What breaches have in common that are told as one but for their sources and ports."""

    entry: LedgerEntry | None
    protocol: Protocol
    reason: str
    exception: PolicyException | None


def judge(stack: Stack, policy: Policy, given: Circumstances) -> tuple[Breach, ...]:
    """Every breach of the stack, those that an exception covers among them, in a fixed order."""
    rules = [rule for rule in policy.rules if fnmatchcase(stack.cluster, rule.cluster)]
    if not rules:
        return ()
    openings = list(_openings(stack))
    active = [
        item
        for item in policy.exceptions
        if fnmatchcase(stack.cluster, item.cluster) and not item.is_over(given.now)
    ]
    found: list[Breach] = []
    for rule in rules:
        exceptions = [item for item in active if item.rule == rule.name]
        if rule.kind in PORT_KINDS:
            found += _port_breaches(rule, stack, openings, exceptions, given)
        else:
            found += _whole_breaches(rule, stack, exceptions, given)
    return tuple(found)


def open_ports(stack: Stack) -> int:
    """How many ports the stack opens, each counted once for each protocol, whoever may reach it."""
    ranges: dict[Protocol, list[PortRange]] = {}
    for rule in stack.rules:
        ranges.setdefault(rule.protocol, []).append(rule.ports)
    return sum(len(PortSet.of(items)) for items in ranges.values())


def covers(sources: Sequence[Source], source: Source) -> bool:
    """Whether everyone of `source` is among `sources`: addresses by their blocks, all else by name."""
    if source in sources:
        return True
    if source.kind not in ("ipv4", "ipv6"):
        return False
    blocks = (str(item) for item in sources if item.kind == source.kind)
    return AddressSet.of(blocks).covers(AddressSet.of((str(source),)))


def _openings(stack: Stack) -> Iterator[_Opening]:
    for entry in stack.entries:
        for grant in (*entry.grants, *entry.retained):
            if not grant.closed:
                ports = PortSet((grant.ports,))
                yield _Opening(entry, grant.protocol, ports, grant.source, grant.expires, grant.expires_at)
    ssh = PortSet.of(PortRange(port, port) for port in stack.ssh_ports)
    if ssh and stack.is_kept:
        for source in stack.ssh_sources:
            yield _Opening(None, "tcp", ssh, source)


def _port_breaches(
    rule: PolicyRule,
    stack: Stack,
    openings: Iterable[_Opening],
    exceptions: Sequence[PolicyException],
    given: Circumstances,
) -> Iterator[Breach]:
    groups: dict[_Group, dict[Source, PortSet]] = {}
    for opening in openings:
        ports, reason = _broken(rule, stack, opening, given)
        for part, exception in _excepted(ports, opening, exceptions):
            found = groups.setdefault(_Group(opening.entry, opening.protocol, reason, exception), {})
            found[opening.source] = found.get(opening.source, _NONE) | part
    for group, reach in groups.items():
        by_ports: dict[PortSet, list[Source]] = {}
        for source in sorted(reach, key=lambda item: item.sort_key):
            by_ports.setdefault(reach[source], []).append(source)
        for ports, sources in by_ports.items():
            yield Breach(
                rule, stack, group.entry, group.protocol, ports, tuple(sources), group.reason, group.exception
            )


def _broken(rule: PolicyRule, stack: Stack, opening: _Opening, given: Circumstances) -> tuple[PortSet, str]:
    """The ports of an opening that break the rule, and why where the kind alone does not say it."""
    named = rule.ports.get(opening.protocol, _NONE)
    if rule.kind == "denied_ports":
        return opening.ports & named, ""
    if rule.kind == "internet_ports":
        is_public = reaches_internet(stack.cloud, opening.source, given.ours)
        return (opening.ports - named if is_public else _NONE), ""
    about = opening.ports & named if rule.ports else opening.ports
    if rule.kind == "allowed_sources":
        return (_NONE if covers(rule.sources, opening.source) else about), ""
    # SSH belongs to the cluster, and has no end of its own
    reason = _too_long(rule, opening, given.now) if opening.entry else ""
    return (about if reason else _NONE), reason


def _too_long(rule: PolicyRule, opening: _Opening, now: datetime) -> str:
    """Why an opening breaks a rule on expiry; empty where it does not."""
    if not opening.expires or opening.expires == NEVER:
        return "never closes"
    end = deadline_of(opening.expires)
    longest = deadline_of(rule.longest, now) if rule.longest else None
    if longest is None:
        return ""
    if end is not None:
        too_long = end > longest
        return f"stays open until {spell_stamp(end)}, more than {rule.longest} from now" if too_long else ""
    length = read_time(deadline_of(opening.expires, now) or longest) - read_time(longest)
    return f"stays open for {opening.expires}, more than {rule.longest}" if length > timedelta() else ""


def _excepted(
    ports: PortSet, opening: _Opening, exceptions: Sequence[PolicyException]
) -> Iterator[tuple[PortSet, PolicyException | None]]:
    """The ports cut into what an exception covers, each with the first that does, and the rest."""
    for item in exceptions:
        if item.sources is not None and not covers(item.sources, opening.source):
            continue
        covered = ports if item.ports is None else ports & item.ports.get(opening.protocol, _NONE)
        if covered:
            yield covered, item
            ports = ports - covered
    if ports:
        yield ports, None


def _whole_breaches(
    rule: PolicyRule, stack: Stack, exceptions: Sequence[PolicyException], given: Circumstances
) -> Iterator[Breach]:
    """What breaks a rule that is about the stack as a whole."""
    if not stack.is_kept:
        return
    breach = Breach(rule, stack, exception=next(iter(exceptions), None))
    if rule.kind == "required_tags":
        for name, pattern in rule.tags.items():
            value = given.tags.get(name)
            if value is None:
                yield replace(breach, reason=f"the tag {name!r} is missing")
            elif not fnmatchcase(value, pattern):
                yield replace(breach, reason=f"the tag {name!r} is {value!r}, and must be like {pattern!r}")
    elif (count := open_ports(stack)) > rule.most:
        yield replace(breach, reason=f"has {count} open ports, and {rule.most} are the most")
