"""`skyports-tf report`."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from skyports_tf.cli.configuration import session_config
from skyports_tf.cli.console import JsonDocument, Session, pass_session
from skyports_tf.cli.options import cluster_names, json_option, out_option
from skyports_tf.cli.running import Result, announced, explain_failures, filled, run_each, run_settings
from skyports_tf.cli.runoptions import parallel_option, terraform_options
from skyports_tf.config import DEFAULT_OUT, Config
from skyports_tf.diagnostics import Diagnostic, FindingsError, SkyportsError
from skyports_tf.lifecycle import Progress, plan_stacks, read_statuses
from skyports_tf.model import GeneratedFile, Stack
from skyports_tf.report.html import is_page, page_html, page_json, page_text
from skyports_tf.report.page_stacks import PageStack
from skyports_tf.roots import by_root, stack_file
from skyports_tf.tree import find_stacks
from skyports_tf.write import write_files

_BEGINNING = 4096
_SHOWN = "main.tf"


@dataclass(frozen=True, slots=True)
class ReportOptions:
    """What the options of `report` were set to; `html` is the page's file, `-` for standard output."""

    html: str
    state: bool
    plan: bool
    lock_timeout: str
    out: str | None


@click.command()
@cluster_names(required=False)
@click.option(
    "--html", metavar="FILE", required=True, type=click.Path(), help="The page to write; - is stdout."
)
@click.option("--state", is_flag=True, help="Read each stack's state as well: nodes and endpoints.")
@click.option("--plan", is_flag=True, help="Plan each stack as it is in the tree; show what would change.")
@parallel_option
@terraform_options
@out_option
@json_option
@pass_session
def report(session: Session, /, clusters: tuple[str, ...], **given: Any) -> int:
    """Write one page of who can reach what.

    The page is one file that loads nothing: a map, a table to search and to sort, and each stack
    in detail. It is made from the tree as it is. Terraform runs for --state and --plan alone, and
    a stack whose state or plan cannot be had is shown without it. CLUSTER... are names of
    clusters, or folders of stacks; none means all.
    """
    options = ReportOptions(**given)
    if options.html == "-" and session.json:
        raise click.UsageError("--html - and --json exclude each other.")
    session.failure = lambda found: _failure(options, found)
    config = session_config(session)
    tree = options.out or config.out
    _refuse_foreign(options.html)
    stacks = [filled(stack, config) for stack in find_stacks(tree, clusters)]
    failures: list[SkyportsError] = []
    shown = _look(session, stacks, options, config, failures)
    page = page_html(tree, shown, config.ours)
    if options.html == "-":
        session.echo_document(page)
    else:
        folder, name = os.path.split(options.html)
        write_files(folder or ".", (GeneratedFile(name, page),))
        _answer(session, (tree, options.html, len(page.encode())), shown, config, failures)
    return explain_failures(session, failures)


def _look(
    session: Session,
    stacks: Sequence[Stack],
    options: ReportOptions,
    config: Config,
    failures: list[SkyportsError],
) -> list[PageStack]:
    """The stacks with what was asked for beside the tree; what fails is left out and added to `failures`."""
    tree, settings = options.out or config.out, run_settings(config, options.lock_timeout)

    def of_all(look: Callable[[tuple[Stack, ...], Progress], Sequence[Result]]) -> dict[str, Result]:
        found: dict[str, Result] = {}

        def step(members: tuple[Stack, ...], progress: Progress) -> None:
            looked = zip(members, look(members, progress), strict=True)
            found.update((stack.directory, result) for stack, result in looked)

        failures.extend(run_each(session, by_root(stacks), step).failures)
        return found

    states = of_all(lambda members, _: read_statuses(tree, members, settings)) if options.state else {}
    plans = (
        of_all(lambda members, heard: plan_stacks(tree, members, settings, announced(heard, members, "plan")))
        if options.plan
        else {}
    )
    return [
        PageStack(stack, _code(tree, stack), plans.get(stack.directory), states.get(stack.directory))
        for stack in stacks
    ]


def _code(tree: str, stack: Stack) -> str | None:
    """What Terraform is told of the stack; None where it cannot be read."""
    try:
        return Path(tree, stack_file(stack, _SHOWN)).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _refuse_foreign(html: str) -> None:
    """Raise `FindingsError` where another file than a page of ours would be overwritten."""
    path = Path(html)
    if html == "-" or not path.is_file():
        return
    with path.open("rb") as file:
        beginning = file.read(_BEGINNING)
    if beginning and not is_page(beginning.decode("utf-8", "replace")):
        message = "this file is no page of ours, and would be overwritten"
        raise FindingsError(Diagnostic("file-foreign", message, html, help="name another file"))


def _answer(
    session: Session,
    written: tuple[str, str, int],
    shown: Sequence[PageStack],
    config: Config,
    failures: Sequence[SkyportsError],
) -> None:
    if session.json:
        found = [item for error in failures for item in error.diagnostics]
        session.echo_json(page_json(written, shown, config.ours, found))
    else:
        session.echo(page_text(written, shown, config.ours))


def _failure(options: ReportOptions, found: Sequence[Diagnostic]) -> JsonDocument:
    return page_json((options.out or DEFAULT_OUT, None, 0), (), (), found)
