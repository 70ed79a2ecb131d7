"""When granted ports close: what an edit keeps of a deadline, what is over, and what is shown.

A task's deadline belongs to its file, a protocol and a port, whatever the sources: compiling the
task again keeps it, and only `--expires` or another `expires` in the config begins it anew.
Where several grants open the same port to the same source, it stays open until the latest of
them ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from skyports_tf.expiry import NEVER, deadline_of, stamp
from skyports_tf.model import Grant, LedgerEntry, Stack
from skyports_tf.pack import pack_rules
from skyports_tf.ports import PortRange, PortSet

# they compare with absolute times: after any of them, and after that
_UNKNOWN = "9999"
_FOREVER = "~"


@dataclass(frozen=True, slots=True)
class Expiration:
    """When a stack's ports close: `at` is None until a duration, `expires`, begins with an apply.

    `expired` ports are past their time.
    """

    protocol: str
    ports: PortRange
    sources: tuple[str, ...]
    expires: str
    at: str | None
    expired: bool


class _State(NamedTuple):
    """What a grant knows of its end."""

    expires: str | None
    configured: str | None
    expires_at: str | None
    closed: bool


def inherit_deadlines(new: Sequence[LedgerEntry], old: Sequence[LedgerEntry]) -> tuple[LedgerEntry, ...]:
    """`new` with the deadlines that the same ports of the same files have in `old`.

    A port keeps its deadline, and stays closed after it, unless the config says something else
    than it did then.
    """
    if not any(grant.expires for entry in old for grant in _grants_of(entry)):
        return tuple(new)
    states: dict[tuple[str, str], dict[_State, PortSet]] = {}
    for entry in old:
        for grant in _grants_of(entry):
            known = states.setdefault((entry.file, grant.protocol), {})
            state = _state_of(grant)
            known[state] = known.get(state, PortSet()) | PortSet((grant.ports,))
    return tuple(
        replace(
            entry,
            grants=tuple(
                piece
                for grant in entry.grants
                for piece in _inheriting(grant, states.get((entry.file, grant.protocol), {}))
            ),
        )
        for entry in new
    )


def start_deadlines(
    entries: Sequence[LedgerEntry], now: datetime, applied: frozenset[Grant] | None = None
) -> tuple[LedgerEntry, ...]:
    """The entries with an absolute time for every duration that has none: it begins `now`.

    Where `applied` is given, for those grants alone.
    """

    def start(grant: Grant) -> Grant:
        if not grant.expires or grant.expires_at or (applied is not None and grant not in applied):
            return grant
        return replace(grant, expires_at=deadline_of(grant.expires, now))

    return _each(entries, start)


def reset_deadlines(entries: Sequence[LedgerEntry]) -> tuple[LedgerEntry, ...]:
    """The entries as before they were applied: durations begin with the next apply, nothing is closed."""

    def reset(grant: Grant) -> Grant:
        if not grant.expires:
            return grant
        return replace(grant, expires_at=deadline_of(grant.expires), closed=False)

    return _each(entries, reset)


def has_deadlines(stack: Stack) -> bool:
    """Whether a duration of the stack has begun, or something of it is closed."""
    return reset_deadlines(stack.entries) != stack.entries


def close_expired(
    entries: Sequence[LedgerEntry], now: datetime
) -> tuple[tuple[LedgerEntry, ...], tuple[Grant, ...]]:
    """The entries without what is past its time `now`, and the grants that this closed."""
    time = stamp(now)
    closed: list[Grant] = []

    def close(grant: Grant) -> Grant:
        if grant.closed or grant.expires_at is None or grant.expires_at > time:
            return grant
        closed.append(replace(grant, closed=True))
        return closed[-1]

    return _each(entries, close), tuple(closed)


def expire_stack(stack: Stack, now: datetime) -> tuple[Stack, tuple[Grant, ...]]:
    """The stack without what is past its time `now`, and the grants that this closed.

    The rules follow at once; the packed rules when it is compiled again (`recompile_stacks`). A
    grant may be closed while its port stays open for another task.
    """
    entries, closed = close_expired(stack.entries, now)
    if not closed:
        return stack, ()
    return replace(stack, entries=entries, rules=pack_rules(entries, stack.adopted.get("rules", ()))), closed


def expirations(stack: Stack, now: datetime | None = None) -> tuple[Expiration, ...]:
    """When the stack's ports close, of those that ever do, in a fixed order.

    With `now`, what is past its time is told as expired even where nobody has closed it yet.
    """
    sources: dict[tuple[str, PortRange, str, str | None, bool], list[str]] = {}
    for (protocol, source), states in _states_by_reach(stack.entries):
        for ports, state, over in _lasting(states, now):
            # a grant that never ends has no `expires`, or says so
            if state.expires and state.expires != NEVER:
                key = (protocol, ports, state.expires, state.expires_at, over)
                sources.setdefault(key, []).append(source)
    return tuple(
        Expiration(protocol, ports, tuple(texts), expires, at, over)
        for (protocol, ports, expires, at, over), texts in sorted(
            sources.items(), key=lambda item: (item[0][0], item[0][1], item[0][3] or "", item[0][2])
        )
    )


def _states_by_reach(
    entries: Iterable[LedgerEntry],
) -> Iterator[tuple[tuple[str, str], dict[_State, list[PortRange]]]]:
    """For each protocol and source that a deadline concerns: which ports end how."""
    grants = [grant for entry in entries for grant in _grants_of(entry)]
    if not any(grant.expires for grant in grants):
        return
    found: dict[tuple[str, str], dict[_State, list[PortRange]]] = {}
    for grant in sorted(grants, key=lambda grant: (grant.protocol, grant.source.sort_key)):
        reach = found.setdefault((grant.protocol, str(grant.source)), {})
        reach.setdefault(_state_of(grant), []).append(grant.ports)
    yield from found.items()


def _lasting(
    states: dict[_State, list[PortRange]], now: datetime | None
) -> Iterator[tuple[PortRange, _State, bool]]:
    """Each port with the state that lasts longest, and whether that one is over."""
    covered = PortSet()
    time = stamp(now) if now else ""

    def end(state: _State) -> str:
        if not state.expires or state.expires == NEVER:
            return _FOREVER
        return state.expires_at or deadline_of(state.expires, now) or _UNKNOWN

    def is_over(state: _State) -> bool:
        return state.closed or end(state) <= time

    # what is written last breaks ties, so that the order is fixed
    ordered = sorted(states, key=lambda state: (not is_over(state), end(state), str(state)), reverse=True)
    for state in ordered:
        ports = PortSet.of(states[state])
        for item in ports - covered:
            yield item, state, is_over(state)
        covered = covered | ports


def _inheriting(grant: Grant, known: dict[_State, PortSet]) -> Iterator[Grant]:
    """The grant, cut where what is `known` of its ports differs."""
    rest = PortSet((grant.ports,))
    pieces: dict[_State, list[PortRange]] = {}
    # what ends first goes first: an edit never prolongs
    for state in sorted(
        known, key=lambda state: (not state.closed, state.expires_at or _UNKNOWN, str(state))
    ):
        if state.configured == grant.configured:
            pieces.setdefault(state, []).extend(rest & known[state])
            rest = rest - known[state]
    pieces.setdefault(_state_of(grant), []).extend(rest)
    cut = [(ports, state) for state, ranges in pieces.items() for ports in PortSet.of(ranges)]
    for ports, state in sorted(cut, key=lambda item: item[0]):
        yield replace(grant, ports=ports, **state._asdict())


def _state_of(grant: Grant) -> _State:
    return _State(grant.expires, grant.configured, grant.expires_at, grant.closed)


def _grants_of(entry: LedgerEntry) -> tuple[Grant, ...]:
    return (*entry.grants, *entry.retained)


def _each(entries: Sequence[LedgerEntry], change: Callable[[Grant], Grant]) -> tuple[LedgerEntry, ...]:
    return tuple(
        replace(
            entry,
            grants=tuple(map(change, entry.grants)),
            retained=tuple(map(change, entry.retained)),
        )
        for entry in entries
    )
