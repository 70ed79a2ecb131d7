"""The life of a stack with the real Terraform, the real AWS provider and a local AWS.

Each story runs once; its tests look at what came of its steps.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from skyports_tf.closing import close_stack, plan_close
from skyports_tf.diagnostics import TerraformError
from skyports_tf.lifecycle import (
    PLAN_FILE,
    RunSettings,
    apply_plan,
    plan_stack,
    read_status,
)
from skyports_tf.model import Stack
from skyports_tf.outcomes import (
    Node,
    PortChanges,
    PortRule,
    ResourceCounts,
    RuleChange,
    StackClosed,
    StackPlan,
    StackStatus,
)
from tests.conftest import Calls
from tests.support.local_aws import MotoServer, ec2, launch_nodes, reset
from tests.support.stacks import ANYWHERE, NAME_ON_CLOUD, Heard, compile_stack

V6 = "2001:db8::/32"
FIRST = {"8888": [ANYWHERE, V6], "9000-9005": [ANYWHERE]}
SECOND = {"8888": [V6], "9000-9010": [ANYWHERE], "7000": ["10.0.0.0/8"]}


def port_rule(first: int, last: int, *sources: str, tasks: tuple[str, ...] = ("web.yaml",)) -> PortRule:
    return PortRule("tcp", first, last, sources, tasks)


OPEN_FIRST = (port_rule(8888, 8888, ANYWHERE, V6), port_rule(9000, 9005, ANYWHERE))
OPEN_SECOND = (
    port_rule(7000, 7000, "10.0.0.0/8"),
    port_rule(8888, 8888, V6),
    port_rule(9000, 9010, ANYWHERE),
)


@dataclass
class Story:
    """What came of each step: results, the Terraform commands, and files that were seen."""

    folder: Path
    calls: Calls
    settings: RunSettings
    first: Stack
    second: Stack = field(init=False)
    heard: Heard = field(default_factory=Heard)
    plans: dict[str, StackPlan] = field(default_factory=dict)
    statuses: dict[str, StackStatus] = field(default_factory=dict)
    closed: dict[str, StackClosed] = field(default_factory=dict)
    commands: dict[str, list[str]] = field(default_factory=dict)
    plan_mode: int = 0

    @property
    def out(self) -> str:
        return str(self.folder / "infra")

    @property
    def stack_folder(self) -> Path:
        return Path(self.out) / self.first.directory

    def note(self, step: str) -> None:
        self.commands[step] = self.calls.since_last()


@pytest.fixture(scope="module")
def environment(moto: MotoServer, terraform_config: Path, aws_provider: dict[str, str]) -> Iterator[None]:
    ours = {**moto.env, **aws_provider, "TF_CLI_CONFIG_FILE": str(terraform_config)}
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name, value in ours.items():
            monkeypatch.setenv(name, value)
        yield


def new_story(
    tmp_path_factory: pytest.TempPathFactory,
    argv: tuple[str, ...],
    ports: Mapping[str, Sequence[str]],
    attach: bool = False,
) -> Story:
    folder = tmp_path_factory.mktemp("story")
    calls = Calls(folder, argv)
    stack = compile_stack(folder, ports, attach=attach)
    return Story(folder, calls, RunSettings(binary=str(calls.program)), stack)


@pytest.fixture(scope="module")
def story(
    environment: None,
    moto: MotoServer,
    terraform_argv: tuple[str, ...],
    tmp_path_factory: pytest.TempPathFactory,
) -> Story:
    """Open, look, change, find drift, and close what `sky down` has already removed."""
    reset(moto.url)
    story = new_story(tmp_path_factory, terraform_argv, FIRST)
    out, first, settings, heard = story.out, story.first, story.settings, story.heard

    story.statuses["never applied"] = read_status(out, first, settings)
    story.note("status, never applied")
    story.plans["first"] = plan_stack(out, first, settings, heard)
    story.plan_mode = stat.S_IMODE((story.stack_folder / PLAN_FILE).stat().st_mode)
    story.note("first plan")
    story.statuses["first"] = apply_plan(out, story.plans["first"], settings, heard)
    story.note("apply")
    story.statuses["read"] = read_status(out, first, settings)
    story.note("status")
    story.plans["no change"] = plan_stack(out, first, settings)
    story.note("plan without changes")

    second = story.second = compile_stack(story.folder, SECOND)
    story.plans["second"] = plan_stack(out, second, settings)
    story.note("plan with changes")
    story.statuses["second"] = apply_plan(out, story.plans["second"], settings)

    change_rule(moto, 9000, to_port=9500)
    story.plans["drift"] = plan_stack(out, second, settings)
    story.note("plan with drift")

    delete_group(moto, "sky-sg-web")
    story.plans["close"] = plan_close(out, second, settings)
    story.closed["gone"] = close_stack(out, story.plans["close"], settings)
    story.calls.since_last()
    story.plans["close again"] = plan_close(out, second, settings)
    story.closed["again"] = close_stack(out, story.plans["close again"], settings)
    story.note("close again")
    story.statuses["closed"] = read_status(out, second, settings)
    return story


def change_rule(moto: MotoServer, from_port: int, to_port: int) -> None:
    client = ec2(moto.url)
    rules = client.describe_security_group_rules()["SecurityGroupRules"]
    found = next(rule for rule in rules if rule.get("FromPort") == from_port)
    changed = {"IpProtocol": "tcp", "FromPort": from_port, "ToPort": to_port, "CidrIpv4": ANYWHERE}
    client.modify_security_group_rules(
        GroupId=found["GroupId"],
        SecurityGroupRules=[
            {"SecurityGroupRuleId": found["SecurityGroupRuleId"], "SecurityGroupRule": changed}
        ],
    )


def groups(moto: MotoServer) -> dict[str, str]:
    found = ec2(moto.url).describe_security_groups()["SecurityGroups"]
    return {group["GroupName"]: group["GroupId"] for group in found}


def delete_group(moto: MotoServer, name: str) -> None:
    ec2(moto.url).delete_security_group(GroupId=groups(moto)[name])


@pytest.mark.xdist_group("takeover")
class TestTakeover:
    def test_a_stack_that_was_never_applied_is_closed_without_running_terraform(self, story: Story) -> None:
        assert story.statuses["never applied"] == StackStatus(story.first, "closed")
        assert story.commands["status, never applied"] == []

    def test_the_first_plan_runs_init_and_plan_and_nothing_else(self, story: Story) -> None:
        assert story.commands["first plan"] == ["init", "plan"]

    def test_a_plan_says_what_opens_in_port_words(self, story: Story) -> None:
        assert story.plans["first"].changes == PortChanges(open=OPEN_FIRST)
        # the group, the rules between nodes and for SSH, egress for both families, three ports
        assert story.plans["first"].counts == ResourceCounts(create=8)

    def test_the_saved_plan_is_for_the_user_alone(self, story: Story) -> None:
        assert story.plan_mode == 0o600
        assert story.plans["first"].plan_file == str(story.stack_folder / PLAN_FILE)

    def test_apply_runs_that_plan_and_nothing_else(self, story: Story) -> None:
        assert story.commands["apply"] == [f"apply {PLAN_FILE}"]

    def test_apply_gives_the_status_that_came_of_it(self, story: Story) -> None:
        assert story.statuses["first"] == StackStatus(story.first, "open", rules=OPEN_FIRST)

    def test_status_reads_the_outputs_and_starts_no_provider(self, story: Story) -> None:
        assert story.statuses["read"] == story.statuses["first"]
        assert story.commands["status"] == ["output"]

    def test_progress_counts_to_the_number_of_planned_changes(self, story: Story) -> None:
        applied = [event for event in story.heard.events if event.phase == "apply"]
        assert {event.total for event in applied} == {8}
        assert [event.done for event in applied] == sorted(event.done for event in applied)
        assert applied[-1].done == 8
        assert {event.phase for event in story.heard.events} == {"init", "plan", "apply"}

    def test_a_plan_without_changes_runs_plan_alone_and_keeps_nothing(self, story: Story) -> None:
        assert story.commands["plan without changes"] == ["plan"]
        assert story.plans["no change"] == StackPlan(story.first, PortChanges(), ResourceCounts())

    def test_a_wider_range_changes_its_rule_in_place(self, story: Story) -> None:
        assert story.plans["second"].changes == PortChanges(
            open=(port_rule(7000, 7000, "10.0.0.0/8"),),
            change=(RuleChange(port_rule(9000, 9005, ANYWHERE), port_rule(9000, 9010, ANYWHERE)),),
            close=(port_rule(8888, 8888, ANYWHERE, tasks=()),),
        )
        assert story.plans["second"].counts == ResourceCounts(create=1, update=1, delete=1)
        assert story.statuses["second"].rules == OPEN_SECOND

    def test_what_a_rule_was_is_read_from_the_outputs_and_not_from_the_plan(self, story: Story) -> None:
        assert story.commands["plan with changes"] == ["plan", "output"]

    def test_what_a_rule_became_outside_terraform_is_what_the_plan_changes_it_from(
        self, story: Story
    ) -> None:
        before, after = port_rule(9000, 9500, ANYWHERE), port_rule(9000, 9010, ANYWHERE)
        assert story.plans["drift"].changes == PortChanges(change=(RuleChange(before, after),))
        assert story.commands["plan with drift"][-1].startswith("show skyports.")

    def test_destroy_after_sky_down_finds_nothing_to_delete_and_empties_the_state(self, story: Story) -> None:
        assert story.plans["close"].counts == ResourceCounts()
        assert story.closed["gone"] == StackClosed(
            story.second, PortChanges(), ResourceCounts(), verified_empty=True
        )

    def test_a_second_destroy_is_a_quiet_success_that_starts_no_provider(self, story: Story) -> None:
        assert story.closed["again"] == StackClosed(
            story.second, PortChanges(), ResourceCounts(), verified_empty=True
        )
        assert story.commands["close again"] == ["output", "state list"]

    def test_a_destroyed_stack_is_closed(self, story: Story) -> None:
        assert story.statuses["closed"] == StackStatus(story.second, "closed")

    def test_no_plan_is_left_behind(self, story: Story) -> None:
        assert not list(story.stack_folder.glob("*.tfplan"))


@dataclass
class AttachStory:
    """A cluster of two nodes that already runs."""

    nodes: list[str]
    status: StackStatus
    attached: dict[str, list[str]]
    closed: StackClosed
    detached: dict[str, list[str]]
    left: dict[str, str]


@pytest.fixture(scope="module")
def attach_story(
    environment: None,
    moto: MotoServer,
    terraform_argv: tuple[str, ...],
    tmp_path_factory: pytest.TempPathFactory,
) -> AttachStory:
    reset(moto.url)
    nodes = launch_nodes(moto.url, NAME_ON_CLOUD, 2)
    launch_nodes(moto.url, "other-a1b2c3d4", 1)
    story = new_story(tmp_path_factory, terraform_argv, {"8888": [ANYWHERE]}, attach=True)
    out, stack, settings = story.out, story.first, story.settings
    status = apply_plan(out, plan_stack(out, stack, settings), settings)
    attached = interface_groups(moto)
    closed = close_stack(out, plan_close(out, stack, settings), settings)
    return AttachStory(nodes, status, attached, closed, interface_groups(moto), groups(moto))


def interface_groups(moto: MotoServer) -> dict[str, list[str]]:
    """The groups on each node's network interfaces."""
    found = ec2(moto.url).describe_instances()["Reservations"]
    return {
        instance["InstanceId"]: sorted(
            group["GroupName"] for card in instance["NetworkInterfaces"] for group in card["Groups"]
        )
        for reservation in found
        for instance in reservation["Instances"]
    }


