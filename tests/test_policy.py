"""`policy:` of the config: what is refused, where that is told, and what a reviewed exception covers."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skyports_tf.clouds import load_cloud, managed_clouds
from skyports_tf.config import read_config
from skyports_tf.diagnostics import Diagnostic, FindingsError
from skyports_tf.judging import Breach, Circumstances, judge
from skyports_tf.model import Grant, LedgerEntry, Stack
from skyports_tf.pack import pack_rules
from skyports_tf.policy import Policy, PolicyException, PolicyRule
from skyports_tf.ports import PortRange, PortSet, parse_port_range
from skyports_tf.recompile import empty_stack
from skyports_tf.sources import parse_source
from tests.support.command_line import call, valid
from tests.support.pretend_terraform import pretend_terraform
from tests.support.project import Project, working_in

NOW = datetime(2026, 11, 25, 12, tzinfo=timezone.utc)
CLOSED_SSH = "ssh_sources: []\n"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def policy(project: Project, rules: str, exceptions: str = "", rest: str = CLOSED_SSH) -> None:
    """Write a config with these rules and exceptions, a flow mapping a line."""
    lines = ["policy:", "  rules:", *(f"  - {{{line}}}" for line in rules.splitlines())]
    lines += ["  exceptions:", *(f"  - {{{line}}}" for line in exceptions.splitlines())] if exceptions else []
    project.config(rest + "\n".join(lines) + "\n")


def found(project: Project, *tasks: str, now: datetime = NOW, **rest: Any) -> list[Diagnostic]:
    """What a compile tells of the policy."""
    try:
        told = project.compile(*tasks, judged_at=now, **rest).diagnostics
    except FindingsError as error:
        told = error.diagnostics
    return [item for item in told if item.code.startswith("policy-")]


def places(items: list[Diagnostic]) -> list[tuple[str, str | None, int, int]]:
    return [
        (item.code, item.path, item.span.line if item.span else 0, item.span.column if item.span else 0)
        for item in items
    ]


# -- every kind of rule ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "rest", "code", "place", "words"),
    [
        ("denied_ports: [22, 3306]", "", "policy-denied-port", ("web.yaml", 4, 17), "tcp 3306"),
        ("denied_ports: [tcp/3000-4000]", "", "policy-denied-port", ("web.yaml", 4, 17), "tcp 3306"),
        ("denied_ports: [udp/3306]", "", None, None, ""),
        ("internet_ports: [8888]", "", "policy-internet", ("web.yaml", 4, 17), "the internet (0.0.0.0/0)"),
        ("internet_ports: [8888, 3306]", "", None, None, ""),
        ("internet_ports: []", "sources: [10.0.0.0/8, 'fd00::/8']\n", None, None, ""),
        (
            "internet_ports: [8888]",
            "sources: [0.0.0.0/1]\n",
            "policy-internet",
            ("web.yaml", 4, 17),
            "0.0.0.0/1",
        ),
        ("internet_ports: []", "sources: [8.8.8.0/24]\nexposure: {ours: [8.8.0.0/16]}\n", None, None, ""),
        ("allowed_sources: [10.0.0.0/8]", "", "policy-source", ("web.yaml", 4, 11), "0.0.0.0/0"),
        ("allowed_sources: [10.0.0.0/8]", "sources: [10.2.0.0/16]\n", None, None, ""),
        ("allowed_sources: [0.0.0.0/1, 128.0.0.0/1]", "", None, None, ""),
        ("allowed_sources: [pl-12345678]", "sources: [pl-12345678]\n", None, None, ""),
        ("allowed_sources: ['::/0']", "", "policy-source", ("web.yaml", 4, 11), "0.0.0.0/0"),
        ("allowed_sources: [10.0.0.0/8], ports: [80]", "", None, None, ""),
        (
            "required_expiry: true",
            "",
            "policy-expiry",
            ("web.yaml", 4, 11),
            "tcp 8888 of web-aws-us-east-1 never",
        ),
        ("required_expiry: true", "expires: never\n", "policy-expiry", ("web.yaml", 4, 11), "never closes"),
        ("required_expiry: true", "expires: 10d\n", None, None, ""),
        ("required_expiry: 7d", "expires: 168h\n", None, None, ""),
        ("required_expiry: 7d", "expires: 8d\n", "policy-expiry", ("web.yaml", 4, 11), "8d, more than 7d"),
        ("required_expiry: 7d", "expires: 2026-12-01\n", None, None, ""),
        ("required_expiry: 7d", "expires: 2026-12-02T12:00Z\n", None, None, ""),
        ("required_expiry: 7d", "expires: 2026-12-02\n", "policy-expiry", ("web.yaml", 4, 11), "2026-12-03"),
        ("required_expiry: 7d, ports: [80]", "", None, None, ""),
        ("required_tags: [owner]", "", "policy-tag", ("skyports.yaml", 4, 12), "'owner' is missing (on web)"),
        ("required_tags: [owner]", "tags: {team: ml}\n", "policy-tag", ("skyports.yaml", 2, 7), "'owner'"),
        ("required_tags: [owner]", "tags: {owner: ''}\n", None, None, ""),
        (
            "required_tags: {owner: 'ml-*'}",
            "tags: {owner: web}\n",
            "policy-tag",
            ("skyports.yaml", 2, 7),
            "'ml-*'",
        ),
        ("required_tags: {owner: 'ml-*'}", "tags: {owner: ml-a}\n", None, None, ""),
        ("required_tags: {owner: null}", "tags: {owner: x}\n", None, None, ""),
        ("maximum_ports: 1", "", "policy-too-many-ports", ("web.yaml", 4, 11), "2 open ports, and 1 "),
        ("maximum_ports: 2", "", None, None, ""),
        ("cluster: 'prod-*', maximum_ports: 1", "", None, None, ""),
        ("cluster: 'w?b', maximum_ports: 1", "", "policy-too-many-ports", ("web.yaml", 4, 11), ""),
    ],
)
def test_a_breach_is_told_at_the_line_that_makes_it(
    project: Project, rule: str, rest: str, code: str | None, place: tuple[str, int, int] | None, words: str
) -> None:
    policy(project, f"name: x, {rule}", rest=CLOSED_SSH + rest)
    told = found(project, project.task("[8888, 3306]"))
    if code is None or place is None:
        assert told == []
        return
    (first, *_) = told
    assert first.span is not None
    assert (first.code, first.path, first.span.line, first.span.column) == (code, *place)
    assert "policy 'x'" in first.message and words in first.message
    assert first.severity == "error" and "the rule stands at skyports.yaml:" in (first.help or "")
    assert not (project.folder / "infra").exists()


def test_a_source_that_the_config_names_is_told_at_its_line(project: Project) -> None:
    rest = """\
