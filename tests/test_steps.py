"""Applies in steps with the real Terraform: what opens goes first, held against the plan that was shown."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click import unstyle

from skyports_tf.diagnostics import FindingsError, TerraformError
from skyports_tf.lifecycle import PLAN_FILE, ProgressEvent, RunSettings, apply_plan, plan_stack, read_status
from skyports_tf.model import IngressRule, PackedRule
from skyports_tf.outcomes import PortRule, StackPlan
from skyports_tf.ports import PortSet
from skyports_tf.report.json_output import planned_json
from skyports_tf.report.text import applied_text, plan_text
from skyports_tf.running.planfiles import files_digests
from tests.support.stacks import ANYWHERE, Heard, aws_stack, rule, write_local_stack

SETTINGS = RunSettings()


class Story:
    """A stack without a cloud, applied as it is edited."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.heard = Heard()

    def plan(self, *rules: IngressRule, settings: RunSettings = SETTINGS) -> StackPlan:
        self.stack = aws_stack(*rules)
        self.folder = write_local_stack(self.out, self.stack)
        return plan_stack(str(self.out), self.stack, settings)

    def apply(self, plan: StackPlan) -> list[str]:
        status = apply_plan(str(self.out), plan, SETTINGS, self.heard)
        assert not status.warnings
        return ports(status.rules)

    def open(self) -> list[str]:
        return ports(read_status(str(self.out), self.stack, SETTINGS).rules)

    def held(self) -> list[str]:
        """The addresses in the state."""
        state = json.loads((self.folder / "terraform.tfstate").read_text(encoding="utf-8"))
        keys = [instance["index_key"] for item in state["resources"] for instance in item["instances"]]
        return [f'terraform_data.port["{key}"]' for key in keys]

    def made(self) -> list[str]:
        """What was done, in order: step and message."""
        return [
            f"{event.step}: {event.message.partition(':')[0].partition('.')[2]}"
            for event in self.heard.events
            if "complete after" in event.message
        ]


def ports(rules: tuple[PortRule, ...]) -> list[str]:
    return [f"{rule.from_port}-{rule.to_port}" for rule in rules]


@pytest.fixture
def story(tmp_path: Path, local_terraform: tuple[str, ...]) -> Story:
    return Story(tmp_path)


def address(first: int) -> str:
    return f'terraform_data.port["tcp-{first}@{ANYWHERE}"]'


def test_a_range_that_splits_opens_its_upper_half_before_it_shrinks(story: Story) -> None:
    story.apply(story.plan(rule("9000-9010")))
    plan = story.plan(rule("9000-9004"), rule("9006-9010"))
    assert (plan.steps, plan.opening) == (2, ((address(9006),),))
    assert story.apply(plan) == ["9000-9004", "9006-9010"]
    assert story.made()[1:] == [
        f'step 1 of 2: port["tcp-9006@{ANYWHERE}"]',
        f'step 2 of 2: port["tcp-9000@{ANYWHERE}"]',
    ]
    assert not (story.folder / PLAN_FILE).exists()
    assert not story.plan(rule("9000-9004"), rule("9006-9010")).counts.any


def test_ranges_that_merge_widen_one_before_the_other_goes(story: Story) -> None:
    story.apply(story.plan(rule("9000-9004"), rule("9006-9010")))
    plan = story.plan(rule("9000-9010"))
    assert plan.opening == ((address(9000),),)
    assert story.apply(plan) == ["9000-9010"]
    assert story.made()[2:] == [
        f'step 1 of 2: port["tcp-9000@{ANYWHERE}"]',
        f'step 2 of 2: port["tcp-9006@{ANYWHERE}"]',
    ]


@pytest.mark.parametrize(
    "rules",
    [
        pytest.param([rule("9000-9010"), rule("80")], id="one more"),
        pytest.param([rule("9000-9020")], id="wider"),
        pytest.param([rule("9000-9001")], id="narrower"),
        pytest.param([rule("80")], id="others"),
        pytest.param([], id="none"),
    ],
)
def test_an_edit_that_moves_nothing_is_one_step(story: Story, rules: list[IngressRule]) -> None:
    story.apply(story.plan(rule("9000-9010"), rule("70")))
    plan = story.plan(*rules)
    assert (plan.steps, plan.warnings) == (1, ())


def test_progress_counts_on_through_the_steps(story: Story) -> None:
    story.apply(story.plan(rule("9000-9010")))
    story.heard.events.clear()
    story.apply(story.plan(rule("9000-9004"), rule("9006-9010")))
    applied = [event for event in story.heard.events if event.phase == "apply"]
    assert [(event.step, event.done, event.total) for event in (applied[0], applied[-1])] == [
        ("step 1 of 2", 0, 2),
        ("step 2 of 2", 2, 2),
    ]
    assert [event.done for event in applied] == sorted(event.done for event in applied)
    assert [
        event.message for event in applied if "the rest" in event.message or "first" in event.message
    ] == [
        "Opening first",
        "Closing the rest",
    ]


