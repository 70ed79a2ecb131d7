"""Task files: one task, a chain, or a job group, as SkyPilot's command line reads them.

Facts: sky/utils/dag_utils.py (_load_chain_dag, _load_job_group),
sky/client/cli/command.py:_make_task_or_dag_from_entrypoint_with_overrides, SkyPilot 0.14.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from skyports_tf.diagnostics import Diagnostic, FindingsError
from skyports_tf.documents import DocumentKind, TaskDocument
from skyports_tf.schema import kind_of
from skyports_tf.source import YamlDocument, YamlFile, read_yaml
from skyports_tf.tasks.findings import Findings
from skyports_tf.tasks.header import (
    check_group_header,
    check_job_names,
    is_chain_header,
    is_group,
    read_chain_header,
)
from skyports_tf.tasks.infra import InfraError, parse_infra
from skyports_tf.tasks.onetask import Overrides, read_task
from skyports_tf.tasks.taskports import port_option_conflict, read_port_options


@dataclass(frozen=True, slots=True)
class TaskOverrides:
    """What the command line says over the file, with the meaning it has for `sky launch`.

    `ports` are the values of `--ports` as given; `infra` is that of `--infra`; `envs` fills
    environment variables.
    """

    ports: tuple[str, ...] = ()
    infra: str | None = None
    envs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReadTasks:
    """A task file as understood, and what is worth telling about it."""

    document: TaskDocument
    warnings: tuple[Diagnostic, ...] = ()


def read_tasks(path: str, overrides: TaskOverrides | None = None) -> ReadTasks:
    """Read the task file at `path` under the overrides.

    Raises `FindingsError` with every finding of the file and of the overrides.
    """
    file = read_yaml(path, keep_repeated_keys=True)
    wrong = [_not_a_mapping(item) for item in file.documents if not isinstance(item.data, dict | None)]
    if wrong:
        raise FindingsError([*file.repeated_keys, *wrong])
    group = is_group(file)
    if not group and not any(document.data for document in file.documents):
        message = "the file is empty or holds no task"
        raise FindingsError(
            Diagnostic("file-empty", message, path, help="write a task, such as 'run: echo hello'")
        )
    applied, errors = _applied(overrides or TaskOverrides())
    return _read_group(file, applied, errors) if group else _read_chain(file, applied, errors)


def _not_a_mapping(document: YamlDocument) -> Diagnostic:
    message = f"a task is a mapping of keys to values, and this is {kind_of(document.data)}"
    return document.diagnostic("not-a-mapping", message)


def _applied(overrides: TaskOverrides) -> tuple[Overrides, list[Diagnostic]]:
    """The overrides as read, and what is wrong with them whatever the file holds."""
    errors = port_option_conflict(overrides.ports)
    place = None
    if overrides.infra is not None:
        try:
            place = parse_infra(overrides.infra, in_file=False)
        except InfraError as error:
            errors.append(Diagnostic("bad-infra", f"--infra: {error}", help=error.help))
    ports, bad_ports = read_port_options(overrides.ports)
    return Overrides(ports, place, overrides.envs, tuple(bad_ports)), errors


def _read_chain(file: YamlFile, overrides: Overrides, errors: list[Diagnostic]) -> ReadTasks:
    documents = list(file.documents)
    errors = [*errors, *file.repeated_keys]
    name: str | int | float | None = None
    if is_chain_header(documents[0].data):
        name, findings = read_chain_header(documents[0])
        errors += findings
        # a header alone is a task that has a name
        documents = documents[1:] or [replace(documents[0], data={"name": documents[0].data["name"]})]
    tasks = [document for document in documents if document.data is not None]
    if not tasks:
        errors.append(file.documents[0].diagnostic("no-tasks", "no task follows the header"))
    kind: DocumentKind = "chain" if len(tasks) > 1 else "task"
    return _read_all(file, kind, name if kind == "chain" else None, tasks, overrides, errors)


def _read_group(file: YamlFile, overrides: Overrides, errors: list[Diagnostic]) -> ReadTasks:
    header, *jobs = file.documents
    jobs = [job for job in jobs if job.data is not None]
    findings = [*check_job_names(jobs)]
    name, of_header = check_group_header(header, jobs)
    # SkyPilot reads job groups without a look at repeated keys: the later one counts
    repeated = [_as_warning(item) for item in file.repeated_keys]
    return _read_all(file, "job_group", name, jobs, overrides, [*errors, *findings, *of_header, *repeated])


def _as_warning(item: Diagnostic) -> Diagnostic:
    message = f"{item.message}; SkyPilot takes the last one in a job group"
    return Diagnostic(item.code, message, item.path, item.span, item.help, "warning", item.source_line)


def _read_all(
    file: YamlFile,
    kind: DocumentKind,
    name: str | int | float | None,
    documents: list[YamlDocument],
    overrides: Overrides,
    known: list[Diagnostic],
) -> ReadTasks:
    single = kind == "task"
    errors = [item for item in known if item.severity == "error"]
    warnings = [item for item in known if item.severity != "error"]
    if single:
        errors += overrides.bad_ports
    elif overrides.ports is not None or overrides.place is not None:
        warnings.append(_ignored(file.path, kind))
    tasks = []
    for position, document in enumerate(documents):
        findings = Findings(document)
        tasks.append(read_task(findings, overrides, position, single=single))
        errors += findings.errors
        warnings += findings.warnings
    if errors:
        raise FindingsError(errors)
    read = tuple(task for task in tasks if task is not None)
    return ReadTasks(TaskDocument(file.path, kind, name, read), tuple(warnings))


def _ignored(path: str, kind: DocumentKind) -> Diagnostic:
    what = "a job group" if kind == "job_group" else "a file with several tasks"
    message = f"--ports and --infra are ignored for {what}, as SkyPilot does"
    return Diagnostic("overrides-ignored", message, path, severity="warning")