@pytest.mark.xdist_group("attach")
class TestAttach:
    def test_the_group_is_attached_to_the_nodes_of_the_cluster_alone(self, attach_story: AttachStory) -> None:
        assert {node for node, names in attach_story.attached.items() if "skyports-web" in names} == set(
            attach_story.nodes
        )

    def test_status_shows_the_nodes_the_head_first(self, attach_story: AttachStory) -> None:
        head, worker = attach_story.status.nodes
        assert (head.id, head.is_head, worker.id, worker.is_head) == (
            attach_story.nodes[0],
            True,
            attach_story.nodes[1],
            False,
        )
        assert all(isinstance(node, Node) and node.public_ip and node.private_ip for node in (head, worker))

    def test_destroy_detaches_the_group_before_it_deletes_it(self, attach_story: AttachStory) -> None:
        assert attach_story.closed.verified_empty
        assert attach_story.closed.changes == PortChanges(close=(port_rule(8888, 8888, ANYWHERE),))
        assert not any("skyports-web" in names for names in attach_story.detached.values())
        assert "skyports-web" not in attach_story.left


def test_terraforms_own_words_about_aws_reach_the_user(
    aws: MotoServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = compile_stack(tmp_path, FIRST, config={"aws": {"vpc": "no-such-vpc"}})
    out = tmp_path / "infra"
    with pytest.raises(TerraformError, match="terraform plan failed") as caught:
        plan_stack(str(out), stack, RunSettings())
    assert "no matching EC2 VPC found" in caught.value.output
    assert "modules/aws/main.tf line" in caught.value.output
    assert not list((out / stack.directory).glob("*.tfplan"))
