"""`launch`: the ports first, then SkyPilot with the config that they need, then where they are reached."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from skyports_tf.diagnostics import ProgramMissingError, UsageError
from skyports_tf.skypilot import Launch, config_values, find_sky, read_sky_arguments
from tests.support.command_line import Answer, call, valid
from tests.support.life import life_on
from tests.support.local_aws import MotoServer, ec2
from tests.support.project import Project
from tests.support.schema_cloud import SchemaCloud
from tests.support.stacks import write_program
from tests.support.stand_in_sky import StandInSky

PATIENCE = 90.0


@dataclass(frozen=True)
class Place:
    """A project on one pretend cloud, and a stand-in for SkyPilot on PATH."""

    project: Project
    cloud: SchemaCloud
    sky: StandInSky
    infra: str

    @property
    def folder(self) -> Path:
        return self.project.folder

    def launch(self, *words: str, **rest: Any) -> Answer:
        return call(self.folder, "launch", *words, **rest)


def place_on(cloud: str, folder: Path, mirror: Path, sky: StandInSky, patch: pytest.MonkeyPatch) -> Place:
    life = life_on(cloud, folder, mirror, patch, resident=False)
    project = life.project
    project.config(f"{life.facts['config']}sources: [203.0.113.0/24]\n")
    project.task("8080", infra=life.place)
    return Place(project, life.cloud, sky, life.place or cloud)


@pytest.fixture
def gcp(tmp_path: Path, mirror: Path, sky: StandInSky, monkeypatch: pytest.MonkeyPatch) -> Place:
    return place_on("gcp", tmp_path, mirror, sky, monkeypatch)


@pytest.fixture
def kubernetes(tmp_path: Path, mirror: Path, sky: StandInSky, monkeypatch: pytest.MonkeyPatch) -> Place:
    return place_on("kubernetes", tmp_path, mirror, sky, monkeypatch)


@pytest.fixture
def azure(tmp_path: Path, mirror: Path, sky: StandInSky, monkeypatch: pytest.MonkeyPatch) -> Place:
    return place_on("azure", tmp_path, mirror, sky, monkeypatch)


def states(document: Any) -> list[tuple[str, str]]:
    return [(step["step"], step["state"]) for step in document["steps"]]


# -- the order of things ---------------------------------------------------------------


def test_skypilot_is_called_once_the_ports_are_open(gcp: Place) -> None:
    objects = gcp.folder.parent / "google" / "objects"
    gcp.sky.does("launch", f"import os; print(sorted(os.listdir({str(objects)!r})), file=open('seen', 'w'))")
    answer = gcp.launch("web.yaml", "-y", "--", "--env", "A=b", "--gpus", "L4:1")
    assert answer.code == 0, answer.err
    assert gcp.sky.calls == [["launch", "-c", "web", "-y", "web.yaml", "--env", "A=b", "--gpus", "L4:1"]]
    assert (gcp.folder / "seen").read_text("utf-8") == "['google_compute_firewall']\n"
    assert "Running sky launch -c web -y web.yaml --env A=b --gpus L4:1" in answer.err


def test_the_config_that_the_ports_need_goes_to_skypilot_as_a_file(kubernetes: Place) -> None:
    assert kubernetes.launch("web.yaml", "-y").code == 0
    path = "infra/web/kubernetes/sky-config.yaml"
    assert kubernetes.sky.calls == [["launch", "-c", "web", "--config", path, "-y", "web.yaml"]]
    (configs,) = kubernetes.sky.configs
    assert yaml.safe_load(configs[path]) == {"kubernetes": {"ports": "podip"}}


def test_what_a_launch_had_better_say_gives_way_to_the_users_words(
    aws: MotoServer, sky: StandInSky, tmp_path: Path
) -> None:
    project = Project(tmp_path / "project")
    project.folder.mkdir()
    project.task("8888")
    answer = call(project.folder, "launch", "web.yaml", "-y", "--", "--config", "aws.use_internal_ips=true")
    assert answer.code == 0, answer.err
    assert sky.calls == [["launch", "-c", "web", "-y", "web.yaml", "--config", "aws.use_internal_ips=true"]]


def test_several_stacks_that_need_a_config_share_one_file(kubernetes: Place, mirror: Path) -> None:
    nebius = yaml.safe_load(Path(__file__).with_name("matrix").joinpath("nebius.yaml").read_text("utf-8"))
    pretend = SchemaCloud(kubernetes.folder.parent, nebius["schema"], mirror, nebius["fixture"])
    kubernetes.project.config(nebius["config"])
    places = f"[{{infra: kubernetes}}, {{infra: {nebius['infra']}}}]"
    kubernetes.project.write("web.yaml", f"resources:\n  ports: 8080\n  any_of: {places}\nrun: x\n")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in pretend.env.items():
            patch.setenv(name, value)
        answer = kubernetes.launch("web.yaml", "-y")
    assert answer.code == 0, answer.err
    ((text,),) = [list(configs.values()) for configs in kubernetes.sky.configs]
    assert yaml.safe_load(text) == {
        "kubernetes": {"ports": "podip"},
        "nebius": {"security_group_name": [{"web": "sky-sg-web-a1b2c3d4"}]},
    }


def test_where_skypilot_makes_the_group_the_ports_open_after_the_launch(azure: Place) -> None:
    azure.sky.does("launch", "import os; print(os.path.exists('infra/web/azure-eastus/terraform.tfstate'))")
    answer = azure.launch("web.yaml", "-y", "--json")
    document = valid("launch", answer.json)
    assert answer.code == 0, answer.err
    assert states(document) == [("open", "done"), ("launch", "done"), ("record", "done")]
    (stack,) = document["stacks"]
    assert [rule["from_port"] for rule in stack["changes"]["open"]] == [8080]
    assert document["statuses"][0]["state"] == "open"


def test_what_opens_after_the_launch_is_asked_for_before_it(azure: Place) -> None:
    answer = azure.launch("web.yaml", answer="no\n")
    assert answer.code == 1
    assert "opens after the launch, in the group that SkyPilot makes" in answer.out
    assert "tcp 8080  203.0.113.0/24" in answer.out
    assert (azure.sky.calls, azure.cloud.objects()) == ([], {})


def test_several_tasks_are_launched_one_after_the_other(gcp: Place) -> None:
    gcp.project.task("9090", name="api", infra=gcp.infra, file="api.yaml")
    assert gcp.launch("web.yaml", "api.yaml", "-y").code == 0
    assert [words[2] for words in gcp.sky.calls] == ["web", "api"]


def test_a_task_without_ports_is_launched_all_the_same(gcp: Place) -> None:
    gcp.project.task("null", infra=gcp.infra, name=None)
    answer = gcp.launch("web.yaml")
    assert (answer.code, gcp.sky.calls) == (0, [["launch", "-c", "web", "web.yaml"]])


def test_on_aws_the_nodes_are_recorded_and_the_endpoints_shown(
    aws: MotoServer, sky: StandInSky, tmp_path: Path
) -> None:
    project = Project(tmp_path / "project")
    project.folder.mkdir()
    project.task("8888")
    root = str(Path(__file__).parent.parent)
    sky.does(
        "launch",
        f"sys.path.insert(0, {root!r})\nfrom tests.support.local_aws import launch_nodes\n"
        f"launch_nodes({aws.url!r}, 'web-a1b2c3d4', 2)\n",
    )
    answer = call(project.folder, "launch", "web.yaml", "-y", "--source", "10.0.0.0/8")
    assert answer.code == 0, answer.err
    nodes = ec2(aws.url).describe_instances()["Reservations"][0]["Instances"]
    assert f"{nodes[0]['PublicIpAddress']}:8888" in answer.out
    # what was recorded is all that there is to do
    again = call(project.folder, "plan", "web.yaml", "--source", "10.0.0.0/8", "--detailed-exitcode")
    assert again.code == 0, again.out
    # SkyPilot would delete a group of its own when a zone is full: this one it takes for the user's
    ((text,),) = [list(configs.values()) for configs in sky.configs]
    assert yaml.safe_load(text) == {"aws": {"security_group_name": [{"web": "sky-sg-web"}]}}


# -- what is said on both sides of the dashes ------------------------------------------


def test_what_skypilot_was_told_counts_for_the_ports_too(gcp: Place) -> None:
    theirs = ("-ycother", "--ports", "7070", "--infra=gcp/us-west1")
    answer = gcp.launch("web.yaml", "-y", "--json", "--", *theirs)
    assert answer.code == 0, answer.err
    (stack,) = valid("launch", answer.json)["stacks"]
    assert (stack["cluster"], stack["ports"]) == ("other", ["7070"])
    assert gcp.sky.calls == [["launch", "web.yaml", *theirs]]


def test_what_we_were_told_goes_to_skypilot_too(gcp: Place) -> None:
    ours = ("-c", "other", "--infra", "gcp/us-west1", "--ports", "7070", "--ports", "7171", "-y")
    answer = gcp.launch("web.yaml", *ours)
    assert answer.code == 0, answer.err
    assert gcp.sky.calls == [["launch", *ours, "web.yaml"]]


@pytest.mark.parametrize(
    ("ours", "theirs", "told"),
    [
        (["-c", "one"], ["-c", "two"], "--cluster is 'one' before the -- and 'two' after it"),
        (["--infra", "gcp/a"], ["--infra", "gcp/b"], "--infra is 'gcp/a' before the -- and 'gcp/b' after it"),
        (["--ports", "80"], ["--ports", "90"], "--ports is '80' before the -- and '90' after it"),
        ([], ["--region", "us-west1"], "--cloud, --region and --zone after the -- would launch elsewhere"),
    ],
    ids=["cluster", "infra", "ports", "region"],
)
def test_what_contradicts_itself_is_refused(
    gcp: Place, ours: list[str], theirs: list[str], told: str
) -> None:
    answer = gcp.launch("web.yaml", "-y", "--json", *ours, "--", *theirs)
    assert answer.code == 2
    assert told in valid("launch", answer.json)["diagnostics"][0]["message"]
    assert gcp.sky.calls == [] and not (gcp.folder / "infra").exists()


def test_a_config_of_the_users_own_must_say_what_the_ports_need(kubernetes: Place) -> None:
    kubernetes.project.write("mine.yaml", "kubernetes: {ports: loadbalancer}\n")
    answer = kubernetes.launch("web.yaml", "-y", "--", "--config", "mine.yaml")
    assert answer.code == 2
    assert "--config mine.yaml does not say what the ports need" in answer.err
    assert "say in it: kubernetes.ports: podip" in answer.err
    assert not (kubernetes.folder / "infra").exists()
    kubernetes.project.write("mine.yaml", "kubernetes: {ports: podip, networking: nodeport}\n")
    assert kubernetes.launch("web.yaml", "-y", "--", "--config", "mine.yaml").code == 0
    assert kubernetes.sky.calls == [["launch", "-c", "web", "-y", "web.yaml", "--config", "mine.yaml"]]


def test_pairs_of_the_users_own_stand_beside_what_the_ports_need(kubernetes: Place) -> None:
    assert kubernetes.launch("web.yaml", "-y", "--", "--config", "kubernetes.networking=nodeport").code == 0
    assert kubernetes.sky.calls[0][:5] == ["launch", "-c", "web", "--config", "kubernetes.ports=podip"]


# -- where it stops --------------------------------------------------------------------


def test_without_skypilot_nothing_is_written_and_the_way_out_is_told(
    gcp: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", _without_sky(gcp.folder.parent))
    answer = gcp.launch("web.yaml", "-y", "--json")
    assert answer.code == 4
    assert [item["code"] for item in valid("launch", answer.json)["diagnostics"]] == ["skypilot-missing"]
    assert "pip install skypilot" in answer.err
    assert not (gcp.folder / "infra").exists()


def _without_sky(folder: Path) -> str:
    """A PATH that has Terraform alone."""
    tools = folder / "tools"
    tools.mkdir()
    terraform = shutil.which("terraform")
    if terraform:
        (tools / "terraform").symlink_to(terraform)
    return str(tools)


@pytest.mark.parametrize("kind", ["pipeline", "job group"])
def test_what_sky_launch_does_not_take_is_refused_before_anything_is_written(gcp: Place, kind: str) -> None:
    header = "name: x\nexecution: parallel\n" if kind == "job group" else "name: x\n"
    job = "---\nname: {0}\nresources: {{infra: gcp, ports: 80}}\nrun: x\n"
    gcp.project.write("web.yaml", header + job.format("a") + job.format("b"))
    answer = gcp.launch("web.yaml", "-y")
    assert answer.code == 1
    assert f"web.yaml is a {kind}, and `sky launch` takes one task" in answer.err
    assert not (gcp.folder / "infra").exists()


def test_without_a_yes_nothing_is_opened_and_nothing_launched(gcp: Place) -> None:
    answer = gcp.launch("web.yaml")
    assert (answer.code, gcp.sky.calls, gcp.cloud.objects()) == (1, [], {})
    assert "error[not-confirmed]: nothing was opened or launched" in answer.err


def test_a_plan_that_fails_launches_nothing(gcp: Place) -> None:
    gcp.cloud.fail("google_compute_firewall", plan="no luck")
    answer = gcp.launch("web.yaml", "-y", "--json")
    assert answer.code == 3
    assert states(valid("launch", answer.json)) == [("open", "failed")]
    assert "nothing was opened, and nothing was launched" in answer.err
    assert gcp.sky.calls == []


def test_an_apply_that_fails_launches_nothing_and_says_how_to_go_on(gcp: Place) -> None:
    gcp.cloud.fail("google_compute_firewall", create="quota reached")
    answer = gcp.launch("web.yaml", "-y")
    assert (answer.code, gcp.sky.calls) == (3, [])
    assert "quota reached" in answer.err
    assert "not every port is open, and nothing was launched" in answer.err
    assert "run the same command again to go on, or `skyports-tf down web` to close" in answer.err


def test_when_skypilot_fails_its_exit_code_is_ours_and_the_ports_stay_open(gcp: Place) -> None:
    gcp.project.task("9090", name="api", infra=gcp.infra, file="api.yaml")
    gcp.sky.does("launch", "sys.exit(102)")
    answer = gcp.launch("web.yaml", "api.yaml", "-y", "--json")
    document = valid("launch", answer.json)
    assert (answer.code, len(gcp.sky.calls)) == (102, 1)
    assert "sky launch of web.yaml has ended with exit code 102; api.yaml was not launched" in answer.err
    assert "the ports stay open as planned" in answer.err
    assert [launch["exit_code"] for launch in document["launches"]] == [102, None]
    assert states(document) == [
        ("open", "done"),
        ("launch", "failed"),
        ("launch", "not_reached"),
        ("record", "done"),
    ]
    assert {status["state"] for status in document["statuses"]} == {"open"}


def test_skypilots_words_are_not_mixed_with_the_json(gcp: Place) -> None:
    gcp.sky.does("launch", "print('words of SkyPilot')")
    ended = subprocess.run(
        [sys.executable, "-m", "skyports_tf", "launch", "web.yaml", "-y", "--json"],
        cwd=gcp.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert valid("launch", json.loads(ended.stdout))["launches"][0]["argv"][:2] == ["sky", "launch"]
    assert "words of SkyPilot" in ended.stderr


def test_a_signal_reaches_skypilot_and_nothing_is_recorded_then(gcp: Place) -> None:
    gcp.sky.does("launch", "open('begun', 'w').close()\nimport time\ntime.sleep(60)")
    process = subprocess.Popen(
        [sys.executable, "-m", "skyports_tf", "launch", "web.yaml", "-y"],
        cwd=gcp.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + PATIENCE
        while not (gcp.folder / "begun").exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 143
    assert "has been ended by SIGTERM" in said
    assert "`skyports-tf apply web.yaml` records them" in said


def test_what_was_compiled_during_the_launch_is_not_opened_unseen(gcp: Place) -> None:
    gcp.project.task("7171", infra=gcp.infra, file="other.yaml")
    gcp.sky.does(
        "launch",
        "import subprocess\nsubprocess.run([sys.executable, '-m', 'skyports_tf', 'compile', 'other.yaml'])",
    )
    answer = gcp.launch("web.yaml", "-y")
    assert answer.code == 1
    assert "this would also open what nobody agreed to: tcp 7171" in answer.err
    rules = gcp.cloud.objects()["google_compute_firewall"]
    assert "7171" not in {port for rule in rules for allow in rule["allow"] for port in allow["ports"]}


# -- the program and its arguments -----------------------------------------------------


def test_a_named_skypilot_goes_before_the_one_on_path(sky: StandInSky, tmp_path: Path) -> None:
    other = write_program(tmp_path / "other", "exit 0\n")
    environment = {**sky.environment, "SKY": str(other)}
    assert find_sky(None, sky.environment) == str(sky.path)
    assert find_sky(None, environment) == str(other)
    assert find_sky(str(sky.path), environment) == str(sky.path)
    assert find_sky(None, {"PATH": str(tmp_path / "empty")}) is None
    for configured, given in ((str(tmp_path / "no"), {}), (None, {"SKY": "no-such-sky"})):
        with pytest.raises(ProgramMissingError):
            find_sky(configured, {**sky.environment, **given})


def test_a_skypilot_that_the_config_names_is_relative_to_the_config(gcp: Place) -> None:
    os.rename(gcp.sky.path, gcp.folder / "my-sky")
    with (gcp.folder / "skyports.yaml").open("a", encoding="utf-8") as file:
        file.write("skypilot: {binary: ./my-sky}\n")
    assert gcp.launch("web.yaml", "-y").code == 0
    assert gcp.sky.calls == [["launch", "-c", "web", "-y", "web.yaml"]]


@pytest.mark.parametrize(
    ("argv", "cluster", "yes"),
    [
        (["-c", "web"], "web", False),
        (["-cweb"], "web", False),
        (["--cluster=web"], "web", False),
        (["--cluster", "web", "-y"], "web", True),
        (["-dyc", "web"], "web", True),
        (["-n", "-c"], None, False),
        (["-i10", "-c", "a", "-c", "b"], "b", False),
        (["--env", "c=d"], None, False),
        ([], None, False),
    ],
)
def test_skypilots_arguments_are_read_as_skypilot_reads_them(
    argv: list[str], cluster: str | None, yes: bool
) -> None:
    found = read_sky_arguments(argv)
    assert (found.cluster, found.yes, found.argv) == (cluster, yes, tuple(argv))
    line = Launch("t.yaml", "mine", found, yes=True).argv("sky")
    assert ("mine" in line) == (cluster is None)
    assert line.count("-y") == (0 if "-dyc" in argv else 1)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ((), ("file",)),
        (("a.b=c",), ('nebius.groups=[{"web": "sg"}]', "kubernetes.ports=podip")),
        (("kubernetes.ports='podip'", 'nebius.groups=[{"web":"sg"}]'), ()),
    ],
)
def test_pairs_that_say_it_already_are_not_said_twice(
    given: tuple[str, ...], wanted: tuple[str, ...]
) -> None:
    needed = {"nebius": {"groups": [{"web": "sg"}]}, "kubernetes": {"ports": "podip"}}
    assert config_values(needed, "file", given) == wanted


def test_a_pair_that_says_otherwise_is_refused() -> None:
    with pytest.raises(UsageError, match="does not say what the ports need"):
        config_values({"kubernetes": {"ports": "podip"}}, "file", ("kubernetes.ports=ingress",))
