"""GitHub on this machine, as far as our workflows need it: pull requests, runs, artifacts and caches.

A job runs as on a runner of GitHub's: in a folder and a home of its own, step after step of the file that
the commit holds. What a step says under `run` is run by bash; an action is played by what it does.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.expressions import as_text, fill, holds
from tests.support.git import git
from tests.support.pipelines import read
from tests.support.stacks import write_program

REPOSITORY = "me/ports"
_FILES = Path(".github/workflows")


@dataclass
class Job:
    """What became of a job: `result` is GitHub's word, `log` all that its steps said, `kept` its folder."""

    result: str
    kept: Path
    log: str = ""
    summary: str = ""
    outputs: dict[str, str] = field(default_factory=dict)


@dataclass
class Run:
    """A run of a workflow; a job with a matrix is there once for each of its values."""

    number: int
    workflow: str
    event: str
    branch: str
    sha: str
    payload: dict[str, Any]
    jobs: dict[str, list[Job]] = field(default_factory=dict)

    @property
    def results(self) -> dict[str, str]:
        """The job's results, those that were left out left out."""
        found = {name: _result_of(jobs) for name, jobs in self.jobs.items()}
        return {name: result for name, result in found.items() if result != "skipped"}

    @property
    def conclusion(self) -> str:
        """GitHub's word for the whole."""
        return "failure" if "failure" in self.results.values() else "success"

    def job(self, name: str) -> Job:
        """The one job of that name."""
        (found,) = self.jobs[name]
        return found


def _result_of(jobs: list[Job]) -> str:
    results = {job.result for job in jobs}
    return "failure" if "failure" in results else results.pop()


