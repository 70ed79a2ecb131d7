"""A check of a tree that was found up to date before: as quick as reading it, and never wrong."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from skyports_tf.checked import FEWEST
from tests.support.command_line import Answer, call, environment
from tests.support.project import Project

TASK = "name: {0}\nresources:\n  infra: aws/us-east-1\n  ports: 80\nrun: echo hello\n"


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checked")
    project = Project(folder / "project")
    for number in range(FEWEST):
        project.write(f"tasks/t{number:03}.yaml", TASK.format(f"t{number:03}"))
    project.config("tags: {team: ml}\n")
    # a task that opens nothing is told at every check
    project.write("tasks/none.yaml", "name: none\nresources: {infra: aws/us-east-1}\nrun: x\n")
    return folder


@pytest.fixture
def project(compiled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A compiled fleet that was checked once."""
    shutil.copytree(compiled / "project", tmp_path / "project")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    project = Project(tmp_path / "project")
    assert call(project.folder, "compile", "tasks").code == 0
    return project


def kept(project: Project) -> list[Path]:
    return list((project.folder.parent / "cache" / "skyports-tf" / "checked").iterdir())


def check(project: Project, *options: str) -> Answer:
    return call(project.folder, "compile", "tasks", "--check", *options)


def test_an_unchanged_tree_is_not_compiled_again_and_the_same_is_told(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path,) = kept(project)
    path.unlink()
    first = check(project)
    (path,) = kept(project)

    def never(_request: object) -> None:
        raise AssertionError("it was compiled again")

    monkeypatch.setattr("skyports_tf.cli.compile.compile_tasks", never)
    again = check(project)
    assert (again.code, again.out, again.err) == (first.code, first.out, first.err) == (0, "", first.err)
    assert "no-ports" in again.err and path.parent.stat().st_mode & 0o077 == 0


def _append(file: str, text: str = "# more\n") -> Callable[[Project], None]:
    def change(project: Project) -> None:
        path = project.folder / file
        project.write(file, path.read_text(encoding="utf-8") + text)

    return change


CHANGES: dict[str, tuple[Callable[[Project], object], int]] = {
    "a task asks for more": (lambda p: p.write("tasks/t007.yaml", TASK.format("t007") + "# x\n"), 0),
    "a task asks for another port": (
        lambda p: p.write("tasks/t007.yaml", TASK.format("t007").replace("80", "81")),
        1,
    ),
    "a task is new": (lambda p: p.write("tasks/new.yaml", TASK.format("new")), 1),
    "a task is gone": (lambda p: (p.folder / "tasks/t007.yaml").unlink(), 0),
    "the config": (lambda p: p.config("tags: {team: it}\n"), 1),
    "a module": (_append("infra/modules/aws/main.tf"), 1),
    "a root module": (_append("infra/t007/aws-us-east-1/main.tf"), 1),
    "a ledger": (lambda p: (p.folder / "infra/t007/aws-us-east-1/stack.json").unlink(), 1),
    "a file of the tree": (lambda p: (p.folder / "infra/.gitignore").unlink(), 1),
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_changes_is_seen(project: Project, change: str) -> None:
    make, code = CHANGES[change]
    make(project)
    answer = check(project)
    assert answer.code == code, answer.err
    # as if nothing had ever been kept
    for path in kept(project):
        path.unlink()
    fresh = check(project)
    assert (fresh.code, fresh.out, fresh.err) == (answer.code, answer.out, answer.err)


@pytest.mark.parametrize("option", ["--ports=90", "--source=10.0.0.0/8", "--attach", "--cluster=one"])
def test_options_are_a_part_of_it(project: Project, option: str) -> None:
    assert check(project, option).code == 1


def test_a_users_hash_is_a_part_of_it(project: Project) -> None:
    with environment(SKYPILOT_USER_ID="b2c3d4e5"):
        assert check(project).code == 1


def test_what_an_apply_leaves_beside_a_stack_does_not_matter(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("terraform.tfstate", "skyports.tfplan", ".terraform.lock.hcl", ".terraform/x"):
        project.write(f"infra/t007/aws-us-east-1/{name}", "{}")
    monkeypatch.setattr("skyports_tf.cli.compile.compile_tasks", None)
    assert check(project).code == 0


def test_a_damaged_memory_is_none(project: Project) -> None:
    (path,) = kept(project)
    for text in ("", "{", "[]", "{}", '{"inputs": 1}'):
        path.write_text(text, encoding="utf-8")
        assert check(project).code == 0


def test_a_tree_that_holds_more_than_these_tasks_is_always_compiled(project: Project) -> None:
    project.write("elsewhere/more.yaml", TASK.format("more"))
    assert call(project.folder, "compile", "elsewhere/more.yaml").code == 0
    for path in kept(project):
        path.unlink()
    assert check(project).code == 0
    assert kept(project) == []


def test_with_a_policy_whose_exceptions_end_it_is_always_compiled(project: Project) -> None:
    for path in kept(project):
        path.unlink()
    project.config("tags: {team: ml}\npolicy:\n  - name: few\n    max_ports: 9\n")
    assert check(project).code in (0, 1) and kept(project) == []
