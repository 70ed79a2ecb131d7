"""`layout: grouped` on every cloud: what is compiled, and whole lives of clusters in one root module."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hcl2
import pytest
import yaml

from skyports_tf.clouds import managed_clouds
from skyports_tf.roots import root_of
from tests.support.command_line import call
from tests.support.examples import SOURCE, compile_grouped
from tests.support.golden import EXAMPLES
from tests.support.life import MATRIX, Life, life_on
from tests.support.project import Project
from tests.support.schema_cloud import SchemaCloud

TASKS = tuple(str(path) for path in sorted(EXAMPLES.glob("*.yaml")))


def compiled(folder: Path, cloud: str, tasks: Sequence[str]) -> Project:
    """All of the examples on a cloud, in shared root modules."""
    facts = yaml.safe_load(MATRIX[cloud].read_text(encoding="utf-8")) if cloud in MATRIX else {"config": ""}
    folder.mkdir()
    return compile_grouped(folder, cloud, facts, tasks)


@pytest.mark.parametrize("cloud", managed_clouds())
def test_every_example_compiles_into_shared_root_modules_whatever_the_order(
    cloud: str, tmp_path: Path
) -> None:
    project = compiled(tmp_path / "one", cloud, TASKS)
    tree = project.tree()
    assert compiled(tmp_path / "two", cloud, TASKS[::-1]).tree() == tree
    roots = {path.rpartition("/")[0] for path in tree if path.startswith("groups/")}
    for root in roots:
        code = {name: hcl2.loads(text) for name, text in tree.items() if name.startswith(f"{root}/")}
        main = code.pop(f"{root}/main.tf")
        assert [name for item in main["variable"] for name in item] == ['"closed"']
        assert len(main["provider"]) == 1 and "module" not in main
        del code[f"{root}/backend.tf"]
        clusters = {
            name.rpartition("/")[2].removesuffix(".cluster.tf"): [
                *(key for item in text["module"] for key in item),
                *(key for item in text["output"] for key in item),
            ]
            for name, text in code.items()
        }
        assert clusters == {name: [f'"{name}"'] * 2 for name in clusters}
        place = root.removeprefix("groups/")
        assert all(f"{name}/{place}/stack.json" in tree for name in clusters)
    assert len(roots) == (1 if cloud == "aws" else 2)


# -- whole lives -------------------------------------------------------------------------


@dataclass(frozen=True)
class Fleet:
    """Two clusters of one place in one root module, on a cloud that the schema provider plays."""

    project: Project
    cloud: SchemaCloud
    place: str
    config: str
    port_resource: str

    def write(self, cluster: str, ports: str) -> None:
        self.project.task(ports, name=cluster, infra=self.place, file=f"tasks/{cluster}.yaml")

    def lay_out(self, layout: str) -> None:
        self.project.config(
            f"{self.config}\nlayout: {layout}\nsources: [{SOURCE}]\nssh_sources: [{SOURCE}]\n"
        )

    def run(self, *words: str) -> Any:
        """Run a command of ours that has to go through; gives its JSON."""
        answer = call(self.project.folder, *words, "--json")
        assert answer.code == 0, answer.err + answer.out
        return answer.json

    def held(self, module: str) -> list[Any]:
        """What the one shared state holds of a module."""
        (file,) = (self.project.folder / "infra" / "groups").glob("*/terraform.tfstate")
        state = json.loads(file.read_text(encoding="utf-8"))
        return [item for item in state["resources"] if item["module"] == module and item["mode"] == "managed"]

    def changes(self) -> int:
        """How many objects of the cloud were made, changed or deleted so far."""
        return len(self.cloud.journal("create", "update", "delete"))


RED = "module.red-one-x91bc1761"


# packed rules, and a module that stays without ports; one that nobody can look at; one object for all rules
@pytest.mark.parametrize("name", ["azure", "do", "kubernetes"])
def test_clusters_that_share_a_root_module_live_their_own_lives(
    name: str, tmp_path: Path, mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet = launched(name, tmp_path, mirror, monkeypatch)
    opened = fleet.run("apply", "-y", "tasks")["stacks"]
    assert [item["cluster"] for item in opened] == ["blue", "red.one"]
    assert fleet.held("module.blue") and fleet.held(RED)
    assert does_nothing(fleet.run("plan", "tasks"))
    edit_one(fleet)
    drift_of_one(fleet)
    there_and_back(fleet)
    red = fleet.held(RED)
    (closed,) = fleet.run("destroy", "-y", "blue")["stacks"]
    assert closed["verified_empty"] and not fleet.held("module.blue")
    assert fleet.held(RED) == red
    assert fleet.run("status", "red.one")["stacks"][0]["ports"] == ["7000", "8000-8003"]
    fleet.run("destroy", "-y", "red.one")
    assert fleet.cloud.objects() == {}


def fleet_on(life: Life) -> Fleet:
    facts = life.facts
    return Fleet(life.project, life.cloud, life.place or "", facts["config"], facts["port_resource"])


def launched(name: str, folder: Path, mirror: Path, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    life = life_on(name, folder, mirror, monkeypatch)
    fleet = fleet_on(life)
    fleet.lay_out("grouped")
    for cluster in ("blue", "red.one"):
        fleet.write(cluster, "[7000, 8000-8003]")
        for item in life.project.compile(f"tasks/{cluster}.yaml").stacks:
            assert root_of(item.stack) == f"groups/{item.stack.place}"
            life.launch(item.stack)
    return fleet


def does_nothing(document: Any) -> bool:
    nothing = {"create": 0, "update": 0, "delete": 0}
    return all(item["terraform"] == nothing for item in document["stacks"])


def edit_one(fleet: Fleet) -> None:
    """A port less and a range that is wider, of one cluster; the other is as it was."""
    red = fleet.held(RED)
    fleet.write("blue", "[8000-8004]")
    fleet.run("apply", "-y", "tasks/blue.yaml")
    assert [item["ports"] for item in fleet.run("status")["stacks"]] == [
        ["8000-8004"],
        ["7000", "8000-8003"],
    ]
    assert fleet.held(RED) == red


def drift_of_one(fleet: Fleet) -> None:
    """What holds a port of one cluster vanishes."""
    (holder, *_) = (
        item
        for item in fleet.cloud.objects(fleet.port_resource)[fleet.port_resource]
        if "8004" in json.dumps(item)
    )
    fleet.cloud.delete(fleet.port_resource, holder["id"])
    blue, red = call(fleet.project.folder, "drift", "--json").json["stacks"]
    assert (blue["cluster"], blue["state"], red["cluster"]) == ("blue", "drifted", "red.one")
    assert blue["changes"]["close"] and not any(red["changes"].values())
    fleet.run("apply", "-y", "tasks")
    assert does_nothing(fleet.run("plan", "tasks"))


def there_and_back(fleet: Fleet) -> None:
    """To root modules of their own and back: nothing in the cloud is made, changed or deleted."""
    before = fleet.changes()
    for layout in ("separate", "grouped"):
        fleet.lay_out(layout)
        moved = fleet.run("relayout", "-y")["stacks"]
        assert {item["layout"] for item in moved} == {layout}
        assert does_nothing(fleet.run("plan", "tasks"))
    assert fleet.changes() == before


# -- names, steps, and what is told ------------------------------------------------------

#: Names that are something else to Terraform or to us, and how their modules are called.
ODD = {
    "Upper.Case": "Upper-Case-xcee5d8c7",
    "main": "main",
    "ports": "ports-x87afb3f7",
    "x_override": "x_override",
}


def test_clusters_with_odd_names_share_a_root_module(
    tmp_path: Path, mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet = fleet_on(life_on("oci", tmp_path, mirror, monkeypatch))
    fleet.lay_out("grouped")
    for cluster in ODD:
        fleet.write(cluster, "[9000-9010]")
    fleet.run("apply", "-y", "tasks")
    assert all(fleet.held(f"module.{module}") for module in ODD.values())
    what_is_told_names_the_right_resources(fleet)
    ranges_split_without_a_gap(fleet)
    what_a_killed_apply_has_made_comes_back(fleet)
    there_and_back(fleet)
    fleet.run("destroy", "-y", *ODD)
    assert fleet.cloud.objects() == {}


def root(fleet: Fleet) -> Path:
    (found,) = (fleet.project.folder / "infra" / "groups").iterdir()
    return found


def shown(fleet: Fleet, *plan: str) -> str:
    """`terraform show -json`, in a file."""
    program = [os.environ.get("TERRAFORM", "terraform"), f"-chdir={root(fleet)}", "show", "-json", *plan]
    file = fleet.project.folder / "shown.json"
    file.write_text(subprocess.run(program, check=True, capture_output=True, text=True).stdout)
    return str(file)


def places(exposures: Any) -> set[tuple[str, int, int, str]]:
    return {(item["address"], item["from_port"], item["to_port"], item["source"]) for item in exposures}


def what_is_told_names_the_right_resources(fleet: Fleet) -> None:
    """Exposure by our stacks, by the state and by a plan; and files that are there, in what others read."""
    folder = f"infra/groups/{root(fleet).name}"
    ours = places(fleet.run("exposure", folder)["exposures"])
    assert {address.split(".")[1] for address, *_ in ours} == set(ODD.values())
    assert places(fleet.run("exposure", shown(fleet))["exposures"]) == ours
    assert [item["cluster"] for item in fleet.run("status", folder)["stacks"]] == [*ODD]
    fleet.write("main", "[9000-9010, 9100]")
    fleet.run("plan", "tasks")
    planned = fleet.run("exposure", shown(fleet, "skyports.tfplan"))
    assert places(planned["before"]) == ours
    assert places(planned["exposures"]) == places(fleet.run("exposure", folder)["exposures"])
    sarif = json.loads(call(fleet.project.folder, "exposure", "--format", "sarif").out)
    for result in sarif["runs"][0]["results"]:
        for at in result["locations"]:
            uri = at["physicalLocation"]["artifactLocation"]["uri"]
            assert (fleet.project.folder / uri).is_file(), uri
    gitlab = json.loads(call(fleet.project.folder, "plan", "tasks", "--format", "gitlab").out)
    assert gitlab == {"create": 1, "update": 0, "delete": 0}
    fleet.write("main", "[9000-9010]")
    fleet.run("plan", "tasks")


def ranges_split_without_a_gap(fleet: Fleet) -> None:
    """The same edit of two clusters in one apply: all that opens goes first, then what closes."""
    for cluster in ("main", "ports"):
        fleet.write(cluster, "[9000-9004, 9006-9010]")
    before = fleet.changes()
    planned = fleet.run("plan", "tasks")["stacks"]
    assert [item["steps"] for item in planned] == [1, 2, 2, 1]
    fleet.run("apply", "-y", "tasks")
    made = [item["op"] for item in fleet.cloud.journal("create", "update", "delete")[before:]]
    assert made == sorted(made) and set(made) == {"create", "update"}
    assert does_nothing(fleet.run("plan", "tasks"))


def what_a_killed_apply_has_made_comes_back(fleet: Fleet) -> None:
    """Of one of them, whose name would make its own files overrides; also where its task asks for nothing."""
    for ports, there in (("[9000-9010]", True), ("[]", False), ("[9000-9010]", True)):
        fleet.write("x_override", ports)
        if there is False or fleet.held("module.x_override"):
            forget(fleet, "module.x_override")
        fleet.run("apply", "-y", "tasks")
        assert bool(fleet.held("module.x_override")) is there
        names = [item["display_name"] for item in fleet.cloud.objects(GROUP)[GROUP]]
        assert len(names) == len(set(names)) == len(ODD) - (not there)
        assert not list(root(fleet).glob("*repair*"))


GROUP = "oci_core_network_security_group"


def forget(fleet: Fleet, module: str) -> None:
    """Leave what a killed apply leaves of a cluster: objects in the cloud, no state, and our mark of it."""
    file = root(fleet) / "terraform.tfstate"
    state = json.loads(file.read_text(encoding="utf-8"))
    state["resources"] = [item for item in state["resources"] if item["module"] != module]
    file.write_text(json.dumps({**state, "serial": state["serial"] + 1}), encoding="utf-8")
    (root(fleet) / ".terraform" / f"skyports.unfinished.{module.removeprefix('module.')}").touch()
