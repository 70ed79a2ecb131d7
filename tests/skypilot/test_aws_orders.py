"""Every order in which SkyPilot and we can come to a cluster on AWS, with SkyPilot's real code.

SkyPilot's backend and its AWS provisioner, the real Terraform and the real AWS provider work on one
local AWS. docs/takeover.md says what an operator sees.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.skypilot.account import Account, Rule
from tests.skypilot.process import USER_HASH, Sky
from tests.support.command_line import Answer, call
from tests.support.project import Project

OFFICE = "203.0.113.0/24"
WORLD = "0.0.0.0/0"
GROUP = "sky-sg-web"
#: What a cluster's group holds beside its ports.
BASE = {("-1", -1, -1, "self"), ("tcp", 22, 22, OFFICE)}
SOURCES = ("--source", OFFICE, "--ssh-source", OFFICE)


def ours(project: Project, *words: str, code: int = 0) -> Answer:
    """Call our command line; it ends with `code`."""
    answer = call(project.folder, *words)
    assert answer.code == code, answer.out + answer.err
    return answer


def task(project: Project, ports: str, file: str = "web.yaml", nodes: int = 2) -> str:
    """Write a task of the cluster web, and give its path."""
    lines = ["name: web", f"num_nodes: {nodes}", "resources:", "  infra: aws/us-east-1"]
    lines += [f"  ports: {ports}", "run: echo hello", ""]
    return project.write(file, "\n".join(lines))


def launch(
    sky: Sky, account: Account, project: Project, file: str = "web.yaml", config: Path | None = None
) -> dict[str, Any]:
    """`sky launch -c web [--config CONFIG] FILE`."""
    answer: dict[str, Any] = sky(
        "launch",
        task=str(project.folder / file),
        cluster="web",
        image=account.image,
        config=str(config) if config else None,
    )
    return answer


def assert_no_change(project: Project, file: str = "web.yaml") -> None:
    """Nothing to do but to record the nodes; and when that is done, a plan is empty to Terraform too."""
    (stack,) = ours(project, "apply", "--yes", file, *SOURCES, "--json").json["stacks"]
    assert stack["changes"] == {"open": [], "change": [], "close": []}
    assert stack["terraform"] == {"create": 0, "update": 0, "delete": 0}
    ours(project, "plan", file, *SOURCES, "--detailed-exitcode")


def foreign(project: Project) -> set[Rule]:
    """The rules that drift finds foreign."""
    (stack,) = ours(project, "drift", "web", "--json", code=1).json["stacks"]
    return {
        (rule["protocol"], rule["from_port"], rule["to_port"], source)
        for rule in stack["foreign"]
        for source in rule["sources"]
    }


def assert_nothing_left(account: Account) -> None:
    """No node, no group of the cluster; SkyPilot never deletes the group that all its clusters share."""
    assert account.nodes() == {}
    assert [name for name in account.groups() if not name.startswith("sky-sg-tester-")] == []


def tcp(first: int, last: int | None = None, source: str = OFFICE) -> Rule:
    return ("tcp", first, last or first, source)


def test_ours_first_and_sky_down_before_destroy(account: Account, sky: Sky, project: Project) -> None:
    task(project, "[8888, 9000-9005]")
    ours(project, "apply", "--yes", "web.yaml", *SOURCES)
    group = account.groups()[GROUP]

    assert launch(sky, account, project)["ports"] == ["8888", "9000-9005"]
    assert [*account.nodes().values()] == [[GROUP], [GROUP]]
    assert account.groups()[GROUP] == group
    assert account.rules(GROUP) == {*BASE, tcp(8888), tcp(9000, 9005)}
    assert_no_change(project)

    sky("down", cluster="web")
    assert account.nodes() == {}
    assert GROUP not in account.groups(), "sky down deletes the group"
    (closed,) = ours(project, "destroy", "--yes", "web", "--json").json["stacks"]
    assert closed["verified_empty"]
    assert_nothing_left(account)


def test_skypilot_first_then_adopt(account: Account, sky: Sky, project: Project) -> None:
    task(project, "8888")
    launch(sky, account, project)
    group, opened = account.groups()[GROUP], account.rules(GROUP)
    assert opened == {("-1", -1, -1, "self"), tcp(22, source=WORLD), tcp(8888, source=WORLD)}

    adopted = ours(project, "adopt", "web", "--infra", "aws/us-east-1", "--yes")
    assert "to import, 0 to add, 0 to change, 0 to destroy" in adopted.out
    assert (account.groups()[GROUP], account.rules(GROUP)) == (group, opened)
    ours(project, "apply", "--yes", "web.yaml", *SOURCES)
    assert account.groups()[GROUP] == group
    assert account.rules(GROUP) == {*BASE, tcp(8888)}
    launch(sky, account, project)
    assert account.rules(GROUP) == {*BASE, tcp(8888)}
    sky("down", cluster="web")
    ours(project, "destroy", "--yes", "web")
    assert_nothing_left(account)


def test_ports_added_while_the_cluster_runs(account: Account, sky: Sky, project: Project) -> None:
    project.config(f"user_hash: {USER_HASH}\nretain: true\n")
    task(project, "8888")
    ours(project, "apply", "--yes", "web.yaml", *SOURCES)
    nodes = launch(sky, account, project)["created"]

    task(project, "9000-9005")
    ours(project, "apply", "--yes", "web.yaml", *SOURCES)
    again = launch(sky, account, project)
    assert (again["created"], again["ports"]) == ([], ["8888", "9000-9005"]), "SkyPilot keeps the old port"
    assert sorted(account.nodes()) == sorted(nodes)  # SkyPilot names them in any order
    assert account.rules(GROUP) == {*BASE, tcp(8888), tcp(9000, 9005)}
    assert_no_change(project)

    sky("stop", cluster="web")
    assert account.rules(GROUP) == {*BASE, tcp(8888), tcp(9000, 9005)}
    launch(sky, account, project)
    assert [*account.nodes().values()] == [[GROUP], [GROUP]]
    assert account.rules(GROUP) == {*BASE, tcp(8888), tcp(9000, 9005)}


def test_two_tasks_on_one_cluster(account: Account, sky: Sky, project: Project) -> None:
    task(project, "8888")
    task(project, "[9000, 9002-9003]", "train.yaml")
    ours(project, "apply", "--yes", "web.yaml", *SOURCES)
    launch(sky, account, project)
    ours(project, "apply", "--yes", "train.yaml", "--cluster", "web", *SOURCES)
    second = launch(sky, account, project, "train.yaml")
    assert second["ports"] == ["8888", "9000", "9002-9003"]
    assert account.rules(GROUP) == {*BASE, tcp(8888), tcp(9000), tcp(9002, 9003)}
    assert_no_change(project, "web.yaml")


def test_sky_down_never_comes_and_the_nodes_end_by_themselves(
    account: Account, sky: Sky, project: Project
) -> None:
    task(project, "8888")
    ours(project, "apply", "--yes", "web.yaml", *SOURCES)
    launch(sky, account, project)
    account.kill_nodes()
    assert account.rules(GROUP) == {*BASE, tcp(8888)}, "nobody closes the ports"
    ours(project, "reap", "--grace", "0", "--no-sky")
    assert_nothing_left(account)
    ours(project, "destroy", "--yes", "web")
    assert not sky("refresh", cluster="web")["known"], "SkyPilot cleans up with the group gone"
    assert_nothing_left(account)


def test_destroy_before_sky_down(account: Account, sky: Sky, project: Project) -> None:
    task(project, "8888")
    ours(project, "apply", "--yes", "web.yaml", *SOURCES)
    nodes = launch(sky, account, project)["created"]

    held = call(project.folder, "destroy", "--yes", "web", "--timeout", "3s")
    assert held.code == 1
    assert [node for node in nodes if node not in held.err] == [], "the holders are named"
    assert account.rules(GROUP) == BASE, "the ports are closed all the same"
    assert [*account.nodes().values()] == [[GROUP], [GROUP]]

    sky("down", cluster="web")
    (closed,) = ours(project, "destroy", "--yes", "web", "--json").json["stacks"]
    assert closed["verified_empty"]
    ours(project, "destroy", "--yes", "web")
    assert_nothing_left(account)


def test_a_port_that_was_not_applied_is_opened_by_skypilot_and_told_by_drift(
    account: Account, sky: Sky, project: Project
) -> None:
    task(project, "8888")
    ours(project, "apply", "--yes", "web.yaml", *SOURCES)
    task(project, "[7000, 8888]")
    launch(sky, account, project)
    assert account.rules(GROUP) == {*BASE, tcp(8888), tcp(7000, source=WORLD)}
    assert foreign(project) == {("tcp", 7000, 7000, WORLD)}


def test_a_cluster_that_was_launched_without_ports_moves_into_our_group(
    account: Account, sky: Sky, project: Project
) -> None:
    task(project, "null")
    launch(sky, account, project)
    (shared,) = account.groups()
    assert [*account.nodes().values()] == [[shared], [shared]]
    task(project, "8888")
    ours(project, "apply", "--yes", "web.yaml", *SOURCES)
    launch(sky, account, project)
    assert [*account.nodes().values()] == [[GROUP], [GROUP]]
    assert account.rules(GROUP) == {*BASE, tcp(8888)}


def test_a_zone_without_capacity_costs_the_group_that_skypilot_takes_for_its_own(
    account: Account, sky: Sky, project: Project
) -> None:
    task(project, "8888")
    ours(project, "apply", "--yes", "web.yaml", *SOURCES)
    group = account.groups()[GROUP]
    account.fill_first_zone()
    launch(sky, account, project)
    # it has cleaned up after the zone: our group with the nodes that were not
    assert account.groups()[GROUP] != group
    assert account.rules(GROUP) == {
        ("-1", -1, -1, "self"),
        tcp(22, source=WORLD),
        tcp(8888, source=WORLD),
    }
    assert foreign(project) == {tcp(22, source=WORLD), tcp(8888, source=WORLD)}
    # the way out: forget the group that is gone, then take over the one that is there
    ours(project, "destroy", "--yes", "web")
    ours(project, "adopt", "web", "--yes")
    assert account.open_to(GROUP, WORLD) == {22, 8888}, "nothing has closed so far"
    ours(project, "apply", "--yes", "web.yaml", *SOURCES)
    assert account.rules(GROUP) == {*BASE, tcp(8888)}


def test_a_group_that_skypilot_takes_for_the_users_stays_whatever_happens(
    account: Account, sky: Sky, project: Project
) -> None:
    project.config(f"user_hash: {USER_HASH}\naws:\n  security_group_name: team-{{cluster}}\n")
    task(project, "8888")
    ours(project, "apply", "--yes", "web.yaml", *SOURCES)
    group = account.groups()["team-web"]
    account.fill_first_zone()
    launch(sky, account, project, config=project.folder / "infra/web/aws-us-east-1/sky-config.yaml")
    assert account.groups() == {"team-web": group}
    assert [*account.nodes().values()] == [["team-web"], ["team-web"]]
    assert account.rules("team-web") == {*BASE, tcp(8888)}
    assert_no_change(project)

    sky("down", cluster="web")
    assert account.nodes() == {}
    assert account.groups() == {"team-web": group}
    (closed,) = ours(project, "destroy", "--yes", "web", "--json").json["stacks"]
    assert closed["verified_empty"]
    assert account.groups() == {}


@pytest.mark.parametrize("guarded", [False, True], ids=["as it is", "with a rule for all of another group"])
def test_a_group_of_the_users_that_we_do_not_know_is_opened_by_skypilot(
    guarded: bool, account: Account, sky: Sky, project: Project
) -> None:
    """SkyPilot says that it skips the ports, and opens them; but for a rule that lets all of a group in."""
    account.make_group("corp", OFFICE, guarded=guarded)
    config = project.write("sky.yaml", "aws: {security_group_name: corp}\n")
    task(project, "8888")
    launch(sky, account, project, config=project.folder / config)
    assert "Skip opening ports" in sky.log
    assert account.open_to("corp", WORLD) == (set() if guarded else {8888})
    sky("down", cluster="web")
    assert account.open_to("corp", WORLD) == (set() if guarded else {8888}), "nobody closes it"


@pytest.mark.usefixtures("program")
def test_our_launch_keeps_the_group_when_a_zone_has_no_capacity_and_our_down_removes_it(
    account: Account, project: Project
) -> None:
    task(project, "8888")
    account.fill_first_zone()
    launched = ours(project, "launch", "web.yaml", "--yes", *SOURCES)
    assert "8888" in launched.out
    assert [*account.nodes().values()] == [[GROUP], [GROUP]]
    assert account.rules(GROUP) == {*BASE, tcp(8888)}
    ours(project, "plan", "web.yaml", *SOURCES, "--detailed-exitcode")
    ours(project, "down", "web", "--yes")
    assert account.groups() == {}
    assert_nothing_left(account)
