"""The picture: who reaches what, small enough to read, and never more than is true."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skyports_tf.outcomes import PortChanges, ResourceCounts, RuleChange, StackPlan
from skyports_tf.report.mermaid import mermaid_text
from skyports_tf.report.picture import Picture, draw
from skyports_tf.report.review import StackReview, review_plan
from tests.support.comments import opening_plan, rule, stack
from tests.test_markdown import TEXTS, WEB, hostile_plan

LABEL = r'"(?:[A-Za-z0-9 ,/:_().<>-]|#\d+;)+"'
LINES = re.compile(
    r"flowchart LR"
    r'|  %%\{init: \{"flowchart": \{["A-Za-z0-9:, {}]+\}\}\}%%'
    rf"|  s\d+\(\[{LABEL}\]\):::(?:internet|public|inside)"
    rf"|  subgraph b\d+\[{LABEL}\]"
    rf"|  (?:  )?b\d+p\d+\[{LABEL}\]:::(?:opens|changes|closes|stays)"
    r"|  end"
    r"|  s\d+ (?:==>|-->|-\.->) b\d+p\d+"
    r"|  class b\d+(?:,b\d+)* box"
    r"|  classDef box fill:none,stroke:#[0-9a-f]{6}"
    r"|  linkStyle [\d,]+ stroke:#[0-9a-f]{6},stroke-width:\dpx"
    r"|  classDef \w+ fill:#[0-9a-f]{6},stroke:#[0-9a-f]{6},[a-z0-9:,# -]+"
)


def reviewed(*plans: StackPlan) -> list[StackReview]:
    return [review_plan(plan) for plan in plans]


def drawn(*plans: StackPlan) -> str:
    return mermaid_text(draw(reviewed(*plans)))


def test_sources_are_left_clusters_right_what_is_new_is_green_and_what_closes_is_red() -> None:
    lines = drawn(WEB).splitlines()
    assert lines[0] == "flowchart LR"
    assert lines[2:11] == [
        '  s0(["the internet<br/>0.0.0.0/0"]):::internet',
        '  s1(["10.0.0.0/8"]):::inside',
        '  subgraph b0["web (aws/us-east-1)"]',
        '    b0p0["opens tcp/8888"]:::opens',
        '    b0p1["opens tcp/9006-9010"]:::opens',
        '    b0p2["closes tcp/22000"]:::closes',
        '    b0p3["tcp/9000-9005"]:::stays',
        "  end",
        "  class b0 box",
    ]
    assert "  linkStyle 0,1 stroke:#1a7f37,stroke-width:3px" in lines
    assert "  linkStyle 2 stroke:#cf222e,stroke-width:2px" in lines


def test_a_rule_that_is_made_anew_is_a_change_and_opens_nothing() -> None:
    again = StackPlan(
        stack("web", [("tcp", 80, 80, "0.0.0.0/0")]),
        PortChanges(open=(rule(80),), close=(rule(80),)),
        ResourceCounts(1, 0, 1),
    )
    assert '["changes tcp/80<br/>web (aws/us-east-1)"]:::changes' in drawn(again)
    assert ":::opens" not in drawn(again)


def fleet(number: int, kinds: int) -> list[StackPlan]:
    return [
        opening_plan(
            f"c{place}",
            [
                (
                    "tcp",
                    8000 + place % kinds,
                    8000 + place % kinds,
                    "0.0.0.0/0" if place % 2 else "10.0.0.0/8",
                ),
                ("udp", 53, 53, f"10.{place % kinds >> 8}.{place % kinds & 255}.0/24"),
            ],
        )
        for place in range(number)
    ]


@pytest.mark.parametrize(("number", "kinds"), [(8, 8), (30, 2), (200, 7), (1000, 400)])
def test_many_clusters_are_grouped_until_the_picture_can_be_read(number: int, kinds: int) -> None:
    picture = draw(reviewed(*fleet(number, kinds)))
    assert len(picture.sources) <= 10
    assert len(picture.boxes) <= 12
    assert sum(len(box.ports) for box in picture.boxes) <= 48
    assert len({name for box in picture.boxes for name in box.stacks}) == number
    text = mermaid_text(picture)
    # GitHub draws up to 500 edges and 50,000 characters
    assert len(re.findall(r"==>|-->", text)) <= 200
    assert len(text) < 15_000


def test_a_fleet_of_many_kinds_is_told_by_its_ports() -> None:
    picture = draw(reviewed(*fleet(60, 6)))
    assert all(len(box.ports) == 1 for box in picture.boxes)
    dns = [box for box in picture.boxes if box.ports[0].title == "udp/53"]
    assert {(box.title, len(box.stacks)) for box in dns} <= {
        (f"10 clusters: c{place}, c{place + 6} and 8 more", 10) for place in range(6)
    }
    assert "subgraph" not in mermaid_text(picture)


def test_clusters_that_are_drawn_already_are_not_told_to_be_more() -> None:
    again = draw(reviewed(*fleet(1000, 400))).boxes[-1]
    assert again.title == "1000 clusters"
    apart = [
        opening_plan(f"c{place}", [("tcp", 8000 + 2 * place, 8000 + 2 * place, "0.0.0.0/0")])
        for place in range(20)
    ]
    assert draw(reviewed(*apart)).boxes[-1].title == "9 more clusters"


def reached(picture: Picture) -> set[tuple[str, str, str]]:
    """Stack, single source and ports as a picture without groups has them."""
    return {
        (name, picture.sources[place].title, ports.title)
        for box in picture.boxes
        for name in box.stacks
        for ports in box.ports
        for place in ports.sources
    }


def test_clusters_that_are_alike_are_one_box_that_says_how_many() -> None:
    picture = draw(reviewed(*fleet(30, 2)))
    assert {box.title for box in picture.boxes} == {
        "15 clusters: c0, c2 and 13 more",
        "15 clusters: c1, c3 and 13 more",
    }
    assert reached(picture) == {
        found
        for place in range(30)
        for found in (
            (
                f"c{place}-aws-us-east-1",
                "0.0.0.0/0" if place % 2 else "10.0.0.0/8",
                f"tcp/{8000 + place % 2}",
            ),
            (f"c{place}-aws-us-east-1", f"10.0.{place % 2}.0/24", "udp/53"),
        )
    }


def test_no_port_is_drawn_for_a_source_that_does_not_reach_it_even_where_rows_are_merged() -> None:
    openings = [("tcp", 9000 + 2 * place, 9000 + 2 * place, f"10.{place}.0.0/16") for place in range(9)]
    plan = opening_plan("web", [("tcp", 80, 80, "0.0.0.0/0"), *openings])
    picture = draw(reviewed(plan))
    (box,) = picture.boxes
    exposed = [
        ports.title
        for ports in box.ports
        if any(picture.sources[it].audience == "internet" for it in ports.sources)
    ]
    assert exposed == ["tcp/80"]
    assert [ports.title for ports in box.ports if ports.title not in exposed] == ["9 port ranges"]


def test_without_changes_the_picture_shows_what_is_open() -> None:
    quiet = StackPlan(stack("web", [("tcp", 80, 80, "10.0.0.0/8")]), PortChanges(), ResourceCounts())
    assert '["tcp/80<br/>web (aws/us-east-1)"]:::stays' in drawn(quiet)


@pytest.mark.parametrize("way", ["TB", "BT", "RL", "LR", "td"])
def test_a_label_is_no_statement_on_the_direction(way: str) -> None:
    # the real parser takes `.*direction\s+TB` at the beginning of a line before it looks for a label
    text = drawn(opening_plan("web", [("tcp", 80, 80, "0.0.0.0/0")], region=f"my direction {way}"))
    assert not re.search(r"direction\s", text, re.IGNORECASE)
    assert f"my direction#32;{way}" in text


def test_a_label_is_no_icon() -> None:
    text = drawn(opening_plan("web", [("tcp", 80, 80, "0.0.0.0/0")], region="fa:fa-car"))
    assert "(aws/fa#58;fa-car)" in text


@settings(max_examples=60, deadline=None)
@given(st.lists(TEXTS, min_size=6, max_size=6))
def test_no_text_of_a_user_is_more_than_a_label(texts: list[str]) -> None:
    plan = hostile_plan(texts)
    changed = StackPlan(plan.stack, PortChanges(change=(RuleChange(rule(1), rule(2)),)), plan.counts)
    for line in drawn(plan, changed).split("\n"):
        assert LINES.fullmatch(line), line
