"""What `relayout` has moved, as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from skyports_tf.model import Stack
from skyports_tf.relayout import StackMoved
from skyports_tf.report.json_output import changes_json, kept_json
from skyports_tf.report.style import columns
from skyports_tf.roots import root_of

Json = dict[str, Any]


def moving_text(stacks: Sequence[Stack], moved: Sequence[Stack]) -> str:
    """Which stacks are to move, and where to."""
    rows = [(old.name, f"{root_of(old)} -> {root_of(new)}") for old, new in zip(stacks, moved, strict=True)]
    return "\n".join(columns(rows))


def moved_text(moved: Iterable[StackMoved]) -> str:
    """What has moved, a line each, and whether all is as it was."""
    return "\n".join(columns((item.stack.name, _outcome(item)) for item in moved))


def _outcome(item: StackMoved) -> str:
    objects = f"{item.objects} objects in its state" if item.objects else "nothing in its state"
    pending = "; its files ask for changes: see `plan`" if item.plan and item.plan.counts.any else ""
    return f"{item.came_from} -> {item.stack.layout}, {objects}{pending}"


def moved_json(item: StackMoved, files: Iterable[str]) -> Json:
    """A stack of `relayout`: what it is, which layout it came from and has, and what its plan says now."""
    plan = item.plan
    return {
        **kept_json(item.stack, files),
        "from": item.came_from,
        "layout": item.stack.layout,
        "root": root_of(item.stack),
        "objects": item.objects,
        **(changes_json(plan.changes, plan.counts) if plan else {}),
    }
