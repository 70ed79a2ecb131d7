"""The plans that an earlier `plan` has saved: read for `apply --saved`, and told as its JSON."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from skyports_tf.cli.running import Outcome, filled
from skyports_tf.config import Config
from skyports_tf.diagnostics import Diagnostic, FindingsError, SkyportsError
from skyports_tf.model import Stack
from skyports_tf.outcomes import StackPlan
from skyports_tf.report.json_output import kept_json, planned_json, tree_json
from skyports_tf.report.text import exposure_warnings
from skyports_tf.roots import root_of
from skyports_tf.running.plans import does_anything
from skyports_tf.running.saved import saved_directories, saved_plan
from skyports_tf.tree import find_stacks, generated_files


def saved_plans(out: str, names: Sequence[str], config: Config) -> Outcome[StackPlan]:
    """The saved plans of the named clusters and stacks, or of all, that do anything.

    A failure for each that is not the one that was shown. Raises `FindingsError` where a name is
    neither.
    """
    saved: Outcome[StackPlan] = Outcome()
    stacks = find_stacks(out, names)
    chosen = {stack.directory for stack in stacks}
    for stack in stacks:
        try:
            _refuse_part(out, stack, chosen)
            plan = saved_plan(out, filled(stack, config))
        except SkyportsError as error:
            saved.failures.append(error)
            continue
        if plan is not None and does_anything(plan):
            saved.results.append(plan)
    return saved


def _refuse_part(out: str, stack: Stack, chosen: Collection[str]) -> None:
    """Refuse a part of a plan that is of more stacks than were named: Terraform applies a plan as a whole."""
    directories = saved_directories(out, stack)
    others = sorted(set(directories) - set(chosen)) if stack.directory in directories else []
    if others:
        message = f"{stack.name}: its plan was saved together with that of {', '.join(others)}"
        help_text = f"name {root_of(stack)}, which stands for them all, or plan {stack.cluster} alone"
        raise FindingsError(Diagnostic("plan-shared", message, help=help_text))


def saved_json(out: str, plans: Sequence[StackPlan], failures: Sequence[SkyportsError]) -> dict[str, object]:
    """The document of `apply`, of the saved plans that were applied."""
    stacks = []
    for plan in plans:
        kept = kept_json(plan.stack, generated_files(out, plan.stack))
        stacks.append(planned_json({**kept, "sky_config": plan.stack.sky_config or None}, plan))
    found: list[Diagnostic] = [item for error in failures for item in error.diagnostics]
    return tree_json(out, stacks, [*found, *exposure_warnings(plans)])
