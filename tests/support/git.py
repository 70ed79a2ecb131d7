"""A real git that asks nobody: no user's settings, and an author that is nobody."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

_SETTINGS = {
    **{f"GIT_{role}_NAME": "somebody" for role in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{role}_EMAIL": "somebody@example.com" for role in ("AUTHOR", "COMMITTER")},
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
}


def git(folder: Path, *words: str) -> str:
    """Run git in `folder`, and give what it said; raises `CalledProcessError` where it fails."""
    command = ["git", "-C", str(folder), *words]
    done = subprocess.run(
        command, env={**os.environ, **_SETTINGS}, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def commit(folder: Path, message: str) -> str:
    """Commit all that is in `folder`, which becomes a repository where it is none; gives the commit."""
    if not (folder / ".git").exists():
        git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", message)
    return git(folder, "rev-parse", "HEAD")
