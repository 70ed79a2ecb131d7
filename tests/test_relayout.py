"""`relayout`: stacks move with their states between the layouts, and no port closes by it."""

from __future__ import annotations

import json
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from skyports_tf.schema import schema_of
from tests.support.command_line import call
from tests.support.local_aws import MotoServer, ec2
from tests.support.project import Project
from tests.support.stacks import write_program

PLACE = "aws-us-east-1"
CONFIG = "user_hash: a1b2c3d4\nsources: [10.0.0.0/8]\nssh_sources: [10.0.0.0/8]\nlayout: {}\n"


def project_in(folder: Path, layout: str) -> Project:
    """Two clusters of one place, applied in this layout."""
    project = Project(folder)
    project.config(CONFIG.format(layout))
    for name in ("blue", "red.one"):
        project.task("[7000, 8888]", name=name, file=f"tasks/{name}.yaml")
    answer = call(folder, "apply", "-y", "tasks")
    assert answer.code == 0, answer.err
    return project


def live(aws: MotoServer) -> dict[str, set[str]]:
    """The ids of the rules in the cloud, by group."""
    rules = ec2(aws.url).describe_security_group_rules()["SecurityGroupRules"]
    found: dict[str, set[str]] = {}
    for rule in rules:
        found.setdefault(rule["GroupId"], set()).add(rule["SecurityGroupRuleId"])
    return found


def test_there_and_back_again_nothing_in_the_cloud_changes(aws: MotoServer, tmp_path: Path) -> None:
    project = project_in(tmp_path, "separate")
    before = live(aws)
    project.config(CONFIG.format("grouped"))
    kept = call(tmp_path, "plan", "tasks", "--json")
    assert [item["code"] for item in kept.json["diagnostics"]] == ["layout-kept"]
    for layout, other in (("grouped", "separate"), ("separate", "grouped")):
        project.config(CONFIG.format(layout))
        answer = call(tmp_path, "relayout", "-y", "--json")
        assert answer.code == 0, answer.err
        jsonschema.validate(answer.json, schema_of("relayout"))
        assert [(item["from"], item["layout"], item["objects"]) for item in answer.json["stacks"]] == [
            (other, layout, 7)
        ] * 2
        assert live(aws) == before
        again = call(tmp_path, "plan", "--detailed-exitcode", "tasks")
        assert again.code == 0, again.out + again.err
        assert call(tmp_path, "compile", "--check", "tasks").code == 0
        assert files(tmp_path) == FILES[layout]
    assert call(tmp_path, "destroy", "-y", "blue", "red.one").code == 0


def files(folder: Path) -> set[str]:
    """The files of the tree that are not the modules', nor Terraform's own."""
    tree = folder / "infra"
    found = (path.relative_to(tree) for path in tree.rglob("*") if path.is_file())
    return {str(path) for path in found if path.parts[0] != "modules" and ".terraform" not in path.parts}


_KEPT = {".gitignore", f"blue/{PLACE}/stack.json", f"red.one/{PLACE}/stack.json"}
_ROOT = {"main.tf", "backend.tf", "terraform.tfstate", "terraform.tfstate.backup"}
_LONE = {f"{name}/{PLACE}/{file}" for name in ("blue", "red.one") for file in (*_ROOT, "outputs.tf")}
_SHARED = {f"groups/{PLACE}/{file}" for file in (*_ROOT, "blue.cluster.tf", "red.one.cluster.tf")}
_BACKUPS = {name for name in (*_LONE, *_SHARED) if name.endswith(".backup")}
FILES: dict[str, Any] = {
    "grouped": _KEPT | _SHARED | _BACKUPS,
    "separate": _KEPT | _LONE | _BACKUPS,
}


@pytest.mark.parametrize("at", ["after the first push", "after the last push"])
def test_a_move_that_is_killed_goes_on_with_the_next_call(
    aws: MotoServer, terraform_argv: tuple[str, ...], tmp_path: Path, at: str
) -> None:
    project = project_in(tmp_path, "separate")
    before, held = live(aws), objects(tmp_path)
    for layout in ("grouped", "separate"):
        project.config(
            CONFIG.format(layout)
            + f"terraform: {{binary: {killing(tmp_path, at, shlex.join(terraform_argv))}}}\n"
        )
        killed = subprocess.run(
            [sys.executable, "-m", "skyports_tf", "relayout", "-y"], cwd=tmp_path, capture_output=True
        )
        assert killed.returncode == -signal.SIGKILL
        assert objects(tmp_path) == held
        project.config(CONFIG.format(layout))
        again = call(tmp_path, "relayout", "-y")
        assert again.code == 0, again.err
        assert objects(tmp_path) == held
        assert counted(tmp_path) == len(held)
        assert live(aws) == before
        planned = call(tmp_path, "plan", "--json", "tasks").json["stacks"]
        assert [item["terraform"] for item in planned] == [{"create": 0, "update": 0, "delete": 0}] * 2


def test_a_shared_root_that_holds_a_cluster_without_files_stays(aws: MotoServer, tmp_path: Path) -> None:
    project, root = project_in(tmp_path, "grouped"), tmp_path / "infra/groups" / PLACE
    shutil.rmtree(tmp_path / "infra/red.one")
    (root / "red.one.cluster.tf").unlink()
    held = objects(tmp_path)
    project.config(CONFIG.format("separate"))
    answer = call(tmp_path, "relayout", "-y")
    assert answer.code == 0, answer.err
    assert objects(tmp_path) == held
    assert {"main.tf", "backend.tf", "terraform.tfstate"} <= {path.name for path in root.iterdir()}


