"""The picture laid out for a page: where each source, box and line of it stands, in SVG's own units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log2
from typing import Final

from skyports_tf.report.picture import Picture, PictureBox, PicturePorts, PictureSource
from skyports_tf.report.review import Audience
from skyports_tf.report.style import count

_AUDIENCES: Final[dict[Audience, str]] = {
    "internet": "The internet",
    "public": "public addresses",
    "inside": "",
}
# bold letters are that much wider
_BOLD = 1.12
_ROW = 24
_ROW_GAP = 5
_HEAD = 44
_PAD = 10
_GAP = 14
_SOURCE = 40
_SOURCE_GAP = 12


@dataclass(frozen=True, slots=True)
class Sheet:
    """The width of a drawing, and where its two columns stand; `letter` is about as wide as one is,
    `stroke` how thick lines are.
    """

    width: int
    sources: tuple[int, int]
    boxes: tuple[int, int]
    letter: float
    stroke: float


#: For a screen, and for a phone of 360 pixels.
WIDE = Sheet(1000, (4, 236), (560, 436), 7.0, 1.0)
NARROW = Sheet(320, (2, 118), (162, 156), 6.4, 0.6)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text; `look` is its class."""

    x: int
    y: int
    text: str
    look: str = ""


@dataclass(frozen=True, slots=True)
class Shape:
    """A rounded box with its lines, its whole text, and for a box of clusters the rows of ports in it."""

    x: int
    y: int
    width: int
    height: int
    kind: str
    full: str
    lines: tuple[Line, ...] = ()
    rows: tuple[Row, ...] = ()
    link: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """Ports in a box."""

    x: int
    y: int
    width: int
    height: int
    kind: str
    text: str
    full: str


@dataclass(frozen=True, slots=True)
class Edge:
    """A line from a source to ports; `path` is SVG's."""

    path: str
    kind: str
    width: float


@dataclass(frozen=True, slots=True)
class Drawing:
    """All of it, with its size."""

    width: int
    height: int
    sources: tuple[Shape, ...]
    boxes: tuple[Shape, ...]
    edges: tuple[Edge, ...]


def lay_out(picture: Picture, sheet: Sheet) -> Drawing:
    """Boxes below each other on the right, each source as near as it can be to what it reaches."""
    boxes, y = [], 4
    for box in picture.boxes:
        shape = _box(box, picture, sheet, y)
        boxes.append(shape)
        y += shape.height + _GAP
    bottom = max(y - _GAP, len(picture.sources) * (_SOURCE + _SOURCE_GAP)) + 4
    places = _source_places(picture, boxes, bottom)
    sources = tuple(_source(item, sheet, place) for item, place in zip(picture.sources, places, strict=True))
    edges = tuple(_edges(picture, boxes, sources, sheet.stroke))
    return Drawing(sheet.width, bottom, sources, tuple(boxes), edges)


def _box(box: PictureBox, picture: Picture, sheet: Sheet, y: int) -> Shape:
    x, width = sheet.boxes
    letters = int((width - 2 * _PAD) / sheet.letter)
    lines = (
        Line(x + _PAD, y + 19, _cut(box.title, int(letters / _BOLD)), "strong"),
        Line(x + _PAD, y + 35, _cut(box.place, letters), "quiet"),
    )
    rows = tuple(
        Row(
            x + _PAD,
            y + _HEAD + place * (_ROW + _ROW_GAP),
            width - 2 * _PAD,
            _ROW,
            _kind(item, picture),
            _cut(item.title, letters - 2),
            f"{box.title}: {_said(item, picture)}",
        )
        for place, item in enumerate(box.ports)
    )
    height = _HEAD + len(rows) * (_ROW + _ROW_GAP) + _PAD - _ROW_GAP
    full = f"{box.title} ({box.place})"
    link = f"stack-{box.stacks[0]}" if len(box.stacks) == 1 else ""
    return Shape(x, y, width, height, "box", full, lines, rows, link)


