"""Close what nobody needs any more: a gone cluster's ports, expired ports, what a killed `run` left open.

One cluster at a time, under its lock, so that no `run` and no other reap of this tree comes
between; against others, the state's own lock holds. A stack that fails hides no other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import TypeAlias, TypeVar

from skyports_tf.closing import close_stack, plan_close
from skyports_tf.deadlines import close_expired
from skyports_tf.diagnostics import FindingsError, SkyportsError, TerraformError
from skyports_tf.holding import drop_abandoned, forget_files, settle_stack
from skyports_tf.lease import Lease, leases, locked_clusters
from skyports_tf.ledger import read_stack
from skyports_tf.life import Life, Sighting, SkyWord, judge, update_mark
from skyports_tf.lifecycle import Progress, apply_plan, plan_stack
from skyports_tf.model import Stack
from skyports_tf.outcomes import StackPlan
from skyports_tf.reaped import (
    ClusterReaped,
    ReapRequest,
    StackReaped,
    abandoned_files,
    due_of,
    expiring_rules,
    joined_changes,
    more_than_expiring,
    refusal,
    summed_counts,
)
from skyports_tf.recompile import recompile_stacks, reset_expiry
from skyports_tf.running.execution import execution_of
from skyports_tf.running.look import look_at_stack, look_at_stacks
from skyports_tf.running.plans import make_plan
from skyports_tf.sightings import Mark, drop_mark, read_mark, write_mark
from skyports_tf.stacks import filled_if_known
from skyports_tf.terraform import Flag
from skyports_tf.tree import stacks_of

Given = TypeVar("Given")
#: What was seen of stacks, by their folders, each with the mark that it had before.
Ahead: TypeAlias = Mapping[str, tuple[Sighting, Mark]]
#: Asks SkyPilot which clusters it knows; None where it is not at hand, or says nothing of use.
AskSky = Callable[[], SkyWord | None]


def look_ahead(request: ReapRequest, stacks: Sequence[Stack], progress: Progress) -> Ahead:
    """What is seen of `stacks`, which share a root module, for `reap_cluster`.

    Nothing where anything of them cannot be read: then each is looked at in its turn.
    """
    filled = [filled_if_known(stack, request.config) for stack in stacks]
    try:
        marks = [read_mark(request.marks, stack) for stack in stacks]
        seen = look_at_stacks(request.out, filled, request.settings, progress)
    except (TerraformError, FindingsError):
        return {}
    return {item.stack.directory: (item, mark) for item, mark in zip(seen, marks, strict=True)}


def reap_cluster(
    request: ReapRequest,
    chosen: Sequence[Stack],
    ask_sky: AskSky,
    progress: Progress,
    ahead: Ahead,
) -> ClusterReaped:
    """Reap the `chosen` stacks, which are of one cluster: whether it lives, all its stacks say.

    SkyPilot is asked only where no node is known. `ahead` is what `look_ahead` has seen; before anything
    closes, the cluster is looked at again, under its lock. What fails on the way is in the answer. Raises
    `FindingsError` where a ledger, a lease or a mark cannot be read or written.
    """
    cluster = chosen[0].cluster
    with locked_clusters(request.out, [cluster]) if request.acting else nullcontext():
        reaper = _Reaper(request, cluster, ask_sky, progress)
        return reaper.reap(frozenset(stack.directory for stack in chosen), ahead)


class _Reaper:
    """One cluster on its way: looked at, judged, and closed where that is due."""

    def __init__(self, request: ReapRequest, cluster: str, ask_sky: AskSky, progress: Progress) -> None:
        self.request = request
        self.ask_sky = ask_sky
        self.progress = progress
        self.answer = ClusterReaped(cluster, Life("unknown", "it could not be looked at"))
        self.seen: dict[str, Sighting] = {}

    def reap(self, directories: frozenset[str], ahead: Ahead) -> ClusterReaped:
        """Look at every stack of the cluster, then reap those in `directories`."""
        answer, out = self.answer, self.request.out
        known = leases(out, answer.cluster)
        stacks = stacks_of(out, answer.cluster)
        chosen = [stack for stack in stacks if stack.directory in directories]
        if len(chosen) == len(stacks):
            # the files of a run may have opened ports in every stack of the cluster
            answer.forgotten = abandoned_files(known)
        self.seen = dict(self._still_true(stacks, ahead))
        if len(self.seen) < len(stacks) or (self.request.acting and self._is_due(stacks, chosen, known)):
            self.seen = {}
            for stack in stacks:
                self._attempt(self._look, stack)
        if answer.interrupted:
            return answer
        answer.life = self._judge(stacks, known)
        if answer.forgotten and self.request.acting:
            self._attempt(self._forget, answer.forgotten)
        for stack in chosen:
            self._attempt(self._reap_stack, stack)
        if self.request.acting and len(chosen) == len(stacks) and not answer.failures:
            drop_abandoned(out, {answer.cluster: answer.forgotten})
        return answer

    def _attempt(self, step: Callable[[Given], None], given: Given) -> None:
        """Take a step; what fails is noted, and after a signal no other step is taken."""
        if self.answer.interrupted:
            return
        try:
            step(given)
        except SkyportsError as error:
            self.answer.failures.append(error)

    def _still_true(self, stacks: Sequence[Stack], ahead: Ahead) -> Iterator[tuple[str, Sighting]]:
        """What was seen ahead, where no other reap has come between."""
        for stack in stacks:
            sighting, mark = ahead.get(stack.directory, (None, None))
            if sighting is not None and mark == read_mark(self.request.marks, stack):
                yield stack.directory, sighting

    def _is_due(self, stacks: Sequence[Stack], chosen: Sequence[Stack], known: Sequence[Lease]) -> bool:
        """Whether anything is to be closed, by what was seen ahead."""
        if self.answer.forgotten:
            return True
        life, now = self._judge(stacks, known, noting=False), self.request.now
        return any(due_of(item, self.seen[item.directory], life, (), now).why for item in chosen)

    def _look(self, stack: Stack) -> None:
        request, filled = self.request, filled_if_known(stack, self.request.config)
        sighting, error = look_at_stack(request.out, filled, request.settings, self.progress)
        self.seen[stack.directory] = sighting
        if error is not None:
            self.answer.failures.append(error)

    def _judge(self, stacks: Sequence[Stack], known: Sequence[Lease], *, noting: bool = True) -> Life:
        """Whether the cluster lives; where `noting`, what was seen is noted for the next time."""
        request, pairs = self.request, []
        held = [sighting for sighting in self.seen.values() if sighting.state is not None]
        for sighting in self.seen.values() if noting else ():
            if sighting.state is None:  # what was seen is of an earlier life
                drop_mark(request.marks, sighting.stack)
        word = self.ask_sky() if held and not any(sighting.nodes for sighting in held) else None
        for sighting in held:
            mark = update_mark(read_mark(request.marks, sighting.stack), sighting, word, request.now)
            if noting:
                write_mark(request.marks, sighting.stack, mark)
            pairs.append((sighting, mark))
        if len(self.seen) < len(stacks):
            return Life("unknown", "a state of it could not be read")
        life = judge(pairs, word, request.now, request.grace)
        holder = next((lease for lease in known if lease.state != "abandoned"), None)
        if holder is not None and life.state != "closed":
            return replace(life, state="alive", reason=f"a `run` holds it (process {holder.pid})")
        return life

    def _forget(self, files: Sequence[str]) -> None:
        forget_files(self.request.out, {self.answer.cluster: files}, self.request.config)

    def _reap_stack(self, stack: Stack) -> None:
        """Reap a stack, which is as its ledger was when we looked."""
        sighting = self.seen.get(stack.directory)
        if sighting is None:
            return  # told as a failure
        due = due_of(stack, sighting, self.answer.life, self.answer.forgotten, self.request.now)
        if due.why and self.request.acting:
            due = self._close(due) if "gone" in due.why else self._narrow(due, sighting)
        self.answer.stacks.append(due)

    def _close(self, due: StackReaped) -> StackReaped:
        """Remove all that the stack of a gone cluster holds."""
        request, stack = self.request, self._current(due.stack)
        plan = plan_close(request.out, stack, request.settings, self.progress)
        closed = close_stack(request.out, plan, request.settings, self.progress, request.wait_seconds)
        warnings = list(closed.warnings)
        try:
            reset_expiry(request.out, stack, request.config)
        except FindingsError as error:  # the ports are closed all the same
            warnings += error.diagnostics
        drop_mark(request.marks, stack)
        return replace(
            due,
            changes=closed.changes,
            counts=closed.counts,
            done=True,
            verified_empty=closed.verified_empty,
            warnings=tuple(warnings),
        )

    def _narrow(self, due: StackReaped, sighting: Sighting) -> StackReaped:
        """Close what is over of a stack that stays, and nothing else."""
        request, verified = self.request, False
        plans: list[StackPlan] = []
        if "abandoned" in due.why:
            settled = settle_stack(
                request.out, self._current(due.stack), due.stack, request.settings, self.progress
            )
            plans.append(settled.plan)
            verified = settled.closed is not None
        if "expired" in due.why and not verified:
            plans.append(self._expire(due, sighting))
        return replace(
            due,
            changes=joined_changes([plan.changes for plan in plans]),
            counts=summed_counts([plan.counts for plan in plans]),
            done=True,
            verified_empty=verified,
            warnings=tuple(warning for plan in plans for warning in plan.warnings),
        )

    def _expire(self, due: StackReaped, sighting: Sighting) -> StackPlan:
        request = self.request
        compilation = recompile_stacks(
            request.out,
            [due.stack],
            lambda current: close_expired(current.entries, request.now)[0],
            request.config,
        )
        stack = compilation.stacks[0].stack
        plan = plan_stack(request.out, stack, request.settings, self.progress)
        alone = expiring_rules(plan, due.expired, sighting.opens)
        is_part = bool(alone) and len(alone) < len(plan.shown)
        if is_part:
            # the files are ahead of the state: what waits there for an apply goes on waiting
            plan = self._plan_alone(plan, {"target": list(alone)})
        if more := more_than_expiring(plan, due.expired, sighting.opens):
            raise refusal(stack, more)
        if plan.plan_file is not None:
            apply_plan(request.out, plan, request.settings, self.progress)
        if is_part:
            # an apply of targets leaves the outputs as they were (Terraform 1.11)
            outputs = self._plan_alone(plan, {"refresh_only": True})
            apply_plan(request.out, outputs, request.settings, self.progress)
        return plan

    def _plan_alone(self, plan: StackPlan, flags: Mapping[str, Flag]) -> StackPlan:
        """A part of a plan, as these flags of Terraform's choose it."""
        request = self.request
        with execution_of(request.out, plan.stack, request.settings, self.progress) as execution:
            alone = make_plan(execution, request.out, flags=flags)
        # rules that only close need no order, and Terraform's warning of targets is what we want
        return replace(alone, opening=(), warnings=())

    def _current(self, stack: Stack) -> Stack:
        """The stack as its ledger has it now, with its names."""
        return filled_if_known(read_stack(self.request.out, stack.directory), self.request.config)
