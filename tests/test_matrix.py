"""Every cloud with the real Terraform: a cluster's whole life against the schema provider.

tests/matrix/<cloud>.yaml says what a cloud needs: its part of skyports.yaml, a place, and the
world that its data sources find. AWS has the real provider and a local AWS of its own
(test_lifecycle.py).
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from skyports_tf.clouds import managed_clouds
from skyports_tf.compiler import compile_tree
from skyports_tf.lifecycle import (
    RunSettings,
    apply_plan,
    close_stack,
    plan_close,
    plan_closed,
    plan_stack,
    read_status,
)
from skyports_tf.model import PortRule, Stack, StackPlan, StackStatus
from tests.support.golden import EXAMPLES
from tests.support.project import Project, working_in
from tests.support.schema_cloud import SchemaCloud

MATRIX = {path.stem: path for path in sorted(Path(__file__).with_name("matrix").glob("*.yaml"))}
SETTINGS = RunSettings()
ONE, TWO = "203.0.113.0/24", "198.51.100.0/24"


@dataclass(frozen=True)
class Life:
    """A project whose cluster lives on one pretend cloud."""

    project: Project
    cloud: SchemaCloud
    place: str
    facts: dict[str, Any] = field(default_factory=dict)

    def compile(self, ports: str, *sources: str) -> Stack:
        task = self.project.task(ports, infra=self.place)
        compilation = self.project.compile(task, sources=sources or (ONE,), user_hash="a1b2c3d4")
        return compilation.stacks[0].stack

    def launch(self, stack: Stack) -> None:
        """Put there what SkyPilot makes when it launches the stack's cluster."""
        for kind, values in self.facts.get("launch", {}).items():
            known = {**stack.names, "region": stack.region}
            self.cloud.put(kind, **{name: value.format_map(known) for name, value in values.items()})

    def plan(self, stack: Stack) -> StackPlan:
        with working_in(self.project.folder):
            return plan_stack("infra", stack, SETTINGS)

    def plan_closed(self, stack: Stack) -> StackPlan:
        with working_in(self.project.folder):
            return plan_closed("infra", stack, SETTINGS)

    def apply(self, plan: StackPlan) -> StackStatus:
        with working_in(self.project.folder):
            return apply_plan("infra", plan, SETTINGS)

    def close(self, stack: Stack) -> bool:
        with working_in(self.project.folder):
            return close_stack("infra", plan_close("infra", stack, SETTINGS), SETTINGS).verified_empty

    def status(self, stack: Stack) -> StackStatus:
        with working_in(self.project.folder):
            return read_status("infra", stack, SETTINGS)

    def terraform(self, stack: Stack, *command: str) -> subprocess.CompletedProcess[str]:
        folder = self.project.folder / "infra" / stack.directory
        run = [os.environ.get("TERRAFORM", "terraform"), f"-chdir={folder}", *command]
        return subprocess.run(run, capture_output=True, text=True)


def spoken(rules: tuple[PortRule, ...]) -> set[tuple[str, int, int, str]]:
    """Rules as protocol, first port, last port, source."""
    return {(r.protocol, r.from_port, r.to_port, source) for r in rules for source in r.sources}


def reach(rules: tuple[PortRule, ...]) -> set[tuple[str, int, str]]:
    """Rules as single ports."""
    return {
        (protocol, port, source)
        for protocol, first, last, source in spoken(rules)
        for port in range(first, last + 1)
    }


def life_on(cloud: str, folder: Path, mirror: Path, monkeypatch: pytest.MonkeyPatch) -> Life:
    facts = yaml.safe_load(MATRIX[cloud].read_text(encoding="utf-8"))
    pretend = SchemaCloud(folder, facts["schema"], mirror, facts.get("fixture"))
    for name, value in pretend.env.items():
        monkeypatch.setenv(name, value)
    project = Project(folder / "project")
    project.folder.mkdir()
    project.config(facts["config"])
    return Life(project, pretend, facts["infra"], facts)


