"""Compiles task files into the tree: read, resolve, merge with the ledgers, pack, render, write."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial

from skyports_tf.bookkeeping import ledger_names, merged_stacks
from skyports_tf.compilation import (
    Compilation,
    CompiledStack,
    CompileRequest,
    add_problems,
    changed_stacks,
    render_compilation,
    stop_on_errors,
    told,
)
from skyports_tf.diagnostics import Diagnostic, FindingsError
from skyports_tf.documents import TaskDocument
from skyports_tf.expiry import WAY_OUT, ExpiryError, parse_expiry
from skyports_tf.grants import Flags
from skyports_tf.model import Stack, StackMode
from skyports_tf.policy import NO_POLICY
from skyports_tf.processes import each_of_many
from skyports_tf.resolve import Demand, Findings, resolve_document
from skyports_tf.sources import Source, SourceError, parse_source
from skyports_tf.statekeys import key_findings, layout_findings
from skyports_tf.task import TaskOverrides, read_tasks
from skyports_tf.write import locked_tree, write_files

__all__ = ["Compilation", "CompileRequest", "CompiledStack", "compile_tasks", "compile_tree"]


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
    findings.add(*request.notes)
    flags = _flags(request, findings)
    demands = _read_demands(request, out, flags, findings)
    # after an error nothing will be written, but what the others break is told as well
    writing = writing and not findings.has_errors
    with locked_tree(out) if writing and (demands or request.forget) else nullcontext():
        merged = merged_stacks(request, out, demands, flags, findings)
        stacks = changed_stacks(request, out, merged, findings)
        spans = {demand.place: (demand.path, demand.span) for demand in demands}
        add_problems(stacks, request.config, findings, spans)
        findings.add(*key_findings(out, stacks, request.config), *layout_findings(stacks, request.config))
        _add_breaches(stacks, request, out, demands, findings)
        stop_on_errors(findings)
        compilation = render_compilation(out, stacks, request.config.catalog, told(findings))
        if writing:
            write_files(out, compilation.pending)
    return compilation


def _add_breaches(
    stacks: Sequence[Stack], request: CompileRequest, out: str, demands: Sequence[Demand], findings: Findings
) -> None:
    if request.config.policy != NO_POLICY:
        # who has no policy starts sooner
        from skyports_tf.policing import add_breaches

        add_breaches(stacks, request, out, demands, findings)


# -- reading ---------------------------------------------------------------------------


def _flags(request: CompileRequest, findings: Findings) -> Flags:
    mode: StackMode | None = None if request.attach is None else "attach" if request.attach else "takeover"
    return Flags(
        cluster=request.cluster,
        sources=_parse_sources(request.sources, "--source", findings),
        ssh_sources=_parse_sources(request.ssh_sources, "--ssh-source", findings),
        retain=request.retain,
        mode=mode,
        expires=_parse_expires(request.expires, findings),
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


def _parse_expires(text: str | None, findings: Findings) -> str | None:
    if text is None:
        return None
    try:
        return parse_expiry(text)
    except ExpiryError as error:
        findings.add(Diagnostic("bad-expiry", f"--expires: {error}", help=WAY_OUT))
        return None


def _read_demands(request: CompileRequest, out: str, flags: Flags, findings: Findings) -> list[Demand]:
    demands: list[Demand] = []
    ledger_name = ledger_names(out)
    known = {ledger_name(path) for _, path in request.known}
    asked = [
        *request.known,
        *((flags.cluster, path) for path in dict.fromkeys(request.tasks) if ledger_name(path) not in known),
    ]
    paths = [*dict.fromkeys(path for _, path in asked)]
    read = dict(zip(paths, each_of_many(partial(_read, request.overrides), paths), strict=True))
    for _, told_of_it in read.values():
        findings.add(*told_of_it)
    for cluster, path in asked:
        document, _ = read[path]
        if document is not None:
            named = replace(flags, cluster=cluster)
            demands.extend(resolve_document(document, ledger_name(path), request.config, named, findings))
    return demands


def _read(overrides: TaskOverrides, path: str) -> tuple[TaskDocument | None, tuple[Diagnostic, ...]]:
    """The tasks of a file, None where it holds a mistake; and what is to tell of it."""
    try:
        found = read_tasks(path, overrides)
    except FindingsError as error:
        return None, error.diagnostics
    return found.document, found.warnings
