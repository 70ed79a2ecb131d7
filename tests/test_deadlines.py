"""Ports that close at a time: from the config to the ledger, the plan and the status."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from skyports_tf.config import read_config
from skyports_tf.deadlines import Expiration, expirations, expire_stack
from skyports_tf.diagnostics import FindingsError
from skyports_tf.ledger import read_stack
from skyports_tf.model import Grant, LedgerEntry, Stack
from skyports_tf.ports import PortSet, parse_port_range
from skyports_tf.recompile import recompile_stacks, reset_expiry, stamp_expiry
from skyports_tf.sources import parse_source
from tests.support.command_line import call, valid
from tests.support.pretend_terraform import pretend_terraform
from tests.support.project import Project, working_in
from tests.support.stacks import ANYWHERE

NOW = datetime(2026, 11, 24, 20, tzinfo=timezone.utc)
LATER = NOW + timedelta(hours=9)
PLACE = "web/aws-us-east-1"
LEDGER = f"{PLACE}/stack.json"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project with a pretend Terraform, which opens 8888."""
    project = Project(tmp_path / "project")
    project.config(settings(tmp_path))
    return project


def settings(folder: Path, more: str = "") -> str:
    return f"terraform:\n  binary: {pretend_terraform(folder / 'bin')}\n{more}"


def configure(project: Project, more: str) -> None:
    project.config(settings(project.folder.parent, more))


def specs(project: Project) -> dict[str, str | None]:
    """What each grant of the ledger says of its time, by its ports."""
    return {str(grant.ports): grant.expires for grant in grants(project)}


def grants(project: Project) -> list[Grant]:
    return [grant for entry in project.stack().entries for grant in (*entry.grants, *entry.retained)]


def begin(project: Project, *tasks: str, at: datetime = NOW, **rest: Any) -> Stack:
    """Compile as `apply` does, and begin what it applies."""
    compilation = project.compile(*tasks, now=at, **rest)
    with working_in(project.folder):
        return stamp_expiry("infra", compilation.stacks[0].stack, at)


def ends(stack: Stack, now: datetime | None = None) -> list[tuple[str, str | None, bool]]:
    return [(str(item.ports), item.at, item.expired) for item in expirations(stack, now)]


# -- the config and the command line ---------------------------------------------------


def test_the_narrower_setting_wins_and_the_command_line_over_all(project: Project) -> None:
    configure(
        project,
        """\
expires: 3d
rules:
  - cluster: "w*"
    expires: 8h
    ports:
      81: {expires: 2026-12-01}
      "82-83": {expires: 2026-12-01T18:00:00+01:00}
      84: {expires: "2026-12-01T18:00Z"}
      85: {expires: never}
      86: {description: as the cluster}
""",
    )
    task = project.task("80-86")
    project.compile(task)
    assert specs(project) == {
        "80": "8h",
        "81": "2026-12-01",
        "82-83": "2026-12-01T17:00:00Z",
        "84": "2026-12-01T18:00:00Z",
        "85": "never",
        "86": "8h",
    }
    project.compile(project.task("80", name="other", file="other.yaml"))
    assert [grant.expires for grant in project.stack("other/aws-us-east-1").entries[0].grants] == ["3d"]
    project.compile(task, expires="90m")
    assert set(specs(project).values()) == {"1h30m"}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("expires: soon\n", 1),
        ("expires: 8\n", 1),
        ("expires: 1:30\n", 1),
        ("expires: [8h]\n", 1),
        ("expires: 2026-12-01 18:00:00\n", 1),
        ("rules:\n  - cluster: x\n    expires: 0h\n", 3),
        ("rules:\n  - cluster: x\n    ports:\n      80: {expires: 99999d}\n", 4),
    ],
)
def test_a_bad_expiry_in_the_config_is_told_with_its_place_and_a_way_out(
    project: Project, text: str, line: int
) -> None:
    project.config(text)
    with pytest.raises(FindingsError) as caught:
        project.look(project.task("80"))
    (finding,) = caught.value.diagnostics
    assert (finding.code, finding.path) == ("bad-expiry", "skyports.yaml")
    assert finding.span is not None
    assert finding.span.line == line
    assert "8h" in (finding.help or "")


def test_a_bad_expiry_on_the_command_line_is_a_finding_and_nothing_is_written(project: Project) -> None:
    project.task("8888")
    answer = call(project.folder, "compile", "web.yaml", "--expires", "tomorrow", "--json")
    (finding,) = answer.json["diagnostics"]
    assert (answer.code, finding["code"]) == (1, "bad-expiry")
    assert "--expires: 'tomorrow' is no duration and no date" in finding["message"]
    assert not project.folder.joinpath("infra").exists()


