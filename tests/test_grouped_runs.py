"""Several who work on one shared root module: at once, interrupted, with states elsewhere."""

from __future__ import annotations

import fcntl
import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import boto3
import pytest

from skyports_tf.diagnostics import FindingsError, TerraformError
from skyports_tf.lifecycle import RunSettings, apply_plans, plan_stacks, read_statuses
from skyports_tf.model import Stack
from tests.support.command_line import call
from tests.support.life import PretendPlace, life_on
from tests.support.local_aws import MotoServer
from tests.support.stacks import aws_stack, rule, write_shared_stacks
from tests.support.stand_in_sky import StandInSky
from tests.test_interrupt import PATIENCE, read_until

SETTINGS = RunSettings()


def shared(cluster: str, *ports: str) -> Stack:
    return replace(aws_stack(*map(rule, ports), cluster=cluster), layout="grouped")


BLUE, RED = shared("blue", "8000"), shared("red.one", "9000")


def open_ports(out: Path, stacks: Sequence[Stack]) -> list[list[int]]:
    found = read_statuses(str(out), stacks, SETTINGS)
    return [[item.from_port for item in status.rules] for status in found]


# -- at once -----------------------------------------------------------------------------


def test_who_plans_after_us_neither_stops_our_apply_nor_loses_a_plan(
    local_terraform: tuple[str, ...], tmp_path: Path
) -> None:
    out, wider = str(tmp_path), shared("red.one", "9000", "9002")
    write_shared_stacks(tmp_path, [BLUE, RED])
    ours = plan_stacks(out, [BLUE], SETTINGS)
    # somebody edits another cluster of the tree, plans it and applies it before we do, and plans again
    write_shared_stacks(tmp_path, [BLUE, wider])
    apply_plans(out, plan_stacks(out, [wider], SETTINGS), SETTINGS)
    widest = shared("red.one", "9000", "9002", "9004")
    write_shared_stacks(tmp_path, [BLUE, widest])
    theirs = plan_stacks(out, [widest], SETTINGS)
    apply_plans(out, ours, SETTINGS)
    assert open_ports(tmp_path, [BLUE, widest]) == [[8000], [9000, 9002]]
    apply_plans(out, theirs, SETTINGS)
    assert open_ports(tmp_path, [BLUE, widest]) == [[8000], [9000, 9002, 9004]]


def test_a_cluster_that_was_edited_since_its_plan_was_shown_is_not_applied(
    local_terraform: tuple[str, ...], tmp_path: Path
) -> None:
    out = str(tmp_path)
    write_shared_stacks(tmp_path, [BLUE, RED])
    ours = plan_stacks(out, [BLUE], SETTINGS)
    edited = shared("blue", "8000", "8001")
    write_shared_stacks(tmp_path, [edited, RED])
    apply_plans(out, plan_stacks(out, [RED], SETTINGS), SETTINGS)
    with pytest.raises(FindingsError, match="no longer the one that was shown"):
        apply_plans(out, ours, SETTINGS)
    assert open_ports(tmp_path, [edited, RED]) == [[], [9000]]


def test_who_finds_the_state_locked_hears_how_to_wait(
    local_terraform: tuple[str, ...], tmp_path: Path
) -> None:
    folder = write_shared_stacks(tmp_path, [BLUE, RED])
    apply_plans(str(tmp_path), plan_stacks(str(tmp_path), [RED], SETTINGS), SETTINGS)
    with (folder / "terraform.tfstate").open("r+") as state:
        # as Terraform does it
        fcntl.lockf(state, fcntl.LOCK_EX)
        with pytest.raises(TerraformError) as caught:
            plan_stacks(str(tmp_path), [BLUE], SETTINGS)
    assert "Error acquiring the state lock" in caught.value.output
    assert "--lock-timeout 5m" in (caught.value.diagnostics[0].help or "")


APPLY = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from pathlib import Path
from skyports_tf.diagnostics import SkyportsError
from skyports_tf.lifecycle import RunSettings, apply_plans, plan_stacks
from skyports_tf.running import child
from tests.test_grouped_runs import MANY
settings = RunSettings(parallelism=1)
child._PATIENCE_SECONDS = 0
def show(event):
    print(event.phase, event.done, event.total, event.message, flush=True)
try:
    apply_plans(sys.argv[1], plan_stacks(sys.argv[1], MANY, settings, show), settings, show)
except SkyportsError as error:
    print("ended:", type(error).__name__, error, flush=True)
    sys.exit(error.exit_code)
