"""`run`: ports are open while a command runs and closed when it ends, however it ends."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from skyports_tf.lease import leases, locked_clusters
from tests.support.command_line import Answer, call, valid
from tests.support.life import PretendPlace
from tests.support.local_aws import MotoServer, ec2
from tests.support.project import Project
from tests.support.schema_cloud import SchemaCloud
from tests.support.stacks import write_program

RUN = [sys.executable, "-m", "skyports_tf", "run"]
FIREWALL = "google_compute_firewall"
PLACE = "web/gcp"
PATIENCE = 90.0


@dataclass(frozen=True)
class Place(PretendPlace):
    """A project with one task, `web.yaml`, on a pretend Google Cloud."""

    def open_ports(self) -> set[str]:
        """The ports that the cloud lets in."""
        rules = self.cloud.objects(FIREWALL).get(FIREWALL, [])
        return {
            port
            for rule in rules
            if not rule["disabled"]
            for allow in rule["allow"]
            for port in allow["ports"]
        }

    def files(self) -> list[str]:
        """The task files in the ledger."""
        return [entry.file for entry in self.project.stack(PLACE).entries]

    def lease_states(self) -> list[tuple[str, tuple[str, ...]]]:
        return [(lease.state, lease.files) for lease in leases(str(self.folder / "infra"))]

    def run(
        self, *words: str, command: str, stdin: int = subprocess.DEVNULL
    ) -> subprocess.CompletedProcess[str]:
        """Call `run web.yaml -y`, with a command of the shell."""
        given = words or ("web.yaml", "-y")
        return subprocess.run(
            [*RUN, *given, "--", "sh", "-c", command],
            cwd=self.folder,
            stdin=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )

    @contextmanager
    def running(self, command: str, *words: str, **rest: Any) -> Iterator[subprocess.Popen[str]]:
        """A `run` in the background; its command has begun when it writes the file `begun`."""
        given = words or ("web.yaml", "-y")
        process = subprocess.Popen(
            [*RUN, *given, "--", "sh", "-c", command],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            **rest,
        )
        try:
            yield process
        finally:
            # the command, which holds our end of the pipes, may have outlived the run
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate(timeout=PATIENCE)

    def wait_for(self, name: str) -> None:
        wait_until((self.folder / name).exists, name)


def wait_until(done: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < deadline, f"waited in vain for: {what}"
        time.sleep(0.02)


@pytest.fixture
def gcp(tmp_path: Path, mirror: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    facts = yaml.safe_load(Path(__file__).with_name("matrix").joinpath("gcp.yaml").read_text("utf-8"))
    cloud = SchemaCloud(tmp_path, "google", mirror, facts["fixture"])
    for name, value in cloud.env.items():
        monkeypatch.setenv(name, value)
    project = Project(tmp_path / "project")
    project.folder.mkdir()
    project.config(f"{facts['config']}sources: [203.0.113.0/24]\n")
    project.task("8080", infra=facts["infra"])
    return Place(project, cloud)


def looking(place: Place) -> str:
    """A command that notes what is open while it runs."""
    folder = place.folder.parent / "google" / "objects" / FIREWALL
    return f"cat '{folder}'/*.json > seen"


# -- a command that ends ---------------------------------------------------------------


def test_ports_are_open_while_the_command_runs_and_nothing_is_left_after_it(gcp: Place) -> None:
    ended = gcp.run(command=f"{looking(gcp)}; echo out of the command; exit 7")
    assert (ended.returncode, ended.stdout) == (7, "out of the command\n")
    assert '"8080"' in (gcp.folder / "seen").read_text("utf-8")
    assert gcp.cloud.objects() == {}
    assert (gcp.files(), gcp.lease_states()) == ([], [])
    assert "the ports close when it ends" in ended.stderr
    assert "closed tcp 8080" in ended.stderr and "nothing is left" in ended.stderr


def test_a_task_that_was_in_the_ledger_before_stays_open(gcp: Place) -> None:
    assert call(gcp.folder, "apply", "web.yaml", "-y").code == 0
    gcp.project.task("9090", infra="gcp/us-central1", file="job.yaml")
    ended = gcp.run("web.yaml", "job.yaml", "-y", command=looking(gcp))
    assert ended.returncode == 0
    assert "web.yaml was in the ledger before, and stays open after the command" in ended.stderr
    assert "job.yaml was" not in ended.stderr
    assert '"9090"' in (gcp.folder / "seen").read_text("utf-8")
    assert (gcp.open_ports(), gcp.files()) == ({"8080"}, ["web.yaml"])


def test_the_answer_as_json_is_all_of_the_stdout(gcp: Place) -> None:
    ended = gcp.run("web.yaml", "-y", "--json", command="echo out of the command; exit 3")
    document = valid("run", json.loads(ended.stdout))
    assert ended.returncode == 3
    assert "out of the command" in ended.stderr
    assert document["command"] == {"argv": ["sh", "-c", "echo out of the command; exit 3"], "exit_code": 3}
    assert [(step["step"], step["state"]) for step in document["steps"]] == [
        ("open", "done"),
        ("command", "failed"),
        ("close", "done"),
    ]
    ((opened,), (closed,)) = document["stacks"], document["closed"]
    assert [rule["from_port"] for rule in opened["changes"]["open"]] == [8080]
    assert [rule["from_port"] for rule in closed["changes"]["close"]] == [8080]
    assert closed["verified_empty"] is True


def test_a_task_without_ports_is_no_reason_not_to_run_the_command(gcp: Place) -> None:
    gcp.project.task("null", infra="gcp/us-central1")
    ended = gcp.run(command="echo hello; exit 4")
    assert (ended.returncode, ended.stdout) == (4, "hello\n")
    assert gcp.cloud.objects() == {}


# -- a command that does not come to run -----------------------------------------------


def test_without_a_yes_nothing_is_opened_and_the_ledger_is_as_before(gcp: Place) -> None:
    ended = gcp.run("web.yaml", command="touch ran")
    assert ended.returncode == 1
    assert "error[not-confirmed]: nothing was opened" in ended.stderr
    assert not (gcp.folder / "ran").exists()
    assert (gcp.files(), gcp.lease_states(), gcp.cloud.objects()) == ([], [], {})


def test_a_no_is_a_no(gcp: Place) -> None:
    answer = call(gcp.folder, "run", "web.yaml", "--", "touch", "ran", answer="no\n")
    assert (answer.code, answer.out) == (1, "")
    assert "Open these ports, and close them when the command has ended? [y/N]" in answer.err
    assert not (gcp.folder / "ran").exists()
    assert (gcp.files(), gcp.lease_states()) == ([], [])


def test_a_command_that_is_not_there_is_told_before_anything_is_written(gcp: Place) -> None:
    answer = call(gcp.folder, "run", "web.yaml", "-y", "--json", "--", "no-such-program", "x")
    assert answer.code == 4
    assert valid("run", answer.json)["diagnostics"][0]["code"] == "command-missing"
    assert not (gcp.folder / "infra").exists()


@pytest.mark.parametrize("words", [(), ("--",)])
def test_a_run_without_a_command_is_a_wrong_call(gcp: Place, words: tuple[str, ...]) -> None:
    answer = call(gcp.folder, "run", "web.yaml", "-y", *words)
    assert answer.code == 2
    assert "Usage: skyports-tf run [OPTIONS] TASK... -- COMMAND..." in answer.err


def test_a_wrong_task_is_told_before_anything_is_written(gcp: Place) -> None:
    gcp.project.task("eighty", infra="gcp/us-central1")
    answer = call(gcp.folder, "run", "web.yaml", "-y", "--json", "--", "true")
    assert answer.code == 1
    assert valid("run", answer.json)["diagnostics"][0]["code"] == "bad-port"
    assert not (gcp.folder / "infra").exists()


def test_a_program_that_cannot_be_started_closes_what_was_opened(gcp: Place) -> None:
    program = gcp.folder / "broken"
    program.write_text("#!/no/such/interpreter\n", encoding="utf-8")
    program.chmod(0o755)
    answer = call(gcp.folder, "run", "web.yaml", "-y", "--", str(program))
    assert answer.code == 4
    assert "error[command-missing]" in answer.err
    assert (gcp.cloud.objects(), gcp.lease_states()) == ({}, [])


def test_what_terraform_could_not_open_is_closed_and_the_command_does_not_run(gcp: Place) -> None:
    gcp.project.task("[8080, 9090]", infra="gcp/us-central1")
    gcp.cloud.fail(FIREWALL, update="no luck")
    gcp.cloud.fail(FIREWALL, create="quota reached")
    ended = gcp.run(command="touch ran")
    assert ended.returncode == 3
    assert "quota reached" in ended.stderr
    assert not (gcp.folder / "ran").exists()
    assert (gcp.cloud.objects(), gcp.files(), gcp.lease_states()) == ({}, [], [])


# -- signals ---------------------------------------------------------------------------

HEARING = "trap 'echo {name} >> heard; exit 9' {name}; touch begun; while :; do sleep 0.05; done"


@pytest.mark.parametrize("name", ["INT", "TERM", "HUP"])
def test_a_signal_is_passed_on_once_and_the_ports_are_closed(gcp: Place, name: str) -> None:
    with gcp.running(HEARING.format(name=name)) as process:
        gcp.wait_for("begun")
        assert gcp.open_ports() == {"8080"}
        process.send_signal(getattr(signal, f"SIG{name}"))
        assert process.wait(PATIENCE) == 9
    assert (gcp.folder / "heard").read_text("utf-8") == f"{name}\n"
    assert (gcp.cloud.objects(), gcp.files(), gcp.lease_states()) == ({}, [], [])


def test_a_command_that_dies_of_the_signal_gives_the_shells_exit_code(gcp: Place) -> None:
    with gcp.running("touch begun; sleep 60 & wait") as process:
        gcp.wait_for("begun")
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 143
    assert gcp.cloud.objects() == {}


def test_the_whole_process_group_may_be_told_and_the_command_hears_once(gcp: Place) -> None:
    with gcp.running(HEARING.format(name="INT")) as process:
        gcp.wait_for("begun")
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(PATIENCE) == 9
    assert (gcp.folder / "heard").read_text("utf-8") == "INT\n"
    assert gcp.cloud.objects() == {}


def slow_terraform(place: Place, times: int) -> None:
    """From now on, the apply number `times` tells that it has begun, and takes a second before it does."""
    program = write_program(
        place.folder / "slow",
        f"""\
        if [ "$1" = apply ]; then
          echo x >> "{place.folder}/applies"
          [ $(wc -l < "{place.folder}/applies") = {times} ] && touch "{place.folder}/applying" && sleep 1
        fi
        exec terraform "$@"
        """,
    )
    with (place.folder / "skyports.yaml").open("a", encoding="utf-8") as file:
        file.write(f"terraform: {{binary: {program}}}\n")


def test_a_signal_while_the_ports_are_being_opened_closes_them_and_runs_nothing(gcp: Place) -> None:
    slow_terraform(gcp, times=1)
    with gcp.running("touch ran") as process:
        gcp.wait_for("applying")
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 143
    assert not (gcp.folder / "ran").exists()
    assert (gcp.cloud.objects(), gcp.files(), gcp.lease_states()) == ({}, [], [])


def test_a_signal_while_the_ports_are_being_closed_ends_in_order_and_leaves_the_rest_to_reap(
    gcp: Place,
) -> None:
    slow_terraform(gcp, times=2)
    with gcp.running("true") as process:
        gcp.wait_for("applying")
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=PATIENCE)
        assert process.returncode == 130
    assert "what this run has opened on web may be open still" in said
    assert gcp.lease_states() == [("abandoned", ("web.yaml",))]
    # whatever became of the destroy, the next run closes it
    assert gcp.run(command="true").returncode == 0
    assert (gcp.cloud.objects(), gcp.files(), gcp.lease_states()) == ({}, [], [])


def test_ctrl_c_at_a_terminal_reaches_the_command_alone(gcp: Place) -> None:
    here, there = pty.openpty()
    process = subprocess.Popen(
        [*RUN, "web.yaml", "-y", "--", "sh", "-c", HEARING.format(name="INT")],
        cwd=gcp.folder,
        stdin=there,
        stdout=there,
        stderr=there,
        start_new_session=True,
        preexec_fn=lambda: _take(there),
    )
    os.close(there)
    try:
        gcp.wait_for("begun")
        os.write(here, b"\x03")
        said = _read_all(here)
        assert process.wait(PATIENCE) == 9
    finally:
        process.kill()
        process.wait()
        os.close(here)
    assert (gcp.folder / "heard").read_text("utf-8") == "INT\n"
    assert b"nothing is left" in said
    assert (gcp.cloud.objects(), gcp.lease_states()) == ({}, [])


def _take(terminal: int) -> None:
    import fcntl
    import termios

    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)


def _read_all(descriptor: int) -> bytes:
    said = b""
    while True:
        try:
            chunk = os.read(descriptor, 1 << 16)
        except OSError:  # Linux: everybody has closed the other side
            return said
        if not chunk:
            return said
        said += chunk


# -- what cannot be closed, and who is killed ------------------------------------------


def test_what_cannot_be_closed_is_told_and_left_to_reap(gcp: Place) -> None:
    gcp.cloud.fail(FIREWALL, delete="in use")
    ended = gcp.run("web.yaml", "-y", "--json", command="true")
    assert ended.returncode == 3
    assert "what this run has opened on web may be open still" in ended.stderr
    assert "`skyports-tf reap` closes it, and so does `skyports-tf down web`" in ended.stderr
    assert "held-open" in [item["code"] for item in valid("run", json.loads(ended.stdout))["diagnostics"]]
    assert gcp.lease_states() == [("abandoned", ("web.yaml",))]


def test_the_commands_own_exit_code_goes_before_that_of_a_failed_close(gcp: Place) -> None:
    gcp.cloud.fail(FIREWALL, delete="in use")
    assert gcp.run(command="exit 5").returncode == 5
    assert gcp.lease_states() == [("abandoned", ("web.yaml",))]


def killed(place: Place) -> None:
    """A run that is killed while its command runs; the command is killed after it."""
    with place.running("touch begun; exec sleep 60") as process:
        place.wait_for("begun")
        assert place.lease_states() == [("held", ("web.yaml",))]
        child = int(_child_of(process.pid))
        process.kill()
        process.wait()
        os.kill(child, signal.SIGKILL)


def test_a_run_that_was_killed_leaves_a_lease_that_nobody_holds(gcp: Place) -> None:
    killed(gcp)
    assert gcp.lease_states() == [("abandoned", ("web.yaml",))]
    assert (gcp.open_ports(), gcp.files()) == ({"8080"}, ["web.yaml"])


def test_the_next_run_of_the_same_task_closes_what_a_killed_one_has_left(gcp: Place) -> None:
    killed(gcp)
    assert gcp.run(command="true").returncode == 0
    assert (gcp.cloud.objects(), gcp.files(), gcp.lease_states()) == ({}, [], [])


def test_reap_closes_what_a_killed_run_has_left_and_nothing_of_a_run_that_lives(gcp: Place) -> None:
    assert call(gcp.folder, "reap", "--no-sky").code == 0
    with gcp.running("touch begun-2; exec sleep 60") as process:
        gcp.wait_for("begun-2")
        child = int(_child_of(process.pid))
        answer = call(gcp.folder, "reap", "--no-sky", "--grace", "0")
        assert (answer.code, gcp.open_ports()) == (0, {"8080"}), answer.err
        process.kill()
        process.wait()
        os.kill(child, signal.SIGKILL)
    assert call(gcp.folder, "reap", "--no-sky", "--check").code == 1
    answer = call(gcp.folder, "reap", "--no-sky")
    assert answer.code == 0, answer.err
    assert (gcp.open_ports(), gcp.files(), gcp.lease_states()) == (set(), [], [])


def test_what_is_applied_while_a_run_holds_it_stays_open_after_it(gcp: Place) -> None:
    ended = gcp.run(command=f"{sys.executable} -m skyports_tf apply web.yaml -y")
    assert ended.returncode == 0, ended.stderr
    assert (gcp.open_ports(), gcp.files(), gcp.lease_states()) == ({"8080"}, ["web.yaml"], [])


def test_what_is_applied_after_a_run_was_killed_is_no_matter_of_its_lease(gcp: Place) -> None:
    killed(gcp)
    assert call(gcp.folder, "apply", "web.yaml", "-y").code == 0
    assert gcp.lease_states() == [("abandoned", ())]


def _child_of(pid: int) -> str:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text("utf-8").split()[0]


# -- several at once -------------------------------------------------------------------


def test_of_two_runs_of_one_task_the_last_one_closes(gcp: Place) -> None:
    waiting = "touch begun-{0}; while ! [ -e end-{0} ]; do sleep 0.05; done"
    with gcp.running(waiting.format(1)) as first:
        gcp.wait_for("begun-1")
        with gcp.running(waiting.format(2)) as second:
            gcp.wait_for("begun-2")
            assert gcp.lease_states() == [("held", ("web.yaml",))] * 2
            (gcp.folder / "end-1").touch()
            assert first.wait(PATIENCE) == 0
            assert (gcp.open_ports(), gcp.files()) == ({"8080"}, ["web.yaml"])
            (gcp.folder / "end-2").touch()
            assert second.wait(PATIENCE) == 0
    assert (gcp.cloud.objects(), gcp.files(), gcp.lease_states()) == ({}, [], [])


def test_closing_opens_nothing_that_nobody_agreed_to(gcp: Place) -> None:
    gcp.project.task("7070", infra="gcp/us-central1", file="other.yaml")
    assert call(gcp.folder, "apply", "other.yaml", "-y").code == 0
    gcp.project.task("[7070, 7171]", infra="gcp/us-central1", file="other.yaml")
    compile_ = f"{sys.executable} -m skyports_tf compile other.yaml"
    ended = gcp.run("web.yaml", "-y", command=compile_)
    assert ended.returncode == 1
    assert "this would also open what nobody agreed to: tcp 7171 from 203.0.113.0/24" in ended.stderr
    assert "7171" not in gcp.open_ports()
    assert gcp.lease_states() == [("abandoned", ("web.yaml",))]


def test_who_opens_waits_for_who_closes(gcp: Place) -> None:
    (gcp.folder / "infra").mkdir()
    with locked_clusters(str(gcp.folder / "infra"), ["web"]), gcp.running("touch begun"):
        time.sleep(1.5)
        assert not (gcp.folder / "infra" / "web").exists()
    assert gcp.run(command="true").returncode == 0


def test_rules_that_keep_out_what_skypilot_lets_in_stay_while_nodes_run(
    tmp_path: Path, mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = yaml.safe_load(Path(__file__).with_name("matrix").joinpath("azure.yaml").read_text("utf-8"))
    cloud = SchemaCloud(tmp_path, facts["schema"], mirror, facts["fixture"])
    for name, value in cloud.env.items():
        monkeypatch.setenv(name, value)
    project = Project(tmp_path / "project")
    project.folder.mkdir()
    project.config(f"{facts['config']}sources: [203.0.113.0/24]\n")
    project.task("8080", infra=facts["infra"])
    answer = call(project.folder, "run", "web.yaml", "-y", "--", "true")
    assert answer.code == 0, answer.err
    assert "so the group stays, without ports" in answer.err
    rules = cloud.objects()["azurerm_network_security_rule"]
    assert [rule["access"] for rule in rules] == ["Deny"]
    assert leases(str(project.folder / "infra")) == ()
    # nothing that anybody asks for is open, whatever the outputs said last
    status = call(project.folder, "status", "web", "--json").json
    assert [stack["state"] for stack in status["stacks"]] == ["closed"]


# -- AWS -------------------------------------------------------------------------------


def test_on_aws_the_group_is_there_while_the_command_runs_and_gone_after_it(
    aws: MotoServer, tmp_path: Path
) -> None:
    project = Project(tmp_path)
    project.task("[8888, 9000-9005]")
    looking = (
        "import os; from tests.support.local_aws import ec2;"
        "groups = ec2(os.environ['AWS_ENDPOINT_URL']).describe_security_groups()['SecurityGroups'];"
        "print(*sorted(str(rule.get('FromPort')) for group in groups if group['GroupName'] == 'sky-sg-web'"
        " for rule in group['IpPermissions']))"
    )
    ended = subprocess.run(
        [*RUN, "web.yaml", "-y", "--source", "10.0.0.0/8", "--", sys.executable, "-c", looking],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (0, "22 8888 9000 None\n"), ended.stderr
    groups = ec2(aws.url).describe_security_groups()["SecurityGroups"]
    assert [group["GroupName"] for group in groups if group["GroupName"].startswith("sky")] == []
    assert project.stack().entries == ()


def test_on_aws_the_group_stays_without_ports_while_nodes_run_in_it(aws: MotoServer, tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.task("8888")
    launching = (
        "import os; from tests.support.local_aws import ec2, launch_nodes;"
        "url = os.environ['AWS_ENDPOINT_URL']; launch_nodes(url, 'web-a1b2c3d4', 1)"
    )
    project.config("user_hash: a1b2c3d4\n")
    ended = subprocess.run(
        [*RUN, "web.yaml", "-y", "--json", "--", sys.executable, "-c", launching],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    document = valid("run", json.loads(ended.stdout))
    assert ended.returncode == 0, ended.stderr
    assert "so the group stays, without ports" in ended.stderr
    assert "group-kept" in [item["code"] for item in document["diagnostics"]]
    assert document["closed"][0]["verified_empty"] is None
    groups = ec2(aws.url).describe_security_groups()["SecurityGroups"]
    (group,) = [group for group in groups if group["GroupName"] == "sky-sg-web"]
    assert sorted(rule.get("FromPort", -1) for rule in group["IpPermissions"]) == [-1, 22]
    assert (project.stack().entries, leases(str(tmp_path / "infra"))) == ((), ())


def test_a_lease_of_a_call_in_this_process_is_held_by_it_and_gone_with_its_end(gcp: Place) -> None:
    answer: Answer = call(gcp.folder, "run", "web.yaml", "-y", "--", "true")
    assert (answer.code, gcp.lease_states()) == (0, [])
