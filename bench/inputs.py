"""What any check of a fleet has to do: read every task file and parse it, one after the other.

`python bench/inputs.py TASKS` composes each with marks (PyYAML's C parser) and builds its data.
Prints the seconds by the clock and of processors.
"""

from __future__ import annotations

import sys
import time

START = time.perf_counter()

import os  # noqa: E402
from pathlib import Path  # noqa: E402

import yaml  # noqa: E402


def main(tasks: Path) -> tuple[float, float]:
    """Do it; gives the seconds, by the clock and of processors."""
    for name in sorted(os.listdir(tasks)):
        with open(os.path.join(tasks, name), encoding="utf-8") as file:
            loader = yaml.CSafeLoader(file.read())
        loader.construct_document(loader.get_single_node())
    return time.perf_counter() - START, time.process_time()


if __name__ == "__main__":
    print(*main(Path(sys.argv[1])))
