"""Changes to stacks without their task files: from their ledgers, under the tree's lock.

What was decided when a stack was compiled stays: its mode, its name on the cloud, who may reach
SSH. Each ledger is read again under the lock, so that a compile of another process is not undone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from skyports_tf.compilation import Compilation, add_problems, render_compilation, stop_on_errors, told
from skyports_tf.config import Config
from skyports_tf.deadlines import has_deadlines, reset_deadlines, start_deadlines
from skyports_tf.grants import Flags
from skyports_tf.ledger import LEDGER_NAME, ledger_text, read_stack
from skyports_tf.model import GeneratedFile, LedgerEntry, Stack
from skyports_tf.resolve import Findings, place_of
from skyports_tf.stacks import build_stack
from skyports_tf.write import locked_tree, write_files, write_tree

#: What a stack's entries shall be, given the stack as its ledger has it now.
Change = Callable[[Stack], Sequence[LedgerEntry]]


def recompile_stacks(
    out: str,
    stacks: Iterable[Stack],
    change: Change,
    config: Config,
    user_hash: str | None = None,
    writing: bool = True,
) -> Compilation:
    """Build `stacks` of the tree `out` anew from the entries that `change` gives, and write them.

    `change` is asked once for each stack, under the tree's lock. A stack without a ledger begins
    here: it is taken as given, its SSH sources from the config where it names none. `user_hash`
    counts only where a stack does not know its name on the cloud yet. Without `writing`, nothing
    is written or locked. Raises `FindingsError` where a cloud refuses what comes of it, and then
    nothing is written.
    """
    if not writing:
        return _recompiled(out, stacks, change, config, user_hash)
    with locked_tree(out):
        compilation = _recompiled(out, stacks, change, config, user_hash)
        write_files(out, compilation.pending)
    return compilation


def stamp_expiry(out: str, stack: Stack, now: datetime) -> Stack:
    """Begin the durations of `stack`, which is about to be applied: give each its absolute time.

    Only what `stack` asks for begins, and only in stack.json; a deadline that runs is left alone.
    Raises `FindingsError` where the file cannot be read or written.
    """
    applied = frozenset(grant for entry in stack.entries for grant in (*entry.grants, *entry.retained))
    if not any(grant.expires and not grant.expires_at for grant in applied):
        return stack
    with locked_tree(out):
        current = _from_ledger(out, stack) or stack
        started = replace(current, entries=start_deadlines(current.entries, now, applied))
        _write_ledger(out, started)
    return replace(stack, entries=start_deadlines(stack.entries, now))


def reset_expiry(out: str, stack: Stack, config: Config) -> Compilation | None:
    """After a stack was destroyed: its durations begin again with the next apply, nothing is closed.

    None where the ledger holds no deadline. Raises `FindingsError` as `recompile_stacks` does.
    """
    if not has_deadlines(stack):
        return None
    return recompile_stacks(out, [stack], lambda current: reset_deadlines(current.entries), config)


def _recompiled(
    out: str, stacks: Iterable[Stack], change: Change, config: Config, user_hash: str | None
) -> Compilation:
    findings = Findings()
    built = []
    for stack in stacks:
        known = _from_ledger(out, stack)
        old = known or stack
        named_by = config.user_hash or user_hash if old.name_on_cloud is None else None
        flags = Flags(mode=old.mode, ssh_sources=old.ssh_sources, user_hash=named_by)
        new = build_stack(place_of(old), old, tuple(change(old)), config, flags)
        # no source at all cannot be said by flags
        built.append(replace(new, ssh_sources=()) if known and not known.ssh_sources else new)
    add_problems(built, config, findings, {})
    stop_on_errors(findings)
    return render_compilation(out, built, config.catalog, told(findings))


def _from_ledger(out: str, stack: Stack) -> Stack | None:
    """The stack as its ledger has it now; None where it has none."""
    try:
        return read_stack(out, stack.directory)
    except FileNotFoundError:
        return None


def _write_ledger(out: str, stack: Stack) -> None:
    write_tree(out, [GeneratedFile(f"{stack.directory}/{LEDGER_NAME}", ledger_text(stack))])
