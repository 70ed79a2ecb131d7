"""The comment of a pull request: what it says, that nothing of it is lost, and that nobody can steer it."""

from __future__ import annotations

import ipaddress
import random
import re
from collections.abc import Iterable, Sequence
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from skyports_tf.diagnostics import Diagnostic, FindingsError, TerraformError
from skyports_tf.model import LedgerEntry, Stack
from skyports_tf.outcomes import PortChanges, PortRule, ResourceCounts, RuleChange, StackPlan
from skyports_tf.ports import PortSet
from skyports_tf.report.markdown import LIMIT, MARKER, ROOM, Comment, Planned, comment, failed_comment
from skyports_tf.report.markup import code, fenced, plain
from tests.support.command_line import call
from tests.support.comments import Opening, opened_by, opening_plan, rule, stack, stated_openings
from tests.support.pretend_terraform import pretend_terraform
from tests.support.project import Project

OFFICE = ("10.0.0.0/8",)


def told(*plans: StackPlan, **rest: object) -> Comment:
    return comment(Planned(tuple(plans), "infra", **rest))  # type: ignore[arg-type]


def headline(text: str) -> str:
    return next(line for line in text.splitlines() if line.startswith("### ")).removeprefix("### ")


WEB = StackPlan(
    stack("web", [("tcp", 8888, 8888, "0.0.0.0/0"), ("tcp", 9000, 9010, "10.0.0.0/8")]),
    PortChanges(
        open=(rule(8888),),
        change=(RuleChange(rule(9000, 9005, OFFICE), rule(9000, 9010, OFFICE)),),
        close=(rule(22000),),
    ),
    ResourceCounts(3, 1, 1),
    "infra/web/aws-us-east-1/skyports.tfplan",
    opening=(("module.ports.x",),),
)
QUIET = StackPlan(stack("db", [("tcp", 5432, 5432, "10.0.0.0/8")]), PortChanges(), ResourceCounts())


# -- what it says ----------------------------------------------------------------------


def test_it_begins_with_a_line_that_no_page_shows_and_a_bot_finds_again() -> None:
    first, second, third, *_ = told(WEB).text.split("\n")
    assert first == MARKER
    assert re.fullmatch(r"<!-- [a-z -]+ -->", first)
    assert (second, third[:4]) == ("", "### ")


def test_the_summary_is_in_port_words_and_comes_first() -> None:
    assert headline(told(WEB, QUIET).text) == (
        "Opens tcp/8888 to the internet on web, tcp/9006-9010 to `10.0.0.0/8` on web; closes tcp/22000 on web"
    )


@pytest.mark.parametrize(
    ("plans", "expected"),
    [
        ([QUIET], "No port opens or closes"),
        (
            [StackPlan(QUIET.stack, PortChanges(), ResourceCounts(update=1))],
            "No port opens or closes, but Terraform has changes",
        ),
        (
            [opening_plan("a", [("tcp", 80, 80, "::/0")]), opening_plan("b", [("tcp", 80, 80, "0.0.0.0/0")])],
            "Opens tcp/80 to the internet on a and b",
        ),
        (
            [opening_plan("a", [("tcp", 80, 80, "0.0.0.0/1")])],
            "Opens tcp/80 to the internet on a",
        ),
        (
            [opening_plan("a", [("tcp", 1, 65535, "0.0.0.0/0"), ("udp", 53, 53, "0.0.0.0/0")])],
            "Opens `tcp/*` and udp/53 to the internet on a",
        ),
        (
            [opening_plan(f"w{place}", [("tcp", 80, 80, "0.0.0.0/0")]) for place in range(4)],
            "Opens tcp/80 to the internet on w0, w1, w2 and 1 more cluster",
        ),
        (
            [opening_plan(f"w{place}", [("tcp", 80, 80, "0.0.0.0/0")]) for place in range(40)],
            "Opens tcp/80 to the internet on 40 clusters",
        ),
        (
            [
                StackPlan(
                    stack("a", [("tcp", 80, 80, "10.0.0.0/8")]),
                    PortChanges(close=(rule(80),), open=(rule(80, None, OFFICE),)),
                    ResourceCounts(1, 0, 1),
                )
            ],
            "Opens tcp/80 to `10.0.0.0/8` on a; closes tcp/80 on a",
        ),
    ],
)
def test_the_summary_of(plans: list[StackPlan], expected: str) -> None:
    assert headline(told(*plans).text) == expected


