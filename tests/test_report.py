"""What a person reads: ports, not resources."""

from __future__ import annotations

from dataclasses import replace

import pytest

from skyports_tf.cli.console import Session
from skyports_tf.clouds import load_cloud, unmanaged_clouds
from skyports_tf.diagnostics import Diagnostic
from skyports_tf.model import LedgerEntry, Stack
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
from skyports_tf.ports import PortSet
from skyports_tf.report.catalog import clouds_text, names_text
from skyports_tf.report.json_output import tree_json
from skyports_tf.report.status import status_text
from skyports_tf.report.style import columns, count, style
from skyports_tf.report.text import applied_text, closed_text, closing_text, exposure_warnings, plan_text

ANYWHERE = ("0.0.0.0/0",)
OFFICE = ("203.0.113.0/24",)


def stack(cluster: str = "web") -> Stack:
    entry = LedgerEntry(f"{cluster}.yaml", cluster, 0, PortSet(), ())
    return Stack(cluster, "aws", "us-east-1", entries=(entry,))


def rule(
    first: int, last: int | None = None, sources: tuple[str, ...] = OFFICE, protocol: str = "tcp"
) -> PortRule:
    return PortRule(protocol, first, last or first, sources, ("web.yaml",))


def planned(changes: PortChanges, create: int = 0, update: int = 0, delete: int = 0) -> StackPlan:
    plan_file = "infra/web/aws-us-east-1/skyports.tfplan"
    return StackPlan(stack(), changes, ResourceCounts(create, update, delete), plan_file)


MIXED = planned(
    PortChanges(
        open=(rule(53, sources=OFFICE, protocol="udp"), rule(8888, sources=(*OFFICE, *ANYWHERE))),
        change=(RuleChange(rule(9000, 9005), rule(9000, 9010)),),
        close=(rule(22000, sources=ANYWHERE),),
    ),
    create=3,
    update=1,
    delete=1,
)


def plain(text: str) -> list[str]:
    """The lines of a report without its colours."""
    for code in ("0", "1", "2", "31", "32", "33", "36", "33;1", "1;32"):
        text = text.replace(f"\x1b[{code}m", "")
    assert "\x1b" not in text
    return text.split("\n")


def test_a_plan_says_what_opens_changes_and_closes_in_ports() -> None:
    assert plain(plan_text([MIXED])) == [
        "web-aws-us-east-1  web.yaml",
        "  + open    udp 53         203.0.113.0/24",
        "  + open    tcp 8888       203.0.113.0/24",
        "                           0.0.0.0/0       to the internet",
        "  ~ change  tcp 9000-9010  203.0.113.0/24  was tcp 9000-9005",
        "  - close   tcp 22000      0.0.0.0/0",
        "  ! warning: the whole internet (0.0.0.0/0) may reach tcp 8888",
        "",
        "Ports:      2 to open, 1 to change, 1 to close",
        "Terraform:  3 to create, 1 to update, 1 to delete",
        "Saved:      infra/web/aws-us-east-1/skyports.tfplan",
    ]


def test_a_plan_that_several_stacks_share_is_saved_once() -> None:
    lines = plain(plan_text([MIXED, replace(MIXED, stack=replace(MIXED.stack, cluster="other"))]))
    assert [line for line in lines if "skyports.tfplan" in line] == [f"Saved:      {MIXED.plan_file}"]


def test_the_internet_is_warned_of_once_per_stack() -> None:
    both = planned(
        PortChanges(open=tuple(rule(port, sources=("0.0.0.0/0", "::/0")) for port in (80, 443))), 4
    )
    text = "\n".join(plain(plan_text([both, both])))
    assert text.count("! warning:") == 2
    assert "the whole internet (0.0.0.0/0, ::/0) may reach tcp 80, tcp 443" in text


def test_a_long_list_of_exposed_ports_is_cut() -> None:
    many = planned(
        PortChanges(open=tuple(rule(port, sources=ANYWHERE) for port in (80, 8000, 443, 90, 9000, 7))), 6
    )
    assert any(
        "may reach tcp 7, tcp 80, tcp 90, tcp 443 and 2 more" in line for line in plain(plan_text([many]))
    )


def test_the_warning_is_a_finding_beside_json() -> None:
    (found,) = exposure_warnings([MIXED, planned(PortChanges(open=(rule(80),)), 1)])
    assert found == Diagnostic(
        "open-to-internet",
        "web-aws-us-east-1: the whole internet (0.0.0.0/0) may reach tcp 8888",
        severity="warning",
    )


def test_closing_a_port_to_the_internet_is_no_warning() -> None:
    closing = planned(PortChanges(close=(rule(80, sources=ANYWHERE),)), delete=1)
    assert exposure_warnings([closing]) == []
    assert "internet" not in plan_text([closing])


def test_a_plan_without_changes_says_so_and_saves_nothing() -> None:
    empty = StackPlan(stack(), PortChanges(), ResourceCounts())
    assert plain(plan_text([empty])) == [
        "web-aws-us-east-1  web.yaml",
        "  no changes",
        "",
        "Nothing to do: every port is as the tasks ask.",
    ]


def test_where_nothing_was_planned_no_port_is_said_to_be_right() -> None:
    assert plain(plan_text([])) == ["Nothing to do: there is no stack to plan."]


