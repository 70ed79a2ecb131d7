"""Many stacks at once: all are tried, failures are collected, one signal stops all in order."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from skyports_tf.cli.console import Session
from skyports_tf.cli.progress import FleetDisplay
from skyports_tf.cli.running import run_each
from skyports_tf.diagnostics import (
    Diagnostic,
    FindingsError,
    InterruptedRunError,
    ProgramMissingError,
    SkyportsError,
    TerraformError,
)
from skyports_tf.lifecycle import Progress, ProgressEvent, RunSettings, read_status
from skyports_tf.running.child import watch_signals
from tests.support.command_line import call
from tests.support.life import Life, life_on
from tests.support.stacks import aws_stack, rule, write_local_stack
from tests.test_interrupt import read_until, wait_until

CLUSTERS = tuple(f"c{number}" for number in range(6))


def session(parallel: int = 3) -> Session:
    made = Session()
    made.parallel = parallel
    return made


def error_of(kind: type[SkyportsError]) -> SkyportsError:
    return kind(Diagnostic("terraform-failed", "no"))


# -- the run ---------------------------------------------------------------------------


def test_results_keep_the_order_of_the_stacks_and_so_many_run_at_once() -> None:
    lock, now, most = threading.Lock(), 0, 0

    def step(number: int, _progress: Progress) -> int:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.05 / (number + 1))
        with lock:
            now -= 1
        return number

    assert run_each(session(3), range(9), step).results == list(range(9))
    assert most == 3
    assert run_each(session(50), range(4), step).results == [0, 1, 2, 3]


def test_a_failure_hides_no_other_stack_and_the_worst_counts() -> None:
    def step(number: int, _progress: Progress) -> int:
        if number == 1:
            raise error_of(FindingsError)
        if number == 2:
            raise error_of(TerraformError)
        return number

    outcome = run_each(session(), range(6), step)
    assert outcome.results == [0, 3, 4, 5]
    assert [error.exit_code for error in outcome.failures] == [1, 3]


def test_a_missing_program_begins_no_further_stack() -> None:
    begun: list[int] = []

    def step(number: int, _progress: Progress) -> int:
        begun.append(number)
        time.sleep(0.01)
        raise error_of(ProgramMissingError)

    outcome = run_each(session(2), range(40), step)
    assert len(begun) <= 4 and outcome.results == []
    assert {error.exit_code for error in outcome.failures} == {4}


def test_a_fault_of_ours_keeps_its_traceback_after_the_others_have_ended() -> None:
    ended: list[int] = []

    def step(number: int, _progress: Progress) -> int:
        if number == 0:
            raise ZeroDivisionError
        time.sleep(0.05)
        ended.append(number)
        return number

    with pytest.raises(ZeroDivisionError):
        run_each(session(2), range(3), step)
    assert sorted(ended) == [1, 2]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_is_heard_by_all_that_run_and_none_begins_after_it(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    begun: list[int] = []

    def step(item: int, _progress: Progress) -> int:
        begun.append(item)
        with watch_signals(f"stack {item}") as signals:
            if len(begun) == 2:
                os.kill(os.getpid(), number)
            wait_until(lambda: signals.received is not None, "the signal")
        return item

    outcome = run_each(session(2), range(20), step)
    assert sorted(begun) == [0, 1] and outcome.results == []
    assert [type(error) for error in outcome.failures] == [InterruptedRunError] * 2
    assert {error.exit_code for error in outcome.failures} == {128 + number}
    assert outcome.interrupted and signal.getsignal(number) == before


def test_a_signal_between_two_stacks_is_an_interruption_too() -> None:
    def step(item: int, _progress: Progress) -> int:
        if item == 1:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.3)
        return item

    outcome = run_each(session(2), range(20), step)
    assert outcome.interrupted and len(outcome.results) < 20


# -- what is shown ---------------------------------------------------------------------


def event(stack: str, phase: str = "apply", done: int = 0, message: str = "") -> ProgressEvent:
    return ProgressEvent(stack, phase, done, 4, message)  # type: ignore[arg-type]


class Screen:
    """What a terminal shows after it has been written to: the few sequences that we use."""

    def __init__(self, text: str) -> None:
        lines, row = [""], 0
        at = 0
        while at < len(text):
            if text.startswith("\x1b[J", at):
                lines, at = [*lines[:row], lines[row][:0]], at + 3
            elif text.startswith("\x1b[", at):
                end = text.index("A", at)
                row, at = row - int(text[at + 2 : end]), end + 1
            elif text[at] == "\n":
                row, at = row + 1, at + 1
                lines += [""] if row == len(lines) else []
            elif text[at] == "\r":
                at += 1
            else:
                lines[row], at = lines[row] + text[at], at + 1
        self.lines = [line for line in lines if line]


def test_a_terminal_shows_one_table_and_then_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("LINES", "24")
    stream = io.StringIO()
    with FleetDisplay(stream, live=True, verbose=False, total=3) as display:
        one, two = display.row(), display.row()
        one.show(event("web", done=2))
        two.show(event("api", "plan", message="reading \x1b[2J"))
        table = Screen(stream.getvalue()).lines
        assert table[0].endswith("0 of 3 stacks done, 2 running") and table[0].startswith("[....")
        assert [line.split()[0] for line in table[1:]] == ["web", "api"]
        assert "2/4" in table[1] and "\\x1b[2J" in table[2]
        one.end()
        two.end(error_of(TerraformError))
        three = display.row()
        three.show(event("lab"))
        table = Screen(stream.getvalue()).lines
        assert table[0].endswith("1 of 3 stacks done, 1 failed, 1 running") and len(table) == 2
        three.end()
    assert Screen(stream.getvalue()).lines == ["2 of 3 stacks done, 1 failed"]


def test_a_log_has_a_line_for_each_step_of_each_stack_and_one_at_its_end() -> None:
    stream = io.StringIO()
    with FleetDisplay(stream, live=False, verbose=False, total=3) as display:
        one, two = display.row(), display.row()
        for _ in range(3):
            one.show(event("web", "plan"))
            two.show(event("api", "plan"))
        one.show(event("web", "apply", 1, "made"))
        one.end()
        two.end(error_of(TerraformError))
    assert stream.getvalue().splitlines() == [
        "web: plan 0/4",
        "api: plan 0/4",
        "web: apply 1/4: made",
        "web: done, 1 of 3",
        "api: failed, 2 of 3",
        "1 of 3 stacks done, 1 failed, 1 not begun",
    ]


def test_a_table_of_more_stacks_than_lines_fits_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("LINES", "6")
    stream = io.StringIO()
    with FleetDisplay(stream, live=True, verbose=False, total=30) as display:
        for number in range(30):
            display.row().show(event(f"a-stack-with-a-long-name-{number}", message="x" * 50))
        table = Screen(stream.getvalue()).lines
        assert len(table) == 5 and all(len(line) < 40 for line in table)


# -- with the real Terraform -----------------------------------------------------------

# A user's process: plans and applies stacks that take a while, several at once, as `apply` does.
APPLY_ALL = """
import sys
from skyports_tf.cli.console import Session
from skyports_tf.cli.running import explain_failures, run_each
from skyports_tf.lifecycle import RunSettings, apply_plan, plan_stack
from tests.test_parallel import STACKS
out, session = sys.argv[1], Session()
session.parallel = 3
settings = RunSettings(parallelism=1)
def step(stack, progress):
    return apply_plan(out, plan_stack(out, stack, settings, progress), settings, progress)
