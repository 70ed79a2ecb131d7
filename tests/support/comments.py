"""Plans for comments, and a reader of comments: what a person finds stated in one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from skyports_tf.model import Grant, IngressRule, LedgerEntry, Stack
from skyports_tf.outcomes import PortChanges, PortRule, ResourceCounts, StackPlan
from skyports_tf.ports import PortRange, PortSet, parse_port_range
from skyports_tf.reach import union
from skyports_tf.running.changes import OpenRule, group_rules
from skyports_tf.sources import parse_source

Opening = tuple[str, int, int, str]
Stated = dict[tuple[str, str, str, str], PortSet]


def rule(
    first: int, last: int | None = None, sources: Sequence[str] = ("0.0.0.0/0",), protocol: str = "tcp"
) -> PortRule:
    """A rule in port words."""
    return PortRule(protocol, first, last or first, tuple(sources), ("web.yaml",))


def stack(
    cluster: str = "web",
    openings: Iterable[Opening] = (),
    cloud: str = "aws",
    region: str | None = "us-east-1",
    file: str = "web.yaml",
) -> Stack:
    """A stack of the cluster that wants these openings, and no SSH."""
    rules = tuple(
        IngressRule(protocol, PortRange(first, last), parse_source(source), tasks=(file,))  # type: ignore[arg-type]
        for protocol, first, last, source in openings
    )
    grants = tuple(Grant(item.protocol, item.ports, item.source) for item in rules)
    entry = LedgerEntry(file, cluster, 0, PortSet.of(item.ports for item in rules), grants)
    return Stack(cluster, cloud, region, entries=(entry,), rules=rules)


def opening_plan(cluster: str, openings: Iterable[Opening], **place: str | None) -> StackPlan:
    """A plan that opens all that the stack wants, as `plan` tells it."""
    wanted = list(openings)
    rules = group_rules(OpenRule(*item, tasks=("web.yaml",)) for item in wanted)
    return StackPlan(
        stack(cluster, wanted, **place),  # type: ignore[arg-type]
        PortChanges(open=rules),
        ResourceCounts(create=len(wanted)),
        f"infra/{cluster}/skyports.tfplan",
    )


def place_of(stack: Stack) -> str:
    """Where a stack is, as a comment spells it."""
    return stack.cloud if stack.region is None else f"{stack.cloud}/{stack.region}"


def opened_by(plans: Iterable[StackPlan]) -> Stated:
    """What plans open: ports by cluster, place, protocol and source."""
    return union(
        {
            (plan.stack.cluster, place_of(plan.stack), item.protocol, source): PortSet(
                (PortRange(item.from_port, item.to_port),)
            )
        }
        for plan in plans
        for item in plan.changes.open
        for source in item.sources
    )


def stated_openings(comment: str) -> Stated:
    """What a comment states to open, in its tables and in its compact lists."""
    return union([*map(_pairs, _rows(comment)), *map(_pairs, _lines(comment))])


def _pairs(row: tuple[list[str], str, dict[str, PortSet], list[str]]) -> Stated:
    clusters, place, ports, sources = row
    return {
        (cluster, place, protocol, source): found
        for cluster in clusters
        for protocol, found in ports.items()
        for source in sources
    }


def _rows(comment: str) -> Iterator[tuple[list[str], str, dict[str, PortSet], list[str]]]:
    for line in comment.splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) == 8 and cells[1] == "🟢 opens":
            sources = re.sub(r"🌐|\*\*the internet\*\*|public|`", "", cells[5].replace("<br>", ","))
            yield _words(cells[2]), _bare(cells[3]), _ports(_bare(cells[4])), _words(sources)


def _lines(comment: str) -> Iterator[tuple[list[str], str, dict[str, PortSet], list[str]]]:
    for block in re.findall(r"^```diff\n(.*?)\n```$", comment, re.DOTALL | re.MULTILINE):
        place = ""
        for line in block.splitlines():
            if line.startswith("@@ "):
                place = line[3:-3]
            elif line[0] in "+!":
                left, _, sources = line[2:].partition(" <- ")
                clusters, _, ports = left.partition(" ")
                yield clusters.split(","), place, _ports(ports), sources.split(",")


def _bare(cell: str) -> str:
    return cell.strip("*`")


def _words(cell: str) -> list[str]:
    return [_bare(word.strip()) for word in cell.split(",") if word.strip()]


def _ports(text: str) -> dict[str, PortSet]:
    """`tcp/80,9000-9005 udp/53`, or one of them."""
    found = {}
    for word in text.split(" "):
        protocol, _, ports = word.partition("/")
        ranges = [PortRange(1, 65535)] if ports == "*" else map(parse_port_range, ports.split(","))
        found[protocol] = PortSet.of(ranges)
    return found
