"""What a cloud would refuse, refused before Terraform runs: names, quotas, sources, tags."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from skyports_tf.clouds import BY_CLUSTER, PORTS_PER_RULE, SOURCES_PER_RULE, Cloud, Limit
from skyports_tf.config import Config
from skyports_tf.model import Stack
from skyports_tf.naming import USER_HASH_HELP
from skyports_tf.pack import pack
from skyports_tf.packing.shapes import RuleShape, Wanted
from skyports_tf.ports import PortRange, PortSet
from skyports_tf.sources import SourceKind
from skyports_tf.stacks import allowed, shape_of, shaped


class Problem(NamedTuple):
    """What is wrong with a stack: a diagnostic's code, message and help."""

    code: str
    message: str
    help: str | None = None


def stack_problems(stack: Stack, config: Config) -> Iterator[Problem]:
    """Everything that the stack's cloud would refuse of it."""
    cloud = config.catalog.load(stack.cloud)
    yield from _setting_problems(stack, cloud, config)
    yield from _mode_problems(stack, cloud)
    yield from _name_problems(stack, cloud)
    yield from _rule_problems(stack, cloud)
    yield from _protocol_problems(stack, cloud)
    yield from _quota_problems(stack, cloud, config)
    yield from _tag_problems(stack, cloud)


def _setting_problems(stack: Stack, cloud: Cloud, config: Config) -> Iterator[Problem]:
    given = config.settings_of(cloud.name)
    for name in cloud.required_settings:
        if stack.rules and not cloud.setting(given, name, stack.cluster):
            about = cloud.settings[name]["description"]
            by_cluster = f".{stack.cluster}" if BY_CLUSTER in cloud.settings[name] else ""
            help_text = f"set `{cloud.name}.{name}{by_cluster}` in the config"
            yield Problem("setting-missing", f"{cloud.name} needs the setting {name!r}: {about}", help_text)


def _mode_problems(stack: Stack, cloud: Cloud) -> Iterator[Problem]:
    if stack.mode not in cloud.modes:
        modes = f"modes: {', '.join(cloud.modes)}"
        yield Problem("mode-unsupported", f"{cloud.name} has no mode {stack.mode!r}", modes)
    elif stack.name_on_cloud is None or (stack.mode == "attach" and "?" in stack.name_on_cloud):
        yield Problem(
            "user-hash-unknown",
            "SkyPilot's user hash is needed for the cluster's name on the cloud, and it is unknown",
            USER_HASH_HELP,
        )


def _name_problems(stack: Stack, cloud: Cloud) -> Iterator[Problem]:
    for kind, rule in cloud.name_rules.items():
        name, title = stack.names.get(kind, ""), kind.replace("_", " ")
        way_out = "choose another name with --cluster"
        if len(name) > rule.max_length:
            message = f"the {title}'s name has {len(name)} characters, {rule.max_length} are allowed"
            yield Problem("name-too-long", message, way_out)
        elif name and not re.fullmatch(rule.pattern, name):
            yield Problem("name-invalid", f"{name!r} cannot be the name of the {title}", way_out)


def _quota_problems(stack: Stack, cloud: Cloud, config: Config) -> Iterator[Problem]:
    if not stack.rules:
        return
    settings, shape = config.settings_of(cloud.name), shape_of(cloud, config)
    for name, limit in cloud.limits.items():
        if name in (PORTS_PER_RULE, SOURCES_PER_RULE):
            continue
        most = allowed(limit, settings)
        for family, need in _needed(stack, cloud, shape, limit).items():
            if need > most:
                yield _over_quota(
                    cloud, limit, f"{need} {family}rules are needed, {most} are allowed", need - most
                )


def has_room(stack: Stack, cloud: Cloud, going: Sequence[SourceKind | None]) -> bool:
    """Whether the cloud takes the stack's rules beside others that go later.

    `going` says of each of those whom it lets in, None where that is unknown.
    """
    shape = shaped(cloud, stack.settings)
    return all(
        need <= allowed(limit, stack.settings)
        for name, limit in cloud.limits.items()
        if name not in (PORTS_PER_RULE, SOURCES_PER_RULE)
        for need in _needed(stack, cloud, shape, limit, going).values()
    )


