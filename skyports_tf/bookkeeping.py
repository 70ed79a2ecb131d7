"""What task files do to the ledgers of a tree: merged, forgotten, and what is worth a warning."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from skyports_tf.compilation import CompileRequest
from skyports_tf.deadlines import close_expired
from skyports_tf.diagnostics import Diagnostic, FindingsError
from skyports_tf.entries import MergeRules, merge_entries, without_asked
from skyports_tf.expiry import spell_stamp
from skyports_tf.grants import Flags
from skyports_tf.model import ADOPTED, Grant, LedgerEntry, Stack
from skyports_tf.pack import wanted_of
from skyports_tf.ports import PortRange, PortSet
from skyports_tf.resolve import Demand, Findings, Place, place_of
from skyports_tf.stacks import build_stack
from skyports_tf.tree import all_stacks, base_of, folders_of, stacks_of

#: Up to how many other clusters are looked at for tasks that were renamed; a look takes a file each.
MOST_NEIGHBOURS: Final = 100


def ledger_names(out: str) -> Callable[[str], str]:
    """How the ledgers of `out` call a file: relative to the folder that holds `out`."""
    here = str(Path.cwd())
    base = base_of(out)

    def name(path: str) -> str:
        full = os.path.normpath(os.path.join(here, path))
        if full.startswith(f"{base}{os.sep}"):
            return full[len(base) + 1 :].replace(os.sep, "/")
        return os.path.relpath(full, base).replace(os.sep, "/")

    return name


def compiled_tasks(
    out: str, stacks: Iterable[Stack], forget: Sequence[str] = ()
) -> tuple[tuple[str, str], ...]:
    """Every task file that `stacks` of `out` name, for each cluster that it was compiled for, sorted.

    Without tasks that `forget` names, by file or by name. The paths are relative to the current folder.
    """
    base, here = base_of(out), str(Path.cwd())
    ledger_name = ledger_names(out)
    found = {
        (stack.cluster, entry.file)
        for stack in stacks
        for entry in stack.entries
        if entry.file != ADOPTED and not any(_is_named(entry, name, ledger_name) for name in forget)
    }
    return tuple(
        (cluster, os.path.relpath(os.path.join(base, file), here)) for cluster, file in sorted(found)
    )


def emptied_clusters(stacks: Iterable[Stack]) -> tuple[str, ...]:
    """The clusters with a stack that no task asks anything of any more: what it has opened is to close."""
    found = {stack.cluster for stack in stacks if not (stack.entries or stack.imports)}
    return tuple(sorted(found))


def _is_named(entry: LedgerEntry, name: str, ledger_name: Callable[[str], str]) -> bool:
    return name in (entry.file, entry.task) or ledger_name(name) == entry.file


def merged_stacks(
    request: CompileRequest, out: str, demands: Sequence[Demand], flags: Flags, findings: Findings
) -> tuple[Stack, ...]:
    """The stacks of every cluster that the demands touch, with the ledgers' other entries.

    With the request's `now`, what is past its time by then is closed. Warnings go to `findings`.
    """
    asked: dict[Place, list[LedgerEntry]] = defaultdict(list)
    files: dict[str, set[str]] = defaultdict(set)
    for demand in demands:
        asked[demand.place].append(demand.entry)
        files[demand.place.cluster].add(demand.entry.file)
    stacks: dict[Place, Stack] = {}
    folders = folders_of(out)
    for cluster in folders.intersection({*files, *request.emptied}):
        stacks.update((place_of(stack), stack) for stack in stacks_of(out, cluster))
    forgotten = _forget(request, out, stacks, findings)
    retain = request.config.retain if flags.retain is None else flags.retain
    rules = MergeRules(retain, renew=flags.expires is not None)
    merged = []
    for place in sorted({*asked, *stacks}, key=lambda item: (item.cluster, item.cloud, item.region or "")):
        old = stacks.get(place)
        kept = [
            entry
            for entry in (old.entries if old else ())
            if (place, entry.file, entry.position) not in forgotten
        ]
        entries = merge_entries(kept, asked.get(place, []), frozenset(files.get(place.cluster, ())), rules)
        if not (old and old.imports):
            entries = without_asked(entries, asked.get(place, []))
        if request.now:
            entries, _ = close_expired(entries, request.now)
        if entries or old:
            merged.append(build_stack(place, old, entries, request.config, flags))
    others = _left_behind(request, out, folders.difference(files))
    left = [stack for stack in others if place_of(stack) not in stacks]
    findings.add(*_gone(out, [*merged, *left], files), *_renamed(out, demands, folders, forgotten))
    findings.add(*_expired(merged, demands), *_pending(merged))
    return tuple(merged)


def _forget(
    request: CompileRequest, out: str, stacks: dict[Place, Stack], findings: Findings
) -> set[tuple[Place, str, int]]:
    """The entries that `--forget` names; their stacks join `stacks`."""
    forgotten: set[tuple[Place, str, int]] = set()
    if not request.forget:
        return forgotten
    known = stacks_of(out, request.cluster) if request.cluster else all_stacks(out)
    ledger_name = ledger_names(out)
    for name in request.forget:
        matches = [
            (stack, entry)
            for stack in known
            for entry in stack.entries
            if _is_named(entry, name, ledger_name)
        ]
        if not matches:
            message = f"no ledger holds a task {name!r}"
            findings.add(Diagnostic("task-unknown", message, help="name its file, or the task's name"))
        for stack, entry in matches:
            if entry.file == ADOPTED and stack.imports:
                findings.add(replace(_pending_note(stack), severity="error"))
            stacks.setdefault(place_of(stack), stack)
            forgotten.add((place_of(stack), entry.file, entry.position))
    return forgotten


# -- what is worth a warning -----------------------------------------------------------


def _gone(out: str, stacks: Sequence[Stack], compiled: dict[str, set[str]]) -> Iterator[Diagnostic]:
    """A warning for each file that holds ports open and exists no more; nothing closes by luck."""
    base = base_of(out)
    found: dict[str, list[tuple[Stack, Grant]]] = defaultdict(list)
    for stack in stacks:
        for entry in stack.entries:
            if entry.file not in {ADOPTED, *compiled.get(stack.cluster, ())}:
                found[entry.file] += [(stack, grant) for grant in _open_grants(entry)]
    for file, open_grants in sorted(found.items()):
        if open_grants and not os.path.lexists(os.path.join(base, file)):
            yield _stays_open("task-gone", f"{file} is gone", file, open_grants)


def _left_behind(request: CompileRequest, out: str, others: Iterable[str]) -> list[Stack]:
    """Stacks of other clusters that have tasks in the folders that were named: whose files may be gone."""
    ledger_name = ledger_names(out)
    below = tuple(f"{ledger_name(folder)}/".removeprefix("./") for folder in request.folders)
    if not below:
        return []
    stacks = (stack for cluster in sorted(others) for stack in _readable(out, cluster))
    return [stack for stack in stacks if any(entry.file.startswith(below) for entry in stack.entries)]


def _renamed(
    out: str, demands: Sequence[Demand], folders: Iterable[str], forgotten: set[tuple[Place, str, int]]
) -> Iterator[Diagnostic]:
    """A warning for tasks of the compiled files that another cluster still has under a former name."""
    names: dict[str, set[str | None]] = defaultdict(set)
    for demand in demands:
        names[demand.entry.file].add(demand.entry.task)
    neighbours = sorted(set(folders) - {demand.place.cluster for demand in demands})
    if not names or len(neighbours) > MOST_NEIGHBOURS:
        return
    found: dict[tuple[str, str], list[tuple[Stack, Grant]]] = defaultdict(list)
    for stack in (stack for cluster in neighbours for stack in _readable(out, cluster)):
        for entry in stack.entries:
            is_former = entry.file in names and entry.task not in names[entry.file]
            if is_former and (place_of(stack), entry.file, entry.position) not in forgotten:
                known = entry.task or stack.cluster
                found[entry.file, known] += [(stack, grant) for grant in _open_grants(entry)]
    for (file, task), open_grants in sorted(found.items()):
        if open_grants:
            yield _stays_open("task-renamed", f"{file} has no task {task!r} any more", task, open_grants)


def _readable(out: str, cluster: str) -> tuple[Stack, ...]:
    """The stacks of a cluster that is none of this compile's business: what is wrong there is not told."""
    try:
        return stacks_of(out, cluster)
    except FindingsError:
        return ()


