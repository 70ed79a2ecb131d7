"""`envs` and `secrets` of a task, and the variables they put into other parts of it.

Facts: sky/task.py (Task.from_yaml_config, _fill_in_env_vars, _check_docker_login_config), SkyPilot 0.14.1.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from skyports_tf.tasks.findings import Findings

#: The parts of a task in which `$NAME` and `${NAME}` are filled in; `resources` is not among them.
FILLED: Final = ("file_mounts", "service", "workdir", "volumes")

_NAME = re.compile(r"^[a-zA-Z_][a-zA-Z0-9_]*$")
_VARIABLE = re.compile(r"\$\{?([a-zA-Z_][a-zA-Z0-9_]*)\}?")
_DOCKER_LOGIN = {f"SKYPILOT_DOCKER_{word}" for word in ("USERNAME", "PASSWORD", "SERVER")}
_RUNPOD_LOGIN = "SKYPILOT_RUNPOD_DOCKER_USERNAME"
_REFERENCE = "secrets:"


@dataclass(frozen=True, slots=True)
class Environment:
    """The variables of a task; `docker_login` says whether they log in to a registry."""

    variables: Mapping[str, str] = field(default_factory=dict)
    docker_login: bool = False
    runpod_login: bool = False


def read_environment(data: Mapping[str, Any], given: Mapping[str, str], findings: Findings) -> Environment:
    """The environment of the task `data`; `given` are values from the command line, which win."""
    if not given and "envs" not in data and "secrets" not in data:
        return Environment()
    envs = _read_envs(data.get("envs"), given, findings)
    secrets = _read_secrets(data.get("secrets"), findings)
    login = _check_docker_login(set(envs), set(secrets), findings)
    variables = {**envs, **secrets}
    return Environment(variables, login, _RUNPOD_LOGIN in variables)


def _read_envs(envs: Any, given: Mapping[str, str], findings: Findings) -> dict[str, str]:
    values: dict[str, str | None] = {}
    for key, value in (envs if isinstance(envs, dict) else {}).items():
        name = str(key)
        if not _NAME.search(name):
            help_text = "a name has letters, digits and '_', and begins with no digit"
            findings.error(
                "bad-value", f"{name!r} cannot name a variable", ("envs", key), key=True, help=help_text
            )
        values[name] = None if value is None else str(value)
    values.update(given)
    for name in [name for name, value in values.items() if value is None]:
        message = f"the environment variable {name!r} has no value"
        findings.error(
            "env-without-value", message, ("envs", name), key=True, help=f'write {name}: "" for an empty one'
        )
    return {name: value or "" for name, value in values.items()}


def _read_secrets(secrets: Any, findings: Findings) -> dict[str, str]:
    if isinstance(secrets, list):
        for index, item in enumerate(secrets):
            if not str(item).startswith(_REFERENCE):
                help_text = f"write '{_REFERENCE}{item}', or a mapping of names to values"
                findings.error(
                    "bad-secret", "a secret in a list must be a reference", ("secrets", index), help=help_text
                )
        return {}
    inline = {}
    for key, value in (secrets if isinstance(secrets, dict) else {}).items():
        if value is None:
            continue
        if str(key).startswith(_REFERENCE):
            message = f"the reference {str(key)!r} cannot have a value"
            findings.error(
                "bad-secret", message, ("secrets", key), help=f"remove '{_REFERENCE}' or the value"
            )
        inline[str(key)] = str(value)
    return inline


def _check_docker_login(envs: set[str], secrets: set[str], findings: Findings) -> bool:
    in_envs, in_secrets = _DOCKER_LOGIN & envs, _DOCKER_LOGIN & secrets
    if not in_envs and not in_secrets:
        return False
    at = "envs" if in_envs else "secrets"
    if in_envs and in_secrets:
        findings.error(
            "conflicting-keys", "the Docker login stands partly in envs, partly in secrets", (at,), key=True
        )
    elif missing := _DOCKER_LOGIN - (in_envs or in_secrets):
        message = f"the Docker login in {at} lacks {', '.join(sorted(missing))}"
        findings.error("missing-key", message, (at,), key=True)
    return True


def fill_variables(data: Mapping[str, Any], environment: Environment, findings: Findings) -> dict[str, Any]:
    """The task with its variables filled in, by way of JSON text as SkyPilot does it.

    A part that does not survive that way is left out, and told.
    """
    filled = dict(data)
    for part in FILLED:
        if data.get(part) is not None:
            value = _filled(part, data[part], environment, findings)
            if value is None:
                del filled[part]
            else:
                filled[part] = value
    return filled


def _filled(part: str, value: Any, environment: Environment, findings: Findings) -> Any:
    try:
        text = json.dumps(value)
    except (TypeError, ValueError):
        why = f"{part} holds a value that JSON lacks, such as a date"
        findings.crash(why, (part,), help="quote the value")
        return None
    try:
        return json.loads(_VARIABLE.sub(lambda found: _value_of(found, environment), text))
    except ValueError:
        findings.error("bad-value", f"the variables that {part} uses break its text", (part,), key=True)
        return None


def _value_of(found: re.Match[str], environment: Environment) -> str:
    return environment.variables.get(found[1], found[0])
