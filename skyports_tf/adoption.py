"""Adopt what SkyPilot has opened for a cluster, and give a cluster back: nothing closes by either.

As in `lifecycle`, each function works on one stack, tells its progress and can be stopped by a
signal at any moment.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from skyports_tf.clouds import Catalog
from skyports_tf.compilation import Compilation, CompiledStack
from skyports_tf.config import Config
from skyports_tf.diagnostics import Diagnostic, FindingsError, TerraformError
from skyports_tf.entries import has_adopted
from skyports_tf.ledger import read_stack
from skyports_tf.lifecycle import plan_stack
from skyports_tf.model import GeneratedFile, Stack
from skyports_tf.outcomes import PortChanges, PortRule, ResourceCounts, StackClosed, StackPlan
from skyports_tf.recompile import empty_stack, recompile_stacks, rewrite_stack, write_release
from skyports_tf.render import IMPORTS_NAME, render_module, render_tree
from skyports_tf.roots import module_of, root_of, stack_file
from skyports_tf.running.adopting import Adoption, adoption_of
from skyports_tf.running.clearing import clear_shared_root
from skyports_tf.running.execution import Execution, execution_of
from skyports_tf.running.plans import apply_saved, empty_plan, make_plan, paths_of
from skyports_tf.running.probe import Probe, read_probe
from skyports_tf.running.settings import Progress, RunSettings, silent
from skyports_tf.running.state import (
    never_applied,
    read_addresses,
    read_open_rules,
    read_outputs,
    show_state,
    status_of,
)
from skyports_tf.stacks import fill_stack
from skyports_tf.tree import all_stacks
from skyports_tf.write import locked_tree, write_files

#: The folder of a cloud's templates that looks for what could be adopted, where its probe cannot see it.
_ADOPT: Final = "adopt"
# Terraform's and OpenTofu's own words
_NOT_THERE: Final = "non-existent remote object"
# Terraform before 1.7, and OpenTofu before 1.10, do not know all of the block
_NO_REMOVED_BLOCKS = re.compile(r"Unsupported block type|Blocks of type \"(?:removed|lifecycle)\"")


@dataclass(frozen=True, slots=True)
class AdoptionPlan:
    """A plan that takes over what is there; it is empty where all of it is ours already.

    `rules` are the ports that come into our hands.
    """

    compiled: CompiledStack
    plan: StackPlan
    rules: tuple[PortRule, ...] = ()
    warnings: tuple[Diagnostic, ...] = ()


def plan_adoption(
    out: str, stack: Stack, config: Config, settings: RunSettings, progress: Progress = silent
) -> AdoptionPlan | None:
    """Write what is there of the cluster into the ledger of `stack`, and plan to take it over as it is.

    None where nothing is there; the tree is then as it was. Raises `FindingsError` where the
    plan would change anything in the cloud; the tree is then as it was, too.
    """
    _refuse_attachments(stack)
    if config.catalog.load(stack.cloud).unadoptable:
        return None
    with _kept_as_it_was(out, stack, config) as keep:
        filled = _begun(out, stack, config)
        with execution_of(out, filled, settings, progress) as execution:
            adoption = _look(execution)
        if adoption is None:
            return None
        if not adoption.stack.imports:
            keep()
            same = recompile_stacks(out, [stack], lambda current: current.entries, config, writing=False)
            nothing = StackPlan(filled, PortChanges(), ResourceCounts())
            return AdoptionPlan(_only(same), nothing, warnings=adoption.warnings)
        compiled = rewrite_stack(out, filled, lambda current: _adopted(current, adoption.stack), config)
        plan = plan_stack(out, _only(compiled).stack, settings, progress)
        _refuse_changes(plan)
        keep()
    return AdoptionPlan(_only(compiled), plan, adoption.rules, adoption.warnings)


def _refuse_attachments(stack: Stack) -> None:
    if stack.mode != "takeover":
        message = f"{stack.name}: it attaches a group of our own, so there is nothing of SkyPilot's to adopt"
        raise FindingsError(Diagnostic("nothing-to-adopt", message, help="apply its tasks instead"))


@contextmanager
def _kept_as_it_was(out: str, stack: Stack, config: Config) -> Iterator[Callable[[], None]]:
    """Put ledger and folder of `stack` back where the block ends without a call of what it is given."""
    was_there, had_root = (Path(out, folder).is_dir() for folder in (stack.directory, root_of(stack)))
    before = _ledger_of(out, stack)
    shared = (*render_tree(), *render_module(config.catalog.load(stack.cloud), config.catalog))
    new = [file for file in shared if not Path(out, file.path).exists()]
    kept = False

    def keep() -> None:
        nonlocal kept
        kept = True

    try:
        yield keep
    finally:
        if not kept and not was_there:
            _remove(out, stack)
            with locked_tree(out), suppress(FindingsError):  # a ledger that cannot be read may need them
                _remove_unused(out, stack, new, config.catalog if not had_root else None)
        elif not kept and before is not None:
            rewrite_stack(out, before, lambda _: before, config)


def _remove(out: str, stack: Stack) -> None:
    folder = Path(out, stack.directory)
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("main.tf", IMPORTS_NAME):
        Path(out, stack_file(stack, name)).unlink(missing_ok=True)
    with suppress(OSError):  # other stacks of the cluster, or nothing
        folder.parent.rmdir()


def _remove_unused(out: str, stack: Stack, files: Iterable[GeneratedFile], catalog: Catalog | None) -> None:
    """Remove what all stacks of a cloud share, where none is there; and the folders, where they are empty.

    With `catalog`, the root module that the stack would share goes as well, where no other is in it.
    """
    if catalog:
        clear_shared_root(out, stack, catalog)
    if any(other.cloud == stack.cloud for other in all_stacks(out)):
        return
    write_files(out, [replace(file, text="") for file in files])
    for folder in (f"modules/{stack.cloud}", "modules", "."):
        with suppress(OSError):
            Path(out, folder).rmdir()


def _begun(out: str, stack: Stack, config: Config) -> Stack:
    """The stack with its folder: one without a ledger begins with no port."""
    if _ledger_of(out, stack) is not None:
        return fill_stack(stack, config)
    return _only(recompile_stacks(out, [stack], lambda current: current.entries, config)).stack


def _ledger_of(out: str, stack: Stack) -> Stack | None:
    try:
        return read_stack(out, stack.directory)
    except FileNotFoundError:
        return None


def _only(compilation: Compilation) -> CompiledStack:
    (compiled,) = compilation.stacks
    return compiled


def _look(execution: Execution) -> Adoption | None:
    probe = _probe(execution)
    if probe is None:
        return None
    shown = show_state(execution)
    return adoption_of(execution.stack, probe, shown)


def _probe(execution: Execution) -> Probe | None:
    """What is there: where no data source reads it, an import does, into a state that goes at once."""
    if not (execution.catalog.load(execution.stack.cloud).folder / _ADOPT).is_dir():
        return read_probe(execution)
    try:
        return read_probe(execution, _ADOPT)
    except TerraformError as error:
        if _NOT_THERE not in error.output:
            raise
        return None


def _adopted(current: Stack, adopted: Stack) -> Stack:
    """The stack as its ledger has it under the lock, with what is adopted."""
    return replace(
        current,
        entries=adopted.entries,
        ssh_sources=adopted.ssh_sources,
        packed=adopted.packed,
        adopted=adopted.adopted,
        imports=adopted.imports,
    )


def _refuse_changes(plan: StackPlan) -> None:
    counts = plan.counts
    if not counts.changes_objects:
        return
    message = (
        f"{plan.stack.name}: adopting would also change what is there: "
        f"{counts.create} to add, {counts.update} to change, {counts.delete} to destroy"
    )
    way_out = "apply or destroy what the stack holds already, then adopt"
    raise FindingsError(Diagnostic("adoption-changes", message, help=way_out))


# -- giving it back ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ReleasePlan:
    """A plan that lets go of all that a stack holds; `rules` are the ports that it has open."""

    plan: StackPlan
    rules: tuple[PortRule, ...] = ()


def plan_release(
    out: str, stack: Stack, config: Config, settings: RunSettings, progress: Progress = silent
) -> ReleasePlan:
    """Plan to let go of all that `stack` holds; the plan is empty where it holds nothing.

    Its files say so until `apply_release`, or until `keep_stack` puts them back.
    """
    if never_applied(paths_of(out, stack)):
        return ReleasePlan(empty_plan(out, stack))
    with execution_of(out, stack, settings, progress) as execution:
        outputs = read_outputs(execution)
        if not outputs and not read_addresses(execution):
            return ReleasePlan(empty_plan(out, stack))
        rules = status_of(stack, read_open_rules(execution, outputs), outputs).rules
        try:
            write_release(out, fill_stack(stack, config), config)
            plan = make_plan(execution, out)
            _refuse_changes(plan)
        except TerraformError as error:
            keep_stack(out, stack, config)
            raise _explained(stack, error) from None
        except BaseException:
            keep_stack(out, stack, config)
            raise
    # that it is no longer managed is what was asked for
    return ReleasePlan(replace(plan, warnings=()), rules)


def keep_stack(out: str, stack: Stack, config: Config) -> None:
    """Put the files of a stack back that `plan_release` has written."""
    recompile_stacks(out, [stack], lambda current: current.entries, config)


def apply_release(
    out: str, plan: StackPlan, config: Config, settings: RunSettings, progress: Progress = silent
) -> StackClosed:
    """Apply a plan of `plan_release`, and take everything out of the ledger.

    Raises `FindingsError` where the state still holds something.
    """
    warnings: tuple[Diagnostic, ...] = ()
    if plan.plan_file is not None:
        with execution_of(out, plan.stack, settings, progress) as execution:
            warnings = execution.warnings(apply_saved(execution, plan, "apply"))
            left = read_addresses(execution)
        if left:
            message = f"{plan.stack.name}: the state still holds {', '.join(left)}"
            raise FindingsError(Diagnostic("still-open", message, help="run release again"))
    if plan.plan_file is not None or plan.stack.entries or has_adopted(plan.stack):
        empty_stack(out, plan.stack, config)
    return StackClosed(plan.stack, plan.changes, plan.counts, True, warnings)


def _explained(stack: Stack, error: TerraformError) -> TerraformError | FindingsError:
    if not _NO_REMOVED_BLOCKS.search(error.output):
        return error
    message = f"{stack.name}: this Terraform does not know `removed` blocks, which come with Terraform 1.7"
    way_out = f"update it, or run `terraform state rm module.{module_of(stack)}` in {root_of(stack)}"
    return FindingsError(Diagnostic("release-unsupported", message, help=way_out))
