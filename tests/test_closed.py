"""Closing every port and keeping the rest: the root variable `closed`, and the plan that sets it."""

from __future__ import annotations

from pathlib import Path

import pytest

from skyports_tf.lifecycle import RunSettings, apply_plan, plan_closed, plan_stack, read_status
from tests.support.life import Life, reach
from tests.support.local_aws import MotoServer, ec2
from tests.support.stacks import ANYWHERE, compile_stack

ASKED = "[8000-8003, 9000]"


def test_on_every_cloud_the_ports_close_and_the_rest_stays(life: Life) -> None:
    stack = life.compile(ASKED)
    life.launch(stack)
    life.apply(life.plan(stack))
    before = kinds(life)
    closing = life.plan_closed(stack)
    assert {port for _, port, _ in reach(closing.changes.close)} == {8000, 8001, 8002, 8003, 9000}
    assert not closing.changes.open and not closing.changes.change
    assert life.apply(closing).rules == ()
    assert life.status(stack).state == "closed"
    port_kind = life.facts["port_resource"]
    kept = {kind for kind in before if kind != port_kind or life.facts.get("one_object")}
    assert kept <= kinds(life)
    assert "8000" not in str(life.cloud.objects(port_kind))

    assert not life.plan_closed(stack).counts.any
    again = life.plan(stack)
    assert {port for _, port, _ in reach(again.changes.open)} == {8000, 8001, 8002, 8003, 9000}


def kinds(life: Life) -> set[str]:
    return {kind for kind, found in life.cloud.objects().items() if found}


@pytest.mark.parametrize("attach", [False, True], ids=["takeover", "attach"])
def test_on_aws_the_group_stays_with_what_is_no_port(aws: MotoServer, tmp_path: Path, attach: bool) -> None:
    settings, out = RunSettings(), str(tmp_path / "infra")
    stack = compile_stack(tmp_path, {"8888": [ANYWHERE], "22": [ANYWHERE]}, attach=attach)
    apply_plan(out, plan_stack(out, stack, settings), settings)
    apply_plan(out, plan_closed(out, stack, settings), settings)
    assert read_status(out, stack, settings).state == "closed"
    (group,) = [
        item
        for item in ec2(aws.url).describe_security_groups()["SecurityGroups"]
        if "web" in item["GroupName"]
    ]
    reached = {rule.get("FromPort") for rule in group["IpPermissions"]}
    # from the nodes themselves, and SSH
    assert reached == (set() if attach else {None, 22})
