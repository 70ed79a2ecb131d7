"""Zero gap, measured: edits on a local AWS through the real Terraform, and after each call what is open.

Many edits that have nothing to do with each other share a stack, each in a block of ports of its own: one
apply is as many edits as there are blocks. A `Watch` asks the cloud what is open after each call that
changes a rule, in the proxy's turn, so that nothing else happens meanwhile.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any, TypeAlias

from skyports_tf.clouds import load_cloud
from skyports_tf.lifecycle import ProgressEvent, RunSettings, apply_plan, plan_stack
from skyports_tf.model import Stack
from skyports_tf.ordering import Move, find_order, kept_wanted, may_close
from skyports_tf.ports import PortRange, PortSet
from skyports_tf.reach import minus, union
from skyports_tf.sources import parse_source
from tests.support.ec2_proxy import Call, Decision, Proxy
from tests.support.edits import Cells, grants_of, stack_of
from tests.support.local_aws import ec2
from tests.support.moves import applies_of, calls_of, closed_meanwhile, in_some_order, moves_of
from tests.support.stacks import compile_stack

Opening: TypeAlias = tuple[str, int, int, str]
Reach: TypeAlias = Mapping[Any, PortSet]
#: One block's wish: who may reach each port, by the port's place in the block.
Wish: TypeAlias = Mapping[int, frozenset[str]]

SOURCES = ("10.0.0.0/8", "192.168.0.0/16", "203.0.113.0/24", "2001:db8::/32")
WIDTH = 16
_FIRST, _PITCH = 2000, 100
#: moto's own bound of a group, which AWS raises on request; SSH and the nodes themselves take two.
_MOST_RULES = 60 - 2
_WRITES = frozenset(
    {"AuthorizeSecurityGroupIngress", "RevokeSecurityGroupIngress", "ModifySecurityGroupRules"}
)


# -- random edits ----------------------------------------------------------------------


def some_wish(random: Random) -> Wish:
    """One range or two, each open to some sources."""
    wish: dict[int, frozenset[str]] = {}
    for _ in range(random.randint(1, 2)):
        first = random.randrange(WIDTH)
        last = min(WIDTH - 1, first + random.randrange(8))
        sources = frozenset(random.sample(SOURCES, random.randint(1, 2)))
        for port in range(first, last + 1):
            wish[port] = wish.get(port, frozenset()) | sources
    return wish


def some_edit(random: Random, wish: Wish) -> Wish:
    """The wish after one thing that people do: split, merge, widen, narrow, move, other sources, all anew."""
    ports = sorted(wish)
    port, sources = random.choice(ports), frozenset(random.sample(SOURCES, random.randint(1, 2)))
    kind = random.randrange(8)
    if kind == 0:
        later = {number: wish[number] for number in ports if number != port}
    elif kind == 1:
        later = dict.fromkeys(range(ports[0], ports[-1] + 1), wish[port])
    elif kind == 2:
        later = {**wish, min(ports[-1] + 1, WIDTH - 1): wish[ports[-1]], max(ports[0] - 1, 0): wish[ports[0]]}
    elif kind == 3:
        later = {number: wish[number] for number in ports[1:-1]}
    elif kind == 4:
        later = {(number + 1) % WIDTH: found for number, found in wish.items()}
    elif kind == 5:
        later = {number: found | sources if number >= port else found for number, found in wish.items()}
    elif kind == 6:
        later = {number: sources if number >= port else found for number, found in wish.items()}
    else:
        later = dict(some_wish(random))
    return later if later and later != wish else some_edit(random, wish)


def cells_of_wish(wish: Wish, first: int = 1) -> Cells:
    """What the wish opens, in a block that begins at port `first`."""
    return frozenset(
        ("tcp", first + port, parse_source(source)) for port, found in wish.items() for source in found
    )


def needs_steps(before: Wish, after: Wish) -> bool:
    """Whether one apply of the edit could close what stays wanted, as the model has it."""
    old = stack_of("aws", grants_of(cells_of_wish(before)))
    return bool(find_order(*moves_of(old, stack_of("aws", grants_of(cells_of_wish(after)), old))).steps)


def edits_of(random: Random, wishes: Sequence[Wish], steps: bool) -> list[Wish]:
    """An edit of each wish: all that need two steps, or all that need one."""
    found = []
    for wish in wishes:
        later = some_edit(random, wish)
        while needs_steps(wish, later) != steps:
            later = some_edit(random, wish)
        found.append(later)
    return found


def task_ports(wishes: Sequence[Wish]) -> dict[str, list[str]]:
    """All blocks as the ports of a task, each run of ports with its sources."""
    found: dict[str, list[str]] = {}
    for number, wish in enumerate(wishes):
        start = _FIRST + _PITCH * number
        by_sources: dict[frozenset[str], list[PortRange]] = {}
        for port, sources in wish.items():
            by_sources.setdefault(sources, []).append(PortRange(start + port, start + port))
        for sources, ranges in by_sources.items():
            found |= {str(item): sorted(sources) for item in PortSet.of(ranges)}
    return found


# -- the local AWS ---------------------------------------------------------------------


def live_rules(url: str, group: str) -> dict[str, Opening]:
    """The group's rules as the cloud has them, by id; those of all protocols are the nodes' own."""
    client = ec2(url)
    groups = client.describe_security_groups(Filters=[{"Name": "group-name", "Values": [group]}])
    ids = {found["GroupId"] for found in groups["SecurityGroups"]}
    return {
        rule["SecurityGroupRuleId"]: (
            rule["IpProtocol"],
            rule["FromPort"],
            rule["ToPort"],
            rule.get("CidrIpv4") or rule.get("CidrIpv6") or "",
        )
        for rule in client.describe_security_group_rules()["SecurityGroupRules"]
        if rule["GroupId"] in ids and not rule["IsEgress"] and rule["IpProtocol"] != "-1"
    }


def reach_of(openings: Mapping[str, Opening]) -> Reach:
    """What rules open, those for SSH left out."""
    return union(
        {(protocol, source): PortSet((PortRange(first, last),))}
        for protocol, first, last, source in openings.values()
        if first != 22
    )


@dataclass
class Watch:
    """What was open after each call that changed a rule; `step` is the apply that it came from."""

    proxy: Proxy
    moto: str
    group: str
    step: str = ""
    seen: list[tuple[str, dict[str, Opening]]] = field(default_factory=list)

    def begin(self) -> None:
        """Note from now on, with what is open now."""
        self.step, self.seen = "", [("", live_rules(self.moto, self.group))]
        self.proxy.after = self._note

    def hear(self, event: ProgressEvent) -> None:
        """Follow the steps of the apply."""
        self.step = event.step

    def _note(self, call: Call) -> Decision | None:
        if call.action in _WRITES and call.is_done:
            self.seen.append((self.step, live_rules(self.moto, self.group)))
        return None


# -- figures ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Figures:
    """What a number of edits came to.

    `closed` counts, over all calls, the ports (each with its source) that were closed while wanted;
    `unforeseen` the calls, and the ports closed, that the model does not have.
    """

    edits: int = 0
    applies: int = 0
    calls: int = 0
    watched: int = 0
    closed: int = 0
    unforeseen: int = 0

    def __add__(self, other: Figures) -> Figures:
        return Figures(*(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__))


def size(reach: Reach) -> int:
    """How many ports it is, each with its source."""
    return sum(map(len, reach.values()))


class Lab:
    """A cluster on the local AWS, whose blocks of ports are edited again and again."""

    def __init__(self, folder: Path, proxy: Proxy, moto: str, blocks: int, seed: int) -> None:
        self._folder = folder
        self._random = Random(seed)
        self._watch = Watch(proxy, moto, "sky-sg-web")
        self.wishes: list[Wish] = [some_wish(self._random) for _ in range(blocks)]
        while _rules_at_once(self.wishes, self.wishes) > _MOST_RULES // 2:
            self.wishes = [some_wish(self._random) for _ in range(blocks)]
        self._stack = self._compile()
        self._apply(safe=True)

    def edit(self, *, steps: bool, safe: bool = True) -> Figures:
        """Edit every block, and apply: in the plan's steps, or without `safe` as the one apply it saved.

        With `steps` all edits need two steps, without it none does.
        """
        old, before = self._stack, self.wishes
        self.wishes = edits_of(self._random, before, steps)
        while _rules_at_once(before, self.wishes) > _MOST_RULES:
            self.wishes = edits_of(self._random, before, steps)
        self._stack = self._compile()
        self._watch.begin()
        applies = self._apply(safe=safe)
        return self._figures(old, applies if safe else 1, expected=2 if steps and safe else 1)

    def _compile(self) -> Stack:
        config = {"aws": {"rules_per_security_group": 1000}}
        return compile_stack(self._folder, task_ports(self.wishes), config=config)

    def _apply(self, *, safe: bool) -> int:
        out, settings = str(self._folder / "infra"), RunSettings()
        plan = plan_stack(out, self._stack, settings)
        plan = plan if safe else replace(plan, opening=())
        status = apply_plan(out, plan, settings, self._watch.hear)
        if plan.warnings or status.warnings:
            raise AssertionError([str(item) for item in (*plan.warnings, *status.warnings)])
        return plan.steps

    def _figures(self, old: Stack, applies: int, expected: int) -> Figures:
        found, kept = moves_of(old, self._stack)
        moves, kept = _in_texts(found), dict(_texts(kept))
        parts = applies_of(moves, find_order(moves, kept)) if expected > 1 else [moves]
        wanted, seen = kept_wanted(moves, kept), self._watch.seen
        gaps = [minus(wanted, reach_of(openings)) for _, openings in seen[1:]]
        foreseen = may_close(moves, kept) if expected == 1 else {}
        strange = sum(size(minus(gap, foreseen)) for gap in gaps) + _strange_calls(parts, seen)
        return Figures(
            edits=len(self.wishes),
            applies=applies,
            calls=len(gaps),
            watched=size(wanted) * len(gaps),
            closed=sum(map(size, gaps)),
            unforeseen=strange + abs(applies - expected),
        )


def _rules_at_once(before: Sequence[Wish], after: Sequence[Wish]) -> int:
    """How many rules there may be while one becomes the other."""
    keys: set[tuple[int, str]] = set()
    for number, (old, new) in enumerate(zip(before, after, strict=True)):
        for wish in (old, new):
            stack = stack_of("aws", grants_of(cells_of_wish(wish)))
            keys |= {(number, rule.key) for rule in stack.packed}
    return len(keys)


def _texts(reach: Reach) -> Reach:
    return {(protocol, str(source)): ports for (protocol, source), ports in reach.items()}


def _in_texts(moves: Sequence[Move[Any]]) -> list[Move[Any]]:
    return [replace(move, before=_texts(move.before), after=_texts(move.after)) for move in moves]


def _strange_calls(
    parts: Sequence[Sequence[Move[Any]]], seen: Sequence[tuple[str, dict[str, Opening]]]
) -> int:
    """How many calls are none of the model's, or its calls that did not come: each in its own apply, once."""
    expected: Counter[Any] = Counter()
    for number, part in enumerate(parts, 1):
        step = f"step {number} of {len(parts)}" if len(parts) > 1 else ""
        for move in part:
            states = [move.before, *(write.reach for write in calls_of(move))]
            expected.update((step, _key(before), _key(after)) for before, after in pairwise(states))
    found: Counter[Any] = Counter()
    for (_, before), (step, after) in pairwise(seen):
        for rule in {*before, *after}:
            old, new = _alone(rule, before), _alone(rule, after)
            if old != new:
                found[step, _key(reach_of(old)), _key(reach_of(new))] += 1
    return sum(((expected - found) + (found - expected)).values())