def test_ssh_has_words_of_its_own() -> None:
    plan = opening_plan("web", [("tcp", 8888, 8888, "0.0.0.0/0")])
    ssh = StackPlan(plan.stack, plan.changes, plan.counts, ssh=(rule(22),))
    text = told(ssh).text
    assert headline(text) == (
        "Opens tcp/8888 to the internet on web; opens SSH, tcp/22 to the internet on web"
    )
    assert "| **`tcp/22`** | 🌐 `0.0.0.0/0` **the internet** | SSH |" in text


def test_the_table_has_what_opens_changes_and_closes_with_the_internet_marked() -> None:
    rows = [line for line in told(WEB, QUIET).text.splitlines() if line.startswith(("| 🟢", "| 🟡", "| 🔴"))]
    assert rows == [
        "| 🟢 opens | web | `aws/us-east-1` | **`tcp/8888`** | 🌐 `0.0.0.0/0` **the internet** |  |",
        "| 🟡 changes | web | `aws/us-east-1` | **`tcp/9000-9010`** | `10.0.0.0/8` | was `tcp/9000-9005` |",
        "| 🔴 closes | web | `aws/us-east-1` | **`tcp/22000`** | 🌐 `0.0.0.0/0` **the internet** |  |",
    ]


def test_exposure_is_told_before_and_after() -> None:
    text = told(WEB, QUIET).text
    assert "reached from the internet: **1 → 1** cluster" in text
    assert "| 🌐 **the internet** | web: `tcp/22000` | web: `tcp/8888` |" in text
    assert "| `10.0.0.0/8` |" in text
    assert "web: `tcp/9000-9005`" in text
    assert "web: `tcp/9000-9010`" in text


def test_public_addresses_are_marked_unless_the_config_calls_them_ours() -> None:
    plan = opening_plan("web", [("tcp", 80, 80, "52.1.2.0/24")])
    assert "🌐 `52.1.2.0/24` public" in told(plan).text
    assert "🌐 `52.1.2.0/24`" not in told(plan, ours=("52.0.0.0/8",)).text


def test_steps_files_and_the_saved_plan_are_in_the_folded_details() -> None:
    text = told(WEB, QUIET).text
    (details,) = re.findall(r"<details><summary><code>web-.*?</details>", text, re.DOTALL)
    assert "Applied in two steps: open first, then close" in details
    assert "- Compiled from `web.yaml`" in details
    assert "- Saved as `infra/web/aws-us-east-1/skyports.tfplan`" in details
    assert "<summary>1 stack stays as it is</summary>" in text


def test_many_stacks_are_folded_together() -> None:
    plans = [opening_plan(f"c{place}", [("tcp", 80, 80, "10.0.0.0/8")]) for place in range(20)]
    text = told(*plans).text
    assert text.count("<summary>20 stacks in detail</summary>") == 1
    assert text.index("20 stacks in detail") < text.index("<code>c0-aws-us-east-1</code>")
    assert_is_harmless(text)


def test_what_could_not_be_planned_is_told_before_the_table() -> None:
    failed = TerraformError(Diagnostic("terraform-failed", "bad: plan failed"), "Error: no luck")
    text = told(WEB, missing=(stack("bad"),), failures=(failed,)).text
    assert headline(text).endswith("; 1 stack could not be planned")
    caution = text.index("> [!CAUTION]\n> **1 stack could not be planned**: `bad-aws-us-east-1`")
    assert caution < text.index("| 🟢 opens")
    assert "error[terraform-failed]: bad: plan failed" in text
    assert "Error: no luck" in text


def test_warnings_are_told_folded() -> None:
    found = (Diagnostic("gap-possible", "web: tcp 80 may be closed for a moment", severity="warning"),)
    text = told(WEB, findings=found).text
    assert "<details><summary>1 warning</summary>" in text
    assert "warning[gap-possible]: web: tcp 80 may be closed for a moment" in text


