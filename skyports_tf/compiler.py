"""Compiles task files into the tree: read, resolve, merge with the ledgers, pack, render, write."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

from skyports_tf.clouds import Catalog
from skyports_tf.config import Config
from skyports_tf.diagnostics import Diagnostic, FindingsError
from skyports_tf.grants import Flags
from skyports_tf.ledger import merge_entries
from skyports_tf.limits import stack_problems
from skyports_tf.model import GeneratedFile, LedgerEntry, Stack, StackMode, TaskDocument
from skyports_tf.render import render_module, render_stack, render_tree
from skyports_tf.resolve import (
    Demand,
    Findings,
    Place,
    place_of,
    resolve_document,
)
from skyports_tf.sources import Source, SourceError, parse_source
from skyports_tf.stacks import build_stack
from skyports_tf.task import TaskOverrides, read_tasks
from skyports_tf.text.textfile import read_text
from skyports_tf.tree import all_stacks, folders_of, stacks_of
from skyports_tf.write import changed_files, locked_tree, write_files


@dataclass(frozen=True, slots=True)
class CompileRequest:
    """What to compile: task files, the config, and what the command line says beside it.

    `user_hash` is SkyPilot's, where it is known; `forget` names tasks (by file or by name)
    that leave the ledger.
    """

    tasks: tuple[str, ...]
    config: Config = field(default_factory=Config)
    out: str | None = None
    cluster: str | None = None
    overrides: TaskOverrides = field(default_factory=TaskOverrides)
    sources: tuple[str, ...] = ()
    ssh_sources: tuple[str, ...] = ()
    retain: bool | None = None
    attach: bool | None = None
    forget: tuple[str, ...] = ()
    user_hash: str | None = None


@dataclass(frozen=True, slots=True)
class CompiledStack:
    """A stack, its files, and whether they differ from what is on disk."""

    stack: Stack
    files: tuple[GeneratedFile, ...]
    changed: bool


@dataclass(frozen=True, slots=True)
class Compilation:
    """The tree as compiled: `pending` are the files that differ from what is on disk."""

    out: str
    stacks: tuple[CompiledStack, ...]
    shared_files: tuple[GeneratedFile, ...]
    pending: tuple[GeneratedFile, ...]
    diagnostics: tuple[Diagnostic, ...] = ()

    @property
    def files(self) -> tuple[GeneratedFile, ...]:
        """Every file: those of the tree, the modules, and the stacks'."""
        return (*self.shared_files, *(file for item in self.stacks for file in item.files))


def compile_tasks(request: CompileRequest) -> Compilation:
    """Compile, and write nothing.

    Raises `FindingsError` with the findings of all files.
    """
    return _compile(request, writing=False)


def compile_tree(request: CompileRequest) -> Compilation:
    """Compile and write the tree; two at once wait for each other.

    Raises `FindingsError` with the findings of all files, and then nothing is written.
    """
    return _compile(request, writing=True)


def _compile(request: CompileRequest, writing: bool) -> Compilation:
    out = request.out or request.config.out
    findings = Findings()
    flags = _flags(request, findings)
    demands = _read_demands(request, out, flags, findings)
    # after an error nothing will be written, but what the others break is told as well
    writing = writing and not findings.has_errors
    with locked_tree(out) if writing and (demands or request.forget) else nullcontext():
        stacks = _merge(request, out, demands, flags, findings)
        spans = {demand.place: (demand.path, demand.span) for demand in demands}
        for stack in stacks:
            path, span = spans.get(place_of(stack), (None, None))
            for problem in stack_problems(stack, request.config):
                message = f"{stack.name}: {problem.message}"
                findings.add(Diagnostic(problem.code, message, path, span, help=problem.help))
        _stop_on_errors(findings)
        compilation = _render(out, stacks, request.config.catalog, _told(findings))
        if writing:
            write_files(out, compilation.pending)
    return compilation


def _stop_on_errors(findings: Findings) -> None:
    if findings.has_errors:
        raise FindingsError(_told(findings))


def _told(findings: Findings) -> tuple[Diagnostic, ...]:
    """The findings in their order, each with the line of its file that it is about."""
    lines: dict[str, list[str]] = {}
    told = []
    for item in sorted(findings.items, key=lambda item: item.sort_key):
        if item.path and item.span and item.source_line is None:
            if item.path not in lines:
                lines[item.path] = read_text(item.path).splitlines()
            item = replace(item, source_line=lines[item.path][item.span.line - 1])
        told.append(item)
    return tuple(told)


# -- reading ---------------------------------------------------------------------------


def _flags(request: CompileRequest, findings: Findings) -> Flags:
    mode: StackMode | None = None if request.attach is None else "attach" if request.attach else "takeover"
    return Flags(
        cluster=request.cluster,
        sources=_parse_sources(request.sources, "--source", findings),
        ssh_sources=_parse_sources(request.ssh_sources, "--ssh-source", findings),
        retain=request.retain,
        mode=mode,
        user_hash=request.config.user_hash or request.user_hash,
    )


