"""Signals: Terraform hears of them once, and saves its state whatever becomes of us."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from skyports_tf.child import Signals, run_child, watch_signals
from skyports_tf.diagnostics import InterruptedRunError, TerraformError
from skyports_tf.lifecycle import RunSettings, plan_stack, read_status
from skyports_tf.model import Stack
from tests.support.local_aws import MotoServer
from tests.support.stacks import aws_stack, rule, write_local_stack, write_program, write_stack

PATIENCE = 60.0
RULES = tuple(rule(str(port)) for port in range(8000, 8006))

# A user's process: applies the first stack in a folder, tells its progress, exits as the program does.
APPLY = """
import signal, sys
for name in ("SIGINT", "SIGHUP"):
    signal.signal(getattr(signal, name), signal.default_int_handler)
from skyports_tf.diagnostics import SkyportsError
from skyports_tf.lifecycle import RunSettings, apply_plan, plan_stack
from tests.test_interrupt import STACKS
out, stack = sys.argv[1], STACKS[sys.argv[2]]
settings = RunSettings(binary=sys.argv[3] or None, parallelism=1)
def show(event):
    print(event.phase, event.done, event.total, event.message, flush=True)
try:
    plan = plan_stack(out, stack, settings, show)
    apply_plan(out, plan, settings, show)
except SkyportsError as error:
    print("ended:", type(error).__name__, error, flush=True)
    sys.exit(error.exit_code)
