"""`make demo` and what the README shows of it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from tests.support.doc_blocks import shows
from tests.support.installs import ROOT

DEMO = [sys.executable, str(ROOT / "examples" / "demo.py")]


def environment(folder: Path) -> dict[str, str]:
    """Ours, with temporary files in `folder`, so that what a demo leaves and runs can be found."""
    return {**os.environ, "TMPDIR": str(folder)}


def processes_with(folder: Path) -> list[int]:
    """The processes that were given `folder` in their environment."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if str(folder).encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def test_the_readme_shows_what_the_demo_prints(tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"^```console\n(.*?)^```", readme, re.DOTALL | re.MULTILINE)
    done = subprocess.run(DEMO, env=environment(tmp_path), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert shows(f"...\n{shown}\n...", done.stdout)
    assert list(tmp_path.iterdir()) == []
    assert processes_with(tmp_path) == []


def test_an_interrupted_demo_stops_what_it_started(tmp_path: Path) -> None:
    with subprocess.Popen(
        DEMO, env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as demo:
        assert demo.stdout is not None
        assert any("jupyter-aws-us-east-1: plan" in line for line in demo.stdout)
        demo.send_signal(signal.SIGINT)
        said = demo.stdout.read()
    assert demo.returncode == 130
    assert "Traceback" not in said
    assert "stopped" in said
    assert list(tmp_path.iterdir()) == []
    assert processes_with(tmp_path) == []