class GitHub:
    """A repository with its pull requests and all that its workflows leave behind, below `home`.

    `origin` is the bare repository. Of a run that is asked for with `only`, the other jobs are left out.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self.origin = home / "origin.git"
        #: What a job finds on its PATH.
        self.programs = home / "bin"
        self.programs.mkdir(parents=True)
        git(home, "init", "-q", "--bare", "-b", "main", str(self.origin))
        here = Path(__file__).with_name("stand_in_gh.py")
        write_program(self.programs / "skyports-tf", f'exec "{sys.executable}" -m skyports_tf "$@"\n')
        write_program(self.programs / "gh", f'exec "{sys.executable}" "{here}" "{home}" "$@"\n')
        # what the step would install is here already
        write_program(self.programs / "python", '[ "$1 $2 $3" = "-m pip install" ]\n')
        self._known: dict[str, list[Any]] = {"runs": [], "pulls": [], "comments": []}
        self._write()

    # -- what people do ----------------------------------------------------------------

    def pull_request(self, branch: str, *only: str) -> Run:
        """Open a pull request of a branch that was pushed, or push to the one that is open."""
        pulls = self._known["pulls"]
        pull = next((item for item in pulls if item["branch"] == branch), None)
        if pull is None:
            pull = {"number": len(pulls) + 1, "branch": branch, "merged_at": None, "merge_commit_sha": None}
            pulls.append(pull)
        sha = git(self.origin, "rev-parse", branch)
        pull["head"] = {"sha": sha, "repo": {"full_name": REPOSITORY}}
        merged = self._merge(branch, f"refs/pull/{pull['number']}/merge")
        context = {"ref": f"refs/pull/{pull['number']}/merge", "sha": merged, "event": {"pull_request": pull}}
        return self._start("skyports.yml", "pull_request", branch, sha, context, only)

    def run_of_a_fork(self, branch: str) -> None:
        """A fork has a branch `main` with the commits of `branch`, and its pull request went through."""
        sha = git(self.origin, "rev-parse", branch)
        self._record("skyports.yml", "pull_request", "main", sha)
        self._known["runs"][-1] |= {"conclusion": "success", "repository": "somebody/ports"}
        self._write()

    def merge(self, branch: str) -> Run:
        """Merge a pull request, and run what its push starts."""
        (pull,) = (item for item in self._known["pulls"] if item["branch"] == branch)
        sha = self._merge(branch, "refs/heads/main")
        pull |= {"merged_at": "now", "merge_commit_sha": sha}
        return self.on_main("push")

    def on_main(self, event: str, *, cron: str | None = None) -> Run:
        """A run on the main branch: `push`, `workflow_dispatch`, or `schedule` with its cron line."""
        sha = git(self.origin, "rev-parse", "main")
        context = {"ref": "refs/heads/main", "sha": sha, "event": {"schedule": cron}}
        file = "skyports-upkeep.yml" if event == "schedule" else "skyports.yml"
        return self._start(file, event, "main", sha, context, ())

    def run_again(self, run: Run, name: str) -> list[Job]:
        """Run a job of a run again, with all that was kept of that run."""
        job = self._workflow(run)["jobs"][name]
        return list(self._play(run, name, job, self._needs(run, job)))

    def comments(self, branch: str) -> list[str]:
        """The comments on a pull request."""
        (pull,) = (item for item in self._known["pulls"] if item["branch"] == branch)
        return [item["body"] for item in self._known["comments"] if item["issue"] == pull["number"]]

    def artifact(self, run: Run, name: str) -> Path:
        """The folder of what a run has kept."""
        return self.home / "artifacts" / str(run.number) / name

    # -- what GitHub does --------------------------------------------------------------

    def _merge(self, branch: str, into: str) -> str:
        place = self.home / "merging"
        shutil.rmtree(place, ignore_errors=True)
        git(self.home, "clone", "-q", str(self.origin), str(place))
        git(place, "merge", "-q", "--no-ff", "-m", f"Merge {branch}", f"origin/{branch}")
        git(place, "push", "-q", "--force", "origin", f"HEAD:{into}")
        return git(place, "rev-parse", "HEAD")

    def _write(self) -> None:
        (self.home / "github.json").write_text(json.dumps(self._known), encoding="utf-8")

    def _workflow(self, run: Run) -> Any:
        path = self.home / "workflow.yml"
        text = git(self.origin, "show", f"{run.payload['sha']}:{_FILES / run.workflow}")
        path.write_text(text, encoding="utf-8")
        return read(path)

    def _start(
        self, file: str, event: str, branch: str, sha: str, context: dict[str, Any], only: tuple[str, ...]
    ) -> Run:
        number = self._record(file, event, branch, sha)
        run = Run(number, file, event, branch, sha, {**context, "event_name": event})
        print(f"\n== run {number}: {event} of {branch}, {file}")
        workflow = self._workflow(run)
        assert event in workflow["on"]
        for name, job in workflow["jobs"].items():
            if only and name not in only:
                continue
            needs = self._needs(run, job)
            well = all(item["result"] == "success" for item in needs.values())
            may = holds(job.get("if"), self._contexts(run, needs=needs), _functions(well))
            skipped = [Job("skipped", self.home)]
            run.jobs[name] = list(self._play(run, name, job, needs)) if may else skipped
        self._known = json.loads((self.home / "github.json").read_text(encoding="utf-8"))
        self._known["runs"][number - 1]["conclusion"] = run.conclusion
        self._write()
        return run

    def _record(self, file: str, event: str, branch: str, sha: str) -> int:
        number = len(self._known["runs"]) + 1
        record = {"databaseId": number, "workflow": file, "headBranch": branch, "headSha": sha}
        record |= {"event": event, "conclusion": "", "repository": REPOSITORY}
        self._known["runs"].append(record)
        self._write()
        return number

    def _needs(self, run: Run, job: Any) -> dict[str, Any]:
        names = [job["needs"]] if isinstance(job.get("needs"), str) else job.get("needs", [])
        return {
            name: {"result": _result_of(run.jobs[name]), "outputs": run.jobs[name][0].outputs}
            for name in names
        }

    def _contexts(self, run: Run, **more: Any) -> dict[str, Any]:
        github = {"repository": REPOSITORY, "server_url": "https://github.com", "run_id": str(run.number)}
        github |= {"run_attempt": "1", "token": "a-token", **run.payload}
        # nobody has given the repository any variable: the credentials are those of the local cloud
        return {"github": github, "vars": {}, "secrets": {}, **more}

    def _play(self, run: Run, name: str, job: Any, needs: dict[str, Any]) -> Iterator[Job]:
        contexts = self._contexts(run, needs=needs)
        matrix = fill(job.get("strategy", {}).get("matrix", {}), contexts, _functions(True))
        assert len(matrix) <= 1
        values = [{key: value} for key, found in matrix.items() for value in found] or [{}]
        for value in values:
            yield _Runner(self, run, {**contexts, "matrix": value}).play(name, job, self._workflow(run))


def _functions(well: bool) -> Mapping[str, Callable[..., Any]]:
    return {
        "success": lambda: well,
        "failure": lambda: not well,
        "cancelled": lambda: False,
        "always": lambda: True,
    }


class _Runner:
    """One fresh machine for one job."""

    def __init__(self, github: GitHub, run: Run, contexts: dict[str, Any]) -> None:
        self._github, self._run = github, run
        place = github.home / "jobs"
        place.mkdir(exist_ok=True)
        self._folder = place / f"{len(list(place.iterdir())) + 1:02}"
        for name in ("work", "temp", "home", "files"):
            (self._folder / name).mkdir(parents=True)
        self._contexts = {**contexts, "runner": {"temp": str(self._folder / "temp")}, "steps": {}}

    def play(self, name: str, job: Any, workflow: Any) -> Job:
        """Run the steps; the job's outputs are filled at its end."""
        done = Job("success", self._folder)
        print(f"-- job {name} {as_text(self._contexts.get('matrix') or None)}")
        folders = [
            item.get("defaults", {}).get("run", {}).get("working-directory") for item in (job, workflow)
        ]
        base = {**workflow.get("env", {}), **job.get("env", {})}
        environment = {**self._machine(), "JOB_PERMISSIONS": json.dumps(job["permissions"]), **base}
        for step in job["steps"]:
            functions = _functions(done.result == "success")
            if not holds(step.get("if"), self._contexts, functions):
                continue
            outputs: dict[str, str] = {}
            if "uses" in step:
                well = self._act(step, outputs)
            else:
                own = fill(step.get("env", {}), self._contexts, functions)
                given = {**environment, **{key: as_text(value) for key, value in own.items()}}
                place = self._folder / "work" / (next(filter(None, folders), None) or ".")
                well = self._say(step["run"], place, given, done, outputs)
            if "id" in step:
                self._contexts["steps"][step["id"]] = {"outputs": outputs}
            if not well and not step.get("continue-on-error"):
                done.result = "failure"
        told = fill(job.get("outputs", {}), self._contexts, _functions(True))
        done.outputs = {key: as_text(value) for key, value in told.items()}
        return done

    def _machine(self) -> dict[str, str]:
        payload = self._run.payload
        return {
            **os.environ,
            "PATH": f"{self._github.programs}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self._folder / "home"),
            "CI": "true",
            "RUNNER_TEMP": str(self._folder / "temp"),
            "GITHUB_ACTIONS": "true",
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_EVENT_NAME": payload["event_name"],
            "GITHUB_REF": payload["ref"],
            "GITHUB_SHA": payload["sha"],
            "GITHUB_RUN_ID": str(self._run.number),
        }

    def _say(
        self, script: str, place: Path, given: dict[str, str], done: Job, outputs: dict[str, str]
    ) -> bool:
        files = {name: self._folder / "files" / name for name in ("output", "summary")}
        for path in files.values():
            path.write_text("", encoding="utf-8")
        given |= {"GITHUB_OUTPUT": str(files["output"]), "GITHUB_STEP_SUMMARY": str(files["summary"])}
        # GitHub's command for `shell: bash`
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
        said = subprocess.run(command, cwd=place, env=given, capture_output=True, text=True, check=False)
        print(said.stdout + said.stderr, end="")
        done.log += said.stdout + said.stderr
        done.summary += files["summary"].read_text(encoding="utf-8")
        lines = files["output"].read_text(encoding="utf-8").splitlines()
        outputs |= dict(line.split("=", 1) for line in lines)
        return said.returncode == 0

    # -- actions -----------------------------------------------------------------------

    def _act(self, step: Any, outputs: dict[str, str]) -> bool:
        name, _, pin = step["uses"].partition("@")
        assert len(pin) == 40
        inputs = fill(step.get("with", {}), self._contexts, _functions(True))
        return _ACTIONS[name](self, inputs, outputs)

    def _checkout(self, inputs: dict[str, Any], _outputs: dict[str, str]) -> bool:
        """One commit, or all of the history."""
        place = self._folder / "work"
        git(place, "init", "-q")
        git(place, "remote", "add", "origin", self._github.origin.as_uri())
        depth = ["--depth", "1"] if inputs.get("fetch-depth", 1) == 1 else []
        git(place, "fetch", "-q", *depth, "origin", f"+{self._run.payload['sha']}:refs/remotes/run")
        git(place, "checkout", "-q", "--detach", "refs/remotes/run")
        return True

    def _upload(self, inputs: dict[str, Any], _outputs: dict[str, str]) -> bool:
        """Files that are hidden stay behind, where nothing else is said."""
        source, goal = Path(inputs["path"]), self._github.artifact(self._run, inputs["name"])
        assert not goal.exists(), "an artifact is not overwritten"
        hidden = inputs.get("include-hidden-files", False)
        left_out = shutil.ignore_patterns(*([] if hidden else [".*"]))
        shutil.copytree(source, goal, ignore=left_out)
        return True

    def _download(self, inputs: dict[str, Any], _outputs: dict[str, str]) -> bool:
        source = self._github.artifact(self._run, inputs["name"])
        if source.is_dir():
            shutil.copytree(source, self._folder / "work" / inputs["path"], dirs_exist_ok=True)
        return source.is_dir()

    def _restore(self, inputs: dict[str, Any], outputs: dict[str, str]) -> bool:
        """The newest whose key begins with one of the prefixes."""
        outputs["cache-primary-key"] = inputs["key"]
        caches = sorted(self._caches.iterdir(), key=lambda path: int(path.name.split("@")[0]))
        for prefix in (inputs["key"], *inputs.get("restore-keys", "").split()):
            for found in reversed(caches):
                if found.name.split("@")[1].startswith(prefix):
                    shutil.copytree(found, inputs["path"], dirs_exist_ok=True)
                    return True
        return True

    def _save(self, inputs: dict[str, Any], _outputs: dict[str, str]) -> bool:
        number = len(list(self._caches.iterdir())) + 1
        shutil.copytree(inputs["path"], self._caches / f"{number}@{inputs['key']}")
        return True

    @property
    def _caches(self) -> Path:
        place = self._github.home / "caches"
        place.mkdir(exist_ok=True)
        return place

    def _is_here(self, _inputs: dict[str, Any], _outputs: dict[str, str]) -> bool:
        """This machine has it already."""
        return True

    def _show(self, inputs: dict[str, Any], _outputs: dict[str, str]) -> bool:
        """Findings beside the lines of the pull request."""
        return bool(json.loads(Path(inputs["sarif_file"]).read_text(encoding="utf-8"))["version"] == "2.1.0")


_ACTIONS: Mapping[str, Callable[[_Runner, dict[str, Any], dict[str, str]], bool]] = {
    "actions/checkout": _Runner._checkout,
    "actions/setup-python": _Runner._is_here,
    "hashicorp/setup-terraform": _Runner._is_here,
    "aws-actions/configure-aws-credentials": _Runner._is_here,
    "actions/upload-artifact": _Runner._upload,
    "actions/download-artifact": _Runner._download,
    "actions/cache/restore": _Runner._restore,
    "actions/cache/save": _Runner._save,
    "github/codeql-action/upload-sarif": _Runner._show,
}
