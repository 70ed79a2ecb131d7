"""A look at a stack: what its state holds and has open, and which nodes its cluster has in the cloud."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from skyports_tf.diagnostics import TerraformError
from skyports_tf.life import Sighting
from skyports_tf.model import Stack
from skyports_tf.running.changes import nodes_of
from skyports_tf.running.execution import Execution, execution_of
from skyports_tf.running.plans import paths_of
from skyports_tf.running.probe import Probe, read_probe, read_probes, why_unknown
from skyports_tf.running.settings import Progress, RunSettings
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
    if never_begun(paths_of(out, stack)):
        return Sighting(stack), None
    with execution_of(out, stack, settings, progress) as execution:
        kept = _kept(execution)
        if not _is_there(execution, kept):
            return Sighting(stack), None
        try:
            probe = read_probe(execution)
        except TerraformError as error:
            return replace(_seen(execution, kept, None), reason=_UNREADABLE), error
        return _seen(execution, kept, probe), None


def look_at_stacks(
    out: str, stacks: Sequence[Stack], settings: RunSettings, progress: Progress
) -> tuple[Sighting, ...]:
    """As `look_at_stack`, of stacks that share one root module: in one look at its state and at the cloud.

    Raises `TerraformError` where anything of them cannot be read.
    """
    if all(never_begun(paths_of(out, stack)) for stack in stacks):
        return tuple(map(Sighting, stacks))
    first, *others = stacks
    looking = replace(settings, only_looking=True)
    with execution_of(out, first, looking, progress, others) as execution:
        views = [(view, _kept(view)) for view in execution.views]
        there = [view for view, kept in views if _is_there(view, kept)]
        probes = dict(zip((view.stack.directory for view in there), read_probes(there), strict=True))
        return tuple(
            _seen(view, kept, probes[view.stack.directory])
            if view.stack.directory in probes
            else Sighting(view.stack)
            for view, kept in views
        )


def _kept(execution: Execution) -> Mapping[str, Any]:
    return read_json(execution.run(execution.terraform.state_pull).stdout)


def _is_there(execution: Execution, kept: Mapping[str, Any]) -> bool:
    """Whether there is anything to look for: an apply that was killed may have made what no state knows."""
    return _holds(kept) or is_unfinished(execution.paths)


def _seen(execution: Execution, kept: Mapping[str, Any], probe: Probe | None) -> Sighting:
    """What its state, as it is kept, and its probe say of a stack."""
    outputs = {name: item.get("value") for name, item in (kept.get("outputs") or {}).items()}
    is_blind = probe is None or probe.nodes is None
    return Sighting(
        stack=execution.stack,
        state=f"{kept.get('lineage', '')}/{kept.get('serial', 0)}",
        opens=read_open_rules(execution, outputs),
        nodes=None if probe is None else probe.nodes,
        had_nodes=bool(nodes_of(outputs)),
        reason=(why_unknown(execution, "nodes") or _UNLISTED) if is_blind else None,
    )


def _holds(kept: Mapping[str, Any]) -> bool:
    """Whether a state holds any object; data sources are none."""
    return any(
        item.get("mode") == "managed" and item.get("instances") for item in kept.get("resources") or ()
    )