# -- the ledger ------------------------------------------------------------------------


def test_a_tree_without_expiry_says_nothing_of_it(project: Project) -> None:
    project.compile(project.task("8888"))
    assert "expires" not in project.text(LEDGER)
    assert "closed" not in project.text(LEDGER)


def test_compiling_is_the_same_at_any_time_and_only_an_apply_begins_a_duration(project: Project) -> None:
    task = project.task("[80, 90]")
    project.compile(task, expires="8h")
    before = project.tree()
    project.compile(task, now=LATER)
    assert project.tree() == before
    assert ends(project.stack()) == [("80", None, False), ("90", None, False)]
    stack = begin(project, task)
    assert (
        ends(stack)
        == ends(project.stack())
        == [(port, "2026-11-25T04:00:00Z", False) for port in ("80", "90")]
    )
    assert [name for name in project.tree() if project.tree()[name] != before[name]] == [LEDGER]


def test_a_ledger_with_every_kind_of_time_is_read_as_it_was_written(project: Project) -> None:
    configure(
        project,
        "expires: 2h\nrules: [{cluster: web, ports: {81: {expires: never}, 82: {expires: 2026-11-01}}}]\n",
    )
    begin(project, project.task("[80, 81, 82]"))
    begin(project, project.task("[80, 81]", file="b.yaml"), expires="3d")
    document = json.loads(project.text(LEDGER))
    rules = [{**rule, "sources": None} for task in document["tasks"] for rule in task["rules"]]
    assert [tuple(list(rule.items())[5:]) for rule in rules] == [
        (("expires", "3d"), ("configured", "2h"), ("expires_at", "2026-11-27T20:00:00Z")),
        (("expires", "3d"), ("configured", "never"), ("expires_at", "2026-11-27T20:00:00Z")),
        (("expires", "2h"), ("expires_at", "2026-11-24T22:00:00Z")),
        (("expires", "never"),),
        (("expires", "2026-11-01"), ("expires_at", "2026-11-02T00:00:00Z"), ("closed", True)),
    ]
    before = project.tree()
    with working_in(project.folder):
        stack = project.stack()
        assert (
            recompile_stacks("infra", [stack], lambda now: now.entries, read_config("skyports.yaml")).pending
            == ()
        )
    project.compile("web.yaml", "b.yaml")
    assert project.tree() == before


@pytest.mark.parametrize(
    "change",
    [
        {"expires": "soon"},
        {"expires": 8},
        {"expires_at": "2026-11-25"},
        {"expires_at": 5},
        {"configured": "x"},
        {"closed": "no"},
    ],
)
def test_a_time_in_the_ledger_that_cannot_be_read_is_a_damaged_ledger(
    project: Project, change: dict[str, object]
) -> None:
    task = project.task("80")
    begin(project, task, expires="8h")
    document = json.loads(project.text(LEDGER))
    document["tasks"][0]["rules"][0].update(change)
    project.write(f"infra/{LEDGER}", json.dumps(document))
    assert project.refused(task) == ["ledger-invalid"]


def test_an_apply_begins_only_what_it_applies(project: Project) -> None:
    applied = project.compile(project.task("80", file="a.yaml"), expires="8h").stacks[0].stack
    project.compile(project.task("90", file="b.yaml"), expires="8h")
    with working_in(project.folder):
        stamp_expiry("infra", applied, NOW)
    assert ends(project.stack()) == [("80", "2026-11-25T04:00:00Z", False), ("90", None, False)]


# -- edits -----------------------------------------------------------------------------


def test_applying_the_same_again_does_not_prolong_and_expires_renews(project: Project) -> None:
    task = project.task("80")
    begin(project, task, expires="8h")
    begin(project, task, at=NOW + timedelta(hours=1))
    assert ends(project.stack()) == [("80", "2026-11-25T04:00:00Z", False)]
    begin(project, task, at=NOW + timedelta(hours=2), expires="8h")
    assert ends(project.stack()) == [("80", "2026-11-25T06:00:00Z", False)]
    begin(project, task, expires="never")
    assert ends(project.stack()) == []
    begin(project, task)
    assert ends(project.stack()) == []


