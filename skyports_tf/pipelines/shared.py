"""Files that all projects of a repository share: what the others have in them stays when one is written.

The files are read as they are, and nothing in them is trusted: what has not our form is dropped.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from skyports_tf.diagnostics import FindingsError
from skyports_tf.pipelines.project import PipelineProject, StackPlace
from skyports_tf.render import HEADER
from skyports_tf.source import read_yaml

ATLANTIS: Final = "atlantis.yaml"
PRE_COMMIT: Final = ".pre-commit-config.yaml"
#: The file that a project of GitLab has, and where ours is included.
GITLAB_ROOT: Final = ".gitlab-ci.yml"
_HOOK: Final = "the tree is what the tasks compile to"


@dataclass(frozen=True, slots=True)
class Hook:
    """A hook of pre-commit: what it is called, what it runs, and what that needs."""

    name: str
    entry: str
    requirements: tuple[str, ...]


def is_ours(path: Path) -> bool:
    """Whether a file stands there that we have written."""
    try:
        return path.read_bytes().startswith(HEADER.encode())
    except OSError:
        return False


def atlantis_stacks(project: PipelineProject) -> tuple[StackPlace, ...]:
    """The stacks of this project, and those of the others in `atlantis.yaml` that are still there."""
    own = "" if project.project == "." else f"{project.slug}/"
    found = list(project.stacks)
    for item in _items(_read(project, ATLANTIS).get("projects")):
        label, path, plan = item.get("name"), item.get("dir"), item.get("autoplan")
        patterns = _texts(plan.get("when_modified")) if isinstance(plan, dict) else ()
        if not (isinstance(label, str) and isinstance(path, str) and patterns):
            continue
        place, slash, _ = label.rpartition("/")
        if f"{place}{slash}" != own and Path(project.root, path).is_dir():
            found.append(StackPlace(label, path, "", path, patterns, "", label))
    return tuple(sorted(found, key=lambda stack: stack.path))


def included_files(project: PipelineProject, ours: str) -> tuple[str, ...]:
    """What `.gitlab-ci.yml` includes: the file of this project, and those of the others that are there."""
    listed = (item.get("local") for item in _items(_read(project, GITLAB_ROOT).get("include")))
    others = {
        text
        for text in listed
        if isinstance(text, str) and is_ours(Path(project.root, posixpath.normpath(text.lstrip("/"))))
    }
    return tuple(sorted({*others, f"/{ours}"}))


def hooks(project: PipelineProject, command: str, requirements: tuple[str, ...]) -> tuple[Hook, ...]:
    """The hook of this project, which runs `command`, and those of the others that are still there."""
    prefix = "" if project.project == "." else f"{project.project}: "
    found = {prefix: Hook(f"{prefix}{_HOOK}", command, requirements)}
    for repository in _items(_read(project, PRE_COMMIT).get("repos")):
        for item in _items(repository.get("hooks")):
            name, entry = item.get("name"), item.get("entry")
            if not (isinstance(name, str) and isinstance(entry, str) and name.endswith(_HOOK)):
                continue
            place = name.removesuffix(_HOOK)
            if Path(project.root, place.removesuffix(": ")).is_dir():
                needed = _texts(item.get("additional_dependencies"))
                found.setdefault(place, Hook(name, entry, needed))
    return tuple(hook for _, hook in sorted(found.items()))


def _read(project: PipelineProject, name: str) -> Mapping[str, Any]:
    """What the file at the repository's root holds, where it is ours and can be read."""
    path = Path(project.root, name)
    if not is_ours(path):
        return {}
    try:
        documents = read_yaml(str(path)).documents
    except FindingsError:
        return {}
    data = documents[0].data if documents else None
    return data if isinstance(data, dict) else {}


def _items(value: object) -> Iterator[Mapping[str, Any]]:
    yield from (item for item in value if isinstance(item, dict)) if isinstance(value, list) else ()


def _texts(value: object) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()
