"""GitLab on this machine, as far as our pipeline needs it: which jobs a pipeline has, and their scripts.

https://docs.gitlab.com/ci/yaml/. A job runs in a clone and a home of its own, in one shell.
"""

from __future__ import annotations

import os
import re
import shutil
import string
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.git import git
from tests.support.pipelines import read

_CONDITION = re.compile(r'\$(\w+) == (?:"([^"]*)"|\$(\w+))')
# keys of a file that are no job
_NO_JOBS = ("include", "stages", "default", "variables", "workflow")


@dataclass
class Done:
    """What became of a job: `kept` is its folder, with its artifacts and reports."""

    code: int
    log: str
    kept: Path


@dataclass
class Pipeline:
    """A pipeline of a commit: its `jobs` by name, those that somebody has to start in `manual`."""

    sha: str
    variables: dict[str, str]
    jobs: dict[str, Any]
    manual: set[str] = field(default_factory=set)
    done: dict[str, Done] = field(default_factory=dict)

    @property
    def codes(self) -> dict[str, int]:
        """The exit codes of the jobs that ran."""
        return {name: done.code for name, done in self.done.items()}


class GitLab:
    """A project whose repository is the bare `origin`; `programs` is a folder for the jobs' PATH."""

    def __init__(self, home: Path, origin: Path, programs: Path) -> None:
        home.mkdir()
        self._home, self._origin, self._programs = home, origin, programs

    def merge_request(self, branch: str) -> Pipeline:
        """The pipeline of a merge request."""
        base = git(self._origin, "merge-base", "main", branch)
        variables = {"CI_MERGE_REQUEST_DIFF_BASE_SHA": base, "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": branch}
        return self._start("merge_request_event", branch, variables)

    def on_main(self, source: str) -> Pipeline:
        """A pipeline of the main branch that nobody has pushed for: `web`, or `schedule`."""
        return self._start(source, "main", {"CI_COMMIT_BRANCH": "main"})

    def play(self, pipeline: Pipeline, name: str) -> Done:
        """Run a job of a pipeline."""
        job = pipeline.jobs[name]
        folder = self._home / f"{len(list(self._home.iterdir())) + 1:02}"
        (folder / "home").mkdir(parents=True)
        git(folder, "clone", "-q", str(self._origin), "work")
        git(folder / "work", "checkout", "-q", "--detach", pipeline.sha)
        for need in job.get("needs", ()):
            assert need["artifacts"]
            _copy(pipeline.done[need["job"]].kept / "artifacts", folder / "work")
        # ${...} of the files is GitLab's, in the values of variables alone
        known = {**os.environ, **self._machine(folder), **pipeline.variables}
        for key, value in job.get("variables", {}).items():
            known[key] = string.Template(str(value)).safe_substitute(known)
        known |= dict.fromkeys(job.get("id_tokens", {}), "a-token")
        script = "\n".join([*job.get("before_script", ()), *job["script"]])
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
        said = subprocess.run(
            command, cwd=folder / "work", env=known, capture_output=True, text=True, check=False
        )
        log = said.stdout + said.stderr
        print(f"-- job {name}\n{log}", end="")
        _keep(job.get("artifacts", {}), said.returncode, folder)
        pipeline.done[name] = Done(said.returncode, log, folder)
        return pipeline.done[name]

    def _start(self, source: str, branch: str, variables: dict[str, str]) -> Pipeline:
        sha = git(self._origin, "rev-parse", branch)
        variables |= {"CI_PIPELINE_SOURCE": source, "CI_DEFAULT_BRANCH": "main", "CI_COMMIT_SHA": sha}
        pipeline = Pipeline(sha, variables, {})
        print(f"\n== pipeline: {source} of {branch}")
        for name, job in self._jobs(sha):
            rule = next((rule for rule in job["rules"] if self._applies(rule, pipeline)), None)
            if rule is not None:
                given = {**job.get("variables", {}), **rule.get("variables", {})}
                pipeline.jobs[name] = {**job, "variables": given}
                if rule.get("when") == "manual":
                    pipeline.manual.add(name)
        for name in pipeline.jobs.keys() - pipeline.manual:
            self.play(pipeline, name)
        return pipeline

    def _jobs(self, sha: str) -> Iterator[tuple[str, Any]]:
        """The jobs of the project's file and of what it includes, with what they extend."""
        document: dict[str, Any] = {}
        for name in (
            ".gitlab-ci.yml",
            *(item["local"] for item in self._read(sha, ".gitlab-ci.yml")["include"]),
        ):
            document |= self._read(sha, name.lstrip("/"))
        for name, job in document.items():
            if not name.startswith(".") and name not in _NO_JOBS:
                yield name, _extended(document, job)

    def _read(self, sha: str, name: str) -> Any:
        path = self._home.with_name("pipeline.yml")
        path.write_text(git(self._origin, "show", f"{sha}:{name}"), encoding="utf-8")
        return read(path)

    def _applies(self, rule: Any, pipeline: Pipeline) -> bool:
        variables = pipeline.variables
        for part in rule["if"].split(" && "):
            found = _CONDITION.fullmatch(part)
            assert found, part
            other = found[2] if found[3] is None else variables.get(found[3], "")
            if variables.get(found[1], "") != other:
                return False
        return True

    def _machine(self, folder: Path) -> dict[str, str]:
        return {
            "PATH": f"{self._programs}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(folder / "home"),
            "CI": "true",
            "GITLAB_CI": "true",
            "CI_PROJECT_DIR": str(folder / "work"),
        }


def _extended(document: dict[str, Any], job: Any) -> dict[str, Any]:
    base = _extended(document, document[job["extends"]]) if "extends" in job else {}
    merged = {**base, **job, "variables": {**base.get("variables", {}), **job.get("variables", {})}}
    for key in ("before_script", "script"):
        merged[key] = [line for item in merged.get(key, ()) for line in _lines(document, item)]
    return merged


def _lines(document: dict[str, Any], item: Any) -> Iterator[str]:
    """A line of a script, or those that `!reference` stands for."""
    if isinstance(item, str):
        yield item
        return
    job, key = item
    for line in document[job][key]:
        yield from _lines(document, line)


def _keep(artifacts: Any, code: int, folder: Path) -> None:
    if code and artifacts.get("when", "on_success") == "on_success":
        return
    patterns = [*artifacts.get("paths", ()), *artifacts.get("reports", {}).values()]
    work = folder / "work"
    for path in sorted({path for pattern in patterns for path in work.glob(pattern)}):
        goal = folder / "artifacts" / path.relative_to(work)
        goal.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            shutil.copytree(path, goal)
        else:
            shutil.copy(path, goal)


def _copy(source: Path, goal: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, goal, dirs_exist_ok=True)
