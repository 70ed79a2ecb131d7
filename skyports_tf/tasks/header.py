"""The first document of a chain or of a job group, and what a group asks of its jobs.

Facts: sky/utils/dag_utils.py (_load_chain_dag, _load_job_group, _is_job_group_configs), SkyPilot 0.14.1.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import isfinite
from typing import Any, Final

from skyports_tf.diagnostics import Diagnostic, suggest
from skyports_tf.schema import kind_of
from skyports_tf.source import YamlDocument, YamlFile
from skyports_tf.tasks.findings import Findings

GROUP_KEYS: Final = ("name", "execution", "primary_tasks", "termination_delay", "inter_connection")
_DURATION = re.compile(r"^[0-9]+(s|m|h|d|w|S|M|H|D|W)?$")


def is_group(file: YamlFile) -> bool:
    """Whether the file is a job group: a header with `execution: parallel`, then documents."""
    if len(file.documents) < 2:
        return False
    header = file.documents[0].data
    return isinstance(header, dict) and header.get("execution") == "parallel"


def is_chain_header(data: Any) -> bool:
    """Whether a document is the header of a chain: `name`, perhaps with `execution`, and nothing else."""
    return isinstance(data, dict) and data.keys() in ({"name"}, {"name", "execution"})


def read_chain_header(header: YamlDocument) -> tuple[str | int | float | None, list[Diagnostic]]:
    """The chain's name, as text where it is neither text nor number, and what is wrong with its header."""
    findings = Findings(header)
    execution = header.data.get("execution")
    if execution is not None and execution != "serial":
        of_group = "a job group has 'execution: parallel' and jobs in documents of their own"
        help_text = suggest(str(execution), ("serial", "parallel"), of_group)
        findings.error(
            "bad-header",
            f"a chain runs with execution: serial, not {kind_of(execution)}",
            ("execution",),
            help=help_text,
        )
    name = header.data["name"]
    kept = name is None or isinstance(name, str | int) or (isinstance(name, float) and isfinite(name))
    return (name if kept else str(name)), findings.errors


def check_group_header(
    header: YamlDocument, jobs: Sequence[YamlDocument]
) -> tuple[str | None, list[Diagnostic]]:
    """The group's name, and what is wrong with its header."""
    findings, data = Findings(header), header.data
    for key in data:
        if key not in GROUP_KEYS:
            help_text = suggest(str(key), GROUP_KEYS)
            findings.warn(
                "unknown-header-key",
                f"SkyPilot ignores {key!r} in the header of a job group",
                (key,),
                help=help_text,
            )
    names = {job.data.get("name") for job in jobs if isinstance(job.data.get("name"), str)}
    name = data.get("name")
    if "name" not in data:
        findings.error("bad-job-group", "a job group needs a name")
    elif not isinstance(name, str) or not name or not _is_plain(name):
        message = f"the name of a job group has letters, digits, '-' and '_', and this is {kind_of(name)}"
        findings.error("bad-job-group", message, ("name",))
    _check_primary(data.get("primary_tasks"), names, findings)
    _check_delay(data.get("termination_delay"), names, findings)
    connection = data.get("inter_connection")
    if connection is not None and not isinstance(connection, bool):
        message = f"must be true or false, not {kind_of(connection)}"
        findings.error("wrong-type", f"'inter_connection' {message}", ("inter_connection",))
    return (name if isinstance(name, str) else None), [*findings.errors, *findings.warnings]


def check_job_names(jobs: Sequence[YamlDocument]) -> list[Diagnostic]:
    """What is wrong with the names of a group's jobs."""
    found = []
    seen: set[str] = set()
    for job in jobs:
        name = job.data.get("name")
        if name is None:
            found.append(job.diagnostic("bad-job-group", "a job of a group needs a name"))
        elif not isinstance(name, str) or not _is_plain(name):
            message = f"the name of a job has letters, digits, '-' and '_', and this is {kind_of(name)}"
            found.append(job.diagnostic("bad-job-group", message, ("name",)))
        elif name in seen:
            found.append(
                job.diagnostic("bad-job-group", f"another job is called {name!r} already", ("name",))
            )
        else:
            seen.add(name)
    return found


def _is_plain(name: str) -> bool:
    return all(char.isalnum() or char in "-_" for char in name)


def _check_primary(primary: Any, names: set[str], findings: Findings) -> None:
    if primary is None:
        return
    if not isinstance(primary, list):
        message = f"'primary_tasks' must be a list of jobs, not {kind_of(primary)}"
        findings.error("wrong-type", message, ("primary_tasks",))
        return
    for index, name in enumerate(primary):
        if not isinstance(name, str) or name not in names:
            _unknown_job(name, names, ("primary_tasks", index), findings)


def _unknown_job(name: Any, names: set[str], at: tuple[Any, ...], findings: Findings) -> None:
    help_text = suggest(str(name), names, f"the jobs are {', '.join(sorted(names))}" if names else None)
    findings.error("bad-job-group", f"no job {name!r} in this group", at, help=help_text)


def _check_delay(delay: Any, names: set[str], findings: Findings) -> None:
    if delay is None:
        return
    at: tuple[Any, ...] = ("termination_delay",)
    for key, value in delay.items() if isinstance(delay, dict) else [(None, delay)]:
        place = at if key is None and not isinstance(delay, dict) else (*at, key)
        if place != at and (not isinstance(key, str) or (key != "default" and key not in names)):
            _unknown_job(key, names, place, findings)
        if not isinstance(value, str | int) or not _DURATION.match(str(value)):
            help_text = "write seconds, or a time such as 30s, 5m, 1h"
            findings.error("bad-value", f"{kind_of(value)} is no time", place, help=help_text)
