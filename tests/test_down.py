"""`down`: ports closed at once, SkyPilot's cluster shut down, groups removed, emptiness proven."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from skyports_tf.lease import hold_lease, leases
from tests.support.command_line import Answer, call, valid
from tests.support.life import life_on
from tests.support.local_aws import MotoServer, ec2, launch_nodes
from tests.support.project import Project
from tests.support.schema_cloud import SchemaCloud
from tests.support.stand_in_sky import StandInSky

FIREWALL = "google_compute_firewall"
PATIENCE = 90.0
# what SkyPilot 0.14.1 says, sky/client/cli/command.py:_down_or_stop_clusters; it exits with 0 in each case
SAYS = {
    "done": "\x1b[32mTerminating cluster web...done.\x1b[0m",
    "unknown": "Cluster(s) not found (tip: see `sky status`).",
    "failed": "\x1b[31mTerminating cluster web...failed. \x1b[0m\\nReason: no credentials.\\n"
    "Cluster(s) failed. See details above.",
}


@dataclass(frozen=True)
class Place:
    """A project whose cluster `web` is open on one pretend cloud, and a stand-in for SkyPilot on PATH."""

    project: Project
    cloud: SchemaCloud
    sky: StandInSky

    @property
    def folder(self) -> Path:
        return self.project.folder

    def down(self, *words: str, **rest: Any) -> Answer:
        return call(self.folder, "down", *(words or ("web", "-y")), **rest)

    def says(self, outcome: str, code: int = 0) -> None:
        """What `sky down` comes to."""
        self.sky.does("down", f"print({SAYS[outcome]!r}.replace(chr(92) + 'n', chr(10)))\nsys.exit({code})")


def place_on(cloud: str, folder: Path, mirror: Path, sky: StandInSky, patch: pytest.MonkeyPatch) -> Place:
    life = life_on(cloud, folder, mirror, patch, resident=False)
    project = life.project
    project.config(f"{life.facts['config']}sources: [203.0.113.0/24]\n")
    project.task("8080", infra=life.place)
    answer = call(project.folder, "apply", "web.yaml", "-y")
    assert answer.code == 0, answer.err
    place = Place(project, life.cloud, sky)
    place.says("done")
    return place


@pytest.fixture
def gcp(tmp_path: Path, mirror: Path, sky: StandInSky, monkeypatch: pytest.MonkeyPatch) -> Place:
    return place_on("gcp", tmp_path, mirror, sky, monkeypatch)


@pytest.fixture
def azure(tmp_path: Path, mirror: Path, sky: StandInSky, monkeypatch: pytest.MonkeyPatch) -> Place:
    return place_on("azure", tmp_path, mirror, sky, monkeypatch)


def states(document: Any) -> dict[str, str]:
    return {step["step"]: step["state"] for step in document["steps"]}


DONE = {"close": "done", "sky_down": "done", "destroy": "done", "verify": "done"}


def test_the_ports_are_closed_before_skypilot_is_called_and_nothing_is_left_after_it(gcp: Place) -> None:
    objects = gcp.folder.parent / "google" / "objects" / FIREWALL
    read = f"[open(path).read() for path in glob.glob({str(objects)!r} + '/*')]"
    gcp.sky.does("down", f"import glob\nopen('seen', 'w').write(' '.join({read}))")
    answer = gcp.down("web", "-y", "--json")
    document = valid("down", answer.json)
    assert (answer.code, states(document)) == (0, DONE)
    assert gcp.sky.calls == [["down", "web", "-y"]]
    # the decoy is there while SkyPilot runs, the ports are not
    seen = (gcp.folder / "seen").read_text("utf-8")
    assert "sky-ports-web-a1b2c3d4" in seen and "203.0.113.0/24" not in seen
    assert gcp.cloud.objects() == {}
    (stack,) = document["stacks"]
    assert [rule["from_port"] for rule in stack["changes"]["close"]] == [8080]
    assert (stack["verified_empty"], stack["terraform"]["create"]) == (True, 0)


def test_each_step_is_told(gcp: Place) -> None:
    answer = gcp.down()
    assert "SkyPilot:   sky down web" in answer.out
    assert [line for line in answer.err.splitlines() if line.startswith("done")] == [
        "done  web-gcp: closed 8080",
        "done  sky down web: the cluster is shut down",
        "done  web-gcp: the groups are removed",
        "done  web-gcp: nothing is left",
    ]
    assert "Terminating cluster web...done." in answer.err and "\x1b" not in answer.err
    assert answer.out.splitlines()[-1] == "web-gcp  closed tcp 8080 (2 resources deleted); nothing is left"


def test_a_second_down_is_a_quiet_success(gcp: Place) -> None:
    assert gcp.down().code == 0
    gcp.says("unknown")
    answer = gcp.down("web", "-y", "--json")
    assert answer.code == 0
    assert states(valid("down", answer.json)) == {**DONE, "close": "skipped", "sky_down": "skipped"}
    assert gcp.down("web", "--no-sky").code == 0


def test_what_nobody_agreed_to_is_not_done(gcp: Place) -> None:
    for answer in (gcp.down("web"), gcp.down("web", answer="no\n")):
        assert answer.code == 1
        assert "8080" in answer.out
    assert gcp.sky.calls == []
    assert len(gcp.cloud.objects()[FIREWALL]) == 2


def test_no_sky_leaves_skypilot_alone(gcp: Place) -> None:
    answer = gcp.down("web", "-y", "--no-sky", "--json")
    assert (answer.code, gcp.sky.calls, gcp.cloud.objects()) == (0, [], {})
    step = next(step for step in answer.json["steps"] if step["step"] == "sky_down")
    assert (step["state"], step["detail"]) == ("skipped", "sky down web was not run: it was not asked for")


def test_without_skypilot_the_rest_is_done(gcp: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    gcp.sky.path.unlink()
    answer = gcp.down("web", "-y", "--json")
    assert (answer.code, gcp.cloud.objects()) == (0, {})
    assert "SkyPilot is not installed here" in json.dumps(answer.json["steps"])
    monkeypatch.setenv("SKY", "/nowhere/sky")
    assert gcp.down().code == 4
    assert gcp.down("web", "-y", "--no-sky").code == 0


def test_a_cluster_that_skypilot_does_not_know_is_fine(gcp: Place) -> None:
    gcp.says("unknown")
    answer = gcp.down("web", "-y", "--json")
    assert (answer.code, states(valid("down", answer.json))) == (0, {**DONE, "sky_down": "skipped"})
    assert gcp.cloud.objects() == {}


def test_when_sky_down_fails_the_ports_are_closed_and_the_group_stays_with_its_nodes(gcp: Place) -> None:
    gcp.says("failed")
    answer = gcp.down("web", "-y", "--json")
    document = valid("down", answer.json)
    assert answer.code == 1
    assert states(document) == {"close": "done", "sky_down": "failed", "destroy": "not_reached"}
    assert "nodes-run" in [item["code"] for item in document["diagnostics"]]
    assert "sky down web has failed: Cluster(s) failed. See details above." in answer.err
    assert "done so far: web-gcp: closed 8080" in answer.err
    assert "run the same command again to go on" in answer.err
    assert [rule["disabled"] for rule in gcp.cloud.objects()[FIREWALL]] == [True]
    # and it goes on from there
    gcp.says("done")
    assert gcp.down().code == 0
    assert gcp.cloud.objects() == {}


def test_an_exit_code_of_skypilots_is_a_failure_too(gcp: Place) -> None:
    gcp.says("done", code=1)
    assert states(gcp.down("web", "-y", "--json").json)["sky_down"] == "failed"


def test_rules_that_keep_out_what_skypilot_lets_in_outlive_the_nodes(azure: Place) -> None:
    before = azure.cloud.objects()
    answer = azure.down("web", "-y", "--no-sky", "--json")
    assert answer.code == 1
    assert states(valid("down", answer.json)) == {
        "close": "done",
        "sky_down": "skipped",
        "destroy": "not_reached",
    }
    assert "its rules keep out what they must not let in" in answer.err
    rules = azure.cloud.objects()["azurerm_network_security_rule"]
    denying = [rule for rule in rules if rule["access"] == "Deny"]
    assert len(denying) == 1 and before != azure.cloud.objects()
    # with SkyPilot's word that the nodes are gone, they go
    assert azure.down().code == 0
    assert azure.cloud.objects() == {}


def test_a_plan_that_fails_changes_nothing(gcp: Place) -> None:
    gcp.cloud.fail(FIREWALL, read="no luck")
    answer = gcp.down("web", "-y", "--json")
    assert (answer.code, states(valid("down", answer.json))) == (3, {"close": "not_reached"})
    assert gcp.sky.calls == []


def test_ports_that_cannot_be_closed_alone_stop_nothing(gcp: Place) -> None:
    gcp.cloud.fail(FIREWALL, delete="in use")
    answer = gcp.down("web", "-y", "--json")
    assert answer.code == 3
    assert states(valid("down", answer.json)) == {
        "close": "failed",
        "sky_down": "done",
        "destroy": "failed",
        "verify": "not_reached",
    }
    assert "in use" in answer.err
    gcp.cloud.fail(FIREWALL)
    assert gcp.down().code == 0


def test_several_clusters_and_folders_of_stacks_go_at_once(gcp: Place) -> None:
    gcp.project.task("9090", name="api", infra="gcp", file="api.yaml")
    assert call(gcp.folder, "apply", "api.yaml", "-y").code == 0
    assert gcp.down("infra/web/gcp", "api", "-y").code == 0
    assert [words[1] for words in gcp.sky.calls] == ["api", "web"]
    assert gcp.cloud.objects() == {}


def test_an_unknown_cluster_is_a_finding(gcp: Place) -> None:
    answer = gcp.down("wep", "-y", "--json")
    assert answer.code == 1
    assert [item["code"] for item in valid("down", answer.json)["diagnostics"]] == ["cluster-unknown"]
    assert gcp.sky.calls == []


def test_a_signal_during_sky_down_leaves_the_ports_closed(gcp: Place) -> None:
    gcp.sky.does("down", "open('begun', 'w').close()\nimport time\ntime.sleep(60)")
    process = subprocess.Popen(
        [sys.executable, "-m", "skyports_tf", "down", "web", "-y", "--json"],
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
        out, said = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 143
    assert states(valid("down", json.loads(out))) == {"close": "done", "sky_down": "failed"}
    assert "sky down web: stopped by SIGTERM" in said
    assert [rule["disabled"] for rule in gcp.cloud.objects()[FIREWALL]] == [True]


def test_what_a_killed_run_has_left_in_the_ledger_goes_with_the_cluster(gcp: Place) -> None:
    infra = str(gcp.folder / "infra")
    hold_lease(infra, "web", ["web.yaml"], "2026-12-01T00:00:00Z").abandon()
    assert gcp.down().code == 0
    assert (leases(infra), gcp.project.stack("web/gcp").entries) == ((), ())


def test_on_aws_the_nodes_lose_their_ports_before_they_go(
    aws: MotoServer, sky: StandInSky, tmp_path: Path
) -> None:
    project = Project(tmp_path / "project")
    project.folder.mkdir()
    project.task("8888")
    assert call(project.folder, "apply", "web.yaml", "-y").code == 0
    nodes = launch_nodes(aws.url, "web-a1b2c3d4", 2)
    root = str(Path(__file__).parent.parent)
    sky.does(
        "down",
        f"sys.path.insert(0, {root!r})\nfrom tests.support.local_aws import ec2\n"
        f"client = ec2({aws.url!r})\n"
        "for group in client.describe_security_groups()['SecurityGroups']:\n"
        "    if group['GroupName'] == 'sky-sg-web':\n"
        "        ports = sorted(rule.get('FromPort', -1) for rule in group['IpPermissions'])\n"
        "        open('seen', 'w').write(str(ports))\n"
        "        client.delete_security_group(GroupId=group['GroupId'])\n"
        f"client.terminate_instances(InstanceIds={nodes!r})\n",
    )
    answer = call(project.folder, "down", "web", "-y", "--json")
    assert (answer.code, states(valid("down", answer.json))) == (0, DONE), answer.err
    # SSH and all from the group itself stay until the nodes are gone
    assert (project.folder / "seen").read_text("utf-8") == "[-1, 22]"
    left = [group["GroupName"] for group in ec2(aws.url).describe_security_groups()["SecurityGroups"]]
    assert "sky-sg-web" not in left
    assert answer.json["stacks"][0]["verified_empty"] is True
    assert os.path.exists(project.folder / "infra" / "web")