def _alone(rule: str, openings: Mapping[str, Opening]) -> dict[str, Opening]:
    return {rule: openings[rule]} if rule in openings else {}


def _key(reach: Reach) -> tuple[tuple[Any, str], ...]:
    return tuple(sorted((place, str(ports)) for place, ports in reach.items()))


# -- the model alone -------------------------------------------------------------------


def model_edits(cloud: str, count: int, seed: int) -> Iterator[tuple[Stack, Stack]]:
    """Random edits on a cloud, without Terraform: the stack before and after."""
    random = Random(seed)
    wish: Wish = {0: frozenset(SOURCES)}
    stack = stack_of(cloud, grants_of(_taken(cloud, wish)))
    for _ in range(count):
        later = some_edit(random, wish)
        while not _taken(cloud, later):
            later = some_edit(random, wish)
        before, stack, wish = stack, stack_of(cloud, grants_of(_taken(cloud, later)), stack), later
        yield before, stack


def _taken(cloud: str, wish: Wish) -> Cells:
    kinds = load_cloud(cloud).sources
    return frozenset(cell for cell in cells_of_wish(wish) if cell[2].kind in kinds)


def model_figures(before: Stack, after: Stack, random: Random, orders: int = 3) -> Figures:
    """One edit in the model: every order is reckoned, and some are played.

    `closed` is over the orders that were played, `unforeseen` what any order could close.
    """
    moves, kept = moves_of(before, after)
    order, wanted = find_order(moves, kept), kept_wanted(moves, kept)
    parts = applies_of(moves, order)
    possible, now = 0, {move.name: move.before for move in moves}
    for part in parts:
        others = [reach for name, reach in now.items() if name not in {move.name for move in part}]
        possible += size(may_close(part, union([kept, *others])))
        now |= {move.name: move.after for move in part}
    closed = calls = 0
    for _ in range(orders):
        played = [
            call
            for part in parts
            for call in in_some_order(part, lambda found: random.sample(found, len(found)))
        ]
        calls += len(played)
        closed += sum(size(gap) for _, gap in closed_meanwhile(moves, kept, played, wanted))
    return Figures(
        edits=1,
        applies=len(parts),
        calls=calls,
        watched=size(wanted) * calls,
        closed=closed,
        unforeseen=possible + size(order.gaps) + (len(parts) > 2),
    )
