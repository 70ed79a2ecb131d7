"""Programs that some tests use and not every machine has; run as a script, it names those that are here.

Where one is missing, its tests are skipped: nobody needs a database or a browser to try the rest. A pipeline
that has installed it says so in `SKYPORTS_TF_REQUIRE`, and a test that does not find it fails there.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from tests.support import browser, postgres

#: The variable that names what must be there, with commas between.
REQUIRE: Final = "SKYPORTS_TF_REQUIRE"
#: How each is found, by the name of Debian's package.
PROGRAMS: Final[Mapping[str, Callable[[], str | Path | None]]] = {
    "postgresql": postgres.find_programs,
    "chromium": browser.find_browser,
}


def required() -> frozenset[str]:
    """What must be there. Raises `ValueError` for a name that is none of ours: it would require nothing."""
    names = frozenset(filter(None, os.environ.get(REQUIRE, "").replace(" ", "").split(",")))
    unknown = sorted(names - {*PROGRAMS})
    if unknown:
        raise ValueError(f"{REQUIRE} may name {', '.join(PROGRAMS)}, and not {', '.join(unknown)}")
    return names


def needed(name: str) -> str:
    """Where the program is; skips the test where it is missing, and fails it where it is required."""
    import pytest  # a bare Python asks this module, too

    found = PROGRAMS[name]()
    if found is None and name in required():
        pytest.fail(f"{name} is not installed here, and {REQUIRE} names it")
    if found is None:
        pytest.skip(f"{name} is not installed here: apt-get install {name}")
    return str(found)


def main(missing: bool) -> None:
    """Print the names of what is here, or of what is missing, with commas between."""
    print(",".join(name for name, find in PROGRAMS.items() if (find() is None) is missing))


if __name__ == "__main__":
    main("--missing" in sys.argv[1:])
