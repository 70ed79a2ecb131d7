"""What SkyPilot's own config (~/.sky/config.yaml) must say for a stack, on clouds where it must."""

from __future__ import annotations

import json
from collections.abc import Mapping
from string import Formatter
from typing import Any

#: The file beside a stack that says it.
SKY_CONFIG_NAME = "sky-config.yaml"


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
