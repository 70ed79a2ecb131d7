"""How a pipeline comes to a cloud's credentials, as the cloud's manifest tells it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Login:
    """What a pipeline needs for one cloud.

    `variables` and `secrets` map names of environment variables to what they are; `constants` are
    always the same; `backend_environment` maps what the backends call them to those names. `action`
    logs in on GitHub, with `inputs` that are names of variables, each with a default or None.
    `audience` is that of GitLab's token, of which `gitlab` makes credentials; `script` lays down what
    secrets hold. `backends` take the same credentials.
    """

    variables: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    backend_environment: Mapping[str, str] = field(default_factory=dict)
    action: str | None = None
    inputs: Mapping[str, tuple[str, str | None]] = field(default_factory=dict)
    audience: str | None = None
    gitlab: tuple[str, ...] = ()
    script: tuple[str, ...] = ()
    backends: tuple[str, ...] = ()


def login_of(facts: Mapping[str, Any]) -> Login:
    """The `login` of a manifest that its schema has taken."""
    github, gitlab = facts.get("github", {}), facts.get("gitlab", {})
    inputs = {
        name: (given, None) if isinstance(given, str) else (given["variable"], given["default"])
        for name, given in github.get("with", {}).items()
    }
    return Login(
        variables=facts.get("variables", {}),
        secrets=facts.get("secrets", {}),
        constants=facts.get("constants", {}),
        backend_environment=facts.get("backend_environment", {}),
        action=github.get("action"),
        inputs=inputs,
        audience=gitlab.get("audience"),
        gitlab=tuple(gitlab.get("script", ())),
        script=tuple(facts.get("script", ())),
        backends=tuple(facts.get("backends", ())),
    )