def _stays_open(code: str, cause: str, forget: str, open_grants: Sequence[tuple[Stack, Grant]]) -> Diagnostic:
    clusters = sorted({stack.cluster for stack, _ in open_grants})
    ports = _ports_text((grant.protocol, grant.ports) for _, grant in open_grants)
    message = f"{cause}, and what it asked for stays open on {', '.join(clusters)}: {ports}"
    help_text = f"`--forget {forget}` takes it out of the ledger, and the next apply closes its ports"
    return Diagnostic(code, message, help=help_text, severity="warning")


def _pending(stacks: Sequence[Stack]) -> Iterator[Diagnostic]:
    """A note for each stack whose adoption has not been applied: until then nothing of it may close."""
    for stack in stacks:
        if stack.imports:
            yield _pending_note(stack)


def _pending_note(stack: Stack) -> Diagnostic:
    return Diagnostic(
        "adoption-pending",
        f"{stack.name}: its adoption is not applied yet, and what it adopts stays open until then",
        help=f"`skyports-tf adopt {stack.cluster} --yes` applies it, `release {stack.cluster}` takes it back",
        severity="note",
    )


def _expired(stacks: Sequence[Stack], demands: Sequence[Demand]) -> Iterator[Diagnostic]:
    """A warning for what the compiled tasks ask for and is past its time, where nothing else opens it."""
    by_place = {place_of(stack): stack for stack in stacks}
    for demand in demands:
        stack = by_place.get(demand.place)
        for entry in stack.entries if stack else ():
            if stack and (entry.file, entry.position) == (demand.entry.file, demand.entry.position):
                yield from _expired_of(entry, stack, demand)


