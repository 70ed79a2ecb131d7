"""The page of `report`: one file that loads nothing, says who reaches what, and lets no text steer it."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skyports_tf.model import LedgerEntry, Stack
from skyports_tf.outcomes import Node, StackPlan, StackStatus
from skyports_tf.ports import PortSet
from skyports_tf.report.drawing import NARROW, WIDE, Drawing, lay_out
from skyports_tf.report.html import page_html
from skyports_tf.report.page_stacks import PageStack
from skyports_tf.report.picture import Limits, draw
from skyports_tf.report.review import review_plan
from tests.support.command_line import call, valid
from tests.support.comments import opening_plan, stack
from tests.support.pretend_terraform import commands, pretend_terraform
from tests.support.project import Project
from tests.test_markdown import TEXTS, WEB, hostile_plan

CODE = 'module "ports" {\n  source = "../../../modules/aws"\n}\n'


def some_stacks(number: int) -> list[PageStack]:
    """Stacks of which every third is open to the internet."""
    found = []
    for place in range(number):
        source = "0.0.0.0/0" if place % 3 == 0 else f"10.{place % 7}.0.0/16"
        openings = [("tcp", 8000 + place % 5, 8000 + place % 5, source), ("udp", 53, 53, "10.0.0.0/8")]
        found.append(PageStack(stack(f"c{place}", openings, file=f"tasks/c{place}.yaml"), CODE))
    return found


class Parsed(HTMLParser):
    """What a page is made of: its tags with their attributes, and the texts of some of them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {"style": [], "script": [], "title": []}
        self.open: list[str] = []
        self.unclosed: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "input", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.unclosed.append(tag)

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in self.texts:
            self.texts[self.open[-1]].append(data)


