"""Virtual environments with an install of ours, without any download."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FILES = (
    "setup.cfg",
    "pyproject.toml",
    "MANIFEST.in",
    ".ruff.toml",
    "README.md",
    "LICENSE",
    "CHANGELOG.md",
    "Makefile",
    ".pre-commit-hooks.yaml",
)
FOLDERS = ("skyports_tf", "templates", "examples", "docs", "bench", "tests", ".ci")
_NOT_SOURCES = shutil.ignore_patterns("__pycache__", "*.pyc", ".terraform", "*.tfstate*", ".skyports.tmp")


def run(*arguments: str | Path, cwd: Path, env: Mapping[str, str] | None = None) -> str:
    """The standard output of a command that must succeed; what it said, where it does not."""
    done = subprocess.run(
        [str(argument) for argument in arguments],
        cwd=cwd,
        env=env or os.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def copy_sources(target: Path) -> Path:
    """A checkout of our own, so that builds leave nothing in the real one and don't meet."""
    target.mkdir()
    for name in FILES:
        shutil.copy(ROOT / name, target / name)
    for name in FOLDERS:
        shutil.copytree(ROOT / name, target / name, ignore=_NOT_SOURCES)
    return target


def build(folder: Path) -> tuple[Path, Path]:
    """The sdist, and the wheel that was made from it, in `folder`."""
    sources = copy_sources(folder / "sources")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, sources, cwd=folder)
    return next(folder.glob("*.tar.gz")), next(folder.glob("*.whl"))


def install(folder: Path, *what: str | Path) -> Path:
    """A new environment in `folder` with `what` installed; gives its Python.

    It finds our dependencies where this Python has them, but not this Python's install of us.
    """
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    purelib = sysconfig.get_path("purelib", "posix_prefix", {"base": str(folder), "platbase": str(folder)})
    Path(purelib, "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    options = ("--no-deps", "--no-index", "--no-build-isolation", "--ignore-installed", "--quiet")
    run(sys.executable, "-m", "pip", "--python", python, "install", *options, *what, cwd=folder)
    return python
