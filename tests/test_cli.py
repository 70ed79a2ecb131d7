"""The command line: verbs, flags, exit codes, streams, colours."""

from __future__ import annotations

import io
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest

import skyports_tf
from skyports_tf.cli import ALIASES, VERBS, cli
from skyports_tf.cli.configuration import find_user_hash
from skyports_tf.cli.console import wants_color
from skyports_tf.cli.progress import ProgressDisplay, bar_line, plain_line
from skyports_tf.lifecycle import ProgressEvent
from tests.support.command_line import call, environment
from tests.support.pretend_terraform import commands, pretend_terraform
from tests.support.project import Project

COMMAND = [sys.executable, "-m", "skyports_tf"]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project with one task that opens 8888, and a pretend Terraform."""
    project = Project(tmp_path / "project")
    project.task("8888")
    project.config(f"terraform:\n  binary: {pretend_terraform(tmp_path / 'bin')}\n")
    return project


# -- the group -------------------------------------------------------------------------


def test_the_list_of_verbs_is_in_step_with_the_verbs() -> None:
    context = click.Context(cli)
    for name, verb in VERBS.items():
        command = cli.get_command(context, name)
        assert command is not None
        assert command.name == name
        assert (command.help or "").split("\n\n")[0].replace("\n", " ") == verb.summary


def test_down_takes_what_destroy_takes() -> None:
    context = click.Context(cli)
    down, destroy = (cli.get_command(context, name) for name in ("down", "destroy"))
    assert down and destroy
    options = {option for parameter in destroy.params for option in parameter.opts}
    assert options < {option for parameter in down.params for option in parameter.opts}


@pytest.mark.parametrize("verb", [*VERBS, *ALIASES])
def test_every_verb_explains_itself(verb: str, tmp_path: Path) -> None:
    answer = call(tmp_path, verb, "--help")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith(f"Usage: skyports-tf {verb} ")


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_is_explained(verb: str) -> None:
    command = cli.get_command(click.Context(cli), verb)
    assert command is not None
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name


def test_the_version_is_told(tmp_path: Path) -> None:
    assert call(tmp_path, "--version").out == f"skyports-tf {skyports_tf.__version__}\n"


def test_help_and_version_load_no_verb_and_nothing_heavy() -> None:
    code = (
        "import sys, click; before = set(sys.modules);"  # on Python 3.10 click itself loads subprocess
        "from skyports_tf.cli import run; run(['--help']); run(['--version']);"
        "heavy = {'jinja2', 'yaml', 'jsonschema', 'subprocess', 'json', 'dataclasses', 'importlib.metadata'};"
        "ours = [name for name in sys.modules if name.startswith('skyports_tf.cli.')];"
        "print(sorted(heavy & (set(sys.modules) - before)), ours)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.splitlines()[-1] == "[] ['skyports_tf.cli.console']"


@pytest.mark.parametrize("verb", ["status", "destroy"])
def test_verbs_on_clusters_load_no_compiler(verb: str) -> None:
    code = f"import sys; import skyports_tf.cli.{verb}; print('jinja2' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout == "False\n"


def test_compile_loads_nothing_that_runs_terraform() -> None:
    code = (
        "import sys; import skyports_tf.cli.compile, skyports_tf.report.compilation;"
        "running = {'python_terraform', 'skyports_tf.lifecycle', 'skyports_tf.running.stream'};"
        "print(sorted(running & set(sys.modules)))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout == "[]\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["plan"],
        ["compile"],
        ["destroy"],
        ["plan", "--nonsense", "x.yaml"],
        ["--color", "blue", "status"],
        ["status", "web", "--ip", "--endpoints"],
        ["status", "web", "--endpoints", "--endpoint", "80"],
        ["status", "web", "--ip", "--json"],
        ["status", "web", "--endpoint", "http"],
        ["status", "--ip"],
        ["status", "a", "b", "--endpoints"],
        ["compile", "web.yaml", "--stdout", "--json"],
        ["compile", "web.yaml", "--format", "gitlab"],
        ["plan", "web.yaml", "--format", "xml"],
        ["plan", "web.yaml", "--json", "--format", "gitlab"],
        ["plan", "web.yaml", "--format", "text", "--json"],
    ],
    ids=" ".join,
)
def test_a_wrong_call_is_refused_with_exit_code_2(arguments: list[str], tmp_path: Path) -> None:
    answer = call(tmp_path, *arguments)
    assert (answer.code, answer.out) == (2, "")
    assert "Usage: skyports-tf" in answer.err


def test_the_module_and_the_script_are_the_same_command() -> None:
    for command in (COMMAND, [str(Path(sys.executable).with_name("skyports-tf"))]):
        said = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
        assert said.stdout == f"skyports-tf {skyports_tf.__version__}\n"


# -- errors ----------------------------------------------------------------------------


def test_findings_go_to_stderr_and_exit_with_1(tmp_path: Path) -> None:
    answer = call(tmp_path, "plan", "missing.yaml", "other.yaml")
    assert (answer.code, answer.out) == (1, "")
    assert "missing.yaml: error[file-missing]" in answer.err
    assert "other.yaml: error[file-missing]" in answer.err
    assert "Traceback" not in answer.err


@pytest.mark.parametrize("verb", ["compile", "plan", "apply"])
def test_findings_beside_json_are_in_the_document_too(verb: str, tmp_path: Path) -> None:
    answer = call(tmp_path, verb, "missing.yaml", "--json")
    assert answer.code == 1
    assert answer.json["stacks"] == []
    assert [item["code"] for item in answer.json["diagnostics"]] == ["file-missing"]
    assert "error[file-missing]" in answer.err


@pytest.mark.parametrize("verb", ["destroy", "status"])
def test_an_unknown_cluster_is_a_finding(verb: str, project: Project) -> None:
    call(project.folder, "compile", "web.yaml")
    answer = call(project.folder, verb, "wep", "--json")
    assert answer.code == 1
    assert [item["code"] for item in answer.json["diagnostics"]] == ["cluster-unknown"]
    assert "did you mean 'web'?" in answer.err


def test_of_many_clusters_only_some_are_named(project: Project) -> None:
    for place in range(14):
        call(project.folder, "compile", "web.yaml", "--cluster", f"c{place:02d}")
    answer = call(project.folder, "status", "nowhere")
    assert "c10, c11 and 2 more" in answer.err and "c12" not in answer.err


def test_a_missing_program_exits_with_4(project: Project) -> None:
    project.config("terraform:\n  binary: /nowhere/terraform\n")
    answer = call(project.folder, "plan", "web.yaml")
    assert answer.code == 4
    assert answer.err.count("error[terraform-missing]") == 1


def test_what_terraform_says_when_it_fails_reaches_the_user_with_exit_code_3(project: Project) -> None:
    answer = call(project.folder, "plan", "web.yaml", "-c", "bad")
    assert answer.code == 3
    assert "bad-aws-us-east-1: terraform plan failed" in answer.err
    assert "no luck" in answer.err
    assert "The moon was wrong." in answer.err


def test_a_fault_of_ours_is_not_hidden(tmp_path: Path) -> None:
    code = (
        "import skyports_tf.cli.tasks as tasks\n"
        "def broken(session): raise ZeroDivisionError('oops')\n"
        "tasks.session_config = broken\n"
        "from skyports_tf.cli import run; raise SystemExit(run(['compile', 'web.yaml']))"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert said.returncode == 70
    assert "ZeroDivisionError: oops" in said.stderr
    assert "This is a bug in skyports-tf" in said.stderr


def test_a_character_that_the_terminal_lacks_is_shown_escaped(tmp_path: Path) -> None:
    said = subprocess.run(
        [*COMMAND, "compile", "日.yaml"],
        capture_output=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONIOENCODING": "latin-1"},
        check=False,
    )
    assert said.returncode == 1
    assert said.stderr.startswith(b"\\u65e5.yaml: error[file-missing]")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_error(project: Project, closed: str) -> None:
    line = f'"{sys.executable}" -m skyports_tf plan web.yaml {closed}'
    said = subprocess.run(["sh", "-c", line], capture_output=True, text=True, cwd=project.folder, check=False)
    assert (said.returncode, "Traceback" in said.stderr) == (0, False)
    line = f'"{sys.executable}" -m skyports_tf apply web.yaml {closed}'
    said = subprocess.run(["sh", "-c", line], capture_output=True, text=True, cwd=project.folder, check=False)
    assert (said.returncode, "Traceback" in said.stderr) == (1, False)
    assert "apply" not in commands(project.folder)


def test_a_reader_that_goes_away_is_no_error(project: Project) -> None:
    call(project.folder, "compile", "web.yaml")
    many = [*COMMAND, "compile", "--stdout", *["web.yaml"]]
    reading, writing = os.pipe()
    os.close(reading)
    said = subprocess.run(
        many, stdout=writing, stderr=subprocess.PIPE, text=True, cwd=project.folder, check=False
    )
    os.close(writing)
    assert said.stderr == ""


# -- compile ---------------------------------------------------------------------------


def test_compile_writes_the_tree_and_says_what(project: Project) -> None:
    answer = call(project.folder, "compile", "web.yaml")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines()[0] == "  infra/web/aws-us-east-1  8888"
    assert re.fullmatch(r"Wrote \d+ files in infra \(1 stack\)\.", answer.out.splitlines()[-1])
    again = call(project.folder, "compile", "web.yaml")
    assert re.fullmatch(r"infra is up to date: 1 stack, \d+ files\.\n", again.out)


def test_a_task_without_ports_writes_nothing(project: Project) -> None:
    answer = call(project.folder, "compile", "web.yaml", "--ports", "none")
    assert (answer.code, answer.out) == (0, "Nothing to write: the tasks ask for no port.\n")


def test_check_writes_nothing_and_tells_which_files_differ(project: Project) -> None:
    assert call(project.folder, "compile", "web.yaml", "--check").code == 1
    assert not project.folder.joinpath("infra").exists()
    call(project.folder, "compile", "web.yaml")
    before = project.tree()
    assert call(project.folder, "compile", "web.yaml", "--check").code == 0
    answer = call(project.folder, "compile", "web.yaml", "--check", "--ports", "80")
    assert (answer.code, answer.out) == (1, "")
    assert "infra/web/aws-us-east-1/main.tf: error[tree-outdated]" in answer.err
    assert project.tree() == before


def test_check_beside_json_tells_the_same(project: Project) -> None:
    answer = call(project.folder, "compile", "web.yaml", "--check", "--json")
    assert answer.code == 1
    assert answer.json["diagnostics"][0]["message"] == "the file is not there, and the tasks ask for it"
    assert answer.json["stacks"][0]["changed"] is True
    assert {item["code"] for item in answer.json["diagnostics"]} == {"tree-outdated"}


@pytest.mark.parametrize("compiled_before", [False, True])
def test_a_diff_is_what_a_compile_does(project: Project, compiled_before: bool) -> None:
    if compiled_before:
        call(project.folder, "compile", "web.yaml")
        before = project.tree()
    answer = call(project.folder, "compile", "web.yaml", "--ports", "80", "--diff")
    assert answer.code == 0
    if compiled_before:
        assert project.tree() == before
    subprocess.run(["patch", "-p1", "-s"], input=answer.out, text=True, cwd=project.folder, check=True)
    patched = project.tree()
    call(project.folder, "compile", "web.yaml", "--ports", "80")
    assert project.tree() == patched


def test_diff_and_check_together_show_and_fail(project: Project) -> None:
    answer = call(project.folder, "compile", "web.yaml", "--check", "--diff")
    assert answer.code == 1
    assert answer.out.startswith("--- ")
    call(project.folder, "compile", "web.yaml")
    again = call(project.folder, "compile", "web.yaml", "--check", "--diff")
    assert (again.code, again.out) == (0, "")


def test_stdout_shows_every_file_under_its_path_and_writes_nothing(project: Project) -> None:
    answer = call(project.folder, "compile", "web.yaml", "--stdout")
    assert answer.code == 0
    assert not project.folder.joinpath("infra").exists()
    call(project.folder, "compile", "web.yaml")
    for path, text in project.tree().items():
        assert f"# infra/{path}\n{text}" in answer.out


def test_forget_needs_no_task_file(project: Project) -> None:
    call(project.folder, "compile", "web.yaml")
    answer = call(project.folder, "compile", "--forget", "web.yaml", "--json")
    assert answer.code == 0
    assert (answer.json["stacks"][0]["tasks"], answer.json["stacks"][0]["ports"]) == ([], [])


def test_the_config_of_a_folder_above_counts(project: Project) -> None:
    project.config("out: terraform\n")
    below = project.folder / "deep" / "er"
    below.mkdir(parents=True)
    assert call(below, "compile", "../../web.yaml").code == 0
    assert (project.folder / "terraform" / "web" / "aws-us-east-1" / "main.tf").exists()


def test_a_named_config_counts_and_a_missing_one_is_a_finding(project: Project) -> None:
    project.write("other.yaml", "out: elsewhere\n")
    assert call(project.folder, "--config", "other.yaml", "compile", "web.yaml").code == 0
    assert (project.folder / "elsewhere").is_dir()
    answer = call(project.folder, "--config", "none.yaml", "compile", "web.yaml", "--json")
    assert answer.code == 1
    assert answer.json["diagnostics"][0]["code"] == "file-missing"


# -- plan and apply --------------------------------------------------------------------


def test_a_plan_tells_ports_on_stdout_and_progress_on_stderr(project: Project) -> None:
    answer = call(project.folder, "plan", "web.yaml")
    assert answer.code == 0
    assert "  + open  tcp 8888  0.0.0.0/0  to the internet" in answer.out.splitlines()
    assert answer.err.startswith("web-aws-us-east-1: plan\n")
    assert "module." not in answer.err


def test_beside_json_there_is_no_progress(project: Project) -> None:
    answer = call(project.folder, "plan", "web.yaml", "--json")
    assert answer.err == ""
    (stack,) = answer.json["stacks"]
    assert stack["terraform"] == {"create": 1, "update": 0, "delete": 0}
    assert [rule["from_port"] for rule in stack["changes"]["open"]] == [8888]
    assert [item["code"] for item in answer.json["diagnostics"]] == ["open-to-internet"]


def test_terraforms_exit_codes_are_followed_where_they_are_asked_for(project: Project) -> None:
    assert call(project.folder, "plan", "web.yaml", "--detailed-exitcode").code == 2
    assert (
        call(project.folder, "plan", "web.yaml", "--detailed-exitcode", "--ports", "none", "-c", "x").code
        == 0
    )
    assert call(project.folder, "plan", "web.yaml", "--detailed-exitcode", "-c", "bad").code == 1
    assert call(project.folder, "plan", "none.yaml", "--detailed-exitcode").code == 1
    assert call(project.folder, "plan", "--detailed-exitcode", "--nonsense").code == 1


def test_a_stack_that_fails_does_not_hide_the_others(project: Project) -> None:
    project.task("8888", name="bad", file="a.yaml")
    answer = call(project.folder, "plan", "a.yaml", "web.yaml")
    assert answer.code == 3
    assert "web-aws-us-east-1" in answer.out
    assert "bad-aws-us-east-1: terraform plan failed" in answer.err
    both = call(project.folder, "apply", "-y", "a.yaml", "web.yaml", "--json")
    assert both.code == 3
    assert [stack["name"] for stack in both.json["stacks"]] == ["web-aws-us-east-1"]
    assert [item["code"] for item in both.json["diagnostics"]].count("terraform-failed") == 1


def test_apply_asks_and_does_nothing_on_a_no(project: Project) -> None:
    for answer_typed in ("n\n", "\n", "", "nope\n"):
        answer = call(project.folder, "apply", "web.yaml", answer=answer_typed)
        assert answer.code == 1
        assert answer.err.rstrip().endswith("Nothing was applied.")
    assert "apply" not in commands(project.folder)


def test_apply_applies_on_a_yes_and_shows_the_endpoints(project: Project) -> None:
    answer = call(project.folder, "apply", "web.yaml", answer="yes\n")
    assert answer.code == 0
    assert "Apply these changes? [y/N]" in answer.err
    assert "203.0.113.7:8888" in answer.out


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_apply_without_anybody_to_ask_applies_nothing(project: Project, arguments: list[str]) -> None:
    answer = call(project.folder, "apply", "web.yaml", *arguments)
    assert answer.code == 1
    assert "error[not-confirmed]: nothing was applied" in answer.err
    assert "apply" not in commands(project.folder)
    if arguments:
        assert [item["code"] for item in answer.json["diagnostics"]] == ["not-confirmed"]


def test_ctrl_c_at_the_question_applies_nothing_and_exits_with_130(project: Project) -> None:
    terminal, theirs = pty.openpty()
    running = subprocess.Popen(
        [*COMMAND, "apply", "web.yaml"],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=project.folder,
    )
    os.close(theirs)
    assert running.stderr is not None
    said = b""
    while b"[y/N]" not in said:
        piece = os.read(running.stderr.fileno(), 4096)
        assert piece, said
        said += piece
    time.sleep(0.2)  # it has asked; now it waits in the read
    running.send_signal(signal.SIGINT)
    _, rest = running.communicate(timeout=60)
    os.close(terminal)
    assert running.returncode == 130
    assert b"Traceback" not in rest
    assert "apply" not in commands(project.folder)


# -- status ----------------------------------------------------------------------------


@pytest.fixture
def applied(project: Project) -> Project:
    """The project after an apply."""
    assert call(project.folder, "apply", "-y", "web.yaml").code == 0
    return project


@pytest.mark.parametrize(
    ("flags", "code", "out"),
    [
        (["--ip"], 0, "203.0.113.7\n"),
        (["--endpoints"], 0, "8888: 203.0.113.7:8888\n"),
        (["--endpoint", "8888"], 0, "203.0.113.7:8888\n"),
        (["--endpoint", "0"], 0, "8888: 203.0.113.7:8888\n"),
        (["--endpoint", "1234"], 1, ""),
    ],
)
def test_status_prints_what_sky_status_prints(
    applied: Project, flags: list[str], code: int, out: str
) -> None:
    answer = call(applied.folder, "status", "web", *flags)
    assert (answer.code, answer.out) == (code, out)
    folder = call(applied.folder, "status", "infra/web/aws-us-east-1", *flags)
    assert (folder.code, folder.out) == (code, out)


def test_a_cluster_without_nodes_has_no_address(project: Project) -> None:
    call(project.folder, "compile", "web.yaml")
    answer = call(project.folder, "status", "web", "--ip")
    assert (answer.code, answer.out) == (1, "")
    assert "error[endpoint-missing]: no node of cluster 'web' is known" in answer.err


def test_a_cluster_in_several_places_needs_one_to_be_named(applied: Project) -> None:
    assert call(applied.folder, "apply", "-y", "web.yaml", "--infra", "aws/us-west-2").code == 0
    # a cluster's entry moves with its file; another task keeps the first place
    applied.task("8888", file="more.yaml")
    assert call(applied.folder, "apply", "-y", "more.yaml").code == 0
    answer = call(applied.folder, "status", "web", "--ip")
    assert answer.code == 1
    assert "error[endpoint-ambiguous]" in answer.err
    assert call(applied.folder, "status", "infra/web/aws-us-west-2", "--ip").code == 0


def test_an_empty_tree_has_no_stacks(tmp_path: Path) -> None:
    assert call(tmp_path, "status").out == "no stacks\n"
    assert call(tmp_path, "status", "--json").json == {"version": 1, "stacks": [], "diagnostics": []}


# -- names and clouds ------------------------------------------------------------------


def test_names_are_those_that_skypilot_makes(tmp_path: Path) -> None:
    answer = call(tmp_path, "names", "web", "--user-hash", "a1b2c3d4", "--json").json
    assert {key: answer[key] for key in ("version", "cluster", "user_hash", "diagnostics")} == {
        "version": 1,
        "cluster": "web",
        "user_hash": "a1b2c3d4",
        "diagnostics": [],
    }
    assert answer["clouds"]["aws"] == {"name_on_cloud": "web-a1b2c3d4", "security_group": "sky-sg-web"}


def test_names_without_a_user_hash_say_what_needs_it_and_the_way_out(tmp_path: Path) -> None:
    with environment(HOME=str(tmp_path)):
        answer = call(tmp_path, "names", "web", "--json")
        on_aws = call(tmp_path, "names", "web", "--infra", "aws", "--json")
    assert answer.json["user_hash"] is None
    assert answer.json["clouds"]["aws"] == {"name_on_cloud": None, "security_group": "sky-sg-web"}
    assert "firewall_rule" not in answer.json["clouds"]["gcp"]
    (finding,) = answer.json["diagnostics"]
    assert (answer.code, finding["code"]) == (1, "user-hash-unknown")
    assert "gcp" in finding["message"] and "SKYPILOT_USER_ID" in finding["help"]
    # the group's name there is the display name's
    assert (on_aws.code, on_aws.json["diagnostics"]) == (0, [])


def test_names_on_a_cloud_that_cannot_be_had_says_why(tmp_path: Path) -> None:
    refused = call(tmp_path, "names", "web", "--infra", "lambda", "--json")
    assert (refused.code, refused.json["diagnostics"][0]["code"]) == (1, "cloud-unsupported")


@pytest.mark.parametrize(
    "arguments", [["1web"], ["web", "--user-hash", "a b"], ["web", "--infra", "awz"], ["we b/../x"]]
)
def test_names_refuses_what_skypilot_refuses(tmp_path: Path, arguments: list[str]) -> None:
    answer = call(tmp_path, "names", *arguments, "--json")
    assert answer.code == 1
    assert answer.json["clouds"] == {}
    assert len(answer.json["diagnostics"]) == 1


def test_clouds_lists_every_cloud_of_skypilot_once(tmp_path: Path) -> None:
    clouds = call(tmp_path, "clouds", "--json").json["clouds"]
    names = [cloud["name"] for cloud in clouds]
    assert names == sorted(set(names))
    assert all(cloud["managed"] or (cloud["reason"] and cloud["instead"]) for cloud in clouds)
    shown = call(tmp_path, "clouds").out
    assert all(name in shown for name in names)


def test_the_user_hash_is_found_where_skypilot_keeps_it(tmp_path: Path) -> None:
    assert find_user_hash({}, tmp_path) is None
    (tmp_path / ".sky").mkdir()
    (tmp_path / ".sky" / "user_hash").write_text("deadbeef\n", encoding="ascii")
    assert find_user_hash({}, tmp_path) == "deadbeef"
    assert find_user_hash({"SKYPILOT_USER_ID": "a1b2c3d4"}, tmp_path) == "a1b2c3d4"
    assert find_user_hash({"SKYPILOT_USER_ID": "no such id"}, tmp_path) == "deadbeef"
    (tmp_path / ".sky" / "user_hash").write_bytes(b"\xff\xfe")
    assert find_user_hash({}, tmp_path) is None


# -- colours and progress --------------------------------------------------------------


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("choice", "names", "terminal", "wanted"),
    [
        ("auto", {}, True, True),
        ("auto", {}, False, False),
        ("auto", {"NO_COLOR": "1"}, True, False),
        ("auto", {"FORCE_COLOR": "1"}, False, True),
        ("auto", {"NO_COLOR": "1", "FORCE_COLOR": "1"}, True, False),
        ("auto", {"TERM": "dumb"}, True, False),
        ("always", {"NO_COLOR": "1"}, False, True),
        ("never", {"FORCE_COLOR": "1"}, True, False),
    ],
)
def test_colours_follow_the_flag_then_the_environment_then_the_terminal(
    choice: str, names: dict[str, str], terminal: bool, wanted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    assert wants_color(choice, _Terminal() if terminal else io.StringIO()) is wanted  # type: ignore[arg-type]


def test_colours_are_in_results_and_findings_where_wanted(project: Project) -> None:
    assert "\x1b[" in call(project.folder, "--color", "always", "plan", "web.yaml").out
    assert "\x1b[" not in call(project.folder, "--color", "never", "plan", "web.yaml").out
    assert "\x1b[" in call(project.folder, "--color", "always", "plan", "none.yaml").err
    assert "\x1b[" not in call(project.folder, "plan", "none.yaml").err


def test_colours_change_no_word(project: Project) -> None:
    project.write("bad.yaml", "resources:\n  prots: 80\n")
    plain = call(project.folder, "compile", "bad.yaml").err
    coloured = call(project.folder, "--color", "always", "compile", "bad.yaml").err
    assert click.unstyle(coloured) == plain
    assert coloured.count("\x1b[") >= 3


EVENT = ProgressEvent("web-aws-us-east-1", "apply", 2, 4, "port\x1b[2J: Creation complete")


@pytest.mark.parametrize("width", [0, 1, 5, 20, 59, 60, 80, 200])
def test_a_progress_bar_fits_any_terminal(width: int) -> None:
    line = bar_line(EVENT, width)
    assert len(line) <= max(width - 1, 0)
    assert "\x1b" not in line
    assert ("[############............]" in line) == (width >= 60)


def test_a_bar_never_overflows() -> None:
    assert "4/4" in bar_line(ProgressEvent("web", "apply", 9, 4, ""), 80)


def test_a_bar_leaves_a_clean_line_behind() -> None:
    stream = _Terminal()
    with ProgressDisplay(stream, live=True) as show:
        show(EVENT)
        show(EVENT)
    assert stream.getvalue().count("2/4") == 1
    assert stream.getvalue().endswith("\r\x1b[K")


def test_a_log_tells_each_step_once_and_all_where_it_is_wanted() -> None:
    events = [
        ProgressEvent("web", "plan", 0, None, "reading"),
        ProgressEvent("web", "plan", 1, None, "read"),
        ProgressEvent("web", "apply", 1, 2, "made a"),
        ProgressEvent("web", "apply", 1, 2, "making b"),
        ProgressEvent("web", "apply", 2, 2, "made b"),
    ]
    quiet, verbose = io.StringIO(), io.StringIO()
    for event in events:
        ProgressDisplay(quiet, live=False).show(event)
    quiet = io.StringIO()
    with (
        ProgressDisplay(quiet, live=False) as show,
        ProgressDisplay(verbose, live=False, verbose=True) as show_all,
    ):
        for event in events:
            show(event)
            show_all(event)
    assert quiet.getvalue() == "web: plan\nweb: apply 1/2: made a\nweb: apply 2/2: made b\n"
    assert len(verbose.getvalue().splitlines()) == len(events)


def test_a_log_line_names_stack_phase_and_step() -> None:
    assert plain_line(EVENT) == "web-aws-us-east-1: apply 2/4: port\\x1b[2J: Creation complete"
