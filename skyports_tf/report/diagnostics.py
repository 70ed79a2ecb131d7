"""A finding as JSON."""

from __future__ import annotations

from typing import Any

from skyports_tf.diagnostics import Diagnostic


def diagnostic_json(item: Diagnostic) -> dict[str, Any]:
    """The finding as it stands in every JSON answer: all keys, None where there is nothing to say."""
    span = item.span
    return {
        "code": item.code,
        "severity": item.severity,
        "message": item.message,
        "path": item.path,
        "line": span.line if span else None,
        "column": span.column if span else None,
        "end_line": span.end_line if span else None,
        "end_column": span.end_column if span else None,
        "help": item.help,
    }
