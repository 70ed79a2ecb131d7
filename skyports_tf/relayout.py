"""Stacks from one layout to the other, with their states: no port opens, changes or closes by it.

What a state holds of a stack is moved by Terraform (`terraform state mv`), between copies; the place where
it goes gets it first, then the files say so, then it is taken out of where it was. Whoever kills us in
between leaves it in both places, or as it was, and the same call again goes on.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from skyports_tf.backends import LOCAL
from skyports_tf.config import Config
from skyports_tf.diagnostics import Diagnostic, FindingsError, TerraformError
from skyports_tf.lifecycle import apply_plans, plan_stacks
from skyports_tf.model import Layout, Stack
from skyports_tf.outcomes import StackPlan
from skyports_tf.recompile import rewrite_stack
from skyports_tf.render import render_backend
from skyports_tf.roots import by_root, in_other_layout, root_name, root_of
from skyports_tf.running.child import Signals, watch_signals
from skyports_tf.running.clearing import clear_folder, clear_shared_root
from skyports_tf.running.initialization import STATE_FILE
from skyports_tf.running.lens import Lens
from skyports_tf.running.plans import does_anything, paths_of
from skyports_tf.running.settings import Progress, ProgressEvent, RunSettings, silent
from skyports_tf.running.state import is_unfinished
from skyports_tf.running.staterooms import StateRoom, moved_states, state_room, successor
from skyports_tf.running.turns import turn_in
from skyports_tf.terraform import Run, Terraform, find_program

_BACKEND_FILE: Final = "backend.tf"


@dataclass(frozen=True, slots=True)
class StackMoved:
    """A stack in its new layout: how many objects its state holds, and what its plan says after the move."""

    stack: Stack
    came_from: Layout
    objects: int
    plan: StackPlan | None = None


def refusals(out: str, stacks: Iterable[Stack], config: Config) -> Iterator[Diagnostic]:
    """An error for each of `stacks`, which have their names, that cannot move now."""
    for stack in stacks:
        why = _why_not(out, stack, config)
        if why:
            message, way_out = why
            yield Diagnostic("layout-busy", f"{stack.name}: {message}", help=way_out)


def _why_not(out: str, stack: Stack, config: Config) -> tuple[str, str] | None:
    if stack.imports:
        return "its adoption is not applied yet", f"`skyports-tf adopt {stack.cluster} --yes` applies it"
    if is_unfinished(paths_of(out, stack)):
        files = sorted({entry.file for entry in stack.entries})
        return "an apply of it has not gone through", f"run `skyports-tf apply {' '.join(files)}` first"
    here = replace(stack, backend=(config.backend_kind, config.backend))
    written = _backend_in(Path(out, root_of(stack)))
    if written is not None and written != render_backend(here, config.catalog).strip():
        way_out = "compile, and let `skyports-tf plan --migrate-state` bring the state there, then move"
        return "its files name another backend than the config", way_out
    return None


def _backend_in(folder: Path) -> str | None:
    """What a root module says of its backend, without comments."""
    try:
        lines = (folder / _BACKEND_FILE).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    return "\n".join(line for line in lines if not line.startswith("#")).strip()


def move_stacks(
    out: str, stacks: Sequence[Stack], config: Config, settings: RunSettings, progress: Progress = silent
) -> tuple[StackMoved, ...]:
    """Move `stacks`, which leave or enter one shared root module, and prove that nothing changes by it.

    `stacks` have their names (`fill_stack`); of those that have the config's layout already, what a
    killed call has left is put in order. What is left to do where nothing changes in the cloud, such
    as outputs to record, is applied. Raises `FindingsError` where the states are not what they should
    be, `TerraformError` where Terraform fails, `InterruptedRunError` where a signal has come.
    """
    shared = replace(stacks[0], layout="grouped")
    folder = Path(out, root_of(shared)).absolute()
    with turn_in(folder), watch_signals(root_name(root_of(shared))) as signals:
        mover = _Mover(out, config, settings, signals)
        moved = list(mover.move_all(stacks, shared, progress))
    if not mover.has_others:
        clear_shared_root(out, shared, config.catalog)
    return _proven(out, moved, settings, progress)


def _heard(progress: Progress, stack: Stack) -> Callable[[str], None]:
    return lambda message: progress(ProgressEvent(stack.name, "apply", 0, None, message))


class _Mover:
    """What moves stacks one by one; `signals` tells of a wish to stop."""

    def __init__(self, out: str, config: Config, settings: RunSettings, signals: Signals) -> None:
        self._out = out
        self._config = config
        self._signals = signals
        self._root = Terraform(find_program(settings.binary, os.environ), Path(out), os.environ, signals)
        self._root.backend_config = settings.backend_config
        #: Whether the shared state holds anything after the moves, be it of a cluster without files.
        self.has_others = True

    def room(self, stack: Stack) -> AbstractContextManager[StateRoom]:
        """A room for the state of the stack's root module, by the backend of the config."""
        here = replace(stack, backend=(self._config.backend_kind, self._config.backend))
        folder = Path(self._out, root_of(stack)).absolute()
        return state_room(self._root, folder, render_backend(here, self._config.catalog), self._ended)

    def move_all(self, stacks: Sequence[Stack], shared: Stack, progress: Progress) -> Iterator[StackMoved]:
        """Move those that have another layout than the config's, and tidy up after the others."""
        with self.room(shared) as room:
            for stack in stacks:
                if stack.layout == self._config.layout:
                    self.tidy(stack, room)
                else:
                    yield self.move(stack, room, _heard(progress, stack))
            self.has_others = bool(room.pull().get("resources"))

    def move(self, stack: Stack, shared: StateRoom, tell: Callable[[str], None]) -> StackMoved:
        """Move one stack; `shared` has the state of the root module that several share."""
        moved = in_other_layout(stack)
        layout = moved.layout
        tell(f"Moving its state to the layout {layout!r}")
        with self.room(stack if stack.layout == "separate" else moved) as lone:
            source, target = (lone, shared) if layout == "grouped" else (shared, lone)
            before = source.pull()
            self._bring(stack, moved, before, target)
            self._signals.check(stack.name)
            compiled = rewrite_stack(
                self._out, stack, lambda current: replace(current, layout=layout), self._config
            )
            left = Lens.of(stack).rest(before)
            if left != before:
                source.push(successor(left))
            objects = len(Lens.of(moved).identities(target.pull()))
        if stack.layout == "separate":
            clear_folder(Path(self._out, stack.directory), ())
        return StackMoved(compiled.stacks[0].stack, stack.layout, objects)

    def tidy(self, stack: Stack, shared: StateRoom) -> None:
        """Take a stack that has moved before out of where it was, where a killed call has left it there."""
        other = in_other_layout(stack)
        folder = Path(self._out, root_of(other))
        if self._config.backend_kind == LOCAL and not (folder / STATE_FILE).is_file():
            return
        lone = stack if stack.layout == "separate" else other
        with self.room(lone) as room:
            here, there = (room, shared) if stack.layout == "separate" else (shared, room)
            left = there.pull()
            ids = Lens.of(other).identities(left)
            if not ids:
                return
            if not ids <= Lens.of(stack).identities(here.pull()):
                raise FindingsError(_two_states(stack, other))
            there.push(successor(Lens.of(other).rest(left)))
        if other.layout == "separate":
            clear_folder(folder, ())

    def _bring(self, stack: Stack, moved: Stack, before: Mapping[str, Any], target: StateRoom) -> None:
        """Let the place where the stack goes hold what the stack holds."""
        here, there = Lens.of(stack), Lens.of(moved)
        known = target.pull()
        arrived = there.identities(known)
        if not here.identities(before) or arrived == here.identities(before):
            return  # nothing is there, or an earlier call came this far
        if arrived:
            raise FindingsError(_two_states(stack, moved))
        _, after = moved_states(self._root, (before, known), (here.module, there.module), self._ended)
        target.push(after)

    def _ended(self, run: Run) -> Run:
        self._signals.check(f"terraform {run.command}")
        if run.code != 0:
            message = f"the state could not be moved: terraform {run.command} failed"
            way_out = "nothing is lost: `skyports-tf relayout` again goes on from here"
            raise TerraformError(Diagnostic("terraform-failed", message, help=way_out), run.words)
        return run


def _two_states(stack: Stack, other: Stack) -> Diagnostic:
    message = f"{stack.name}: there are two states of it that differ"
    help_text = f"look at both, of {root_of(stack)} and of {root_of(other)}, and empty the one that is wrong"
    return Diagnostic("layout-busy", message, help=help_text)


def _proven(
    out: str, moved: Sequence[StackMoved], settings: RunSettings, progress: Progress
) -> tuple[StackMoved, ...]:
    """The plan of each after its move; where nothing of them changes in the cloud, it is applied."""
    found: dict[str, StackPlan] = {}
    for stacks in by_root(item.stack for item in moved):
        plans = plan_stacks(out, stacks, settings, progress)
        if any(map(does_anything, plans)) and not any(plan.counts.any for plan in plans):
            apply_plans(out, plans, settings, progress)
        found.update((plan.stack.directory, plan) for plan in plans)
    return tuple(replace(item, plan=found[item.stack.directory]) for item in moved)