@pytest.fixture(params=sorted(MATRIX))
def life(
    request: pytest.FixtureRequest, tmp_path: Path, mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> Life:
    return life_on(request.param, tmp_path, mirror, monkeypatch)


def test_every_cloud_is_in_the_matrix() -> None:
    assert set(MATRIX) == set(managed_clouds()) - {"aws"}


def test_a_cluster_lives_its_whole_life(life: Life) -> None:
    first = life.plan(life.compile("[8000-8003, 9000]"))
    assert reach(first.changes.open) == {("tcp", port, ONE) for port in (8000, 8001, 8002, 8003, 9000)}
    assert spoken(life.apply(first).rules) == {("tcp", 8000, 8003, ONE), ("tcp", 9000, 9000, ONE)}

    again = life.plan(life.compile("[8000-8003, 9000]"))
    assert not again.counts.any and not again.changes.open and not again.outputs_changed

    wider = life.plan(life.compile("[8000-8004, 9000]"))
    if life.facts.get("in_place", True):
        assert (wider.counts.create, wider.counts.delete) == (0, 0)
    assert ("tcp", 8004, ONE) in reach(wider.changes.open) | reach(
        tuple(change.after for change in wider.changes.change)
    )
    life.apply(wider)

    fewer = life.plan(life.compile("8000-8004"))
    assert reach(fewer.changes.close) == {("tcp", 9000, ONE)} and not fewer.changes.open
    life.apply(fewer)

    stack = life.compile("8000-8004", ONE, TWO)
    more = life.plan(stack)
    assert reach(more.changes.open) == {("tcp", port, TWO) for port in range(8000, 8005)}
    assert not more.changes.close
    life.apply(more)
    assert spoken(life.status(stack).rules) == {("tcp", 8000, 8004, ONE), ("tcp", 8000, 8004, TWO)}

    kind, identifier = port_object(life)
    life.cloud.delete(kind, identifier)
    drifted = life.plan(stack)
    assert drifted.counts.create >= 1 and drifted.changes.open
    life.apply(drifted)
    assert not life.plan(stack).counts.any

    assert life.close(stack)
    assert life.cloud.objects() == {}
    assert life.status(stack).state == "closed"


def port_object(life: Life) -> tuple[str, str]:
    """One object that holds open ports."""
    kind = life.facts["port_resource"]
    return kind, next(item["id"] for item in life.cloud.objects(kind)[kind] if "8000" in json.dumps(item))


def test_a_misspelt_argument_is_refused(life: Life) -> None:
    stack = life.compile("8000")
    module = life.project.folder / "infra" / "modules" / stack.cloud / "main.tf"
    ((right, wrong),) = life.facts["misspelt"].items()
    text = module.read_text(encoding="utf-8")
    life.terraform(stack, "init", "-input=false")
    assert life.terraform(stack, "validate").returncode == 0
    assert right in text
    module.write_text(text.replace(right, wrong), encoding="utf-8")
    refused = life.terraform(stack, "validate")
    assert refused.returncode == 1 and wrong in refused.stderr


EXAMPLE_TASKS = sorted(path.name for path in EXAMPLES.glob("*.yaml") if path.name != "skyports.yaml")


@pytest.mark.parametrize("cloud", sorted(MATRIX))
def test_every_example_opens_and_closes(
    cloud: str, tmp_path: Path, mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    life = life_on(cloud, tmp_path, mirror, monkeypatch)
    with working_in(life.project.folder):
        request = life.project.request(
            *(str(EXAMPLES / name) for name in EXAMPLE_TASKS), infra=life.place, user_hash="a1b2c3d4"
        )
        compiled = [item.stack for item in compile_tree(request).stacks]
    # as in SkyPilot, --infra does not move pipelines and job groups
    stacks = [stack for stack in compiled if stack.cloud == cloud]
    assert len(stacks) >= 7
    for stack in stacks:
        life.launch(stack)
        plan = life.plan(stack)
        assert reach(life.apply(plan).rules) == {
            (rule.protocol, port, str(rule.source))
            for rule in stack.rules
            for port in range(rule.ports.first, rule.ports.last + 1)
        }
        assert not life.plan(stack).counts.any
        assert life.close(stack)
    assert life.cloud.objects() == {}
