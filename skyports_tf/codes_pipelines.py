"""Findings of `ci` and of what pipelines run: part of the table in codes.py."""

from __future__ import annotations

from typing import Final

#: code -> (meaning, way out), as in `CODES`.
PIPELINE_CODES: Final[dict[str, tuple[str, str]]] = {
    "plan-unreviewed": (
        "A plan does something else than the one that was reviewed, or nobody reviewed it.",
        "Look at the plan of this run; if it is right, apply it by hand.",
    ),
}
