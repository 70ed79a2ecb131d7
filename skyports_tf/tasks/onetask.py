"""One document of a task file: checked as a whole, and read as a task.

Facts: sky/task.py:Task.from_yaml_config, SkyPilot 0.14.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from skyports_tf.diagnostics import Diagnostic
from skyports_tf.documents import Candidate, Task
from skyports_tf.ports import PortSet
from skyports_tf.schema import schema_findings
from skyports_tf.tasks.choices import Choice, expand_choices
from skyports_tf.tasks.environment import Environment, fill_variables, read_environment
from skyports_tf.tasks.findings import Findings
from skyports_tf.tasks.infra import Place
from skyports_tf.tasks.mounts import check_file_mounts, check_volume_mounts, is_disk
from skyports_tf.tasks.service import check_service
from skyports_tf.tasks.settings import (
    check_image_copy,
    check_overlaid,
    check_settings,
    place_of,
    with_accelerator,
)
from skyports_tf.tasks.taskports import check_spelling, read_ports
from skyports_tf.text.nodes import KeyPath

_IGNORED_KEY = "_user_specified_yaml"


@dataclass(frozen=True, slots=True)
class Overrides:
    """The command line's values as read; None keeps what the file says.

    `bad_ports` tells what of `--ports` could not be read, which counts where they apply.
    """

    ports: PortSet | None = None
    place: Place | None = None
    envs: Mapping[str, str] = field(default_factory=dict)
    bad_ports: tuple[Diagnostic, ...] = ()


def read_task(findings: Findings, overrides: Overrides, position: int, *, single: bool) -> Task | None:
    """The task of the findings' document, or None where there are errors.

    `position` counts the file's tasks; `single` says that it is the only one, which alone
    takes `--ports` and `--infra`.
    """
    document = findings.document
    data = document.data
    if data.get("envs", 0) is None:
        findings.crash("'envs' is empty", ("envs",), help="write 'envs: {}', or leave the key out")
        data = {**data, "envs": {}}
    environment = read_environment(data, overrides.envs, findings)
    filled = fill_variables(data, environment, findings)
    findings.add(schema_findings("task", document, _as_validated(filled)))
    _check_rest(filled, findings)
    service_port = check_service(filled, findings)
    applied = overrides if single else Overrides()
    kind, candidates = _read_candidates(filled, environment, applied, findings, single=single)
    if service_port is not None and isinstance(data["service"].get("ports"), int):
        at = ("service", "ports")
        check_spelling(service_port, "".join(document.texts(at)), at, findings)
    if findings.errors:
        return None
    nodes = data.get("num_nodes")
    span = document.span()
    return Task(
        data.get("name"), 1 if nodes is None else nodes, kind, candidates, service_port, position, span
    )


def _as_validated(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the schema is for: SkyPilot drops empty keys of a service, and reads disks by other rules."""
    changed: dict[str, Any] = {}
    service, mounts = data.get("service"), data.get("file_mounts")
    if isinstance(service, dict):
        changed["service"] = {key: value for key, value in service.items() if value is not None}
    if isinstance(mounts, dict):
        changed["file_mounts"] = {key: value for key, value in mounts.items() if not is_disk(value)}
    return {**data, **changed} if changed else data


def _check_rest(data: Mapping[str, Any], findings: Findings) -> None:
    nodes = data.get("num_nodes")
    if (
        isinstance(nodes, int | float)
        and not isinstance(nodes, bool)
        and (isinstance(nodes, float) or nodes <= 0)
    ) and (not isinstance(nodes, float) or nodes.is_integer()):
        message = f"'num_nodes' must be a whole number above 0, not {nodes}"
        findings.error("bad-value", message, ("num_nodes",))
    check_volume_mounts(data, findings)
    config, resources = data.get("config"), data.get("resources")
    if isinstance(config, dict) and isinstance(resources, dict):
        overridden = resources.get("_cluster_config_overrides") is not None
        if overridden and any(key != "hooks" for key in config):
            findings.crash("'config' beside resources._cluster_config_overrides", ("config",))


def _read_candidates(
    data: Mapping[str, Any],
    environment: Environment,
    overrides: Overrides,
    findings: Findings,
    *,
    single: bool,
) -> tuple[Any, tuple[Candidate, ...]]:
    resources = data["resources"] if isinstance(data.get("resources"), dict) else {}
    volumes = check_file_mounts(data, findings)
    places: dict[str, KeyPath] = {}
    if volumes:
        resources, places = {**resources, "volumes": volumes}, {"volumes": ("file_mounts",)}
    if resources.get("any_of") or resources.get("ordered"):
        check_overlaid(Choice(resources), findings)
    kind, choices = expand_choices(resources, places, findings)
    copied = single or environment.docker_login or environment.runpod_login
    candidates = [_read_candidate(choice, overrides, findings, copied=copied) for choice in choices]
    _check_priorities(choices, findings)
    return kind, tuple(candidate for candidate in candidates if candidate is not None)


def _check_priorities(choices: list[Choice], findings: Findings) -> None:
    given = [choice for choice in choices if isinstance(choice.values.get("priority"), int | float)]
    for choice in given[1:]:
        if choice.values["priority"] != given[0].values["priority"]:
            message = "the candidates of a task have one priority, and this differs"
            findings.error("conflicting-keys", message, choice.at("priority"))


def _read_candidate(
    choice: Choice, overrides: Overrides, findings: Findings, *, copied: bool
) -> Candidate | None:
    place = place_of(choice, findings)
    ports = read_ports(choice.values.get("ports"), choice.at("ports"), findings)
    check_settings(choice, place or Place(), findings)
    if place is None:
        return None
    place = with_accelerator(choice, place, findings)
    if copied:
        check_image_copy(choice, place, findings)
    if overrides.place is not None:
        place = with_accelerator(choice, overrides.place, findings)
    if overrides.ports is not None:
        ports = overrides.ports
    candidate = _candidate(choice, place, ports, findings)
    # the file does not say what --infra says
    return candidate if overrides.place is None else replace(candidate, infra_span=None)


def _candidate(choice: Choice, place: Place, ports: PortSet, findings: Findings) -> Candidate:
    span = findings.document.span
    values = choice.values
    where = next((key for key in ("infra", "cloud", "region", "zone") if values.get(key) is not None), None)
    return Candidate(
        place.infra,
        place.cloud,
        place.region,
        place.zone,
        ports,
        span(choice.at(where)) if where else None,
        span(choice.at("ports")) if "ports" in values else None,
    )
