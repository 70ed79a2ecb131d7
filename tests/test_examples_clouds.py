"""What docs/clouds.md has the config name is true: with its lines, every example compiles for every cloud."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from skyports_tf.clouds import load_cloud, managed_clouds
from tests.support.command_line import Answer, call, environment
from tests.support.golden import EXAMPLES
from tests.support.installs import ROOT

HEADING = "\n## What the config must name\n"
PART = (ROOT / "docs/clouds.md").read_text(encoding="utf-8").partition(HEADING)[2].partition("\n## ")[0]
#: Cloud -> the place and the lines of skyports.yaml that the page gives.
TABLE = {
    infra.partition("/")[0]: (infra, config)
    for infra, config in re.findall(r"^\| [\w ]+ \| `([^`]+)` \| (?:`([^`]+)` )?\|$", PART, re.MULTILINE)
}
TASKS = sorted(str(path) for path in EXAMPLES.glob("*.yaml"))
#: As in SkyPilot, `--infra` does not move pipelines and job groups.
ELSEWHERE = {"digits-train", "digits-show", "rollout-server", "trainer"}


def compiled(cloud: str, folder: Path, config: str, **names: str) -> Answer:
    (folder / "skyports.yaml").write_text(f"{config}\n", encoding="utf-8")
    with environment(HOME=str(folder), **names):
        return call(folder, "compile", "--infra", TABLE[cloud][0], "--json", *TASKS)


def test_the_page_has_a_line_for_every_cloud() -> None:
    assert sorted(TABLE) == sorted(managed_clouds())


@pytest.mark.parametrize("cloud", TABLE)
def test_the_page_names_the_settings_that_are_needed_and_no_others(cloud: str) -> None:
    settings = re.findall(r"(\w+): (?=[\w{])", TABLE[cloud][1].partition(": {")[2])
    assert settings == list(load_cloud(cloud).required_settings)


@pytest.mark.parametrize("cloud", TABLE)
def test_every_example_compiles_with_the_lines_of_the_page(cloud: str, tmp_path: Path) -> None:
    answer = compiled(cloud, tmp_path, TABLE[cloud][1], SKYPILOT_USER_ID="a1b2c3d4")
    assert answer.code == 0, answer.err
    stacks = {stack["cluster"]: stack["cloud"] for stack in answer.json["stacks"]}
    assert len(stacks) == len(TASKS) - 2 + len(ELSEWHERE)
    assert {cluster for cluster, place in stacks.items() if place != cloud} == (
        set() if cloud == "aws" else ELSEWHERE
    )
    check = ["terraform", "fmt", "-check", "-recursive", "-diff", str(tmp_path / "infra")]
    assert subprocess.run(check, capture_output=True, text=True).stdout == ""


@pytest.mark.parametrize("cloud", TABLE)
def test_the_page_says_which_clouds_need_a_user_hash(cloud: str, tmp_path: Path) -> None:
    (sentence,) = re.findall(r"^All but (.+) also need SkyPilot's user hash", PART, re.MULTILINE)
    needs_none = cloud.upper() in sentence.split()
    answer = compiled(cloud, tmp_path, TABLE[cloud][1])
    assert needs_none != load_cloud(cloud).needs_user_hash
    assert answer.code == (0 if needs_none else 1)
    assert {item["code"] for item in answer.json["diagnostics"] if item["severity"] == "error"} == (
        set() if needs_none else {"user-hash-unknown"}
    )
