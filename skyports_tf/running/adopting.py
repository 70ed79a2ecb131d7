"""What adopting a cluster makes of its stack: what is there becomes the ledger's entry, and imports.

Nothing that is open closes by it and nothing changes: each live rule keeps its range, its source and
whatever else it has. What no rule of ours can say stays as it is, in no state.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from skyports_tf.diagnostics import Diagnostic
from skyports_tf.entries import adopted_entry
from skyports_tf.hcl import quote
from skyports_tf.imports import key_of
from skyports_tf.model import ADOPTED, Grant, LedgerEntry, Protocol, Stack
from skyports_tf.outcomes import PortRule
from skyports_tf.ports import LAST_PORT, PortRange, PortSet
from skyports_tf.running.changes import OpenRule, group_rules
from skyports_tf.running.probe import LiveRule, Probe
from skyports_tf.running.state import state_objects
from skyports_tf.sources import Source, SourceError, parse_source
from skyports_tf.stacks import ssh_key


@dataclass(frozen=True, slots=True)
class Adoption:
    """A stack as it is to be compiled for an adoption: entries, SSH sources, facts and imports.

    `rules` are the ports that come into its hands.
    """

    stack: Stack
    rules: tuple[PortRule, ...] = ()
    warnings: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True, slots=True)
class _Found:
    """A live rule that can be said: what it opens, and the address that is to hold it, if any is."""

    rule: LiveRule
    grant: Grant
    key: str
    address: str
    is_ssh: bool


def adoption_of(stack: Stack, probe: Probe, shown: Mapping[str, Any]) -> Adoption | None:
    """What is there and not in the state, which `shown` gives, as the stack is to hold it.

    Without imports where all is in the state already; None where there is nothing.
    """
    addresses, identifiers = state_objects(shown)
    lost = [rule for rule in probe.rules or () if rule.state_id not in identifiers]
    objects = {
        address: identifier
        for address, identifier in (probe.objects or {}).items()
        if address not in addresses and identifier not in identifiers
    }
    if not addresses and not lost:
        return None
    is_ours = bool(addresses) or probe.is_ours
    known = {rule.key: PortSet((rule.ports,)) for rule in stack.rules} if is_ours else {}
    found, foreign = _sorted_out(lost, stack if is_ours else None, set(filter(None, map(key_of, addresses))))
    ports = [item for item in found if not item.is_ssh]
    if not is_ours and not ports:
        return None
    fresh = [item.grant for item in ports if known.get(item.key) != PortSet((item.grant.ports,))]
    kept, aside = _kept(stack, is_ours)
    before = [grant for entry in kept if entry.file == ADOPTED for grant in entry.grants]
    entry = [adopted_entry([*before, *fresh])] if before or fresh else []
    entries = sorted(
        (*(item for item in kept if item.file != ADOPTED), *entry),
        key=lambda item: (item.file, item.position, item.task or ""),
    )
    adopted = replace(
        stack,
        entries=tuple(entries),
        ssh_sources=stack.ssh_sources if is_ours else _ssh_sources(found),
        adopted=_facts(probe, found, stack.adopted if is_ours else {}),
        imports={**objects, **{item.address: item.rule.id for item in found if item.address}},
    )
    opened = group_rules(item.rule.opens for item in ports)
    warnings = (*(_foreign(stack, rule) for rule in foreign), *_set_aside(stack, aside))
    return Adoption(adopted, opened, warnings)


def _sorted_out(
    rules: Iterable[LiveRule], ours: Stack | None, held: set[str]
) -> tuple[list[_Found], list[LiveRule]]:
    """The rules that the stack can say, the widest of those with one key, and the others.

    `held` are the keys that the state has already. `ours` is the stack where its SSH sources count.
    """
    found: dict[str, _Found] = {}
    foreign = []
    for rule in sorted(rules, key=lambda rule: (rule.opens.from_port - rule.opens.to_port, rule.id)):
        item = _found(rule, ours)
        place = item.key if item and (item.is_ssh or item.rule.holder) else item.address if item else ""
        if item is None or place in found or (item.key in held and not item.is_ssh):
            foreign.append(rule)
        else:
            found[place] = item
    broken = {rule.id for rule in foreign}
    whole = [item for item in found.values() if not item.rule.holder or item.rule.id not in broken]
    foreign += [item.rule for item in found.values() if item not in whole]
    return sorted(whole, key=lambda item: (item.address, item.key)), foreign


def _found(rule: LiveRule, ours: Stack | None) -> _Found | None:
    grant = _grant_of(rule.opens)
    if grant is None or (rule.facts is None and not rule.is_ours):
        return None
    source = str(grant.source)
    if rule.ssh is not None and (ours is None or grant.source in ours.ssh_sources):
        return _Found(rule, grant, source, rule.ssh and f"{rule.ssh}[{quote(source)}]", True)
    key = rule.key or f"{grant.protocol}-{grant.ports.first}@{source}"
    if rule.holder:
        return None if ours else _Found(rule, grant, key, rule.holder, False)
    return _Found(rule, grant, key, f"{rule.address}[{quote(key)}]", False)


def _grant_of(rule: OpenRule) -> Grant | None:
    """What a live rule opens as a grant; None where no rule of ours opens just that."""
    protocols: dict[str, Protocol] = {"tcp": "tcp", "udp": "udp"}
    protocol = protocols.get(rule.protocol)
    if protocol is None or not 1 <= rule.from_port <= rule.to_port <= LAST_PORT:
        return None
    try:
        source = parse_source(rule.source)
    except SourceError:
        return None
    if str(source) != rule.source:
        return None  # written as we would never write it: a rule of ours would replace it
    return Grant(protocol, PortRange(rule.from_port, rule.to_port), source)


def _ssh_sources(found: Iterable[_Found]) -> tuple[Source, ...]:
    return tuple(sorted((item.grant.source for item in found if item.is_ssh), key=lambda item: item.sort_key))


def _kept(stack: Stack, is_ours: bool) -> tuple[Sequence[LedgerEntry], Sequence[LedgerEntry]]:
    """The entries that stay, and those that were never applied and would open more than there is."""
    if is_ours:
        return stack.entries, ()
    return (), [entry for entry in stack.entries if entry.file != ADOPTED]


def _facts(probe: Probe, found: Sequence[_Found], known: Mapping[str, Any]) -> dict[str, Any]:
    """What the module is to leave as it is: of objects that are not ours, and of each rule by its key.

    Objects that are held as they are, and open the ports meanwhile, are the `holders`.
    """
    facts = dict(known)
    holders = sorted({item.rule.holder for item in found if item.rule.holder})
    if holders:
        facts |= {"held": True, "holders": holders}
    if probe.adopted is not None and "objects" not in facts:
        facts["objects"] = dict(probe.adopted)
    rules = dict(facts.get("rules", {}))
    for item in found:
        if item.rule.facts is not None and not item.rule.holder and not item.rule.is_ours:
            rules[ssh_key(item.grant.source) if item.is_ssh else item.key] = dict(item.rule.facts)
    return {**facts, **({"rules": rules} if rules else {})}


def _foreign(stack: Stack, rule: LiveRule) -> Diagnostic:
    opens = rule.opens
    if opens.protocol == "all":
        what = "every protocol"
    elif opens.from_port == opens.to_port:
        what = f"{opens.protocol} {opens.from_port}"
    else:
        what = f"{opens.protocol} {opens.from_port}-{opens.to_port}"
    message = f"{stack.name}: {what} from {opens.source} ({rule.id}) cannot be adopted, and stays as it is"
    return Diagnostic("rule-foreign", message, severity="warning")


def _set_aside(stack: Stack, entries: Sequence[LedgerEntry]) -> Iterator[Diagnostic]:
    if entries:
        files = ", ".join(dict.fromkeys(entry.file for entry in entries))
        message = f"{stack.name}: its tasks were never applied, and leave the ledger: {files}"
        help_text = "compile them again: what they ask for takes the place of what was adopted"
        yield Diagnostic("tasks-set-aside", message, help=help_text, severity="warning")
