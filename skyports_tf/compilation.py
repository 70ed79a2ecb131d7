"""What is compiled, and what comes of it: the request, the stacks, and their files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from skyports_tf.clouds import Catalog
from skyports_tf.config import Config
from skyports_tf.diagnostics import Diagnostic, FindingsError, Span
from skyports_tf.limits import stack_problems
from skyports_tf.model import GeneratedFile, Stack
from skyports_tf.processes import each_of_many
from skyports_tf.render import files_gone, render_group, render_module, render_stack, render_tree
from skyports_tf.resolve import Findings, Place, place_of
from skyports_tf.roots import stack_file
from skyports_tf.task import TaskOverrides
from skyports_tf.text.textfile import read_text
from skyports_tf.write import changed_files

if TYPE_CHECKING:
    from skyports_tf.since import Changes


@dataclass(frozen=True, slots=True)
class CompileRequest:
    """What to compile: task files, the config, and what the command line says beside it.

    `known` are more tasks, each for a cluster that it was compiled for before: a task in both is
    compiled for these. `emptied` are clusters with stacks that hold no task any more, and belong to
    the call all the same. `user_hash` is SkyPilot's, where it is known; `forget` names tasks (by file
    or by name) that leave the ledger. `expires` is `--expires` as given; `now` is the time of a
    verb that knows it, and what is past its time by then is not opened;
    `judged_at` is the time by which exceptions to the policy count. `folders` are those that were
    named in the place of task files, and `notes` what was told of them; with `changes`, stacks that
    they do not touch are left out.
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
    expires: str | None = None
    now: datetime | None = None
    judged_at: datetime | None = None
    known: tuple[tuple[str, str], ...] = ()
    emptied: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    notes: tuple[Diagnostic, ...] = ()
    changes: Changes | None = None

    @property
    def files(self) -> tuple[str, ...]:
        """The task files, those that were named before those that are known, each once."""
        return tuple(dict.fromkeys([*self.tasks, *(path for _, path in self.known)]))


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


def render_compilation(
    out: str, stacks: Sequence[Stack], catalog: Catalog, diagnostics: tuple[Diagnostic, ...]
) -> Compilation:
    """The files of `stacks` and of the tree `out` around them, against what is there.

    Raises `FindingsError` where a file that is not ours stands in the place of one.
    """
    clouds = [catalog.load(name) for name in sorted({stack.cloud for stack in stacks})]
    shared = [*render_tree(), *(file for cloud in clouds for file in render_module(cloud, catalog))]
    if not stacks:
        shared = []
    shared += _group_files(stacks, catalog)
    of_each = each_of_many(partial(render_stack, catalog=catalog), stacks)
    rendered = [*zip(stacks, of_each, strict=True)]
    everything = [*shared]
    gone = {}
    for stack, files in rendered:
        main = stack_file(stack, "main.tf")
        gone[stack.directory] = files_gone(stack, any(file.path == main for file in files))
        everything += [*files, *gone[stack.directory]]
    pending = changed_files(out, everything)
    changed = {file.path for file in pending}
    compiled = tuple(
        CompiledStack(stack, files, any(file.path in changed for file in (*files, *gone[stack.directory])))
        for stack, files in rendered
    )
    return Compilation(out, compiled, tuple(shared), pending, diagnostics)


def _group_files(stacks: Sequence[Stack], catalog: Catalog) -> list[GeneratedFile]:
    """The files of the root modules that several clusters share.

    Raises `FindingsError` where two of them would need different ones.
    """
    found: dict[str, tuple[Stack, GeneratedFile]] = {}
    for stack in stacks:
        for file in render_group(stack, catalog):
            first, known = found.setdefault(file.path, (stack, file))
            if known != file:
                message = f"{first.name} and {stack.name} cannot share {file.path}: their settings differ"
                help_text = "let a cloud's settings be the same for all clusters, or say `layout: separate`"
                raise FindingsError(Diagnostic("layout-differs", message, help=help_text))
    return [file for _, file in found.values()]


def changed_stacks(
    request: CompileRequest, out: str, stacks: tuple[Stack, ...], findings: Findings
) -> tuple[Stack, ...]:
    """Those of `stacks` that the request's changes touch, which a note counts; all where it names none."""
    changes, catalog = request.changes, request.config.catalog
    if changes is None:
        return stacks
    from skyports_tf.since import affected_stacks

    clouds = sorted({stack.cloud for stack in stacks})
    stale = [name for name in clouds if changed_files(out, render_module(catalog.load(name), catalog))]
    found = affected_stacks(changes, out, stacks, request.config, stale)
    have = "has" if len(found) == 1 else "have"
    message = f"{len(found)} of {len(stacks)} stacks {have} changed since {changes.ref}"
    findings.add(Diagnostic("changed-since", message, severity="note"))
    return found


def add_problems(
    stacks: Sequence[Stack],
    config: Config,
    findings: Findings,
    spans: Mapping[Place, tuple[str, Span | None]],
) -> None:
    """Add to `findings` what the clouds will not take of `stacks`; `spans` says where it was asked for."""
    for stack in stacks:
        path, span = spans.get(place_of(stack), (None, None))
        for problem in stack_problems(stack, config):
            message = f"{stack.name}: {problem.message}"
            findings.add(Diagnostic(problem.code, message, path, span, help=problem.help))


def stop_on_errors(findings: Findings) -> None:
    """Raise `FindingsError` with all of `findings` where one of them is an error."""
    if findings.has_errors:
        raise FindingsError(told(findings))


def told(findings: Findings) -> tuple[Diagnostic, ...]:
    """The findings in their order, each with the line of its file that it is about."""
    lines: dict[str, list[str]] = {}
    shown = []
    for item in sorted(findings.items, key=lambda item: item.sort_key):
        if item.path and item.span and item.source_line is None:
            if item.path not in lines:
                lines[item.path] = read_text(item.path).splitlines()
            item = replace(item, source_line=lines[item.path][item.span.line - 1])
        shown.append(item)
    return tuple(shown)
