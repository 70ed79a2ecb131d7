"""The terminal: colours, results on stdout, findings on stderr, and one question.

Colours follow `--color`, then NO_COLOR (https://no-color.org), then FORCE_COLOR, then whether
the stream is a terminal; each stream decides for itself.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, TextIO

import click

if TYPE_CHECKING:
    from skyports_tf.diagnostics import Diagnostic, SkyportsError

ColorChoice = Literal["auto", "always", "never"]
JsonDocument = Mapping[str, object]

_SEVERITY_COLORS = {"error": "red", "warning": "yellow", "note": "cyan"}


# no dataclass: `--help` and `--version` come this far, and would pay for the import
class Session:
    """One call of the command line: what the words before the verb ask for, and how to answer.

    `format` is what `--format` or `--json` chose, empty where neither was said. `failure` makes the
    JSON document of a call that ended with findings, `failed_as` the document of another format; a
    verb that speaks it sets it before it begins its work. With `aside`, stdout belongs to a program
    that we run, and results go to stderr. `backend_config` and `migrate_state` are what `terraform
    init` is told beside the config. Up to `parallel` stacks run at once, of those alone that have
    changed `since` a commit, where one is named.
    """

    __slots__ = (
        "aside",
        "backend_config",
        "color",
        "config",
        "failed_as",
        "failure",
        "format",
        "migrate_state",
        "parallel",
        "since",
        "verbose",
    )

    def __init__(self) -> None:
        self.config: str | None = None
        self.color: ColorChoice = "auto"
        self.verbose = False
        self.format = ""
        self.aside = False
        self.backend_config: tuple[str, ...] = ()
        self.migrate_state = False
        self.parallel = 1
        self.since = ""
        self.failure: Callable[[Sequence[Diagnostic]], JsonDocument] | None = None
        self.failed_as: Callable[[Sequence[Diagnostic]], str] | None = None

    @property
    def json(self) -> bool:
        """Whether the answer is one JSON document of ours."""
        return self.format == "json"

    @property
    def is_document(self) -> bool:
        """Whether the answer is a document for a program, of whatever format, and not for a terminal."""
        return self.format not in ("", "text")

    def echo(self, text: str) -> None:
        """Write a result to stdout, with its colours or without."""
        if self.aside:
            self.note(text)
        else:
            click.echo(text, color=wants_color(self.color, sys.stdout))

    def note(self, text: str) -> None:
        """Write to stderr what is no result, with its colours or without."""
        click.echo(text, err=True, color=wants_color(self.color, sys.stderr))

    def echo_json(self, document: JsonDocument) -> None:
        """Write the one JSON document to stdout: indented for a terminal, else on one line."""
        import json

        click.echo(json.dumps(document, indent=2 if is_terminal(sys.stdout) else None))

    def echo_document(self, text: str) -> None:
        """Write a document of another format to stdout, byte for byte and always in UTF-8."""
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8", newline="\n")
        click.echo(text, nl=False, color=True)

    def report(self, diagnostics: Iterable[Diagnostic]) -> None:
        """Write findings to stderr, each once, sorted, a blank line after each."""
        from skyports_tf.diagnostics import told_once

        for item in told_once(diagnostics):
            self.note(_coloured(item) + "\n")

    def explain(self, error: SkyportsError) -> None:
        """Write a failure to stderr: its findings, and Terraform's own words where it ran."""
        self.report(error.diagnostics)
        output = getattr(error, "output", "")
        if output:
            self.note(output.rstrip("\n"))


pass_session = click.make_pass_decorator(Session)


def wants_color(choice: ColorChoice, stream: TextIO | None) -> bool:
    """Whether what is written to `stream` has colours."""
    if choice != "auto":
        return choice == "always"
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return is_live(stream)


def is_terminal(stream: TextIO | None) -> bool:
    """Whether `stream` is a terminal; None is a stream that was closed before we came."""
    return stream is not None and stream.isatty()


def is_live(stream: TextIO | None) -> bool:
    """Whether `stream` is a terminal that can do more than print."""
    return is_terminal(stream) and os.environ.get("TERM") != "dumb"


def confirm(question: str) -> bool:
    """Ask on stderr; only `yes` or `y` is a yes, and the end of the input is a no."""
    click.echo(f"{question} [y/N] ", err=True, nl=False)
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):
        click.echo(err=True)
    return answer.strip().lower() in ("y", "yes")


def _coloured(item: Diagnostic) -> str:
    from skyports_tf.diagnostics import format_diagnostic

    color = _SEVERITY_COLORS[item.severity]
    word = f"{item.severity}[{item.code}]"
    head, *rest = format_diagnostic(item).split("\n")
    return "\n".join(
        [
            head.replace(word, click.style(word, fg=color, bold=True), 1),
            *(_tint(line, color) for line in rest),
        ]
    )


def _tint(line: str, color: str) -> str:
    """The caret and the word `help` in their colours; source lines stay as they are."""
    margin, bar, mark = line.partition("|")
    if bar and not margin.strip() and mark.strip():
        return f"{margin}|{click.style(mark, fg=color)}"
    if line.lstrip().startswith("= help:"):
        return line.replace("= help:", click.style("= help:", fg="cyan"), 1)
    return line
