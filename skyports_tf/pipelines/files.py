"""The files of a pipeline: which there are, and what their templates are told."""

from __future__ import annotations

import os
import posixpath
import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from skyports_tf import __version__
from skyports_tf.clouds import CATALOG, Cloud
from skyports_tf.login import login_of
from skyports_tf.model import GeneratedFile
from skyports_tf.pipelines.facts import action_pin, backend_secrets, program_of
from skyports_tf.pipelines.project import PipelineProject, StackPlace
from skyports_tf.pipelines.settings import PipelineSettings
from skyports_tf.pipelines.shared import (
    ATLANTIS,
    GITLAB_ROOT,
    PRE_COMMIT,
    atlantis_stacks,
    hooks,
    included_files,
    is_ours,
)
from skyports_tf.render import HEADER
from skyports_tf.templating import render_text
from skyports_tf.yaml_text import spell

_UNIT: Final = "terragrunt.hcl"
# what parts that are left out leave behind: blank lines inside of a job, and several in a row
_INNER_BLANK = re.compile(r"\n(?=\n {4})")
_MANY_BLANK = re.compile(r"\n{3,}")


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A project, and what the user says of its pipeline."""

    kind: str
    project: PipelineProject
    settings: PipelineSettings


def pipeline_files(pipeline: Pipeline) -> tuple[GeneratedFile, ...]:
    """The files of the pipeline, relative to the repository's root, sorted by path.

    One without a text must not be there any more.
    """
    return tuple(sorted(_KINDS[pipeline.kind](pipeline), key=lambda file: file.path))


def _github(pipeline: Pipeline) -> Iterable[GeneratedFile]:
    suffix = pipeline.project.suffix
    for base, template in (("skyports", "github.yml"), ("skyports-upkeep", "github_upkeep.yml")):
        name = f"{base}{suffix}.yml"
        context = {"name": f"{base}{suffix.replace('.', '-', 1)}", "file_word": shlex.quote(name)}
        yield _rendered(pipeline, f".github/workflows/{name}", template, context)


def _gitlab(pipeline: Pipeline) -> Iterable[GeneratedFile]:
    suffix = pipeline.project.suffix
    ours = f"skyports{suffix}.gitlab-ci.yml"
    context = {"name": f"skyports{suffix.replace('.', '-', 1)}"}
    yield _rendered(pipeline, ours, "gitlab.yml", context)
    root = Path(pipeline.project.root, GITLAB_ROOT)
    if is_ours(root) or not os.path.lexists(root):
        included = included_files(pipeline.project, ours)
        yield _rendered(pipeline, GITLAB_ROOT, "gitlab_include.yml", _shared(pipeline, included=included))


def _atlantis(pipeline: Pipeline) -> Iterable[GeneratedFile]:
    context = _shared(pipeline, stacks=atlantis_stacks(pipeline.project))
    yield _rendered(pipeline, ATLANTIS, "atlantis.yaml", context)


def _tofu_controller(pipeline: Pipeline) -> Iterable[GeneratedFile]:
    folder = posixpath.normpath(posixpath.join(pipeline.project.project, "flux", "skyports"))
    yield _rendered(pipeline, f"{folder}/terraforms.yaml", "tofu_controller.yaml", {})
    yield _rendered(pipeline, f"{folder}/kustomization.yaml", "kustomization.yaml", {})


def _terragrunt(pipeline: Pipeline) -> Iterable[GeneratedFile]:
    project = pipeline.project
    base = posixpath.normpath(posixpath.join(project.project, project.out))
    for stack in project.stacks:
        yield _rendered(pipeline, f"{stack.path}/{_UNIT}", "terragrunt.hcl", {"out_comment": base})
    wanted = {f"{stack.path}/{_UNIT}" for stack in project.stacks}
    # a unit whose stack is gone; one that is not ours is left alone by the writer
    for path in Path(project.root, base).glob(f"*/*/{_UNIT}"):
        name = os.path.relpath(path, project.root).replace(os.sep, "/")
        if name not in wanted:
            yield GeneratedFile(name, "")


def _pre_commit(pipeline: Pipeline) -> Iterable[GeneratedFile]:
    project, told = pipeline.project, _context(pipeline)
    command = f"{project.program} compile --all{told['out_option']} --check {told['tasks']}".strip()
    if project.project != ".":
        # pre-commit runs everything at the root, and without a shell
        command = shlex.join(("bash", "-c", f"cd {told['project_word']} && exec {command}"))
    found = hooks(project, command, tuple(told["requirements"]))
    yield _rendered(pipeline, PRE_COMMIT, "pre_commit.yaml", _shared(pipeline, hooks=found))


_KINDS: Final[Mapping[str, Callable[[Pipeline], Iterable[GeneratedFile]]]] = {
    "github": _github,
    "gitlab": _gitlab,
    "atlantis": _atlantis,
    "tofu-controller": _tofu_controller,
    "terragrunt": _terragrunt,
    "pre-commit": _pre_commit,
}
#: What a pipeline can be of.
KINDS: Final = tuple(_KINDS)


# -- what the templates are told -------------------------------------------------------


def _rendered(pipeline: Pipeline, path: str, template: str, context: Mapping[str, object]) -> GeneratedFile:
    told = {**_context(pipeline), **context}
    text = render_text(CATALOG, f"ci/{template}.j2", told)
    return GeneratedFile(path, _INNER_BLANK.sub("", _MANY_BLANK.sub("\n\n", text)))


def _shared(pipeline: Pipeline, **context: object) -> dict[str, object]:
    """What a file is told that all projects share: its header names the options of none."""
    header = f"{HEADER}: do not edit. `skyports-tf ci {pipeline.kind}` writes it anew."
    return {"header": header, **context}


def _context(pipeline: Pipeline) -> dict[str, Any]:
    project, settings = pipeline.project, pipeline.settings
    out_option = f" --out {shlex.quote(project.out)}" if project.names_out else ""
    command = f"{project.program} ci {pipeline.kind}{out_option}{settings.options}"
    binary = program_of(project.binary)
    requirements = settings.requirements or [_package(pipeline)]
    return {
        "header": f"{HEADER}: do not edit. `{command}` writes it anew.",
        "settings": settings,
        "project": project.project,
        "project_word": shlex.quote(project.project),
        "program": project.program,
        "ci_options": f"{out_option}{settings.options}",
        "out_option": out_option,
        "grace_option": f" --grace {settings.grace}" if settings.grace else "",
        "tasks": "".join(f"{shlex.quote(task)} " for task in settings.tasks),
        "requirements": requirements,
        "install": shlex.join(requirements),
        "binary": binary,
        "binary_version": settings.terraform or binary.version,
        "binary_version_word": shlex.quote(settings.terraform or binary.version),
        "out_word": shlex.quote(project.out),
        "out_prefix": f"{project.out}/",
        "out_path": posixpath.normpath(posixpath.join(project.project, project.out)),
        "backend": project.backend,
        "stacks": project.stacks,
        "logins": [_login(cloud, project.backend) for cloud in project.clouds],
        "state_address": project.state_address and shlex.quote(project.state_address),
        "environment": _environment(project),
        "tokens": {
            f"SKYPORTS_{cloud.name.upper()}_ID_TOKEN": login_of(cloud.login).audience
            for cloud in project.clouds
            if login_of(cloud.login).audience
        },
        "main_ref": f"'refs/heads/{settings.branch}'",
        "reap_literal": f"'{settings.reap_schedule}'",
        "drift_literal": f"'{settings.drift_schedule}'",
        "uses": _uses,
    }


def _package(pipeline: Pipeline) -> str:
    """Our own package in this version, with a Terraform in it where nothing else sets one up."""
    extra = program_of(pipeline.project.binary).extra if pipeline.kind == "gitlab" else None
    return f"skyports-tf[{extra}]=={__version__}" if extra else f"skyports-tf=={__version__}"


def _login(cloud: Cloud, backend: str) -> dict[str, object]:
    login = login_of(cloud.login)
    exports = [f"export {name}={shlex.quote(value)}" for name, value in login.constants.items()]
    exports += [f'export {name}="${given}"' for name, given in _of_backend(cloud, backend).items()]
    inputs = {
        name: f"${{{{ vars.{variable} }}}}"
        if default is None
        else f"${{{{ vars.{variable} || '{default}' }}}}"
        for name, (variable, default) in login.inputs.items()
    }
    return {
        "title": cloud.title,
        "action": login.action,
        "inputs": inputs,
        "script": login.script,
        "gitlab": (*exports, *login.gitlab),
        "secrets": tuple(login.secrets),
    }


def _of_backend(cloud: Cloud, backend: str) -> Mapping[str, str]:
    """What the backend calls the cloud's variables and secrets, where it has names of its own."""
    login = login_of(cloud.login)
    return login.backend_environment if backend in login.backends else {}


def _environment(project: PipelineProject) -> dict[str, str]:
    """What the commands find in their environment on GitHub, beside what an action has left there."""
    found: dict[str, str] = {}
    for cloud in project.clouds:
        login = login_of(cloud.login)
        used = {variable for variable, _ in login.inputs.values()}
        found.update({name: spell(value) for name, value in login.constants.items()})
        found.update({name: f"${{{{ vars.{name} }}}}" for name in login.variables if name not in used})
        if not login.script:
            found.update({name: f"${{{{ secrets.{name} }}}}" for name in login.secrets})
        for name, given in _of_backend(cloud, project.backend).items():
            kind = "secrets" if given in login.secrets else "vars"
            found[name] = f"${{{{ {kind}.{given} }}}}"
    of_backend = backend_secrets(project.backend, project.backend_host)
    found.update({name: f"${{{{ secrets.{name} }}}}" for name in of_backend})
    return dict(sorted(found.items()))


def _uses(action: str) -> str:
    """An action, pinned to the commit of a release."""
    commit, version = action_pin(action)
    return f"{action}@{commit} # {version}"


__all__ = ["GITLAB_ROOT", "KINDS", "Pipeline", "StackPlace", "pipeline_files"]
