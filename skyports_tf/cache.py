"""The user's cache folder, for what can be made again: compiled templates, provider plugins."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def cache_folder(name: str) -> Path | None:
    """The folder `name` in our part of the user's cache, made if need be.

    None where there is none that nobody else can write to: what lies in it is run.
    """
    base = os.environ.get("XDG_CACHE_HOME", "")
    try:
        folder = (Path(base) if Path(base).is_absolute() else Path.home() / ".cache") / "skyports-tf" / name
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.stat()
    except (OSError, RuntimeError):
        return None
    if found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o022 or not os.access(folder, os.W_OK):
        return None
    return folder
