"""The picture of who reaches what: sources on the left, clusters with their ports on the right.

It is kept small enough to read: clusters that are alike are drawn as one, and what is still too much
is drawn as one box that says how many it stands for. Nothing is said here in Mermaid or in SVG.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Final

from skyports_tf.model import Stack
from skyports_tf.ports import PortSet
from skyports_tf.reach import meet, minus, union
from skyports_tf.report.port_words import Ports, by_source, listed, place_word, port_words, unique
from skyports_tf.report.review import AUDIENCES, Audience, Mark, Reach, StackReview, source_order
from skyports_tf.report.style import count

_MOST_NAMES = 3
_MOST_WORDS = 4
_MARK_ORDER: Final[tuple[Mark, ...]] = ("opens", "changes", "closes", "stays")


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a picture may hold: sources, boxes of clusters, and rows of ports in a box.

    Up to `alone` clusters are each drawn on their own; where there are more, those that are alike are one.
    Where that leaves more than `kinds`, a cluster stands with each row of its ports where that row is told.
    """

    sources: int = 10
    boxes: int = 12
    ports: int = 6
    alone: int = 8
    kinds: int = 4


@dataclass(frozen=True, slots=True)
class PictureSource:
    """Who reaches ports: one source, or several that reach the same or are too many to draw."""

    title: str
    audience: Audience


