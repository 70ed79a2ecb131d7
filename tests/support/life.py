"""A cluster's life on one cloud, with the real Terraform: what its owner's commands do, and what came of it.

tests/matrix/<cloud>.yaml says what a cloud needs: its part of skyports.yaml, a place, and the
world that its data sources find.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import yaml

from skyports_tf.closing import close_stack, plan_close
from skyports_tf.lifecycle import (
    RunSettings,
    apply_plan,
    plan_closed,
    plan_stack,
    read_status,
)
from skyports_tf.model import Stack
from skyports_tf.outcomes import PortChanges, PortRule, StackPlan, StackStatus
from skyports_tf.running.execution import execution_of
from skyports_tf.running.probe import Probe, read_probe
from skyports_tf.running.settings import silent
from tests.support.installs import ROOT
from tests.support.project import Project, working_in
from tests.support.resident import resident_schema_provider
from tests.support.schema_cloud import SchemaCloud

#: Cloud -> its file, of all clouds that are played by the schema provider.
MATRIX = {path.stem: path for path in sorted((ROOT / "tests" / "matrix").glob("*.yaml"))}
SETTINGS = RunSettings()
USER_HASH = "a1b2c3d4"

#: A port that is open: protocol, port, source.
Open: TypeAlias = tuple[str, int, str]


@dataclass(frozen=True)
class Life:
    """A project whose clusters live on one cloud.

    `cloud` tells what is there: `objects()` by type, and `delete(type, id)` makes one vanish.
    `facts` are those of the cloud's file.
    """

    project: Project
    cloud: Any
    place: str | None
    facts: dict[str, Any] = field(default_factory=dict)

    def compile(self, ports: str, **options: Any) -> Stack:
        """Compile a task that asks for `ports` (YAML text); `options` are those of a `CompileRequest`."""
        task = self.project.task(ports, infra=self.place)
        return self.project.compile(task, **{"user_hash": USER_HASH, **options}).stacks[0].stack

    def launch(self, stack: Stack) -> None:
        """Put there what SkyPilot makes when it launches the stack's cluster."""
        for kind, values in self.facts.get("launch", {}).items():
            known = {**stack.names, "region": stack.region}
            self.cloud.put(kind, **{name: value.format_map(known) for name, value in values.items()})

    def plan(self, stack: Stack) -> StackPlan:
        """`skyports-tf plan`."""
        with working_in(self.project.folder):
            return plan_stack("infra", stack, SETTINGS)

    def plan_closed(self, stack: Stack) -> StackPlan:
        """The plan that closes every port and keeps the rest."""
        with working_in(self.project.folder):
            return plan_closed("infra", stack, SETTINGS)

    def apply(self, what: Stack | StackPlan) -> StackStatus:
        """`skyports-tf apply` of a plan, or of a stack's plan that is made now."""
        plan = self.plan(what) if isinstance(what, Stack) else what
        with working_in(self.project.folder):
            return apply_plan("infra", plan, SETTINGS)

    def close(self, stack: Stack) -> bool:
        """`skyports-tf destroy`; whether nothing is left in the state."""
        with working_in(self.project.folder):
            return close_stack("infra", plan_close("infra", stack, SETTINGS), SETTINGS).verified_empty

    def status(self, stack: Stack) -> StackStatus:
        """`skyports-tf status`."""
        with working_in(self.project.folder):
            return read_status("infra", stack, SETTINGS)

    def look(self, stack: Stack) -> Probe:
        """What the cloud has of the stack's cluster, whatever the state says."""
        with (
            working_in(self.project.folder),
            execution_of("infra", stack, SETTINGS, silent) as execution,
        ):
            probe = read_probe(execution)
        assert probe is not None
        return probe

    def folder(self, stack: Stack) -> Path:
        """Where the stack's root module is."""
        return self.project.folder / "infra" / stack.directory

    def terraform(self, stack: Stack, *command: str) -> subprocess.CompletedProcess[str]:
        """Terraform itself, in the stack's folder."""
        run = [os.environ.get("TERRAFORM", "terraform"), f"-chdir={self.folder(stack)}", *command]
        return subprocess.run(run, capture_output=True, text=True)

    def resources(self, stack: Stack) -> dict[str, dict[str, Any]]:
        """What the state holds: address -> attributes."""
        shown = json.loads(self.terraform(stack, "show", "-json").stdout)
        (module,) = shown["values"]["root_module"]["child_modules"]
        return {item["address"]: item["values"] for item in module["resources"] if item["mode"] == "managed"}


@dataclass(frozen=True)
class PretendPlace:
    """A project on a cloud that the schema provider plays."""

    project: Project
    cloud: SchemaCloud

    @property
    def folder(self) -> Path:
        """Where the project is."""
        return self.project.folder


def life_on(
    cloud: str,
    folder: Path,
    mirror: Path,
    monkeypatch: pytest.MonkeyPatch,
    world: Mapping[str, Any] | None = None,
    config: str | None = None,
    *,
    resident: bool = True,
) -> Life:
    """A life on a cloud that the schema provider plays, in `folder`; Terraform is set up for it.

    `world` and `config` replace those of the cloud's file. Without `resident`, Terraform installs
    the provider and starts it for each command, as ever.
    """
    facts = yaml.safe_load(MATRIX[cloud].read_text(encoding="utf-8"))
    pretend = SchemaCloud(folder, facts["schema"], mirror, facts.get("fixture") if world is None else world)
    for name, value in pretend.env.items():
        monkeypatch.setenv(name, value)
    if resident:
        use_resident(pretend, monkeypatch)
    project = Project(folder / "project")
    project.folder.mkdir()
    project.config(facts["config"] if config is None else config)
    return Life(project, pretend, facts["infra"], facts)


def use_resident(cloud: SchemaCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """Terraform calls the provider that stays from now on; it is the cloud's until another takes it."""
    for name, value in resident_schema_provider(cloud.provider, cloud.folder).items():
        monkeypatch.setenv(name, value)


def spoken(rules: Iterable[PortRule]) -> set[tuple[str, int, int, str]]:
    """Rules as protocol, first port, last port, source."""
    return {(r.protocol, r.from_port, r.to_port, source) for r in rules for source in r.sources}


def reach(rules: Iterable[PortRule]) -> set[Open]:
    """Rules as single ports."""
    return {
        (protocol, port, source)
        for protocol, first, last, source in spoken(rules)
        for port in range(first, last + 1)
    }


def asked(stack: Stack) -> set[Open]:
    """What the stack asks to be open."""
    return {
        (rule.protocol, port, str(rule.source))
        for rule in stack.rules
        for port in range(rule.ports.first, rule.ports.last + 1)
    }


def opened_and_closed(changes: PortChanges) -> tuple[set[Open], set[Open]]:
    """What the changes open that was not open, and what they close, as single ports."""
    before = reach(changes.close) | reach(change.before for change in changes.change)
    after = reach(changes.open) | reach(change.after for change in changes.change)
    return after - before, before - after


def lose_port(life: Life, port: int) -> dict[str, Any]:
    """Delete one object that holds the port open, behind Terraform's back; gives the object."""
    kind = life.facts["port_resource"]
    holders = (item for item in life.cloud.objects(kind)[kind] if re.search(rf"\b{port}\b", json.dumps(item)))
    item: dict[str, Any] = next(holders)
    life.cloud.delete(kind, item["id"])
    return item
