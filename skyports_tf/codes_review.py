"""Findings of what reviewers read; see `codes`."""

from __future__ import annotations

from typing import Final

#: code -> (meaning, way out), one sentence each.
REVIEW_CODES: Final[dict[str, tuple[str, str]]] = {
    # reviews
    "comment-too-long": (
        "A comment of a pull request has no room for all that opens; it says so, and states bounds.",
        "Plan fewer stacks at once, and review their comments one by one.",
    ),
}
