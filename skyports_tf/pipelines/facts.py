"""Facts about pipelines, from templates/ci/facts.yaml: actions and their commits, programs, credentials."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import skyports_tf.templates
from skyports_tf.schema import schema_findings
from skyports_tf.source import read_yaml

_FACTS: Final = Path(skyports_tf.templates.__file__ or "").parent / "ci" / "facts.yaml"
_DEFAULT: Final = "terraform"


@dataclass(frozen=True, slots=True)
class TreeProgram:
    """What runs a tree, called `name` on PATH.

    `version_input` and `wrapper_input` are inputs of the action that sets it up. `distribution` is
    Atlantis' word, None for its default; `extra` is the extra of our own package that brings it, and
    `script` installs it in a shell.
    """

    name: str
    title: str
    version: str
    action: str
    version_input: str
    wrapper_input: str
    distribution: str | None
    extra: str | None
    script: tuple[str, ...]


def program_of(binary: str | None) -> TreeProgram:
    """The program that is called `binary` in the config; Terraform for a name that is not known."""
    programs = _facts()["programs"]
    name = binary if binary in programs else _DEFAULT
    facts = programs[name]
    return TreeProgram(
        name=str(name),
        title=facts["title"],
        version=facts["version"],
        action=facts["action"],
        version_input=facts["inputs"]["version"],
        wrapper_input=facts["inputs"]["wrapper"],
        distribution=facts.get("distribution"),
        extra=facts.get("extra"),
        script=tuple(facts.get("script", ())),
    )


def action_pin(action: str) -> tuple[str, str]:
    """The commit that an action of GitHub's is pinned to, and the release that it belongs to."""
    pin = _facts()["actions"][action]
    return pin["commit"], pin["version"]


def backend_secrets(backend: str, host: str) -> tuple[str, ...]:
    """The environment variables with the credentials of a backend that belongs to no cloud.

    `host` is the name of the machine that the backend speaks to.
    """
    spelled = host.replace("-", "__").replace(".", "_")
    return tuple(name.replace("{host}", spelled) for name in _facts()["backend_secrets"].get(backend, ()))


@lru_cache(maxsize=1)
def _facts() -> Mapping[str, Any]:
    document = read_yaml(str(_FACTS)).documents[0]
    findings = schema_findings("pipelines", document)
    if findings:
        raise LookupError(findings[0].message)  # a fault of ours
    facts: Mapping[str, Any] = document.data
    return facts