def test_findings_that_end_the_plan_are_a_comment_too() -> None:
    text = failed_comment([Diagnostic("file-missing", "the file does not exist", "web.yaml")])
    assert text.startswith(f"{MARKER}\n\n### Nothing was planned: 1 finding\n")
    assert "web.yaml: error[file-missing]: the file does not exist" in text


def test_many_findings_that_end_the_plan_are_cut_below_the_limit_and_counted() -> None:
    found = [Diagnostic("bad-source", "🌐" * 300, f"{place}.yaml") for place in range(400)]
    text = failed_comment(found)
    assert len(text.encode()) < LIMIT
    assert "more findings: the log has all of them" in text


def test_the_command_line_writes_the_comment_and_nothing_else_to_stdout(tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    project.task("8888")
    project.task("9999", name="bad", file="bad.yaml")
    project.config(f"terraform:\n  binary: {pretend_terraform(tmp_path / 'bin')}\n")
    good = call(project.folder, "plan", "web.yaml", "--format", "markdown")
    assert good.code == 0
    assert good.out.startswith(f"{MARKER}\n\n### Opens tcp/8888 to the internet on web\n")
    assert good.out == call(project.folder, "plan", "web.yaml", "--format", "markdown").out
    some = call(project.folder, "plan", "web.yaml", "bad.yaml", "--format", "markdown")
    assert some.code == 3
    assert "**1 stack could not be planned**: `bad-aws-us-east-1`" in some.out
    none = call(project.folder, "plan", "missing.yaml", "--format", "markdown")
    assert none.code == 1
    assert none.out.startswith(f"{MARKER}\n\n### Nothing was planned: 1 finding\n")


# -- nothing is lost -------------------------------------------------------------------


def some_sources(chance: random.Random, number: int) -> list[str]:
    """That many sources, one of them perhaps the internet."""
    found = [f"{chance.choice((10, 52, 100))}.{place >> 8}.{place & 255}.0/24" for place in range(number)]
    return [chance.choice(("0.0.0.0/0", "::/0", found[0])), *found[1:]]


def some_openings(chance: random.Random, number: int, sources: Sequence[str]) -> list[Opening]:
    """Openings of one stack: ranges that do not touch, each to one of the sources."""
    starts = sorted(chance.sample(range(1, 65000, 3), number))
    protocols = ("tcp", "udp")
    return [
        (chance.choice(protocols), first, first + chance.randrange(2), chance.choice(sources))
        for first in starts
    ]


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([(1, 4000, 3), (40, 90, 12), (700, 4, 700), (1200, 2, 5)]))
def test_thousands_of_openings_are_all_stated_below_the_limit(seed: int, shape: tuple[int, int, int]) -> None:
    chance = random.Random(seed)
    stacks, number, sources = shape
    known = some_sources(chance, sources)
    plans = [
        opening_plan(f"c{place}", some_openings(chance, number, known), region=f"us-east-{place % 4}")
        for place in range(stacks)
    ]
    found = told(*plans)
    assert len(found.text) <= len(found.text.encode()) < ROOM < LIMIT == 65_536
    if found.complete:
        assert stated_openings(found.text) == opened_by(plans)
    else:
        assert_is_honest(found, plans)


def test_a_cluster_with_thousands_of_ports_and_a_fleet_with_thousands_of_openings_are_complete() -> None:
    chance = random.Random(7)
    alone = [opening_plan("web", some_openings(chance, 5000, some_sources(chance, 2)))]
    pattern = [
        ("tcp", 8888, 8888, "0.0.0.0/0"),
        ("tcp", 6000, 6010, "10.0.0.0/8"),
        ("udp", 53, 53, "10.0.0.0/8"),
    ]
    fleet = [opening_plan(f"train-{place}", pattern) for place in range(3000)]
    apart = [
        opening_plan(
            f"c{place}", [("tcp", 1000 + 7 * place, 1000 + 7 * place, f"10.{place >> 8}.{place & 255}.0/24")]
        )
        for place in range(1500)
    ]
    for plans in (alone, fleet, apart):
        found = told(*plans)
        assert found.complete
        assert len(found.text.encode()) < ROOM
        assert stated_openings(found.text) == opened_by(plans)


