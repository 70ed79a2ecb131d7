"""What a call finds around it: the config, SkyPilot's user hash, and how its findings answer as JSON."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path

from skyports_tf.cli.console import JsonDocument, Session
from skyports_tf.config import DEFAULT_OUT, Config, find_config, read_config
from skyports_tf.diagnostics import Diagnostic
from skyports_tf.naming import is_user_hash


def session_config(session: Session) -> Config:
    """The config of this call: that of `--config`, else the nearest skyports.yaml, else the defaults."""
    if session.config is not None:
        return read_config(session.config)
    found = find_config(Path.cwd())
    return read_config(None if found is None else os.path.relpath(found))


def answer_failures(session: Session, out: str | None) -> None:
    """Let findings that end the call answer as the document of a tree without stacks."""

    def document(found: Sequence[Diagnostic]) -> JsonDocument:
        from skyports_tf.report.json_output import tree_json

        return tree_json(out or DEFAULT_OUT, (), found)

    session.failure = document


def time_now() -> datetime:
    """The time in UTC: the one place that reads the clock."""
    return datetime.now(timezone.utc)


def find_user_hash(environment: Mapping[str, str], home: Path) -> str | None:
    """SkyPilot's user hash where this machine knows it, else None.

    In the order of sky/utils/common_utils.py:get_user_hash, SkyPilot 0.14.1; none is made up.
    """
    named = environment.get("SKYPILOT_USER_ID", "")
    if is_user_hash(named):
        return named
    try:
        kept = (home / ".sky" / "user_hash").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None
    return kept if is_user_hash(kept) else None