"""
MANY = [shared(f"c{number}", "8000", "8002") for number in range(4)]


def test_an_interrupted_apply_of_many_saves_what_it_has_made_and_the_next_one_goes_on(
    local_terraform: tuple[str, ...], tmp_path: Path
) -> None:
    write_shared_stacks(tmp_path, MANY, seconds=0.3)
    with subprocess.Popen(
        [sys.executable, "-c", APPLY, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent.parent,
        start_new_session=True,
    ) as applying:
        read_until(applying.stdout, lambda line: line.startswith("apply 2 "))
        applying.send_signal(signal.SIGINT)
        assert "InterruptedRunError" in read_until(applying.stdout, lambda line: line.startswith("ended:"))
        assert applying.wait(PATIENCE) == 130
    # each tells what was made of it, by its resources
    made = sum(map(len, open_ports(tmp_path, MANY)))
    assert 2 <= made < 8
    rest = plan_stacks(str(tmp_path), MANY, SETTINGS)
    assert 8 - made <= sum(plan.counts.create for plan in rest) <= 6
    apply_plans(str(tmp_path), rest, SETTINGS)
    assert open_ports(tmp_path, MANY) == [[8000, 8002]] * 4


# -- verbs of whole clusters -------------------------------------------------------------

FIREWALL = "google_compute_firewall"


@dataclass(frozen=True)
class Place(PretendPlace):
    """A project on a pretend Google Cloud, with two clusters in one root module; `blue` is open."""

    def objects(self, cluster: str) -> list[dict[str, Any]]:
        found = self.cloud.objects(FIREWALL).get(FIREWALL, [])
        return [item for item in found if f"-{cluster}-a1b2c3d4" in item["name"]]


@pytest.fixture
def place(tmp_path: Path, mirror: Path, sky: StandInSky, monkeypatch: pytest.MonkeyPatch) -> Place:
    life = life_on("gcp", tmp_path, mirror, monkeypatch)
    # whose word of its clusters counts
    monkeypatch.setenv("SKYPILOT_USER_ID", "a1b2c3d4")
    life.project.config(f"{life.facts['config']}sources: [203.0.113.0/24]\nlayout: grouped\n")
    for cluster in ("blue", "green"):
        life.project.task("8080", name=cluster, infra=life.place, file=f"{cluster}.yaml")
    assert call(life.project.folder, "apply", "-y", "blue.yaml").code == 0
    return Place(life.project, life.cloud)


def test_one_cluster_is_launched_held_shut_down_and_reaped_and_the_other_stays(
    place: Place, sky: StandInSky
) -> None:
    blue = place.objects("blue")
    assert blue

    look = f"ls '{place.cloud.folder}/objects/{FIREWALL}' | wc -l > seen"
    held = [sys.executable, "-m", "skyports_tf", "run", "green.yaml", "-y", "--", "sh", "-c", look]
    ended = subprocess.run(held, cwd=place.folder, capture_output=True, text=True, timeout=PATIENCE)
    assert ended.returncode == 0, ended.stderr
    assert int((place.folder / "seen").read_text()) > len(blue)
    assert (place.objects("green"), place.objects("blue")) == ([], blue)

    launched = call(place.folder, "launch", "green.yaml", "-y", "--json")
    assert (launched.code, len(sky.calls)) == (0, 1), launched.err
    assert place.objects("green")
    down = call(place.folder, "down", "green", "-y", "--json")
    assert down.code == 0, down.err
    assert (place.objects("green"), place.objects("blue")) == ([], blue)

    assert call(place.folder, "apply", "-y", "green.yaml").code == 0
    sky.does("status", """print('[{"name": "blue", "status": "UP"}]')""")
    # one that SkyPilot has never known is gone after the grace
    reaped = call(place.folder, "reap", "--grace", "0s", "--json")
    assert reaped.code == 0, reaped.err
    clusters = {item["cluster"]: item["state"] for item in reaped.json["clusters"]}
    assert clusters == {"blue": "alive", "green": "gone"}
    assert (place.objects("green"), place.objects("blue")) == ([], blue)


# -- states elsewhere --------------------------------------------------------------------

S3 = """backend:
  s3: {bucket: states, region: us-east-1, use_lockfile: true, use_path_style: true,
       skip_credentials_validation: true, skip_requesting_account_id: true}
"""


def state_keys(s3: Any) -> dict[str, int]:
    """How many resources each state in the bucket holds."""
    found = {}
    for item in s3.list_objects_v2(Bucket="states").get("Contents", []):
        body = s3.get_object(Bucket="states", Key=item["Key"])["Body"].read()
        found[item["Key"]] = len(json.loads(body)["resources"])
    return found


@pytest.mark.parametrize("workspace", [None, "team"])
def test_states_in_a_bucket_move_between_the_layouts_and_one_that_was_never_applied_moves_along(
    aws: MotoServer, tmp_path: Path, mirror: Path, monkeypatch: pytest.MonkeyPatch, workspace: str | None
) -> None:
    life = life_on("kubernetes", tmp_path, mirror, monkeypatch)
    folder, s3 = life.project.folder, boto3.client("s3", endpoint_url=aws.url, region_name="us-east-1")
    s3.create_bucket(Bucket="states")
    if workspace:
        monkeypatch.setenv("TF_WORKSPACE", workspace)
    config = f"{life.facts['config']}sources: [203.0.113.0/24]\n{S3}"
    life.project.config(f"{config}layout: separate\n")
    for cluster in ("blue", "red.one", "never"):
        life.project.task("8080", name=cluster, infra=life.place, file=f"tasks/{cluster}.yaml")
    assert call(folder, "apply", "-y", "tasks/blue.yaml", "tasks/red.one.yaml").code == 0
    assert call(folder, "compile", "tasks").code == 0
    before, prefix = life.cloud.objects(), f"env:/{workspace}/" if workspace else ""
    for layout in ("grouped", "separate"):
        life.project.config(f"{config}layout: {layout}\n")
        moved = call(folder, "relayout", "-y", "--json")
        assert moved.code == 0, moved.err
        assert [(item["cluster"], item["objects"] > 0) for item in moved.json["stacks"]] == [
            ("blue", True),
            ("never", False),
            ("red.one", True),
        ]
        assert life.cloud.objects() == before
        planned = call(folder, "plan", "tasks", "--json").json["stacks"]
        assert [item["terraform"]["create"] > 0 for item in planned] == [False, True, False]
        holding = {key for key, number in state_keys(s3).items() if number}
        if layout == "grouped":
            assert holding == {f"{prefix}skyports/groups/kubernetes/terraform.tfstate"}
        else:
            assert holding == {
                f"{prefix}skyports/{cluster}/kubernetes/terraform.tfstate" for cluster in ("blue", "red.one")
            }