def die_between_the_steps(story: Story, plan: StackPlan) -> None:
    def die(event: ProgressEvent) -> None:
        if event.step == "step 2 of 2":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        apply_plan(str(story.out), plan, SETTINGS, die)


def test_who_is_killed_between_the_steps_leaves_more_open_and_the_next_plan_is_the_rest(story: Story) -> None:
    story.apply(story.plan(rule("9000-9010")))
    plan = story.plan(rule("9000-9004"), rule("9006-9010"))
    die_between_the_steps(story, plan)
    assert story.open() == ["9000-9010"]
    rest = story.plan(rule("9000-9004"), rule("9006-9010"))
    assert (rest.steps, rest.counts.create, rest.counts.update) == (1, 0, 1)
    assert story.apply(rest) == ["9000-9004", "9006-9010"]


def test_a_kill_and_another_edit_still_close_nothing_that_is_wanted(story: Story) -> None:
    story.apply(story.plan(rule("9000-9010")))
    plan = story.plan(rule("9000-9004"), rule("9006-9010"))
    die_between_the_steps(story, plan)
    # 9006-9010 stays wanted and moves again: what the outputs say is of an earlier time
    later = story.plan(rule("9001-9010"))
    assert later.opening == ((address(9001),),)
    assert story.apply(later) == ["9001-9010"]


def test_files_that_change_after_the_plan_was_shown_stop_it_before_anything_is_done(story: Story) -> None:
    story.apply(story.plan(rule("9000-9010")))
    plan = story.plan(rule("9000-9004"), rule("9006-9010"))
    write_local_stack(story.out, aws_stack(rule("9000-9004"), rule("9006-9020")))
    with pytest.raises(FindingsError, match="no longer the one that was shown: its files have changed"):
        apply_plan(str(story.out), plan, SETTINGS)
    assert story.open() == ["9000-9010"]


def test_a_step_that_would_do_more_than_was_shown_is_refused(story: Story) -> None:
    story.apply(story.plan(rule("9000-9010"), rule("80")))
    plan = story.plan(rule("9000-9004"), rule("9006-9010"), rule("80"))
    shown = tuple(item for item in plan.shown if item[0] != address(9000))
    with pytest.raises(FindingsError) as caught:
        apply_plan(str(story.out), replace(plan, shown=shown), SETTINGS)
    (finding,) = caught.value.diagnostics
    assert finding.code == "plan-replaced"
    assert address(9000) in finding.message
    # the first step was as shown, and has opened
    assert address(9006) in story.held()
    assert story.open() == ["80-80", "9000-9010"]


def test_a_step_that_fails_tells_terraforms_words_without_those_on_targets(story: Story) -> None:
    story.apply(story.plan(rule("9000-9010")))
    plan = story.plan(rule("9000-9004"), rule("9006-9010"))
    with pytest.raises(TerraformError) as caught:
        apply_plan(str(story.out), replace(plan, opening=(("no address",),)), SETTINGS)
    assert "target" not in caught.value.output.lower().replace("invalid target", "")


@pytest.mark.parametrize(("quota", "steps"), [(6, 1), (7, 2)])
def test_where_the_quota_has_no_room_for_both_it_is_one_step_and_a_warning(
    story: Story, quota: int, steps: int
) -> None:
    many = [rule(str(port)) for port in (100, 102, 104, 106)]
    story.apply(story.plan(*many, rule("9000-9010")))
    story.plan(*many, rule("9002-9010"))
    packed = tuple(
        PackedRule(item.key, ((item.protocol, PortSet((item.ports,))),), (item.source,))
        for item in story.stack.rules
    )
    # one rule more is that of all traffic among the nodes
    stack = replace(story.stack, packed=packed, settings={"rules_per_security_group": quota})
    plan = plan_stack(str(story.out), stack, SETTINGS)
    assert plan.steps == steps
    assert [item.code for item in plan.warnings] == ["gap-possible"] * (2 - steps)
    if steps == 1:
        assert "tcp 9002-9010 from 0.0.0.0/0 may be closed for a moment: the cloud's quota" in str(
            plan.warnings[0].message
        )
    assert story.apply(plan)[-1] == "9002-9010"


def test_a_plan_in_steps_says_so_and_what_plain_terraform_does_not(story: Story) -> None:
    story.apply(story.plan(rule("9000-9010")))
    plan = story.plan(rule("9000-9004"), rule("9006-9010"))
    text = unstyle(plan_text([plan]))
    assert "  in two steps: open first, then close\n" in text
    assert "`terraform apply` of a saved plan knows no steps" in text
    assert unstyle(applied_text([plan])) == "Applied:    1 opened, 1 changed, 0 closed, in two steps\n\n"
    assert planned_json({}, plan)["steps"] == 2
    assert " steps" not in plan_text([story.plan(rule("9000-9004"))])


def test_a_plan_file_without_a_configuration_has_no_digest(tmp_path: Path) -> None:
    path = tmp_path / "plan"
    path.write_bytes(b"encrypted")
    assert files_digests(path, [aws_stack()]) == [""]
    assert files_digests(tmp_path / "none", [aws_stack()]) == [""]
