"""Several stacks at once: `plan` and `apply` of a folder, as many at once as processors, and one by one."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from bench.measure import Comparison, PartResult, Seconds, in_turns, timed
from bench.terraform_runs import local_aws
from bench.workspace import installed, memory_folder
from tests.support.local_aws import reset

CLUSTERS = 6
ROUNDS = 3
_TASK = "name: c{0}\nresources:\n  infra: aws/us-east-1\n  ports: [22022, 8080, 8888, 9000-9010]\nrun: echo\n"


def run_part() -> PartResult:
    """Apply and plan of six clusters with four rules each."""
    with memory_folder() as folder, installed() as programs, local_aws(folder) as (url, env):
        fleet = _Fleet(folder, programs / "skyports-tf", url, env)
        apply = in_turns({"together": lambda: fleet.apply(), "alone": lambda: fleet.apply("1")}, ROUNDS, 0)
        plan = in_turns({"together": lambda: fleet.plan(), "alone": lambda: fleet.plan("1")}, ROUNDS, 0)
    return PartResult(
        "together",
        "Stacks at once",
        f"{CLUSTERS} clusters with four rules each, a stack each, on a local AWS, wall time of the whole "
        "process: as many stacks at once as there are processors, against `--parallel 1`. A plan keeps "
        "more than one processor busy by itself, so that two processors leave little to gain.",
        (
            Comparison("`apply` of a folder : one by one", apply["together"], apply["alone"], 1.0, ROUNDS),
            Comparison("`plan` without changes : one by one", plan["together"], plan["alone"], 1.0, ROUNDS),
        ),
    )


@dataclass(frozen=True)
class _Fleet:
    folder: Path
    program: Path
    url: str
    env: dict[str, str]

    def apply(self, parallel: str = "") -> Seconds:
        """A new folder, and a cloud that holds nothing of an earlier round."""
        folder = self.folder / "fleet"
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "tasks").mkdir(parents=True)
        for number in range(CLUSTERS):
            (folder / "tasks" / f"c{number}.yaml").write_text(_TASK.format(number), encoding="utf-8")
        reset(self.url)
        return self._run("apply", "-y", parallel=parallel)

    def plan(self, parallel: str = "") -> Seconds:
        """Of what the last apply has left."""
        return self._run("plan", parallel=parallel)

    def _run(self, *arguments: str, parallel: str) -> Seconds:
        chosen = ["--parallel", parallel] if parallel else []
        return timed([self.program, *arguments, "tasks", *chosen], self.folder / "fleet", self.env)
