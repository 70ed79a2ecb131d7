"""A stand-in for SkyPilot's `sky`: it notes how it was called, and does what a test says.

The real SkyPilot has a suite of its own (`make test-skypilot`): it needs a cloud, and seconds to start.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PROGRAM = """\
#!{python}
import json, os, sys
argv = sys.argv[1:]
configs = {{}}
for at, word in enumerate(argv[:-1]):
    if word == "--config" and os.path.isfile(argv[at + 1]):
        configs[argv[at + 1]] = open(argv[at + 1], encoding="utf-8").read()
with open({calls!r}, "a", encoding="utf-8") as file:
    file.write(json.dumps({{"argv": argv, "configs": configs}}) + "\\n")
deed = os.path.join({folder!r}, argv[0] + ".py") if argv else ""
if os.path.exists(deed):
    exec(compile(open(deed, encoding="utf-8").read(), deed, "exec"))
"""


@dataclass(frozen=True)
class StandInSky:
    """The program `sky` in `folder`."""

    folder: Path

    @property
    def path(self) -> Path:
        """The program."""
        return self.folder / "sky"

    @property
    def environment(self) -> dict[str, str]:
        """What puts it on PATH."""
        return {"PATH": f"{self.folder}{os.pathsep}{os.environ['PATH']}"}

    def does(self, verb: str, code: str) -> None:
        """From now on, `sky VERB` runs this Python."""
        (self.folder / f"{verb}.py").write_text(code, encoding="utf-8")

    @property
    def calls(self) -> list[list[str]]:
        """The arguments of every call so far."""
        return [call["argv"] for call in self._noted()]

    @property
    def configs(self) -> list[dict[str, str]]:
        """The files that were given as `--config`, with their texts, for every call so far."""
        return [call["configs"] for call in self._noted()]

    def _noted(self) -> list[dict[str, Any]]:
        path = self.folder / "calls.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return [json.loads(line) for line in lines]


def stand_in_sky(folder: Path) -> StandInSky:
    """Write the program into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    sky = StandInSky(folder)
    text = _PROGRAM.format(python=sys.executable, calls=str(folder / "calls.jsonl"), folder=str(folder))
    sky.path.write_text(text, encoding="utf-8")
    sky.path.chmod(0o755)
    return sky