def test_two_moves_at_once_lose_nothing_and_the_next_call_goes_on(aws: MotoServer, tmp_path: Path) -> None:
    project = project_in(tmp_path, "separate")
    before, held = live(aws), objects(tmp_path)
    command = [sys.executable, "-m", "skyports_tf", "relayout", "-y"]
    for layout in ("grouped", "separate"):
        project.config(CONFIG.format(layout))
        both = [subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) for _ in range(2)]
        said = [process.communicate()[1] for process in both]
        # the one that comes too late is refused by Terraform
        assert not any("Traceback" in text for text in said)
        the_next_call_goes_on(tmp_path, held)
        assert live(aws) == before


def the_next_call_goes_on(folder: Path, held: set[str]) -> None:
    """Nothing is lost, and after one more call all is in one place, and nothing is to be done."""
    assert objects(folder) == held
    again = call(folder, "relayout", "-y")
    assert again.code == 0, again.err
    assert objects(folder) == held
    assert counted(folder) == len(held)
    planned = call(folder, "plan", "--json", "tasks").json["stacks"]
    assert [item["terraform"] for item in planned] == [{"create": 0, "update": 0, "delete": 0}] * 2


def killing(folder: Path, at: str, real: str) -> Path:
    """A Terraform that kills who calls it at one of its pushes of a state."""
    count = folder / "pushes"
    count.write_text("", encoding="utf-8")
    number = 1 if "first" in at else 4
    strike = "kill -9 $PPID; exit 1"
    return write_program(
        folder / "killing-terraform",
        f"""\
        if [ "$1 $2" = "state push" ]; then
          echo >> {count}
          test "$(wc -l < {count})" -eq {number} || exec {real} "$@"
          {real} "$@"
          {strike}
        fi
        exec {real} "$@"
        """,
    )


def states(folder: Path) -> list[dict[str, Any]]:
    files = [path for path in (folder / "infra").rglob("terraform.tfstate") if path.stat().st_size]
    found = [json.loads(path.read_text(encoding="utf-8")) for path in files]
    return [state for state in found if "resources" in state]


def instances(folder: Path) -> list[str]:
    return [
        str(instance["attributes"]["id"])
        for state in states(folder)
        for item in state["resources"]
        if item["mode"] == "managed"
        for instance in item["instances"]
    ]


def objects(folder: Path) -> set[str]:
    """The ids of all that is in a state."""
    return set(instances(folder))


def counted(folder: Path) -> int:
    """In how many places the objects are, all in all."""
    return len(instances(folder))


def test_what_another_state_holds_is_never_overwritten(aws: MotoServer, tmp_path: Path) -> None:
    project = project_in(tmp_path, "separate")
    whole = objects(tmp_path)
    shared = tmp_path / "infra" / "groups" / PLACE
    lone = json.loads((tmp_path / "infra" / "blue" / PLACE / "terraform.tfstate").read_text(encoding="utf-8"))
    text = json.dumps(lone).replace("module.ports", "module.blue")
    strange = json.loads(text)
    strange["lineage"] = "9b4c5de2-1111-2222-3333-444455556666"
    strange["resources"][-1]["instances"][0]["attributes"]["id"] = "another"
    shared.mkdir(parents=True)
    (shared / "terraform.tfstate").write_text(json.dumps(strange), encoding="utf-8")
    project.config(CONFIG.format("grouped"))
    answer = call(tmp_path, "relayout", "-y")
    assert answer.code == 1
    assert "error[layout-busy]: blue-aws-us-east-1: there are two states of it that differ" in answer.err
    assert whole <= objects(tmp_path)


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("mark", "an apply of it has not gone through"),
        ("backend", "its files name another backend than the config"),
    ],
)
def test_a_stack_that_cannot_move_now_is_refused_before_anything_moves(
    tmp_path: Path, what: str, message: str
) -> None:
    project = Project(tmp_path)
    project.config(CONFIG.format("separate"))
    project.task("[7000]", name="blue", file="blue.yaml")
    assert call(tmp_path, "compile", "blue.yaml").code == 0
    folder = tmp_path / "infra" / "blue" / PLACE
    project.config(CONFIG.format("grouped"))
    if what == "mark":
        (folder / ".terraform").mkdir()
        (folder / ".terraform" / "skyports.unfinished").touch()
    else:
        project.config(CONFIG.format("grouped") + "backend: {http: {address: 'https://states.example'}}\n")
    answer = call(tmp_path, "relayout", "-y")
    assert (answer.code, message in answer.err) == (1, True), answer.err


def test_a_move_asks_first_and_there_may_be_nothing_to_move(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.config(CONFIG.format("separate"))
    project.task("[7000]", name="blue", file="blue.yaml")
    assert call(tmp_path, "compile", "blue.yaml").code == 0
    nothing = call(tmp_path, "relayout")
    assert (nothing.code, "nothing to move" in nothing.err) == (0, True)
    project.config(CONFIG.format("grouped"))
    asked = call(tmp_path, "relayout", answer="n\n", terminal=True)
    assert asked.code == 1
    assert f"blue-{PLACE}  blue/{PLACE} -> groups/{PLACE}" in asked.out
