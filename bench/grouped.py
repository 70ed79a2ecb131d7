"""Many clusters in one root module: apply and drift of all, against bare runs for each, and one that goes."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.measure import Comparison, PartResult, Seconds, timed
from bench.terraform_runs import local_aws, terraform_program
from bench.workspace import installed, memory_folder
from tests.support.local_aws import reset

CLUSTERS = 200
#: How many bare applies are run; the others are assumed to take as long.
BARE = 10
_TASK = "name: {0}\nresources:\n  infra: aws/us-east-1\n  ports: [22022, 8080, 8888, 9000-9010]\nrun: echo\n"
_ONE = "c007"
_ROOT = "infra/groups/aws-us-east-1"
_BUCKET = "states"
_BACKEND = f"""\
backend:
  s3: {{bucket: {_BUCKET}, region: us-east-1, use_lockfile: true, use_path_style: true}}
"""


def run_part() -> PartResult:
    """Apply and drift of 200 clusters with four rules each, and the destroy of one of them."""
    with memory_folder() as folder, installed() as programs, local_aws(folder) as (url, env):
        fleet = _Fleet(folder, programs / "skyports-tf", url, env)
        applies, refreshes = (_of_all(spent) for spent in fleet.bare_runs())
        applied, drift = fleet.apply(), fleet.drift()
        planned, touched = fleet.destroy_one()
    remark = (
        f"`destroy` of one of the {CLUSTERS}: its plan deletes {planned} objects, all of them its own. "
        f"Of the other {CLUSTERS - 1}, the state holds something else than before for {touched}."
    )
    return PartResult(
        "grouped",
        "Many clusters in one root module",
        f"{CLUSTERS} clusters with four rules each on a local AWS, states in its S3 with `use_lockfile`, "
        "wall time of whole processes. Ours are `skyports-tf apply -y` of their folder, `layout: grouped`, "
        "and `skyports-tf drift`, which looks for rules of others, too; the bare side is `terraform apply "
        "-auto-approve` and `terraform plan -refresh-only` in a root module for each cluster, one after "
        f"another. Compiled and initialized is before, which does not count on either side. {BARE} bare "
        f"runs of each were made; the figures for {CLUSTERS} are extrapolated from them.",
        (
            Comparison(f"`apply` of {CLUSTERS} : {CLUSTERS} bare applies", applied, applies, 0.1, 1),
            Comparison(f"`drift` of {CLUSTERS} : {CLUSTERS} bare refreshes", drift, refreshes, 0.5, 1),
        ),
        (remark,),
        () if touched == 0 else ("a destroy of one cluster touches no other",),
    )


def _of_all(some: Seconds) -> Seconds:
    """What all clusters take where `BARE` of them take this."""
    return Seconds(some.wall * CLUSTERS / BARE, some.cpu * CLUSTERS / BARE)


@dataclass(frozen=True)
class _Fleet:
    folder: Path
    program: Path
    url: str
    env: dict[str, str]

    def apply(self) -> Seconds:
        """All clusters, in one root module, into an empty cloud."""
        project = self._project("grouped", "layout: grouped\n", CLUSTERS)
        timed([self.program, "compile", "tasks"], project, self.env)
        self._terraform(project / _ROOT, "init", "-input=false")
        return timed([self.program, "apply", "-y", "tasks"], project, self.env)

    def drift(self) -> Seconds:
        """How all of them differ from their state, after `apply`: not at all."""
        return timed([self.program, "drift"], self.folder / "grouped", self.env)

    def bare_runs(self) -> tuple[Seconds, Seconds]:
        """Applies and refreshes of some clusters, each in a root module of its own, one after another."""
        project = self._project("separate", "", BARE)
        timed([self.program, "compile", "tasks"], project, self.env)
        stacks = sorted(project.glob("infra/c*/aws-us-east-1"))
        for stack in stacks:
            self._terraform(stack, "init", "-input=false")
        return (
            self._each(stacks, "apply", "-input=false", "-auto-approve"),
            self._each(stacks, "plan", "-input=false", "-refresh-only"),
        )

    def _each(self, stacks: Sequence[Path], *arguments: str) -> Seconds:
        spent = [self._terraform(stack, *arguments) for stack in stacks]
        return Seconds(sum(each.wall for each in spent), sum(each.cpu for each in spent))

    def destroy_one(self) -> tuple[int, int]:
        """Destroy one: how many objects its plan deletes, and how many other clusters' state has changed."""
        project = self.folder / "grouped"
        before = self._modules(project)
        done = subprocess.run(
            [str(self.program), "destroy", "-y", "--json", _ONE],
            cwd=project,
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
        )
        (stack,) = json.loads(done.stdout)["stacks"]
        after = self._modules(project)
        assert stack["verified_empty"] and f"module.{_ONE}" not in after
        touched = [name for name in before if name != f"module.{_ONE}" and before[name] != after.get(name)]
        return stack["terraform"]["delete"], len(touched)

    def _modules(self, project: Path) -> dict[str, Any]:
        folder = project / _ROOT
        command = [terraform_program(self.env), "state", "pull"]
        state = json.loads(subprocess.run(command, cwd=folder, env=self.env, capture_output=True).stdout)
        found: dict[str, Any] = {}
        for item in state["resources"]:
            found.setdefault(item["module"], []).append(item)
        return found

    def _project(self, name: str, config: str, clusters: int) -> Path:
        """A folder of tasks, and a cloud that holds nothing of an earlier one."""
        project = self.folder / name
        (project / "tasks").mkdir(parents=True)
        (project / "skyports.yaml").write_text(f"user_hash: a1b2c3d4\n{_BACKEND}{config}", encoding="utf-8")
        for number in range(clusters):
            cluster = f"c{number:03}"
            (project / "tasks" / f"{cluster}.yaml").write_text(_TASK.format(cluster), encoding="utf-8")
        reset(self.url)
        made = urllib.request.Request(f"{self.url}/{_BUCKET}", method="PUT")
        urllib.request.urlopen(made, timeout=30).close()
        return project

    def _terraform(self, folder: Path, *arguments: str) -> Seconds:
        return timed([terraform_program(self.env), *arguments], folder, self.env)
