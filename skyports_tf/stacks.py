"""What a place's ledger entries come to: its rules, packed for the cloud, and its objects' names."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, count
from typing import Any

from skyports_tf.clouds import PORTS_PER_RULE, SOURCES_PER_RULE, Cloud, Limit
from skyports_tf.config import Config
from skyports_tf.diagnostics import Diagnostic, FindingsError
from skyports_tf.grants import Flags, ssh_sources_of
from skyports_tf.model import ADOPTED, IngressRule, LedgerEntry, PackedRule, Stack, StackMode
from skyports_tf.naming import NameTooLongError, name_on_cloud, name_on_cloud_pattern
from skyports_tf.pack import pack, pack_rules, wanted_of
from skyports_tf.packing.shapes import RuleShape
from skyports_tf.ports import PortSet
from skyports_tf.resolve import Place, place_of
from skyports_tf.sky_config import fill_names, merge_configs
from skyports_tf.sources import Source


def build_stack(
    place: Place, old: Stack | None, entries: tuple[LedgerEntry, ...], config: Config, flags: Flags
) -> Stack:
    """The stack at `place` for `entries`; `old` is what its ledger had, which keeps keys and names."""
    cloud = config.catalog.load(place.cloud)
    given = config.settings_of(cloud.name)
    mode: StackMode = flags.mode or given.get("mode") or (old.mode if old else cloud.modes[0])
    settings = {name: cloud.setting(given, name, place.cluster) for name in cloud.settings}
    named = _name_on_cloud(place.cluster, cloud, flags.user_hash, old)
    names = cloud.names_of(place.cluster, mode, named, {**settings, "region": place.region})
    rules = pack_rules(entries, old.adopted.get("rules", ()) if old else ())
    ssh_ports = cloud.ssh_ports if mode == "takeover" else ()
    said = {**names, "cluster": place.cluster}
    by_setting = cloud.sky_config_with if mode == "takeover" else {}
    needed = [cloud.sky_config, *(part for name, part in by_setting.items() if settings[name] is not None)]
    ssh_sources = ssh_sources_of(place.cluster, config, flags) if ssh_ports else ()
    held = bool(old and old.adopted.get("held")) and all(entry.file == ADOPTED for entry in entries)
    packed = () if held else tuple(_packed(rules, cloud, shape_of(cloud, config), old.packed if old else ()))
    kept = {rule.key for rule in packed} | {ssh_key(source) for source in ssh_sources}
    return Stack(
        cluster=place.cluster,
        cloud=place.cloud,
        region=place.region,
        mode=mode,
        entries=entries,
        rules=rules,
        packed=packed,
        ssh_sources=ssh_sources,
        ssh_ports=ssh_ports,
        name_on_cloud=named,
        names=names,
        tags=dict(sorted(config.tags.items())),
        settings=settings,
        backend=(config.backend_kind, config.backend),
        sky_config=fill_names(merge_configs(needed), said) if rules else {},
        launch_config=fill_names(merge_configs([*by_setting.values()]), said) if rules else {},
        adopted=_facts(old, kept, held) if old and (rules or held) and old.mode == mode else {},
        imports=old.imports if old and rules else {},
        layout=old.layout if old else config.layout,
    )


def ssh_key(source: Source) -> str:
    """What the rule that lets `source` use SSH is called among the facts of what was adopted."""
    return f"ssh@{source}"


def _facts(old: Stack, keys: Collection[str], held: bool) -> Mapping[str, Any]:
    """What is known of adopted objects, without the rules that are gone.

    While they are `held`, objects of SkyPilot's open the ports, and no rule of ours.
    """
    if not old.adopted:
        return {}
    rules = {key: fact for key, fact in old.adopted.get("rules", {}).items() if key in keys}
    kept = {name: fact for name, fact in old.adopted.items() if name not in ("held", "rules")}
    return {**({"held": True} if held else {}), **kept, **({"rules": rules} if rules else {})}


def fill_stack(stack: Stack, config: Config) -> Stack:
    """`stack` as its ledger has it, and what the config adds: names, settings, the rules of the cloud.

    Where its state is kept stays what it was.
    """
    flags = Flags(mode=stack.mode, ssh_sources=stack.ssh_sources)
    built = build_stack(place_of(stack), stack, stack.entries, config, flags)
    return replace(built, ssh_sources=stack.ssh_sources, backend=stack.backend)


def filled_if_known(stack: Stack, config: Config) -> Stack:
    """As `fill_stack`; the stack as it is where the config does not know its cloud (any more)."""
    try:
        return fill_stack(stack, config)
    except (FindingsError, KeyError):
        return stack


def allowed(limit: Limit, settings: Mapping[str, Any]) -> int:
    """What a limit is, after the config has raised it."""
    raised = settings.get(limit.setting) if limit.setting else None
    return limit.value if raised is None else int(raised)


def shape_of(cloud: Cloud, config: Config) -> RuleShape:
    """The cloud's rule shape, with the limits that the config has raised."""
    return shaped(cloud, config.settings_of(cloud.name))


