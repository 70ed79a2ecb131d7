"""The scripts of GitHub's workflow, run as a runner does: with our own program, and a stand-in for `gh`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.command_line import call
from tests.support.git import commit, git
from tests.support.pipelines import project_with, read, step
from tests.support.pretend_terraform import pretend_terraform
from tests.support.project import Project
from tests.support.stacks import write_program

COMMENTS = "repos/me/ports/issues/7/comments"


@dataclass(frozen=True)
class Runner:
    """A runner: the checkout, its folders, and the workflow that it runs."""

    home: Path
    checkout: Path
    workflow: Any

    @property
    def temp(self) -> Path:
        return self.home / "temp"

    @property
    def outputs(self) -> dict[str, str]:
        return dict(line.split("=", 1) for line in (self.home / "output").read_text().splitlines())

    @property
    def summary(self) -> str:
        return (self.home / "summary").read_text()

    @property
    def asked(self) -> list[str]:
        """What was asked of `gh`."""
        return (self.home / "asked").read_text().splitlines()

    def run(self, job: str, name: str, cwd: Path | None = None, **env: str) -> int:
        """Run a step as GitHub does (`shell: bash`), and give its exit code."""
        self.temp.mkdir(exist_ok=True)
        for file in ("output", "summary", "asked"):
            (self.home / file).touch()
        found = step(self.workflow, job, name)
        assert set(env) >= {key for key, value in found.get("env", {}).items() if "${{" in value}
        fixed = {key: value for key, value in found.get("env", {}).items() if "${{" not in value}
        given = {
            **os.environ,
            "PATH": f"{self.home / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "TERRAFORM": str(self.home / "bin/terraform"),
            "RUNNER_TEMP": str(self.temp),
            "GITHUB_OUTPUT": str(self.home / "output"),
            "GITHUB_STEP_SUMMARY": str(self.home / "summary"),
            "GITHUB_REPOSITORY": "me/ports",
            **fixed,
            **env,
        }
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", found["run"]]
        return subprocess.run(command, cwd=cwd or self.checkout, env=given, check=False).returncode


def runner_at(home: Path, checkout: Path) -> Runner:
    """A runner with our program, a pretend Terraform and a stand-in for `gh` on its PATH."""
    pretend_terraform(home / "bin")
    write_program(home / "bin/skyports-tf", f'exec "{sys.executable}" -m skyports_tf "$@"\n')
    # what it is asked is noted, and what it answers lies in files that are called as its first words
    write_program(
        home / "bin/gh",
        f"""\
        echo "$*" >> '{home}/asked'
        case "$1 $2" in
          "run download") mkdir -p "$7" && cp -R '{home}/artifacts/'"$3"/. "$7" ;;
          *) cat "{home}/answers/$1 $2" 2> /dev/null || true ;;
        esac
        """,
    )
    (home / "answers").mkdir()
    return Runner(home, checkout, read(checkout / ".github/workflows/skyports.yml"))


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    """A checkout with two stacks, of which a pull request opens the ports."""
    project = project_with(tmp_path / "checkout", "aws", "gcp")
    assert call(project.folder, "ci", "github").code == 0
    commit(project.folder, "before")
    project.compile(project.task("8888", name="new", file="tasks/new.yaml"))
    commit(project.folder, "the pull request")
    return runner_at(tmp_path, project.folder)


# -- pull request ----------------------------------------------------------------------


def test_the_check_finds_a_tree_that_was_not_compiled_anew(runner: Runner) -> None:
    name = "The tree is what the tasks compile to, and the policy holds"
    assert runner.run("check", name) == 0
    assert json.loads((runner.temp / "skyports.sarif").read_text())["version"] == "2.1.0"
    Project(runner.checkout).task("9999", name="new", file="tasks/new.yaml")
    assert runner.run("check", name) == 1
    report = json.loads((runner.temp / "skyports.sarif").read_text())
    assert {result["ruleId"] for result in report["runs"][0]["results"]} == {"tree-outdated"}


def test_the_check_finds_a_pipeline_that_is_out_of_date(runner: Runner) -> None:
    name = "This pipeline is what the tree asks for"
    assert runner.run("check", name) == 0
    workflow = runner.checkout / ".github/workflows/skyports.yml"
    workflow.write_text(
        workflow.read_text().replace("persist-credentials: false", "persist-credentials: true")
    )
    assert runner.run("check", name) == 1


def test_a_pull_request_plans_what_it_changes_and_keeps_what_was_shown_without_the_plans(
    runner: Runner,
) -> None:
    assert runner.run("plan", "Plan what has changed") == 0
    reviewed = runner.temp / "reviewed"
    kept = sorted(str(path.relative_to(reviewed)) for path in reviewed.rglob("*") if path.is_file())
    assert kept == ["comment.md", "plans/new/aws-us-east-1/skyports.tfplan.json"]
    comment = (reviewed / "comment.md").read_text()
    assert "8888" in comment and runner.summary == comment


def test_a_plan_that_fails_is_told_and_fails_the_job(runner: Runner) -> None:
    project = Project(runner.checkout)
    project.compile(project.task("80", name="bad", file="tasks/bad.yaml"))
    commit(runner.checkout, "fails")
    assert runner.run("plan", "Plan what has changed") == 3
    assert (runner.temp / "reviewed/comment.md").exists()


COMMENT = "Write or renew the comment"
SAID = {"GH_TOKEN": "t", "NUMBER": "7", "RUN": "https://example.com/run"}


@pytest.mark.parametrize(
    ("known", "asked"),
    [
        ("", f"api --silent --method POST {COMMENTS} --field body=@body.md"),
        ("41\n42\n", "api --silent --method PATCH repos/me/ports/issues/comments/41 --field body=@body.md"),
    ],
    ids=["the first", "renewed"],
)
def test_there_is_one_comment(runner: Runner, known: str, asked: str) -> None:
    (runner.home / "answers/api --paginate").write_text(known)
    place = runner.home / "comment"
    (place / "reviewed").mkdir(parents=True)
    (place / "reviewed/comment.md").write_text("## Ports\n")
    assert runner.run("comment", COMMENT, cwd=place, **SAID) == 0
    assert runner.asked[-1] == asked
    assert (place / "body.md").read_text() == "<!-- skyports -->\n## Ports\n"


def test_a_plan_that_said_nothing_is_told_to_have_failed(runner: Runner) -> None:
    place = runner.home / "comment"
    (place / "reviewed").mkdir(parents=True)
    (place / "reviewed/comment.md").touch()
    assert runner.run("comment", COMMENT, cwd=place, **SAID) == 0
    assert "<https://example.com/run>" in (place / "body.md").read_text()


# -- after the merge -------------------------------------------------------------------


def reviewed(runner: Runner) -> None:
    """A pull request with the number 7, whose run has shown the plan of the stack `new`."""
    assert runner.run("plan", "Plan what has changed") == 0
    shutil.copytree(runner.temp / "reviewed", runner.home / "artifacts/31")
    shutil.rmtree(runner.temp)
    for path in runner.checkout.rglob("*.tfplan*"):
        path.unlink()


REVIEWED = "What was reviewed"


def look_up(runner: Runner, base: str, run: str = "31", head: str = "a" * 40) -> None:
    """Let `gh` know the last run that went through, and the run of the pull request."""
    write_program(
        runner.home / "bin/gh",
        f"""\
        echo "$*" >> '{runner.home}/asked'
        case "$*" in
          *"--status success"*) echo '{base}' ;;
          *"/pulls "*) echo '{head}' ;;
          *"/runs?event=pull_request&head_sha={head} "*) echo '{run}' ;;
          "run download"*) mkdir -p "$7" && cp -R '{runner.home}/artifacts/'"$3"/. "$7" ;;
        esac
        """,
    )


def prepare(runner: Runner, event: str = "push") -> int:
    base = runner.outputs.get("base", "") if (runner.home / "output").exists() else ""
    return runner.run("prepare", "Plan", BASE=base, GITHUB_EVENT_NAME=event)


def test_what_was_merged_is_planned_since_the_last_run_that_went_through(runner: Runner) -> None:
    reviewed(runner)
    before = git(runner.checkout, "rev-parse", "HEAD^1")
    look_up(runner, before)
    assert runner.run("prepare", REVIEWED, GH_TOKEN="t") == 0
    assert runner.outputs["base"] == before
    assert prepare(runner) == 0
    assert json.loads(runner.outputs["stacks"]) == ["new/aws-us-east-1"]
    kept = sorted(path.name for path in (runner.temp / "plans").rglob("*") if path.is_file())
    assert kept == ["skyports.tfplan", "skyports.tfplan.json"]


def test_a_plan_that_nobody_reviewed_is_not_handed_on(runner: Runner) -> None:
    reviewed(runner)
    look_up(runner, git(runner.checkout, "rev-parse", "HEAD^1"), run="")
    assert runner.run("prepare", REVIEWED, GH_TOKEN="t") == 0
    assert prepare(runner) == 1
    assert "stacks" not in runner.outputs
    # by hand, whoever lets the environment go on has looked at it
    assert prepare(runner, "workflow_dispatch") == 0
    assert "new/aws-us-east-1" in json.loads(runner.outputs["stacks"])


@pytest.mark.parametrize("base", ["", "f" * 40], ids=["no run before", "a history that was rewritten"])
def test_without_a_known_beginning_every_stack_is_planned(runner: Runner, base: str) -> None:
    look_up(runner, base, run="")
    assert runner.run("prepare", REVIEWED, GH_TOKEN="t") == 0
    assert runner.outputs["base"] == ""
    assert prepare(runner, "workflow_dispatch") == 0
    assert len(json.loads(runner.outputs["stacks"])) == 3


def apply(runner: Runner, **changed: str) -> int:
    given = {"STACKS": "new/aws-us-east-1", "DIGEST": runner.outputs["digest"], **changed}
    return runner.run("apply", "Apply that very plan", None, **given)


def test_that_very_plan_is_applied_on_a_fresh_checkout(runner: Runner, tmp_path: Path) -> None:
    assert prepare(runner, "workflow_dispatch") == 0
    git(runner.checkout, "clean", "-qfdx")
    assert apply(runner) == 0
    assert "1 opened" in runner.summary
    assert len(runner.summary.split("aws-us-east-1  open")) == 2


def test_plans_that_were_exchanged_on_the_way_are_not_applied(runner: Runner) -> None:
    assert prepare(runner, "workflow_dispatch") == 0
    (runner.temp / "plans/new/aws-us-east-1/skyports.tfplan").write_bytes(b"forged")
    assert apply(runner) == 1
    assert "opened" not in runner.summary


def test_more_stacks_than_a_matrix_has_room_for_share_jobs(runner: Runner) -> None:
    for number in range(600):
        folder = runner.checkout / f"infra/fleet-{number:03}/aws-us-east-1"
        folder.mkdir(parents=True)
        (folder / "skyports.tfplan").touch()
    write_program(runner.home / "bin/skyports-tf", "exit 0\n")
    assert prepare(runner, "workflow_dispatch") == 0
    rows = json.loads(runner.outputs["stacks"])
    assert len(rows) == 200
    assert len(" ".join(rows).split()) == len(set(" ".join(rows).split())) == 600


def test_nothing_to_apply_is_an_empty_list(runner: Runner) -> None:
    write_program(runner.home / "bin/skyports-tf", "exit 0\n")
    assert prepare(runner, "workflow_dispatch") == 0
    assert runner.outputs["stacks"] == "[]"
