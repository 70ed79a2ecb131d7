"""A fleet: thousands of tasks into thousands of stacks, in one process."""

from __future__ import annotations

import shutil
import subprocess
from functools import partial
from pathlib import Path

from bench.measure import Comparison, PartResult, Seconds, Side, environment, in_turns, timed
from bench.workspace import installed, memory_folder, write_tasks

COUNTS = (100, 1000, 10_000)
ROUNDS = 5
_FLOOR = Path(__file__).resolve().with_name("floor.py")
_INPUTS = _FLOOR.with_name("inputs.py")


def run_part() -> PartResult:
    """10,000 files against the floor, the cost of a task from 100 to 10,000, and an unchanged tree."""
    with memory_folder() as folder, installed() as programs:
        fleet = _Fleet(folder, programs)
        whole = fleet.against_floor(COUNTS[-1])
        costs = fleet.costs()
        unchanged, written = fleet.unchanged(COUNTS[-1])
        check = fleet.check(COUNTS[-1])
    per_task = ", ".join(f"{count:,}: {cost.wall * 1000:.2f} ms" for count, cost in costs.items())
    return PartResult(
        "fleet",
        "A fleet",
        "Generated task files of about 45 lines, a stack each, on tmpfs, wall time of the whole process. "
        "The floor composes every file with marks (PyYAML's C parser) and builds its data, validates it "
        "once with the compiled schema, renders the main template once, warm, and writes the same bytes "
        "plainly.",
        (
            Comparison(f"{COUNTS[-1]:,} files : the floor", *whole, 1.5, ROUNDS),
            Comparison(
                "a task of 10,000 : a task of 1,000", costs[10_000], costs[1000], 1.1, ROUNDS, 1000, "ms"
            ),
            Comparison("10,000 files, unchanged tree : new tree", unchanged, whole[0], 1.0, 1),
            Comparison(
                "`compile --check`, 10,000 files, unchanged tree : reading and parsing them",
                *check,
                1.3,
                ROUNDS,
            ),
        ),
        (
            f"Cost of a task, the process's start taken off, in fleets of {per_task}.",
            f"Of an unchanged tree {written} files were written.",
            "`compile --check` reads the task files and the whole tree, and compares them with what was "
            "found up to date before; the other side reads and parses the task files alone.",
        ),
    )


class _Fleet:
    def __init__(self, folder: Path, programs: Path) -> None:
        self._folder, self._programs = folder, programs
        self._env = environment(XDG_CACHE_HOME=str(folder / "cache"))
        self._tasks = {count: write_tasks(folder / f"tasks{count}", count) for count in COUNTS}

    def against_floor(self, count: int) -> tuple[Seconds, Seconds]:
        """Median seconds: ours, the floor's; leaves a compiled tree behind."""
        tree = self._folder / f"tree{count}"
        self._compile(count, tree)
        sides = {"ours": lambda: self._compile_new(count), "floor": lambda: self._floor(count, tree)}
        medians = in_turns(sides, ROUNDS, warm_up=0)
        return medians["ours"], medians["floor"]

    def costs(self) -> dict[int, Seconds]:
        """Median seconds a task, for each size of fleet, without what one task alone costs."""
        sides: dict[str, Side] = {str(count): partial(self._compile_new, count) for count in COUNTS}
        sides["1"] = partial(self._compile_new, COUNTS[0], 1)
        medians = in_turns(sides, ROUNDS, warm_up=0)
        alone = medians["1"]
        return {
            count: Seconds((whole.wall - alone.wall) / (count - 1), (whole.cpu - alone.cpu) / (count - 1))
            for count, whole in ((count, medians[str(count)]) for count in COUNTS)
        }

    def unchanged(self, count: int) -> tuple[Seconds, int]:
        """Seconds of a compile into the tree that is there, and how many files it wrote."""
        tree = self._folder / f"tree{count}"
        before = _versions(tree)
        spent = self._compile(count, tree)
        return spent, len(set(_versions(tree)) ^ set(before)) // 2

    def check(self, count: int) -> tuple[Seconds, Seconds]:
        """Median seconds: a check of the tree that is there, and reading and parsing the task files."""
        folder, tree = self._tasks[count][0].parent, self._folder / f"tree{count}"
        command: list[str | Path] = [
            self._programs / "skyports-tf",
            "compile",
            folder.name,
            "--check",
            "--out",
            tree,
        ]
        sides = {
            "ours": lambda: timed(command, folder.parent, self._env),
            "inputs": lambda: timed([self._programs / "python", _INPUTS, folder], folder, self._env),
        }
        # the first check is of another call than the compile, which named the files
        medians = in_turns(sides, ROUNDS, warm_up=1)
        return medians["ours"], medians["inputs"]

    def _compile(self, count: int, out: Path, first: int | None = None) -> Seconds:
        tasks = [task.name for task in self._tasks[count][:first]]
        program = self._programs / "skyports-tf"
        return timed([program, "compile", *tasks, "--out", out], self._tasks[count][0].parent, self._env)

    def _compile_new(self, count: int, first: int | None = None) -> Seconds:
        out = self._folder / "new"
        spent = self._compile(count, out, first)
        shutil.rmtree(out)
        return spent

    def _floor(self, count: int, tree: Path) -> Seconds:
        out = self._folder / "floor"
        tasks = self._tasks[count][0].parent
        command = [self._programs / "python", _FLOOR, tasks, tree, out]
        done = subprocess.run(
            command, cwd=self._folder, env=self._env, capture_output=True, text=True, check=True
        )
        shutil.rmtree(out)
        return Seconds(*map(float, done.stdout.split()))


def _versions(tree: Path) -> list[tuple[str, int, int]]:
    """Every file with its inode and its time of change: a file written anew has another."""
    found = ((path, path.stat()) for path in tree.rglob("*") if path.is_file())
    return [(str(path), status.st_ino, status.st_mtime_ns) for path, status in found]
