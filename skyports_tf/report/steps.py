"""The verbs that take several steps, `launch`, `run` and `down`: what became of each step."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from skyports_tf.diagnostics import visible
from skyports_tf.holding import StackSettled
from skyports_tf.model import Stack
from skyports_tf.outcomes import StackPlan, StackStatus
from skyports_tf.report.json_output import changes_json, status_json
from skyports_tf.report.rules import range_text
from skyports_tf.report.style import Look, columns, style
from skyports_tf.report.text import closed_text, closing_text, plan_block
from skyports_tf.running.changes import group_rules, stack_rules

StepState = Literal["done", "failed", "skipped", "not_reached"]
Json = dict[str, Any]

_LOOKS: dict[StepState, Look] = {"done": "green", "failed": "red", "skipped": "dim", "not_reached": "yellow"}


@dataclass(frozen=True, slots=True)
class Step:
    """One step: `detail` says what happened; `cluster` is None where it is about all of them."""

    name: str
    state: StepState
    detail: str
    cluster: str | None = None


@dataclass(frozen=True, slots=True)
class Ran:
    """A program that was run: `exit_code` is as a shell gives it, None where it was not started."""

    argv: tuple[str, ...]
    exit_code: int | None = None


def launch_json(
    tree: Json,
    launches: Iterable[tuple[str, str, Ran]],
    statuses: Iterable[StackStatus],
    steps: Iterable[Step],
) -> Json:
    """The document of `launch`: that of `apply`, each `sky launch`, and what is open after it."""
    return {
        **tree,
        "launches": [{"cluster": cluster, "file": file, **_ran_json(ran)} for cluster, file, ran in launches],
        "statuses": status_json(statuses, ())["stacks"],
        "steps": [step_json(step) for step in steps],
    }


def run_json(tree: Json, command: Ran, settled: Iterable[StackSettled], steps: Iterable[Step]) -> Json:
    """The document of `run`: that of `apply`, the command, and what was closed after it."""
    return {
        **tree,
        "command": _ran_json(command),
        "closed": [_settled_json(item) for item in settled],
        "steps": [step_json(step) for step in steps],
    }


def down_json(tree: Json, steps: Iterable[Step]) -> Json:
    """The document of `down`: that of `destroy`, and the steps."""
    return {**tree, "steps": [step_json(step) for step in steps]}


def step_json(step: Step) -> Json:
    """A step."""
    return {"step": step.name, "state": step.state, "cluster": step.cluster, "detail": step.detail}


def settled_text(settled: Iterable[StackSettled]) -> str:
    """What was closed when the tasks were taken out again, a line a stack that was destroyed."""
    parts = [closed_text([item.closed]) if item.closed else plan_block(item.plan) for item in settled]
    return "\n".join(parts)


def step_text(step: Step) -> str:
    """A step as a line of progress."""
    return f"{style(step.state.replace('_', ' '), _LOOKS[step.state])}  {visible(step.detail)}"


def shutdown_text(plans: Sequence[StackPlan], clusters: Sequence[str]) -> str:
    """What a shutdown does: the ports that close, and the `sky down` of each of `clusters`."""
    parts = [closing_text(plans)] if plans else []
    if clusters:
        parts.append("\n".join(f"{style('SkyPilot:', 'bold')}   sky down {cluster}" for cluster in clusters))
    return "\n".join(parts)


def after_launch_text(stacks: Iterable[Stack]) -> str:
    """What opens only after the launch, a line a rule."""
    lines = []
    for stack in stacks:
        title = style(stack.name, "bold")
        lines.append(f"{title}  opens after the launch, in the group that SkyPilot makes")
        rules = group_rules(stack_rules(stack).values())
        lines += columns([(f"{rule.protocol} {range_text(rule)}", ", ".join(rule.sources)) for rule in rules])
    return "\n".join(lines)


def text_list(texts: Iterable[str]) -> str:
    """Texts in a row, each once; `nothing` where there is none."""
    return ", ".join(dict.fromkeys(texts)) or "nothing"


def command_text(argv: Iterable[str]) -> str:
    """A command as a person would type it."""
    import shlex

    return visible(shlex.join(argv))


def _ran_json(ran: Ran) -> Json:
    return {"argv": list(ran.argv), "exit_code": ran.exit_code}


def _settled_json(item: StackSettled) -> Json:
    return {
        "name": item.stack.name,
        "directory": item.stack.directory,
        "cluster": item.stack.cluster,
        **changes_json(item.plan.changes, item.plan.counts),
        "verified_empty": item.closed.verified_empty if item.closed else None,
    }
