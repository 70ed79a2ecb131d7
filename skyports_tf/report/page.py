"""One page for the open ports of a tree: what the template prints, and nothing that it has to work out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from skyports_tf.deadlines import expirations
from skyports_tf.diagnostics import visible
from skyports_tf.model import Stack
from skyports_tf.outcomes import PortChanges, ResourceCounts, StackPlan
from skyports_tf.report.drawing import NARROW, WIDE, Drawing, lay_out, map_label
from skyports_tf.report.page_stacks import Fact, PageRule, PageStack, StackPart, all_ports, stack_part
from skyports_tf.report.picture import Limits, draw
from skyports_tf.report.port_words import listed, unique
from skyports_tf.report.review import StackReview, reaches_internet, review_plan
from skyports_tf.report.style import count
from skyports_tf.report.text import port_counts

HEADS = ("Cluster", "Where", "Ports", "From", "Until", "Asked by")
_LIMITS = Limits(sources=14, boxes=24, ports=6, alone=16, kinds=24)
_MOST_BARS = 8
_MOST_NAMES = 5


@dataclass(frozen=True, slots=True)
class Bar:
    """Ports that the internet reaches, on how many clusters of all, in hundredths."""

    ports: str
    clusters: str
    share: int


@dataclass(frozen=True, slots=True)
class Page:
    """The page."""

    tree: str
    told_of: str
    beside: str
    exposed: bool
    planned: bool
    verdict: str
    because: str
    heads: tuple[str, ...]
    facts: tuple[Fact, ...]
    bars: tuple[Bar, ...]
    wide: Drawing
    narrow: Drawing
    map_label: str
    rules: tuple[PageRule, ...]
    stacks: tuple[StackPart, ...]


def build_page(tree: str, stacks: Sequence[PageStack], ours: tuple[str, ...] = ()) -> Page:
    """The page of a tree's stacks; `ours` are the blocks that the config does not take for the internet."""
    reviews = [review_plan(item.plan or _unplanned(item.stack), ours) for item in stacks]
    parts = tuple(stack_part(item, review) for item, review in zip(stacks, reviews, strict=True))
    picture = draw(reviews, _LIMITS)
    rules = tuple(rule for part in parts for rule in part.rules)
    exposed, clusters = _exposed(reviews), unique(item.stack.cluster for item in stacks)
    return Page(
        # where the tree lies on a machine is nobody's business
        tree=visible(PurePath(tree).name or tree),
        told_of=_told_of(stacks),
        beside=_beside(stacks),
        exposed=bool(exposed),
        planned=any(item.plan for item in stacks),
        verdict=_verdict(len(exposed), len(clusters)),
        because=" ".join(_because(exposed, stacks)),
        heads=HEADS,
        facts=_facts(reviews, len(clusters), len(exposed)),
        bars=_bars(reviews, len(clusters)),
        wide=lay_out(picture, WIDE),
        narrow=lay_out(picture, NARROW),
        map_label=map_label(picture),
        rules=rules,
        stacks=parts,
    )


def _unplanned(stack: Stack) -> StackPlan:
    return StackPlan(stack, PortChanges(), ResourceCounts())


def _exposed(reviews: Iterable[StackReview]) -> list[str]:
    return unique(item.stack.cluster for item in reviews if reaches_internet(item, item.after))


def _verdict(exposed: int, clusters: int) -> str:
    if not exposed:
        return "No cluster can be reached from the internet"
    them = "cluster" if clusters == 1 else "clusters"
    return f"{exposed} of {clusters} {them} can be reached from the internet"


def _because(exposed: Sequence[str], stacks: Sequence[PageStack]) -> list[str]:
    """Which clusters they are, and what the plans do."""
    told = [f"{listed(exposed, _MOST_NAMES)}."] if exposed else []
    plans = [item.plan for item in stacks if item.plan]
    if plans:
        opened, changed, closed = port_counts(plans)
        told.append(
            f"That is with the plan applied: {opened} to open, {changed} to change, {closed} to close."
        )
    return told


def _told_of(stacks: Sequence[PageStack]) -> str:
    return f", {count(len(stacks), 'stack')}"


def _beside(stacks: Sequence[PageStack]) -> str:
    told = [
        word
        for word, there in (
            ("its plan", any(item.plan for item in stacks)),
            ("its state", any(item.status for item in stacks)),
        )
        if there
    ]
    return f", with {listed(told, 2)}" if told else ""


# -- the facts in sight ----------------------------------------------------------------


def _facts(reviews: Sequence[StackReview], clusters: int, exposed: int) -> tuple[Fact, ...]:
    reaches = [review.after for review in reviews]
    ranges = sum(len(all_ports(review.after)) for review in reviews)
    sources = {source for reach in reaches for _, source in reach}
    ending = sum(bool(expirations(review.stack)) for review in reviews)
    return (
        Fact("Clusters", str(clusters)),
        Fact("On the internet", str(exposed), alarm=bool(exposed)),
        Fact("Port ranges", str(ranges)),
        Fact("Sources", str(len(sources))),
        Fact("With an end", str(ending)),
    )


def _bars(reviews: Sequence[StackReview], clusters: int) -> tuple[Bar, ...]:
    """The ports that the internet reaches, those on the most clusters first."""
    found: dict[tuple[str, str], list[str]] = {}
    for review in reviews:
        wide = {
            place: ports for place, ports in review.after.items() if review.audience(place[1]) != "inside"
        }
        for place in all_ports(wide):
            found.setdefault(place, []).append(review.stack.cluster)
    ordered = sorted(found.items(), key=lambda item: (-len(set(item[1])), item[0]))
    bars = [
        Bar(
            f"{protocol}/{ports}",
            listed(unique(names), 3) if len(set(names)) <= 3 else f"{len(set(names))} clusters",
            max(1, 100 * len(set(names)) // clusters),
        )
        for (protocol, ports), names in ordered[:_MOST_BARS]
    ]
    if left := ordered[_MOST_BARS:]:
        names = {name for _, found_names in left for name in found_names}
        bars.append(
            Bar(f"{len(left)} more", count(len(names), "cluster"), max(1, 100 * len(names) // clusters))
        )
    return tuple(bars)
