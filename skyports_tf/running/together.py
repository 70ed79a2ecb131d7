"""One plan of many stacks that share a root module: made and saved, and applied exactly as it was shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from itertools import chain, zip_longest
from typing import Final

from skyports_tf.outcomes import ResourceCounts, StackPlan
from skyports_tf.running.execution import Execution
from skyports_tf.running.lens import Lens
from skyports_tf.running.planfiles import PLAN_FILE, check_plan, remove_applied, remove_plan
from skyports_tf.running.plans import applied, does_anything, kept, planned
from skyports_tf.running.settings import Phase
from skyports_tf.running.state import mark_finished, mark_unfinished
from skyports_tf.running.steps import drafted
from skyports_tf.running.stream import Record
from skyports_tf.terraform import Run

_COUNTS: Final = tuple(item.name for item in fields(ResourceCounts))


def make_plans(execution: Execution, out: str, is_whole: bool = False) -> tuple[StackPlan, ...]:
    """Plan the stacks of a shared root module in one run of Terraform, and save the plan as `make_plan`.

    `is_whole` says that these are all that the tree has of it: then nothing has to be targeted. Where the
    plan of a stack does nothing, it has no part of the saved one.
    """
    paths = execution.paths
    with drafted(paths.folder) as draft:
        run = _plan_all(execution, draft.name, is_whole)
        told = execution.told(run.record)
        plans = [planned(view, record, draft.name, None) for view, record in told]
        for (view, _), plan in zip(told, plans, strict=True):
            if not does_anything(plan):
                mark_finished(view.paths)
        if not any(map(does_anything, plans)):
            remove_plan(paths, PLAN_FILE)
            return tuple(plans)
        saved = kept(out, paths, plans, (draft, PLAN_FILE))
    return tuple(item if does_anything(item) else plan for item, plan in zip(saved, plans, strict=True))


def _plan_all(execution: Execution, draft: str, is_whole: bool) -> Run:
    """A plan that changes nothing but the execution's stacks."""
    flags = {**execution.flags, "out": draft}
    if is_whole:
        run = execution.stream("plan", lambda hear: execution.root.plan(on_event=hear, **flags))
        if not _strangers(run.record, [Lens.of(stack) for stack in execution.stacks]):
            return run
    return execution.stream("plan", lambda hear: execution.terraform.plan(on_event=hear, **flags))


def _strangers(record: Record, lenses: Sequence[Lens]) -> list[str]:
    """What a plan changes that is of no stack of these: a cluster whose files are gone, say."""
    known = {lens.module for lens in lenses}
    found = (change.resource.address for change in record.planned)
    return [address for address in found if Lens.module_in(address) not in known]


def apply_together(execution: Execution, plans: Sequence[StackPlan], phase: Phase) -> Record:
    """Apply the plan of `make_plans` as `apply_saved`, all its stacks in one run of Terraform a step.

    `plans` are all parts of the saved plan. Raises as `apply_saved`.
    """
    whole = _joined(plans)
    check_plan(execution.paths, whole)
    views = [view for view in execution.views if view.stack.directory in {p.stack.directory for p in plans}]
    for view in views:
        mark_unfinished(view.paths)
    record = applied(execution, whole, phase)
    execution.reader.forget()
    for view in views:
        mark_finished(view.paths)
    remove_applied(execution.paths, whole)
    return record


def _joined(plans: Sequence[StackPlan]) -> StackPlan:
    """The plans of a shared root module as one, by the addresses that it knows."""
    lenses = [Lens.of(plan.stack) for plan in plans]
    steps = zip_longest(
        *(
            [tuple(map(lens.outward, step)) for step in plan.opening]
            for lens, plan in zip(lenses, plans, strict=True)
        ),
        fillvalue=(),
    )
    shown = (
        (lens.outward(address), action)
        for lens, plan in zip(lenses, plans, strict=True)
        for address, action in plan.shown
    )
    counts = [plan.counts for plan in plans]
    return replace(
        plans[0],
        files_digest="\n".join(plan.files_digest for plan in plans),
        counts=ResourceCounts(*(sum(getattr(item, name) for item in counts) for name in _COUNTS)),
        opening=tuple(tuple(chain.from_iterable(parts)) for parts in steps),
        shown=tuple(shown),
    )
