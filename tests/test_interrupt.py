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

from skyports_tf.diagnostics import InterruptedRunError, TerraformError
from skyports_tf.lifecycle import RunSettings, apply_plan, plan_stack, read_status
from skyports_tf.model import Stack
from skyports_tf.running import child
from skyports_tf.running.child import Signals, run_child, watch_signals
from skyports_tf.running.execution import Execution
from skyports_tf.running.settings import ProgressEvent
from tests.support.local_aws import MotoServer
from tests.support.stacks import aws_stack, compile_stack, rule, write_local_stack, write_program

PATIENCE = 60.0
RULES = tuple(rule(str(port)) for port in range(8000, 8012, 2))

# A user's process: applies the first stack in a folder, tells its progress, exits as the program does.
APPLY = """
import signal, sys
for name in ("SIGINT", "SIGHUP"):
    signal.signal(getattr(signal, name), signal.default_int_handler)
from skyports_tf.running import child
from skyports_tf.diagnostics import SkyportsError
from skyports_tf.lifecycle import RunSettings, apply_plan, plan_stack
from tests.test_interrupt import STACKS
out, stack = sys.argv[1], STACKS[sys.argv[2]]
settings = RunSettings(binary=sys.argv[3] or None, parallelism=1)
child._PATIENCE_SECONDS = float(sys.argv[4])
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
def applying(
    out: Path, binary: str = "", patience: float = child._PATIENCE_SECONDS
) -> Iterator[subprocess.Popen[str]]:
    """A process that plans and applies; its stdout tells how far it is."""
    process = subprocess.Popen(
        [sys.executable, "-c", APPLY, str(out), "rules", binary, str(patience)],
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
    """The rules that Terraform has finished, by its own list; none while it writes the state."""
    listed = subprocess.run([*argv, "state", "list"], cwd=folder, capture_output=True, text=True, check=False)
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
    with applying(tmp_path, patience=0) as process:
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
    assert [rule.from_port for rule in status.rules] == [8000, 8002, 8004, 8006, 8008, 8010]
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


@pytest.mark.own_provider
@pytest.mark.xdist_group("interrupt-aws")
def test_ctrl_c_while_the_aws_provider_works_leaves_a_state_to_go_on_from(
    aws: MotoServer, tmp_path: Path
) -> None:
    stack = compile_stack(tmp_path, {str(rule.ports): [str(rule.source)] for rule in RULES})
    out = tmp_path / "infra"
    with applying(out) as process:
        read_until(process.stdout, two_are_open)
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 130
    # nothing was made that the state does not hold: going on meets nothing in its way
    plan = plan_stack(str(out), stack, RunSettings())
    assert plan.counts.create < 8
    assert not plan.counts.delete
    assert len(apply_plan(str(out), plan, RunSettings()).rules) == len(RULES)


# makes two things: tells that they are begun, and after so many tenths of a second that they are there
MAKING = """\
trap 'echo INT >> {log}; exit 1' INT
hook='"hook":{{"action":"create","resource":{{"addr":"x"}}}}'
say() {{ echo '{{"type":"'$1'","@message":"'$2'",'"${{hook%x*}}$2${{hook#*x}}"'}}'; }}
after() {{ for i in $(seq $1); do sleep 0.1; done; }}
say apply_start a; say apply_start b
after {tenths}; echo a >> {log}; say apply_complete a
after {tenths}; echo b >> {log}; say apply_complete b
after 100
"""


def interrupt_making(tmp_path: Path, tenths: int, times: int) -> list[str]:
    """Send as many signals when both things are begun; gives what Terraform noted."""
    log, stack = tmp_path / "made.log", STACKS["rules"]
    program = write_program(tmp_path / "terraform", MAKING.format(log=shlex.quote(str(log)), tenths=tenths))
    write_local_stack(tmp_path, stack)
    signals = Signals()

    def hear(event: ProgressEvent) -> None:
        if event.message == "b" and signals.received is None:
            for _ in range(times):
                signals.note(signal.SIGINT)

    execution = Execution(str(tmp_path), [stack], RunSettings(str(program)), hear, signals)
    with pytest.raises(InterruptedRunError):
        execution.stream("apply", lambda told: execution.terraform.apply("x", on_event=told))
    return log.read_text(encoding="utf-8").split()


def test_terraform_hears_of_a_signal_when_what_it_is_making_is_made(tmp_path: Path) -> None:
    assert interrupt_making(tmp_path, tenths=4, times=1) == ["a", "b", "INT"]


def test_a_second_ctrl_c_is_passed_on_at_once_and_is_still_one_signal(tmp_path: Path) -> None:
    assert interrupt_making(tmp_path, tenths=100, times=3) == ["INT"]


def test_terraform_hears_of_a_signal_however_long_it_makes_something(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "_PATIENCE_SECONDS", 0.3)
    assert interrupt_making(tmp_path, tenths=100, times=1) == ["INT"]


def test_what_was_cut_short_is_named(tmp_path: Path) -> None:
    program = write_program(
        tmp_path / "terraform",
        """\
        echo '{"type":"apply_errored","hook":{"action":"create","resource":{"addr":"module.ports.x"}}}'
        [ "$1" = plan ] && kill -TERM $PPID
        sleep 0.5
        """,
    )
    write_local_stack(tmp_path, STACKS["rules"])
    with pytest.raises(InterruptedRunError) as caught:
        plan_stack(str(tmp_path), STACKS["rules"], RunSettings(str(program)))
    assert caught.value.diagnostics[0].help == "what was being made may exist: module.ports.x"
