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
from skyports_tf.deadlines import reset_deadlines, start_deadlines
from skyports_tf.entries import needs_reset
from skyports_tf.grants import Flags
from skyports_tf.ledger import LEDGER_NAME, ledger_text, read_stack
from skyports_tf.model import ADOPTED, GeneratedFile, LedgerEntry, Stack
from skyports_tf.render import passing_files, render_release
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


def rewrite_stack(
    out: str, stack: Stack, change: Callable[[Stack], Stack], config: Config, user_hash: str | None = None
) -> Compilation:
    """As `recompile_stacks`, for one stack whose entries, SSH sources, facts and imports `change` gives."""
    with locked_tree(out):
        old = change(_from_ledger(out, stack) or stack)
        findings = Findings()
        new = _rebuilt(old, old.entries, config, user_hash)
        new = replace(new, ssh_sources=old.ssh_sources)
        add_problems([new], config, findings, {})
        stop_on_errors(findings)
        compilation = render_compilation(out, [new], config.catalog, told(findings))
        write_files(out, compilation.pending)
    return compilation


def finish_imports(out: str, stack: Stack) -> Stack:
    """After an apply that has taken something over: the ledger and the folder say so no more.

    Raises `FindingsError` where a file cannot be read or written.
    """
    if not stack.imports:
        return stack
    with locked_tree(out):
        current = _from_ledger(out, stack)
        if current is not None:
            imports = {name: key for name, key in current.imports.items() if name not in stack.imports}
            kept = replace(current, imports=imports)
            _write_ledger(out, kept, passing_files(kept))
    return replace(stack, imports={})


def write_release(out: str, stack: Stack, config: Config) -> None:
    """Write the files that let go of all that `stack` holds; its ledger stays as it is.

    The next compile of the stack puts its files back. Raises `FindingsError` where a file cannot be
    written.
    """
    with locked_tree(out):
        write_tree(out, render_release(stack, config.catalog))


def empty_stack(out: str, stack: Stack, config: Config) -> Compilation:
    """Write `stack` without any entry, and without what was adopted."""

    def emptied(current: Stack) -> Stack:
        return replace(current, entries=(), adopted={}, imports={})

    return rewrite_stack(out, stack, emptied, config)


def reset_expiry(out: str, stack: Stack, config: Config) -> Compilation | None:
    """After a stack was destroyed: its durations begin again with the next apply, nothing is closed.

    What was adopted is gone. None where the ledger holds neither. Raises `FindingsError` as
    `recompile_stacks` does.
    """
    if not needs_reset(stack):
        return None

    def reset(current: Stack) -> Stack:
        entries = reset_deadlines([entry for entry in current.entries if entry.file != ADOPTED])
        return replace(current, entries=tuple(entries), adopted={}, imports={})

    return rewrite_stack(out, stack, reset, config)


def _recompiled(
    out: str, stacks: Iterable[Stack], change: Change, config: Config, user_hash: str | None
) -> Compilation:
    findings = Findings()
    built = []
    for stack in stacks:
        known = _from_ledger(out, stack)
        old = known or stack
        new = _rebuilt(old, change(old), config, user_hash)
        # no source at all cannot be said by flags
        built.append(replace(new, ssh_sources=()) if known and not known.ssh_sources else new)
    add_problems(built, config, findings, {})
    stop_on_errors(findings)
    return render_compilation(out, built, config.catalog, told(findings))


def _rebuilt(old: Stack, entries: Sequence[LedgerEntry], config: Config, user_hash: str | None) -> Stack:
    named_by = config.user_hash or user_hash if old.name_on_cloud is None else None
    flags = Flags(mode=old.mode, ssh_sources=old.ssh_sources, user_hash=named_by)
    return build_stack(place_of(old), old, tuple(entries), config, flags)


def _from_ledger(out: str, stack: Stack) -> Stack | None:
    """The stack as its ledger has it now; None where it has none."""
    try:
        return read_stack(out, stack.directory)
    except FileNotFoundError:
        return None


def _write_ledger(out: str, stack: Stack, beside: tuple[GeneratedFile, ...] = ()) -> None:
    write_tree(out, [GeneratedFile(f"{stack.directory}/{LEDGER_NAME}", ledger_text(stack)), *beside])
