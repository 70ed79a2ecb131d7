"""What a cloud would refuse, refused before Terraform runs: names, quotas, sources, tags."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from skyports_tf.clouds import Cloud, load_cloud
from skyports_tf.config import Config
from skyports_tf.model import Stack
from skyports_tf.pack import rules_by_family
from skyports_tf.sources import Source


class Problem(NamedTuple):
    """What is wrong with a stack: a diagnostic's code, message and help."""

    code: str
    message: str
    help: str | None = None


def stack_problems(stack: Stack, config: Config) -> Iterator[Problem]:
    """Everything that the stack's cloud would refuse of it."""
    cloud = load_cloud(stack.cloud)
    yield from _mode_problems(stack, cloud)
    yield from _name_problems(stack, cloud)
    yield from _quota_problems(stack, cloud, config)
    yield from _rule_problems(stack, cloud)
    yield from _tag_problems(stack, cloud)


def _mode_problems(stack: Stack, cloud: Cloud) -> Iterator[Problem]:
    if stack.mode not in cloud.modes:
        yield Problem(
            "mode-unsupported",
            f"{cloud.name} has no mode {stack.mode!r}",
            f"modes: {', '.join(cloud.modes)}",
        )
    elif stack.mode == "attach" and "?" in (stack.name_on_cloud or ""):
        yield Problem(
            "user-hash-unknown",
            "SkyPilot's user hash is needed to find the cluster's nodes, and it is unknown",
            "set `user_hash` in the config or SKYPILOT_USER_ID; SkyPilot keeps it in ~/.sky/user_hash",
        )


def _name_problems(stack: Stack, cloud: Cloud) -> Iterator[Problem]:
    for kind, name in cloud.names_of(stack.cluster, stack.mode).items():
        if cloud.object_max_length and len(name) > cloud.object_max_length:
            title = kind.replace("_", " ")
            message = f"the {title}'s name has {len(name)} characters, {cloud.object_max_length} are allowed"
            yield Problem("name-too-long", message, "choose a shorter name with --cluster")


def _quota_problems(stack: Stack, cloud: Cloud, config: Config) -> Iterator[Problem]:
    limit = cloud.limits["rules_per_group"]
    allowed = config.cloud_settings.get(cloud.name, {}).get(limit.setting or "", limit.value)
    twins = {source for source in stack.ssh_sources if _is_ssh_twin(stack, source)}
    ssh = [source for source in stack.ssh_sources if source not in twins]
    for family, need in rules_by_family(stack.rules, ssh, shared=int(stack.mode == "takeover")).items():
        if need > allowed:
            message = f"{need} {family} rules are needed, {allowed} are allowed: {need - allowed} too many"
            raise_it = f"raise the quota and set `{cloud.name}.{limit.setting}` in the config, "
            yield Problem(
                "quota-exceeded",
                f"{message} ({limit.quota})",
                raise_it + "or ask for fewer ranges or sources",
            )


def _is_ssh_twin(stack: Stack, source: Source) -> bool:
    """Whether a port rule is the SSH rule for `source` over again; the module then makes it once."""
    return any(
        rule.source == source and rule.protocol == "tcp" and str(rule.ports) == "22" for rule in stack.rules
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
        if name.lower().startswith(rule.forbidden_prefix):
            yield Problem(
                "bad-tag",
                f"the tag {name!r} begins with {rule.forbidden_prefix!r}, which is reserved",
                None,
            )
