"""Terraform runs: ours against the bare commands, on the same root module and a local AWS."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.measure import Comparison, PartResult, Seconds, environment, in_turns, timed
from bench.workspace import installed, memory_folder
from tests.support.local_aws import cli_config, reset, start_moto

ROUNDS = 5
_TASK = "name: four\nresources:\n  infra: aws/us-east-1\n  ports: [22022, 8080, 8888, 9000-9010]\nrun: echo\n"
_STACK = "infra/four/aws-us-east-1"


def run_part() -> PartResult:
    """`apply` of four rules, and a `plan` without changes."""
    with memory_folder() as folder, installed() as programs, local_aws(folder) as (url, env):
        runs = _Runs(folder, programs / "skyports-tf", url, env)
        apply = in_turns({"ours": runs.apply, "bare": runs.bare_apply}, ROUNDS)
        plan = in_turns({"ours": runs.plan, "bare": runs.bare_plan}, ROUNDS)
    return PartResult(
        "terraform",
        "Terraform",
        "Wall time against a local AWS. Each apply begins with a new folder and an empty cloud; the bare "
        "side runs `terraform init`, `terraform plan -out` and `terraform apply` of that plan on the tree "
        "that `compile` wrote (the compile is not counted); ours is `skyports-tf apply -y`, which "
        "compiles, too.",
        (
            Comparison(
                "`apply`, 4 rules : bare init, plan, apply", apply["ours"], apply["bare"], 1.1, ROUNDS
            ),
            Comparison("`plan` without changes : bare plan", plan["ours"], plan["bare"], 1.1, ROUNDS),
        ),
    )


@contextmanager
def local_aws(folder: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """A local AWS: its URL, and the environment of a process that uses it."""
    with start_moto() as moto:
        config = cli_config(folder)
        yield (
            moto.url,
            environment(**moto.env, TF_CLI_CONFIG_FILE=str(config), XDG_CACHE_HOME=str(folder / "cache")),
        )


def terraform_program(env: Mapping[str, str]) -> str:
    """The Terraform of the bare side: what ours would take from this environment."""
    return env.get("TERRAFORM") or shutil.which("terraform") or shutil.which("tofu") or "terraform"


@dataclass(frozen=True, slots=True)
class _Runs:
    """The four sides, each on a folder of its own."""

    folder: Path
    program: Path
    url: str
    env: dict[str, str]

    def apply(self) -> Seconds:
        """Ours: compile, init, plan, apply."""
        folder = self._new("ours")
        return timed([self.program, "apply", "-y", "task.yaml"], folder, self.env)

    def bare_apply(self) -> Seconds:
        """Bare: init, plan, apply; the tree is compiled before."""
        folder = self._new("bare")
        timed([self.program, "compile", "task.yaml"], folder, self.env)
        commands = (
            ["init", "-input=false"],
            ["plan", "-input=false", "-out=plan"],
            ["apply", "-input=false", "plan"],
        )
        spent = [self._terraform(folder, *command) for command in commands]
        return Seconds(sum(each.wall for each in spent), sum(each.cpu for each in spent))

    def plan(self) -> Seconds:
        """Ours, where the last apply was ours or the bare one of the same rules."""
        return timed([self.program, "plan", "task.yaml"], self._applied("ours"), self.env)

    def bare_plan(self) -> Seconds:
        """Bare, on the very same folder and state."""
        return self._terraform(self._applied("ours"), "plan", "-input=false")

    def _terraform(self, folder: Path, *arguments: str) -> Seconds:
        command = [terraform_program(self.env), *arguments]
        return timed(command, folder / _STACK, {**self.env, "CHECKPOINT_DISABLE": "1"})

    def _new(self, name: str) -> Path:
        """A new folder with the task in it, and a cloud that holds nothing of an earlier round."""
        folder = self.folder / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        (folder / "task.yaml").write_text(_TASK, encoding="utf-8")
        reset(self.url)
        return folder

    def _applied(self, name: str) -> Path:
        """The folder of that side, applied to the cloud as it is now."""
        folder = self.folder / name
        marker = folder / "applied"
        if not marker.exists():
            self.apply()
            marker.touch()
        return folder
