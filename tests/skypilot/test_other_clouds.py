"""SkyPilot's own port code on Google Cloud, Kubernetes, Nebius and Oracle Cloud, beside our objects.

The objects are made by the real Terraform with the clouds' schema providers; SkyPilot's code finds
them in a pretend API (pretend.py), opens and cleans up, and what is open then is looked at. What it
does to an object is done in Terraform's cloud too, and a plan or a destroy must agree.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

import tests
from tests.skypilot.process import Sky, start_sky
from tests.skypilot.worlds import NAME_ON_CLOUD, NODES, Openings, open_in, world_of
from tests.support.command_line import Answer, call
from tests.support.project import Project
from tests.support.schema_cloud import SchemaCloud

OFFICE, WORLD = "203.0.113.0/24", "0.0.0.0/0"
SOURCES = ("--source", OFFICE, "--ssh-source", OFFICE)
ASKED = ["8888", "9000-9002"]
FACTS = Path(tests.__file__).parent / "matrix"
DECOY = f"projects/my-project/global/firewalls/sky-ports-{NAME_ON_CLOUD}"


@dataclass(frozen=True)
class Life:
    """A cluster on a cloud: our project, what Terraform has made, and SkyPilot."""

    cloud: str
    project: Project
    made: SchemaCloud
    sky: Sky

    def ours(self, *words: str) -> Answer:
        """Call our command line, which must do it."""
        answer = call(self.project.folder, *words)
        assert answer.code == 0, answer.out + answer.err
        return answer

    def play(self, *steps: tuple[str, list[str]], config: bool = True) -> dict[str, Any]:
        """What SkyPilot leaves; `config` is whether its own config says what the stack asks for."""
        file = next(self.project.folder.glob("infra/web/*/sky-config.yaml"), None)
        world: dict[str, Any] = self.sky(
            "cloud",
            cloud=self.cloud,
            world=world_of(self.cloud, self.made),
            steps=steps,
            config=str(file) if file and config else None,
        )
        return world

    def open_in(self, world: dict[str, Any]) -> Openings:
        """The ports that are open, each with its source."""
        return open_in(self.cloud, world)


@pytest.fixture
def sky(sky_python: Path, tmp_path: Path) -> Iterator[Sky]:
    """SkyPilot without any cloud's credentials."""
    with start_sky(sky_python, tmp_path / "home", {}) as sky:
        yield sky