def _parse_sources(texts: Iterable[str], option: str, findings: Findings) -> tuple[Source, ...]:
    found: dict[Source, None] = {}
    for text in texts:
        try:
            found[parse_source(text)] = None
        except SourceError as error:
            findings.add(Diagnostic("bad-source", f"{option}: {error}"))
    return tuple(sorted(found, key=lambda source: source.sort_key))


def _read_demands(request: CompileRequest, out: str, flags: Flags, findings: Findings) -> list[Demand]:
    demands: list[Demand] = []
    ledger_name = _ledger_names(out)
    for path in dict.fromkeys(request.tasks):
        document = _read(path, request.overrides, findings)
        if document is not None:
            file = ledger_name(path)
            demands.extend(resolve_document(document, file, request.config, flags, findings))
    return demands


def _ledger_names(out: str) -> Callable[[str], str]:
    """How the ledgers of `out` call a file: relative to the folder that holds `out`."""
    here = str(Path.cwd())
    base = os.path.dirname(os.path.normpath(os.path.join(here, out)))

    def name(path: str) -> str:
        full = os.path.normpath(os.path.join(here, path))
        if full.startswith(f"{base}{os.sep}"):
            return full[len(base) + 1 :].replace(os.sep, "/")
        return os.path.relpath(full, base).replace(os.sep, "/")

    return name


def _read(path: str, overrides: TaskOverrides, findings: Findings) -> TaskDocument | None:
    try:
        found = read_tasks(path, overrides)
    except FindingsError as error:
        findings.add(*error.diagnostics)
        return None
    findings.add(*found.warnings)
    return found.document


# -- the ledger ------------------------------------------------------------------------


def _merge(
    request: CompileRequest, out: str, demands: Sequence[Demand], flags: Flags, findings: Findings
) -> tuple[Stack, ...]:
    """The stacks of every cluster that the demands touch, with the ledgers' other entries."""
    asked: dict[Place, list[LedgerEntry]] = defaultdict(list)
    files: dict[str, set[str]] = defaultdict(set)
    for demand in demands:
        asked[demand.place].append(demand.entry)
        files[demand.place.cluster].add(demand.entry.file)
    stacks: dict[Place, Stack] = {}
    for cluster in folders_of(out).intersection(files):
        stacks.update((place_of(stack), stack) for stack in stacks_of(out, cluster))
    forgotten = _forget(request, out, stacks, findings)
    retain = request.config.retain if flags.retain is None else flags.retain
    merged = []
    for place in sorted(
        {*asked, *stacks}, key=lambda place: (place.cluster, place.cloud, place.region or "")
    ):
        old = stacks.get(place)
        entries = merge_entries(
            [
                entry
                for entry in (old.entries if old else ())
                if (place, entry.file, entry.position) not in forgotten
            ],
            asked.get(place, []),
            frozenset(files.get(place.cluster, ())),
            retain,
        )
        if entries or old:
            merged.append(build_stack(place, old, entries, request.config, flags))
    return tuple(merged)


def _forget(
    request: CompileRequest, out: str, stacks: dict[Place, Stack], findings: Findings
) -> set[tuple[Place, str, int]]:
    """The entries that `--forget` names; their stacks join `stacks`."""
    forgotten: set[tuple[Place, str, int]] = set()
    if not request.forget:
        return forgotten
    known = stacks_of(out, request.cluster) if request.cluster else all_stacks(out)
    ledger_name = _ledger_names(out)
    for name in request.forget:
        file = ledger_name(name)
        matches = [
            (stack, entry)
            for stack in known
            for entry in stack.entries
            if name in (entry.file, entry.task) or file == entry.file
        ]
        if not matches:
            message = f"no ledger holds a task {name!r}"
            findings.add(Diagnostic("task-unknown", message, help="name its file, or the task's name"))
        for stack, entry in matches:
            stacks.setdefault(place_of(stack), stack)
            forgotten.add((place_of(stack), entry.file, entry.position))
    return forgotten


# -- the tree --------------------------------------------------------------------------


def _render(
    out: str, stacks: Sequence[Stack], catalog: Catalog, diagnostics: tuple[Diagnostic, ...]
) -> Compilation:
    clouds = [catalog.load(name) for name in sorted({stack.cloud for stack in stacks})]
    shared = [*render_tree(), *(file for cloud in clouds for file in render_module(cloud, catalog))]
    if not stacks:
        shared = []
    rendered = [(stack, render_stack(stack, catalog)) for stack in stacks]
    everything = [*shared, *(file for _, files in rendered for file in files)]
    pending = changed_files(out, everything)
    changed = {file.path for file in pending}
    compiled = tuple(
        CompiledStack(stack, files, any(file.path in changed for file in files)) for stack, files in rendered
    )
    return Compilation(out, compiled, tuple(shared), pending, diagnostics)
