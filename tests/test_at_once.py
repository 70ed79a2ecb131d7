"""Several of us at once, with the real Terraform: on one stack, and on the stacks of one tree."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command_line import call
from tests.support.life import Life, life_on

APPLY = [sys.executable, "-m", "skyports_tf", "apply", "--yes", "--json"]
#: What stops the second of two: the lock's holder is named, or the plan is no longer the one that was shown.
STOPPED = ("Error acquiring the state lock", "Saved plan is stale", "another plan was saved")
CLUSTERS = [f"web{number}" for number in range(20)]


@pytest.fixture
def life(tmp_path: Path, mirror: Path, monkeypatch: pytest.MonkeyPatch) -> Life:
    return life_on("gcp", tmp_path, mirror, monkeypatch)


def start(life: Life, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*APPLY, *arguments],
        cwd=life.project.folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("patience", ["0s", "120s"])
def test_two_applies_on_one_stack_never_mix(life: Life, patience: str) -> None:
    task = life.project.task("[8000-8003, 9000]", infra=life.place)
    both = [start(life, task, "--lock-timeout", patience) for _ in range(2)]
    ends = [(process, *process.communicate(timeout=300)) for process in both]
    assert 0 in {process.returncode for process, _, _ in ends}
    for process, out, err in ends:
        assert process.returncode in (0, 1, 3), err
        if process.returncode:
            assert any(words in out + err for words in STOPPED), err
        # the holder takes the lock before it has written its name
        if "Lock Info:" in err:
            assert "Who:" in err
    # whoever came second has changed nothing that the first has done
    again = call(life.project.folder, "plan", task, "--json", "--detailed-exitcode")
    assert again.code == 0, again.err
    assert len(life.cloud.objects()["google_compute_firewall"]) == len(state_of(life, "web")) == 2


def test_twenty_applies_on_twenty_stacks_of_one_tree_are_all_right(life: Life) -> None:
    tasks = {
        name: life.project.task(f"{8000 + number}", name=name, infra=life.place, file=f"{name}.yaml")
        for number, name in enumerate(CLUSTERS)
    }
    ends = [
        (process, *process.communicate(timeout=600))
        for process in [start(life, task) for task in tasks.values()]
    ]
    assert [err for process, _, err in ends if process.returncode] == []
    answer = call(life.project.folder, "status", "--json").json
    assert {stack["cluster"]: stack["ports"] for stack in answer["stacks"]} == {
        name: [str(8000 + number)] for number, name in enumerate(CLUSTERS)
    }
    # a decoy and a rule each
    assert len(life.cloud.objects()["google_compute_firewall"]) == 2 * len(CLUSTERS)
    assert {len(state_of(life, name)) for name in CLUSTERS} == {2}
    assert list((life.project.folder / "infra").rglob("*.skyports.tmp")) == []


def state_of(life: Life, cluster: str) -> list[object]:
    """The managed resources' instances in the state of a cluster, which can be read."""
    state = life.project.folder / "infra" / cluster / "gcp" / "terraform.tfstate"
    found = json.loads(state.read_text(encoding="utf-8"))["resources"]
    return [instance for item in found if item["mode"] == "managed" for instance in item["instances"]]
