"""What SkyPilot's own config must say, and SSH: what people are told beside the ports."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from skyports_tf.clouds import load_cloud, managed_clouds
from skyports_tf.model import Stack
from skyports_tf.outcomes import PortChanges, PortRule, ResourceCounts, StackPlan
from skyports_tf.report.text import plan_text
from skyports_tf.running.ssh import opened_ssh
from skyports_tf.running.stream import PlannedChange, Record, Resource
from skyports_tf.sky_config import fill_names, name_for, sky_config_yaml
from skyports_tf.sources import parse_source
from tests.support.command_line import Answer, call, valid
from tests.support.pretend_terraform import pretend_terraform
from tests.support.project import Project

PODIP = {"kubernetes": {"ports": "podip"}}
GROUPS = {"nebius": {"security_group_name": [{"web": "sky-sg-web-a1b2c3d4"}]}}
WANTED = {"kubernetes": PODIP, "nebius": GROUPS}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project that may use two clouds with a config of SkyPilot's, and a pretend Terraform."""
    project = Project(tmp_path / "project")
    project.config(
        "user_hash: a1b2c3d4\nnebius: {project_id: project-e00, network_id: vpcnetwork-e00}\n"
        f"terraform:\n  binary: {pretend_terraform(tmp_path / 'bin')}\n"
    )
    return project


def told(text: str) -> list[tuple[str, Any]]:
    """The files that a text names, each block with the YAML that it quotes."""
    blocks = re.findall(
        r"^SkyPilot: +~/\.sky/config\.yaml must say, as (.+):\n((?:  .+(?:\n|$))+)", text, re.MULTILINE
    )
    return [(files, yaml.safe_load(lines)) for files, lines in blocks]


def json_of(answer: Answer, schema: str) -> Any:
    return valid(schema, answer.json)


# -- SkyPilot's config -----------------------------------------------------------------


@pytest.mark.parametrize("verb", [("compile",), ("plan",), ("apply", "--yes")], ids=lambda verb: verb[0])
@pytest.mark.parametrize("place", WANTED)
def test_a_verb_quotes_what_skypilots_config_must_say(
    verb: tuple[str, ...], place: str, project: Project
) -> None:
    project.task("8888", infra=place)
    answer = call(project.folder, *verb, "web.yaml")
    file = f"infra/web/{place}/sky-config.yaml"
    assert answer.code == 0
    assert told(answer.out) == [(file, WANTED[place])]
    assert yaml.safe_load((project.folder / file).read_text(encoding="utf-8")) == WANTED[place]


@pytest.mark.parametrize("verb", [("compile",), ("plan",), ("apply", "--yes")], ids=lambda verb: verb[0])
def test_json_holds_what_skypilots_config_must_say_or_null(verb: tuple[str, ...], project: Project) -> None:
    for place, wanted in {**WANTED, "aws": None}.items():
        project.task("8888", infra=place)
        answer = call(project.folder, *verb, "web.yaml", "--json", "--out", place)
        (stack,) = json_of(answer, verb[0])["stacks"]
        assert stack["sky_config"] == wanted


def test_stacks_that_want_the_same_are_told_together(project: Project) -> None:
    names = [
        project.task("8888", name=name, infra="kubernetes", file=f"{name}.yaml") for name in ("a", "b", "c")
    ]
    names.append(project.task("8888", infra="nebius"))
    two, one = told(call(project.folder, "compile", *names).out)
    assert two == (
        "infra/a/kubernetes/sky-config.yaml, infra/b/kubernetes/sky-config.yaml and 1 more",
        PODIP,
    )
    assert one == ("infra/web/nebius/sky-config.yaml", GROUPS)


def test_a_stack_without_ports_asks_nothing_of_skypilots_config(project: Project) -> None:
    project.task("8888", infra="kubernetes")
    call(project.folder, "compile", "web.yaml")
    answer = call(project.folder, "compile", "web.yaml", "--ports", "none", "--infra", "kubernetes")
    assert answer.code == 0
    assert told(answer.out) == []


def test_names_are_filled_in_where_they_are_known() -> None:
    facts = {"a": {"{cluster}": ["{group}", 1, {"b": "{unknown}"}]}, "c": True}
    filled = fill_names(facts, {"cluster": "web", "group": "sg: {x}"})
    assert filled == {"a": {"web": ["sg: {x}", 1, {"b": "{unknown}"}]}, "c": True}
    assert yaml.safe_load(sky_config_yaml(filled)) == filled


@pytest.mark.parametrize(
    ("setting", "cluster", "name"),
    [
        ("mine", "web", "mine"),
        ("of-{cluster}", "web", "of-web"),
        ([{"prod-*": "prod"}, {"web": "first"}, {"*": "rest"}], "web", "first"),
        ([{"Web": "other"}, {"w?b": "of-{cluster}"}], "web", "of-web"),
        ([{"prod-*": "prod"}], "web", None),
        ([], "web", None),
        (None, "web", None),
    ],
)
def test_a_name_by_pattern_is_found_as_skypilot_finds_it(
    setting: Any, cluster: str, name: str | None
) -> None:
    assert name_for(cluster, setting) == name


