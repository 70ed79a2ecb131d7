"""Findings with a place, and the errors that carry them.

A `Diagnostic` is one finding; `format_diagnostic` spells it as

    task.yaml:8:3: error[unknown-key]: unknown key 'prots'
      |
    8 |   prots: 1
      |   ^^^^^
      = help: did you mean 'ports'?

Every error of ours is a `SkyportsError`; its class carries the exit code of the process.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from skyports_tf.codes import CODES

Severity = Literal["error", "warning", "note"]

_SEVERITY_ORDER = {"error": 0, "warning": 1, "note": 2}
_LONGEST_LINE = 160


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A stretch of text: lines and columns count from 1, the end column is past the last character."""

    line: int
    column: int
    end_line: int
    end_column: int


@dataclass(frozen=True, slots=True)
class PolicyMark:
    """Which rule of the config's policy a finding breaks, for reports that tell rules apart.

    `code` and `severity` are the breach's own, whether or not an exception covers it; `justification`
    is that exception's reason. `subject` names what breaks the rule, and stays when lines move;
    `path` and `span` are the rule's own place.
    """

    rule: str
    code: str
    severity: Severity
    subject: str
    justification: str | None = None
    path: str | None = None
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding.

    `code` is a key of `codes.CODES`; `path` and `span` are None where the finding has no
    file or no place in it; `source_line` is the text of line `span.line`. `mark` says which rule
    of the policy it is about. `checks` are other tools' names, each with the id of a check that means
    the same.
    """

    code: str
    message: str
    path: str | None = None
    span: Span | None = None
    help: str | None = None
    severity: Severity = "error"
    source_line: str | None = None
    mark: PolicyMark | None = None
    checks: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if self.code not in CODES:
            raise LookupError(f"no such diagnostic code: {self.code}")

    @property
    def sort_key(self) -> tuple[str, int, int, int, str, str]:
        """Orders findings by file, place, severity, code and message."""
        line, column = (self.span.line, self.span.column) if self.span else (0, 0)
        return self.path or "", line, column, _SEVERITY_ORDER[self.severity], self.code, self.message


def told_once(found: Iterable[Diagnostic]) -> list[Diagnostic]:
    """The findings in their order, each once: stacks may have some in common."""
    return sorted(dict.fromkeys(found), key=lambda item: item.sort_key)


class SkyportsError(Exception):
    """Any failure we foresee: what to tell the user, and the exit code of the process."""

    exit_code: ClassVar[int] = 1

    def __init__(self, diagnostics: Diagnostic | Iterable[Diagnostic]) -> None:
        found = (diagnostics,) if isinstance(diagnostics, Diagnostic) else tuple(diagnostics)
        self.diagnostics: tuple[Diagnostic, ...] = tuple(sorted(found, key=lambda item: item.sort_key))
        super().__init__("; ".join(item.message for item in self.diagnostics))


class FindingsError(SkyportsError):
    """The input is wrong, the tree is out of date, or something is still open (exit 1)."""


class UsageError(SkyportsError):
    """The command line asks for something that cannot be (exit 2)."""

    exit_code = 2


class TerraformError(SkyportsError):
    """Terraform ran and failed (exit 3); `output` is what it said, unchanged."""

    exit_code = 3

    def __init__(self, diagnostics: Diagnostic | Iterable[Diagnostic], output: str = "") -> None:
        super().__init__(diagnostics)
        self.output = output


class ProgramMissingError(SkyportsError):
    """A program that is needed is not installed (exit 4)."""

    exit_code = 4


class InterruptedRunError(SkyportsError):
    """A signal ended the run, after Terraform had saved its state (exit 128 + signal, 130 for Ctrl-C)."""

    def __init__(self, diagnostics: Diagnostic | Iterable[Diagnostic], signal_number: int = 2) -> None:
        super().__init__(diagnostics)
        self.exit_code = 128 + signal_number  # type: ignore[misc]


def suggest(word: str, known: Iterable[str], otherwise: str | None = None) -> str | None:
    """A did-you-mean sentence for `word` out of `known`, or `otherwise`."""
    from difflib import get_close_matches

    near = get_close_matches(word, sorted(known), n=1)
    return f"did you mean {near[0]!r}?" if near else otherwise


def format_diagnostic(item: Diagnostic) -> str:
    """The finding as text without colours, of one to six lines, without a newline at the end."""
    place = item.path or ""
    if item.path and item.span:
        place += f":{item.span.line}:{item.span.column}"
    head = f"{item.severity}[{item.code}]: {visible(item.message)}"
    lines = [f"{visible(place)}: {head}" if place else head]
    if item.span and item.source_line is not None:
        lines += _excerpt(item.span, item.source_line)
    elif item.help:
        return f"{lines[0]}\n  = help: {visible(item.help)}"
    if item.help:
        margin = " " * len(str(item.span.line)) if item.span else ""
        lines.append(f"{margin} = help: {visible(item.help)}")
    return "\n".join(lines)


def format_diagnostics(items: Sequence[Diagnostic]) -> str:
    """All findings, sorted, a blank line between two."""
    return "\n\n".join(format_diagnostic(item) for item in sorted(items, key=lambda item: item.sort_key))


def _excerpt(span: Span, source_line: str) -> list[str]:
    shown, start = _window(source_line.expandtabs(1), span.column - 1)
    end = span.end_column - 1 if span.end_line == span.line else len(source_line)
    before = _columns(shown[: span.column - 1 - start])
    marked = _columns(shown[span.column - 1 - start : max(end - start, 0)])
    margin = " " * len(str(span.line))
    return [
        f"{margin} |",
        f"{span.line} | {visible(shown)}",
        f"{margin} | {' ' * before}{'^' * max(marked, 1)}",
    ]


def _window(line: str, column: int) -> tuple[str, int]:
    """The part of a long line around `column`, and where that part starts."""
    if len(line) <= _LONGEST_LINE:
        return line, 0
    start = max(0, min(column - _LONGEST_LINE // 2, len(line) - _LONGEST_LINE))
    return line[start : start + _LONGEST_LINE], start


def _columns(text: str) -> int:
    """How many columns of a terminal `text` takes once it is made visible."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in visible(text))


def visible(text: str) -> str:
    """`text` with control and bidirectional characters escaped, so that no input can steer a terminal."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escape(char) for char in text)


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")
