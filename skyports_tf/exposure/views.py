"""From resources to exposures: every rule read, those weighed that belong together, echoes left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from skyports_tf.exposure.attachments import attachments
from skyports_tf.exposure.caveats import bare_machines, defaults, narrowing
from skyports_tf.exposure.facts import facts_of
from skyports_tf.exposure.lookup import Untold
from skyports_tf.exposure.model import Exposure
from skyports_tf.exposure.neighbours import Neighbours
from skyports_tf.exposure.reading import Read, read_resource
from skyports_tf.exposure.resources import Resource, without_index
from skyports_tf.exposure.rules import ALL, Rule, RuleSource, exposures_of
from skyports_tf.exposure.shapes import RuleFact
from skyports_tf.exposure.terraform_json import View


@dataclass(frozen=True, slots=True)
class Exposed:
    """What a view exposes; `before` is None where there is none. `untold` is what nobody can tell yet.

    `attached` says what the resources with rules guard, by address. `narrowing` are those that may take
    away from what is told, `bare` machines that are open on every port until a firewall is on them, and
    `defaults` say, by address, what a cloud's own rules let in.
    """

    after: tuple[Exposure, ...]
    before: tuple[Exposure, ...] | None = None
    untold: tuple[Untold, ...] = ()
    attached: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    narrowing: tuple[str, ...] = ()
    bare: tuple[str, ...] = ()
    defaults: tuple[tuple[str, str], ...] = ()


def exposed(view: View, ours: tuple[str, ...] = (), stack: str | None = None) -> Exposed:
    """The exposures of a plan, a state or code, before and after; `ours` are no strangers."""
    here = Neighbours(view.after)
    after = [(resource, read_resource(resource, here)) for resource in view.after]
    known = {id(resource): read for resource, read in after if not _looks_around(resource)}
    once = Neighbours(view.before or ())
    before = [
        (resource, known.get(id(resource)) or read_resource(resource, once)) for resource in view.before or ()
    ]
    separate = _Separate([*before, *after])
    untold = [
        item for resource, read in after for item in read.untold if not separate.explains(resource, item)
    ]
    return Exposed(
        after=exposures_of(separate.without_echoes(after), ours, stack),
        before=None
        if view.before is None
        else exposures_of(_Separate(before).without_echoes(before), ours, stack),
        untold=tuple(sorted(untold, key=lambda item: (item.address, item.attribute))),
        attached={**attachments(view.before or ()), **attachments(view.after)},
        narrowing=narrowing(view.after),
        bare=bare_machines(here),
        defaults=defaults(here),
    )


def _looks_around(resource: Resource) -> bool:
    facts = facts_of(resource.type)
    return facts is not None and facts.looks_around


_Pairs = Sequence[tuple[Resource, Read]]


class _Separate:
    """Rules that are resources of their own, by the group that holds them.

    A provider tells them a second time in the list of their group, where that list is computed.
    """

    def __init__(self, pairs: _Pairs) -> None:
        self.rules: dict[str, list[tuple[str, Rule]]] = {}
        for resource, read in pairs:
            for group in _group_of(resource):
                members = self.rules.setdefault(group, [])
                members += [(resource.type, rule) for rule in read.rules]

    def without_echoes(self, pairs: _Pairs) -> Iterable[Rule]:
        """Every rule, without what a group's list only repeats."""
        for resource, read in pairs:
            echoes = _echo_types(resource)
            others = _by_source(self._others(resource, echoes)) if echoes else {}
            # two groups may have one name, in places of their own
            scoped = any(fact.scope for fact in _facts(resource))
            for rule in read.rules:
                left = tuple(
                    source for source in rule.sources if not _is_echo(rule, others.get(source, ()), scoped)
                )
                if left:
                    yield rule if left == rule.sources else replace(rule, sources=left)

    def explains(self, resource: Resource, item: Untold) -> bool:
        """Whether a list that is not known yet is that of the separate rules."""
        kinds = {kind for fact in _facts(resource) for kind in fact.echo_of}
        return item.likely_empty and bool(self._others(resource, kinds))

    def _others(self, resource: Resource, types: Iterable[str]) -> list[Rule]:
        names = {resource.address, without_index(resource.address), *_names(resource)}
        known = set(types)
        return [rule for name in names for kind, rule in self.rules.get(name, ()) if kind in known]


def _by_source(rules: Iterable[Rule]) -> dict[RuleSource, list[Rule]]:
    found: dict[RuleSource, list[Rule]] = {}
    for rule in rules:
        for source in rule.sources:
            found.setdefault(source, []).append(rule)
    return found


def _is_echo(rule: Rule, others: Iterable[Rule], scoped: bool) -> bool:
    """Whether one of the rules for the same source says all that `rule` does."""
    return any(
        rule.denies == other.denies
        and (not scoped or rule.scope == other.scope)
        and other.protocol in (rule.protocol, ALL)
        and other.ports.covers(rule.ports)
        for other in others
    )


def _facts(resource: Resource) -> tuple[RuleFact, ...]:
    facts = facts_of(resource.type)
    return facts.rules if facts else ()


def _echo_types(resource: Resource) -> set[str]:
    """The types of separate rules that the group's list repeats; none where the code gives that list."""
    return {
        kind
        for fact in _facts(resource)
        if fact.echo_of and (resource.expressions is None or not resource.is_written(fact.each[:1]))
        for kind in fact.echo_of
    }


def _names(resource: Resource) -> list[str]:
    """What other resources may call a group."""
    found = [resource.values.get(name) for name in ("id", "name")]
    return [str(item) for item in found if isinstance(item, (str, int))]


def _group_of(resource: Resource) -> list[str]:
    """The group that a separate rule is in: its id, or its address in the code where that is not known."""
    facts = facts_of(resource.type)
    path = facts.group if facts else None
    if path is None:
        return []
    value = resource.values.get(path.steps[0])
    if isinstance(value, str):
        return [value]
    referred = resource.referred(path.steps)
    return [] if referred is None else [referred]
