"""`skyports-tf` and `python -m skyports_tf`."""

from __future__ import annotations

import sys

INTERRUPTED = 130


def main() -> None:
    """Run the command line and leave with its exit code."""
    try:
        # here, so that a Ctrl-C while the modules load is caught as well
        from skyports_tf.cli import run

        code = run()
    except KeyboardInterrupt:
        code = INTERRUPTED
    sys.exit(code)


if __name__ == "__main__":
    main()
