"""The documents of `--format` that are neither text nor JSON of ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from skyports_tf.cli.running import Outcome
from skyports_tf.model import StackPlan


def _gitlab(planned: Outcome[StackPlan]) -> str:
    from skyports_tf.report.gitlab import gitlab_text

    return gitlab_text(planned.results)


_OF_PLAN: Final[dict[str, Callable[[Outcome[StackPlan]], str]]] = {"gitlab": _gitlab}

#: What `plan` answers in.
PLAN_FORMATS: Final = ("text", "json", *_OF_PLAN)


def plan_document(name: str, planned: Outcome[StackPlan]) -> str:
    """What was planned in the format `name`, with a newline at its end."""
    return _OF_PLAN[name](planned)
