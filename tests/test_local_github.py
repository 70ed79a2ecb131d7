"""The stand-ins for GitHub say what GitHub says: of its expressions, as its documentation has them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.expressions import evaluate, fill, holds

CONTEXTS: dict[str, Any] = {
    "github": {"event_name": "push", "ref": "refs/heads/main", "event": {"pull_request": {"number": 7}}},
    "steps": {"plan": {"outputs": {"stacks": '["a/b","c/d"]'}}},
    "vars": {},
}


def functions(well: bool) -> dict[str, Any]:
    return {"success": lambda: well, "cancelled": lambda: False}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("github.event.pull_request.number", 7),
        ("github.event.nothing.below", None),
        ("github.event_name == 'PUSH'", True),
        ("github.event_name != 'push' || github.ref == 'refs/heads/main'", True),
        ("(github.event_name == 'a' || github.event_name == 'b') && github.ref == 'refs/heads/main'", False),
        ("github.event_name == 'pull_request' && github.ref || 'main'", "main"),
        ("vars.AWS_REGION || 'us-east-1'", "us-east-1"),
        ("vars.AWS_REGION == ''", True),
        ("!cancelled() && 'it''s'", "it's"),
        ("fromJSON(steps.plan.outputs.stacks)", ["a/b", "c/d"]),
    ],
)
def test_an_expression_has_the_value_that_github_gives_it(text: str, value: Any) -> None:
    assert evaluate(text, CONTEXTS, functions(True)) == value


@pytest.mark.parametrize("text", ["job.status", "hashFiles('a')", "'a' 'b'", "('a'", "1 + 1", "github.ref ="])
def test_what_is_not_known_here_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"known here|what is|missing"):
        evaluate(text, CONTEXTS, functions(True))


def test_an_expression_in_a_text_is_filled_in() -> None:
    text = "${{ github.event_name }} of ${{ github.ref }}, ${{ vars.NONE }}."
    assert fill({"a": text, "b": 1}, CONTEXTS, {}) == {"a": "push of refs/heads/main, .", "b": 1}


def test_a_condition_that_does_not_ask_for_the_status_holds_after_a_success_alone() -> None:
    for condition, after_success, after_failure in (
        (None, True, False),
        ("github.event_name == 'push'", True, False),
        ("${{ !cancelled() }}", True, True),
        ("${{ !cancelled() && github.event_name == 'schedule' }}", False, False),
    ):
        assert holds(condition, CONTEXTS, functions(True)) is after_success
        assert holds(condition, CONTEXTS, functions(False)) is after_failure
