"""Ranges cost by their number, not by their width."""

from __future__ import annotations

import time
from pathlib import Path

from bench.measure import Comparison, PartResult, Seconds, Side, in_turns
from bench.workspace import memory_folder

ROUNDS = 301


def run_part() -> PartResult:
    """One port against all of them, and against as many single ports as ranges, in one process."""
    with memory_folder() as folder:
        sides = {ports: _side(folder, ports) for ports in ("80", "1-65535")}
        medians = in_turns(sides, ROUNDS, warm_up=20)
    return PartResult(
        "ranges",
        "Ranges",
        "The same task compiled in one process, from the file's text to the tree's, without writing.",
        (
            Comparison(
                "`ports: 1-65535` : `ports: 80`", medians["1-65535"], medians["80"], 1.1, ROUNDS, 1000, "ms"
            ),
        ),
    )


def _side(folder: Path, ports: str) -> Side:
    from skyports_tf.compiler import CompileRequest, compile_tasks
    from skyports_tf.config import Config

    task = folder / f"task{ports}.yaml"
    task.write_text(
        f"name: web\nresources:\n  infra: aws/us-east-1\n  ports: {ports}\nrun: echo\n", encoding="utf-8"
    )
    request = CompileRequest((str(task),), Config(), out=str(folder / "out"), user_hash="a1b2c3d4")

    def compile_once() -> Seconds:
        start, used = time.perf_counter(), time.process_time()
        compile_tasks(request)
        return Seconds(time.perf_counter() - start, time.process_time() - used)

    return compile_once
