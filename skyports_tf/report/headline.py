"""The sentence that a review begins with: `Opens tcp/8888 to the internet on web; closes tcp/80 on db`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from skyports_tf.ports import PortSet
from skyports_tf.reach import union
from skyports_tf.report.markup import code, plain
from skyports_tf.report.port_words import Ports, by_source, listed, port_words, unique
from skyports_tf.report.review import Reach, StackReview, rule_reach, source_order
from skyports_tf.report.style import count

_MOST_PARTS = 3
_MOST_PORTS = 4
_MOST_NAMES = 3
_MOST_NAMED = 12
_INTERNET: Final = "the internet"


@dataclass(frozen=True, slots=True)
class _Part:
    """Some ports that open or close alike on some clusters; `to` is who reaches them, in Markdown."""

    rank: int
    ports: Ports
    to: str
    clusters: tuple[str, ...]


def headline(reviews: Sequence[StackReview], failed: int = 0) -> str:
    """What opens and closes, the internet first, in one sentence of Markdown without its full stop.

    `failed` is how many stacks could not be planned, of which nothing is known.
    """
    said = [*_opening(reviews), *_closing(reviews)]
    if not said:
        said = [_quiet(reviews, failed)] if reviews or not failed else []
    if failed:
        said.append(f"{count(failed, 'stack')} could not be planned")
    text = "; ".join(said)
    return text[0].upper() + text[1:]


def _opening(reviews: Sequence[StackReview]) -> list[str]:
    """What opens, and in words of its own what opens for SSH."""
    told = []
    for ssh, verb in ((False, "opens"), (True, "opens SSH,")):
        parts = _parts((review, _news(review, ssh)) for review in reviews)
        words = [f"{_ports(part)} to {part.to} on {_names(part)}" for part in parts]
        told += [f"{verb} {_some(words, 'opening')}"] if words else []
    return told


def _closing(reviews: Sequence[StackReview]) -> list[str]:
    parts = _parts(((review, review.lost) for review in reviews), tell_apart=False)
    words = [f"{_ports(part)} on {_names(part)}" for part in parts]
    return [f"closes {_some(words, 'closing')}"] if words else []


def _quiet(reviews: Sequence[StackReview], failed: int) -> str:
    if any(review.rows for review in reviews):
        return "rules change, and who can reach what stays as it is"
    where = " elsewhere" if failed else ""
    if any(review.plan.counts.any for review in reviews):
        return f"no port opens or closes{where}, but Terraform has changes"
    return f"no port opens or closes{where}"


def _news(review: StackReview, ssh: bool) -> Reach:
    """What can be reached for the first time, through the rules for SSH or through the others."""
    ours = union(rule_reach(row.rule) for row in review.rows if row.ssh == ssh and row.mark != "closes")
    return {
        place: found
        for place, ports in review.gained.items()
        if (found := ports & ours.get(place, PortSet()))
    }


def _parts(news: Iterable[tuple[StackReview, Reach]], tell_apart: bool = True) -> list[_Part]:
    """Who gains or loses what, the same on several clusters told once."""
    found: dict[tuple[int, Ports, str], list[str]] = {}
    for review, reach in news:
        for rank, ports, to in _of_stack(review, reach, tell_apart):
            found.setdefault((rank, ports, to), []).append(review.stack.cluster)
    parts = [_Part(*key, tuple(unique(names))) for key, names in found.items()]
    return sorted(parts, key=lambda part: (part.rank, -len(part.clusters), port_words(part.ports), part.to))


def _of_stack(review: StackReview, reach: Reach, tell_apart: bool) -> list[tuple[int, Ports, str]]:
    if not tell_apart:
        return [(0, ports, "") for ports in by_source(_to_all(reach.items())).values()]
    wide = _to_all(item for item in reach.items() if review.audience(item[0][1]) == "internet")
    told = [(0, ports, _INTERNET) for ports in by_source(wide).values()]
    others: dict[Ports, list[str]] = {}
    for source, ports in by_source(reach).items():
        if review.audience(source) != "internet":
            others.setdefault(ports, []).append(source)
    for ports, sources in others.items():
        ordered = sorted(sources, key=lambda item: source_order(review.stack.cloud, item, review.ours))
        told.append((1, ports, listed([code(item) for item in ordered], 2)))
    return told


def _to_all(items: Iterable[tuple[tuple[str, str], PortSet]]) -> Reach:
    """The ports of several sources together, whoever they are."""
    return union({(protocol, ""): ports} for (protocol, _), ports in items)


def _ports(part: _Part) -> str:
    return listed(
        [plain(word) if "*" not in word else code(word) for word in port_words(part.ports)], _MOST_PORTS
    )


def _names(part: _Part) -> str:
    if len(part.clusters) > _MOST_NAMED:
        return f"{len(part.clusters)} clusters"
    return listed([plain(name) for name in part.clusters], _MOST_NAMES, "clusters")


def _some(words: Sequence[str], noun: str) -> str:
    left = len(words) - _MOST_PARTS
    more = f", and {count(left, f'more {noun}')}" if left > 0 else ""
    return ", ".join(words[:_MOST_PARTS]) + more
