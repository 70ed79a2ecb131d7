"""The benchmarks measure what they say, and their page names nothing of this machine."""

from __future__ import annotations

import platform
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from bench.measure import Comparison, PartResult, Seconds, environment, in_turns
from bench.report import page, renewed
from bench.workspace import write_tasks
from tests.support.command_line import call
from tests.support.installs import ROOT
from tests.support.project import tree_of


def part(*comparisons: Comparison) -> PartResult:
    return PartResult("part", "A part", "How it was measured.", comparisons, ("A remark.",))


def test_sides_run_in_turns_and_who_begins_alternates() -> None:
    ran: list[str] = []

    def side(name: str) -> Seconds:
        ran.append(name)
        return Seconds(len(ran), len(ran))

    in_turns({"ours": lambda: side("ours"), "bare": lambda: side("bare")}, rounds=3, warm_up=0)
    assert ran == ["ours", "bare", "bare", "ours", "ours", "bare"]


def test_the_warm_up_does_not_count() -> None:
    samples = iter([Seconds(100, 100), Seconds(1, 9), Seconds(2, 8), Seconds(3, 7)])
    assert in_turns({"ours": lambda: next(samples)}, rounds=3, warm_up=1) == {"ours": Seconds(2, 8)}


def test_a_promise_is_kept_up_to_its_limit() -> None:
    assert Comparison("a : b", Seconds(1.5, 9), Seconds(1, 1), 1.5, 3).kept
    assert not Comparison("a : b", Seconds(1.51, 1), Seconds(1, 1), 1.5, 3).kept


def test_a_missed_promise_is_said() -> None:
    text = page([part(Comparison("a : b", Seconds(0.3, 0.2), Seconds(0.1, 0.1), 1.5, 3, 1000, "ms"))])
    assert "| a : b | 300 ms | 100 ms | **3.00** | 1.5 | 2.00 | 3 | **missed** |" in text
    assert "A remark." in text


def test_the_page_names_no_host_and_no_path() -> None:
    text = page([part(Comparison("a : b", Seconds(1, 1), Seconds(1, 1), 1, 1))])
    assert (platform.node() or "no name") not in text
    assert str(Path.home()) not in text
    assert str(Path.cwd()) not in text


def test_a_part_is_written_anew_and_the_others_stay() -> None:
    first, second = (replace(part(), title=title) for title in ("One", "Two"))
    before = page([first, second])
    after = renewed(before, [replace(second, remarks=("Another remark.",)), replace(first, title="Three")])
    assert before.partition("## Two")[0] == after.partition("## Two")[0]
    assert [line for line in after.splitlines() if line.startswith("## ")] == ["## One", "## Two", "## Three"]
    assert after.count("A remark.") == 2 and "Another remark." in after


def test_measured_processes_run_without_switches_that_distort(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    assert "PYTHONDONTWRITEBYTECODE" not in environment()
    assert environment(EXTRA="1")["EXTRA"] == "1"


def test_generated_tasks_are_valid_and_of_45_lines(tmp_path: Path) -> None:
    paths = write_tasks(tmp_path / "tasks", 3)
    texts = [path.read_text(encoding="utf-8") for path in paths]
    assert len(set(texts)) == 3
    assert all(44 <= text.count("\n") <= 48 for text in texts)
    assert [yaml.safe_load(text)["name"] for text in texts] == ["fleet-00000", "fleet-00001", "fleet-00002"]


def test_the_floor_of_a_fleet_renders_our_template_and_writes_the_same_bytes(tmp_path: Path) -> None:
    write_tasks(tmp_path / "tasks", 3)
    assert call(tmp_path, "compile", "tasks", "--out", "tree").code == 0
    command = [sys.executable, str(ROOT / "bench" / "floor.py"), "tasks", "tree", "floor"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    wall, cpu = map(float, done.stdout.split())
    assert wall > 0 and cpu > 0
    assert tree_of(tmp_path / "floor") == tree_of(tmp_path / "tree")
