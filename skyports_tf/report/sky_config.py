"""What SkyPilot's own config must say beside the stacks."""

from __future__ import annotations

import os
from collections.abc import Iterable

from skyports_tf.diagnostics import visible
from skyports_tf.model import Stack
from skyports_tf.report.style import style
from skyports_tf.sky_config import SKY_CONFIG_NAME, sky_config_yaml

_MOST_FILES = 2


def sky_config_text(out: str, stacks: Iterable[Stack]) -> str:
    """The lines that SkyPilot's config must have and the files that hold them; nothing where none must.

    Stacks that want the same are told together.
    """
    files: dict[str, list[str]] = {}
    for stack in stacks:
        if stack.sky_config:
            path = os.path.join(out, stack.directory, SKY_CONFIG_NAME)
            files.setdefault(sky_config_yaml(stack.sky_config), []).append(path)
    return "\n".join(line for text, paths in files.items() for line in _lines(text, paths))


def _lines(text: str, paths: list[str]) -> list[str]:
    shown = ", ".join(map(visible, paths[:_MOST_FILES]))
    more = f" and {len(paths) - _MOST_FILES} more" if len(paths) > _MOST_FILES else ""
    heading = f"{style('SkyPilot:', 'bold')}   ~/.sky/config.yaml must say, as {shown}{more}:"
    return [heading, *(f"  {visible(line)}" for line in text.splitlines())]
