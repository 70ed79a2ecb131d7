"""What was understood of task files, as JSON and as text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from skyports_tf.diagnostics import Diagnostic, visible
from skyports_tf.documents import Candidate, DocumentKind, Task, TaskDocument
from skyports_tf.report.diagnostics import diagnostic_json

VERSION: Final = 1
_KINDS: Final[dict[DocumentKind, str]] = {"task": "task", "chain": "chain", "job_group": "job group"}


def inspection_json(documents: Iterable[TaskDocument], diagnostics: Iterable[Diagnostic]) -> dict[str, Any]:
    """The answer of `inspect --json`, as schemas/inspect.schema.json describes it."""
    return {
        "version": VERSION,
        "documents": [_document_json(document) for document in documents],
        "diagnostics": [diagnostic_json(item) for item in diagnostics],
    }


def _document_json(document: TaskDocument) -> dict[str, Any]:
    return {
        "path": document.path,
        "kind": document.kind,
        "name": document.name,
        "tasks": [_task_json(task) for task in document.tasks],
    }


def _task_json(task: Task) -> dict[str, Any]:
    return {
        "name": task.name,
        "num_nodes": task.num_nodes,
        "candidates_kind": task.candidates_kind,
        "candidates": [_candidate_json(candidate) for candidate in task.candidates],
        "service_port": task.service_port,
    }


def _candidate_json(candidate: Candidate) -> dict[str, Any]:
    return {
        "infra": candidate.infra,
        "cloud": candidate.cloud,
        "region": candidate.region,
        "zone": candidate.zone,
        # SkyPilot's word for no ports
        "ports": [str(item) for item in candidate.ports] or None,
    }


def inspection_text(documents: Sequence[TaskDocument]) -> str:
    """The documents for people: a heading a file, a line a task, a line a place with its ports."""
    return "\n\n".join(_document_text(document) for document in documents)


def _document_text(document: TaskDocument) -> str:
    name = f" {visible(str(document.name))}" if document.name is not None else ""
    lines = [f"{visible(document.path)}: {_KINDS[document.kind]}{name}"]
    for task in document.tasks:
        lines += _task_lines(task)
    return "\n".join(lines)


def _task_lines(task: Task) -> list[str]:
    parts = [f"{task.num_nodes} node" if task.num_nodes == 1 else f"{task.num_nodes} nodes"]
    if len(task.candidates) > 1:
        how = "in this order" if task.candidates_kind == "ordered" else "any of"
        parts.append(f"{how} {len(task.candidates)} candidates")
    if task.service_port is not None:
        parts.append(f"serves on port {task.service_port}")
    title = visible(task.name) if task.name else "(no name)"
    places = _places(task)
    width = max((len(place) for place, _ in places), default=0)
    return [f"  {title}: {', '.join(parts)}", *(f"    {place:<{width}}  {ports}" for place, ports in places)]


def _places(task: Task) -> list[tuple[str, str]]:
    """Each place with its ports; candidates that differ in neither are one line."""
    found: dict[tuple[str, str], int] = {}
    for candidate in task.candidates:
        ports = f"ports {candidate.ports}" if candidate.ports else "no ports"
        place = (visible(candidate.infra or "any cloud"), ports)
        found[place] = found.get(place, 0) + 1
    return [
        (place, f"{ports} ({count} candidates)" if count > 1 else ports)
        for (place, ports), count in found.items()
    ]
