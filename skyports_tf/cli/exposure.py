"""`skyports-tf exposure`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from skyports_tf.cli.configuration import find_user_hash, session_config
from skyports_tf.cli.console import JsonDocument, Session, pass_session
from skyports_tf.cli.options import format_option, json_option, out_option
from skyports_tf.cli.reports import FINDING_FORMATS, findings_document, tell_failures
from skyports_tf.diagnostics import Diagnostic, FindingsError
from skyports_tf.exposure.answers import Answer, ExposureRequest, find_exposures
from skyports_tf.exposure.model import Exposure
from skyports_tf.exposure.questions import Question, QuestionError, parse_question
from skyports_tf.policy import NO_POLICY
from skyports_tf.report.exposure import asked_finding, exposure_json, exposure_text, internet_findings
from skyports_tf.roots import stack_file
from skyports_tf.tree import all_stacks


@click.command()
@click.argument("targets", metavar="[TASK | STACK | PLAN.json | STATE.json | FOLDER]...", nargs=-1)
@click.option(
    "--asks",
    multiple=True,
    metavar="PROTOCOL/PORT",
    help="List only what opens this: tcp/22, udp/53, tcp/8000-8100, icmp or all; repeatable.",
)
@out_option
@format_option("text", "json", *FINDING_FORMATS)
@json_option
@pass_session
def exposure(session: Session, targets: tuple[str, ...], asks: tuple[str, ...], out: str | None) -> int:
    """Show who can reach what, before and after.

    Reads task files, stacks of the tree, 'terraform show -json' of a plan or a state (- is standard
    input), state files, and folders of .tf as far as their values are literal, of any Terraform
    code; without any, the whole tree. Needs no cloud and no Terraform. With --asks the exit code
    is 1 where the internet reaches what is asked about.
    """
    questions = _questions(asks)
    session.failure = _failure
    tell_failures(session, "exposure", targets)
    config = session_config(session)
    user_hash = find_user_hash(os.environ, Path.home())
    request = ExposureRequest(targets, config, out or config.out, user_hash, _standard_input)
    answer = _asked(find_exposures(request), questions)
    findings = [item for item in (asked_finding(question, answer.after) for question in questions) if item]
    session.report([*answer.diagnostics, *findings])
    unread = any(item.severity == "error" for item in answer.diagnostics)
    if session.json:
        session.echo_json(exposure_json(answer, findings))
    elif session.format in FINDING_FORMATS:
        session.echo_document(_document(session.format, request, answer, findings))
    elif answer.after or answer.before or not unread:
        session.echo(exposure_text(answer))
    failed = unread or any(item.severity == "error" for item in findings)
    return FindingsError.exit_code if failed else 0


def _document(name: str, request: ExposureRequest, answer: Answer, findings: Sequence[Diagnostic]) -> str:
    """What the internet reaches, and what was found, in a format of findings."""
    places = {
        stack.name: os.path.join(request.out, stack_file(stack, "main.tf"))
        for stack in all_stacks(request.out)
    }
    told = [*answer.diagnostics, *findings, *internet_findings(answer, places, request.config.catalog)]
    files = [target for target in request.targets if os.path.isfile(target)]
    return findings_document(name, "exposure", files, NO_POLICY, told)


def _standard_input() -> bytes:
    """All of standard input; nothing where it is closed."""
    if sys.stdin is None:
        return b""
    stream = getattr(sys.stdin, "buffer", None)
    return sys.stdin.read().encode() if stream is None else bytes(stream.read())


def _questions(asks: Sequence[str]) -> list[Question]:
    try:
        return [parse_question(text) for text in asks]
    except QuestionError as error:
        raise click.UsageError(f"--asks: {error}.") from None


def _asked(answer: Answer, questions: Sequence[Question]) -> Answer:
    """The answer with what opens any of what is asked about alone."""
    if not questions:
        return answer

    def kept(items: Sequence[Exposure]) -> tuple[Exposure, ...]:
        return tuple(item for item in items if any(question.is_opened_by(item) for question in questions))

    before = None if answer.before is None else kept(answer.before)
    return replace(answer, after=kept(answer.after), before=before)


def _failure(found: Sequence[Diagnostic]) -> JsonDocument:
    return exposure_json(Answer(diagnostics=tuple(found)))
