"""The scripts of GitLab's pipeline, run as a runner does: with our own program, real git, a pretend GitLab.

The pretend one has the one endpoint that is asked (https://docs.gitlab.com/api/job_artifacts/), and sends on
to a storage elsewhere, as gitlab.com does. Heads of merge requests are refs of the repository.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support.command_line import call
from tests.support.git import commit, git
from tests.support.pipelines import follow, project_with, read
from tests.support.pretend_terraform import pretend_terraform
from tests.support.project import Project
from tests.support.stacks import write_program

PLAN = "infra/new/aws-us-east-1/skyports.tfplan"


@dataclass
class GitLab:
    """What GitLab keeps, artifacts by the ref of their pipeline, and what was asked with which token."""

    url: str
    artifacts: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str | None]] = field(default_factory=list)


@contextmanager
def serve_gitlab() -> Iterator[GitLab]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            token = self.headers.get("JOB-TOKEN") or self.headers.get("PRIVATE-TOKEN")
            found.asked.append((self.path, token))
            begin, end = "/api/v4/projects/7/jobs/artifacts/", "/download?job=skyports%3Aplan"
            if self.path.startswith("/storage/"):
                self._answer(200, found.artifacts[self.path.removeprefix("/storage/")])
            elif self.path.startswith(begin) and self.path.endswith(end) and token:
                ref = self.path.removeprefix(begin).removesuffix(end)
                self._answer(302 if ref in found.artifacts else 404, b"", f"{found.url}/storage/{ref}")
            else:
                self._answer(401, b"")

        def _answer(self, code: int, body: bytes, place: str | None = None) -> None:
            self.send_response(code)
            if code == 302 and place:
                self.send_header("Location", place)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = GitLab(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass(frozen=True)
class Runner:
    """A runner: the checkout, its origin, and the GitLab that it belongs to."""

    home: Path
    checkout: Path
    origin: str
    gitlab: GitLab

    def run(self, job: str, **env: str) -> tuple[int, str]:
        """Run the script of a job as GitLab's runner does; gives its exit code, and what it printed."""
        document = read(self.checkout / "skyports.gitlab-ci.yml")
        given = {
            **{name: value for name, value in os.environ.items() if not name.startswith("CI_")},
            "PATH": os.pathsep.join(
                [str(self.home / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]]
            ),
            "TERRAFORM": str(self.home / "bin/terraform"),
            "TMPDIR": str(self.home / "temp"),
            "CI_PROJECT_DIR": str(self.checkout),
            "CI_PROJECT_ID": "7",
            "CI_API_V4_URL": f"{self.gitlab.url}/api/v4",
            "CI_REPOSITORY_URL": self.origin,
            "CI_JOB_TOKEN": "of-the-job",
            **env,
        }
        command = ["bash", "-eo", "pipefail", "-c", "\n".join(document[job]["script"])]
        done = subprocess.run(
            command, cwd=self.checkout, env=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        return done.returncode, done.stdout

    def show(self, number: int, base: str, ref: str = "head") -> str:
        """Let what is checked out be the head of a merge request that shows its plan; gives the commit."""
        head = git(self.checkout, "rev-parse", "HEAD")
        git(self.checkout, "push", "-q", "-f", self.origin, f"HEAD:refs/merge-requests/{number}/head")
        merged = {"CI_MERGE_REQUEST_SOURCE_BRANCH_SHA": head} if ref == "merge" else {}
        code, said = self.run(
            "skyports:plan", CI_MERGE_REQUEST_DIFF_BASE_SHA=base, CI_COMMIT_SHA=head, **merged
        )
        assert code == 0, said
        self.gitlab.artifacts[f"refs%2Fmerge-requests%2F{number}%2F{ref}"] = zipped(
            self.checkout, "skyports-reviewed"
        )
        git(self.checkout, "clean", "-qfdx")
        return head

    def prepare(self, before: str, source: str = "push", **env: str) -> tuple[int, str]:
        """Plan what is checked out as the default branch."""
        return self.run("skyports:prepare", CI_PIPELINE_SOURCE=source, CI_COMMIT_BEFORE_SHA=before, **env)


def zipped(folder: Path, name: str) -> bytes:
    """An archive of artifacts, as GitLab makes one."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in sorted((folder / name).rglob("*")):
            archive.write(path, path.relative_to(folder))
    return buffer.getvalue()


@pytest.fixture(scope="module")
def gitlab() -> Iterator[GitLab]:
    with serve_gitlab() as found:
        yield found


@pytest.fixture
def runner(tmp_path: Path, gitlab: GitLab) -> Runner:
    """A checkout with a stack, on a branch that opens the ports of another one."""
    gitlab.artifacts.clear()
    gitlab.asked.clear()
    for folder in ("bin", "temp", "origin"):
        (tmp_path / folder).mkdir()
    pretend_terraform(tmp_path / "bin")
    write_program(tmp_path / "bin/skyports-tf", f'exec "{sys.executable}" -m skyports_tf "$@"\n')
    project = project_with(tmp_path / "checkout", "gcp")
    assert call(project.folder, "ci", "gitlab").code == 0
    commit(project.folder, "before")
    git(tmp_path / "origin", "init", "-q", "--bare")
    git(tmp_path / "origin", "config", "uploadpack.allowFilter", "true")
    git(project.folder, "checkout", "-q", "-b", "branch")
    project.compile(project.task("8888", name="new", file="tasks/new.yaml"))
    commit(project.folder, "the merge request")
    return Runner(tmp_path, project.folder, f"file://{tmp_path}/origin", gitlab)


def test_a_merge_request_keeps_what_it_shows_and_never_the_plan(runner: Runner) -> None:
    follow("gitlab-ci", read(runner.checkout / "skyports.gitlab-ci.yml"))
    code, said = runner.run(
        "skyports:plan",
        CI_MERGE_REQUEST_DIFF_BASE_SHA=git(runner.checkout, "rev-parse", "main"),
        CI_COMMIT_SHA="a" * 40,
    )
    assert code == 0, said
    assert "tcp/8888" in said
    assert (runner.checkout / "skyports-plan.json").read_text() == '{"create":1,"update":0,"delete":0}\n'
    kept = runner.checkout / "skyports-reviewed"
    assert sorted(str(path.relative_to(kept)) for path in kept.rglob("*") if path.is_file()) == [
        "head",
        "plan.md",
        "plans/new/aws-us-east-1/skyports.tfplan.json",
    ]
    assert (kept / "head").read_text() == "a" * 40 + "\n"


def as_it_was(folder: Path) -> None:
    git(folder, "checkout", "-q", "main")
    git(folder, "merge", "-q", "--ff-only", "branch")


def as_a_merge(folder: Path) -> None:
    git(folder, "checkout", "-q", "main")
    git(folder, "merge", "-q", "--no-ff", "-m", "Merge branch 'branch' into 'main'", "branch")


def squashed(folder: Path) -> None:
    git(folder, "checkout", "-q", "main")
    git(folder, "merge", "-q", "--squash", "branch")
    git(folder, "commit", "-q", "-m", "The title of the merge request")


def squashed_and_merged_later(folder: Path) -> None:
    """Squashed on what the main branch has become: no commit and no tree is the merge request's."""
    git(folder, "checkout", "-q", "main")
    (folder / "other.md").write_text("another merge request\n")
    commit(folder, "another one")
    git(folder, "merge", "-q", "--squash", "branch")
    git(folder, "commit", "-q", "-m", "Merge branch 'branch' into 'main'\n\nSee merge request me/ports!5")


@pytest.mark.parametrize(
    ("merge", "ref"),
    [
        (as_it_was, "head"),
        (as_a_merge, "head"),
        (as_a_merge, "merge"),
        (squashed, "head"),
        (squashed_and_merged_later, "head"),
    ],
)
def test_the_plan_of_what_was_merged_is_held_against_what_was_shown(
    merge: Callable[[Path], None], ref: str, runner: Runner
) -> None:
    before = git(runner.checkout, "rev-parse", "main")
    runner.show(5, before, ref)
    merge(runner.checkout)
    code, said = runner.prepare(before)
    assert code == 0, said
    assert "Merge request !5 has shown its plan." in said
    assert (runner.checkout / PLAN).is_file()
    assert (runner.checkout / "skyports-plan.json").read_text() == '{"create":1,"update":0,"delete":0}\n'
    # the token was for GitLab alone
    assert {token for path, token in runner.gitlab.asked if path.startswith("/api/")} == {"of-the-job"}
    assert [token for path, token in runner.gitlab.asked if path.startswith("/storage/")] == [None]


def test_what_nobody_was_shown_is_refused_and_applied_by_hand(runner: Runner) -> None:
    before = git(runner.checkout, "rev-parse", "main")
    as_it_was(runner.checkout)
    code, said = runner.prepare(before)
    assert code == 1
    assert "plan-unreviewed" in said and "nobody reviewed this plan" in said
    assert runner.gitlab.asked == []
    code, said = runner.prepare("0" * 40, "web")
    assert code == 0, said
    assert (runner.checkout / PLAN).is_file()


def test_a_plan_that_differs_from_what_was_shown_is_refused(runner: Runner) -> None:
    before = git(runner.checkout, "rev-parse", "main")
    runner.show(5, before)
    as_a_merge(runner.checkout)
    project = Project(runner.checkout)
    project.compile(project.task("8889", name="new", file="tasks/new.yaml"))
    commit(runner.checkout, "pushed afterwards")
    code, said = runner.prepare(before)
    assert code == 1 and "Merge request !5 has shown its plan." in said
    assert "the plan is not the one that was reviewed" in said


def test_what_an_earlier_push_has_shown_is_not_what_was_merged(runner: Runner) -> None:
    before = git(runner.checkout, "rev-parse", "main")
    runner.show(5, before)
    (runner.checkout / "more.md").write_text("the pipeline of this push has failed\n")
    head = commit(runner.checkout, "another push")
    git(runner.checkout, "push", "-q", "-f", runner.origin, "HEAD:refs/merge-requests/5/head")
    as_a_merge(runner.checkout)
    code, said = runner.prepare(before)
    assert code == 1
    assert f"Merge request !5 has shown no plan of {head}." in said


def test_a_token_of_ones_own_is_taken_where_the_jobs_may_not_read(runner: Runner) -> None:
    before = git(runner.checkout, "rev-parse", "main")
    runner.show(5, before)
    as_a_merge(runner.checkout)
    code, said = runner.prepare(before, SKYPORTS_READ_TOKEN="mine")
    assert code == 0, said
    assert {token for path, token in runner.gitlab.asked if path.startswith("/api/")} == {"mine"}
