"""What is to be reaped of a cluster and its stacks, and what became of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from skyports_tf.config import Config
from skyports_tf.deadlines import close_expired
from skyports_tf.diagnostics import Diagnostic, FindingsError, InterruptedRunError, SkyportsError
from skyports_tf.lease import Lease, files_to_close
from skyports_tf.life import Life, Sighting
from skyports_tf.model import Grant, LedgerEntry, Stack
from skyports_tf.outcomes import PortChanges, PortRule, ResourceCounts, StackPlan
from skyports_tf.pack import pack_rules
from skyports_tf.ports import PortRange
from skyports_tf.running.changes import PORT_RULE, OpenRule, group_rules, stack_rules
from skyports_tf.running.contents import common_rules, rules_without, told_rules
from skyports_tf.running.settings import RunSettings
from skyports_tf.running.ssh import SSH_RULE

_PORT_KEY = re.compile(rf"\.{PORT_RULE}\[\"([^\"]+)\"\]$")
_SSH = re.compile(rf"\.{SSH_RULE}(?:\[[^\]]*\])?$")

#: Why a stack is reaped: its cluster is gone, a killed `run` left ports open, or their time is over.
Why = Literal["gone", "abandoned", "expired"]


@dataclass(frozen=True, slots=True)
class ReapRequest:
    """What is to be done with the tree `out`; `acting` is false where nothing may be closed.

    `marks` is the folder of the marks, `wait_seconds` how long a held group is waited for.
    """

    out: str
    config: Config
    settings: RunSettings
    now: datetime
    grace: timedelta
    marks: Path
    wait_seconds: float
    acting: bool = True


@dataclass(frozen=True, slots=True)
class StackReaped:
    """What is to be reaped of a stack, and what was done; `why` is empty where there is nothing.

    `changes` are what closes. `expired` are ports whose time is over. `done` says that it was
    done, `verified_empty` that the proof that nothing is left went through.
    """

    stack: Stack
    why: tuple[Why, ...] = ()
    changes: PortChanges = field(default_factory=PortChanges)
    expired: tuple[PortRule, ...] = ()
    counts: ResourceCounts = field(default_factory=ResourceCounts)
    done: bool = False
    verified_empty: bool = False
    warnings: tuple[Diagnostic, ...] = ()


@dataclass(slots=True)
class ClusterReaped:
    """A cluster: whether it lives, the files that a killed `run` left in its ledger, and its stacks."""

    cluster: str
    life: Life
    forgotten: tuple[str, ...] = ()
    stacks: list[StackReaped] = field(default_factory=list)
    failures: list[SkyportsError] = field(default_factory=list)

    @property
    def is_due(self) -> bool:
        """Whether there is, or was, anything to reap."""
        return bool(self.forgotten) or any(item.why for item in self.stacks)

    @property
    def interrupted(self) -> bool:
        """Whether a signal has stopped us."""
        return any(isinstance(error, InterruptedRunError) for error in self.failures)


def due_of(
    stack: Stack, sighting: Sighting, life: Life, forgotten: Sequence[str], now: datetime
) -> StackReaped:
    """What is to be reaped of a stack, from what its state has open and what its ledger asks for.

    `forgotten` are the files that a killed `run` left in the ledger.
    """
    opens = list(sighting.opens.values())
    if sighting.state is None:
        return StackReaped(stack)
    if life.state == "gone":
        return StackReaped(stack, ("gone",), PortChanges(close=group_rules(told_rules(opens, stack))))
    kept = [entry for entry in stack.entries if entry.file not in forgotten]
    rest, _ = close_expired(kept, now)
    wanted = list(stack_rules(replace(stack, rules=pack_rules(rest))).values())
    over = (grant for entry in rest for grant in _grants_of(entry) if grant.closed)
    expired = rules_without(common_rules(opens, _rules_of(over)), wanted)
    # an earlier try may have come as far as the ledger: then it no longer says what the files opened
    abandoned = rules_without(rules_without(opens, wanted), expired) if forgotten else []
    found: dict[Why, list[OpenRule]] = {"abandoned": abandoned, "expired": expired}
    close = told_rules([rule for rules in found.values() for rule in rules], stack)
    why = tuple(reason for reason, rules in found.items() if rules)
    over_rules = group_rules(told_rules(expired, stack))
    return StackReaped(stack, why, PortChanges(close=group_rules(close)), over_rules)


def abandoned_files(known: Sequence[Lease]) -> tuple[str, ...]:
    """The files that a killed `run` has left in the ledger, and that no other holder needs."""
    found = (file for lease in known if lease.state == "abandoned" for file in files_to_close(lease, known))
    return tuple(dict.fromkeys(found))


def more_than_expiring(
    plan: StackPlan, expired: Iterable[PortRule], opens: Mapping[str, OpenRule]
) -> list[str]:
    """What a plan does beside closing what is `expired`, where the state has `opens` open; told in ports."""
    changes = plan.changes
    before = _open_rules([*changes.close, *(item.before for item in changes.change)])
    after = _open_rules([*changes.open, *(item.after for item in changes.change)])
    opened = rules_without(after, [*before, *opens.values()])
    closed = rules_without(rules_without(before, after), _open_rules(expired))
    ssh = ["who may use SSH"] if any(_SSH.search(address) for address, _ in plan.shown) else []
    return [*(f"{rule.protocol} {_range(rule)} from {rule.source}" for rule in [*opened, *closed]), *ssh]


def expiring_rules(
    plan: StackPlan, expired: Iterable[PortRule], opens: Mapping[str, OpenRule]
) -> tuple[str, ...]:
    """The addresses of those rules of a plan that close `expired` and nothing else, where these do it all.

    None where a rule's key does not say what it opens, or where one has to be split.
    """
    over, wanted = _open_rules(expired), stack_rules(plan.stack)
    found: list[str] = []
    closed: list[OpenRule] = []
    for address, action in plan.shown:
        key = match[1] if (match := _PORT_KEY.search(address)) else ""
        if key not in opens or action not in ("update", "delete"):
            continue
        before, after = [opens[key]], [wanted[key]] if action == "update" and key in wanted else []
        going = rules_without(before, after)
        if going and not rules_without(going, over) and not rules_without(after, before):
            found.append(address)
            closed += going
    return () if rules_without(over, closed) else tuple(found)


def refusal(stack: Stack, more: Iterable[str]) -> FindingsError:
    """The error where expired ports cannot be closed alone."""
    message = (
        f"{stack.name}: expired ports stay open, for the files ask for more than that: {', '.join(more)}"
    )
    return FindingsError(Diagnostic("expiry-pending", message, help="look at `plan`, then `apply`"))


def _range(rule: OpenRule) -> PortRange:
    return PortRange(max(rule.from_port, 1), rule.to_port)


def _grants_of(entry: LedgerEntry) -> tuple[Grant, ...]:
    return (*entry.grants, *entry.retained)


def _rules_of(grants: Iterable[Grant]) -> list[OpenRule]:
    return [
        OpenRule(grant.protocol, grant.ports.first, grant.ports.last, str(grant.source)) for grant in grants
    ]


def _open_rules(rules: Iterable[PortRule]) -> list[OpenRule]:
    return [
        OpenRule(rule.protocol, rule.from_port, rule.to_port, source)
        for rule in rules
        for source in rule.sources
    ]


def joined_changes(changes: Sequence[PortChanges]) -> PortChanges:
    """The changes of several plans, one after the other."""
    return PortChanges(
        open=tuple(rule for item in changes for rule in item.open),
        change=tuple(rule for item in changes for rule in item.change),
        close=tuple(rule for item in changes for rule in item.close),
    )


def summed_counts(counts: Sequence[ResourceCounts]) -> ResourceCounts:
    """The counts of several plans."""
    return ResourceCounts(
        sum(item.create for item in counts),
        sum(item.update for item in counts),
        sum(item.delete for item in counts),
    )
