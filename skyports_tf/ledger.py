"""The ledger: stack.json says what a stack was compiled from, task by task.

A cluster's open ports are the union over the entries, so compiling one task replaces that
task's entries and keeps the others, and nothing closes because a task has finished.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from skyports_tf.diagnostics import Diagnostic, FindingsError
from skyports_tf.model import Grant, LedgerEntry, PackedRule, Stack
from skyports_tf.naming import is_cluster_name
from skyports_tf.pack import pack_rules
from skyports_tf.ports import PortRange, PortSet, parse_port_range
from skyports_tf.sources import Source, parse_source

LEDGER_NAME = "stack.json"
LEDGER_VERSION = 1
# one encoder for all: json.dumps looks its arguments over at every call
_encode = json.JSONEncoder().encode
#: What the file's first key says, so that a person knows and `write` can tell it is ours.
GENERATED_BY = "skyports-tf; do not edit, the task files are the source"


# -- entries ---------------------------------------------------------------------------


def merge_entries(
    old: Sequence[LedgerEntry], new: Sequence[LedgerEntry], compiled_files: frozenset[str], retain: bool
) -> tuple[LedgerEntry, ...]:
    """The entries after the files `compiled_files` were compiled to `new`, in a fixed order.

    With `retain`, what an entry no longer asks for stays with it as retained grants; without
    it, what was retained before goes.
    """
    kept = [entry for entry in old if entry.file not in compiled_files]
    if retain:
        new = list(_retaining([entry for entry in old if entry.file in compiled_files], new))
    found = [*kept, *new]
    return tuple(
        sorted(
            (entry for entry in found if entry.grants or entry.retained),
            key=lambda entry: (entry.file, entry.position, entry.task or ""),
        )
    )


def _retaining(old: Sequence[LedgerEntry], new: Sequence[LedgerEntry]) -> Iterator[LedgerEntry]:
    """`new`, where each entry also holds what its predecessor of the same file and place asked for."""
    before = {(entry.file, entry.position): entry for entry in old}
    for entry in new:
        previous = before.pop((entry.file, entry.position), None)
        yield _with_retained(entry, previous) if previous else entry
    for entry in before.values():
        yield LedgerEntry(
            entry.file, entry.task, entry.position, PortSet(), (), _merged((*entry.grants, *entry.retained))
        )


def _with_retained(entry: LedgerEntry, previous: LedgerEntry) -> LedgerEntry:
    retained = []
    for grant in (*previous.grants, *previous.retained):
        wanted = PortSet.of(
            item.ports
            for item in entry.grants
            if (item.protocol, item.source) == (grant.protocol, grant.source)
        )
        retained += [
            Grant(grant.protocol, ports, grant.source, grant.description)
            for ports in PortSet((grant.ports,)) - wanted
        ]
    return LedgerEntry(entry.file, entry.task, entry.position, entry.ports, entry.grants, _merged(retained))


def _merged(grants: Iterable[Grant]) -> tuple[Grant, ...]:
    return tuple(dict.fromkeys(sorted(grants, key=_grant_order)))


def _grant_order(grant: Grant) -> tuple[object, ...]:
    return grant.protocol, grant.ports, grant.source.sort_key, grant.description or ""


# -- the file --------------------------------------------------------------------------


def ledger_text(stack: Stack) -> str:
    """stack.json for `stack`: a line a rule, so that a review shows what changed."""
    head = {
        "generated_by": GENERATED_BY,
        "version": LEDGER_VERSION,
        "name": stack.name,
        "cluster": stack.cluster,
        "cloud": stack.cloud,
        "region": stack.region,
        "mode": stack.mode,
        "name_on_cloud": stack.name_on_cloud,
        "ssh_sources": [str(source) for source in stack.ssh_sources],
    }
    lines = [f"  {_encode(name)}: {_encode(value)}" for name, value in head.items()]
    lines.append(f'  "tasks": {_array([_entry_text(entry) for entry in stack.entries], 2)}')
    if {rule.key for rule in stack.packed} - {rule.key for rule in stack.rules}:
        lines.append(f'  "packed": {_array([_encode(_packed_document(rule)) for rule in stack.packed], 2)}')
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _packed_document(rule: PackedRule) -> dict[str, Any]:
    return {
        "key": rule.key,
        "ports": {protocol: [str(item) for item in ports] for protocol, ports in rule.ports},
        "sources": [str(source) for source in rule.sources],
        "priority": rule.priority,
    }


def _entry_text(entry: LedgerEntry) -> str:
    head = {"file": entry.file, "task": entry.task, "position": entry.position}
    lines = [f"      {_encode(name)}: {_encode(value)}" for name, value in head.items()]
    lines.append(f'      "ports": {_encode([str(ports) for ports in entry.ports])}')
    for name, grants in (("rules", entry.grants), ("retained", entry.retained)):
        documents = [_encode(document) for document in _grant_documents(grants)]
        lines.append(f'      "{name}": {_array(documents, 6)}')
    return "{\n" + ",\n".join(lines) + "\n    }"


def _array(items: Sequence[str], indent: int) -> str:
    if not items:
        return "[]"
    inner = " " * (indent + 2)
    return "[\n" + ",\n".join(inner + item for item in items) + "\n" + " " * indent + "]"


def _grant_documents(grants: Sequence[Grant]) -> list[dict[str, Any]]:
    """Grants that differ in their source alone become one rule with several sources."""
    grouped: dict[tuple[Any, ...], list[Source]] = {}
    for grant in sorted(grants, key=_grant_order):
        grouped.setdefault((grant.protocol, grant.ports, grant.description), []).append(grant.source)
    return [
        {
            "protocol": protocol,
            "from_port": ports.first,
            "to_port": ports.last,
            "sources": [str(source) for source in sources],
            "description": description,
        }
        for (protocol, ports, description), sources in grouped.items()
    ]


def read_stack(out: str, directory: str) -> Stack:
    """The stack in folder `directory` of the tree `out`, as its ledger has it.

    Raises `FindingsError` for a ledger that cannot be read, and `FileNotFoundError` where
    there is none.
    """
    path = Path(out, directory, LEDGER_NAME)
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        stack = _stack_of(document)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise FindingsError(_bad_ledger(path, f"it cannot be read ({error})")) from None
    if stack.directory != directory.replace(os.sep, "/"):
        raise FindingsError(_bad_ledger(path, f"it is the ledger of {stack.directory!r}"))
    return stack


def _bad_ledger(path: Path, problem: str) -> Diagnostic:
    help_text = (
        "restore the file from version control, or remove the stack's folder after its ports are closed"
    )
    return Diagnostic(
        "ledger-invalid", f"the stack's ledger is damaged: {problem}", str(path), help=help_text
    )


def _stack_of(document: Mapping[str, Any]) -> Stack:
    if document["version"] != LEDGER_VERSION:
        raise ValueError(f"version {document['version']} is not {LEDGER_VERSION}")
    if not is_cluster_name(document["cluster"]) or document["mode"] not in ("takeover", "attach"):
        raise ValueError("a name in it is none of ours")
    entries = tuple(_entry_of(entry) for entry in document["tasks"])
    return Stack(
        cluster=document["cluster"],
        cloud=document["cloud"],
        region=document["region"],
        mode=document["mode"],
        entries=entries,
        rules=pack_rules(entries),
        packed=tuple(_packed_of(rule) for rule in document.get("packed", ())),
        ssh_sources=tuple(parse_source(text) for text in document["ssh_sources"]),
        name_on_cloud=document["name_on_cloud"],
    )


def _packed_of(document: Mapping[str, Any]) -> PackedRule:
    ports = document["ports"].items()
    return PackedRule(
        key=str(document["key"]),
        ports=tuple((protocol, PortSet.of(map(parse_port_range, texts))) for protocol, texts in ports),
        sources=tuple(parse_source(text) for text in document["sources"]),
        priority=document["priority"],
    )


def _entry_of(document: Mapping[str, Any]) -> LedgerEntry:
    return LedgerEntry(
        file=document["file"],
        task=document["task"],
        position=document["position"],
        ports=PortSet.of(parse_port_range(text) for text in document["ports"]),
        grants=tuple(_grants_of(document["rules"])),
        retained=tuple(_grants_of(document["retained"])),
    )


def _grants_of(documents: Sequence[Mapping[str, Any]]) -> Iterator[Grant]:
    for rule in documents:
        if rule["protocol"] not in ("tcp", "udp"):
            raise ValueError(f"unknown protocol {rule['protocol']!r}")
        for text in rule["sources"]:
            ports = PortRange(rule["from_port"], rule["to_port"])
            yield Grant(rule["protocol"], ports, parse_source(text), rule["description"])