def _needed(
    stack: Stack, cloud: Cloud, shape: RuleShape, limit: Limit, others: Sequence[SourceKind | None] = ()
) -> Mapping[str, int]:
    """How many rules count against a limit, by family where the cloud counts those apart."""
    fixed = limit.fixed.get(stack.mode, 0)
    kinds = [*(rule.sources[0].kind for rule in stack.packed), *_ssh_kinds(stack, cloud, shape), *others]
    if not limit.families_apart:
        return {"": len(kinds) + fixed}
    return {
        "IPv4 ": sum(kind != "ipv6" for kind in kinds) + fixed,
        "IPv6 ": sum(kind != "ipv4" for kind in kinds) + fixed,
    }


def _ssh_kinds(stack: Stack, cloud: Cloud, shape: RuleShape) -> list[SourceKind]:
    """Of each rule that SSH needs beside the ports, whom it lets in."""
    wanted = _ssh_wanted(stack, cloud)
    if shape.is_plain:
        return [source.kind for (_, source), ports in wanted.items() for _ in ports]
    return [rule.sources[0].kind for rule in pack(wanted, shape)]


def _ssh_wanted(stack: Stack, cloud: Cloud) -> Wanted:
    """What SSH needs beside the ports: nothing where a port's rule is the very same."""
    ports = PortSet.of(PortRange(port, port) for port in cloud.ssh_ports)
    asked = {(rule.source, rule.ports) for rule in stack.rules if rule.protocol == "tcp"}
    return {
        ("tcp", source): PortSet(tuple(item for item in ports if (source, item) not in asked))
        for source in stack.ssh_sources
    }


def _over_quota(cloud: Cloud, limit: Limit, message: str, excess: int) -> Problem:
    unverified = ", not verified" if limit.unverified else ""
    raised = (
        f"raise the quota and set `{cloud.name}.{limit.setting}` in the config, or " if limit.setting else ""
    )
    return Problem(
        "quota-exceeded",
        f"{message}: {excess} too many ({limit.quota}{unverified})",
        f"{raised}ask for fewer ranges or sources",
    )


def _rule_problems(stack: Stack, cloud: Cloud) -> Iterator[Problem]:
    for source in sorted(
        {*(rule.source for rule in stack.rules), *stack.ssh_sources}, key=lambda item: item.sort_key
    ):
        if source.kind not in cloud.sources:
            known = ", ".join(sorted(cloud.sources))
            yield Problem(
                "source-unsupported",
                f"{cloud.name} takes no source such as {str(source)!r}",
                f"it takes: {known}",
            )
    allowed = cloud.description
    for description in sorted({rule.description for rule in stack.rules if rule.description}):
        if allowed and not re.fullmatch(allowed.pattern, description):
            message = f"{cloud.name} takes no rule description such as {description!r}"
            yield Problem("bad-description", message, f"allowed characters: {allowed.pattern}")


def _protocol_problems(stack: Stack, cloud: Cloud) -> Iterator[Problem]:
    asked = {rule.protocol for rule in stack.rules}
    for item in cloud.exclusions:
        if item.protocol in asked and stack.settings.get(item.setting) == item.value:
            setting = f"{cloud.name}.{item.setting}"
            message = f"no {item.protocol} port can be opened with `{setting}: {item.value}`: {item.reason}"
            yield Problem("protocol-unsupported", message, f"change `{setting}` in the config")


def _tag_problems(stack: Stack, cloud: Cloud) -> Iterator[Problem]:
    rule = cloud.tags
    if rule is None:
        return
    for name, value in stack.tags.items():
        if not 1 <= len(name) <= rule.key_max_length or len(value) > rule.value_max_length:
            lengths = (
                f"a key has 1 to {rule.key_max_length} characters, a value up to {rule.value_max_length}"
            )
            yield Problem("bad-tag", f"the tag {name!r} has the wrong length", lengths)
        for what, text, pattern in (
            ("key", name, rule.key_pattern),
            ("value", value, rule.value_pattern),
        ):
            if pattern and not re.fullmatch(pattern, text):
                message = f"{cloud.name} takes no tag with the {what} {text!r}"
                yield Problem("bad-tag", message, f"allowed characters: {pattern}")
        if rule.forbidden_prefix and name.lower().startswith(rule.forbidden_prefix):
            yield Problem(
                "bad-tag",
                f"the tag {name!r} begins with {rule.forbidden_prefix!r}, which is reserved",
                None,
            )
