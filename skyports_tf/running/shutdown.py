"""`sky down` of one cluster, and whether nodes of it still run.

Facts: sky/client/cli/command.py:_down_or_stop_clusters, SkyPilot 0.14.1: it exits with 0 whether the
cluster was shut down, was not known, or could not be shut down; its words tell which.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from skyports_tf.diagnostics import Diagnostic, InterruptedRunError, TerraformError
from skyports_tf.model import Stack
from skyports_tf.running.child import run_child, watch_signals
from skyports_tf.running.execution import execution_of
from skyports_tf.running.probe import read_probe
from skyports_tf.running.settings import RunSettings, silent

SkyDownState = Literal["done", "unknown", "failed"]

_COLORS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_NOT_KNOWN = re.compile(r"Cluster\(s\) not found|cluster .* not found", re.IGNORECASE)
_FAILED = re.compile(r"Cluster\(s\) failed|\.\.\.failed\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class SkyDown:
    """What came of `sky down`: `unknown` is a cluster that SkyPilot does not know."""

    state: SkyDownState
    words: str


def sky_down(sky: str, cluster: str, hear: Callable[[str], None]) -> SkyDown:
    """Shut `cluster` down by the program `sky`; `hear` gets SkyPilot's words, line by line.

    Raises `InterruptedRunError` where a signal has come, after SkyPilot has ended.
    """
    argv = [sky, "down", cluster, "-y"]
    try:
        with watch_signals(f"sky down {cluster}") as signals:
            end = run_child(argv, Path.cwd(), os.environ, signals, lambda line: hear(_plain(line)))
    except InterruptedRunError as error:
        name = signal.Signals(error.exit_code - 128).name
        message = f"sky down {cluster}: stopped by {name}"
        help_text = "the ports are closed; run the same command again to go on"
        raise InterruptedRunError(
            Diagnostic("interrupted", message, help=help_text), error.exit_code - 128
        ) from None
    for line in end.stderr.splitlines():
        hear(_plain(line))
    words = _plain(f"{end.stdout}\n{end.stderr}")
    if _FAILED.search(words):
        return SkyDown("failed", words)
    if _NOT_KNOWN.search(words):
        return SkyDown("unknown", words)
    return SkyDown("done" if end.code == 0 else "failed", words)


def live_nodes(out: str, stack: Stack, settings: RunSettings) -> tuple[str, ...] | None:
    """The ids of the cluster's nodes that are in the cloud; None where nobody can tell.

    Raises `InterruptedRunError` where a signal has come.
    """
    try:
        with execution_of(out, stack, settings, silent) as execution:
            probe = read_probe(execution)
    except TerraformError:
        return None
    return probe.nodes if probe else None


def last_words(words: str) -> str:
    """The last thing that was said, for a sentence."""
    lines: Sequence[str] = [line.strip() for line in words.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"


def _plain(text: str) -> str:
    return _COLORS.sub("", text)
