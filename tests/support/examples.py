"""The examples as task files of a cluster's owner, who edits them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from skyports_tf.model import Stack
from skyports_tf.ports import PortRange, PortSet
from tests.support.golden import EXAMPLES
from tests.support.life import USER_HASH, Life
from tests.support.project import Project

#: Who may reach what is compiled for all to look at.
SOURCE = "203.0.113.0/24"
NAMES = tuple(sorted(path.stem for path in EXAMPLES.glob("*.yaml")))
_INFRA = re.compile(r"^( +infra: ).+$", re.MULTILINE)


@dataclass(frozen=True)
class Example:
    """A copy of an example in the project of a life, for its cloud."""

    life: Life
    cloud: str
    name: str

    @property
    def _file(self) -> str:
        return f"tasks/{self.name}.yaml"

    def _tasks(self) -> list[dict[str, Any]]:
        return list(yaml.safe_load_all(EXAMPLES.joinpath(f"{self.name}.yaml").read_text(encoding="utf-8")))

    def clusters(self) -> set[str]:
        """The clusters whose tasks ask for ports."""
        return {task["name"] for task in self._tasks() if "ports" in task.get("resources", ())}

    def write(self) -> None:
        """Write it as it is, but for the place of pipelines and job groups, which `--infra` does not move."""
        text = EXAMPLES.joinpath(f"{self.name}.yaml").read_text(encoding="utf-8")
        if self.life.place and len(self._tasks()) > 1:
            text = _INFRA.sub(rf"\g<1>{self.life.place}", text)
        self.life.project.write(self._file, text)

    def edit(self, ports: Mapping[str, PortSet]) -> None:
        """Write it with other ports, by cluster."""
        tasks = self._tasks()
        for task in tasks:
            if task["name"] in ports:
                resources = task["resources"]
                resources["ports"] = [str(item) for item in ports[task["name"]]]
                for candidate in (*resources.get("any_of", ()), *resources.get("ordered", ())):
                    candidate.pop("ports", None)
                if self.life.place and len(tasks) > 1:
                    resources["infra"] = self.life.place
        self.life.project.write(self._file, yaml.safe_dump_all(tasks, sort_keys=False))

    def compile(self, *sources: str) -> dict[str, Stack]:
        """Compile what was written; gives the stacks on our cloud, the first candidate of each cluster."""
        infra = self.life.place if len(self._tasks()) == 1 else None
        found = self.life.project.compile(self._file, infra=infra, sources=sources, user_hash=USER_HASH)
        stacks = [item.stack for item in found.stacks if item.stack.cloud == self.cloud]
        return {stack.cluster: stack for stack in reversed(stacks)}


def ports_of(stack: Stack) -> PortSet:
    """The ports that the stack asks for."""
    return PortSet.of(rule.ports for rule in stack.rules)


def widened(ports: Iterable[PortRange]) -> PortSet:
    """The last range is a port longer; a single port becomes a range."""
    *rest, last = ports
    return PortSet((*rest, PortRange(last.first, last.last + 1)))


def without_the_first(ports: Iterable[PortRange]) -> PortSet:
    """The first port is asked for no more, or the first range, where there are several."""
    first, *rest = ports
    return PortSet(tuple(rest) if rest else (PortRange(first.first + 1, first.last),))


def compile_grouped(folder: Path, cloud: str, facts: Mapping[str, Any], tasks: Iterable[str]) -> Project:
    """Compile tasks on a cloud, its clusters in shared root modules; `facts` are those of tests/matrix."""
    project = Project(folder)
    project.config(f"{facts['config']}\nlayout: grouped\n")
    project.compile(
        *tasks,
        infra=facts.get("infra", cloud),
        sources=(SOURCE,),
        ssh_sources=(SOURCE,),
        user_hash=USER_HASH,
    )
    return project
