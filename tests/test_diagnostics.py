"""Findings as text: the place, the line, the caret, and nothing that could steer a terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyports_tf.codes import CODES
from skyports_tf.diagnostics import (
    Diagnostic,
    FindingsError,
    InterruptedRunError,
    ProgramMissingError,
    Span,
    TerraformError,
    UsageError,
    format_diagnostic,
    format_diagnostics,
    suggest,
    visible,
)

LINE = "  prots: 1"


def test_a_finding_shows_path_line_column_caret_and_help() -> None:
    item = Diagnostic(
        "unknown-key",
        "unknown key 'prots'",
        "task.yaml",
        Span(8, 3, 8, 8),
        "did you mean 'ports'?",
        "error",
        LINE,
    )
    assert format_diagnostic(item) == (
        "task.yaml:8:3: error[unknown-key]: unknown key 'prots'\n"
        "  |\n"
        "8 |   prots: 1\n"
        "  |   ^^^^^\n"
        "  = help: did you mean 'ports'?"
    )


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (Diagnostic("bad-port", "no port"), "error[bad-port]: no port"),
        (Diagnostic("bad-port", "no port", "a.yaml"), "a.yaml: error[bad-port]: no port"),
        (
            Diagnostic("bad-port", "no port", "a.yaml", help="write one", severity="warning"),
            "a.yaml: warning[bad-port]: no port\n  = help: write one",
        ),
    ],
)
def test_a_finding_without_a_place_is_short(item: Diagnostic, expected: str) -> None:
    assert format_diagnostic(item) == expected


@pytest.mark.parametrize(
    ("line", "column", "end", "caret"),
    [
        ("名前: x", 5, 6, "  |       ^"),
        ("a:\tb", 4, 5, "  |    ^"),
        ("a\x1b: b", 5, 6, "  |        ^"),
    ],
)
def test_the_caret_stands_below_wide_and_hidden_characters(
    line: str, column: int, end: int, caret: str
) -> None:
    item = Diagnostic("bad-port", "no", "a", Span(1, column, 1, end), None, "error", line)
    assert format_diagnostic(item).splitlines()[-1] == caret


def test_a_long_line_is_cut_around_the_caret() -> None:
    line = "x" * 5000 + "HERE" + "y" * 5000
    text = format_diagnostic(Diagnostic("bad-port", "no", "a", Span(1, 5001, 1, 5005), None, "error", line))
    _, _, shown, caret = text.splitlines()
    assert len(shown) < 200
    assert shown[caret.index("^") : caret.rindex("^") + 1] == "HERE"


@given(st.text(max_size=60), st.text(max_size=60), st.integers(1, 80), st.integers(0, 10))
def test_no_text_reaches_the_terminal_unescaped(message: str, line: str, column: int, width: int) -> None:
    span = Span(1, column, 1, column + width)
    text = format_diagnostic(Diagnostic("bad-port", message, "a\x1b[2Jb", span, message, "error", line))
    assert all(char.isprintable() or char == "\n" for char in text)
    assert text.count("\n") == (4 if message else 3)


def test_bidirectional_characters_are_shown_as_escapes() -> None:
    assert visible("a\u202eb\u2066") == "a\\u202eb\\u2066"


def test_findings_are_sorted_by_file_and_place() -> None:
    found = [
        Diagnostic("bad-port", "third", "b.yaml", Span(1, 1, 1, 2)),
        Diagnostic("bad-port", "second", "a.yaml", Span(10, 1, 10, 2)),
        Diagnostic("bad-port", "first", "a.yaml", Span(9, 1, 9, 2)),
    ]
    assert [item.message for item in FindingsError(found).diagnostics] == ["first", "second", "third"]
    text = format_diagnostics(found)
    assert text.index("first") < text.index("second") < text.index("third")


def test_every_error_has_its_exit_code() -> None:
    item = Diagnostic("bad-port", "no")
    codes = [
        kind(item).exit_code for kind in (FindingsError, UsageError, TerraformError, ProgramMissingError)
    ]
    assert codes == [1, 2, 3, 4]
    assert InterruptedRunError(item).exit_code == 130
    assert InterruptedRunError(item, 15).exit_code == 143


def test_a_code_that_no_table_explains_cannot_be_used() -> None:
    with pytest.raises(LookupError, match="no such diagnostic code"):
        Diagnostic("made-up", "no")


@pytest.mark.parametrize("code", CODES)
def test_every_code_has_a_meaning_and_a_way_out(code: str) -> None:
    assert code == code.lower()
    assert all(text and text.endswith((".", "`")) and "\n" not in text for text in CODES[code])


def test_a_suggestion_is_the_nearest_word_or_what_else_to_say() -> None:
    assert suggest("prots", ["ports", "region"]) == "did you mean 'ports'?"
    assert suggest("zzz", ["ports"]) is None
    assert suggest("zzz", ["ports"], "known: ports") == "known: ports"
