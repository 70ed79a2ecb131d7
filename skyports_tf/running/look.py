"""A look at a stack: what its state holds and has open, and which nodes its cluster has in the cloud."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from skyports_tf.diagnostics import InterruptedRunError, TerraformError
from skyports_tf.life import Sighting
from skyports_tf.model import Stack
from skyports_tf.running.changes import nodes_of
from skyports_tf.running.execution import Execution, Progress, RunSettings, execution_of
from skyports_tf.running.plans import paths_of
from skyports_tf.running.probe import read_probe, why_unknown
from skyports_tf.running.state import is_unfinished, never_begun, read_open_rules
from skyports_tf.terraform import read_json

_UNREADABLE = "the cloud could not be looked at"
_UNLISTED = "nobody can list the nodes of its cloud through Terraform"


def look_at_stack(
    out: str, stack: Stack, settings: RunSettings, progress: Progress
) -> tuple[Sighting, TerraformError | None]:
    """What is seen of `stack`, which has its names, and the error where the cloud could not be looked at.

    A stack whose state holds nothing has nothing to be looked for. Raises `TerraformError` where
    the state cannot be read.
    """
    paths = paths_of(out, stack)
    if never_begun(paths):
        return Sighting(stack), None
    with execution_of(out, stack, settings, progress) as execution:
        kept = read_json(execution.run(execution.terraform.state_pull).stdout)
        # an apply that was killed may have made what no state knows
        if not _holds(kept) and not is_unfinished(paths):
            return Sighting(stack), None
        outputs = {name: item.get("value") for name, item in (kept.get("outputs") or {}).items()}
        opens = read_open_rules(execution, outputs)
        nodes, reason, error = _nodes(execution)
        sighting = Sighting(
            stack=stack,
            state=f"{kept.get('lineage', '')}/{kept.get('serial', 0)}",
            opens=opens,
            nodes=nodes,
            had_nodes=bool(nodes_of(outputs)),
            reason=reason,
        )
        return sighting, error


def _holds(kept: Mapping[str, Any]) -> bool:
    """Whether a state holds any object; data sources are none."""
    return any(
        item.get("mode") == "managed" and item.get("instances") for item in kept.get("resources") or ()
    )


def _nodes(
    execution: Execution,
) -> tuple[tuple[str, ...] | None, str | None, TerraformError | None]:
    """The nodes, or why they are not known."""
    try:
        probe = read_probe(execution)
    except InterruptedRunError:
        raise
    except TerraformError as error:
        return None, _UNREADABLE, error
    if probe is None or probe.nodes is None:
        return None, why_unknown(execution, "nodes") or _UNLISTED, None
    return probe.nodes, None, None
