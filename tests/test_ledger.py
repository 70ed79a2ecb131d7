"""The ledger: a cluster's open ports are the union over its tasks, until they are taken out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from skyports_tf.diagnostics import FindingsError
from skyports_tf.tree import find_stacks
from tests.support.project import Project, working_in


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_two_tasks_of_one_cluster_open_the_union_of_their_ports(project: Project) -> None:
    project.compile(project.task("8888", file="a.yaml"))
    project.compile(project.task("[8888, 9000]", file="b.yaml"))
    assert project.keys() == ["tcp-8888@0.0.0.0/0", "tcp-9000@0.0.0.0/0"]
    assert [rule.tasks for rule in project.stack().rules] == [("a.yaml", "b.yaml"), ("b.yaml",)]


def test_compiling_a_task_again_replaces_its_own_entry_alone(project: Project) -> None:
    project.compile(project.task("80", file="a.yaml"), project.task("90", file="b.yaml"))
    project.compile(project.task("81", file="a.yaml"))
    assert project.keys() == ["tcp-81@0.0.0.0/0", "tcp-90@0.0.0.0/0"]


def test_forgetting_a_task_closes_its_ports_alone(project: Project) -> None:
    project.compile(project.task("80", file="a.yaml"), project.task("90", file="b.yaml"))
    project.compile(forget=("a.yaml",))
    assert project.keys() == ["tcp-90@0.0.0.0/0"]


def test_a_task_can_be_forgotten_by_its_name(project: Project) -> None:
    project.compile(
        project.task("80", file="a.yaml"), project.task("90", name="web2", file="b.yaml"), cluster="web"
    )
    project.compile(forget=("web2",))
    assert project.keys() == ["tcp-80@0.0.0.0/0"]


def test_a_task_whose_file_is_gone_can_be_forgotten(project: Project) -> None:
    project.compile(project.task("80", file="a.yaml"))
    project.folder.joinpath("a.yaml").unlink()
    project.compile(forget=("a.yaml",))
    assert project.keys() == []


def test_an_unknown_task_cannot_be_forgotten(project: Project) -> None:
    project.compile(project.task("80"))
    assert project.refused(forget=("other.yaml",)) == ["task-unknown"]


def test_a_stack_that_lost_its_last_task_keeps_provider_and_backend(project: Project) -> None:
    project.compile(project.task("80"))
    project.compile(forget=("web.yaml",))
    main = project.text("web/aws-us-east-1/main.tf")
    assert 'provider "aws"' in main and 'region = "us-east-1"' in main and "module" not in main
    assert 'backend "local"' in project.text("web/aws-us-east-1/backend.tf")
    assert "no task" in main.splitlines()[0]


def test_a_task_that_moved_to_another_region_leaves_the_old_stack(project: Project) -> None:
    project.compile(project.task("80"))
    compilation = project.compile(project.task("80", infra="aws/eu-west-1"))
    assert {item.stack.name: len(item.stack.rules) for item in compilation.stacks} == {
        "web-aws-eu-west-1": 1,
        "web-aws-us-east-1": 0,
    }


def test_a_task_that_stopped_asking_for_ports_empties_its_stack(project: Project) -> None:
    project.compile(project.task("80"))
    compilation = project.compile(project.task("[]"))
    assert [len(item.stack.rules) for item in compilation.stacks] == [0]


def test_retain_keeps_ports_that_a_task_stopped_asking_for(project: Project) -> None:
    project.compile(project.task("[80-85, 90]"))
    project.compile(project.task("82-83"), retain=True)
    assert project.keys() == ["tcp-80@0.0.0.0/0", "tcp-90@0.0.0.0/0"]
    assert [str(rule.ports) for rule in project.stack().rules] == ["80-85", "90"]
    project.compile(project.task("82-83"))
    assert project.keys() == ["tcp-82@0.0.0.0/0"]


def test_retain_holds_over_several_edits_and_to_no_ports_at_all(project: Project) -> None:
    project.config("retain: true\n")
    for ports in ("80", "81", "[]"):
        project.compile(project.task(ports))
    assert [str(rule.ports) for rule in project.stack().rules] == ["80-81"]


def test_retaining_twice_writes_nothing_new(project: Project) -> None:
    project.config("retain: true\n")
    project.compile(project.task("[80, 90]"))
    task = project.task("80")
    project.compile(task)
    assert project.compile(task).pending == ()


def test_what_was_compiled_stands_in_the_ledger_by_task(project: Project) -> None:
    project.compile(project.task("[8888, 9000-9005]", file="tasks/web.yaml"), sources=("10.0.0.0/8",))
    ledger = json.loads(project.text("web/aws-us-east-1/stack.json"))
    assert ledger["tasks"] == [
        {
            "file": "tasks/web.yaml",
            "task": "web",
            "position": 0,
            "ports": ["8888", "9000-9005"],
            "rules": [
                {
                    "protocol": "tcp",
                    "from_port": first,
                    "to_port": last,
                    "sources": ["10.0.0.0/8"],
                    "description": None,
                }
                for first, last in ((8888, 8888), (9000, 9005))
            ],
            "retained": [],
        }
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"version": 2}',
        '{"version": 1}',
        "[" * 100_000,
        '{"version": 1, "cluster": "../x", "mode": "takeover", "tasks": []}',
    ],
)
def test_a_damaged_ledger_is_an_error_with_a_way_out(project: Project, text: str) -> None:
    task = project.task("80")
    project.compile(task)
    project.write("infra/web/aws-us-east-1/stack.json", text)
    assert project.refused(task) == ["ledger-invalid"]


def test_a_ledger_that_was_moved_is_noticed(project: Project) -> None:
    task = project.task("80")
    project.compile(task)
    project.folder.joinpath("infra/web/aws-us-east-1").rename(project.folder / "infra/web/aws-eu-west-1")
    assert project.refused(task) == ["ledger-invalid"]


def test_stacks_are_found_by_cluster_by_folder_and_all_of_them(project: Project) -> None:
    project.compile(project.task("80"), project.task("81", name="api", file="api.yaml"))
    with working_in(project.folder):
        for names in (
            ["web"],
            ["infra/web/aws-us-east-1"],
            ["web/aws-us-east-1"],
            ["infra/web"],
            ["infra/web/aws-us-east-1/"],
        ):
            assert [stack.name for stack in find_stacks("infra", names)] == ["web-aws-us-east-1"]
        assert [stack.cluster for stack in find_stacks("infra", [])] == ["api", "web"]
        assert find_stacks("elsewhere", []) == ()


@pytest.mark.parametrize("name", ["wbe", "../web", "/", ".", "", "infra", "modules"])
def test_an_unknown_cluster_is_an_error_with_a_suggestion(project: Project, name: str) -> None:
    project.compile(project.task("80"))
    with working_in(project.folder), pytest.raises(FindingsError) as caught:
        find_stacks("infra", [name])
    assert [item.code for item in caught.value.diagnostics] == ["cluster-unknown"]
    if name == "wbe":
        assert caught.value.diagnostics[0].help == "did you mean 'web'?"
