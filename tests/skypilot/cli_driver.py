"""SkyPilot's own command line, asked what it makes of arguments and what it says.

Run with the Python that has SkyPilot: a list of questions as JSON on stdin, a list of answers on the
first stdout. Nothing of it needs a server.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any
from unittest import mock

_answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
os.dup2(2, 1)

from click.testing import CliRunner  # noqa: E402 (what SkyPilot prints while it loads is no answer)
from sky import skypilot_config  # noqa: E402
from sky.client.cli import command  # noqa: E402
from sky.utils import cluster_utils  # noqa: E402

_KEPT = ("entrypoint", "cluster", "infra", "ports", "yes", "cloud", "region", "zone")


def launch(argv: list[str]) -> dict[str, Any]:
    """What `sky launch` reads in its arguments."""
    context = command.launch.make_context("launch", list(argv), resilient_parsing=True)
    return {name: context.params.get(name) for name in _KEPT}


def config(values: list[str]) -> Any:
    """What several `--config` come to."""
    return dict(skypilot_config._compose_cli_config(values))


def down(known: bool, error: str | None) -> dict[str, Any]:
    """What `sky down web -y` says, and its exit code; `error` comes up on the way."""
    records = [{"name": "web"}] if known else []
    with (
        mock.patch.object(command, "_get_cluster_records_and_set_ssh_config", return_value=records),
        mock.patch.object(
            command.sdk, "down", side_effect=RuntimeError(error) if error else None, return_value="id"
        ),
        mock.patch.object(command, "_async_call_or_wait"),
        mock.patch.object(cluster_utils.SSHConfigHelper, "remove_cluster"),
    ):
        result = CliRunner().invoke(command.down, ["web", "-y"], color=True)
    return {"code": result.exit_code, "output": result.output}


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    answers = [globals()[one.pop("do")](**one) for one in asked]
    _answers.write(json.dumps(answers))
    _answers.flush()
