"""What a call finds around it: the config, SkyPilot's user hash, and how its findings answer as JSON."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

from skyports_tf.backends import LOCAL, absolute_parts, backends, partial_problem
from skyports_tf.cli.console import JsonDocument, Session
from skyports_tf.config import DEFAULT_OUT, Config, find_config, read_config
from skyports_tf.diagnostics import Diagnostic, FindingsError
from skyports_tf.naming import is_user_hash


def session_config(session: Session) -> Config:
    """The config of this call: that of `--config`, else the nearest skyports.yaml, else the defaults.

    What the command line says of the backend is added. Raises `FindingsError` where either is wrong.
    """
    if session.config is not None:
        config = read_config(session.config)
    else:
        found = find_config(Path.cwd())
        config = read_config(None if found is None else os.path.relpath(found))
    if session.backend_config or session.migrate_state:
        return _with_backend_options(session, config)
    return config


def _with_backend_options(session: Session, config: Config) -> Config:
    backend = backends().get(config.backend_kind)
    findings = [
        Diagnostic(found[0], f"--backend-config: {found[1]}", help=found[2])
        for item in session.backend_config
        if (found := partial_problem(backend, item, from_config=False))
    ]
    if findings:
        raise FindingsError(findings)
    given = absolute_parts(session.backend_config, Path.cwd())
    return replace(
        config, backend_config=(*config.backend_config, *given), migrate_state=session.migrate_state
    )


def pipeline_warnings(config: Config, environment: Mapping[str, str]) -> tuple[Diagnostic, ...]:
    """A warning where a pipeline would keep a state in its own folder.

    CI systems set CI: GitHub Actions ("Variables reference"), GitLab ("Predefined CI/CD variables").
    """
    if environment.get("CI", "").lower() in ("", "0", "false") or config.backend_kind != LOCAL:
        return ()
    message = "the state lies beside the files, and is lost with this machine: CI is set"
    help_text = "set `backend` in the config, such as {s3: {bucket: my-state, region: us-east-1}}"
    found = config.finding("local-state-in-pipeline", message, ("backend",), help_text)
    return (replace(found, severity="warning"),)


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
