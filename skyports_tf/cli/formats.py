"""The documents of `--format` that are neither text nor JSON of ours."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import click

from skyports_tf.cli.reports import FINDING_FORMATS, findings_document, internet_warnings
from skyports_tf.cli.running import Outcome
from skyports_tf.compiler import Compilation
from skyports_tf.config import Config
from skyports_tf.diagnostics import Diagnostic
from skyports_tf.outcomes import StackPlan
from skyports_tf.policy import NO_POLICY, Policy


@dataclass(frozen=True, slots=True)
class PlanAnswer:
    """What `plan` has to tell: what was compiled with which config, and what became of its plans.

    `files` are the task files.
    """

    config: Config
    compilation: Compilation
    planned: Outcome[StackPlan]
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """A document with a newline at its end, and what is wrong with it."""

    text: str
    findings: tuple[Diagnostic, ...] = ()


def _gitlab(answer: PlanAnswer) -> Document:
    from skyports_tf.report.gitlab import gitlab_text

    return Document(gitlab_text(answer.planned.results))


def _markdown(answer: PlanAnswer) -> Document:
    from skyports_tf.report.markdown import Planned, comment

    compilation, plans = answer.compilation, answer.planned.results
    known = {plan.stack.directory for plan in plans}
    made = comment(
        Planned(
            plans=tuple(plans),
            out=compilation.out,
            missing=tuple(item.stack for item in compilation.stacks if item.stack.directory not in known),
            failures=tuple(answer.planned.failures),
            findings=(*compilation.diagnostics, *(warning for plan in plans for warning in plan.warnings)),
            ours=answer.config.ours,
        )
    )
    return Document(made.text, () if made.complete else (_incomplete(),))


def _incomplete() -> Diagnostic:
    message = "the comment has no room for all that opens, and says so"
    return Diagnostic("comment-too-long", message, help="plan fewer stacks at once")


def _findings(name: str) -> Callable[[PlanAnswer], Document]:
    def document(answer: PlanAnswer) -> Document:
        compilation, planned = answer.compilation, answer.planned
        found = [*compilation.diagnostics, *planned.diagnostics]
        for plan in planned.results:
            found += [*plan.warnings, *internet_warnings(plan, compilation.out, answer.config.catalog)]
        return Document(findings_document(name, "plan", answer.files, answer.config.policy, found))

    return document


def _failed_markdown(found: Sequence[Diagnostic]) -> str:
    from skyports_tf.report.markdown import failed_comment

    return failed_comment(found)


_OF_PLAN: Final[dict[str, Callable[[PlanAnswer], Document]]] = {
    "markdown": _markdown,
    "gitlab": _gitlab,
    **{name: _findings(name) for name in FINDING_FORMATS},
}
_FAILED: Final[dict[str, Callable[[Sequence[Diagnostic]], str]]] = {"markdown": _failed_markdown}

#: What `plan` answers in.
PLAN_FORMATS: Final = ("text", "json", *_OF_PLAN)


def document_files(
    _context: click.Context, _option: click.Parameter, values: Sequence[str]
) -> tuple[tuple[str, str], ...]:
    """FORMAT=FILE as often as given, as formats and files: what `plan` answers in, beside text and JSON."""
    found = []
    for value in values:
        name, _, file = value.partition("=")
        if name not in _OF_PLAN or not os.path.basename(file):
            message = f"{value!r} is not FORMAT=FILE, with a FORMAT of {', '.join(_OF_PLAN)}."
            raise click.BadParameter(message)
        found.append((name, file))
    return tuple(found)


def plan_document(name: str, answer: PlanAnswer) -> Document:
    """What was planned in the format `name`."""
    return _OF_PLAN[name](answer)


def failed_text(
    name: str, files: Sequence[str], policy: Policy | None, found: Sequence[Diagnostic]
) -> str | None:
    """Findings that ended a call before anything was planned, in a format; None where it has no words.

    Without a policy it was not known yet.
    """
    if name in FINDING_FORMATS:
        unread = policy is None
        return findings_document(name, "plan", files, policy or NO_POLICY, found, unread=unread)
    made = failed_document(name)
    return made(found) if made else None


def failed_document(name: str) -> Callable[[Sequence[Diagnostic]], str] | None:
    """How the format `name` tells findings that ended a call; None where it has no words for them."""
    return _FAILED.get(name)