@pytest.fixture
def life(
    request: pytest.FixtureRequest, sky: Sky, tmp_path: Path, mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> Life:
    """Ports 8888 and 9000-9002 of the cluster web are open to the office, by us."""
    cloud = request.param
    facts = yaml.safe_load((FACTS / f"{cloud}.yaml").read_text("utf-8"))
    made = SchemaCloud(tmp_path, facts["schema"], mirror, facts["fixture"])
    for name, value in made.env.items():
        monkeypatch.setenv(name, value)
    project = Project(tmp_path / "project")
    project.config(facts["config"])
    project.task("[8888, 9000-9002]", infra=facts["infra"])
    life = Life(cloud, project, made, sky)
    life.ours("apply", "--yes", "web.yaml", *SOURCES)
    return life


def on(cloud: str) -> pytest.MarkDecorator:
    """A test on this cloud."""
    return pytest.mark.parametrize("life", [cloud], indirect=True)


def office(*ports: str) -> Openings:
    return {(port, OFFICE) for port in ports}


# -- Google Cloud ----------------------------------------------------------------------


@on("gcp")
def test_on_google_cloud_skypilot_writes_into_a_rule_that_is_disabled(life: Life) -> None:
    # 7000 was never applied: nobody may reach it
    world = life.play(("open", ASKED), ("open", [*ASKED, "7000"]))
    assert life.open_in(world) == office(*ASKED)
    assert [item["tags"]["items"] for item in world["instances"]] == [[NAME_ON_CLOUD]] * 2
    (decoy,) = [rule for rule in world["firewalls"] if rule["disabled"]]
    assert decoy["allowed"] == [{"IPProtocol": "tcp", "ports": [*ASKED, "7000"]}]
    written = [call for call in world["calls"] if "firewalls" in call]
    assert written == [f"PUT global/firewalls/sky-ports-{NAME_ON_CLOUD}"] * 2
    assert sorted(set(world["calls"]) - {*written}) == [
        f"POST zones/us-central1-a/instances/{name}/setTags" for name in sorted(NODES)
    ]
    life.made.edit("google_compute_firewall", DECOY, allow=[{"protocol": "tcp", "ports": [*ASKED, "7000"]}])
    life.ours("plan", "web.yaml", *SOURCES, "--detailed-exitcode")


@on("gcp")
def test_on_google_cloud_sky_down_takes_the_disabled_rule_and_no_other(life: Life) -> None:
    world = life.play(("open", ASKED), ("close", ASKED))
    assert life.open_in(world) == office(*ASKED)
    assert [rule["name"] for rule in world["firewalls"]] == [f"skyports-{NAME_ON_CLOUD}-ipv4-1"]
    life.made.delete("google_compute_firewall", DECOY)
    (closed,) = life.ours("destroy", "--yes", "web", "--json").json["stacks"]
    assert closed["verified_empty"]
    assert life.made.objects() == {}


@on("gcp")
def test_on_google_cloud_a_zone_without_capacity_costs_the_disabled_rule(life: Life) -> None:
    world = life.play(("close", ASKED), ("open", ASKED))
    assert life.open_in(world) == office(*ASKED) | {(port, WORLD) for port in ASKED}


# -- Kubernetes ------------------------------------------------------------------------


@on("kubernetes")
def test_on_kubernetes_skypilot_leaves_ports_alone_as_its_config_says(life: Life) -> None:
    world = life.play(("open", ASKED), ("close", ASKED))
    # it sweeps what bears its own label, and ours does not
    assert world["calls"] == ["DELETE services"]
    assert life.open_in(world) == office("8888", "9000", "9001", "9002")


@on("kubernetes")
def test_on_kubernetes_without_the_config_skypilot_opens_a_service_of_its_own(life: Life) -> None:
    ours = office("8888", "9000", "9001", "9002")
    world = life.play(("open", ASKED), config=False)
    assert life.open_in(world) == ours | {(port, WORLD) for port, _ in ours}
    world = life.play(("open", ASKED), ("close", ASKED), config=False)
    assert life.open_in(world) == ours


# -- Nebius ----------------------------------------------------------------------------


@on("nebius")
def test_on_nebius_skypilot_takes_our_group_for_the_users_as_its_config_says(life: Life) -> None:
    steps: list[tuple[str, list[str]]] = [("bootstrap", []), ("open", [*ASKED, "7000"]), ("close", ASKED)]
    world = life.play(*steps)
    assert world["calls"] == []
    assert life.open_in(world) == office("22", "10022", "8888", "9000", "9001", "9002")


@on("nebius")
def test_on_nebius_without_the_config_skypilot_opens_our_group_and_deletes_it(life: Life) -> None:
    world = life.play(("bootstrap", []), ("open", ASKED), config=False)
    opened = {(port, WORLD) for port in ("22", "10022", "8888", "9000", "9001", "9002")}
    assert opened <= life.open_in(world)
    world = life.play(("bootstrap", []), ("open", ASKED), ("close", ASKED), config=False)
    assert (world["groups"], world["rules"]) == ([], [])


# -- Oracle Cloud ----------------------------------------------------------------------


@on("oci")
def test_on_oracle_cloud_skypilot_attaches_our_group_and_opens_nothing(life: Life) -> None:
    world = life.play(("open", ASKED))
    assert life.open_in(world) == office(*ASKED)
    (group,) = world["groups"]
    assert [vnic["nsg_ids"] for vnic in world["vnics"].values()] == [[group["id"]]] * 2
    assert world["calls"] == ["attach vnic-head", "attach vnic-worker"]


@on("oci")
def test_on_oracle_cloud_skypilot_opens_a_port_that_was_not_applied(life: Life) -> None:
    world = life.play(("open", [*ASKED, "7000"]))
    assert life.open_in(world) == office(*ASKED) | {("7000", WORLD)}


@on("oci")
def test_on_oracle_cloud_sky_down_takes_our_group_and_destroy_finds_nothing(life: Life) -> None:
    world = life.play(("open", ASKED), ("close", ASKED))
    assert (world["groups"], world["rules"]) == ([], [])
    for kind, items in life.made.objects().items():
        for item in items:
            life.made.delete(kind, item["id"])
    (closed,) = life.ours("destroy", "--yes", "web", "--json").json["stacks"]
    assert closed["verified_empty"]


@on("oci")
def test_on_oracle_cloud_a_zone_without_capacity_costs_the_group(life: Life) -> None:
    world = life.play(("close", ASKED), ("open", ASKED))
    assert life.open_in(world) == {(port, WORLD) for port in ASKED}
