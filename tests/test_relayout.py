"""`relayout`: stacks move with their states between the layouts, and no port closes by it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema

from skyports_tf.schema import schema_of
from tests.support.command_line import call
from tests.support.local_aws import MotoServer, ec2
from tests.support.project import Project

PLACE = "aws-us-east-1"
CONFIG = "user_hash: a1b2c3d4\nsources: [10.0.0.0/8]\nssh_sources: [10.0.0.0/8]\nlayout: {}\n"


def project_in(folder: Path, layout: str) -> Project:
    """Two clusters of one place, applied in this layout."""
    project = Project(folder)
    project.config(CONFIG.format(layout))
    for name in ("blue", "red.one"):
        project.task("[7000, 8888]", name=name, file=f"tasks/{name}.yaml")
    answer = call(folder, "apply", "-y", "tasks")
    assert answer.code == 0, answer.err
    return project


def live(aws: MotoServer) -> dict[str, set[str]]:
    """The ids of the rules in the cloud, by group."""
    rules = ec2(aws.url).describe_security_group_rules()["SecurityGroupRules"]
    found: dict[str, set[str]] = {}
    for rule in rules:
        found.setdefault(rule["GroupId"], set()).add(rule["SecurityGroupRuleId"])
    return found


def test_there_and_back_again_nothing_in_the_cloud_changes(aws: MotoServer, tmp_path: Path) -> None:
    project = project_in(tmp_path, "separate")
    before = live(aws)
    project.config(CONFIG.format("grouped"))
    kept = call(tmp_path, "plan", "tasks", "--json")
    assert [item["code"] for item in kept.json["diagnostics"]] == ["layout-kept"]
    for layout, other in (("grouped", "separate"), ("separate", "grouped")):
        project.config(CONFIG.format(layout))
        answer = call(tmp_path, "relayout", "-y", "--json")
        assert answer.code == 0, answer.err
        jsonschema.validate(answer.json, schema_of("relayout"))
        assert [(item["from"], item["layout"], item["objects"]) for item in answer.json["stacks"]] == [
            (other, layout, 7)
        ] * 2
        assert live(aws) == before
        again = call(tmp_path, "plan", "--detailed-exitcode", "tasks")
        assert again.code == 0, again.out + again.err
        assert call(tmp_path, "compile", "--check", "tasks").code == 0
        assert files(tmp_path) == FILES[layout]
    assert call(tmp_path, "destroy", "-y", "blue", "red.one").code == 0


def files(folder: Path) -> set[str]:
    """The files of the tree that are not the modules', nor Terraform's own."""
    tree = folder / "infra"
    found = (path.relative_to(tree) for path in tree.rglob("*") if path.is_file())
    return {str(path) for path in found if path.parts[0] != "modules" and ".terraform" not in path.parts}


_KEPT = {".gitignore", f"blue/{PLACE}/stack.json", f"red.one/{PLACE}/stack.json"}
_ROOT = {"main.tf", "backend.tf", "terraform.tfstate", "terraform.tfstate.backup"}
_LONE = {f"{name}/{PLACE}/{file}" for name in ("blue", "red.one") for file in (*_ROOT, "outputs.tf")}
_SHARED = {f"groups/{PLACE}/{file}" for file in (*_ROOT, "blue.cluster.tf", "red.one.cluster.tf")}
_BACKUPS = {name for name in (*_LONE, *_SHARED) if name.endswith(".backup")}
FILES: dict[str, Any] = {
    "grouped": _KEPT | _SHARED | _BACKUPS,
    "separate": _KEPT | _LONE | _BACKUPS,
}