def _said(item: PicturePorts, picture: Picture) -> str:
    """A row in words, for who hears the page or points at it."""
    names = ", ".join(picture.sources[place].title for place in item.sources)
    verb = {"opens": "opens ", "closes": "closes ", "changes": "changes ", "stays": ""}[item.mark]
    return f"{verb}{item.title} from {names}"


def _kind(item: PicturePorts, picture: Picture) -> str:
    hot = any(picture.sources[place].audience != "inside" for place in item.sources)
    mark = item.mark if item.mark in ("opens", "closes") else ""
    return " ".join(filter(None, ("hot" if hot else "", mark)))


def _source_places(picture: Picture, boxes: Sequence[Shape], bottom: int) -> list[int]:
    """The upper edge of each source: at the mean of its ports, moved apart where two would touch."""
    wanted = []
    for place in range(len(picture.sources)):
        rows = [
            shape.rows[number].y + _ROW // 2
            for box, shape in zip(picture.boxes, boxes, strict=True)
            for number, item in enumerate(box.ports)
            if place in item.sources
        ]
        wanted.append(sum(rows) / len(rows) - _SOURCE / 2 if rows else 0)
    order = sorted(range(len(wanted)), key=lambda place: (wanted[place], place))
    step, found = _SOURCE + _SOURCE_GAP, [0] * len(wanted)
    free = 4
    for place in order:
        found[place] = max(free, round(wanted[place]))
        free = found[place] + step
    # what was pushed below the end moves up again, and pushes what is above it
    most = bottom - 4 - _SOURCE
    for place in reversed(order):
        found[place] = min(found[place], most)
        most = found[place] - step
    return found


def _source(item: PictureSource, sheet: Sheet, y: int) -> Shape:
    x, width = sheet.sources
    middle, letters = x + width // 2, int((width - 14) / sheet.letter)
    text, word = _cut(item.title, letters), _cut(_AUDIENCES[item.audience], letters)
    lines: tuple[Line, ...] = (Line(middle, y + 25, text),)
    if item.audience == "internet":
        lines = (Line(middle, y + 18, word, "strong"), Line(middle, y + 32, text, "quiet"))
    elif item.audience == "public":
        lines = (Line(middle, y + 18, text, "strong"), Line(middle, y + 32, word, "quiet"))
    kind = "" if item.audience == "inside" else "hot"
    full = " ".join(filter(None, (_AUDIENCES[item.audience], item.title)))
    return Shape(x, y, width, _SOURCE, kind, full, lines)


def _edges(picture: Picture, boxes: Sequence[Shape], sources: Sequence[Shape], stroke: float) -> list[Edge]:
    found = []
    for box, shape in zip(picture.boxes, boxes, strict=True):
        for item, row in zip(box.ports, shape.rows, strict=True):
            for place in item.sources:
                source = sources[place]
                kind = item.mark if item.mark in ("opens", "closes") else source.kind
                width = round((1.6 + min(log2(len(box.stacks)), 9) * 0.7) * stroke, 1)
                found.append(Edge(_curve(source, row), kind, width))
    # what matters most is drawn last, and so on top
    order = ("", "closes", "opens", "hot")
    return sorted(found, key=lambda edge: order.index(edge.kind) if edge.kind in order else 0)


def _curve(source: Shape, row: Row) -> str:
    left, right = source.x + source.width, row.x
    top, end = source.y + source.height // 2, row.y + row.height // 2
    bend = (right - left) // 2
    return f"M{left} {top}C{left + bend} {top} {right - bend} {end} {right} {end}"


def _cut(text: str, letters: int) -> str:
    return text if len(text) <= letters else f"{text[: max(letters - 1, 1)]}…"


def map_label(picture: Picture) -> str:
    """The map in one sentence, for who cannot see it; the table below has all of it."""
    reached = sum(
        any(picture.sources[place].audience != "inside" for item in box.ports for place in item.sources)
        for box in picture.boxes
    )
    return (
        f"{count(len(picture.sources), 'source')} on the left, "
        f"{count(len(picture.boxes), 'box', 'boxes')} of clusters on the right, "
        f"{reached} of them reached from the internet. The table below has all of it."
    )