def test_another_word_of_the_config_begins_anew_and_another_spelling_does_not(project: Project) -> None:
    task = project.task("80")
    for hours, spec, end in (
        (0, "expires: 8h", "2026-11-25T04:00:00Z"),
        (1, "expires: 480m", "2026-11-25T04:00:00Z"),
        (2, "expires: 9h", "2026-11-25T07:00:00Z"),
        (3, "expires: 2026-11-30", "2026-12-01T00:00:00Z"),
        (4, "", None),
        (5, "expires: 1h", "2026-11-25T02:00:00Z"),
    ):
        configure(project, f"{spec}\n")
        begin(project, task, at=NOW + timedelta(hours=hours))
        assert ends(project.stack()) == ([("80", end, False)] if end else [])


def test_what_the_command_line_said_holds_until_the_config_says_something_new(project: Project) -> None:
    task = project.task("80")
    configure(project, "expires: 8h\n")
    begin(project, task, expires="2h")
    begin(project, task, at=NOW + timedelta(hours=1))
    assert ends(project.stack()) == [("80", "2026-11-24T22:00:00Z", False)]
    configure(project, "expires: 9h\n")
    begin(project, task, at=NOW + timedelta(hours=1))
    assert ends(project.stack()) == [("80", "2026-11-25T06:00:00Z", False)]


def test_a_wider_range_keeps_the_deadline_of_its_old_ports_alone(project: Project) -> None:
    begin(project, project.task("8000-8010"), expires="8h")
    task = project.task("8000-8020")
    begin(project, task, at=NOW + timedelta(hours=1))
    # the command line said nothing of the new ports
    assert ends(project.stack()) == [("8000-8010", "2026-11-25T04:00:00Z", False)]
    assert [str(rule.ports) for rule in project.stack().rules] == ["8000-8020"]


def test_ranges_that_split_and_merge_keep_their_deadlines(project: Project) -> None:
    configure(project, "expires: 8h\n")
    begin(project, project.task("8000-8010"))
    begin(project, project.task("[8000-8003, 8006-8012]"), at=NOW + timedelta(hours=1))
    assert ends(project.stack()) == [
        ("8000-8003", "2026-11-25T04:00:00Z", False),
        ("8006-8010", "2026-11-25T04:00:00Z", False),
        ("8011-8012", "2026-11-25T05:00:00Z", False),
    ]
    begin(project, project.task("8000-8012"), at=NOW + timedelta(hours=2))
    assert ends(project.stack()) == [
        ("8000-8003", "2026-11-25T04:00:00Z", False),
        ("8004-8005", "2026-11-25T06:00:00Z", False),
        ("8006-8010", "2026-11-25T04:00:00Z", False),
        ("8011-8012", "2026-11-25T05:00:00Z", False),
    ]
    assert [str(rule.ports) for rule in project.stack().rules] == ["8000-8012"]


def test_other_sources_do_not_prolong(project: Project) -> None:
    task = project.task("80")
    begin(project, task, expires="8h", sources=("10.0.0.0/8",))
    begin(project, task, at=NOW + timedelta(hours=1), sources=("10.0.0.0/8", "192.0.2.0/24"))
    (end,) = expirations(project.stack())
    assert (end.sources, end.at) == (("10.0.0.0/8", "192.0.2.0/24"), "2026-11-25T04:00:00Z")


# -- what is over ----------------------------------------------------------------------


def test_a_port_past_its_time_is_not_opened_again_until_it_gets_a_new_one(project: Project) -> None:
    task = project.task("[80, 90]")
    configure(project, "rules: [{cluster: web, ports: {80: {expires: 8h}}}]\n")
    begin(project, task)
    (warning,) = project.compile(task, now=LATER).diagnostics
    assert (warning.code, warning.severity, warning.path) == ("port-expired", "warning", "web.yaml")
    assert warning.message == "tcp 80 expired at 2026-11-25 04:00 UTC: not opened"
    assert project.keys() == ["tcp-90@0.0.0.0/0"]
    # without a clock, the ledger decides
    assert [item.code for item in project.compile(task).diagnostics] == ["port-expired"]
    assert project.keys() == ["tcp-90@0.0.0.0/0"]
    assert ends(project.stack()) == [("80", "2026-11-25T04:00:00Z", True)]
    assert project.compile(task, now=LATER, expires="8h").diagnostics == ()
    assert project.keys() == ["tcp-80@0.0.0.0/0", "tcp-90@0.0.0.0/0"]


