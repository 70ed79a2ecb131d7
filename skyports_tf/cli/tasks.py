"""The options of the verbs on tasks as a request to the compiler."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from skyports_tf.bookkeeping import compiled_tasks, emptied_clusters
from skyports_tf.cli.configuration import (
    answer_failures,
    find_user_hash,
    pipeline_warnings,
    session_config,
    time_now,
)
from skyports_tf.cli.console import Session
from skyports_tf.cli.options import TaskOptions
from skyports_tf.compiler import Compilation, CompileRequest, compile_tree
from skyports_tf.diagnostics import Diagnostic
from skyports_tf.task import TaskOverrides
from skyports_tf.taskfiles import find_task_files
from skyports_tf.tree import all_stacks

if TYPE_CHECKING:
    from skyports_tf.since import Changes


def compile_request(session: Session, options: TaskOptions, now: datetime | None = None) -> CompileRequest:
    """What the compiler is asked for; from here on, findings also answer as JSON where that is wanted.

    A verb that reaches the cloud says what time it is `now`: what is past its time is not opened.
    """
    if session.failure is None:
        answer_failures(session, options.out)
    config = session_config(session)
    out = options.out or config.out
    found = find_task_files(options.files, out)
    stacks = all_stacks(out) if options.all else ()
    changes, removed = _since(session.since, out) if session.since else (None, ())
    notes = [*found.notes, *([_vain_all(out)] if options.all and not (stacks or found.files) else ())]
    return CompileRequest(
        tasks=found.files,
        folders=found.folders,
        notes=(*notes, *removed),
        changes=changes,
        config=config,
        out=options.out,
        cluster=options.cluster,
        overrides=TaskOverrides(ports=options.ports, infra=options.infra),
        sources=options.source,
        ssh_sources=options.ssh_source,
        retain=options.retain,
        attach=options.attach,
        forget=options.forget,
        user_hash=find_user_hash(os.environ, Path.home()),
        expires=options.expires,
        now=now,
        judged_at=now or time_now(),
        known=compiled_tasks(out, stacks, options.forget),
        emptied=emptied_clusters(stacks),
    )


def _since(ref: str, out: str) -> tuple[Changes, Iterable[Diagnostic]]:
    """What has changed since the commit, and the notes on stacks that are gone."""
    from skyports_tf.since import changes_since, removed_stacks

    changes = changes_since(ref, os.getcwd())
    return changes, removed_stacks(changes, out)


def _vain_all(out: str) -> Diagnostic:
    """A warning where `--all` stands for nothing: what checks nothing shall not pass for a check."""
    message = f"{out} holds no stack, so --all stands for nothing"
    help_text = "compile task files first, or name the tree with --out"
    return Diagnostic("nothing-compiled", message, help=help_text, severity="warning")


def compiled_tree(session: Session, request: CompileRequest) -> Compilation:
    """Compile for a verb that runs Terraform, and tell what was found on the way."""
    compilation = compile_tree(request)
    warnings = pipeline_warnings(request.config, os.environ)
    compilation = replace(compilation, diagnostics=(*compilation.diagnostics, *warnings))
    session.report(compilation.diagnostics)
    return compilation
