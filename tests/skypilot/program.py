"""What stands for the program `sky`: `launch` and `down` of driver.py, with sky's own words for arguments."""

from __future__ import annotations

import argparse
import os
import sys

import driver


def main(argv: list[str]) -> int:
    """Do it; gives the exit code."""
    parser = argparse.ArgumentParser(prog="sky")
    verbs = parser.add_subparsers(dest="verb", required=True)
    launching, ending = verbs.add_parser("launch"), verbs.add_parser("down")
    launching.add_argument("-c", "--cluster", required=True)
    launching.add_argument("--config")
    launching.add_argument("task")
    ending.add_argument("cluster")
    for verb in (launching, ending):
        verb.add_argument("-y", "--yes", action="store_true", required=True)
    words = parser.parse_args(argv)
    if words.verb == "launch":
        driver.launch(words.task, words.cluster, os.environ["SKY_IMAGE"], words.config)
    else:
        driver.down(words.cluster)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
