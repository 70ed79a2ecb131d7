"""What other programs say of the pipelines that `ci` writes; part of `make static`."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.support.command_line import call
from tests.support.installs import ROOT
from tests.support.pipelines import BACKENDS, CLOUDS, KINDS, project_with, read

#: A workflow with a fault for each of the programs that read workflows.
BAIT = """\
on: pull_request
jobs:
  bait:
    runs-on: ubuntu-24.04
    steps:
      - uses: actions/checkout@v6
      - run: echo ${{ github.event.pull_request.title }}; exho $x
"""


def write_pipelines(folder: Path) -> None:
    """A project for every cloud with all its pipelines, one of OpenTofu below it, and the bait."""
    (folder / ".git").mkdir(parents=True)
    project_with(folder, *CLOUDS)
    project_with(folder / "tofu", "oci", config=f"{BACKENDS['oci']}terraform: {{binary: tofu}}\n")
    for place, kinds in ((folder, KINDS), (folder / "tofu", ("github", "gitlab"))):
        for kind in kinds:
            answer = call(place, "ci", kind)
            assert answer.code == 0, answer.err
    (folder / ".github/workflows/bait.yml").write_text(BAIT, encoding="utf-8")


def script_findings(programs: Path, folder: Path) -> list[str]:
    """What shellcheck finds in the scripts of GitLab's jobs, each as one, and in a bait."""
    scripts = folder / "scripts"
    scripts.mkdir()
    for path in sorted(folder.glob("*.gitlab-ci.yml")):
        jobs = {job: given for job, given in read(path).items() if isinstance(given, dict)}
        for job, given in jobs.items():
            lines = [line for part in ("before_script", "script") for line in given.get(part, ())]
            text = "\n".join(line for line in lines if isinstance(line, str))
            name = f"{path.name.split('.')[0]}-{job.replace('/', '-').replace(' ', '-')}"
            (scripts / name).write_text(f"#!/bin/bash\nset -eo pipefail\n{text}\n", encoding="utf-8")
    (scripts / "bait.yml").write_text("#!/bin/bash\nrm $x\n", encoding="utf-8")
    # a variable of GitLab's is set by nobody here, and a provider reads `~` itself
    return list(
        _lines(
            programs,
            folder,
            "shellcheck",
            "--format=gcc",
            "--exclude=SC2154,SC2088",
            *sorted(scripts.iterdir()),
        )
    )


def pipeline_findings(programs: Path, folder: Path) -> dict[str, list[str]]:
    """What each program finds, as `FILE: FINDING`; the programs lie in one folder."""
    workflows = folder / ".github/workflows"
    linted = _lines(programs, folder, "actionlint", "-oneline", *sorted(workflows.glob("*.yml")))
    audited = _lines(
        programs, folder, "zizmor", "-q", "--offline", "--pedantic", "--format=github", workflows
    )
    # actionlint asks shellcheck, which lies beside it
    return {
        "actionlint": list(linted),
        "zizmor": list(audited),
        "shellcheck": script_findings(programs, folder),
    }


def pre_commit_findings(programs: Path, folder: Path) -> list[str]:
    """What pre-commit says of our hooks, and of the config that `ci` writes."""
    found = []
    for command, file in (
        ("validate-manifest", ROOT / ".pre-commit-hooks.yaml"),
        ("validate-config", folder / ".pre-commit-config.yaml"),
    ):
        done = _run(programs, folder, "pre-commit", command, file)
        found += [f"{file.name}: {line}" for line in done.stdout.splitlines() if done.returncode]
    return found


def _lines(programs: Path, folder: Path, *command: str | Path) -> Iterator[str]:
    done = _run(programs, folder, *command)
    # findings of the bait are told as those of the folder `bait`
    yield from (f"bait/{line}" if "bait.yml" in line else line for line in done.stdout.splitlines())
    if done.returncode > 1 and not done.stdout:
        yield f"{command[0]} has failed: {done.stderr.strip()}"


def _run(programs: Path, folder: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
    program, *words = command
    env = {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    arguments = [str(programs / program), *map(str, words)]
    return subprocess.run(arguments, cwd=folder, env=env, capture_output=True, text=True, check=False)
