"""Whether a cluster still lives: from its nodes in the cloud, from SkyPilot, and from how long it is so.

Pure. What is not known is never gone: a cluster is gone where no node bears its tag for the
grace, or at once where SkyPilot does not know it (any more) and it had nodes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

from skyports_tf.expiry import read_time, spell_stamp, stamp
from skyports_tf.model import Stack
from skyports_tf.running.changes import OpenRule
from skyports_tf.sightings import Mark

#: `closed`: no state holds anything; `empty`: without nodes, but not for long enough.
LifeState = Literal["closed", "alive", "empty", "gone", "unknown"]


@dataclass(frozen=True, slots=True)
class Sighting:
    """What was seen of a stack: `state` names its state, None where that holds nothing.

    `opens` are the ports that the state has open. `nodes` are None where nobody can tell, and
    `reason` says why. `had_nodes` says that the state knows of nodes.
    """

    stack: Stack
    state: str | None = None
    opens: Mapping[str, OpenRule] = field(default_factory=dict)
    nodes: tuple[str, ...] | None = None
    had_nodes: bool = False
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class SkyWord:
    """What `sky status` says: clusters by name, each with its status, among those that were asked for.

    `user_hash` is whose SkyPilot that is, None where nobody knows.
    """

    listed: Mapping[str, str]
    user_hash: str | None = None


@dataclass(frozen=True, slots=True)
class Life:
    """Whether a cluster lives, and why we think so.

    `empty_since` and `gone_at` are absolute times of a cluster without nodes.
    """

    state: LifeState
    reason: str
    nodes: tuple[str, ...] | None = None
    empty_since: str | None = None
    gone_at: str | None = None


def update_mark(mark: Mark, seen: Sighting, word: SkyWord | None, now: datetime) -> Mark:
    """The mark after a stack that holds something was looked at."""
    cluster = seen.stack.cluster
    listed = word is not None and cluster in word.listed
    had_nodes = mark.had_nodes or seen.had_nodes or bool(seen.nodes)
    state = seen.state or ""
    since = mark.empty_since if mark.state == state else None
    fresh = replace(mark, state=state, had_nodes=had_nodes, was_listed=mark.was_listed or listed)
    if seen.nodes or listed:
        return replace(fresh, empty_since=None)
    if seen.nodes is None and not (word and _knows(word, seen.stack, fresh)):
        return replace(fresh, empty_since=since)
    # a clock that went back must not prolong the wait for ever
    return replace(fresh, empty_since=min(since or stamp(now), stamp(now)))


def judge(
    seen: Sequence[tuple[Sighting, Mark]], word: SkyWord | None, now: datetime, grace: timedelta
) -> Life:
    """Whether the cluster lives: `seen` are its stacks with their marks, brought up to date."""
    held = [(sighting, mark) for sighting, mark in seen if sighting.state is not None]
    if not held:
        return Life("closed", "nothing of it is in any state")
    nodes = _nodes(held)
    if nodes:
        return Life("alive", f"nodes: {_named(nodes)}", nodes)
    cluster = held[0][0].stack.cluster
    if word is not None and cluster in word.listed:
        return Life("alive", f"`sky status` lists it as {word.listed[cluster]}", nodes)
    blind = [sighting for sighting, mark in held if _is_blind(sighting, mark, word)]
    if blind:
        return Life("unknown", blind[0].reason or "nobody can tell whether it has nodes", nodes)
    if word is not None and _sky_knew(held, word):
        return Life("gone", "it had nodes, and `sky status` does not list it", nodes)
    return _waiting(held, nodes, now, grace)


def _waiting(
    held: Sequence[tuple[Sighting, Mark]],
    nodes: tuple[str, ...] | None,
    now: datetime,
    grace: timedelta,
) -> Life:
    """A cluster without nodes: gone once the grace is over."""
    since = max(mark.empty_since or stamp(now) for _, mark in held)
    end = stamp(read_time(since) + grace)
    if end <= stamp(now):
        return Life("gone", f"no node bears its tag since {spell_stamp(since)}", nodes, since, end)
    had = any(mark.had_nodes for _, mark in held)
    told = "no node bears its tag" if had else "no node bears its tag yet"
    return Life("empty", f"{told}; gone at {spell_stamp(end)}", nodes, since, end)


def _nodes(held: Sequence[tuple[Sighting, Mark]]) -> tuple[str, ...] | None:
    """The nodes of all stacks; None where no node is known and somewhere nobody can tell."""
    known = sorted({node for sighting, _ in held for node in sighting.nodes or ()})
    if not known and any(sighting.nodes is None for sighting, _ in held):
        return None
    return tuple(known)


def _is_blind(sighting: Sighting, mark: Mark, word: SkyWord | None) -> bool:
    """Whether a stack may have nodes for all that anybody knows."""
    return sighting.nodes is None and not (word and _knows(word, sighting.stack, mark))


def _knows(word: SkyWord, stack: Stack, mark: Mark) -> bool:
    """Whether that SkyPilot would list the cluster, did it live: it did once, or its user launched it.

    The name on the cloud ends with the user's hash.
    """
    if mark.was_listed:
        return True
    return bool(word.user_hash) and _is_users(stack.name_on_cloud or "", word.user_hash or "")


def _is_users(name_on_cloud: str, user_hash: str) -> bool:
    return name_on_cloud.endswith(f"-{user_hash}")


def _sky_knew(held: Sequence[tuple[Sighting, Mark]], word: SkyWord) -> bool:
    """Whether SkyPilot's silence ends the wait: the cluster was there, and in no other's hands."""
    if not any(mark.had_nodes or mark.was_listed for _, mark in held):
        return False
    return all(mark.was_listed or not _is_another_users(sighting.stack, word) for sighting, mark in held)


def _is_another_users(stack: Stack, word: SkyWord) -> bool:
    name = stack.name_on_cloud or "?"
    # a pattern fits any user
    return bool(word.user_hash) and "?" not in name and not _is_users(name, word.user_hash or "")


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{', '.join(names[:3])}{more}"
