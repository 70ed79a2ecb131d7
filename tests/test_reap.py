"""`reap`: what nobody needs any more is closed, that alone, and what is not known stays open."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from skyports_tf.config import read_config
from skyports_tf.holding import forget_files
from skyports_tf.lease import hold_lease, leases
from skyports_tf.life import SkyWord
from skyports_tf.lifecycle import RunSettings
from skyports_tf.reaped import ReapRequest
from skyports_tf.reaping import look_ahead, reap_cluster
from skyports_tf.running.settings import silent
from skyports_tf.schema import schema_of
from skyports_tf.sightings import Mark, marks_folder, read_mark, write_mark
from skyports_tf.tree import stacks_of
from tests.support.command_line import Answer, call
from tests.support.life import PretendPlace
from tests.support.local_aws import MotoServer, ec2, launch_nodes
from tests.support.project import Project, working_in
from tests.support.schema_cloud import SchemaCloud
from tests.support.stacks import NAME_ON_CLOUD, write_program

NOW = datetime(2026, 11, 24, 20, tzinfo=timezone.utc)
FIREWALL = "google_compute_firewall"
CONFIG = "user_hash: a1b2c3d4\ngcp: {project: my-project}\n"

At = Callable[[float], None]


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> At:
    """Set the clock of `apply` and `reap`, in minutes from `NOW`."""

    def set_clock(minutes: float) -> None:
        for verb in ("apply", "reap"):
            monkeypatch.setattr(f"skyports_tf.cli.{verb}.time_now", lambda: NOW + timedelta(minutes=minutes))

    set_clock(0)
    return set_clock


@dataclass(frozen=True)
class Place(PretendPlace):
    """A project on a pretend Google Cloud, whose nodes nobody can list, and a pretend SkyPilot."""

    @property
    def out(self) -> str:
        return str(self.folder / "infra")

    def open_ports(self) -> list[str]:
        rules = self.cloud.objects(FIREWALL).get(FIREWALL, [])
        allowed = [allow for rule in rules if not rule["disabled"] for allow in rule["allow"]]
        return sorted({port for allow in allowed for port in allow["ports"]})

    def sky_lists(self, *clusters: str) -> None:
        records = json.dumps([{"name": name, "status": "UP"} for name in clusters])
        write_program(self.folder / "sky", f"echo '{records}'\n")


@pytest.fixture
def place(tmp_path: Path, mirror: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    cloud = SchemaCloud(tmp_path / "clouds", "google", mirror)
    for name, value in cloud.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SKYPILOT_USER_ID", "a1b2c3d4")
    project = Project(tmp_path / "project")
    project.config(CONFIG)
    found = Place(project, cloud)
    found.sky_lists()
    monkeypatch.setenv("SKY", str(found.folder / "sky"))
    return found


def reap(folder: Path, *arguments: str) -> tuple[Answer, dict[str, Any], dict[str, Any]]:
    """The call with `--json`, its clusters and its stacks by name; the document holds to the schema."""
    answer = call(folder, "reap", "--json", *arguments)
    jsonschema.validate(answer.json, schema_of("reap"))
    clusters = {item["cluster"]: item for item in answer.json["clusters"]}
    return answer, clusters, {item["name"]: item for item in answer.json["stacks"]}


def codes(answer: Answer) -> list[str]:
    return [item["code"] for item in answer.json["diagnostics"]]


def opened(folder: Path, *arguments: str) -> None:
    answer = call(folder, "apply", "-y", *arguments)
    assert answer.code == 0, answer.err


def ports_of(rules: list[dict[str, Any]]) -> list[int]:
    return [rule["from_port"] for rule in rules]


# -- on AWS, whose nodes are seen ----------------------------------------------------------


def groups(aws: MotoServer) -> list[str]:
    found = ec2(aws.url).describe_security_groups()["SecurityGroups"]
    return [group["GroupName"] for group in found if group["GroupName"].startswith("sky-sg-")]


def live_ports(aws: MotoServer) -> set[int]:
    """The first ports of the rules that let something in."""
    found = ec2(aws.url).describe_security_groups(Filters=[{"Name": "group-name", "Values": ["sky-sg-web"]}])[
        "SecurityGroups"
    ]
    return {
        rule["FromPort"] for group in found for rule in group["IpPermissions"] if rule.get("FromPort", -1) > 0
    }


def test_a_cluster_is_closed_once_its_nodes_are_gone_for_the_grace(
    aws: MotoServer, tmp_path: Path, at: At
) -> None:
    project = Project(tmp_path)
    project.config("user_hash: a1b2c3d4\n")
    project.task("8888")
    opened(tmp_path, "web.yaml")
    nodes = launch_nodes(aws.url, NAME_ON_CLOUD, 2)
    at(100)
    answer, clusters, stacks = reap(tmp_path, "--no-sky")
    assert answer.code == 0 and clusters["web"]["state"] == "alive"
    assert clusters["web"]["nodes"] == sorted(nodes)
    assert stacks["web-aws-us-east-1"]["reap"] == []

    ec2(aws.url).terminate_instances(InstanceIds=nodes)
    at(110)
    answer, clusters, _ = reap(tmp_path, "--no-sky", "--check")
    assert (answer.code, clusters["web"]["state"], clusters["web"]["nodes"]) == (0, "empty", [])
    assert clusters["web"]["gone_at"] == "2026-11-24T22:05:00Z"

    at(125)
    told = call(tmp_path, "reap", "--no-sky", "--dry-run")
    assert told.code == 0 and "- close  tcp 8888" in told.out and "To reap:  1 of 1 cluster" in told.out
    assert live_ports(aws) == {22, 8888}
    answer, clusters, stacks = reap(tmp_path, "web", "--no-sky", "--check")
    assert (answer.code, codes(answer), clusters["web"]["state"]) == (1, ["to-reap"], "gone")
    assert stacks["web-aws-us-east-1"]["done"] is False and groups(aws) == ["sky-sg-web"]

    answer, _, stacks = reap(tmp_path, "--no-sky")
    stack = stacks["web-aws-us-east-1"]
    assert (answer.code, stack["reap"], stack["done"], stack["verified_empty"]) == (0, ["gone"], True, True)
    assert ports_of(stack["changes"]["close"]) == [8888] and groups(aws) == []
    # nothing is left to be reaped, and no mark
    answer, clusters, _ = reap(tmp_path, "--check")
    assert (answer.code, clusters["web"]["state"]) == (0, "closed")
    assert list((tmp_path / "infra/.terraform/skyports/nodes").iterdir()) == []


def test_what_has_expired_closes_alone_and_the_group_stays_while_the_cluster_lives(
    aws: MotoServer, tmp_path: Path, at: At
) -> None:
    project = Project(tmp_path)
    project.config(
        "user_hash: a1b2c3d4\n"
        "rules: [{cluster: web, ports: {8888: {expires: 1h}, 7000-7010: {expires: 3h}}}]\n"
    )
    project.task("[7000-7010, 8888]")
    project.task("[8888]", name="web", file="other.yaml")
    opened(tmp_path, "web.yaml")
    launch_nodes(aws.url, NAME_ON_CLOUD, 1)
    at(59)
    answer, _, stacks = reap(tmp_path, "--no-sky", "--check")
    assert (answer.code, stacks["web-aws-us-east-1"]["expired"]) == (0, [])
    at(61)
    answer, _, stacks = reap(tmp_path, "--no-sky", "--check")
    assert answer.code == 1 and ports_of(stacks["web-aws-us-east-1"]["expired"]) == [8888]
    assert live_ports(aws) == {22, 7000, 8888}
    answer, clusters, stacks = reap(tmp_path, "--no-sky")
    stack = stacks["web-aws-us-east-1"]
    assert (answer.code, clusters["web"]["state"], stack["reap"]) == (0, "alive", ["expired"])
    assert ports_of(stack["changes"]["close"]) == [8888] and stack["terraform"]["delete"] == 1
    assert live_ports(aws) == {22, 7000}

    # compiled and not applied: it waits for its apply, and what expires closes all the same
    project.compile(project.task("[7000-7010, 8888, 9999]"), ssh_sources=("10.0.0.0/8",))
    at(181)
    answer, _, stacks = reap(tmp_path, "--no-sky")
    assert (answer.code, ports_of(stacks["web-aws-us-east-1"]["changes"]["close"])) == (0, [7000])
    assert live_ports(aws) == {22}
    assert reap(tmp_path, "--no-sky", "--check")[0].code == 0
    assert "tcp 7000" not in call(tmp_path, "status", "web").out
    assert "+ open  tcp 9999" in call(tmp_path, "plan", "web.yaml", "--ssh-source", "10.0.0.0/8").out
    project.compile(project.task("[7000-7010, 8888]"))

    # that was the last port of a cluster that lives: its group holds its nodes, and their SSH
    assert groups(aws) == ["sky-sg-web"]
    # and an apply does not take it from under them either
    opened(tmp_path, "web.yaml")
    assert (live_ports(aws), groups(aws)) == ({22}, ["sky-sg-web"])


# -- where SkyPilot alone knows ----------------------------------------------------------


def test_a_cluster_that_skypilot_dropped_is_closed_at_once_and_an_unknown_one_never(
    place: Place, at: At, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.project.task("8000", infra="gcp")
    opened(place.folder, "web.yaml")
    at(1000)
    answer, clusters, _ = reap(place.folder, "--no-sky", "--grace", "0")
    assert (answer.code, clusters["web"]["state"], clusters["web"]["nodes"]) == (0, "unknown", None)
    assert codes(answer) == ["life-unknown"]

    place.sky_lists("other")
    monkeypatch.setenv("SKYPILOT_USER_ID", "ffffffff")  # another's SkyPilot has never heard of it
    _, clusters, _ = reap(place.folder, "--grace", "0")
    assert clusters["web"]["state"] == "unknown"

    place.sky_lists("web", "other")
    _, clusters, _ = reap(place.folder, "--grace", "0")
    assert (clusters["web"]["state"], clusters["web"]["reason"]) == ("alive", "`sky status` lists it as UP")

    write_program(place.folder / "sky", "echo 'no server' >&2; exit 1")
    answer, clusters, _ = reap(place.folder, "--grace", "0")
    assert (answer.code, clusters["web"]["state"]) == (0, "unknown")
    assert sorted(codes(answer)) == ["life-unknown", "sky-silent"]
    assert place.open_ports() == ["8000"]

    place.sky_lists("other")
    answer, clusters, stacks = reap(place.folder)
    assert (answer.code, clusters["web"]["state"], place.open_ports()) == (0, "gone", [])
    assert stacks["web-gcp"]["verified_empty"]


def test_marks_lie_where_they_are_asked_to_and_without_them_a_grace_of_zero_does(
    place: Place, tmp_path: Path, at: At
) -> None:
    place.project.task("8000", infra="gcp")
    opened(place.folder, "web.yaml")
    marks = tmp_path / "kept"
    assert reap(place.folder, "--marks", str(marks))[1]["web"]["state"] == "empty"
    assert [path.name for path in marks.iterdir()] == ["web@gcp.json"]
    at(14)
    assert reap(place.folder, "--marks", str(marks))[1]["web"]["state"] == "empty"
    at(15)
    assert reap(place.folder)[1]["web"]["state"] == "empty"
    assert reap(place.folder, "--dry-run", "--marks", str(marks))[1]["web"]["state"] == "gone"
    assert reap(place.folder, "--dry-run", "--grace", "0")[1]["web"]["state"] == "gone"
    for bad in ("", "soon", "15", "-1m"):
        assert call(place.folder, "reap", "--grace", bad).code == 2


def test_expired_ports_stay_open_where_the_files_ask_for_more(place: Place, at: At) -> None:
    place.project.task("[8000, 9000]", infra="gcp")
    place.project.config(f"{CONFIG}rules: [{{cluster: web, ports: {{9000: {{expires: 1h}}}}}}]\n")
    opened(place.folder, "web.yaml")
    # reviewed or not: compiled, and not applied
    place.project.compile(place.project.task("[8000, 9000, 9999]", infra="gcp"))
    at(61)
    place.sky_lists("web")
    answer = reap(place.folder)[0]
    assert (answer.code, codes(answer)) == (1, ["expiry-pending"])
    assert "tcp 9999 from 0.0.0.0/0" in answer.json["diagnostics"][0]["message"]
    assert place.open_ports() == ["8000", "9000"]
    opened(place.folder, "web.yaml")
    assert place.open_ports() == ["8000", "9999"]


def test_what_a_killed_run_has_left_is_taken_out_and_what_a_living_one_holds_stays(
    place: Place, at: At
) -> None:
    place.project.task("8000", infra="gcp")
    place.project.task("9000", infra="gcp", file="run.yaml")
    opened(place.folder, "web.yaml", "run.yaml")
    held = hold_lease(place.out, "web", ["run.yaml"], "2026-11-24T20:00:00Z")
    at(1000)
    answer, clusters, _ = reap(place.folder, "--grace", "0")
    assert clusters["web"]["state"] == "alive" and "a `run` holds it" in clusters["web"]["reason"]
    assert place.open_ports() == ["8000", "9000"]

    place.sky_lists("web")
    held.abandon()
    answer, clusters, stacks = reap(place.folder, "--check")
    assert (answer.code, clusters["web"]["forgotten"], stacks["web-gcp"]["reap"]) == (
        1,
        ["run.yaml"],
        ["abandoned"],
    )
    assert place.open_ports() == ["8000", "9000"] and len(leases(place.out)) == 1
    # a reap that was stopped right after the ledger is taken up by the next one
    with working_in(place.folder):
        forget_files("infra", {"web": ["run.yaml"]}, read_config("skyports.yaml"))
    answer, _, stacks = reap(place.folder)
    assert (answer.code, ports_of(stacks["web-gcp"]["changes"]["close"])) == (0, [9000])
    assert place.open_ports() == ["8000"] and leases(place.out) == ()
    assert [entry.file for entry in place.project.stack("web/gcp").entries] == ["web.yaml"]
    assert reap(place.folder, "--check")[0].code == 0


def request_of(place: Place) -> ReapRequest:
    """A reap in the folder of the project, without a grace."""
    marks = marks_folder("infra", None)
    return ReapRequest(
        "infra", read_config("skyports.yaml"), RunSettings(), NOW, timedelta(), marks, 60, acting=True
    )


def test_what_a_killed_run_opens_after_the_look_ahead_is_closed_all_the_same(place: Place, at: At) -> None:
    place.project.task("8000", infra="gcp")
    place.project.task("9000", infra="gcp", file="run.yaml")
    opened(place.folder, "web.yaml")
    with working_in(place.folder):
        request = request_of(place)
        ahead = look_ahead(request, stacks_of("infra", "web"), silent)
        opened(place.folder, "run.yaml")
        hold_lease("infra", "web", ["run.yaml"], "2026-11-24T20:00:00Z").abandon()
        done = reap_cluster(request, stacks_of("infra", "web"), lambda: SkyWord({"web": "UP"}), silent, ahead)
        assert [item.why for item in done.stacks] == [("abandoned",)] and not done.failures
        assert leases("infra") == ()
    assert place.open_ports() == ["8000"]


def test_what_another_reap_has_closed_since_the_look_ahead_leaves_no_mark(place: Place, at: At) -> None:
    place.project.task("8000", infra="gcp")
    opened(place.folder, "web.yaml")
    place.sky_lists("web")
    assert call(place.folder, "reap").code == 0
    with working_in(place.folder):
        request, stacks = request_of(place), stacks_of("infra", "web")
        ahead = look_ahead(request, stacks, silent)
        place.sky_lists()
        assert call(place.folder, "reap", "--grace", "0").code == 0
        assert place.open_ports() == []
        done = reap_cluster(request, stacks, lambda: SkyWord({}, "a1b2c3d4"), silent, ahead)
        assert (done.life.state, done.failures) == ("closed", [])
        assert read_mark(request.marks, stacks[0]) == Mark()


@pytest.mark.parametrize("closed_by", ["destroy", "down", "somebody else"])
def test_a_cluster_that_was_closed_begins_anew(place: Place, at: At, closed_by: str) -> None:
    place.project.task("8000", infra="gcp")
    opened(place.folder, "web.yaml")
    place.sky_lists("web")
    assert reap(place.folder)[1]["web"]["state"] == "alive"
    place.sky_lists()
    if closed_by == "down":
        assert call(place.folder, "down", "web", "--yes", "--no-sky").code == 0
    else:
        assert call(place.folder, "destroy", "web", "--yes").code == 0
    if closed_by == "somebody else":
        with working_in(place.folder):
            mark = Mark(had_nodes=True, was_listed=True)
            write_mark(marks_folder("infra", None), place.project.stack("web/gcp"), mark)
        assert reap(place.folder)[1]["web"]["state"] == "closed"
    assert place.open_ports() == []
    # opened again ahead of its launch: that SkyPilot does not list it yet is no sign that it is gone
    opened(place.folder, "web.yaml")
    assert reap(place.folder)[1]["web"]["state"] != "gone"
    assert place.open_ports() == ["8000"]


def test_a_stack_that_cannot_be_looked_at_hides_no_other(place: Place, at: At) -> None:
    for name in ("a", "b", "c"):
        place.project.task("8000", name=name, infra="gcp", file=f"{name}.yaml")
        opened(place.folder, f"{name}.yaml")
    state = place.folder / "infra/b/gcp/terraform.tfstate"
    kept = state.read_text(encoding="utf-8")
    state.write_text("no state", encoding="utf-8")
    answer, clusters, stacks = reap(place.folder, "--grace", "0")
    # of the others a note says what their provider cannot tell
    assert answer.code == 3 and set(codes(answer)) == {"terraform-failed", "not-swept"}
    assert {name: item["state"] for name, item in clusters.items()} == {
        "a": "gone",
        "b": "unknown",
        "c": "gone",
    }
    assert stacks["a-gcp"]["done"] and stacks["c-gcp"]["done"] and "b-gcp" not in stacks
    state.write_text(kept, encoding="utf-8")
    told = call(place.folder, "reap", "--grace", "0")
    assert told.code == 0 and "nothing is left" in told.out and place.open_ports() == []
    assert call(place.folder, "reap", "none").code == 1
