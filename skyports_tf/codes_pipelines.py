"""Findings of `ci` and of what pipelines run: part of the table in codes.py."""

from __future__ import annotations

from typing import Final

#: code -> (meaning, way out), as in `CODES`.
PIPELINE_CODES: Final[dict[str, tuple[str, str]]] = {
    "plan-unreviewed": (
        "A plan does something else than the one that was reviewed, or nobody reviewed it.",
        "Look at the plan of this run; if it is right, apply it by hand.",
    ),
    "pipeline-outdated": (
        "A file of a pipeline is not what the tree and the config ask for.",
        "Run the same `ci` command without `--check`, and commit what it writes.",
    ),
    "pipeline-path": (
        "A folder cannot stand in a pipeline: it is outside of the repository, or its name is not plain.",
        "Choose a folder below the repository's root, named with letters, digits, `.`, `-` and `_`.",
    ),
    "pipeline-include": (
        "The project has a `.gitlab-ci.yml` of its own, which does not include ours.",
        "Add `include: [{local: skyports.gitlab-ci.yml}]` to it.",
    ),
    "duration-in-pipeline": (
        "A port is to stay open for a while from its apply on; a pipeline does not keep when that was.",
        "Write a date or a time instead of the duration: `expires: 2026-12-01`.",
    ),
}