def test_a_group_that_skypilot_takes_for_the_users_is_told_to_it(project: Project) -> None:
    project.config('user_hash: a1b2c3d4\naws: {security_group_name: [{"w*": "of-{cluster}"}]}\n')
    wanted = {"aws": {"security_group_name": [{"web": "of-web"}]}}
    assert json_of(call(project.folder, "compile", project.task("8888"), "--json"), "compile")["stacks"][0][
        "sky_config"
    ] == (wanted)
    assert 'security_group_name = "of-web"' in project.text("web/aws-us-east-1/main.tf")
    assert yaml.safe_load(project.text("web/aws-us-east-1/sky-config.yaml")) == wanted
    assert 'output "sky_config"' in project.text("web/aws-us-east-1/outputs.tf")

    other = project.task("8888", name="db", file="db.yaml")
    call(project.folder, "compile", other)
    assert 'security_group_name = "sky-sg-db"' in project.text("db/aws-us-east-1/main.tf")
    assert "db/aws-us-east-1/sky-config.yaml" not in project.tree()
    assert 'output "sky_config"' not in project.text("db/aws-us-east-1/outputs.tf")


def test_a_group_beside_the_users_keeps_its_name_and_asks_nothing_of_skypilot(project: Project) -> None:
    project.config("user_hash: a1b2c3d4\naws: {security_group_name: theirs, mode: attach}\n")
    call(project.folder, "compile", project.task("8888"))
    assert 'security_group_name = "skyports-web"' in project.text("web/aws-us-east-1/main.tf")
    assert "web/aws-us-east-1/sky-config.yaml" not in project.tree()


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("5", "wrong-type"),
        ('[{"a": x, "b": y}]', "bad-value"),
        ("[a]", "wrong-type"),
        ("sg-1", "name-invalid"),
    ],
)
def test_a_group_name_that_cannot_be_is_refused(value: str, code: str, project: Project) -> None:
    project.config(f"user_hash: a1b2c3d4\naws: {{security_group_name: {value}}}\n")
    answer = call(project.folder, "compile", project.task("8888"))
    assert answer.code == 1
    assert f"error[{code}]" in answer.err


# -- SSH -------------------------------------------------------------------------------


def ssh_plan(
    *made: tuple[str, str | None], sources: tuple[str, ...] = ("0.0.0.0/0",)
) -> tuple[PortRule, ...]:
    """What a plan that creates these resources (name, key) opens for SSH."""
    stack = Stack(
        "web", "aws", "us-east-1", ssh_sources=tuple(map(parse_source, sources)), ssh_ports=(22, 10022)
    )
    planned = tuple(PlannedChange(Resource("x", "x", name, key), "create") for name, key in made)
    return opened_ssh(Record(planned=planned), stack)


def test_ssh_that_a_plan_opens_is_told_with_the_sources_of_its_rules() -> None:
    both = ("10.0.0.0/8", "0.0.0.0/0")
    assert ssh_plan(("port", "tcp-22@10.0.0.0/8"), ("self", None), sources=both) == ()
    (first, second) = ssh_plan(("ssh", "10.0.0.0/8"), sources=both)
    assert (first.from_port, second.from_port) == (22, 10022)
    assert first.sources == ("10.0.0.0/8",)
    for made in [("ssh", "ipv4"), ("port", None)]:
        assert {rule.sources for rule in ssh_plan(made, sources=both)} == {("0.0.0.0/0", "10.0.0.0/8")}


def test_a_plan_tells_ssh_in_one_quiet_line() -> None:
    stack = Stack("web", "aws", "us-east-1")
    changes = PortChanges(open=(PortRule("tcp", 8888, 8888, ("10.0.0.0/8",)),))
    ssh = ssh_plan(("ssh", "0.0.0.0/0"))
    text = plan_text([StackPlan(stack, changes, ResourceCounts(2), ssh=ssh)])
    assert "\x1b[2m  also ssh: tcp 22, 10022  0.0.0.0/0  to the internet\x1b[0m" in text.split("\n")
    assert "warning" not in text
    assert "ssh" not in plan_text([StackPlan(stack, changes, ResourceCounts(2))])


# -- the clouds ------------------------------------------------------------------------


def test_clouds_tell_how_they_take_over_and_where_each_limit_is_known_from(tmp_path: Path) -> None:
    text = " ".join(call(tmp_path, "clouds").out.split())
    document = json_of(call(tmp_path, "clouds", "--json"), "clouds")
    known = {cloud["name"]: cloud for cloud in document["clouds"]}
    for cloud in map(load_cloud, managed_clouds()):
        assert f"takeover {' '.join(cloud.takeover.split())}" in text
        assert known[cloud.name]["takeover"] == cloud.takeover
        for name, limit in cloud.limits.items():
            assert f"{'not verified; ' if limit.unverified else ''}source: {limit.source}" in text
            shown = known[cloud.name]["limits"][name]
            assert (shown["source"], shown["unverified"]) == (limit.source, limit.unverified)
    assert {cloud["takeover"] for cloud in known.values() if not cloud["managed"]} == {None}
    assert json.dumps(document)
