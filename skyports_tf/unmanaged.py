"""SkyPilot's clouds whose ports cannot be managed, as templates/unmanaged.yaml tells them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from skyports_tf.source import read_yaml


@dataclass(frozen=True, slots=True)
class UnmanagedCloud:
    """A cloud of SkyPilot's that we cannot manage: why, and what the user can do instead."""

    name: str
    reason: str
    instead: str


@lru_cache(maxsize=1)
def read_unmanaged(folder: Path) -> Mapping[str, UnmanagedCloud]:
    """These clouds by name, sorted, from the folder of the templates."""
    document = read_yaml(str(folder / "unmanaged.yaml")).documents[0]
    return {
        name: UnmanagedCloud(name, facts["reason"], facts["instead"])
        for name, facts in sorted(document.data.items())
    }