outcome = run_each(session, STACKS, step)
print("done", len(outcome.results), flush=True)
sys.exit(explain_failures(session, outcome.failures))
"""
STACKS = tuple(
    replace(aws_stack(*(rule(str(port)) for port in range(8000, 8008))), cluster=cluster)
    for cluster in CLUSTERS
)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_stops_all_in_order_and_each_state_is_saved(
    number: signal.Signals, local_terraform: tuple[str, ...], tmp_path: Path
) -> None:
    for stack in STACKS:
        write_local_stack(tmp_path, stack, seconds=0.3)
    process = subprocess.Popen(
        [sys.executable, "-c", APPLY_ALL, str(tmp_path)],
        cwd=Path(__file__).parent.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        for _ in range(3):
            read_until(process.stderr, lambda line: ": apply 1/8" in line)
        process.send_signal(number)
        out, err = process.communicate(timeout=120)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 128 + number, err
    assert "done 0" in out and "3 not begun" in err
    assert err.count("Terraform has ended in order") == 3
    for stack in STACKS:
        folder = tmp_path / stack.directory
        known = read_status(str(tmp_path), stack, RunSettings()).rules
        # what had been opened by then is in a state, and nothing holds a lock
        assert len(known) >= 1 if stack in STACKS[:3] else known == ()
        assert not (folder / ".terraform.tfstate.lock.info").exists()


FLEET = CLUSTERS[:3]


@pytest.fixture
def fleet(tmp_path: Path, mirror: Path, monkeypatch: pytest.MonkeyPatch) -> Life:
    """A project of three clusters in a folder, on a cloud that the schema provider plays."""
    # one provider for each command, as ever: those at once are not to share one
    life = life_on("do", tmp_path, mirror, monkeypatch, resident=False)
    for name in FLEET:
        life.project.task("[80, 443]", name=name, infra=life.place, file=f"tasks/{name}.yaml")
    return life


def test_a_fleet_is_planned_applied_and_destroyed_several_at_once(fleet: Life) -> None:
    folder = fleet.project.folder
    planned = call(folder, "plan", "tasks", "--parallel", "3")
    assert planned.code == 0, planned.err
    # in the order of the stacks, whoever was first
    heads = [line.split("-")[0] for line in planned.out.splitlines() if "tasks/" in line]
    assert heads == [*FLEET]
    assert "3 of 3 stacks done" in planned.err
    applied = call(folder, "apply", "tasks", "-y", "--parallel", "3", "--json")
    assert applied.code == 0, applied.err
    assert [item["cluster"] for item in applied.json["stacks"]] == [*FLEET]
    gone = call(folder, "destroy", *FLEET, "-y", "--parallel", "3", "--json")
    assert [(item["cluster"], item["verified_empty"]) for item in gone.json["stacks"]] == [
        (name, True) for name in FLEET
    ]


def test_of_a_fleet_each_failure_is_told_at_the_end_and_the_others_go_on(fleet: Life) -> None:
    folder = fleet.project.folder
    assert call(folder, "compile", "tasks").code == 0
    (ledger,) = (folder / "infra" / FLEET[1]).glob("*/stack.json")
    (ledger.parent / "broken.tf").write_text("resource nonsense\n", encoding="utf-8")
    answer = call(folder, "apply", "tasks", "-y", "--parallel", "3")
    assert answer.code == 3
    assert "2 of 3 stacks done, 1 failed" in answer.err and "resource nonsense" in answer.err
    assert answer.err.rindex("stacks done") < answer.err.index("error[terraform-failed]")
