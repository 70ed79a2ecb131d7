"""A stand-in for GitHub's `gh`, run as a program: it answers from the folder that its first argument names.

It does what a token with the job's permissions may do, and fails for everything else.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: What the workflow asks `--jq` for. Where this machine has a `jq`, it has to say the same.
_QUERIES: dict[str, Callable[[Any], list[Any]]] = {
    '[.[] | select(.event != "pull_request")][0].headSha // empty': lambda runs: [
        run["headSha"] for run in runs if run["event"] != "pull_request"
    ][:1],
    "[.workflow_runs[] | select(.head_repository.full_name == env.GITHUB_REPOSITORY)][0].id // empty": (
        lambda found: [
            run["id"]
            for run in found["workflow_runs"]
            if run["head_repository"]["full_name"] == os.environ["GITHUB_REPOSITORY"]
        ][:1]
    ),
    "[.[] | select(.merged_at != null)][0].head.sha // empty": lambda pulls: [
        pull["head"]["sha"] for pull in pulls if pull["merged_at"]
    ][:1],
    '.[] | select(.user.login == "github-actions[bot]" and (.body | startswith(env.MARKER))) | .id': (
        lambda comments: [
            comment["id"]
            for comment in comments
            if comment["user"]["login"] == "github-actions[bot]"
            and comment["body"].startswith(os.environ["MARKER"])
        ]
    ),
}
_MAY = {"read": ("read", "write"), "write": ("write",)}


def main(home: Path, words: list[str]) -> None:
    """Answer `gh WORDS...`."""
    assert os.environ["GH_TOKEN"], "gh asks for a token"
    verb, rest = (" ".join(words[:2]), words[2:]) if words[0] == "run" else (words[0], words[1:])
    {"run list": _list, "run download": _download, "api": _api}[verb](home, rest)


def _list(home: Path, words: list[str]) -> None:
    """https://cli.github.com/manual/gh_run_list: the newest first."""
    parser = argparse.ArgumentParser()
    for option in ("workflow", "branch", "status", "limit", "json", "jq"):
        parser.add_argument(f"--{option}")
    asked = parser.parse_args(words)
    _need("actions", "read")
    wanted = {"workflow": asked.workflow, "headBranch": asked.branch, "conclusion": asked.status}
    runs = [
        run
        for run in reversed(_known(home)["runs"])
        if all(run[name] == value for name, value in wanted.items())
    ]
    fields = asked.json.split(",")
    _say([{name: run[name] for name in fields} for run in runs[: int(asked.limit)]], asked.jq)


def _download(home: Path, words: list[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("run")
    parser.add_argument("--name", required=True)
    parser.add_argument("--dir", required=True)
    asked = parser.parse_args(words)
    _need("actions", "read")
    shutil.copytree(home / "artifacts" / asked.run / asked.name, asked.dir, dirs_exist_ok=True)


def _api(home: Path, words: list[str]) -> None:
    """https://cli.github.com/manual/gh_api."""
    parser = argparse.ArgumentParser()
    parser.add_argument("path")
    parser.add_argument("--method", default="GET")
    parser.add_argument("--field")
    parser.add_argument("--jq")
    for flag in ("paginate", "silent"):
        parser.add_argument(f"--{flag}", action="store_true")
    asked = parser.parse_args(words)
    known = _known(home)
    if found := re.fullmatch(r"repos/[^/]+/[^/]+/commits/(\w+)/pulls", asked.path):
        _need("pull-requests", "read")
        _say([pull for pull in known["pulls"] if pull["merge_commit_sha"] == found[1]], asked.jq)
        return
    if found := re.fullmatch(
        r"repos/[^/]+/[^/]+/actions/workflows/([^/]+)/runs\?event=(\w+)&head_sha=(\w+)", asked.path
    ):
        _need("actions", "read")
        runs = [
            {"id": run["databaseId"], "head_repository": {"full_name": run["repository"]}}
            for run in reversed(known["runs"])
            if (run["workflow"], run["event"], run["headSha"]) == found.groups()
        ]
        _say({"total_count": len(runs), "workflow_runs": runs}, asked.jq)
        return
    _need("pull-requests", "write")
    found = re.fullmatch(r"repos/[^/]+/[^/]+/issues/(?:(\d+)/comments|comments/(\d+))", asked.path)
    assert found, asked.path
    if asked.method == "GET":
        _say([item for item in known["comments"] if item["issue"] == int(found[1])], asked.jq)
        return
    body = Path(asked.field.removeprefix("body=@")).read_text(encoding="utf-8")
    assert len(body) <= 65_536, "GitHub takes no longer comment"
    if asked.method == "POST":
        user = {"login": "github-actions[bot]"}
        number = len(known["comments"]) + 1
        known["comments"].append({"id": number, "issue": int(found[1]), "user": user, "body": body})
    else:
        (comment,) = (item for item in known["comments"] if item["id"] == int(found[2]))
        comment["body"] = body
    (home / "github.json").write_text(json.dumps(known), encoding="utf-8")


def _known(home: Path) -> Any:
    return json.loads((home / "github.json").read_text(encoding="utf-8"))


def _need(scope: str, level: str) -> None:
    allowed = json.loads(os.environ["JOB_PERMISSIONS"])
    assert allowed.get(scope) in _MAY[level], f"the job's token has no {scope}: {level}"


def _say(document: Any, query: str) -> None:
    found = [str(item) for item in _QUERIES[query](document)]
    if program := shutil.which("jq"):
        run = [program, "-r", query]
        said = subprocess.run(run, input=json.dumps(document), capture_output=True, text=True, check=True)
        assert said.stdout.splitlines() == found, (query, said.stdout)
    print("".join(f"{line}\n" for line in found), end="")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
