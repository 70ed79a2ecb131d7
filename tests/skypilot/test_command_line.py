"""SkyPilot's command line beside what `launch` and `down` take it for."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from skyports_tf.running.shutdown import sky_down
from skyports_tf.skypilot import Launch, config_values, read_sky_arguments
from tests.support.stand_in_sky import stand_in_sky

_DRIVER = Path(__file__).with_name("cli_driver.py")

ARGUMENTS: list[list[str]] = [
    [],
    ["-c", "web"],
    ["-cweb"],
    ["--cluster=web"],
    ["--cluster", "web", "--ports", "80", "--ports=90-91"],
    ["-dyc", "web"],
    ["-ycweb"],
    ["-n", "-c"],
    ["-n-c", "-c", "web"],
    ["-i10", "-c", "a", "-c", "b"],
    ["-t", "m5.large", "-r", "-d", "--infra", "aws/us-east-1"],
    ["--infra=gcp", "--gpus", "L4:1", "--env", "A=-c", "-y"],
    ["--region", "us-east-1", "--cloud=aws", "--zone", "us-east-1a"],
    ["-w", "team", "--retry-until-up", "--down", "-c", "web"],
    ["--yes", "--num-nodes", "2", "--env-file", "x"],
]


def ask(python: Path, home: Path, *questions: dict[str, Any]) -> list[Any]:
    """Ask SkyPilot's command line, in a home of its own."""
    home.mkdir()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "USER": "tester",
        "LANG": "C.UTF-8",
        "SKYPILOT_DISABLE_USAGE_COLLECTION": "1",
    }
    said = subprocess.run(
        [str(python), str(_DRIVER)],
        input=json.dumps(questions),
        env=environment,
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 0, said.stderr
    answers: list[Any] = json.loads(said.stdout)
    return answers


def test_what_we_read_in_skypilots_arguments_is_what_skypilot_reads(sky_python: Path, tmp_path: Path) -> None:
    questions = [{"do": "launch", "argv": [*argv, "t.yaml"]} for argv in ARGUMENTS]
    for argv, theirs in zip(ARGUMENTS, ask(sky_python, tmp_path / "home", *questions), strict=True):
        ours = read_sky_arguments(argv)
        places = [theirs[name] for name in ("cloud", "region", "zone") if theirs[name]]
        assert (ours.cluster, ours.infra, list(ours.ports), ours.yes, sorted(ours.place)) == (
            theirs["cluster"],
            theirs["infra"],
            theirs["ports"],
            theirs["yes"],
            sorted(places),
        ), argv


def test_skypilot_reads_in_our_line_what_was_said_on_either_side(sky_python: Path, tmp_path: Path) -> None:
    lines = [
        Launch("t.yaml", "web", read_sky_arguments(argv), infra="aws", ports=("70", "71"), yes=True)
        for argv in ARGUMENTS
    ]
    questions = [{"do": "launch", "argv": line.argv("sky")[2:]} for line in lines]
    for line, read in zip(lines, ask(sky_python, tmp_path / "home", *questions), strict=True):
        given = line.arguments
        assert read == {
            **read,
            "entrypoint": ["t.yaml"],
            "cluster": given.cluster or "web",
            "infra": given.infra or "aws",
            "ports": list(given.ports) or ["70", "71"],
            "yes": True,
        }, line


def test_pairs_come_to_what_the_ports_need(sky_python: Path, tmp_path: Path) -> None:
    needed = {"nebius": {"security_group_name": [{"my.web": "sg-1"}]}, "kubernetes": {"ports": "podip"}}
    mine = ("kubernetes.networking=nodeport",)
    (both,) = ask(
        sky_python,
        tmp_path / "home",
        {"do": "config", "values": [*config_values(needed, "x", mine), *mine]},
    )
    assert both == {
        "nebius": {"security_group_name": [{"my.web": "sg-1"}]},
        "kubernetes": {"ports": "podip", "networking": "nodeport"},
    }


@pytest.mark.parametrize(
    ("known", "error", "state"),
    [(True, None, "done"), (False, None, "unknown"), (True, "no credentials", "failed")],
)
def test_sky_downs_words_tell_what_its_exit_code_does_not(
    sky_python: Path, tmp_path: Path, known: bool, error: str | None, state: str
) -> None:
    (said,) = ask(sky_python, tmp_path / "home", {"do": "down", "known": known, "error": error})
    assert said["code"] == 0
    sky = stand_in_sky(tmp_path / "bin")
    sky.does("down", f"sys.stdout.write({said['output']!r})")
    heard: list[str] = []
    found = sky_down(str(sky.path), "web", heard.append)
    assert (found.state, sky.calls) == (state, [["down", "web", "-y"]])
    assert not any("\x1b" in line for line in heard)
