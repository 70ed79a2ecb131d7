"""Terraform's `-json` stream as frozen events.

`parse_event` reads one line; `record_of` keeps what a whole run said. Message types that are
unknown here are ignored, as the format asks of its readers, and lines that are no JSON are
kept as text (format: "Machine-Readable UI", version 1.2, Terraform 1.11 and OpenTofu 1.9).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

StepPhase = Literal["start", "progress", "complete", "errored"]

_STEPS: dict[str, StepPhase] = {
    "apply_start": "start",
    "apply_progress": "progress",
    "apply_complete": "complete",
    "apply_errored": "errored",
    "refresh_start": "start",
    "refresh_complete": "complete",
}


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource instance; `key` is its for_each key or count index, None without one."""

    address: str
    type: str
    name: str
    key: str | None


@dataclass(frozen=True, slots=True)
class PlannedChange:
    """What the plan does to a resource: create, update, delete, replace, read, move, import, noop ..."""

    resource: Resource
    action: str


@dataclass(frozen=True, slots=True)
class Drift:
    """A resource that was changed (`update`) or removed (`delete`) outside Terraform."""

    resource: Resource
    action: str


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the run on one resource; `action` is refresh, read, create, update or delete."""

    resource: Resource
    action: str
    phase: StepPhase
    message: str


@dataclass(frozen=True, slots=True)
class Summary:
    """Terraform's own counts; a replaced resource is both added and removed."""

    operation: str
    add: int
    change: int
    remove: int
    imported: int = 0


@dataclass(frozen=True, slots=True)
class Outputs:
    """The root module's outputs: after a plan what becomes of each, after an apply their values."""

    actions: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Message:
    """A diagnostic of Terraform's, in its own words; `place` and `code` show where, or are empty."""

    severity: str
    summary: str
    detail: str
    place: str = ""
    code: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Text:
    """A line that is no JSON message."""

    line: str


Event: TypeAlias = "PlannedChange | Drift | Step | Summary | Outputs | Message | Text"


@dataclass(frozen=True, slots=True)
class Record:
    """What one run of Terraform said, progress left out."""

    planned: tuple[PlannedChange, ...] = ()
    drift: tuple[Drift, ...] = ()
    summary: Summary | None = None
    outputs: Outputs | None = None
    messages: tuple[Message, ...] = ()
    text: tuple[str, ...] = ()

    @property
    def errors(self) -> tuple[Message, ...]:
        """The diagnostics that made the run fail."""
        return tuple(message for message in self.messages if message.severity == "error")

    @property
    def warnings(self) -> tuple[Message, ...]:
        """The other diagnostics."""
        return tuple(message for message in self.messages if message.severity != "error")


def parse_event(line: str) -> Event | None:
    """Read one line of the stream; None for an empty line and for a message type unknown here."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return Text(line) if line.strip() else None
    if not isinstance(message, dict):
        return Text(line)
    kind = _text(message, "type")
    if kind in _STEPS:
        hook = _mapping(message, "hook")
        action = _text(hook, "action") or "refresh"
        return Step(_resource(hook), action, _STEPS[kind], _text(message, "@message"))
    reader = _READERS.get(kind)
    return reader(message) if reader else None


def record_of(events: Iterable[Event]) -> Record:
    """The record of a run from its events, in their order; of summaries and outputs the last counts."""
    found = tuple(events)
    summaries = [event for event in found if isinstance(event, Summary)]
    outputs = [event for event in found if isinstance(event, Outputs)]
    return Record(
        planned=tuple(event for event in found if isinstance(event, PlannedChange)),
        drift=tuple(event for event in found if isinstance(event, Drift)),
        summary=summaries[-1] if summaries else None,
        outputs=outputs[-1] if outputs else None,
        messages=tuple(event for event in found if isinstance(event, Message)),
        text=tuple(event.line for event in found if isinstance(event, Text)),
    )


def format_message(message: Message) -> str:
    """A diagnostic as text for a person: Terraform's words, unchanged, with their place."""
    parts = [f"{message.severity.capitalize()}: {message.summary}"]
    if message.place:
        parts.append("\n".join([f"  {message.place}", *(f"  {line}" for line in message.code)]))
    if message.detail:
        parts.append(message.detail)
    return "\n\n".join(parts)


def _change(message: Mapping[str, Any]) -> tuple[Resource, str]:
    change = _mapping(message, "change")
    return _resource(change), _text(change, "action")


def _summary(message: Mapping[str, Any]) -> Summary:
    changes = _mapping(message, "changes")
    counts = (_number(changes, name) for name in ("add", "change", "remove", "import"))
    return Summary(_text(changes, "operation"), *counts)


def _outputs(message: Mapping[str, Any]) -> Outputs:
    found = {name: value for name, value in _mapping(message, "outputs").items() if isinstance(value, dict)}
    return Outputs(
        actions={name: _text(value, "action") for name, value in found.items() if "action" in value},
        values={name: value["value"] for name, value in found.items() if "value" in value},
    )


def _diagnostic(message: Mapping[str, Any]) -> Message:
    found = _mapping(message, "diagnostic")
    severity, summary = _text(found, "severity"), _text(found, "summary")
    if not summary:
        severity, summary = _text(message, "@level"), _text(message, "@message")
    place, code = _place(found)
    severity = "error" if severity == "error" else "warning"
    return Message(severity, summary, _text(found, "detail"), place, code)


def _place(found: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """Where a diagnostic points, as Terraform's own text output puts it."""
    span, snippet = _mapping(found, "range"), _mapping(found, "snippet")
    address, filename, context = _text(found, "address"), _text(span, "filename"), _text(snippet, "context")
    if not filename:
        return f"with {address}" if address else "", ()
    place = f"with {address}, " if address else ""
    place += f"on {filename} line {_number(_mapping(span, 'start'), 'line')}"
    first = _number(snippet, "start_line")
    lines = enumerate(_text(snippet, "code").splitlines(), start=first)
    values = snippet.get("values")
    known = [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []
    code = [f"{number:>4}: {line}" for number, line in lines]
    code += [f"      {_text(value, 'traversal')} {_text(value, 'statement')}" for value in known]
    return f"{place}{f', in {context}' if context else ''}:", tuple(code)


_READERS: dict[str, Callable[[Mapping[str, Any]], Event]] = {
    "planned_change": lambda message: PlannedChange(*_change(message)),
    "resource_drift": lambda message: Drift(*_change(message)),
    "change_summary": _summary,
    "outputs": _outputs,
    "diagnostic": _diagnostic,
}


def _resource(holder: Mapping[str, Any]) -> Resource:
    found = _mapping(holder, "resource")
    key = found.get("resource_key")
    return Resource(
        address=_text(found, "addr"),
        type=_text(found, "resource_type"),
        name=_text(found, "resource_name"),
        key=None if key is None else str(key),
    )


def _mapping(holder: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = holder.get(name)
    return value if isinstance(value, dict) else {}


def _text(holder: Mapping[str, Any], name: str) -> str:
    value = holder.get(name)
    return value if isinstance(value, str) else ""


def _number(holder: Mapping[str, Any], name: str) -> int:
    value = holder.get(name)
    return value if isinstance(value, int) else 0
