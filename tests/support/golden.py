"""Writes the committed tree of examples/infra anew: `make golden`."""

from __future__ import annotations

import shutil
import subprocess
import sys

from tests.support.installs import ROOT

EXAMPLES = ROOT / "examples"


def main() -> None:
    """Compile examples/jupyter_lab.yaml with the example config into a new tree."""
    shutil.rmtree(EXAMPLES / "infra", ignore_errors=True)
    command = [sys.executable, "-m", "skyports_tf", "compile", "jupyter_lab.yaml"]
    subprocess.run(command, cwd=EXAMPLES, check=True)


if __name__ == "__main__":
    main()
