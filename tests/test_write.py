"""Writing: whole files or nothing, only what changed, only files that are ours."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.project import Project, tree_of, working_in


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.mark.parametrize(
    "path", ["web/aws-us-east-1/main.tf", "web/aws-us-east-1/stack.json", ".gitignore", "modules/aws/main.tf"]
)
@pytest.mark.parametrize("text", ["# mine\n", "", "\ufeff"])
def test_a_file_that_is_not_ours_is_never_overwritten(project: Project, path: str, text: str) -> None:
    project.write(f"infra/{path}", text)
    expected = "ledger-invalid" if path.endswith(".json") else "file-foreign"
    assert project.refused(project.task("80")) == [expected]
    assert tree_of(project.folder / "infra") == {path: text}


def test_files_that_lie_beside_ours_stay(project: Project) -> None:
    project.write("infra/web/aws-us-east-1/extra.tf", "# mine\n")
    task = project.task("80")
    project.compile(task)
    project.compile(project.task("[]"))
    assert project.text("web/aws-us-east-1/extra.tf") == "# mine\n"


def test_a_file_in_the_place_of_a_folder_is_a_clear_error(project: Project) -> None:
    project.write("infra/web", "x")
    assert project.refused(project.task("80")) == ["file-unwritable"] * 4
    project.folder.joinpath("infra/web").unlink()
    project.folder.joinpath("infra").rmdir()
    project.write("infra", "x")
    assert project.refused(project.task("80")) == ["file-unwritable"]


def test_one_refused_task_of_many_leaves_nothing_written(project: Project) -> None:
    good, bad = project.task("80"), project.task("99999", file="bad.yaml")
    assert project.refused(good, bad) == ["bad-port"]
    assert not project.folder.joinpath("infra").exists()


def test_the_diff_is_what_patch_applies(project: Project) -> None:
    from skyports_tf.write import tree_diff

    project.compile(project.task("80"))
    compilation = project.look(project.task("[80, 9000]"), project.task("7", name="new", file="new.yaml"))
    with working_in(project.folder):
        diff = tree_diff("infra", compilation.files)
        subprocess.run(["git", "apply", "-"], input=diff, text=True, check=True)
        assert tree_diff("infra", compilation.files) == ""


COMPILE = [sys.executable, "-m", "skyports_tf", "compile"]


def many_tasks(project: Project, count: int, ports: str) -> list[str]:
    return [project.task(ports, name=f"c{number}", file=f"tasks/c{number}.yaml") for number in range(count)]


def test_a_kill_at_any_moment_leaves_whole_files_and_a_tree_that_compiles_again(project: Project) -> None:
    tasks = many_tasks(project, 60, "80")
    whole = set(compiled_elsewhere(project, "80").values()) | set(
        compiled_elsewhere(project, "[90, 100]").values()
    )
    rng = random.Random(7)
    killed = 0
    for attempt in range(12):
        many_tasks(project, 60, "80" if attempt % 2 else "[90, 100]")
        process = subprocess.Popen(
            [*COMPILE, *tasks], cwd=project.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_for_writes(project, process, rng.uniform(0, 0.06))
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
        files = {path: text for path, text in project.tree().items() if not path.endswith(".skyports.tmp")}
        assert {text for text in files.values() if text not in whole} == set()
    assert killed >= 3
    project.compile(*tasks)
    assert project.look(*tasks).pending == ()


def wait_for_writes(project: Project, process: subprocess.Popen[bytes], delay: float) -> None:
    """Wait until the process has begun to write, and then `delay` seconds more."""
    start = time.time()
    while process.poll() is None and time.time() < start + 20:
        ledgers = list(project.folder.glob("infra/c*/*/stack.json"))
        if any(path.stat().st_mtime >= start for path in ledgers if path.exists()):
            break
        time.sleep(0.002)
    time.sleep(delay)


def compiled_elsewhere(project: Project, ports: str) -> dict[str, str]:
    """The tree that an undisturbed compile of the 60 tasks writes."""
    other = Project(project.folder.with_name(f"{project.folder.name}-{len(ports)}"))
    other.folder.mkdir()
    other.compile(*many_tasks(other, 60, ports))
    return other.tree()


def test_two_compiles_at_once_do_not_mix(project: Project) -> None:
    left = [project.task("80", name=f"c{n}", file=f"left/c{n}.yaml") for n in range(25)]
    right = [project.task("90", name=f"c{n}", file=f"right/c{n}.yaml") for n in range(25)]
    for _ in range(3):
        shutil.rmtree(project.folder / "infra", ignore_errors=True)
        runs = [
            subprocess.Popen([*COMPILE, *tasks], cwd=project.folder, stdout=subprocess.DEVNULL)
            for tasks in (left, right)
        ]
        assert [run.wait() for run in runs] == [0, 0]
        for number in range(25):
            assert project.keys(f"c{number}/aws-us-east-1") == ["tcp-80@0.0.0.0/0", "tcp-90@0.0.0.0/0"]
        assert project.look(*left, *right).pending == ()


def test_a_folder_that_cannot_be_made_is_a_clear_error(project: Project) -> None:
    assert project.refused(project.task("80"), out="/proc/infra") == ["file-unwritable"]
