"""What is read of a task file: its tasks, and where each may run with which ports."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from skyports_tf.diagnostics import Span
from skyports_tf.ports import PortSet

DocumentKind = Literal["task", "chain", "job_group"]
CandidatesKind = Literal["any", "ordered"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """One place where a task may run, and the ports it asks for there.

    `infra` is SkyPilot's canonical text (`aws/us-east-1`), None where all three parts are
    open; `cloud` is SkyPilot's lower-case name (`aws`, `do`, `kubernetes`).
    """

    infra: str | None
    cloud: str | None
    region: str | None
    zone: str | None
    ports: PortSet
    infra_span: Span | None = field(default=None, compare=False)
    ports_span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Task:
    """One task of a file; `position` counts the file's tasks from 0, `span` is where it begins."""

    name: str | None
    num_nodes: int
    candidates_kind: CandidatesKind
    candidates: tuple[Candidate, ...]
    service_port: int | None
    position: int = 0
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class TaskDocument:
    """One task file as understood.

    `path` is as the user wrote it; `name` is the header's (chains and job groups only), which
    SkyPilot takes from a chain's header as it is, number or text.
    """

    path: str
    kind: DocumentKind
    name: str | int | float | None
    tasks: tuple[Task, ...]
