"""The terminal: colours, results on stdout, findings on stderr, and one question.

Colours follow `--color`, then NO_COLOR (https://no-color.org), then FORCE_COLOR, then whether
the stream is a terminal; each stream decides for itself.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TextIO

import click

if TYPE_CHECKING:
    from skyports_tf.diagnostics import Diagnostic

ColorChoice = Literal["auto", "always", "never"]
JsonDocument = Mapping[str, object]

_SEVERITY_COLORS = {"error": "red", "warning": "yellow", "note": "cyan"}


@dataclass(slots=True)
class Session:
    """What the words before the verb ask for, and whether the answer is JSON.

    `failure` makes the JSON document of a call that ended with findings; a verb that speaks
    JSON sets it before it begins its work.
    """

    config: str | None = None
    color: ColorChoice = "auto"
    verbose: bool = False
    json: bool = False
    failure: Callable[[Sequence[Diagnostic]], JsonDocument] | None = None

    def echo(self, text: str) -> None:
        """Write a result to stdout, with its colours or without."""
        click.echo(text, color=wants_color(self.color, sys.stdout))

    def note(self, text: str) -> None:
        """Write to stderr what is no result, with its colours or without."""
        click.echo(text, err=True, color=wants_color(self.color, sys.stderr))

    def echo_json(self, document: JsonDocument) -> None:
        """Write the one JSON document to stdout: indented for a terminal, else on one line."""
        click.echo(json.dumps(document, indent=2 if sys.stdout.isatty() else None))

    def report(self, diagnostics: Iterable[Diagnostic]) -> None:
        """Write findings to stderr, sorted, a blank line after each."""
        for item in sorted(diagnostics, key=lambda item: item.sort_key):
            self.note(_coloured(item) + "\n")


pass_session = click.make_pass_decorator(Session)


def wants_color(choice: ColorChoice, stream: TextIO) -> bool:
    """Whether what is written to `stream` has colours."""
    if choice != "auto":
        return choice == "always"
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def _coloured(item: Diagnostic) -> str:
    from skyports_tf.diagnostics import format_diagnostic

    color = _SEVERITY_COLORS[item.severity]
    word = f"{item.severity}[{item.code}]"
    lines = format_diagnostic(item).split("\n")
    lines[0] = lines[0].replace(word, click.style(word, fg=color, bold=True), 1)
    for number, line in enumerate(lines[1:], start=1):
        text = line.lstrip()
        if text.startswith("= help:"):
            lines[number] = line.replace("= help:", click.style("= help:", fg="cyan"), 1)
        elif number == 3 and text.startswith("|"):
            bar, _, mark = line.partition("|")
            lines[number] = f"{bar}|{click.style(mark, fg=color)}"
    return "\n".join(lines)