def shaped(cloud: Cloud, settings: Mapping[str, Any]) -> RuleShape:
    """The cloud's rule shape, with the limits that its settings have raised."""
    most = {
        name: allowed(cloud.limits[name], settings) if name in cloud.limits else None
        for name in (PORTS_PER_RULE, SOURCES_PER_RULE)
    }
    return replace(cloud.shape, ports_max=most[PORTS_PER_RULE], sources_max=most[SOURCES_PER_RULE])


def _name_on_cloud(cluster: str, cloud: Cloud, user_hash: str | None, old: Stack | None) -> str | None:
    """SkyPilot's name; without a user hash a pattern that any fits, None where that is not enough.

    Raises `FindingsError` where the cloud has no room for the name.
    """
    if user_hash:
        try:
            return name_on_cloud(cluster, user_hash, cloud.name_on_cloud_max_length)
        except NameTooLongError as error:
            help_text = "choose a shorter name with --cluster"
            raise FindingsError(
                Diagnostic("name-too-long", f"{cloud.name}: {error}", help=help_text)
            ) from None
    if old is not None and old.name_on_cloud:
        return old.name_on_cloud
    return None if cloud.needs_user_hash else name_on_cloud_pattern(cluster)


def _packed(
    rules: Sequence[IngressRule], cloud: Cloud, shape: RuleShape, previous: Sequence[PackedRule]
) -> Iterator[PackedRule]:
    """The rules as the cloud holds them; one range and one source need no packing."""
    if shape.is_plain:
        for rule in rules:
            ports = ((rule.protocol, PortSet((rule.ports,))),)
            yield PackedRule(rule.key, ports, (rule.source,), rule.description)
        return
    packed = pack(wanted_of(rules), shape, previous)
    priorities = _priorities(packed, cloud, previous)
    for item in packed:
        yield replace(item, description=_description(item, rules), priority=priorities.get(item.key))


def _priorities(packed: Sequence[PackedRule], cloud: Cloud, previous: Sequence[PackedRule]) -> dict[str, int]:
    """A priority of its own for each rule; one that was there keeps its own.

    A new rule takes one of a rule that goes only where no other is left: it opens before that one closes.
    """
    if cloud.priorities is None:
        return {}
    before = {rule.key: rule.priority for rule in previous if rule.priority is not None}
    found = {rule.key: before[rule.key] for rule in packed if rule.key in before}
    going = set(before.values()).difference(found.values())
    window = range(cloud.priorities.first, cloud.priorities.last + 1)
    taken = {*going, *found.values()}
    unused = (number for number in window if number not in taken)
    free = chain(unused, sorted(going), count(cloud.priorities.last + 1))
    return {rule.key: found.get(rule.key) or next(free) for rule in packed}


def _description(item: PackedRule, rules: Sequence[IngressRule]) -> str | None:
    """What the config says of the ports that a packed rule opens."""
    found = {
        rule.description: None
        for rule in rules
        if rule.description and rule.source in item.sources and _opens(item, rule)
    }
    return ", ".join(found) or None


def _opens(item: PackedRule, rule: IngressRule) -> bool:
    ports = dict(item.ports).get(rule.protocol, PortSet())
    return bool(ports & PortSet((rule.ports,)))