@dataclass(frozen=True, slots=True)
class PicturePorts:
    """Ports that the same sources (places in `Picture.sources`) reach, or reached."""

    title: str
    mark: Mark
    sources: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PictureBox:
    """A cluster at a place, or several that are alike; `stacks` are the names of their stacks."""

    title: str
    place: str
    stacks: tuple[str, ...]
    ports: tuple[PicturePorts, ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """The sources, the internet first, and the boxes, what the internet reaches first."""

    sources: tuple[PictureSource, ...] = ()
    boxes: tuple[PictureBox, ...] = ()


@dataclass(frozen=True, slots=True)
class _Row:
    ports: Ports
    mark: Mark
    sources: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Box:
    stacks: tuple[Stack, ...]
    rows: tuple[_Row, ...]


def draw(reviews: Sequence[StackReview], limits: Limits | None = None) -> Picture:
    """The picture of stacks under review, or of stacks as they are where no plan is in the way.

    What stays as it is, is drawn where something is new or closing in the same stack, and these are few;
    or where nothing changes at all.
    """
    most = limits or Limits()
    known = {source: review for review in reviews for _, source in (*review.before, *review.after)}
    boxes = [_Box((review.stack,), rows) for review in reviews if (rows := _rows(review))]
    changing = [box for box in boxes if any(row.mark != "stays" for row in box.rows)]
    changed = [_news(box) for box in changing] if len(changing) > most.alone else changing
    boxes = _grouped(changed or boxes, most)
    named = _titles([row.sources for box in boxes for row in box.rows], known, most.sources)
    ranks = {source: place for place, (_, sources) in enumerate(named) for source in sources}
    ordered = sorted(boxes, key=lambda box: _box_order(box, known))
    drawn = [_drawn(box, ranks, known, most) for box in ordered]
    if len(drawn) > most.boxes:
        most_boxes = most.boxes - 1
        shown = {stack.cluster for box in ordered[:most_boxes] for stack in box.stacks}
        drawn = [*drawn[:most_boxes], _the_rest(ordered[most_boxes:], shown, ranks, known)]
    return Picture(tuple(source for source, _ in named), tuple(drawn))


def _rows(review: StackReview) -> tuple[_Row, ...]:
    """What is new, what closes and what stays, each by the sources that share it."""
    new, gone = union([review.gained]), review.lost
    # what is made anew as it was is drawn as a change
    again = minus(review.opened, new)
    stays = minus(minus(review.after, new), again)
    parts: tuple[tuple[Mark, Reach], ...] = (
        ("opens", new),
        ("changes", meet(again, review.after)),
        ("closes", gone),
        ("stays", stays),
    )
    return tuple(
        _Row(ports, mark, frozenset(sources))
        for mark, reach in parts
        for ports, sources in _by_ports(reach).items()
    )


def _news(box: _Box) -> _Box:
    return _Box(box.stacks, tuple(row for row in box.rows if row.mark != "stays"))


def _by_ports(reach: Reach) -> dict[Ports, list[str]]:
    found: dict[Ports, list[str]] = {}
    for source, ports in by_source(reach).items():
        found.setdefault(ports, []).append(source)
    return found


def _grouped(boxes: Sequence[_Box], most: Limits) -> list[_Box]:
    """The boxes; where they are many, those that are alike as one, or their rows."""
    if len(boxes) <= most.alone:
        return list(boxes)
    alike = _alike(boxes)
    if len(alike) <= most.kinds:
        return alike
    return _alike([_Box(box.stacks, (row,)) for box in boxes for row in box.rows])


def _alike(boxes: Sequence[_Box]) -> list[_Box]:
    """The boxes, those with the same ports for the same sources as one."""
    found: dict[frozenset[_Row], list[Stack]] = {}
    for box in boxes:
        found.setdefault(frozenset(box.rows), []).extend(box.stacks)
    first = {frozenset(box.rows): box.rows for box in reversed(boxes)}
    return [_Box(tuple(stacks), first[rows]) for rows, stacks in found.items()]


def _titles(
    groups: Iterable[frozenset[str]], known: Mapping[str, StackReview], most: int
) -> list[tuple[PictureSource, tuple[str, ...]]]:
    """The sources as they are drawn: those that always come together as one, the least used counted."""
    together: dict[str, set[frozenset[str]]] = {}
    used: dict[str, int] = {}
    for group in groups:
        for source in group:
            together.setdefault(source, set()).add(group)
            used[source] = used.get(source, 0) + 1
    found: dict[tuple[Audience, frozenset[frozenset[str]]], list[str]] = {}
    for source in sorted(together, key=lambda source: _order(source, known)):
        who = known[source].audience(source)
        found.setdefault((who, frozenset(together[source])), []).append(source)
    drawn = [(who, tuple(sources)) for (who, _), sources in found.items()]
    if len(drawn) > most:
        keep = sorted(
            drawn, key=lambda item: (item[0] == "inside", -used[item[1][0]], _order(item[1][0], known))
        )
        kept = set(keep[: most - 1])
        rest = tuple(source for item in drawn if item not in kept for source in item[1])
        # of what is drawn as one, the worst is told
        worst = min((known[source].audience(source) for source in rest), key=AUDIENCES.index)
        drawn = [item for item in drawn if item in kept]
        return [*map(_source, drawn), (PictureSource(count(len(rest), "more source"), worst), rest)]
    return [_source(item) for item in drawn]


def _source(item: tuple[Audience, tuple[str, ...]]) -> tuple[PictureSource, tuple[str, ...]]:
    who, sources = item
    return PictureSource(listed(sources, 2, ""), who), sources


def _order(source: str, known: Mapping[str, StackReview]) -> tuple[object, ...]:
    review = known[source]
    return source_order(review.stack.cloud, source, review.ours)


def _box_order(box: _Box, known: Mapping[str, StackReview]) -> tuple[object, ...]:
    """What opens to the internet, then what the internet reaches, then what changes; large groups first."""
    exposed = [
        row.mark for row in box.rows if any(known[item].audience(item) != "inside" for item in row.sources)
    ]
    marks = [row.mark for row in box.rows]
    worst = min((_MARK_ORDER.index(mark) for mark in exposed), default=len(_MARK_ORDER))
    return worst, min(map(_MARK_ORDER.index, marks)), -len(box.stacks), box.stacks[0].directory


def _drawn(box: _Box, ranks: Mapping[str, int], known: Mapping[str, StackReview], most: Limits) -> PictureBox:
    rows = [
        PicturePorts(listed(port_words(row.ports), _MOST_WORDS), row.mark, _places(row.sources, ranks))
        for row in box.rows
    ]
    rows.sort(key=lambda row: (_MARK_ORDER.index(row.mark), row.sources))
    names = unique(stack.cluster for stack in box.stacks)
    places = unique(place_word(stack) for stack in box.stacks)
    title = (
        listed(names, _MOST_NAMES)
        if len(names) <= _MOST_NAMES
        else f"{len(names)} clusters: {listed(names, 2)}"
    )
    return PictureBox(
        title,
        listed(places, 2),
        tuple(stack.name for stack in box.stacks),
        tuple(rows if len(rows) <= most.ports else _fewer(box.rows, ranks, known)),
    )


def _fewer(
    rows: Iterable[_Row], ranks: Mapping[str, int], known: Mapping[str, StackReview]
) -> list[PicturePorts]:
    """One row a mark and audience: the ports where all sources reach all of them, else only how many."""
    found: dict[tuple[int, int], list[_Row]] = {}
    for row in rows:
        who = min(AUDIENCES.index(known[source].audience(source)) for source in row.sources)
        found.setdefault((_MARK_ORDER.index(row.mark), who), []).append(row)
    return [_one_row(group, ranks) for _, group in sorted(found.items(), key=lambda item: item[0])]


def _one_row(rows: Sequence[_Row], ranks: Mapping[str, int]) -> PicturePorts:
    words = unique(word for row in rows for word in port_words(row.ports))
    sources = frozenset(source for row in rows for source in row.sources)
    exact = len(words) <= _MOST_WORDS and all(row.sources == sources for row in rows)
    title = listed(words, _MOST_WORDS) if exact else count(len(words), "port range")
    return PicturePorts(title, rows[0].mark, _places(sources, ranks))


def _the_rest(
    boxes: Sequence[_Box], shown: Set[str], ranks: Mapping[str, int], known: Mapping[str, StackReview]
) -> PictureBox:
    """What has no box of its own as one box; clusters that are drawn with other ports are no further ones."""
    stacks = [stack for box in boxes for stack in box.stacks]
    names = unique(stack.cluster for stack in stacks)
    rows = _fewer([row for box in boxes for row in box.rows], ranks, known)
    return PictureBox(
        count(len(names), "cluster" if shown & set(names) else "more cluster"),
        listed(unique(place_word(stack) for stack in stacks), 2),
        tuple(stack.name for stack in stacks),
        tuple(rows),
    )


def _places(sources: Iterable[str], ranks: Mapping[str, int]) -> tuple[int, ...]:
    return tuple(sorted({ranks[source] for source in sources}))


def ports_of(reach: Mapping[tuple[str, str], PortSet]) -> Ports:
    """All ports of a reach, whoever may use them."""
    merged = union({(protocol, ""): ports} for (protocol, _), ports in reach.items())
    return by_source(merged).get("", ())