def test_the_page_loads_nothing_and_its_policy_allows_its_own_script_and_style_alone() -> None:
    text = page_html("infra", some_stacks(3))
    page = Parsed(text)
    (policy,) = [
        found["content"] for tag, found in page.tags if found.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy is not None and policy.startswith("default-src 'none'; ")
    for kind in ("style", "script"):
        (own,) = page.texts[kind]
        digest = base64.b64encode(hashlib.sha256(own.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert not {"link", "img", "iframe", "object", "embed", "form", "base"} & {tag for tag, _ in page.tags}
    assert not {"src", "style", "srcset"} & {name for _, found in page.tags for name in found}
    assert not [name for _, found in page.tags for name in found if name.startswith("on")]
    assert {found["href"][:1] for _, found in page.tags if found.get("href")} == {"#"}  # type: ignore[index]
    assert "http" not in text.replace('http-equiv="', "")


def test_the_page_is_whole_and_every_link_leads_to_a_place_in_it() -> None:
    page = Parsed(page_html("infra", some_stacks(40)))
    assert (page.open, page.unclosed) == ([], [])
    places = [found["id"] for _, found in page.tags if "id" in found]
    assert len(places) == len(set(places))
    links = {found["href"] for tag, found in page.tags if tag == "a"}
    assert links <= {f"#{place}" for place in places}


def test_the_same_stacks_give_the_same_bytes() -> None:
    assert page_html("infra", some_stacks(30)) == page_html("infra", some_stacks(30))


def test_where_the_tree_lies_on_a_machine_is_not_told() -> None:
    text = page_html("/home/somebody/work/infra", some_stacks(1))
    assert "somebody" not in text
    assert "<code>infra</code>" in text


def test_the_verdict_is_in_words_and_in_the_title() -> None:
    assert "<title>2 of 4 clusters can be reached from the internet" in page_html("infra", some_stacks(4))
    calm = [PageStack(stack("db", [("tcp", 5432, 5432, "10.0.0.0/8")]))]
    assert "No cluster can be reached from the internet" in page_html("infra", calm)
    assert "There are no stacks." in page_html("infra", [])
    ours = [PageStack(stack("web", [("tcp", 80, 80, "52.1.2.0/24")]))]
    assert "1 of 1 cluster can be reached" in page_html("infra", ours)
    assert "No cluster can be reached" in page_html("infra", ours, ("52.0.0.0/8",))


def test_a_plan_shows_what_opens_changes_and_closes() -> None:
    text = page_html("infra", [PageStack(WEB.stack, None, WEB)])
    assert "That is with the plan applied: 1 to open, 1 to change, 1 to close." in text
    for ports, mark in (("tcp/8888", "opens"), ("tcp/9000-9010", "changes"), ("tcp/22000", "closes")):
        assert f'{ports} <span class="badge {mark}">{mark}</span>' in text
    assert "opens with the plan" in text
    assert "opens with the plan" not in page_html("infra", [PageStack(WEB.stack)])


def test_a_state_shows_nodes_and_endpoints_or_why_there_are_none() -> None:
    known = StackStatus(
        WEB.stack, "open", nodes=(Node("i-0a", "203.0.113.7", None, True),), endpoints={"80": "x:80"}
    )
    text = page_html("infra", [PageStack(WEB.stack, None, None, known)])
    assert "<td>i-0a (head)</td><td>203.0.113.7</td><td>-</td>" in text
    assert "<dd>80: x:80</dd>" in text
    unknown = StackStatus(WEB.stack, "unknown", reason="no such bucket")
    assert "<dd>no such bucket</dd>" in page_html("infra", [PageStack(WEB.stack, None, None, unknown)])


def test_every_rule_of_every_stack_is_a_row_that_can_be_found() -> None:
    rows = re.findall(r'<tr data-stack="stack-(\S+)" class="([a-z ]*)">', page_html("infra", some_stacks(30)))
    assert [name for name, _ in rows] == [f"c{place}-aws-us-east-1" for place in range(30) for _ in range(2)]
    assert sum("exposed" in words for _, words in rows) == 10


@settings(max_examples=40, deadline=None)
@given(st.lists(TEXTS, min_size=6, max_size=6))
def test_no_text_of_a_user_is_more_than_text(texts: list[str]) -> None:
    plan = hostile_plan(texts)
    entry = LedgerEntry(texts[2], texts[0], 0, PortSet(), ())
    quiet = Stack(texts[1], "aws", texts[3], entries=(entry,))
    status = StackStatus(quiet, "unknown", reason=texts[4], nodes=(Node(texts[0], texts[1], texts[2]),))
    page = Parsed(
        page_html(texts[5], [PageStack(plan.stack, texts[0], plan), PageStack(quiet, None, None, status)])
    )
    plain = Parsed(
        page_html(
            "infra",
            [
                PageStack(WEB.stack, "", WEB),
                PageStack(WEB.stack, None, None, StackStatus(WEB.stack, "unknown", reason="x")),
            ],
        )
    )
    assert {tag for tag, _ in page.tags} - {"ul"} <= {tag for tag, _ in plain.tags} | {"time", "br", "text"}
    assert {name for _, found in page.tags for name in found} <= {
        name for _, found in plain.tags for name in found
    } | {"open"}
    assert (page.open, page.unclosed) == ([], [])
    assert len(page.texts["script"]) == 1


# -- the map ---------------------------------------------------------------------------


def laid_out(plans: list[StackPlan]) -> Iterator[Drawing]:
    picture = draw([review_plan(plan) for plan in plans], Limits(14, 24, 6, 16))
    for sheet in (WIDE, NARROW):
        yield lay_out(picture, sheet)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 20)), min_size=1, max_size=60))