def test_a_new_word_of_the_config_opens_an_expired_port_again(project: Project) -> None:
    task = project.task("80")
    configure(project, "expires: 8h\n")
    begin(project, task)
    project.compile(task, now=LATER)
    assert project.keys() == []
    configure(project, "expires: 12h\n")
    project.compile(task, now=LATER)
    assert project.keys() == ["tcp-80@0.0.0.0/0"]


def test_a_date_that_is_over_is_never_opened(project: Project) -> None:
    task = project.task("80")
    compilation = project.compile(task, expires="2026-11-23", now=NOW)
    assert [item.code for item in compilation.diagnostics] == ["port-expired"]
    assert compilation.stacks[0].stack.rules == ()
    assert project.compile(task, expires="2026-11-24", now=NOW).diagnostics == ()
    assert project.keys() == ["tcp-80@0.0.0.0/0"]


def test_a_port_closes_at_its_second_and_not_before(project: Project) -> None:
    stack = begin(project, project.task("80"), expires="8h")
    end = NOW + timedelta(hours=8)
    assert expire_stack(stack, end - timedelta(seconds=1)) == (stack, ())
    closed, found = expire_stack(stack, end)
    assert closed.rules == ()
    assert [(str(grant.ports), grant.closed) for grant in found] == [("80", True)]
    assert expire_stack(closed, end) == (closed, ())


def test_what_another_task_keeps_open_is_open_and_no_warning(project: Project) -> None:
    begin(project, project.task("80", file="a.yaml"), expires="8h")
    begin(project, project.task("80", file="b.yaml"))
    assert ends(project.stack()) == []
    assert project.compile("a.yaml", now=LATER).diagnostics == ()
    assert [rule.tasks for rule in project.stack().rules] == [("b.yaml",)]


def test_retained_ports_expire_too(project: Project) -> None:
    begin(project, project.task("[80, 90]"), expires="8h")
    project.compile(project.task("90"), retain=True)
    assert ends(project.stack()) == [(port, "2026-11-25T04:00:00Z", False) for port in ("80", "90")]
    closed, found = expire_stack(project.stack(), LATER)
    assert (closed.rules, len(found)) == ((), 2)


@pytest.mark.parametrize(
    ("ends_", "now", "expected"),
    [
        # expires, expires_at, closed
        ([("8h", "A", False), ("8h", "B", False)], None, ("8h", "B", False)),
        ([("8h", "A", False), ("3d", None, False)], None, ("3d", None, False)),
        ([("8h", "A", True), ("3d", "B", False)], None, ("3d", "B", False)),
        ([("8h", "A", True), ("3d", "B", True)], None, ("3d", "B", True)),
        ([("8h", "A", False), (None, None, False)], None, None),
        ([("8h", "A", False), ("never", None, False)], None, None),
        ([("8h", None, False), ("never", None, False)], None, None),
        ([("8h", "A", True), ("never", None, False)], None, None),
        ([("8h", "A", False), ("8h", "B", False)], LATER, ("8h", "B", False)),
        ([("8h", "A", False), ("2h", "A", False)], LATER, ("8h", "A", True)),
        ([("8h", "B", False), ("1h", None, False)], NOW, ("8h", "B", False)),
    ],
)
def test_a_port_is_open_until_the_latest_of_all_who_ask_for_it(
    ends_: list[tuple[str | None, str | None, bool]],
    now: datetime | None,
    expected: tuple[str, str | None, bool] | None,
) -> None:
    times = {"A": "2026-11-25T04:00:00Z", "B": "2026-11-27T20:00:00Z", None: None}
    entries = tuple(
        LedgerEntry(
            f"{place}.yaml",
            None,
            0,
            PortSet(),
            (
                Grant(
                    "tcp",
                    parse_port_range("80"),
                    parse_source(ANYWHERE),
                    None,
                    expires,
                    expires,
                    times[at],
                    closed,
                ),
            ),
        )
        for place, (expires, at, closed) in enumerate(ends_)
    )
    found = expirations(Stack("web", "aws", "us-east-1", entries=entries), now)
    if expected is None:
        assert found == ()
    else:
        expires, at, over = expected
        assert found == (Expiration("tcp", parse_port_range("80"), (ANYWHERE,), expires, times[at], over),)


# -- stacks without their task files ---------------------------------------------------


