"""What a pipeline is made from: the tree as it is, the place of the project, the clouds that are used."""

from __future__ import annotations

import hashlib
import os
import posixpath
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from skyports_tf.clouds import Catalog, Cloud
from skyports_tf.config import Config
from skyports_tf.diagnostics import Diagnostic, FindingsError
from skyports_tf.login import login_of
from skyports_tf.model import ADOPTED, Stack
from skyports_tf.roots import by_root, root_name, root_of
from skyports_tf.tree import all_stacks

#: What may stand in a path of a pipeline: nothing that a shell, a glob or an expression would read.
_PLAIN_PATH = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_./ -]*", re.ASCII)
# the pod of a stack is called by its object's name and a suffix, in 63 characters
_LONGEST_OBJECT_NAME = 50
# https://docs.gitlab.com/user/infrastructure/iac/terraform_state/
_GITLAB_STATES = re.compile(r"https://[^/]+(/[^/]+)*/api/v4/projects/[^/]+/terraform/state/")
# where the backend `cloud` is without a hostname
_BACKEND_HOST = "app.terraform.io"
_HOST = re.compile(r"[A-Za-z0-9.-]+", re.ASCII)
_PATTERN_SIGNS = re.compile(r"([\\*?\[\]!#])")


@dataclass(frozen=True, slots=True)
class StackPlace:
    """A stack, or a root module of several: `directory` is below `--out`, `path` below the repository's root.

    `patterns` match the files that it is made from, relative to its folder, in the syntax of
    .dockerignore; `object_name` is one that Kubernetes takes, and `label` one that says which project
    of the repository the stack is of.
    """

    name: str
    directory: str
    cloud: str
    path: str
    patterns: tuple[str, ...]
    object_name: str
    label: str


@dataclass(frozen=True, slots=True)
class PipelineProject:
    """Where everything is, with forward slashes: `root` is the repository's root as a path from here.

    `project` is the folder that the commands run in, relative to the root; `out` is the tree,
    relative to the project; `config` is the config file that was named, relative to the project.
    `binary` is what runs the tree, as the config calls it, without a folder; `state_address` is
    the address of states in GitLab, `backend_host` the machine of the backend `cloud`.
    """

    root: str
    project: str
    out: str
    config: str | None
    names_out: bool
    backend: str
    clouds: tuple[Cloud, ...]
    stacks: tuple[StackPlace, ...]
    binary: str | None = None
    state_address: str | None = None
    backend_host: str = _BACKEND_HOST

    @property
    def program(self) -> str:
        """How the commands begin."""
        words = ["skyports-tf", *(("--config", self.config) if self.config else ())]
        return shlex.join(words)

    @property
    def slug(self) -> str:
        """The project in one word, which tells those of a repository apart; empty for one at its root."""
        return _slug(self.project)

    @property
    def suffix(self) -> str:
        """What the names of the project's own files end in; empty for a project at the root."""
        return self.slug and f".{self.slug}"


def find_project(config: Config, out: str, names: tuple[bool, bool]) -> PipelineProject:
    """The project around the current folder, with the tree `out`.

    `names` says whether the command line names the config, and the tree. Raises `FindingsError`
    where the tree lies outside of the repository, or a path cannot stand in a pipeline.
    """
    names_config, names_out = names
    here = Path.cwd() if config.path is None or names_config else Path(config.path).absolute().parent
    root = _repository(here)
    project, tree = _relative(here, root), _relative(Path(out).absolute(), here)
    named = _relative(Path(config.path).absolute(), here) if config.path and names_config else None
    base = posixpath.normpath(posixpath.join(project, tree))
    stacks = all_stacks(out)
    for path in (project, base, *((named,) if named else ())):
        _check_path(path)
    return PipelineProject(
        root=os.path.relpath(root),
        project=project,
        out=tree,
        config=named,
        names_out=names_out,
        backend=config.backend_kind,
        clouds=tuple(_clouds(stacks, config)),
        stacks=tuple(place_of_root(members, base, project) for members in by_root(stacks)),
        binary=Path(config.terraform_binary).name if config.terraform_binary else None,
        state_address=_gitlab_address(config),
        backend_host=_plain_host(config.backend.get("hostname")),
    )


def _gitlab_address(config: Config) -> str | None:
    """Where the states lie, if that looks like a GitLab's own keeping of states."""
    address = str(config.backend.get("address", "")) if config.backend_kind == "http" else ""
    return address if _GITLAB_STATES.match(address) else None


def _plain_host(name: object) -> str:
    """A host's name that can stand in a variable's; the default where it is none."""
    return name if isinstance(name, str) and _HOST.fullmatch(name) else _BACKEND_HOST


def _repository(here: Path) -> Path:
    """The nearest folder with a `.git`, in `here` or above; `here` where there is none."""
    return next((folder for folder in (here, *here.parents) if (folder / ".git").exists()), here)


def _relative(path: Path, start: Path) -> str:
    return os.path.relpath(path, start).replace(os.sep, "/")


def _check_path(path: str) -> None:
    if path.startswith("../"):
        message = f"{path} lies outside of the repository"
        raise FindingsError(Diagnostic("pipeline-path", message, help="choose a folder below its root"))
    if not _PLAIN_PATH.fullmatch(path):
        message = f"{path!r} cannot stand in a pipeline"
        help_text = "name the folder with letters, digits, '.', '-', '_' and spaces"
        raise FindingsError(Diagnostic("pipeline-path", message, help=help_text))


def _clouds(stacks: tuple[Stack, ...], config: Config) -> Iterator[Cloud]:
    """The clouds of the stacks, or of the config where there is none, and that of the backend."""
    catalog: Catalog = config.catalog
    managed = catalog.managed()
    used = {stack.cloud for stack in stacks} or set(config.clouds)
    for name in managed:
        cloud = catalog.load(name)
        if name in used or config.backend_kind in login_of(cloud.login).backends:
            yield cloud


def place_of_root(stacks: Sequence[Stack], base: str, project: str = ".") -> StackPlace:
    """The place of stacks of one root module of the tree `base`.

    It and `project` are relative to the repository's root.
    """
    cloud, directory = stacks[0].cloud, root_of(stacks[0])
    name = root_name(directory)
    path = posixpath.normpath(posixpath.join(base, directory))
    modules = posixpath.relpath(posixpath.join(base, "modules", cloud), path)
    above = posixpath.relpath(posixpath.dirname(base) or ".", path)
    files = sorted({entry.file for stack in stacks for entry in stack.entries} - {ADOPTED})
    patterns = (
        "*.tf",
        ".terraform.lock.hcl",
        f"{modules}/*.tf",
        *(posixpath.normpath(posixpath.join(above, _PATTERN_SIGNS.sub(r"\\\1", file))) for file in files),
    )
    slug = _slug(project)
    label = f"{slug}/{name}" if slug else name
    return StackPlace(name, directory, cloud, path, patterns, object_name(label), label)


def _slug(project: str) -> str:
    return "" if project == "." else project.replace("/", "-").replace(" ", "-")


def object_name(name: str) -> str:
    """`name` as Kubernetes takes it: as it is where that is plain and short, else with a digest."""
    plain = re.sub(r"[^a-z0-9-]+", "-", name.lower()).strip("-")
    if plain == name and len(name) <= _LONGEST_OBJECT_NAME:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{plain[: _LONGEST_OBJECT_NAME - 9].strip('-')}-{digest}"