def test_nothing_on_the_map_lies_over_another_or_outside(pairs: list[tuple[int, int]]) -> None:
    plans = [
        opening_plan(f"c{place}", [("tcp", port, port, f"10.{block}.0.0/16"), ("udp", 53, 53, "0.0.0.0/0")])
        for place, (port, block) in enumerate(pairs)
    ]
    for drawing in laid_out(plans):
        for shapes in (drawing.sources, drawing.boxes):
            ordered = sorted(shapes, key=lambda shape: shape.y)
            assert all(one.y + one.height <= other.y for one, other in pairwise(ordered))
            assert all(one.y >= 0 and one.y + one.height <= drawing.height for one in shapes)
            assert all(one.x >= 0 and one.x + one.width <= drawing.width for one in shapes)
        for box in drawing.boxes:
            assert all(box.y < row.y and row.y + row.height < box.y + box.height for row in box.rows)


# -- the verb --------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Two compiled clusters, one of which Terraform fails for."""
    project = Project(tmp_path / "project")
    project.task("8888")
    project.task("[9999, '7000-7005']", name="bad", file="bad.yaml")
    project.config(
        f"terraform:\n  binary: {pretend_terraform(tmp_path / 'bin')}\nssh_sources: [10.0.0.0/8]\n"
    )
    assert call(project.folder, "compile", "web.yaml", "bad.yaml").code == 0
    return project


def test_the_page_is_written_from_the_tree_without_terraform(project: Project) -> None:
    answer = call(project.folder, "report", "--html", "page.html")
    assert (answer.code, answer.err) == (0, "")
    assert re.fullmatch(r"Wrote:  page\.html  2 stacks, 2 open to the internet, \d+ kB\n", answer.out)
    text = (project.folder / "page.html").read_text(encoding="utf-8")
    assert "2 of 2 clusters can be reached from the internet" in text
    assert "module &#34;ports&#34; {" in text
    assert not (project.folder.parent / "bin" / "calls").exists()
    assert call(project.folder, "report", "--html", "-").out == text


def test_stacks_are_named_by_cluster_or_folder(project: Project) -> None:
    document = call(project.folder, "report", "--html", "page.html", "--json", "web").json
    valid("report", document)
    assert document["stacks"] == [
        {
            "name": "web-aws-us-east-1",
            "directory": "web/aws-us-east-1",
            "cluster": "web",
            "cloud": "aws",
            "region": "us-east-1",
            "internet": True,
        }
    ]
    assert document["bytes"] == (project.folder / "page.html").stat().st_size
    wrong = call(project.folder, "report", "--html", "page.html", "--json", "wbe")
    assert wrong.code == 1
    assert valid("report", wrong.json)["page"] is None


def test_a_plan_that_fails_is_told_and_the_page_is_written_without_it(project: Project) -> None:
    answer = call(project.folder, "report", "--html", "page.html", "--plan")
    assert answer.code == 3
    assert "no luck" in answer.err
    text = (project.folder / "page.html").read_text(encoding="utf-8")
    assert "That is with the plan applied: 1 to open, 0 to change, 0 to close." in text
    assert "bad-aws-us-east-1" in text


def test_a_state_is_read_only_where_it_is_asked_for(project: Project) -> None:
    assert call(project.folder, "apply", "--yes", "web.yaml").code == 0
    before = commands(project.folder)
    assert call(project.folder, "report", "--html", "page.html").code == 0
    assert commands(project.folder) == before
    assert call(project.folder, "report", "--html", "page.html", "--state").code == 0
    text = (project.folder / "page.html").read_text(encoding="utf-8")
    assert "<td>i-0a (head)</td>" in text
    assert ">state: open</span>" in text


def test_a_file_that_is_no_page_of_ours_is_not_overwritten(project: Project) -> None:
    before = (project.folder / "skyports.yaml").read_bytes()
    answer = call(project.folder, "report", "--html", "skyports.yaml")
    assert answer.code == 1
    assert "skyports.yaml: error[file-foreign]" in answer.err
    assert (project.folder / "skyports.yaml").read_bytes() == before
    for _ in range(2):
        assert call(project.folder, "report", "--html", "new/page.html").code == 0
    assert call(project.folder, "report", "--html", "infra").code == 1
