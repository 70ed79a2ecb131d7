"""Which clusters SkyPilot knows: `sky status`, as JSON where it speaks JSON, else its table.

`--refresh` asks the clouds, so that a cluster that went down by itself is not listed for ever.
Whatever goes wrong is told, and then nothing is known. Facts: sky/client/cli/command.py:status
and sky/utils/status_lib.py:ClusterStatus, SkyPilot 0.14.1.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

#: How long SkyPilot may take: it may have to start its API server, and asks the clouds.
STATUS_SECONDS: Final = 300.0

_ARGUMENTS = ("status", "--refresh", "--all-users")
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
# the table's header, and what may stand in its column STATUS
_HEADER = re.compile(r"^NAME\s", re.MULTILINE)
_STATUS = re.compile(r"\b(UP|STOPPED|INIT|PENDING|AUTOSTOPPING)\b")
_NO_CLUSTERS = re.compile(r"^(?:No existing clusters\.|Clusters? .* not found\.)$", re.MULTILINE)


class SkyStatusError(Exception):
    """SkyPilot said nothing that can be used; the text says why."""


def read_sky_status(program: str, clusters: Sequence[str], environment: Mapping[str, str]) -> dict[str, str]:
    """Those of `clusters` that SkyPilot knows, each with its status.

    Raises `SkyStatusError` where it cannot be run, fails, takes too long or is not understood.
    """
    asked = [program, *_ARGUMENTS]
    end = _run([*asked, "--output", "json", *clusters], environment)
    if end.returncode == 2:  # an older SkyPilot without --output
        end = _run([*asked, *clusters], environment)
    if end.returncode != 0:
        words = (end.stderr or end.stdout).strip().splitlines()
        raise SkyStatusError(f"it ended with exit code {end.returncode}: {words[-1] if words else 'no word'}")
    known = parse_sky_status(end.stdout)
    return {name: status for name, status in known.items() if name in clusters}


def parse_sky_status(text: str) -> dict[str, str]:
    """The clusters in what `sky status` printed. Raises `SkyStatusError` where it is none of its forms."""
    plain = _COLOURS.sub("", text)
    records = _json_list(plain)
    if records is not None:
        return {str(item["name"]): str(item.get("status") or "") for item in _named(records)}
    header = _HEADER.search(plain)
    if header is not None:
        return _table(plain[header.start() :].splitlines()[1:])
    if _NO_CLUSTERS.search(plain):
        return {}
    raise SkyStatusError("what it printed is not understood")


def _run(argv: Sequence[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            argv,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=STATUS_SECONDS,
        )
    except OSError as error:
        raise SkyStatusError(f"it cannot be run: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise SkyStatusError(f"it took longer than {STATUS_SECONDS:.0f} s") from None


def _json_list(text: str) -> list[Any] | None:
    """The one JSON list in the text, whatever was printed before it."""
    for found in re.finditer(r"^\[", text, re.MULTILINE):
        try:
            value, _ = json.JSONDecoder().raw_decode(text, found.start())
        except (ValueError, RecursionError):
            continue
        return value if isinstance(value, list) else None
    return None


def _named(records: Iterable[Any]) -> list[Mapping[str, Any]]:
    """The records; one without a name makes the whole list useless."""
    found = list(records)
    if not all(isinstance(item, dict) and item.get("name") for item in found):
        raise SkyStatusError("what it printed is not understood")
    return found


def _table(lines: Iterable[str]) -> dict[str, str]:
    known: dict[str, str] = {}
    for line in lines:
        if not line.strip():
            break
        status = _STATUS.search(line)
        known[line.split()[0]] = status[1] if status else ""
    return known
