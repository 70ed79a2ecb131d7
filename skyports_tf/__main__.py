"""`skyports-tf` and `python -m skyports_tf`."""

from __future__ import annotations

import gc
import sys

INTERRUPTED = 130
# new objects before Python looks for unreachable ones: what a call loads stays to its end, and to look at all
# of it again and again takes a twentieth of the call
_NEW_OBJECTS = 100_000


def main() -> None:
    """Run the command line and leave with its exit code."""
    gc.set_threshold(_NEW_OBJECTS)
    try:
        # here, so that a Ctrl-C while the modules load is caught as well
        from skyports_tf.cli import run

        code = run()
    except KeyboardInterrupt:
        code = INTERRUPTED
    sys.exit(code)


if __name__ == "__main__":
    main()
