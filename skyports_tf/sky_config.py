"""What SkyPilot's own config (~/.sky/config.yaml) must say for a stack, on clouds where it must."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from string import Formatter
from typing import Any

#: The file beside a stack that says it.
SKY_CONFIG_NAME = "sky-config.yaml"


def name_for(cluster: str, value: Any) -> str | None:
    """The name that a setting in the form of SkyPilot's own gives a cluster; None where it gives none.

    `value` is a name, or a list of one-key mappings from patterns of clusters to names, of which
    the first that fits counts; in a name `{cluster}` stands for the cluster, which is ours alone.
    sky/clouds/aws.py:make_deploy_resources_variables, SkyPilot 0.14.1.
    """
    if isinstance(value, list):
        pairs = [pair for item in value for pair in item.items()]
        value = next((name for pattern, name in pairs if fnmatchcase(cluster, pattern)), None)
    return None if value is None else str(value).replace("{cluster}", cluster)


def merge_configs(configs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Several configs, of clouds that are not the same, as one."""
    merged: dict[str, Any] = {}
    for config in configs:
        merged.update(config)
    return merged


def fill_names(value: Any, names: Mapping[str, str]) -> Any:
    """`value`, a manifest's `sky_config`, with the names of the cluster and of its objects filled in."""
    if isinstance(value, Mapping):
        return {fill_names(key, names): fill_names(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [fill_names(item, names) for item in value]
    return value.format_map(names) if isinstance(value, str) and set(_fields(value)) <= set(names) else value


def sky_config_yaml(value: Mapping[str, Any], indent: int = 0) -> str:
    """A nested mapping as YAML: plain keys, and JSON for every value, which is YAML too."""
    lines = []
    for key, item in value.items():
        if isinstance(item, Mapping):
            lines.append(f"{' ' * indent}{key}:\n{sky_config_yaml(item, indent + 2)}")
        else:
            lines.append(f"{' ' * indent}{key}: {json.dumps(item)}\n")
    return "".join(lines)


def _fields(text: str) -> list[str]:
    return [name for _, name, _, _ in Formatter().parse(text) if name]