sources: [10.0.0.0/8]
ssh_sources: [10.0.0.0/8]
rules:
- cluster: web
  sources: [192.168.0.0/16]
  ports:
    8888: {sources: [10.0.0.0/8, 172.16.0.0/12]}
"""
    policy(project, "name: x, allowed_sources: [10.0.0.0/8]", rest=rest)
    told = found(project, project.task("[8888, 3306]"))
    assert places(told) == [
        ("policy-source", "skyports.yaml", 5, 13),
        ("policy-source", "skyports.yaml", 7, 34),
    ]
    told = found(project, "web.yaml", sources=("192.0.2.0/24",))
    assert [place[1:3] for place in places(told)] == [("web.yaml", 4), ("web.yaml", 4)]


def test_ssh_is_a_port_like_any_other_but_has_no_end(project: Project) -> None:
    rules = "name: a, internet_ports: [8888]\nname: b, denied_ports: [22]\nname: c, required_expiry: 8h"
    policy(project, rules, rest="expires: 1h\n")
    told = found(project, project.task("8888"))
    assert [(item.code, "tcp 22 (SSH)" in item.message, item.path) for item in told] == [
        ("policy-internet", True, "skyports.yaml"),
        ("policy-denied-port", True, "skyports.yaml"),
    ]
    policy(project, rules, rest="expires: 1h\nssh_sources: [0.0.0.0/0]\n")
    assert {(item.span and item.span.line) for item in found(project, "web.yaml")} == {2}


def test_ports_are_found_within_a_text_and_on_lines_of_their_own(project: Project) -> None:
    policy(project, "name: x, denied_ports: [80, 5000-5005]")
    project.write(
        "web.yaml", 'name: web\nresources:\n  infra: aws/us-east-1\n  ports:\n  - 80\n  - "1, 5003-5010"\n'
    )
    told = found(project, "web.yaml")
    assert places(told) == [
        ("policy-denied-port", "web.yaml", 5, 5),
        ("policy-denied-port", "web.yaml", 6, 9),
    ]
    assert [item.source_line for item in told] == ["  - 80", '  - "1, 5003-5010"']
    assert "tcp 5003-5005" in told[1].message


def test_ports_of_the_command_line_are_told_at_the_task(project: Project) -> None:
    policy(project, "name: x, denied_ports: [80]")
    told = found(project, project.task("8888"), ports=("80",))
    assert places(told) == [("policy-denied-port", "web.yaml", 4, 10)]


def test_a_place_of_its_own_for_each_cloud(project: Project) -> None:
    policy(
        project,
        "name: x, denied_ports: [80, 443]",
        rest="gcp: {project: my-project}\nuser_hash: a1b2c3d4\n" + CLOSED_SSH,
    )
    candidates = "  - {infra: aws/us-east-1, ports: 80}\n  - {infra: gcp, ports: [1, 443]}\n"
    text = f"name: web\nresources:\n  any_of:\n{candidates}"
    told = found(project, project.write("web.yaml", text))
    assert [place[2:] for place in places(told)] == [(4, 35), (5, 29)]
    assert "web-aws-us-east-1" in told[0].message and "web-gcp" in told[1].message
    project.write("web.yaml", text.replace("80", "[443, 80]"))
    assert [place[2:] for place in places(found(project, "web.yaml"))] == [(4, 36), (4, 41), (5, 29)]


def test_a_chain_is_told_in_the_task_that_asks(project: Project) -> None:
    policy(
        project, "name: x, denied_ports: [80]", rest="clouds: [aws]\naws: {region: us-east-1}\n" + CLOSED_SSH
    )
    first = "name: chain\n---\nname: one\nresources: {ports: 443}\n---\n"
    project.write("chain.yaml", first + "name: two\nresources: {ports: &p [80]}\n---\nname: three\nrun: x\n")
    told = found(project, "chain.yaml")
    assert places(told) == [("policy-denied-port", "chain.yaml", 7, 24)]


# -- the whole stack -------------------------------------------------------------------


def test_a_task_that_was_compiled_before_is_judged_as_well_and_told_in_its_own_file(project: Project) -> None:
    project.config(CLOSED_SSH)
    project.compile(project.task("3306", file="old/db.yaml"))
    policy(project, "name: x, denied_ports: [3306]\nname: y, maximum_ports: 1")
    told = found(project, project.task("8888"))
    assert places(told) == [
        ("policy-denied-port", "old/db.yaml", 4, 10),
        ("policy-too-many-ports", "web.yaml", 4, 10),
    ]
    (project.folder / "old/db.yaml").unlink()
    (gone, _) = found(project, "web.yaml")
    assert (gone.path, gone.span) == ("infra/web/aws-us-east-1/stack.json", None)


def test_what_is_retained_counts_and_what_is_forgotten_does_not(project: Project) -> None:
    project.config(CLOSED_SSH)
    project.compile(project.task("[8888, 3306]"))
    policy(project, "name: x, denied_ports: [3306]")
    project.task("8888")
    assert [item.code for item in found(project, "web.yaml", retain=True)] == ["policy-denied-port"]
    assert found(project, "web.yaml") == []


def test_nothing_that_closes_is_held_up(project: Project) -> None:
    project.config(CLOSED_SSH)
    compiled = project.compile(project.task("8888")).stacks[0].stack
    policy(project, "name: x, denied_ports: [8888]\nname: y, required_tags: [owner]")
    with working_in(project.folder):
        empty_stack("infra", compiled, read_config("skyports.yaml"))
    assert project.keys() == []
    assert found(project, project.task("none", file="web.yaml")) == []


def test_a_port_past_its_time_breaks_nothing(project: Project) -> None:
    policy(project, "name: x, denied_ports: [8888]", rest=CLOSED_SSH + "expires: 2026-11-20\n")
    assert found(project, project.task("8888"), now=NOW) != []
    with working_in(project.folder):
        assert found(project, "web.yaml") != []
    told = project.compile("web.yaml", now=NOW).diagnostics
    assert [item.code for item in told] == ["port-expired"]


# -- exit codes ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ["compile", "web.yaml"],
        ["compile", "--check", "web.yaml"],
        ["compile", "--stdout", "web.yaml"],
        ["plan", "web.yaml"],
        ["apply", "--yes", "web.yaml"],
        ["launch", "--yes", "web.yaml"],
        ["run", "--yes", "web.yaml", "--", "true"],
    ],
    ids=" ".join,
)
def test_an_error_stops_every_verb_before_anything_is_written(project: Project, words: list[str]) -> None:
    policy(
        project,
        "name: x, denied_ports: [8888]",
        rest=f"{CLOSED_SSH}terraform: {{binary: /nowhere/terraform}}\nskypilot: {{binary: /bin/true}}\n",
    )
    project.task("8888")
    answer = call(project.folder, *words)
    assert answer.code == 1 and "error[policy-denied-port]" in answer.err and answer.out == ""
    assert not (project.folder / "infra").exists()


def test_a_warning_is_told_and_stops_nothing(project: Project, tmp_path: Path) -> None:
    terraform = pretend_terraform(tmp_path / "bin")
    rest = f"{CLOSED_SSH}terraform: {{binary: {terraform}}}\n"
    policy(project, "name: x, severity: warning, denied_ports: [8888]", rest=rest)
    project.task("8888")
    for verb in ("compile", "plan"):
        answer = call(project.folder, verb, "web.yaml", "--json")
        assert answer.code == 0
        (finding,) = [
            item for item in valid(verb, answer.json)["diagnostics"] if item["code"] != "open-to-internet"
        ]
        assert (finding["code"], finding["severity"], finding["path"], finding["line"]) == (
            "policy-denied-port",
            "warning",
            "web.yaml",
            4,
        )


def test_a_saved_plan_is_judged_again_before_it_is_applied(project: Project, tmp_path: Path) -> None:
    rest = f"{CLOSED_SSH}terraform: {{binary: {pretend_terraform(tmp_path / 'bin')}}}\n"
    project.config(rest)
    project.task("8888", file="tasks/web.yaml")
    assert call(project.folder, "plan", "tasks/web.yaml").code == 0
    policy(project, "name: x, denied_ports: [8888]", rest=rest)
    answer = call(project.folder, "apply", "--saved", "--yes")
    assert answer.code == 1 and answer.out == ""
    assert "tasks/web.yaml:4:10: error[policy-denied-port]: policy 'x': web-aws-us-east-1 opens" in answer.err
    (finding,) = valid("apply", call(project.folder, "apply", "--saved", "--yes", "--json").json)[
        "diagnostics"
    ]
    assert finding["code"] == "policy-denied-port"


# -- exceptions ------------------------------------------------------------------------


def exception(extra: str = "", rule: str = "x", cluster: str = "web", until: str = "2026-12-31") -> str:
    return f"rule: {rule}, cluster: '{cluster}', {extra}reason: it is reviewed, until: {until}"


def test_an_exception_covers_its_own_ports_and_leaves_the_others(project: Project) -> None:
    policy(project, "name: x, denied_ports: [80-90]", exception("ports: [80-84], "))
    told = found(project, project.task("80-90"))
    assert [(item.code, item.severity) for item in told] == [
        ("policy-denied-port", "error"),
        ("policy-excepted", "note"),
    ]
    assert "tcp 85-90" in told[0].message
    assert "tcp 80-84" in told[1].message and "until 2027-01-01 00:00 UTC: it is reviewed" in told[1].message


def test_a_breach_that_is_wholly_excepted_is_written(project: Project) -> None:
    policy(project, "name: x, denied_ports: [80]", exception())
    assert [item.code for item in found(project, project.task("80"))] == ["policy-excepted"]
    assert project.keys() == ["tcp-80@0.0.0.0/0"]


@pytest.mark.parametrize(
    ("until", "over"),
    [("2026-11-25", False), ("2026-11-24", True), ("2026-11-25T12:00Z", True), ("2026-11-25T12:01Z", False)],
)
def test_an_exception_ends_and_that_is_told(project: Project, until: str, over: bool) -> None:
    policy(project, "name: x, denied_ports: [80]", exception(until=until))
    told = found(project, project.task("80"))
    codes = ["policy-exception-over", "policy-denied-port"] if over else ["policy-excepted"]
    assert [item.code for item in told] == codes
    if over:
        assert told[0].severity == "warning" and told[0].path == "skyports.yaml"


def test_without_a_clock_no_exception_holds(project: Project) -> None:
    policy(project, "name: x, denied_ports: [80]", exception())
    assert project.refused(project.task("80")) == ["policy-denied-port"]


def test_the_command_line_brings_the_clock(project: Project) -> None:
    policy(project, "name: x, denied_ports: [80]", exception(until="9000-01-01"))
    project.task("80")
    assert call(project.folder, "compile", "web.yaml").code == 0
    assert call(project.folder, "compile", "--check", "web.yaml").code == 0


@pytest.mark.parametrize(
    ("text", "covered"),
    [
        ("sources: [10.0.0.0/8], ", {"10.0.0.0/8"}),
        ("sources: [0.0.0.0/0], ", {"10.0.0.0/8", "198.51.100.0/24"}),
        ("sources: [198.51.100.0/24, 192.0.2.0/24], ", {"198.51.100.0/24"}),
        ("sources: [192.0.2.0/24], ", set()),
        ("ports: [udp/80], ", set()),
        ("ports: [tcp/80], ", {"10.0.0.0/8", "198.51.100.0/24"}),
    ],
)
def test_an_exception_may_be_for_some_sources_and_protocols(
    project: Project, text: str, covered: set[str]
) -> None:
    policy(project, "name: x, denied_ports: [80]", exception(text))
    told = found(project, project.task("80"), sources=("10.0.0.0/8", "198.51.100.0/24"))
    excepted = "".join(item.message for item in told if item.code == "policy-excepted")
    assert {source for source in ("10.0.0.0/8", "198.51.100.0/24") if source in excepted} == covered
    assert ("policy-exception-unused" in [item.code for item in told]) == (not covered)


def test_an_exception_that_covers_nothing_is_a_note_once_its_clusters_were_judged(project: Project) -> None:
    policy(
        project,
        "name: x, denied_ports: [80]",
        "\n".join(
            (exception(), exception(cluster="db"), exception(cluster="*b"), exception(cluster="nobody"))
        ),
    )
    project.task("8888", name="db", file="db.yaml")
    told = found(project, project.task("8888"), "db.yaml")
    assert {item.severity for item in told} == {"note"}
    assert [item.code for item in told] == ["policy-exception-unused"] * 4
    assert "nothing of db, web" in told[2].message and "no cluster is called 'nobody'" in told[3].message
    # db is in the tree, and is not judged now: nobody can say that its exceptions are of no use
    assert len(found(project, "web.yaml")) == 2


def test_exceptions_to_rules_on_the_whole_stack(project: Project) -> None:
    rules = "name: x, maximum_ports: 1\nname: y, required_tags: [owner]"
    policy(project, rules, "\n".join((exception(), exception(rule="y", cluster="db"))))
    project.task("1-2", name="db", file="db.yaml")
    told = found(project, project.task("1-2"), "db.yaml")
    assert sorted((item.code, item.message.partition(";")[0]) for item in told) == [
        ("policy-excepted", "policy 'x': web-aws-us-east-1 has 2 open ports, and 1 are the most"),
        ("policy-excepted", "policy 'y': the tag 'owner' is missing (on db)"),
        ("policy-tag", "policy 'y': the tag 'owner' is missing (on web)"),
        ("policy-too-many-ports", "policy 'x': db-aws-us-east-1 has 2 open ports, and 1 are the most"),
    ]


# -- the verdict, against a slow and simple one ----------------------------------------

PORTS = range(1, 9)
SOURCES = tuple(map(parse_source, ("0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "sg-12345678")))
NAMES = ("a", "b")
port_ranges = st.builds(lambda a, b: PortRange(min(a, b), max(a, b)), *[st.sampled_from(PORTS)] * 2)
port_sets = st.lists(port_ranges, min_size=1, max_size=2).map(PortSet.of)
named_ports = st.fixed_dictionaries({"tcp": port_sets}, optional={"udp": port_sets})
grants = st.builds(Grant, st.sampled_from(["tcp", "tcp", "udp"]), port_ranges, st.sampled_from(SOURCES))
rules = st.builds(
    PolicyRule,
    st.just(""),
    st.sampled_from(["denied_ports", "internet_ports", "allowed_sources", "required_expiry"]),
    cluster=st.sampled_from(["*", "*", "web", "db"]),
    ports=named_ports,
    sources=st.lists(st.sampled_from(SOURCES), max_size=2).map(tuple),
)
exceptions = st.builds(
    PolicyException,
    st.sampled_from(NAMES),
    st.sampled_from(["*", "w*", "web", "db"]),
    st.just("reviewed"),
    st.sampled_from(["2027-01-01T00:00:00Z", "2028-01-01T00:00:00Z", "2026-01-01T00:00:00Z"]),
    st.one_of(st.none(), named_ports),
    st.one_of(st.none(), st.lists(st.sampled_from(SOURCES), min_size=1, max_size=2).map(tuple)),
)
Point = tuple[str, str, int, str]


def stack_of(items: list[Grant]) -> Stack:
    entry = LedgerEntry("web.yaml", "web", 0, PortSet.of(item.ports for item in items), tuple(items))
    return Stack("web", "aws", "us-east-1", entries=(entry,), rules=pack_rules((entry,)))


def points(breaches: tuple[Breach, ...], excepted: bool) -> list[Point]:
    """Every port that a source reaches against a rule; told twice, it is here twice."""
    return [
        (item.rule.name, str(item.protocol), port, str(source))
        for item in breaches
        if (item.exception is not None) == excepted
        for ports in item.ports
        for port in range(ports.first, ports.last + 1)
        for source in item.sources
    ]


def is_excepted(point: Point, given_exceptions: list[PolicyException]) -> bool:
    name, protocol, port, source = point
    reached = {
        "0.0.0.0/0": {"0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16"},
        "10.0.0.0/8": {"10.0.0.0/8", "10.1.0.0/16"},
    }
    return any(
        item.rule == name
        and item.cluster != "db"
        and item.until > "2026-11-25"
        and (item.ports is None or port in item.ports.get(protocol, PortSet()))  # type: ignore[call-overload]
        and (
            item.sources is None
            or any(source in reached.get(str(known), {str(known)}) for known in item.sources)
        )
        for item in given_exceptions
    )


@settings(max_examples=300, deadline=None)
@given(
    st.lists(grants, min_size=1, max_size=4),
    st.lists(rules, min_size=2, max_size=2),
    st.lists(exceptions, min_size=1, max_size=4),
)
def test_an_exception_takes_out_exactly_its_own_and_hides_no_other_rule(
    items: list[Grant], given_rules: list[PolicyRule], given_exceptions: list[PolicyException]
) -> None:
    named = tuple(
        replace(rule, name=name, position=at)
        for at, (name, rule) in enumerate(zip(NAMES, given_rules, strict=True))
    )
    numbered = [replace(item, position=at) for at, item in enumerate(given_exceptions)]
    stack, when = stack_of(items), Circumstances(NOW)
    bare = points(judge(stack, Policy(named), when), excepted=False)
    judged = judge(stack, Policy(named, tuple(numbered)), when)
    told, excepted = points(judged, excepted=False), points(judged, excepted=True)
    assert set(told) | set(excepted) == set(bare)
    assert set(told).isdisjoint(excepted)
    assert set(excepted) == {point for point in bare if is_excepted(point, numbered)}
    untouched = {rule.name for rule in named} - {item.rule for item in numbered}
    assert [point for point in told if point[0] in untouched] == [
        point for point in bare if point[0] in untouched
    ]


# -- the config ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rules", "given_exceptions", "code", "words"),
    [
        ("name: x", "", "config-value", "asks for nothing"),
        ("name: x, denied_ports: [1], maximum_ports: 1", "", "config-value", "several things"),
        (
            "name: x, denied_ports: [1]\nname: x, maximum_ports: 1",
            "",
            "config-value",
            "two rules are called 'x'",
        ),
        ("name: x, denied_ports: []", "", "bad-value", "must not be empty"),
        ("name: x, denied_ports: 80", "", "wrong-type", "must be a list"),
        ("name: x, denied_ports: [http]", "", "bad-port", "neither a port"),
        ("name: x, denied_ports: [99999]", "", "bad-port", "outside"),
        ("name: x, denied_ports: [icmp/8]", "", "bad-port", "'icmp' is no protocol"),
        ("name: x, denied_ports: [{a: 1}]", "", "bad-port", "neither a port"),
        ("name: x, denied_ports: [80, 22:30]", "", "bad-port", "YAML reads '22:30' as the number 1350"),
        ("name: x, denied_ports: [010]", "", "bad-port", "YAML reads '010' as the number 8"),
        ("name: x, denied_ports: [true]", "", "bad-port", "'true' is neither a port"),
        ("name: x, denied_ports: [null]", "", "bad-port", "'null' is neither a port"),
        ("name: x, denied_ports: [1], ports: [2]", "", "config-value", "'ports' says nothing"),
        ("name: x, internet_ports: [tcp/]", "", "bad-port", ""),
        ("name: x, allowed_sources: [nowhere]", "", "bad-source", "nowhere"),
        ("name: x, required_expiry: false", "", "bad-expiry", ""),
        ("name: x, required_expiry: 2026-12-01", "", "bad-expiry", "'2026-12-01' is no duration"),
        ("name: x, required_expiry: never", "", "bad-expiry", "no duration"),
        ("name: x, required_tags: []", "", "bad-value", ""),
        ("name: x, required_tags: {owner: 3}", "", "wrong-type", ""),
        ("name: x, maximum_ports: -1", "", "bad-value", ""),
        ("name: x, severity: note, maximum_ports: 1", "", "bad-value", ""),
        ("name: 'a b', maximum_ports: 1", "", "bad-value", ""),
        ('name: "a\\n", maximum_ports: 1', "", "bad-value", ""),
        ("maximum_ports: 1", "", "missing-key", "'name'"),
        ("name: x, maximum_port: 1", "", "unknown-key", ""),
        ("name: x, maximum_ports: 1", exception(rule="y"), "config-value", "no rule is called 'y'"),
        ("name: x, maximum_ports: 1", exception("ports: [80], "), "config-value", "'ports' says nothing"),
        (
            "name: x, required_tags: [a]",
            exception("sources: [10.0.0.0/8], "),
            "config-value",
            "'sources' says",
        ),
        ("name: x, maximum_ports: 1", exception(until="8h"), "bad-expiry", "no date"),
        ("name: x, maximum_ports: 1", exception(until="never"), "bad-expiry", "no date"),
        ("name: x, maximum_ports: 1", exception(until="soon"), "bad-expiry", ""),
        ("name: x, maximum_ports: 1", "rule: x, cluster: web, until: 2027-01-01", "missing-key", "'reason'"),
        ("name: x, maximum_ports: 1", "rule: x, cluster: web, reason: y", "missing-key", "'until'"),
        (
            "name: x, maximum_ports: 1",
            "rule: x, cluster: web",
            "missing-key",
            "needs the keys 'reason', 'until'",
        ),
        ("name: x, maximum_ports: 1", "rule: x, reason: y, until: 2027-01-01", "missing-key", "'cluster'"),
        (
            "name: x, maximum_ports: 1",
            "rule: x, cluster: w, reason: ' ', until: 2027-01-01",
            "config-value",
            "empty",
        ),
    ],
)
def test_what_is_wrong_in_a_policy_is_told_at_its_place(
    project: Project, rules: str, given_exceptions: str, code: str, words: str
) -> None:
    policy(project, rules, given_exceptions)
    with working_in(project.folder), pytest.raises(FindingsError) as error:
        read_config("skyports.yaml")
    (finding, *_) = error.value.diagnostics
    assert finding.code == code and words in finding.message
    assert len(set(error.value.diagnostics)) == len(error.value.diagnostics)
    assert finding.span is not None and finding.span.line >= 3


def test_an_empty_policy_asks_for_nothing(project: Project) -> None:
    for text in ("policy:\n", "policy: {}\n", "policy: {rules: []}\n"):
        project.config(text)
        assert found(project, project.task("1-65535")) == []


def test_the_checks_of_other_tools_that_mean_the_same_are_named(project: Project) -> None:
    policy(project, "name: x, denied_ports: [1-65535]", rest="ssh_sources: [0.0.0.0/0]\n")
    told = found(project, project.task("[80, 8888, 3389]"), sources=("0.0.0.0/0", "10.0.0.0/8"))
    checks = {item.message.split(" to ")[0].split("opens ")[1]: item.checks for item in told}
    assert checks == {
        "tcp 22 (SSH)": (("checkov", "CKV_AWS_24"), ("trivy", "AWS-0107")),
        "tcp 80": (("checkov", "CKV_AWS_260"),),
        "tcp 3389": (("checkov", "CKV_AWS_25"), ("trivy", "AWS-0107")),
        "tcp 8888": (),
    }
    told = found(project, "web.yaml", sources=("10.0.0.0/8",), ssh_sources=("10.0.0.0/8",))
    assert {item.checks for item in told} == {()}


@pytest.mark.parametrize(
    ("ports", "checks"),
    [
        ("22", {"CKV_GCP_2", "GCP-0027", "GCP-0071"}),
        ("8888", {"GCP-0027"}),
        ("2-65535", {"CKV_GCP_2", "CKV_GCP_3", "CKV_GCP_75", "CKV_GCP_77", "CKV_GCP_88", "CKV_GCP_106"}),
        ("1-65535", {"CKV2_GCP_12", "GCP-0072"}),
    ],
)
def test_a_check_against_all_ports_is_met_by_all_of_them_alone(
    project: Project, ports: str, checks: set[str]
) -> None:
    policy(project, "name: x, internet_ports: []", rest="gcp: {project: my-project}\nuser_hash: a1b2c3d4\n")
    (told,) = found(project, project.task(ports, infra="gcp"))
    named = {check for _, check in told.checks}
    assert checks <= named and ("GCP-0072" in named) == (ports == "1-65535")


@pytest.mark.parametrize("name", managed_clouds())
def test_the_checks_of_a_manifest_can_be_compared(name: str) -> None:
    cloud = load_cloud(name)
    for check in cloud.checks:
        assert not check.get("all") or "ports" in check
        assert parse_port_range(str(check.get("ports", 1)))
        assert check.get("protocol", cloud.protocols[0]) in cloud.protocols
    told = [tuple(sorted(check.items())) for check in cloud.checks]
    assert len(set(told)) == len(told)
