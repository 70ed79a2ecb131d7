"""`make playground`: a shell with a local AWS in it, where docs/tutorial.md can be followed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.installs import ROOT

PLAYGROUND = [sys.executable, str(ROOT / "examples" / "playground.py")]
VISIT = """
ls
skyports-tf inspect jupyter.yaml | head -n 1
sky launch -c jupyter jupyter.yaml
sky launch -c jupyter jupyter.yaml
sky status
sky down jupyter
sky down jupyter
sky status
sky serve up || echo "ended with $?"
exit 7
"""


def test_a_visit_finds_the_tasks_and_both_programs_and_leaves_nothing(tmp_path: Path) -> None:
    env = {**os.environ, "TMPDIR": str(tmp_path), "SHELL": "/bin/sh"}
    done = subprocess.run(PLAYGROUND, env=env, input=VISIT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n\n", 1)[1].splitlines() == [
        "jupyter.yaml",
        "tensorboard.yaml",
        "jupyter.yaml: task",
        "Pretend SkyPilot: cluster jupyter is up, with 2 nodes.",
        "Pretend SkyPilot: cluster jupyter is up, with 2 nodes.",
        '[{"name": "jupyter", "status": "UP"}]',
        "Terminating cluster jupyter...done.",
        "Cluster(s) not found.",
        "[]",
        "ended with 2",
    ]
    assert list(tmp_path.iterdir()) == []
