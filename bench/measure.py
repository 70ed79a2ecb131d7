"""Measuring: two or more sides in turns, and what came out."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

Side = Callable[[], float]

#: These change how Python starts and caches; a user's shell has none of them.
_DISTORTING = (
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONUNBUFFERED",
    "PYTHONHASHSEED",
    "PYTHONPATH",
    "PYTHONPROFILEIMPORTTIME",
)


@dataclass(frozen=True, slots=True)
class Comparison:
    """One promise: `ours` may cost at most `limit` times `baseline`; the figures are median seconds.

    `scale` multiplies the figures for reading, `unit` names what comes out.
    """

    promise: str
    ours: float
    baseline: float
    limit: float
    rounds: int
    scale: float = 1.0
    unit: str = "s"

    @property
    def ratio(self) -> float:
        """Ours over the baseline."""
        return self.ours / self.baseline

    @property
    def kept(self) -> bool:
        """Whether the promise held in this run."""
        return self.ratio <= self.limit


@dataclass(frozen=True, slots=True)
class PartResult:
    """What one part of the benchmarks found: comparisons, and sentences beside them."""

    name: str
    title: str
    method: str
    comparisons: tuple[Comparison, ...]
    remarks: tuple[str, ...] = ()


def in_turns(sides: Mapping[str, Side], rounds: int, warm_up: int = 1) -> dict[str, float]:
    """The median of each side; every round runs all of them, in an order that alternates."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(-warm_up, rounds):
        for name in list(sides) if turn % 2 == 0 else reversed(sides):
            spent = sides[name]()
            if turn >= 0:
                seconds[name].append(spent)
    return {name: median(values) for name, values in seconds.items()}


def environment(**extra: str) -> dict[str, str]:
    """The process's environment as a user has it, and `extra`."""
    kept = {name: value for name, value in os.environ.items() if name not in _DISTORTING}
    return {**kept, "SKYPILOT_USER_ID": "a1b2c3d4", **extra}


def timed(arguments: Sequence[str | Path], cwd: Path, env: Mapping[str, str]) -> float:
    """How long a process takes that must succeed, from its start to its end."""
    command = [str(argument) for argument in arguments]
    start = time.perf_counter()
    done = subprocess.run(
        command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    spent = time.perf_counter() - start
    if done.returncode:
        raise RuntimeError(f"{command} failed:\n{(done.stdout + done.stderr).decode()}")
    return spent
