"""The options of the verbs on tasks as a request to the compiler."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

from skyports_tf.bookkeeping import compiled_tasks
from skyports_tf.cli.configuration import answer_failures, find_user_hash, session_config, time_now
from skyports_tf.cli.console import Session
from skyports_tf.cli.options import TaskOptions
from skyports_tf.compiler import CompileRequest
from skyports_tf.task import TaskOverrides


def compile_request(session: Session, options: TaskOptions, now: datetime | None = None) -> CompileRequest:
    """What the compiler is asked for; from here on, findings also answer as JSON where that is wanted.

    A verb that reaches the cloud says what time it is `now`: what is past its time is not opened.
    """
    if session.failure is None:
        answer_failures(session, options.out)
    config = session_config(session)
    return CompileRequest(
        tasks=options.files,
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
