"""What `ci` has written, as text and as JSON."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from skyports_tf.diagnostics import Diagnostic
from skyports_tf.model import GeneratedFile
from skyports_tf.report.diagnostics import diagnostic_json


def pipeline_text(files: Sequence[GeneratedFile], changed: Collection[str]) -> str:
    """A line for each file: what became of it."""
    done = {True: "wrote    ", False: "unchanged"}
    lines = [f"{done[file.path in changed]}  {file.path}" for file in files if file.text]
    lines += [f"removed    {file.path}" for file in files if not file.text and file.path in changed]
    return "\n".join(lines) if lines else "No stack is there yet: nothing to write."


def pipeline_json(
    kind: str,
    root: str,
    files: Iterable[GeneratedFile],
    changed: Collection[str],
    diagnostics: Iterable[Diagnostic],
) -> dict[str, Any]:
    """The document of `ci`."""
    return {
        "version": 1,
        "kind": kind,
        "root": root,
        "files": [
            {"path": file.path, "changed": file.path in changed}
            for file in files
            if file.text or file.path in changed
        ],
        "diagnostics": [diagnostic_json(item) for item in diagnostics],
    }
