"""Measuring: two or more sides in turns, and what came out."""

from __future__ import annotations

import os
import resource
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import NamedTuple


class Seconds(NamedTuple):
    """What something took: by the clock, and of processors. A busy machine stretches the first alone."""

    wall: float
    cpu: float


Side = Callable[[], Seconds]

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
    """One promise: `ours` may take at most `limit` times `baseline` by the clock; both are medians.

    `scale` multiplies the figures for reading, `unit` names what comes out.
    """

    promise: str
    ours: Seconds
    baseline: Seconds
    limit: float
    rounds: int
    scale: float = 1.0
    unit: str = "s"

    @property
    def ratio(self) -> float:
        """Ours over the baseline, by the clock."""
        return self.ours.wall / self.baseline.wall

    @property
    def cpu_ratio(self) -> float:
        """Ours over the baseline, of processors."""
        return self.ours.cpu / self.baseline.cpu

    @property
    def kept(self) -> bool:
        """Whether the promise held in this run."""
        return self.ratio <= self.limit


@dataclass(frozen=True, slots=True)
class PartResult:
    """What one part of the benchmarks found: comparisons, and sentences beside them.

    `missed` are promises without a figure to compare that were not kept.
    """

    name: str
    title: str
    method: str
    comparisons: tuple[Comparison, ...]
    remarks: tuple[str, ...] = ()
    missed: tuple[str, ...] = ()


def in_turns(sides: Mapping[str, Side], rounds: int, warm_up: int = 1) -> dict[str, Seconds]:
    """The median of each side; every round runs all of them, in an order that alternates."""
    samples: dict[str, list[Seconds]] = {name: [] for name in sides}
    for turn in range(-warm_up, rounds):
        for name in list(sides)[:: -1 if turn % 2 else 1]:
            spent = sides[name]()
            if turn >= 0:
                samples[name].append(spent)
    return {name: _medians(taken) for name, taken in samples.items()}


def _medians(samples: Sequence[Seconds]) -> Seconds:
    return Seconds(median(sample.wall for sample in samples), median(sample.cpu for sample in samples))


def environment(**extra: str) -> dict[str, str]:
    """The process's environment as a user has it, and `extra`."""
    kept = {name: value for name, value in os.environ.items() if name not in _DISTORTING}
    return {**kept, "SKYPILOT_USER_ID": "a1b2c3d4", **extra}


def timed(arguments: Sequence[str | Path], cwd: Path, env: Mapping[str, str]) -> Seconds:
    """What a process that must succeed takes, its own children counted in, from its start to its end."""
    command = [str(argument) for argument in arguments]
    start, before = time.perf_counter(), _children()
    done = subprocess.run(
        command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    spent = Seconds(time.perf_counter() - start, _children() - before)
    if done.returncode:
        raise RuntimeError(f"{command} failed:\n{(done.stdout + done.stderr).decode()}")
    return spent


def _children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
