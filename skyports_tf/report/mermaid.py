"""The picture in Mermaid, which GitHub and GitLab draw in a comment.

https://mermaid.js.org/syntax/flowchart.html. Colours are those of GitHub's marks for what is added and
removed; each box names its own text colour, so that it can be read on a light page and on a dark one.
Tried with Mermaid 11.17 in a browser; what an older one does not know of the layout it leaves out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from skyports_tf.report.markup import mermaid
from skyports_tf.report.picture import Picture, PictureBox, PicturePorts, PictureSource
from skyports_tf.report.review import Mark

_WORDS: Final[dict[Mark, str]] = {"opens": "opens ", "changes": "changes ", "closes": "closes ", "stays": ""}
_ARROWS: Final[dict[Mark, str]] = {"opens": "==>", "changes": "-->", "closes": "-.->", "stays": "-->"}
_LINES: Final[dict[Mark, str]] = {
    "opens": "stroke:#1a7f37,stroke-width:3px",
    "changes": "stroke:#9a6700,stroke-width:2px",
    "closes": "stroke:#cf222e,stroke-width:2px",
    "stays": "stroke:#8b949e,stroke-width:1px",
}
# https://mermaid.js.org/config/directives.html: rows close to each other, names on one line. It stands in
# the second line, so that the first tells readers other than Mermaid what follows.
_LAYOUT: Final = (
    '%%{init: {"flowchart": {"nodeSpacing": 16, "rankSpacing": 60, "wrappingWidth": 360, "padding": 10,'
    ' "subGraphTitleMargin": {"top": 2, "bottom": 10}}}}%%'
)
_CLASSES: Final = {
    # the page shines through, light or dark
    "box": "fill:none,stroke:#8b949e",
    "internet": "fill:#ffd8b5,stroke:#bc4c00,stroke-width:2px,color:#5c2600",
    "public": "fill:#fff1e5,stroke:#bc4c00,color:#5c2600",
    "inside": "fill:#eaeef2,stroke:#57606a,color:#1f2328",
    "opens": "fill:#dafbe1,stroke:#1a7f37,stroke-width:2px,color:#044f1e",
    "changes": "fill:#fff8c5,stroke:#9a6700,color:#4d2d00",
    "closes": "fill:#ffebe9,stroke:#cf222e,stroke-dasharray:4 3,color:#82071e",
    "stays": "fill:#f6f8fa,stroke:#8b949e,color:#1f2328",
}


def mermaid_text(picture: Picture) -> str:
    """The picture as a flowchart from left to right, without a newline at its end."""
    lines = ["flowchart LR", f"  {_LAYOUT}"]
    lines += [f"  s{place}{_source(item)}" for place, item in enumerate(picture.sources)]
    framed = [number for number, box in enumerate(picture.boxes) if len(box.ports) > 1]
    for number, box in enumerate(picture.boxes):
        if number not in framed:
            lines += [f"  b{number}p0{_lone_box(box)}"]
            continue
        lines.append(f'  subgraph b{number}["{_box_title(box.title, box.place)}"]')
        lines += [
            f'    b{number}p{place}["{_ports(item)}"]:::{item.mark}' for place, item in enumerate(box.ports)
        ]
        lines.append("  end")
    if framed:
        lines.append(f"  class {','.join(f'b{number}' for number in framed)} box")
    edges = list(_edges(picture))
    lines += [f"  s{source} {_ARROWS[mark]} {target}" for source, target, mark in edges]
    for mark, look in _LINES.items():
        if found := [str(place) for place, (_, _, kind) in enumerate(edges) if kind == mark]:
            lines.append(f"  linkStyle {','.join(found)} {look}")
    return "\n".join([*lines, *(f"  classDef {name} {look}" for name, look in _looks("\n".join(lines)))])


def _looks(drawn: str) -> Iterator[tuple[str, str]]:
    """The classes that the picture uses: a comment has no room for the others."""
    used = {word.rpartition(":::")[2] for word in drawn.split()}
    yield from ((name, look) for name, look in _CLASSES.items() if name in used)


def _source(item: PictureSource) -> str:
    if item.audience == "internet":
        return f'(["the internet<br/>{mermaid(item.title)}"]):::internet'
    told = "<br/>public addresses" if item.audience == "public" else ""
    return f'(["{mermaid(item.title)}{told}"]):::{item.audience}'


def _lone_box(box: PictureBox) -> str:
    """Clusters with one row of ports, which need no frame around it."""
    (item,) = box.ports
    title = "<br/>".join((_ports(item), _box_title(box.title, box.place)))
    return f'["{title}"]:::{item.mark}'


def _box_title(title: str, place: str) -> str:
    return f"{mermaid(title)} ({mermaid(place)})"


def _ports(item: PicturePorts) -> str:
    return f"{_WORDS[item.mark]}{mermaid(item.title)}"


def _edges(picture: Picture) -> Iterator[tuple[int, str, Mark]]:
    for number, box in enumerate(picture.boxes):
        for place, item in enumerate(box.ports):
            for source in item.sources:
                yield source, f"b{number}p{place}", item.mark
