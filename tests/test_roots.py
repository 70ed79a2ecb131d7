"""Names in root modules that several clusters share: no two clusters meet, whatever they are called."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyports_tf.clouds import CATALOG
from skyports_tf.compilation import render_compilation
from skyports_tf.diagnostics import FindingsError
from skyports_tf.model import Stack
from skyports_tf.naming import RESERVED_NAMES, is_cluster_name
from skyports_tf.roots import LONE_MODULE, module_of, stack_file
from skyports_tf.running.initialization import repair_files
from tests.support.command_line import call
from tests.support.git import commit
from tests.support.project import Project

_PARTS = st.sampled_from(["a", "b", ".", "-", "_", "ports", "main", "override", "imports", "-x2e7336dc", "X"])
NAMES = (
    st.lists(_PARTS, min_size=1, max_size=5)
    .map("".join)
    .filter(lambda name: is_cluster_name(name) and name not in RESERVED_NAMES)
)
ROOT_FILES = ("main.tf", "imports.tf", "release.tf")


def shared(cluster: str) -> Stack:
    return Stack(cluster, "aws", "us-east-1", layout="grouped")


def files_of(stack: Stack) -> set[str]:
    """The files that a cluster may have in the shared root module."""
    own = {stack_file(stack, name).rpartition("/")[2] for name in ROOT_FILES}
    return own | {*repair_files(stack)}


@given(NAMES, NAMES)
def test_no_two_clusters_have_a_module_or_a_file_in_common(one: str, other: str) -> None:
    stack, neighbour = shared(one), shared(other)
    assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", module_of(stack))
    assert module_of(stack) != LONE_MODULE
    assert files_of(stack).isdisjoint({"main.tf", "backend.tf"})
    # Terraform reads a file of such a name as one that overrides others
    assert [name for name in files_of(stack) if name.endswith("_override.tf")] == [repair_files(stack)[1]]
    if one != other:
        assert module_of(stack) != module_of(neighbour)
        assert files_of(stack).isdisjoint(files_of(neighbour))


def test_clusters_whose_root_modules_would_differ_are_refused(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.config("user_hash: a1b2c3d4\nlayout: grouped\ngcp: {project: my-project}\n")
    tasks = [project.task("80", name=name, infra="gcp", file=f"{name}.yaml") for name in ("blue", "red")]
    blue, red = (item.stack for item in project.look(*tasks).stacks)
    elsewhere = replace(red, settings={**red.settings, "project": "another-project"})
    with pytest.raises(FindingsError) as caught:
        render_compilation(str(tmp_path / "infra"), [blue, elsewhere], CATALOG, ())
    (finding,) = caught.value.diagnostics
    assert (finding.code, "blue-gcp and red-gcp cannot share groups/gcp/main.tf" in finding.message) == (
        "layout-differs",
        True,
    )


def test_an_edit_of_one_cluster_is_told_of_its_own_files_alone(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.config("user_hash: a1b2c3d4\nlayout: grouped\n")
    for name in ("blue", "red.one"):
        project.task("[80]", name=name, file=f"tasks/{name}.yaml")
    assert call(tmp_path, "compile", "tasks").code == 0
    commit(tmp_path, "before")
    assert call(tmp_path, "compile", "--check", "tasks").code == 0
    project.task("[80, 90]", name="red.one", file="tasks/red.one.yaml")
    own = {"infra/groups/aws-us-east-1/red.one.cluster.tf", "infra/red.one/aws-us-east-1/stack.json"}
    checked = call(tmp_path, "compile", "--check", "tasks", "--json")
    assert {item["path"] for item in checked.json["diagnostics"] if item["code"] == "tree-outdated"} == own
    diff = call(tmp_path, "compile", "--diff", "tasks").out
    assert set(re.findall(r"^\+\+\+ b/(.+)$", diff, re.MULTILINE)) == own
    since = call(tmp_path, "compile", "--since", "HEAD", "tasks", "--json").json["stacks"]
    assert [item["cluster"] for item in since] == ["red.one"]
    text = call(tmp_path, "compile", "--stdout", "tasks/red.one.yaml").out
    assert 'module "red-one-x91bc1761"' in text and 'module "blue"' not in text
