"""Cold processes: what a call costs over the imports that it cannot do without."""

from __future__ import annotations

import itertools
from pathlib import Path

from bench.measure import Comparison, PartResult, Seconds, environment, in_turns, timed
from bench.workspace import installed, memory_folder, write_tasks

ROUNDS = 41
_IMPORTS = "import click, jinja2, yaml, jsonschema"


def run_part() -> PartResult:
    """`compile` of one file, `--help` and `--version`, each against its imports."""
    with memory_folder() as folder, installed() as programs:
        medians = _medians(folder, programs)
    comparisons = (
        _comparison("compile TASK", f'python -c "{_IMPORTS}"', 1.5, medians),
        _comparison("--help", 'python -c "import click"', 1.3, medians),
        _comparison("--version", 'python -c "import click"', 1.3, medians),
    )
    return PartResult(
        "cold",
        "Cold processes",
        "Whole processes, wall time, from an installed wheel; `compile` writes a new tree each "
        "time, on tmpfs. Python's bytecode and the templates' are cached, as after any first call.",
        comparisons,
    )


def _medians(folder: Path, programs: Path) -> dict[str, Seconds]:
    env = environment(XDG_CACHE_HOME=str(folder / "cache"))
    program, python = programs / "skyports-tf", programs / "python"
    (task,) = write_tasks(folder / "tasks", 1)
    numbers = itertools.count()

    def compile_task() -> Seconds:
        return timed([program, "compile", task, "--out", folder / f"out{next(numbers)}"], folder, env)

    sides = {
        "compile TASK": compile_task,
        f'python -c "{_IMPORTS}"': lambda: timed([python, "-c", _IMPORTS], folder, env),
        "--help": lambda: timed([program, "--help"], folder, env),
        "--version": lambda: timed([program, "--version"], folder, env),
        'python -c "import click"': lambda: timed([python, "-c", "import click"], folder, env),
    }
    return in_turns(sides, ROUNDS, warm_up=2)


def _comparison(ours: str, baseline: str, limit: float, medians: dict[str, Seconds]) -> Comparison:
    promise = f"`skyports-tf {ours}` : `{baseline}`"
    return Comparison(promise, medians[ours], medians[baseline], limit, ROUNDS, 1000, "ms")