def test_changes_that_touch_no_port_are_told_as_such() -> None:
    tags = planned(PortChanges(), update=2)
    assert "  no port changes, but Terraform has 0 to create, 2 to update, 0 to delete" in plain(
        plan_text([tags])
    )


def test_a_changed_source_names_the_old_one() -> None:
    moved = planned(PortChanges(change=(RuleChange(rule(80), rule(80, sources=ANYWHERE)),)), update=1)
    assert any(
        line.endswith("was from 203.0.113.0/24, to the internet") for line in plain(plan_text([moved]))
    )


def test_totals_are_over_all_stacks() -> None:
    assert "Ports:      4 to open, 2 to change, 2 to close in 2 stacks" in plain(plan_text([MIXED, MIXED]))


def test_a_shutdown_lists_what_it_closes_and_then_proves_it() -> None:
    closing = planned(PortChanges(close=(rule(80, sources=ANYWHERE), rule(443))), delete=6)
    assert plain(closing_text([closing]))[1:3] == [
        "  - close  tcp 80   0.0.0.0/0",
        "  - close  tcp 443  203.0.113.0/24",
    ]
    assert plain(closing_text([closing]))[-2:] == ["Ports:      2 to close", "Terraform:  6 to delete"]
    done = StackClosed(stack(), closing.changes, closing.counts, verified_empty=True)
    assert plain(closed_text([done])) == [
        "web-aws-us-east-1  closed tcp 80, tcp 443 (6 resources deleted); nothing is left"
    ]


def test_a_stack_that_held_nothing_is_told_as_such() -> None:
    nothing = StackClosed(stack(), PortChanges(), ResourceCounts(), verified_empty=True)
    assert plain(closed_text([nothing])) == ["web-aws-us-east-1  nothing was open; nothing is left"]


def test_an_apply_counts_what_it_did() -> None:
    assert plain(applied_text([MIXED])) == ["Applied:    2 opened, 1 changed, 1 closed", "", ""]
    assert applied_text([StackPlan(stack(), PortChanges(), ResourceCounts())]) == ""


def test_a_status_shows_ports_sources_endpoints_and_nodes() -> None:
    nodes = (Node("i-0a", "203.0.113.7", "10.0.0.4", is_head=True), Node("i-0b", None, "10.0.0.5"))
    found = StackStatus(stack(), "open", (rule(8888, sources=(*OFFICE, *ANYWHERE)), rule(9000, 9005)), nodes)
    assert plain(status_text([found])) == [
        "web-aws-us-east-1  open",
        "  port           from                  endpoint",
        "  tcp 8888       203.0.113.0/24        203.0.113.7:8888",
        "                 0.0.0.0/0 (internet)",
        "  tcp 9000-9005  203.0.113.0/24        203.0.113.7:9000-9005",
        "  node         public       private",
        "  i-0a (head)  203.0.113.7  10.0.0.4",
        "  i-0b         -            10.0.0.5",
    ]


def test_a_status_without_nodes_says_what_to_do() -> None:
    lines = plain(status_text([StackStatus(stack(), "open", (rule(80),))]))
    assert lines[-1] == "  no nodes yet: after the launch, apply again to see the endpoints"


def test_a_state_that_cannot_be_read_is_unknown_with_the_reason() -> None:
    found = StackStatus(stack(), "unknown", reason="no such bucket")
    assert plain(status_text([found])) == ["web-aws-us-east-1  unknown: no such bucket"]


def test_no_text_of_the_user_steers_the_terminal() -> None:
    entry = LedgerEntry("\x1b[2Jevil.yaml", None, 0, PortSet(), ())
    evil = StackPlan(Stack("web", "aws", None, entries=(entry,)), PortChanges(), ResourceCounts())
    assert "\x1b[2J" not in plan_text([evil])
    assert "\\x1b[2Jevil.yaml" in plan_text([evil])


def test_columns_are_aligned_and_end_without_blanks() -> None:
    assert columns([("a", "bb", ""), ("ccc", "", "d")], indent=1) == [" a    bb", " ccc      d"]


def test_nothing_is_styled_where_there_is_no_text() -> None:
    assert style("", "bold") == ""
    assert style("x") == "x"
    assert style("x", "bold", "red") == "\x1b[1;31mx\x1b[0m"


def test_a_finding_that_several_stacks_have_in_common_is_told_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    finding = Diagnostic("terraform-warning", "groups-aws-us-east-1: an old provider", severity="warning")
    assert len(tree_json("infra", [], [finding, finding])["diagnostics"]) == 1
    Session().report([finding, finding])
    assert capsys.readouterr().err.count("an old provider") == 1


def test_a_count_agrees_with_its_noun() -> None:
    assert [count(number, "port") for number in (0, 1, 2)] == ["0 ports", "1 port", "2 ports"]


def test_clouds_are_shown_with_their_limits_or_the_reason_they_cannot_be_had() -> None:
    text = "\n".join(plain(clouds_text([load_cloud("aws")], [unmanaged_clouds()["lambda"]])))
    assert "aws  Amazon Web Services" in text
    assert "60: Inbound or outbound rules per security group" in text
    assert "not managed: lambda" in text
    assert all(len(line) <= 80 for line in text.split("\n"))


def test_a_name_that_needs_the_user_hash_says_so() -> None:
    assert plain(names_text({"aws": {"name_on_cloud": None, "security_group": "sky-sg-web"}})) == [
        "aws",
        "  name on cloud   unknown without a user hash",
        "  security group  sky-sg-web",
    ]