def test_closing_gives_way_to_opening() -> None:
    plans = [
        StackPlan(
            stack(f"c{place}", [("tcp", 1000 + place, 1000 + place, f"10.0.{place % 256}.0/24")]),
            PortChanges(
                open=(rule(1000 + place, None, (f"10.0.{place % 256}.0/24",)),),
                close=tuple(
                    rule(30_000 + 4 * place + more, None, (f"10.9.{place % 256}.0/24",)) for more in (0, 1, 2)
                ),
            ),
            ResourceCounts(1, 0, 2),
        )
        for place in range(1200)
    ]
    found = told(*plans)
    assert found.complete and len(found.text.encode()) < ROOM
    assert stated_openings(found.text) == opened_by(plans)
    assert "Closes 1200 port ranges as well" in found.text


def test_what_has_no_room_is_told_to_be_incomplete_with_bounds_that_hold(tmp_path: Path) -> None:
    chance = random.Random(11)
    known = some_sources(chance, 4000)
    plans = [
        opening_plan(f"cluster-{place}", some_openings(chance, 4, known), region=f"us-east-{place % 9}")
        for place in range(1500)
    ]
    found = told(*plans)
    assert not found.complete
    assert len(found.text.encode()) < ROOM
    assert_is_honest(found, plans)


def assert_is_honest(found: Comment, plans: Iterable[StackPlan]) -> None:
    """It says at its top that it is not complete, and every opening lies within a bound of its kind."""
    assert found.text.index("**This comment is not complete**") < found.text.index("```diff")
    (block,) = re.findall(r"```diff\n(.*?)\n```", found.text, re.DOTALL)
    bounds = re.findall(
        r"^[+!] \d+ openings? within (\w+)/(\d+)(?:-(\d+))? on \d+ stacks? <- (.*)$", block, re.MULTILINE
    )
    assert bounds
    networks = [
        (
            protocol,
            int(first),
            int(last or first),
            [ipaddress.ip_network(text.split()[-1]) for text in sources.split(", ")],
        )
        for protocol, first, last, sources in bounds
    ]
    for (_, _, protocol, source), ports in opened_by(plans).items():
        block_of = ipaddress.ip_network(source)
        assert any(
            kind == protocol
            and first <= ports.ranges[0].first
            and ports.ranges[-1].last <= last
            and any(hull.version == block_of.version and block_of.subnet_of(hull) for hull in hulls)  # type: ignore[arg-type]
            for kind, first, last, hulls in networks
        )


def test_many_failures_and_long_names_leave_room_for_the_openings() -> None:
    failed = [
        TerraformError(Diagnostic("terraform-failed", f"{'x' * 3000} {place}"), "Error: " + "\x1b🌐" * 9000)
        for place in range(300)
    ]
    plans = [opening_plan(f"{'n' * 90}{place}", [("tcp", 80, 80, "0.0.0.0/0")]) for place in range(60)]
    found = told(*plans, failures=tuple(failed), missing=tuple(stack(f"bad{place}") for place in range(300)))
    assert found.complete and len(found.text.encode()) < ROOM
    assert stated_openings(found.text) == opened_by(plans)
    assert "more findings: the log has all of them" in found.text


# -- nobody steers it ------------------------------------------------------------------

HOSTILE = [
    "a|b", "`", "``` \n```", "@octocat", "#1", "GH-1", "<script>alert(1)</script>", "<!--", "-->",
    "</details>", "[x](javascript:alert(1))", "![x](http://example.com/x.png)", "http://example.com",
    "www.example.com", "a\nb", "a\r\n| x |", "**bold**", "\\", "\\|", "&lt;", ":100:", "```mermaid",
    '"]; click s0 "x"', "end", "%%{init: {}}%%", "\u202e", "\x1b[2J", "", " ", "~~~", "$$x$$", "a`|`b",
    "|", "\\`|",
]  # fmt: skip
TEXTS = (
    st.sampled_from(HOSTILE)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
    | st.lists(st.sampled_from([*"`|\\@#<>&[]()!*_~:\"'\n", "a"]), max_size=12).map("".join)
)
ALLOWED = {"details", "summary", "code", "br"}


