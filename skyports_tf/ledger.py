"""The ledger: stack.json says what a stack was compiled from, task by task.

It is committed and reviewed with the rest of the tree, and holds no time but the absolute
deadlines of ports that expire.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from skyports_tf.diagnostics import Diagnostic, FindingsError
from skyports_tf.entries import grant_order
from skyports_tf.expiry import parse_expiry, read_stamp
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
        **({"layout": stack.layout} if stack.layout != "separate" else {}),
    }
    lines = [f"  {_encode(name)}: {_encode(value)}" for name, value in head.items()]
    lines.append(f'  "tasks": {_array([_entry_text(entry) for entry in stack.entries], 2)}')
    if {rule.key for rule in stack.packed} - {rule.key for rule in stack.rules}:
        lines.append(f'  "packed": {_array([_encode(_packed_document(rule)) for rule in stack.packed], 2)}')
    if stack.adopted:
        lines.append(f'  "adopted": {_encode(stack.adopted)}')
    if stack.imports:
        pairs = [
            f"    {_encode(address)}: {_encode(name)}" for address, name in sorted(stack.imports.items())
        ]
        lines.append('  "imports": {\n' + ",\n".join(pairs) + "\n  }")
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
    for grant in sorted(grants, key=grant_order):
        key = (grant.protocol, grant.ports, grant.description, *_expiry_pairs(grant))
        grouped.setdefault(key, []).append(grant.source)
    return [
        {
            "protocol": protocol,
            "from_port": ports.first,
            "to_port": ports.last,
            "sources": [str(source) for source in sources],
            "description": description,
            **dict(expiry),
        }
        for (protocol, ports, description, *expiry), sources in grouped.items()
    ]


def _expiry_pairs(grant: Grant) -> Iterator[tuple[str, str | bool | None]]:
    """What the ledger says of a grant's end: nothing where it has none."""
    if grant.expires:
        yield "expires", grant.expires
    if grant.configured != grant.expires:
        yield "configured", grant.configured
    if grant.expires_at:
        yield "expires_at", grant.expires_at
    if grant.closed:
        yield "closed", True


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
    if document.get("layout", "separate") not in ("separate", "grouped"):
        raise ValueError(f"unknown layout {document['layout']!r}")
    entries = tuple(_entry_of(entry) for entry in document["tasks"])
    adopted = _mapping(document.get("adopted", {}))
    return Stack(
        cluster=document["cluster"],
        cloud=document["cloud"],
        region=document["region"],
        mode=document["mode"],
        entries=entries,
        rules=pack_rules(entries, adopted.get("rules", ())),
        packed=tuple(_packed_of(rule) for rule in document.get("packed", ())),
        ssh_sources=tuple(parse_source(text) for text in document["ssh_sources"]),
        name_on_cloud=document["name_on_cloud"],
        adopted=adopted,
        imports={str(name): str(value) for name, value in _mapping(document.get("imports", {})).items()},
        layout=document.get("layout", "separate"),
    )


def _mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError("what was adopted is no mapping")
    return value


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
        ports = PortRange(rule["from_port"], rule["to_port"])
        expiry = _expiry_of(rule) if "expires" in rule or "configured" in rule else ()
        for text in rule["sources"]:
            yield Grant(rule["protocol"], ports, parse_source(text), rule["description"], *expiry)


def _expiry_of(rule: Mapping[str, Any]) -> tuple[str | None, str | None, str | None, bool]:
    """`expires`, `configured`, `expires_at` and `closed`, as a grant takes them."""
    expires = parse_expiry(rule["expires"]) if "expires" in rule else None
    configured = rule.get("configured", expires)
    at = rule.get("expires_at")
    if rule.get("closed", False) not in (True, False):
        raise ValueError("closed is neither true nor false")
    return (
        expires,
        configured and parse_expiry(configured),
        at and read_stamp(at),
        bool(rule.get("closed")),
    )
