"""Every example compiles, without and with the example config; the committed tree is what compile writes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from skyports_tf.compiler import Compilation, CompileRequest, compile_tasks
from skyports_tf.config import Config, read_config
from tests.support.installs import ROOT

EXAMPLES = ROOT / "examples"
CONFIG = EXAMPLES / "config" / "skyports.yaml"
COMPILE = [sys.executable, "-m", "skyports_tf", "--config", "config/skyports.yaml", "compile"]

#: What each example opens: stack folder -> ports.
OPENS = {
    "any_of_clouds": {
        "notebook/aws-us-east-1": ["6006", "8888"],
        "notebook/aws-us-west-2": ["6006", "8888"],
        "notebook/gcp": ["8888"],
        "notebook/kubernetes": ["8888"],
    },
    "game_server": {
        "game/aws-eu-west-1": ["27015", "27020-27025"],
        "game/aws-eu-west-2": ["27015", "27020-27025"],
    },
    "jupyter_lab": {"jupyter/aws-us-east-1": ["8888"]},
    "multi_node_training": {"train/aws-us-east-1": ["6006", "9400"]},
    "ray_dashboard": {"ray/aws-us-east-1": ["8265", "10001"]},
    "rollout_job_group": {
        "rollout-server/aws-us-east-1": ["30000-30001"],
        "trainer/aws-us-east-1": ["8265"],
    },
    "tensorboard": {"tensorboard/aws-us-west-2": ["6006"]},
    "train_then_serve": {
        "digits-show/aws-us-east-1": ["7860-7861"],
        "digits-train/aws-us-east-1": ["6006"],
    },
    "vllm_server": {"vllm/aws-us-east-1": ["8000"]},
    "web_service": {"shop/aws-eu-central-1": ["80", "443", "8080-8089", "9100"]},
}


#: What cannot be guessed of the clouds that examples name.
NEEDED = Config(cloud_settings={"gcp": {"project": "my-project"}})


def compiled(name: str, out: Path, config: Config = NEEDED) -> Compilation:
    request = CompileRequest((str(EXAMPLES / f"{name}.yaml"),), config, str(out), user_hash="a1b2c3d4")
    return compile_tasks(request)


def opened(compilation: Compilation) -> dict[str, list[str]]:
    """The stacks of a compilation and the ports that their rules open."""
    return {
        item.stack.directory: [str(ports) for ports in dict.fromkeys(rule.ports for rule in item.stack.rules)]
        for item in compilation.stacks
    }


def test_every_example_is_in_the_table() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.yaml")} == set(OPENS)


@pytest.mark.parametrize("name", OPENS)
def test_an_example_opens_what_it_says(name: str, tmp_path: Path) -> None:
    assert opened(compiled(name, tmp_path / "infra")) == OPENS[name]


@pytest.mark.parametrize("name", OPENS)
def test_an_example_compiles_with_the_example_config(name: str, tmp_path: Path) -> None:
    compilation = compiled(name, tmp_path / "infra", read_config(str(CONFIG)))
    assert not [item for item in compilation.diagnostics if item.severity == "error"]


def test_the_example_config_narrows_the_sources(tmp_path: Path) -> None:
    config = read_config(str(CONFIG))
    sources = {
        (name, str(rule.ports), rule.protocol, str(rule.source))
        for name in ("jupyter_lab", "web_service", "game_server")
        for item in compiled(name, tmp_path / name, config).stacks
        for rule in item.stack.rules
    }
    assert ("jupyter_lab", "8888", "tcp", "203.0.113.0/24") in sources
    assert ("jupyter_lab", "8888", "tcp", "2001:db8:42::/48") in sources
    assert ("web_service", "9100", "tcp", "10.0.0.0/8") in sources
    assert ("web_service", "443", "tcp", "0.0.0.0/0") in sources
    assert {protocol for _, ports, protocol, _ in sources if ports == "27015"} == {"tcp", "udp"}


def test_the_committed_tree_is_what_compile_writes(tmp_path: Path) -> None:
    shutil.copytree(CONFIG.parent, tmp_path / "config")
    shutil.copy(EXAMPLES / "jupyter_lab.yaml", tmp_path)
    command = [*COMPILE, "jupyter_lab.yaml"]
    env = {name: value for name, value in os.environ.items() if name != "SKYPILOT_USER_ID"}
    subprocess.run(command, cwd=tmp_path, env=env, check=True, capture_output=True)
    assert tree(tmp_path / "infra") == tree(EXAMPLES / "infra"), "run `make golden`"


def test_the_committed_tree_passes_its_own_check() -> None:
    command = [*COMPILE, "--check", "--json", "jupyter_lab.yaml"]
    done = subprocess.run(command, cwd=EXAMPLES, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [stack["changed"] for stack in json.loads(done.stdout)["stacks"]] == [False]


def tree(folder: Path) -> dict[str, str]:
    """Every file of a generated tree; what Terraform may have left beside it is not of it."""
    return {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".terraform" not in path.relative_to(folder).as_posix()
    }