class Page(HTMLParser):
    """The tags of a piece of HTML, and its texts outside of code."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag if not attrs else f"{tag} with attributes")

    def handle_data(self, data: str) -> None:
        if "code" not in self.tags:
            self.texts.append(data)


def assert_is_harmless(text: str) -> None:
    """Its Markdown holds no link, no image, no tag but ours, no mention, and tables of whole rows."""
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(text)
    flat = [inner for token in tokens for inner in (token, *(token.children or ()))]
    assert {token.type for token in flat} & {"link_open", "image", "html_inline"} <= {"html_inline"}
    assert {token.content for token in flat if token.type == "html_inline"} <= {"<br>"}
    for token in flat:
        if token.type == "html_block" and token.content.strip() != MARKER:
            page = Page()
            page.feed(token.content)
            assert set(page.tags) <= ALLOWED
            assert_says_nothing_special("".join(page.texts))
        if token.type == "text":
            assert_says_nothing_special(token.content)
    blocks = "".join(token.content for token in flat if token.type == "html_block")
    assert blocks.count("<details>") == blocks.count("</details>")
    assert_tables_are_whole(tokens)


def assert_says_nothing_special(text: str) -> None:
    assert not re.search(r"@\w|(?:^|\s)#\d|https?:|www\.|<|\bGH-\d|:\w+:", text), text


def assert_tables_are_whole(tokens: list[Token]) -> None:
    cells, widths = 0, []
    for token in tokens:
        if token.type in ("td_open", "th_open"):
            cells += 1
        elif token.type == "tr_close":
            widths.append(cells)
            cells = 0
    assert set(widths) <= {3, 4, 6}


def hostile_plan(texts: list[str]) -> StackPlan:
    cluster, source, file, path, protocol, region = texts
    made = PortRule(protocol, 80, 90, (source, "0.0.0.0/0"), (file,))
    entry = LedgerEntry(file, file, 0, PortSet(), ())
    changes = PortChanges((made,), (RuleChange(made, PortRule(protocol, 80, 99, (file,))),), (made,))
    return StackPlan(Stack(cluster, "aws", region, entries=(entry,)), changes, ResourceCounts(1, 1, 1), path)


@settings(max_examples=40, deadline=None)
@given(st.lists(TEXTS, min_size=6, max_size=6), TEXTS, st.sampled_from([1, 12]))
def test_no_text_of_a_user_steers_the_comment(texts: list[str], message: str, copies: int) -> None:
    finding = Diagnostic("bad-source", message, path=message, help=message)
    found = told(
        *[hostile_plan(texts)] * copies,
        missing=(Stack(texts[0], "aws", texts[5]),),
        failures=(TerraformError(finding, message * 3), FindingsError(finding)),
        findings=(finding,),
    )
    assert found.text.startswith(f"{MARKER}\n\n### ")
    assert_is_harmless(found.text)


@settings(max_examples=200, deadline=None)
@given(TEXTS)
def test_a_text_is_a_code_span_of_itself_or_plain_and_nothing_else(text: str) -> None:
    for spelled in (code(text), plain(text)):
        (inline,) = [
            token
            for token in MarkdownIt("commonmark").enable("table").parse(f"x {spelled}")
            if token.type == "inline"
        ]
        kinds = [token.type for token in inline.children or ()]
        assert kinds in (["text", "code_inline"], ["text"])
        assert "|" not in spelled and "\n" not in spelled


@settings(max_examples=200, deadline=None)
@given(st.lists(TEXTS).map("\n".join))
def test_nothing_ends_a_fence_but_its_end(text: str) -> None:
    tokens = MarkdownIt("commonmark").parse(f"{fenced(text)}\n\nafter")
    assert [token.type for token in tokens] == ["fence", "paragraph_open", "inline", "paragraph_close"]
