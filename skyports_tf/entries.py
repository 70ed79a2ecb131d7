"""The entries of a ledger: what each task asks for, and what a compile makes of them.

A cluster's open ports are the union over the entries, so compiling one task replaces that
task's entries and keeps the others, and nothing closes because a task has finished.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from skyports_tf.deadlines import has_deadlines, inherit_deadlines
from skyports_tf.model import ADOPTED, Grant, LedgerEntry, Protocol, Stack
from skyports_tf.ports import PortSet


@dataclass(frozen=True, slots=True)
class MergeRules:
    """What a compile does with the entries of the files that it compiles.

    `retain` keeps what they no longer ask for; `renew` begins their deadlines anew.
    """

    retain: bool = False
    renew: bool = False


def merge_entries(
    old: Sequence[LedgerEntry],
    new: Sequence[LedgerEntry],
    compiled_files: frozenset[str],
    rules: MergeRules,
) -> tuple[LedgerEntry, ...]:
    """The entries after the files `compiled_files` were compiled to `new`, in a fixed order.

    With `retain`, what an entry no longer asks for stays with it as retained grants; without
    it, what was retained before goes. Without `renew`, ports that stay keep their deadlines.
    """
    kept = [entry for entry in old if entry.file not in compiled_files]
    replaced = [entry for entry in old if entry.file in compiled_files]
    if not rules.renew:
        new = inherit_deadlines(new, replaced)
    if rules.retain:
        new = list(_retaining(replaced, new))
    found = [*kept, *new]
    return tuple(
        sorted(
            (entry for entry in found if entry.grants or entry.retained),
            key=lambda entry: (entry.file, entry.position, entry.task or ""),
        )
    )


def adopted_entry(grants: Iterable[Grant]) -> LedgerEntry:
    """The entry of what was found open and is asked for by no task."""
    kept = _merged(grants)
    return LedgerEntry(ADOPTED, None, 0, PortSet.of(grant.ports for grant in kept), kept)


def has_adopted(stack: Stack) -> bool:
    """Whether a ledger holds anything of objects that were adopted."""
    return bool(stack.adopted or stack.imports) or any(entry.file == ADOPTED for entry in stack.entries)


def needs_reset(stack: Stack) -> bool:
    """Whether its ledger holds what ends with the objects in the cloud."""
    return has_deadlines(stack) or has_adopted(stack)


def without_asked(entries: Sequence[LedgerEntry], asked: Iterable[LedgerEntry]) -> tuple[LedgerEntry, ...]:
    """`entries`, where what was adopted gives way to the tasks that ask for the same ports.

    Whatever its sources were: those of the task hold from then on.
    """
    wanted: dict[Protocol, PortSet] = {}
    for entry in asked:
        for grant in entry.grants:
            wanted[grant.protocol] = wanted.get(grant.protocol, PortSet()) | PortSet((grant.ports,))
    if not wanted:
        return tuple(entries)
    found = []
    for entry in entries:
        if entry.file != ADOPTED:
            found.append(entry)
        elif left := tuple(_left(entry.grants, wanted)):
            found.append(adopted_entry(left))
    return tuple(found)


def _left(grants: Iterable[Grant], wanted: Mapping[Protocol, PortSet]) -> Iterator[Grant]:
    for grant in grants:
        for ports in PortSet((grant.ports,)) - wanted.get(grant.protocol, PortSet()):
            yield replace(grant, ports=ports)


def _retaining(old: Sequence[LedgerEntry], new: Sequence[LedgerEntry]) -> Iterator[LedgerEntry]:
    """`new`, where each entry also holds what its predecessor of the same file and place asked for."""
    before = {(entry.file, entry.position): entry for entry in old}
    for entry in new:
        previous = before.pop((entry.file, entry.position), None)
        yield _with_retained(entry, previous) if previous else entry
    for entry in before.values():
        yield LedgerEntry(
            entry.file, entry.task, entry.position, PortSet(), (), _merged((*entry.grants, *entry.retained))
        )


def _with_retained(entry: LedgerEntry, previous: LedgerEntry) -> LedgerEntry:
    retained = []
    for grant in (*previous.grants, *previous.retained):
        wanted = PortSet.of(
            item.ports
            for item in entry.grants
            if (item.protocol, item.source) == (grant.protocol, grant.source)
        )
        retained += [replace(grant, ports=ports) for ports in PortSet((grant.ports,)) - wanted]
    return LedgerEntry(entry.file, entry.task, entry.position, entry.ports, entry.grants, _merged(retained))


def _merged(grants: Iterable[Grant]) -> tuple[Grant, ...]:
    return tuple(dict.fromkeys(sorted(grants, key=grant_order)))


def grant_order(grant: Grant) -> tuple[object, ...]:
    """By protocol and ports, then by source: the order of a ledger."""
    return grant.protocol, grant.ports, grant.source.sort_key, grant.description or ""
