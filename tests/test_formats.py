"""`--format`: one option, one document on stdout, and the same exit codes."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from skyports_tf.cli.console import Session
from skyports_tf.cli.formats import PlanAnswer
from skyports_tf.cli.plan import answer_document
from skyports_tf.cli.running import Outcome
from skyports_tf.compiler import Compilation
from skyports_tf.config import Config
from skyports_tf.model import Stack
from skyports_tf.outcomes import PortChanges, ResourceCounts, StackPlan
from skyports_tf.report.gitlab import gitlab_text
from tests.support.command_line import call
from tests.support.comments import opening_plan
from tests.support.pretend_terraform import pretend_terraform
from tests.support.project import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project with one task that opens 8888, one that fails, and a pretend Terraform."""
    project = Project(tmp_path / "project")
    project.task("8888")
    project.task("9999", name="bad", file="bad.yaml")
    project.config(f"terraform:\n  binary: {pretend_terraform(tmp_path / 'bin')}\n")
    return project


def test_json_is_a_format_and_the_two_spellings_are_one(project: Project) -> None:
    short, long, both = (
        call(project.folder, "plan", "web.yaml", *words)
        for words in (["--json"], ["--format", "json"], ["--format", "json", "--json"])
    )
    assert short.code == 0
    assert {**short.json["stacks"][0], "changed": None} == {**long.json["stacks"][0], "changed": None}
    assert long.out == both.out


def test_a_compile_answers_in_json_as_a_format(project: Project) -> None:
    document = call(project.folder, "compile", "web.yaml", "--format", "json").json
    assert [stack["name"] for stack in document["stacks"]] == ["web-aws-us-east-1"]


def test_the_report_of_gitlab_holds_three_counts_and_nothing_else(project: Project) -> None:
    answer = call(project.folder, "plan", "web.yaml", "--format", "gitlab")
    assert (answer.code, answer.out) == (0, '{"create":1,"update":0,"delete":0}\n')


def test_the_report_of_gitlab_is_the_sum_over_the_stacks() -> None:
    counts = (ResourceCounts(3, 1, 0), ResourceCounts(0, 2, 5, imported=4), ResourceCounts(1, 0, 1))
    plans = [StackPlan(Stack("web", "aws", "us-east-1"), PortChanges(), item) for item in counts]
    assert json.loads(gitlab_text(plans)) == {"create": 4, "update": 3, "delete": 6}
    assert gitlab_text([]) == '{"create":0,"update":0,"delete":0}\n'


def test_a_stack_that_fails_ends_a_document_with_terraforms_exit_code(project: Project) -> None:
    answer = call(project.folder, "plan", "web.yaml", "bad.yaml", "--format", "gitlab")
    assert answer.code == 3
    assert json.loads(answer.out) == {"create": 1, "update": 0, "delete": 0}
    assert "no luck" in answer.err


def test_a_plan_with_changes_keeps_its_exit_code_in_any_format(project: Project) -> None:
    answer = call(project.folder, "plan", "web.yaml", "--format", "gitlab", "--detailed-exitcode")
    assert answer.code == 2


def test_one_plan_answers_in_several_formats(project: Project, tmp_path: Path) -> None:
    files = {name: tmp_path / f"plan.{name}" for name in ("gitlab", "sarif", "junit")}
    words = [word for name, file in files.items() for word in ("--also", f"{name}={file}")]
    answer = call(project.folder, "plan", "web.yaml", "--format", "markdown", *words)
    assert answer.code == 0 and "### Opens tcp/8888 to the internet on web" in answer.out
    for name, file in files.items():
        assert (
            file.read_text(encoding="utf-8") == call(project.folder, "plan", "web.yaml", "--format", name).out
        )
    # a file of another run is replaced, a failure is told in it too, and the answer itself may be text
    answer = call(project.folder, "plan", "bad.yaml", "--also", f"gitlab={files['gitlab']}")
    assert (answer.code, files["gitlab"].read_text()) == (3, '{"create":0,"update":0,"delete":0}\n')


def test_findings_that_end_the_call_are_in_the_other_formats_too(project: Project, tmp_path: Path) -> None:
    project.task("99999", name="wrong", file="wrong.yaml")
    files = {name: tmp_path / f"plan.{name}" for name in ("sarif", "junit", "markdown")}
    words = [word for name, file in files.items() for word in ("--also", f"{name}={file}")]
    answer = call(project.folder, "plan", "wrong.yaml", *words, "--also", f"sarif={tmp_path}/plan.junit/x")
    assert answer.code == 1
    assert "error[bad-port]" in answer.err and "error[file-unwritable]" in answer.err
    for name, file in files.items():
        alone = call(project.folder, "plan", "wrong.yaml", "--format", name).out
        assert file.read_text(encoding="utf-8") == alone != ""


@pytest.mark.parametrize("value", ["markdown", "text=a", "json=a", "gitlab=", "gitlab=a/", "xml=a"])
def test_a_file_without_a_format_that_there_is_is_wrong_usage(value: str, project: Project) -> None:
    answer = call(project.folder, "plan", "web.yaml", "--also", value)
    assert answer.code == 2 and "with a FORMAT of markdown, gitlab, sarif, junit" in answer.err


def test_a_file_that_cannot_be_written_is_told(project: Project, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    answer = call(project.folder, "plan", "web.yaml", "--also", f"gitlab={tmp_path}/file/plan.json")
    assert answer.code == 1 and "error[file-unwritable]" in answer.err


def test_a_document_is_utf_8_and_byte_for_byte_whatever_the_terminal_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii", newline="\r\n"))
    Session().echo_document("é 🌐\n")
    sys.stdout.flush()
    assert raw.getvalue() == "é 🌐\n".encode()


def test_a_comment_without_room_for_all_that_opens_is_a_finding(capsys: pytest.CaptureFixture[str]) -> None:
    plans = [
        opening_plan(f"c{place}", [("tcp", place + port, place + port, f"10.{port}.{place % 250}.0/24")])
        for place in range(1200)
        for port in (1, 20, 99)
    ]
    session = Session()
    session.format = "markdown"
    answer = PlanAnswer(Config(), Compilation("infra", (), (), ()), Outcome(results=plans))
    assert answer_document(session, answer)
    told = capsys.readouterr()
    assert "**This comment is not complete**: a comment has no room for 3600 openings" in told.out
    assert "error[comment-too-long]: the comment has no room for all that opens, and says so" in told.err
