"""Only what has changed since a commit: by a real git, for every kind of input, and nothing by luck."""

from __future__ import annotations

from pathlib import Path

import pytest

from skyports_tf.diagnostics import FindingsError
from skyports_tf.since import changes_since
from tests.support.command_line import Answer, call, environment, valid
from tests.support.git import git
from tests.support.project import Project

TASK = "name: {0}\nresources:\n  infra: {1}\n  ports: {2}\nrun: echo hello\n"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Three clusters on two clouds, compiled and committed as `base`."""
    project = Project(tmp_path / "repository")
    project.folder.mkdir()
    git(project.folder, "init", "-q", "-b", "main")
    for name, infra in (("web", "aws/us-east-1"), ("api", "aws/us-east-1"), ("lab", "gcp")):
        project.write(f"tasks/{name}.yaml", TASK.format(name, infra, 80))
    project.config("gcp: {project: my-project}\nuser_hash: a1b2c3d4\n")
    assert call(project.folder, "compile", "tasks").code == 0
    git(project.folder, "add", "-A")
    git(project.folder, "commit", "-qm", "base")
    git(project.folder, "tag", "base")
    return project


def since(project: Project, ref: str = "base", *options: str) -> Answer:
    return call(project.folder, "compile", "tasks", "--since", ref, "--json", *options)


def changed(project: Project, ref: str = "base", *options: str) -> list[str]:
    """The clusters that a compile since `ref` is about."""
    answer = since(project, ref, *options)
    assert answer.code == 0, answer.err
    return [stack["cluster"] for stack in valid("compile", answer.json)["stacks"]]


def test_without_a_change_nothing_is_done_and_that_is_told(project: Project) -> None:
    answer = since(project)
    assert (answer.code, answer.json["stacks"]) == (0, [])
    (note,) = answer.json["diagnostics"]
    assert (note["code"], note["severity"]) == ("changed-since", "note")
    assert note["message"] == "0 of 3 stacks have changed since base"
    assert call(project.folder, "plan", "tasks", "--since", "base").code == 0


@pytest.mark.parametrize("committed", [False, True])
def test_a_task_that_has_changed_is_its_own_stack(project: Project, committed: bool) -> None:
    project.write("tasks/api.yaml", TASK.format("api", "aws/us-east-1", 81))
    if committed:
        git(project.folder, "commit", "-qam", "next")
    assert changed(project) == ["api"]
    assert changed(project, "HEAD") == ["api"]  # its files have changed by now, and are not committed


def test_a_new_task_is_a_change_whether_git_knows_it_or_not(project: Project) -> None:
    project.write("tasks/new.yaml", TASK.format("new", "aws/us-east-1", 80))
    assert changed(project) == ["new"]
    project.write(".gitignore", "ignored.yaml\n")
    project.write("tasks/ignored.yaml", TASK.format("ignored", "aws/us-east-1", 80))
    assert changed(project) == ["ignored", "new"]


@pytest.mark.parametrize(
    ("file", "clusters"),
    [
        ("skyports.yaml", ["api", "lab", "web"]),
        ("infra/modules/aws/main.tf", ["api", "web"]),
        ("infra/web/aws-us-east-1/.terraform.lock.hcl", ["web"]),
        ("infra/lab/gcp/stack.json", ["lab"]),
        ("README.md", []),
        ("tasks/README.md", []),
    ],
)
def test_every_input_of_a_stack_counts(project: Project, file: str, clusters: list[str]) -> None:
    path = project.folder / file
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    project.write(file, f"{before}\n" if file.endswith(".json") else f"{before}# more\n")
    assert changed(project) == clusters


def test_a_task_that_is_gone_concerns_the_cluster_that_others_still_have(project: Project) -> None:
    project.write("tasks/second.yaml", TASK.format("web", "aws/us-east-1", 90))
    assert changed(project) == ["web"]
    git(project.folder, "add", "-A")
    git(project.folder, "commit", "-qm", "two tasks")
    (project.folder / "tasks/second.yaml").unlink()
    assert changed(project, "HEAD") == ["web"]


def test_what_has_not_changed_is_left_as_it_is(project: Project) -> None:
    project.write("tasks/api.yaml", TASK.format("api", "aws/us-east-1", 81))
    outdated = since(project, "base", "--check")
    assert outdated.code == 1
    assert all("infra/api/" in item["path"] for item in outdated.json["diagnostics"] if item["path"])
    untouched = {path: text for path, text in project.tree().items() if not path.startswith("api/")}
    changed(project)
    assert untouched.items() <= project.tree().items()


def test_a_linked_task_changes_with_what_it_leads_to(project: Project) -> None:
    project.write("shared/db.yaml", TASK.format("db", "aws/us-east-1", 5432))
    (project.folder / "tasks/db.yaml").symlink_to("../shared/db.yaml")
    changed(project)
    git(project.folder, "add", "-A")
    git(project.folder, "commit", "-qm", "link")
    assert changed(project, "HEAD") == []
    project.write("shared/db.yaml", TASK.format("db", "aws/us-east-1", 5433))
    assert changed(project, "HEAD") == ["db"]


@pytest.mark.parametrize(
    "ref",
    ["nowhere", "--output=/tmp/pwned", "-", "base; touch pwned", "$(touch pwned)", "a\nb", "base:tasks"],
)
def test_what_is_no_commit_is_refused_and_never_an_option(project: Project, ref: str) -> None:
    answer = call(project.folder, "compile", "tasks", f"--since={ref}", "--json")
    assert answer.code == 1
    assert [item["code"] for item in answer.json["diagnostics"]] == ["git-failed"]
    assert not list(project.folder.rglob("*pwned*")) and not Path("/tmp/pwned").exists()


def test_names_with_any_character_are_told_apart(project: Project) -> None:
    name = "tasks/é ö\n.yaml"
    project.write(name, TASK.format("odd", "aws/us-east-1", 80))
    changed(project)
    git(project.folder, "add", "-A")
    git(project.folder, "commit", "-qm", "odd")
    assert changed(project, "HEAD") == []
    project.write(name, TASK.format("odd", "aws/us-east-1", 81))
    assert changed(project, "HEAD") == ["odd"]


def test_a_stack_that_was_removed_while_tasks_asked_for_it_is_told(project: Project) -> None:
    git(project.folder, "rm", "-rq", "infra/api", "tasks/api.yaml")
    answer = since(project, "base", "--check")
    (told,) = [item for item in answer.json["diagnostics"] if item["code"] == "stack-gone"]
    assert told["severity"] == "warning"
    assert "infra/api/aws-us-east-1 is gone, and what tasks/api.yaml asked for stays open" in told["message"]
    # a pull request that closes it first, and removes it then
    git(project.folder, "reset", "-q", "--hard", "base")
    git(project.folder, "rm", "-q", "tasks/api.yaml")
    assert call(project.folder, "compile", "--all", "--forget", "tasks/api.yaml").code == 0
    found = call(project.folder, "compile", "--all", "--since", "base", "--json")
    assert [stack["cluster"] for stack in found.json["stacks"]] == ["api"]
    git(project.folder, "commit", "-qam", "closed")
    git(project.folder, "rm", "-rq", "infra/api")
    assert "stack-gone" not in since(project, "HEAD").out
    # one that was moved is there
    git(project.folder, "reset", "-q", "--hard", "base")
    git(project.folder, "mv", "infra/web/aws-us-east-1", "infra/web/elsewhere")
    assert "stack-gone" not in since(project).out


def test_a_folder_outside_of_any_repository_is_a_finding(tmp_path: Path) -> None:
    with environment(GIT_CEILING_DIRECTORIES=str(tmp_path.parent)), pytest.raises(FindingsError) as caught:
        changes_since("main", str(tmp_path))
    assert "not a git repository" in caught.value.diagnostics[0].message
    assert "inside of the repository" in (caught.value.diagnostics[0].help or "")


def test_where_nothing_has_changed_that_is_said(project: Project) -> None:
    answer = call(project.folder, "compile", "tasks", "--since", "HEAD")
    assert (answer.code, answer.out) == (0, "Nothing to write: no stack has changed since then.\n")


def test_without_git_the_exit_code_is_that_of_a_missing_program(project: Project) -> None:
    with environment(PATH=""):
        answer = since(project)
    assert answer.code == 4
    assert [item["code"] for item in answer.json["diagnostics"]] == ["git-missing"]