"""
STACKS: dict[str, Stack] = {"rules": aws_stack(*RULES)}


@contextmanager
def applying(out: Path, binary: str = "") -> Iterator[subprocess.Popen[str]]:
    """A process that plans and applies; its stdout tells how far it is."""
    process = subprocess.Popen(
        [sys.executable, "-c", APPLY, str(out), "rules", binary],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent.parent,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def read_until(stream: IO[str] | None, found: Callable[[str], bool]) -> str:
    assert stream is not None
    for line in stream:
        if found(line):
            return line
    pytest.fail("the process ended before it came that far")


def wait_until(done: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < deadline, f"waited in vain for: {what}"
        time.sleep(0.05)


def two_are_open(line: str) -> bool:
    return line.startswith("apply 2 ")


def open_ports(folder: Path, argv: tuple[str, ...]) -> set[str]:
    """The rules that Terraform has finished, by its own list."""
    listed = subprocess.run([*argv, "state", "list"], cwd=folder, capture_output=True, text=True, check=True)
    return set(listed.stdout.split())


@pytest.mark.parametrize(
    ("number", "exit_code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
    ids=["ctrl-c", "term", "hangup"],
)
def test_a_signal_in_the_middle_of_an_apply_saves_the_state_and_exits_with_its_code(
    local_terraform: tuple[str, ...], tmp_path: Path, number: int, exit_code: int
) -> None:
    stack = STACKS["rules"]
    folder = write_local_stack(tmp_path, stack, seconds=0.4)
    with applying(tmp_path) as process:
        read_until(process.stdout, two_are_open)
        process.send_signal(number)
        read_until(process.stdout, lambda line: "Stopping" in line)
        ended = read_until(process.stdout, lambda line: line.startswith("ended:"))
        assert process.wait(PATIENCE) == exit_code
    assert "InterruptedRunError" in ended
    assert not list(folder.glob(".terraform.tfstate.lock.info"))
    opened = open_ports(folder, local_terraform)
    assert 2 <= len(opened) < len(RULES)
    # what status and plan say afterwards is what the state holds, not what the last outputs said
    status = read_status(str(tmp_path), stack, RunSettings())
    assert status.state == "open"
    assert len(status.rules) == len(opened)
    # one of them may have been cut short: that one is made anew
    plan = plan_stack(str(tmp_path), stack, RunSettings())
    assert len(RULES) - len(opened) <= plan.counts.create <= len(RULES) - 2


def test_terraform_finishes_and_saves_its_state_when_we_are_killed(
    local_terraform: tuple[str, ...], tmp_path: Path
) -> None:
    stack = STACKS["rules"]
    folder = write_local_stack(tmp_path, stack, seconds=0.2)
    with applying(tmp_path) as process:
        read_until(process.stdout, two_are_open)
        process.kill()
        process.wait()
    wait_until(lambda: len(open_ports(folder, local_terraform)) == len(RULES), "Terraform to finish alone")
    wait_until(lambda: not list(folder.glob(".terraform.tfstate.lock.info")), "Terraform to unlock the state")
    status = read_status(str(tmp_path), stack, RunSettings())
    assert [rule.from_port for rule in status.rules] == [8000, 8001, 8002, 8003, 8004, 8005]
    assert not plan_stack(str(tmp_path), stack, RunSettings()).counts.any


def test_terraform_hears_of_one_signal_however_often_the_user_presses_ctrl_c(tmp_path: Path) -> None:
    log = tmp_path / "signals.log"
    program = write_program(
        tmp_path / "terraform",
        f"""\
        trap 'echo INT >> {shlex.quote(str(log))}' INT
        [ "$1" = plan ] || exit 0
        echo '{{"type":"apply_start","@message":"ready","hook":{{"action":"read"}}}}'
        count=0
        while [ $count -lt 15 ]; do sleep 0.1; count=$((count + 1)); done
        """,
    )
    write_local_stack(tmp_path, STACKS["rules"])
    with applying(tmp_path, str(program)) as process:
        read_until(process.stdout, lambda line: "ready" in line)
        for _ in range(3):
            process.send_signal(signal.SIGINT)
            time.sleep(0.2)
        assert process.wait(PATIENCE) == 130
    assert log.read_text(encoding="utf-8") == "INT\n"


def test_the_terminal_reaches_terraform_through_us_alone(tmp_path: Path) -> None:
    program = write_program(tmp_path / "terraform", "ps -o sid= -p $$; ps -o sid= -p $PPID\n")
    end = run_child([str(program)], tmp_path, os.environ, Signals())
    child, parent = end.stdout.split()
    assert child != parent


def test_a_signal_between_two_commands_starts_no_other(tmp_path: Path) -> None:
    started = tmp_path / "started"
    program = write_program(tmp_path / "terraform", f"echo started >> {shlex.quote(str(started))}\n")
    with pytest.raises(InterruptedRunError) as caught, watch_signals("web") as signals:
        run_child([str(program)], tmp_path, os.environ, signals)
        os.kill(os.getpid(), signal.SIGTERM)
        wait_until(lambda: signals.received is not None, "the signal")
        run_child([str(program)], tmp_path, os.environ, signals)
    assert caught.value.exit_code == 143
    assert started.read_text(encoding="utf-8") == "started\n"


def test_a_signal_at_the_very_end_is_not_lost() -> None:
    with pytest.raises(InterruptedRunError) as caught, watch_signals("web") as signals:
        os.kill(os.getpid(), signal.SIGTERM)
        wait_until(lambda: signals.received is not None, "the signal")
    assert caught.value.exit_code == 143


def test_what_fails_because_of_a_signal_is_told_as_an_interruption() -> None:
    with pytest.raises(InterruptedRunError), watch_signals("web") as signals:
        os.kill(os.getpid(), signal.SIGTERM)
        wait_until(lambda: signals.received is not None, "the signal")
        raise TerraformError(())


def test_handlers_are_as_before_when_the_run_has_ended() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    with watch_signals("web"):
        pass
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before


def test_a_signal_that_is_ignored_stays_ignored_as_under_nohup() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with watch_signals("web") as signals:
            os.kill(os.getpid(), signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
        assert signals.received is None
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_listener_that_fails_leaves_no_terraform_running(tmp_path: Path) -> None:
    log = tmp_path / "ended"
    program = write_program(
        tmp_path / "terraform",
        f"""\
        trap 'echo INT >> {shlex.quote(str(log))}; exit 1' INT
        echo line
        while :; do sleep 0.05; done
        """,
    )

    def fail(line: str) -> None:
        raise BrokenPipeError(line)

    with pytest.raises(BrokenPipeError):
        run_child([str(program)], tmp_path, os.environ, Signals(), fail)
    assert log.read_text(encoding="utf-8") == "INT\n"


@pytest.mark.xdist_group("interrupt-aws")
def test_ctrl_c_while_the_aws_provider_works_leaves_a_state_to_go_on_from(
    aws: MotoServer, tmp_path: Path
) -> None:
    stack = STACKS["rules"]
    write_stack(tmp_path, stack)
    with applying(tmp_path) as process:
        read_until(process.stdout, two_are_open)
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 130
    plan = plan_stack(str(tmp_path), stack, RunSettings())
    assert 0 < plan.counts.create < 10
    assert not plan.counts.delete