def test_a_stack_is_compiled_anew_from_its_ledger_and_keeps_what_was_decided(project: Project) -> None:
    task = project.task("[80, 90]")
    rest: dict[str, Any] = {"ssh_sources": ("192.0.2.0/24",), "attach": False, "user_hash": "a1b2c3d4"}
    stack = begin(project, task, expires="8h", **rest)
    project.folder.joinpath(task).unlink()
    before = project.tree()
    with working_in(project.folder):
        config = read_config("skyports.yaml")
        look = recompile_stacks(
            "infra", [stack], lambda item: expire_stack(item, LATER)[0].entries, config, writing=False
        )
        assert project.tree() == before
        done = recompile_stacks("infra", [stack], lambda item: expire_stack(item, LATER)[0].entries, config)
    assert look.files == done.files
    assert project.keys() == []
    again = project.stack()
    assert (again.name_on_cloud, again.mode) == (stack.name_on_cloud, stack.mode)
    assert again.ssh_sources == stack.ssh_sources
    assert done.stacks[0].changed


def test_ssh_that_was_closed_stays_closed(project: Project) -> None:
    configure(project, "ssh_sources: []\n")
    stack = begin(project, project.task("80"))
    with working_in(project.folder):
        done = recompile_stacks("infra", [stack], lambda item: item.entries, read_config(None))
    assert done.stacks[0].stack.ssh_sources == ()
    assert done.pending == ()


def test_a_stack_can_begin_from_entries_alone(project: Project) -> None:
    stack = begin(project, project.task("80"))
    fresh = Stack("other", "aws", "eu-west-1")
    with working_in(project.folder):
        done = recompile_stacks("infra", [fresh], lambda _: stack.entries, read_config(None), "a1b2c3d4")
        written = read_stack("infra", "other/aws-eu-west-1")
    assert [str(rule.ports) for rule in written.rules] == ["80"]
    assert written.name_on_cloud == "other-a1b2c3d4"
    assert [str(source) for source in done.stacks[0].stack.ssh_sources] == [ANYWHERE]


def test_what_a_cloud_refuses_is_not_written(project: Project) -> None:
    stack = begin(project, project.task("80"))
    many = tuple(
        Grant("tcp", parse_port_range(str(port)), parse_source(ANYWHERE)) for port in range(1000, 1200, 2)
    )
    before = project.tree()
    with working_in(project.folder), pytest.raises(FindingsError) as caught:
        recompile_stacks(
            "infra",
            [stack],
            lambda _: [LedgerEntry("web.yaml", "web", 0, PortSet(), many)],
            read_config(None),
        )
    assert [item.code for item in caught.value.diagnostics] == ["quota-exceeded"]
    assert project.tree() == before


def test_after_a_shutdown_durations_begin_again_and_nothing_is_closed(project: Project) -> None:
    task = project.task("80")
    begin(project, task, expires="8h")
    project.compile(task, now=LATER)
    assert project.keys() == []
    with working_in(project.folder):
        reset_expiry("infra", project.stack(), read_config("skyports.yaml"))
        assert reset_expiry("infra", project.stack(), read_config("skyports.yaml")) is None
    assert ends(project.stack()) == [("80", None, False)]
    assert project.keys() == ["tcp-80@0.0.0.0/0"]


# -- the command line ------------------------------------------------------------------


def put_back(project: Project, hours: int) -> None:
    """Let the ledger's deadlines be `hours` earlier."""
    path = project.folder / "infra" / LEDGER
    document = json.loads(path.read_text(encoding="utf-8"))
    for rule in document["tasks"][0]["rules"]:
        time = datetime.strptime(rule["expires_at"], "%Y-%m-%dT%H:%M:%SZ") - timedelta(hours=hours)
        rule["expires_at"] = time.strftime("%Y-%m-%dT%H:%M:%SZ")
    text = json.dumps(document, indent=2)
    path.write_text(text, encoding="utf-8")


def test_a_plan_says_how_long_a_port_will_be_open_and_begins_nothing(project: Project) -> None:
    project.task("8888")
    answer = call(project.folder, "plan", "web.yaml", "--expires", "8h")
    assert "+ open  tcp 8888  0.0.0.0/0  to the internet, for 8h\n" in answer.out
    document = valid("plan", call(project.folder, "plan", "web.yaml", "--json").json)
    assert document["stacks"][0]["expires"] == [
        {
            "protocol": "tcp",
            "from_port": 8888,
            "to_port": 8888,
            "sources": [ANYWHERE],
            "expires": "8h",
            "at": None,
            "expired": False,
        }
    ]
    assert "expires_at" not in project.text(LEDGER)
    assert valid("compile", call(project.folder, "compile", "web.yaml", "--json").json)["stacks"][0][
        "expires"
    ]


