"""What `compile` tells a person."""

from __future__ import annotations

import os

from skyports_tf.compiler import Compilation
from skyports_tf.diagnostics import visible
from skyports_tf.report.rules import stack_ports
from skyports_tf.report.sky_config import sky_config_text
from skyports_tf.report.style import columns, count

_MOST_STACKS = 20


def compiled_text(compilation: Compilation) -> str:
    """The stacks that were written, each with its ports, how many files were, and SkyPilot's config."""
    rows = [
        (visible(os.path.join(compilation.out, item.stack.directory)), ", ".join(stack_ports(item.stack)))
        for item in compilation.stacks
        if item.changed
    ]
    lines = columns(((folder, ports or "no port") for folder, ports in rows[:_MOST_STACKS]), looks=("bold",))
    if len(rows) > _MOST_STACKS:
        lines.append(f"  and {len(rows) - _MOST_STACKS} more")
    told = sky_config_text(compilation.out, [item.stack for item in compilation.stacks])
    return "\n".join([*lines, _written(compilation), *([told] if told else [])])


def _written(compilation: Compilation) -> str:
    out, total, changed = visible(compilation.out), len(compilation.files), len(compilation.pending)
    stacks = count(len(compilation.stacks), "stack")
    if not compilation.stacks and not changed:
        left_out = any(item.code == "changed-since" for item in compilation.diagnostics)
        why = "no stack has changed since then" if left_out else "the tasks ask for no port"
        return f"Nothing to write: {why}."
    if not changed:
        return f"{out} is up to date: {stacks}, {count(total, 'file')}."
    kept = f", {total - changed} unchanged" if total > changed else ""
    return f"Wrote {count(changed, 'file')} in {out} ({stacks}{kept})."
