"""`skyports-tf inspect`."""

from __future__ import annotations

import click

from skyports_tf.cli.console import Session, pass_session
from skyports_tf.cli.options import TaskOptions, task_options
from skyports_tf.config import DEFAULT_OUT
from skyports_tf.diagnostics import Diagnostic, FindingsError
from skyports_tf.documents import TaskDocument
from skyports_tf.task import TaskOverrides, read_tasks
from skyports_tf.taskfiles import find_task_files


@click.command("inspect")
@task_options()
@pass_session
def inspect(session: Session, options: TaskOptions) -> int:
    """Show what was understood of task files.

    TASK... are SkyPilot task files, or folders of them: their documents, tasks, candidates and
    ports. Needs no cloud and no Terraform. Of several files the good ones are shown, and the findings of
    the others make the exit code 1.
    """
    found = find_task_files(options.files, options.out or DEFAULT_OUT)
    documents, diagnostics = _read_all(found.files, TaskOverrides(options.ports, options.infra))
    diagnostics += found.notes
    if session.json:
        from skyports_tf.report.inspection import inspection_json

        session.echo_json(inspection_json(documents, diagnostics))
    else:
        _print(session, documents)
    session.report(diagnostics)
    return 1 if any(item.severity == "error" for item in diagnostics) else 0


def _read_all(
    files: tuple[str, ...], overrides: TaskOverrides
) -> tuple[list[TaskDocument], list[Diagnostic]]:
    documents: list[TaskDocument] = []
    diagnostics: list[Diagnostic] = []
    for file in files:
        try:
            read = read_tasks(file, overrides)
        except FindingsError as error:
            diagnostics += error.diagnostics
        else:
            documents.append(read.document)
            diagnostics += read.warnings
    # a fault of the command line is a fault of every file, and told once
    return documents, list(dict.fromkeys(diagnostics))


def _print(session: Session, documents: list[TaskDocument]) -> None:
    if documents:
        from skyports_tf.report.inspection import inspection_text

        session.echo(inspection_text(documents))