def _expired_of(entry: LedgerEntry, stack: Stack, demand: Demand) -> Iterator[Diagnostic]:
    closed = [grant for grant in entry.grants if grant.closed]
    if not closed:
        return
    still_open = wanted_of(stack.rules)
    told: dict[str, list[tuple[str, PortRange]]] = defaultdict(list)
    for grant in closed:
        shut = PortSet((grant.ports,)) - still_open.get((grant.protocol, grant.source), PortSet())
        told[grant.expires_at or ""] += [(grant.protocol, ports) for ports in shut]
    for time, ranges in sorted(told.items()):
        if ranges:
            yield Diagnostic(
                "port-expired",
                f"{_ports_text(ranges)} expired at {spell_stamp(time)}: not opened",
                demand.path,
                demand.span,
                help="say `--expires 8h` to open it again, or change `expires` in the config",
                severity="warning",
            )


def _open_grants(entry: LedgerEntry) -> list[Grant]:
    return [grant for grant in (*entry.grants, *entry.retained) if not grant.closed]


def _ports_text(ranges: Iterable[tuple[str, PortRange]]) -> str:
    """`tcp 80, tcp 8000-8010, udp 53`."""
    by_protocol: dict[str, list[PortRange]] = defaultdict(list)
    for protocol, ports in ranges:
        by_protocol[protocol].append(ports)
    return ", ".join(
        f"{protocol} {ports}"
        for protocol in sorted(by_protocol)
        for ports in PortSet.of(by_protocol[protocol])
    )
