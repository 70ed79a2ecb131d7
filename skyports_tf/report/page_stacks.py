"""The stacks of a page, each in detail, and their rules as rows of its table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from skyports_tf.deadlines import Expiration, expirations
from skyports_tf.diagnostics import visible
from skyports_tf.model import Stack
from skyports_tf.outcomes import Node, PortRule, StackPlan, StackStatus
from skyports_tf.ports import PortSet
from skyports_tf.reach import union
from skyports_tf.report.expiry import spell_expiry
from skyports_tf.report.port_words import place_word, rule_word
from skyports_tf.report.review import Audience, Reach, StackReview, reaches_internet, source_order
from skyports_tf.report.rules import port_set, task_files
from skyports_tf.report.style import count
from skyports_tf.running.changes import OpenRule, group_rules, stack_rules


@dataclass(frozen=True, slots=True)
class PageStack:
    """A stack for the page: its main.tf, its plan and its state where they were asked for and are there."""

    stack: Stack
    code: str | None = None
    plan: StackPlan | None = None
    status: StackStatus | None = None


@dataclass(frozen=True, slots=True)
class Fact:
    """A name and what it is; an `alarm` is shown as one."""

    name: str
    value: str
    alarm: bool = False


@dataclass(frozen=True, slots=True)
class End:
    """When ports close, in words, and where it is a point of time, `at`."""

    text: str
    at: str


@dataclass(frozen=True, slots=True)
class PageSource:
    """A source and who stands behind it."""

    text: str
    audience: Audience


@dataclass(frozen=True, slots=True)
class PageRule:
    """A row of the table; `key` and `worst` sort it, `mark` says what the plan does to it."""

    stack: str
    cluster: str
    place: str
    ports: str
    key: str
    sources: tuple[PageSource, ...]
    worst: int
    ends: tuple[End, ...]
    tasks: str
    mark: str
    classes: str


@dataclass(frozen=True, slots=True)
class StackPart:
    """A stack in detail."""

    id: str
    name: str
    find: str
    exposed: bool
    counted: str
    changes: str
    state: str
    facts: tuple[Fact, ...]
    rules: tuple[PageRule, ...]
    nodes: tuple[Node, ...]
    keys: tuple[str, ...]
    code: str | None


def all_ports(reach: Reach) -> list[tuple[str, str]]:
    """Every range of a reach by its protocol, whoever may use it."""
    merged = union({(protocol, ""): ports} for (protocol, _), ports in reach.items())
    return [(protocol, str(item)) for (protocol, _), ports in merged.items() for item in ports]


def stack_part(item: PageStack, review: StackReview) -> StackPart:
    """The stack, with what is open, SSH with it, and what closes with its plan."""
    stack = item.stack
    rules = tuple(_rules(review))
    marks = [rule.mark for rule in rules if rule.mark]
    return StackPart(
        id=_anchor(stack),
        name=stack.name,
        find=" ".join((stack.name, stack.cloud, *task_files(stack))).lower(),
        exposed=reaches_internet(review, review.after),
        counted=count(len(all_ports(review.after)), "open port range"),
        changes=", ".join(
            f"{mark} {marks.count(mark)}" for mark in ("opens", "changes", "closes") if mark in marks
        ),
        state=f"state: {item.status.state}" if item.status else "",
        facts=tuple(_stack_facts(item)),
        rules=rules,
        nodes=item.status.nodes if item.status else (),
        keys=tuple(visible(rule.key) for rule in stack.packed),
        code=None if item.code is None else "\n".join(map(visible, item.code.split("\n"))),
    )


def _stack_facts(item: PageStack) -> list[Fact]:
    stack = item.stack
    found = [
        Fact("Cluster", stack.cluster),
        Fact("Where", place_word(stack)),
        Fact("Folder", stack.directory),
        Fact(
            "Mode",
            "a group of its own, attached" if stack.mode == "attach" else "the group that SkyPilot looks for",
        ),
        Fact("Tasks", visible(", ".join(task_files(stack))) or "none is left"),
    ]
    if stack.name_on_cloud:
        found.append(Fact("Name on the cloud", stack.name_on_cloud))
    if item.status and item.status.reason:
        found.append(Fact("State", visible(item.status.reason)))
    if item.status and item.status.endpoints:
        texts = [f"{port}: {text}" for port, text in sorted(item.status.endpoints.items())]
        found.append(Fact("Endpoints", visible(", ".join(texts))))
    return found


def _anchor(stack: Stack) -> str:
    return f"stack-{stack.name}"


def _rules(review: StackReview) -> list[PageRule]:
    """What is open, SSH with it, and what closes with the plan."""
    stack, known = review.stack, expirations(review.stack)
    wanted = group_rules(stack_rules(stack).values())
    ssh = group_rules(
        OpenRule("tcp", port, port, str(source)) for port in stack.ssh_ports for source in stack.ssh_sources
    )
    marks = {
        (row.rule.protocol, row.rule.from_port, row.rule.to_port): row.mark
        for row in review.rows
        if row.mark != "closes"
    }
    found = [_page_rule(review, rule, known, marks.get(_range_of(rule), "")) for rule in wanted]
    if stack.is_kept:
        found += [_page_rule(review, rule, (), marks.get(_range_of(rule), ""), "SSH") for rule in ssh]
    found += [_page_rule(review, row.rule, (), "closes") for row in review.rows if row.mark == "closes"]
    return found


def _range_of(rule: PortRule) -> tuple[str, int, int]:
    return rule.protocol, rule.from_port, rule.to_port


def _page_rule(
    review: StackReview, rule: PortRule, known: Sequence[Expiration], mark: str, tasks: str = ""
) -> PageRule:
    stack = review.stack
    ordered = sorted(rule.sources, key=lambda source: source_order(stack.cloud, source, review.ours))
    sources = tuple(PageSource(visible(source), review.audience(source)) for source in ordered)
    exposed = any(source.audience != "inside" for source in sources)
    ends = tuple(_ends(rule, known))
    words = (("exposed", exposed and mark != "closes"), ("ending", bool(ends)), ("news", bool(mark)))
    return PageRule(
        stack=_anchor(stack),
        cluster=stack.cluster,
        place=place_word(stack),
        ports=rule_word(rule),
        key=f"{rule.from_port:05} {rule.to_port:05} {rule.protocol}",
        sources=sources,
        worst=0 if exposed else 1,
        ends=ends,
        tasks=visible(", ".join(rule.tasks)) or tasks,
        mark=mark,
        classes=" ".join(word for word, there in words if there),
    )


def _ends(rule: PortRule, known: Sequence[Expiration]) -> list[End]:
    """When the rule's ports close, with the ports where it is not about all of them."""
    found = []
    for item in known:
        shared = PortSet((item.ports,)) & port_set([rule])
        if item.protocol == rule.protocol and shared and set(item.sources) & set(rule.sources):
            which = "" if shared == port_set([rule]) else f"{shared} "
            found.append(End(f"{which}{spell_expiry(item)}", item.at or ""))
    return list(dict.fromkeys(found))
