"""The options of the verbs on tasks as a request to the compiler."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from skyports_tf.bookkeeping import compiled_tasks
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
from skyports_tf.since import changes_since
from skyports_tf.task import TaskOverrides
from skyports_tf.taskfiles import find_task_files


def compile_request(session: Session, options: TaskOptions, now: datetime | None = None) -> CompileRequest:
    """What the compiler is asked for; from here on, findings also answer as JSON where that is wanted.

    A verb that reaches the cloud says what time it is `now`: what is past its time is not opened.
    """
    if session.failure is None:
        answer_failures(session, options.out)
    config = session_config(session)
    found = find_task_files(options.files, options.out or config.out)
    return CompileRequest(
        tasks=found.files,
        folders=found.folders,
        notes=found.notes,
        changes=changes_since(session.since, os.getcwd()) if session.since else None,
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
        known=compiled_tasks(options.out or config.out) if options.all else (),
    )


def compiled_tree(session: Session, request: CompileRequest) -> Compilation:
    """Compile for a verb that runs Terraform, and tell what was found on the way."""
    compilation = compile_tree(request)
    warnings = pipeline_warnings(request.config, os.environ)
    compilation = replace(compilation, diagnostics=(*compilation.diagnostics, *warnings))
    session.report(compilation.diagnostics)
    return compilation
