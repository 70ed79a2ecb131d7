"""A sample repository of task files: a bare origin, a clone, and what the cloud knows of its clusters."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from tests.support.command_line import call
from tests.support.git import commit, git
from tests.support.local_aws import MotoServer, ec2

BUCKET = "my-state"
USER_HASH = "a1b2c3d4"
CONFIG = f"""\
user_hash: {USER_HASH}
sources: [10.0.0.0/8]
ssh_sources: [10.0.0.0/8]
tags: {{owner: ml-platform}}

backend:
  s3: {{bucket: {BUCKET}, region: us-east-1, use_lockfile: true, use_path_style: true}}

ci:
  tasks: [tasks]

rules:
  - cluster: jupyter
    ports:
      8888: {{sources: [0.0.0.0/0], description: JupyterLab}}

policy:
  rules:
    - name: no-databases
      denied_ports: [3306, 5432]
    - name: public-web
      internet_ports: [443, 8888]
    - name: owned
      required_tags: [owner]
"""
TASK = "name: {name}\nresources:\n  infra: aws/{region}\n  ports: {ports}\nrun: echo hello\n"


@dataclass(frozen=True)
class Sample:
    """The clone in `folder`, of the origin; and the local cloud that its clusters live on."""

    folder: Path
    aws: MotoServer

    def task(self, name: str, region: str, ports: str, file: str | None = None) -> str:
        """Write a task file; gives its path."""
        path = self.folder / (file or f"tasks/{name}.yaml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(TASK.format(name=name, region=region, ports=ports), encoding="utf-8")
        return str(path.relative_to(self.folder))

    def compile(self) -> None:
        """What who changes a task does before the commit."""
        for words in (("compile", "--all", "tasks"), ("ci", "github"), ("ci", "gitlab")):
            answer = call(self.folder, *words)
            assert answer.code == 0, answer.err

    def retire(self, task: str) -> None:
        """Take a task out, so that its ports close."""
        (self.folder / task).unlink()
        answer = call(self.folder, "compile", "--all", "--forget", task)
        assert (answer.code, answer.err) == (0, "")
        self.compile()

    def branch(self, name: str) -> None:
        """Begin a branch at the main branch as the origin has it."""
        git(self.folder, "fetch", "-q", "origin")
        git(self.folder, "checkout", "-q", "-B", name, "origin/main")

    def push(self, message: str) -> str:
        """Commit all, and push the branch."""
        sha = commit(self.folder, message)
        git(self.folder, "push", "-q", "--force", "origin", "HEAD")
        return sha

    def merge(self, branch: str) -> None:
        """Merge a branch that was pushed into the main branch."""
        self.branch("main")
        git(self.folder, "merge", "-q", "--no-ff", "-m", f"Merge {branch}", f"origin/{branch}")
        git(self.folder, "push", "-q", "origin", "HEAD:main")

    # -- what the clouds know ------------------------------------------------------------

    def open_ports(self, cluster: str, region: str = "us-east-1") -> set[tuple[int, str]] | None:
        """The first ports and sources of the rules of the cluster's group; None where there is no group."""
        group = self.group(cluster, region)
        if group is None:
            return None
        return {
            (rule["FromPort"], source["CidrIp"])
            for rule in group["IpPermissions"]
            for source in rule["IpRanges"]
        }

    def group(self, cluster: str, region: str = "us-east-1") -> Any:
        """The cluster's group as EC2 has it."""
        filters = [{"Name": "group-name", "Values": [f"sky-sg-{cluster}"]}]
        found = ec2(self.aws.url, region).describe_security_groups(Filters=filters)["SecurityGroups"]
        return found[0] if found else None

    def states(self) -> dict[str, Any]:
        """What lies in the bucket, by its key."""
        s3 = self._s3()
        keys = [item["Key"] for item in s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])]
        return {key: json.loads(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()) for key in keys}

    def make_bucket(self) -> None:
        """Make the bucket for the states."""
        self._s3().create_bucket(Bucket=BUCKET)

    def _s3(self) -> Any:
        return boto3.client("s3", endpoint_url=self.aws.url, region_name="us-east-1")


def sample_repository(folder: Path, origin: Path, aws: MotoServer) -> Sample:
    """A clone in `folder` whose first commit, of two clusters, is the main branch of the bare `origin`."""
    git(folder.parent, "clone", "-q", str(origin), folder.name)
    found = Sample(folder, aws)
    found.make_bucket()
    (folder / "skyports.yaml").write_text(CONFIG, encoding="utf-8")
    found.task("jupyter", "us-east-1", "[8888]")
    found.task("tensorboard", "us-west-2", "[6006]")
    git(folder, "checkout", "-q", "-b", "main")
    found.compile()
    found.push("Two clusters, and the pipelines")
    return found


def key_of(cluster: str, place: str) -> str:
    """Where the state of a stack lies."""
    return f"skyports/{cluster}/{place}/terraform.tfstate"
