"""`skyports-tf compile`."""

from __future__ import annotations

import os
from collections.abc import Sequence

import click

from skyports_tf.checked import Checked
from skyports_tf.cli.configuration import pipeline_warnings
from skyports_tf.cli.console import Session, pass_session
from skyports_tf.cli.options import TaskOptions, format_option, task_options
from skyports_tf.cli.reports import FINDING_FORMATS, findings_document, tell_failures
from skyports_tf.cli.runoptions import since_option
from skyports_tf.cli.tasks import compile_request
from skyports_tf.compiler import Compilation, compile_tasks, compile_tree
from skyports_tf.diagnostics import Diagnostic
from skyports_tf.write import difference, tree_diff


@click.command("compile")
@task_options(required=False)
@click.option("--check", is_flag=True, help="Write nothing; exit 1 when the tree differs.")
@click.option("--diff", is_flag=True, help="Write nothing; show what would change as a unified diff.")
@click.option("--stdout", is_flag=True, help="Write nothing; show the files.")
@since_option
@format_option("text", "json", *FINDING_FORMATS)
@pass_session
def compile_(session: Session, options: TaskOptions, check: bool, diff: bool, stdout: bool) -> int:
    """Write the Terraform of task files.

    TASK... are SkyPilot task files, or folders of them. Of several, all findings are told, and
    nothing is written when there is one.
    """
    if session.is_document and stdout:
        raise click.UsageError(f"--stdout and --format {session.format} exclude each other.")
    writing = not (check or diff or stdout)
    tell_failures(session, "compile", options.files)
    request = compile_request(session, options)
    tell_failures(session, "compile", request.files, request.config.policy)
    warnings = pipeline_warnings(request.config, os.environ)
    checked = Checked(request, request.out or request.config.out)
    if check and not (diff or stdout or session.is_document):
        known = checked.recall()
        if known is not None:
            session.report([*known, *warnings])
            return 0
    compilation = (compile_tree if writing else compile_tasks)(request)
    if writing or (check and not compilation.pending):
        checked.remember(compilation)
    if stdout:
        _print_files(compilation)
    if diff:
        _print_diff(session, compilation)
    findings = [*warnings, *(_outdated(compilation) if check else ())]
    if session.format in FINDING_FORMATS:
        told = [*compilation.diagnostics, *findings]
        session.report(told)
        session.echo_document(
            findings_document(session.format, "compile", request.files, request.config.policy, told)
        )
    else:
        _answer(session, compilation, findings, silent=not writing)
    return 1 if check and compilation.pending else 0


def _answer(session: Session, compilation: Compilation, findings: Sequence[Diagnostic], silent: bool) -> None:
    diagnostics = [*compilation.diagnostics, *findings]
    session.report(diagnostics)
    if session.json:
        from skyports_tf.report.json_output import compiled_json, tree_json

        stacks = [compiled_json(item) for item in compilation.stacks]
        session.echo_json(tree_json(compilation.out, stacks, diagnostics))
    elif not silent:
        from skyports_tf.report.compilation import compiled_text

        session.echo(compiled_text(compilation))


def _print_files(compilation: Compilation) -> None:
    for file in compilation.files:
        click.echo(f"# {os.path.join(compilation.out, file.path)}\n{file.text}")


def _print_diff(session: Session, compilation: Compilation) -> None:
    # beside a document, stdout holds the one document alone
    click.echo(tree_diff(compilation.out, compilation.files), nl=False, err=session.is_document, color=False)


def _outdated(compilation: Compilation) -> list[Diagnostic]:
    way_out = "run the same command without --check"
    out = compilation.out
    found = sorted((os.path.join(out, file.path), file) for file in compilation.pending)
    return [
        Diagnostic("tree-outdated", difference(out, file, "the tasks"), path, help=None if place else way_out)
        for place, (path, file) in enumerate(found)
    ]