def test_an_apply_writes_the_deadline_before_terraform_applies(project: Project) -> None:
    project.task("8888")
    program = project.folder.parent / "bin" / "terraform"
    text = program.read_text(encoding="utf-8")
    seen = project.folder.parent / "seen.json"
    program.write_text(text.replace("apply*)", f"apply*) cp stack.json '{seen}';"), encoding="utf-8")
    before = datetime.now(timezone.utc).replace(microsecond=0)
    answer = call(project.folder, "apply", "web.yaml", "--expires", "8h", "-y", "--json")
    assert answer.code == 0
    (end,) = valid("apply", answer.json)["stacks"][0]["expires"]
    at = datetime.strptime(end["at"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    assert before + timedelta(hours=8) <= at <= datetime.now(timezone.utc) + timedelta(hours=8)
    assert end["at"] in seen.read_text(encoding="utf-8")
    assert seen.read_text(encoding="utf-8") == project.text(LEDGER)


def test_an_apply_that_is_declined_begins_nothing(project: Project) -> None:
    project.task("8888")
    answer = call(project.folder, "apply", "web.yaml", "--expires", "8h", answer="no\n")
    assert answer.code == 1
    assert ends(project.stack()) == [("8888", None, False)]


def test_status_says_until_when_and_what_is_over(project: Project) -> None:
    project.task("8888")
    call(project.folder, "apply", "web.yaml", "--expires", "8h", "-y")
    ((_, at, _),) = ends(project.stack())
    assert at is not None
    text = call(project.folder, "status").out
    assert f"until {at[:10]} {at[11:16]}" in text
    put_back(project, 9)
    text = call(project.folder, "status").out
    assert "expired 20" in text
    (end,) = valid("status", call(project.folder, "status", "--json").json)["stacks"][0]["expires"]
    assert (end["expired"], end["expires"]) == (True, "8h")
    # to look is not to close
    assert project.keys() == ["tcp-8888@0.0.0.0/0"]


def test_a_plan_after_the_time_opens_nothing_and_says_why(project: Project) -> None:
    project.task("8888")
    call(project.folder, "apply", "web.yaml", "--expires", "8h", "-y")
    put_back(project, 9)
    answer = call(project.folder, "plan", "web.yaml", "--json")
    assert [item["code"] for item in answer.json["diagnostics"]][:1] == ["port-expired"]
    stack = answer.json["stacks"][0]
    assert (stack["rules"], stack["expires"][0]["expired"]) == ([], True)
    assert project.keys() == []


def test_a_plan_shows_the_time_of_ports_that_stay_as_they_are(project: Project) -> None:
    project.task("[8888, 9000]")
    call(project.folder, "apply", "web.yaml", "--expires", "2100-01-01", "-y")
    answer = call(project.folder, "plan", "web.yaml")
    assert "= keep  tcp 9000  0.0.0.0/0  until 2100-01-02 00:00 UTC\n" in answer.out


def test_destroy_begins_the_time_anew(project: Project) -> None:
    project.task("8888")
    call(project.folder, "apply", "web.yaml", "--expires", "8h", "-y")
    program = project.folder.parent / "bin" / "terraform"
    program.write_text(
        program.read_text(encoding="utf-8").replace(
            "output*)", "output*) echo '{}';; show*) echo '{}';; never)"
        ),
        encoding="utf-8",
    )
    answer = call(project.folder, "destroy", "web", "-y")
    assert answer.code == 0, answer.err
    assert ends(project.stack()) == [("8888", None, False)]


@pytest.mark.parametrize("verb", ["plan", "apply"])
def test_plan_and_apply_forget_without_a_task_file(project: Project, verb: str) -> None:
    project.task("8888")
    call(project.folder, "apply", "web.yaml", "-y")
    more = ["-y"] if verb == "apply" else []
    answer = call(project.folder, verb, "--forget", "web.yaml", "--json", *more)
    assert answer.code == 0
    (stack,) = answer.json["stacks"]
    assert (stack["tasks"], stack["rules"]) == ([], [])
    assert project.keys() == []


@pytest.mark.parametrize("verb", ["compile", "plan", "apply"])
def test_neither_a_task_nor_one_to_forget_is_wrong_usage(project: Project, verb: str) -> None:
    answer = call(project.folder, verb)
    assert (answer.code, "Name a TASK, or one to --forget, or say --all." in answer.err) == (2, True)
