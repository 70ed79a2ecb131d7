"""What other programs say of the generated Terraform: `make static`.

Every example is compiled for every cloud in each of its modes, and all of them together into shared
root modules, for one block of addresses: what is still too open then is our fault. `terraform fmt`
and python-hcl2 read every file, checkov checks every resource. actionlint (with shellcheck) and
zizmor read the workflows that `ci` writes for every cloud, shellcheck the scripts for GitLab,
pre-commit its config and our hooks. Beside the trees and the workflows lies a bait with a fault for
each program; a run that does not find it fails, for it would find nothing else either.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hcl2
import yaml
from lark.exceptions import LarkError

from skyports_tf.clouds import load_cloud, managed_clouds
from skyports_tf.render import render_probe
from skyports_tf.terraform import find_program
from tests.static.pipelines import pipeline_findings, pre_commit_findings, write_pipelines
from tests.support.examples import SOURCE, compile_grouped
from tests.support.installs import ROOT
from tests.support.project import Project

BAIT = "bait"
MATRIX = ROOT / "tests" / "matrix"
#: A cloud that has no file in tests/matrix.
_PLAIN = {"config": ""}


def main() -> int:
    """Check, print what was checked and what was found; 1 where something was."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkov", required=True, help="the checkov to run")
    checkov = parser.parse_args().checkov
    with tempfile.TemporaryDirectory(prefix="skyports-tf-static-") as name:
        folder = Path(name).resolve()
        trees = compile_examples(folder)
        lay_bait(folder / BAIT)
        files = len(list(folder.rglob("*.tf")))
        print(f"{files} files in {trees} trees of {len(managed_clouds())} clouds", flush=True)
        found = {
            "terraform fmt": unformatted(folder),
            "python-hcl2": list(unparsable(folder)),
            "checkov": checkov_findings(checkov, folder),
        }
    with tempfile.TemporaryDirectory(prefix="skyports-tf-static-") as name:
        programs, project = Path(checkov).absolute().parent, Path(name).resolve() / "project"
        write_pipelines(project)
        found |= pipeline_findings(programs, project)
        others = pre_commit_findings(programs, project)
    problems = [problem for program, findings in found.items() for problem in judged(program, findings)]
    problems += others
    print("\n".join(problems) if problems else "nothing found but the bait")
    return 1 if problems else 0


def compile_examples(folder: Path) -> int:
    """A tree for each example, cloud and mode, with a probe for each stack; gives how many trees."""
    count = 0
    for cloud in managed_clouds():
        file = MATRIX / f"{cloud}.yaml"
        facts = yaml.safe_load(file.read_text(encoding="utf-8")) if file.exists() else _PLAIN
        for mode in load_cloud(cloud).modes:
            for example in sorted((ROOT / "examples").glob("*.yaml")):
                project = Project(folder / f"{cloud}-{mode}" / example.stem)
                project.config(facts["config"])
                compilation = project.compile(
                    str(example),
                    infra=facts.get("infra", cloud),
                    sources=(SOURCE,),
                    ssh_sources=(SOURCE,),
                    attach=mode == "attach",
                    user_hash="a1b2c3d4",
                )
                for item in compilation.stacks:
                    project.write(f"probes/{item.stack.directory}/main.tf", render_probe(item.stack) or "")
                count += 1
        tasks = map(str, sorted((ROOT / "examples").glob("*.yaml")))
        compile_grouped(folder / f"{cloud}-grouped", cloud, facts, tasks)
        count += 1
    return count


def lay_bait(folder: Path) -> None:
    """A tree with SSH open to everyone, a file that is not formatted and one that is no HCL."""
    project = Project(folder)
    project.compile(project.task("8888"), ssh_sources=("0.0.0.0/0",))
    project.write("unformatted/main.tf", "locals {\n    a=1\n}\n")
    # not *.tf: Terraform formats nothing where one file is broken
    project.write("broken/main.hcl", 'resource "a" {\n')


def unformatted(folder: Path) -> list[str]:
    """The files that `terraform fmt` would write in another way."""
    argv = find_program(None, os.environ).argv
    command = [*argv, "fmt", "-check", "-recursive", "-list=true", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    findings = [os.path.relpath(line, folder) for line in done.stdout.splitlines()]
    return findings if done.returncode in (0, 3) else [*findings, done.stderr]


def unparsable(folder: Path) -> Iterator[str]:
    """The files that python-hcl2 cannot read, each different text once."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix in (".tf", ".hcl"))
    files = {path.read_text(encoding="utf-8"): path for path in paths}
    for text, path in files.items():
        try:
            hcl2.loads(text)
        except LarkError as error:
            yield f"{path.relative_to(folder)}: {str(error).splitlines()[0]}"


def checkov_findings(program: str, folder: Path) -> list[str]:
    """What checkov finds, what it cannot read, and what is skipped without a reason."""
    command = [program, "--directory", str(folder), "--framework", "terraform", "--skip-download"]
    done = subprocess.run(
        [*command, "--output", "json"],
        env={**os.environ, "LOG_LEVEL": "ERROR"},
        capture_output=True,
        text=True,
        check=False,
    )
    if not done.stdout.lstrip().startswith("{"):
        return [f"checkov did not answer: {done.stderr or done.stdout}"]
    results = json.loads(done.stdout)["results"]
    _print_counts(results)
    findings = [
        f"{_place(item)}: {item['check_id']} {item['check_name']}" for item in results["failed_checks"]
    ]
    findings += [os.path.relpath(path, folder) + ": cannot be read" for path in results["parsing_errors"]]
    findings += [
        f"{_place(item)}: {item['check_id']} is skipped without a reason"
        for item in results["skipped_checks"]
        if "No comment" in item["check_result"].get("suppress_comment", "No comment")
    ]
    return findings


def _place(item: dict[str, Any]) -> str:
    return f"{item['file_path'].lstrip('/')}:{item['file_line_range'][0]}: {item['resource']}"


def _print_counts(results: dict[str, Any]) -> None:
    """How many checks each cloud's module took: checkov knows some clouds well and some not at all."""
    clouds: dict[str, Counter[str]] = {cloud: Counter() for cloud in managed_clouds()}
    for kind in ("passed", "skipped", "failed"):
        for item in results[f"{kind}_checks"]:
            _, found, rest = item["file_path"].partition("/modules/")
            if found and not item["file_path"].startswith(f"/{BAIT}/"):
                clouds[rest.split("/")[0]][kind] += 1
    for cloud, count in clouds.items():
        told = ", ".join(f"{number} {kind}" for kind, number in count.items())
        print(f"  checkov  {cloud:<10}  {told or 'it has no checks for these resources'}")


def judged(program: str, findings: list[str]) -> Iterator[str]:
    """The findings that are not the bait, and one more where the bait was not found."""
    real = [finding for finding in findings if not finding.startswith(f"{BAIT}/")]
    yield from (f"{program}: {finding}" for finding in real)
    if len(real) == len(findings):
        yield f"{program}: the bait was not found"


if __name__ == "__main__":
    sys.exit(main())
