"""The comments in README.md and docs/review.md: what `plan --format markdown` writes for examples.

The tasks are compiled for real, before an edit and after it. What the rules of AWS do between the two is
told by the code that tells it of a plan; only the counts of Terraform's other resources are made up.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from skyports_tf.compiler import CompileRequest, compile_tasks
from skyports_tf.config import read_config
from skyports_tf.model import Stack
from skyports_tf.outcomes import PortRule, ResourceCounts, StackPlan
from skyports_tf.report.markdown import MARKER, Planned, comment
from skyports_tf.running.changes import OpenRule, changed_rules, group_rules, stack_rules
from tests.support.project import working_in

ROOT = Path(__file__).resolve().parent.parent

_OFFICE = "ssh_sources: [10.0.0.0/8]\nsources: [10.0.0.0/8]\n"
_BEFORE = """\
rules:
  - {cluster: tensorboard, sources: [0.0.0.0/0]}
"""
_AFTER = """\
rules:
  - {cluster: jupyter, sources: [0.0.0.0/0], expires: 8h}
"""
_TASKS = ("examples/jupyter_lab.yaml", "examples/tensorboard.yaml", "examples/web_service.yaml")


def whole_comment() -> str:
    """The comment on three stacks, quoted, with a newline at its end; its marker is left out."""
    return _quoted(_comment(_compiled(_BEFORE, _TASKS[1:]), _compiled(_AFTER, _TASKS)))


def short_comment() -> str:
    """The comment on one stack down to its picture: who reaches what, and what is folded, is left out."""
    text = _comment({}, _compiled(_AFTER, _TASKS[:1]))
    before, heading, rest = text.partition("\n#### Exposure\n")
    picture, folded, _ = rest.partition("\n<details>")
    assert heading and folded
    return _quoted(f"{before}\n{picture[picture.index('```mermaid') :]}".strip("\n"))


def _comment(before: Mapping[str, Stack], after: Mapping[str, Stack]) -> str:
    plans = tuple(_plan(before.get(name), stack) for name, stack in after.items())
    return comment(Planned(plans, "infra")).text.removeprefix(MARKER).strip("\n")


def _quoted(text: str) -> str:
    return "".join(f"> {line}".rstrip() + "\n" for line in text.split("\n"))


def _compiled(rules: str, tasks: tuple[str, ...]) -> Mapping[str, Stack]:
    with tempfile.TemporaryDirectory() as folder, working_in(ROOT):
        config = Path(folder, "skyports.yaml")
        config.write_text(_OFFICE + rules, encoding="utf-8")
        request = CompileRequest(
            tasks=tasks, config=read_config(str(config)), out="infra", user_hash="a1b2c3d4"
        )
        return {item.stack.directory: item.stack for item in compile_tasks(request).stacks}


def _plan(old: Stack | None, new: Stack) -> StackPlan:
    before, after = stack_rules(old) if old else {}, stack_rules(new)
    pairs = [(before.get(key), after.get(key)) for key in {**before, **after}]
    changes = changed_rules(pairs)
    opened, closed = (sum(len(rule.sources) for rule in part) for part in (changes.open, changes.close))
    around = 0 if old else 5  # the group, its rules for the nodes themselves, and SSH
    counts = ResourceCounts(opened + around, len(changes.change), closed)
    plan_file = f"infra/{new.directory}/skyports.tfplan" if counts.any else None
    return StackPlan(new, changes, counts, plan_file, ssh=() if old else _ssh(new))


def _ssh(stack: Stack) -> tuple[PortRule, ...]:
    return group_rules(
        OpenRule("tcp", port, port, str(source)) for port in stack.ssh_ports for source in stack.ssh_sources
    )
