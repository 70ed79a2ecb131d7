"""Folders in the place of task files: what is found in them, what is left out, what never hangs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from skyports_tf.diagnostics import FindingsError
from skyports_tf.taskfiles import find_task_files, is_task_text
from tests.support.command_line import call, valid
from tests.support.installs import ROOT
from tests.support.project import Project, working_in

TASK = "name: {0}\nresources:\n  infra: aws/us-east-1\n  ports: 80\nrun: echo hello\n"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def fleet(project: Project, *files: str) -> None:
    for file in files:
        project.write(file, TASK.format(Path(file).stem))


def found(project: Project, *paths: str) -> tuple[str, ...]:
    with working_in(project.folder):
        return find_task_files(paths, "infra").files


def test_a_folder_stands_for_the_tasks_in_it_and_below_sorted(project: Project) -> None:
    fleet(project, "tasks/b.yaml", "tasks/a/z.yml", "tasks/a/deep/er/x.yaml", "tasks/B.yaml", "other.yaml")
    expected = ("tasks/B.yaml", "tasks/a/deep/er/x.yaml", "tasks/a/z.yml", "tasks/b.yaml")
    assert found(project, "tasks") == found(project, "tasks/") == expected
    assert found(project, "other.yaml", "tasks")[0] == "other.yaml"
    # whoever names a file and its folder names it once
    assert found(project, "tasks/b.yaml", "tasks", "tasks/a") == ("tasks/b.yaml", *expected[:3])
    with working_in(project.folder / "tasks"):
        assert find_task_files((".",), "infra").files == tuple(path[6:] for path in expected)


def test_what_is_no_task_is_left_out_with_one_note_that_counts_and_names_it(project: Project) -> None:
    fleet(project, "tasks/web.yaml")
    others = {
        "README.md": "# Tasks\n",
        "compose.yaml": "services:\n  web: {image: nginx}\nvolumes: {}\n",
        "deployment.yaml": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\nspec: {}\n",
        "values.yaml": "replicaCount: 1\nimage: {}\nservice: {port: 80}\nresources: {}\ningress: {}\n",
        "list.yml": "- name: x\n  run: y\n",
        "notes/plain.txt": "run: this is no task\n",
        "empty.yaml": "",
    }
    for name, text in others.items():
        project.write(f"tasks/{name}", text)
    project.config("out: infra\n")
    project.write("tasks/skyports.yaml", "out: infra\n")
    answer = call(project.folder, "compile", "tasks", "--json")
    assert answer.code == 0, answer.err
    (note,) = [item for item in answer.json["diagnostics"] if item["code"] == "not-tasks"]
    assert note["severity"] == "note"
    # what could be meant as a task is named first
    assert note["message"] == (
        "7 files are no task files and were left out: tasks/compose.yaml, tasks/deployment.yaml, "
        "tasks/empty.yaml, tasks/list.yml, tasks/values.yaml and 2 more"
    )
    assert [stack["cluster"] for stack in valid("compile", answer.json)["stacks"]] == ["web"]
    assert answer.err.count("not-tasks") == 1


@pytest.mark.parametrize(
    "text",
    [
        TASK.format("x"),
        "resources: {ports: 80}\n",
        "run: |\n  serve\n",
        "---\nname: chain\n---\nrun: a\n---\nrun: b\n",
        "# a comment\n---\n{run: hello, resources: {ports: 80}}\n",
        '"run": hello\n',
        # a mistake is the compiler's to tell
        "name: x\nresouces: {ports: 80}\nrun: x\n",
        "run: [\n",
        "num_nodes: two\nrun: x\n",
    ],
)
def test_a_task_is_known_by_its_keys_even_with_mistakes(tmp_path: Path, text: str) -> None:
    path = tmp_path / "task.yaml"
    path.write_text(text, encoding="utf-8")
    assert is_task_text(text, str(path))


def test_every_example_is_one() -> None:
    for path in sorted((ROOT / "examples").glob("*.yaml")):
        assert is_task_text(path.read_text(encoding="utf-8"), str(path)), path.name


def test_a_task_with_a_mistake_is_refused_and_not_passed_over(project: Project) -> None:
    fleet(project, "tasks/good.yaml")
    project.write("tasks/bad.yaml", "name: bad\nresources: {port: 80}\nrun: x\n")
    answer = call(project.folder, "compile", "tasks")
    assert answer.code == 1 and "tasks/bad.yaml:2:" in answer.err and "did you mean 'ports'?" in answer.err
    assert not (project.folder / "infra").exists()


def test_hidden_folders_and_the_tree_are_left_out(project: Project) -> None:
    fleet(project, "web.yaml", ".git/hook.yaml", ".hidden.yaml", "a/.venv/lib.yaml")
    with working_in(project.folder):
        assert call(project.folder, "compile", ".").code == 0
        fleet(project, "infra/looks-like.yaml")
        for place in (".", str(project.folder)):
            assert [Path(path).name for path in find_task_files((place,), "infra").files] == ["web.yaml"]


def test_links_that_lead_in_circles_end_and_no_file_counts_twice(project: Project) -> None:
    fleet(project, "tasks/a/web.yaml", "elsewhere/api.yaml")
    folder = project.folder / "tasks"
    (folder / "a" / "up").symlink_to(folder)
    (folder / "b").symlink_to(folder / "a")
    (folder / "c").symlink_to(project.folder / "elsewhere")
    (folder / "same.yaml").symlink_to(folder / "a" / "web.yaml")
    (folder / "self").symlink_to(folder / "self")
    (folder / "broken.yaml").symlink_to(folder / "nowhere")
    os.mkfifo(folder / "pipe.yaml")
    with working_in(project.folder):
        search = find_task_files(("tasks",), "infra")
    assert search.files == ("tasks/a/web.yaml", "tasks/c/api.yaml")
    assert "3 files" in search.notes[0].message and "tasks/pipe.yaml" in search.notes[0].message


def test_a_folder_without_a_task_is_a_mistake(project: Project) -> None:
    project.write("tasks/README.md", "nothing\n")
    answer = call(project.folder, "compile", "tasks", "--json")
    assert answer.code == 1
    assert [item["code"] for item in answer.json["diagnostics"]] == ["folder-empty"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read any folder")
def test_a_folder_that_cannot_be_read_is_a_mistake(project: Project) -> None:
    fleet(project, "tasks/web.yaml", "tasks/closed/api.yaml")
    (project.folder / "tasks/closed").chmod(0)
    with pytest.raises(FindingsError) as caught:
        found(project, "tasks")
    assert caught.value.diagnostics[0].code == "file-unreadable"


def test_a_file_in_another_code_is_a_mistake_and_data_and_a_huge_file_are_no_tasks(project: Project) -> None:
    fleet(project, "tasks/web.yaml")
    (project.folder / "tasks/secret.yaml").write_bytes(b"\0GITCRYPT\0\xff\x80\x01")
    (project.folder / "tasks/data.yaml").write_bytes(b"run: x\n" * 700_000)
    assert found(project, "tasks") == ("tasks/web.yaml",)
    (project.folder / "tasks/wide.yaml").write_bytes("run: x\n".encode("utf-16"))
    (project.folder / "tasks/wrong.yaml").write_text("resources: {ports: 99999}\nrun: x\n")
    refused = call(project.folder, "compile", "tasks")
    assert refused.code == 1
    assert "tasks/wide.yaml: error[file-not-text]" in refused.err, "every file's mistakes are told at once"
    assert "tasks/wrong.yaml:1:20: error[bad-port]" in refused.err


def test_a_folder_is_taken_by_every_verb_that_reads_tasks(project: Project) -> None:
    fleet(project, "tasks/a.yaml", "tasks/b/c.yaml")
    inspected = call(project.folder, "inspect", "tasks", "--json").json
    assert [item["path"] for item in inspected["documents"]] == ["tasks/a.yaml", "tasks/b/c.yaml"]
    compiled = call(project.folder, "compile", "tasks", "--json").json
    assert [item["cluster"] for item in compiled["stacks"]] == ["a", "c"]
    assert call(project.folder, "compile", "tasks", "--check").code == 0


def test_a_file_that_has_left_its_folder_holds_its_ports_and_that_is_told(project: Project) -> None:
    fleet(project, "tasks/a.yaml", "tasks/b.yaml", "elsewhere/c.yaml")
    assert call(project.folder, "compile", "tasks", "elsewhere/c.yaml").code == 0
    for gone in ("tasks/b.yaml", "elsewhere/c.yaml"):
        (project.folder / gone).unlink()
    answer = call(project.folder, "compile", "tasks", "--json").json
    told = [item["message"] for item in answer["diagnostics"] if item["code"] == "task-gone"]
    assert told == ["tasks/b.yaml is gone, and what it asked for stays open on b: tcp 80"]
