"""Colours and columns of the text reports; the terminal's side drops the colours where none are wanted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Literal

from skyports_tf.diagnostics import visible

Look = Literal["bold", "dim", "red", "green", "yellow", "cyan"]

# ECMA-48, Select Graphic Rendition
_CODES: Final[dict[str, int]] = {"bold": 1, "dim": 2, "red": 31, "green": 32, "yellow": 33, "cyan": 36}


def style(text: str, *looks: Look) -> str:
    """`text` in these looks; as it is where there are none, or where it is empty."""
    if not looks or not text:
        return text
    codes = ";".join(str(_CODES[look]) for look in looks)
    return f"\x1b[{codes}m{text}\x1b[0m"


def columns(rows: Iterable[Sequence[str]], indent: int = 2, looks: Sequence[Look | None] = ()) -> list[str]:
    """The rows as lines of left-aligned columns, two blanks apart, without blanks at the end.

    `looks` names the look of each column. Control characters are shown escaped.
    """
    shown = [[visible(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)] if shown else []
    return [" " * indent + _line(row, widths, looks) for row in shown]


def _line(row: Sequence[str], widths: Sequence[int], looks: Sequence[Look | None]) -> str:
    last = max((place for place, cell in enumerate(row) if cell), default=-1)
    cells = []
    for place, cell in enumerate(row[: last + 1]):
        look = looks[place] if place < len(looks) else None
        padding = " " * (widths[place] - len(cell)) if place < last else ""
        cells.append((style(cell, look) if look else cell) + padding)
    return "  ".join(cells)


def count(number: int, noun: str, plural: str | None = None) -> str:
    """A number and its noun: `1 port`, `2 ports`."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
