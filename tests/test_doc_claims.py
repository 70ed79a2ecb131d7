"""What pages claim: each claim of docs/security.md has a test, and the index knows every page and verb."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from skyports_tf.cli import VERBS
from tests.support.doc_blocks import PAGES
from tests.support.installs import ROOT

SECURITY = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
INDEX = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")


def claims() -> Iterator[tuple[str, str]]:
    """Every row of every table of claims: the claim, and what stands in its last column."""
    for rows in re.findall(r"^\| claim \| test \|\n\|[-|]+\|\n((?:\|.*\n)+)", SECURITY, re.MULTILINE):
        for row in rows.splitlines():
            claim, _, held_by = row.strip("| ").rpartition(" | ")
            yield claim, held_by


CLAIMS = dict(claims())


def test_the_page_has_its_claims() -> None:
    assert len(CLAIMS) == len([*claims()]) == SECURITY.count(".py`: ") > 50


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_claim_has_a_test_that_is_there(claim: str) -> None:
    named = re.fullmatch(r"`(test_\w+\.py)`: ([a-z0-9 ]+)", CLAIMS[claim])
    assert named is not None, CLAIMS[claim]
    tree = ast.parse((ROOT / "tests" / named[1]).read_text(encoding="utf-8"))
    known = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert f"test_{named[2].replace(' ', '_')}" in known


def test_the_index_has_every_page_once() -> None:
    listed = re.findall(r"^\| \[([\w-]+\.md)\]", INDEX, re.MULTILINE)
    assert sorted(f"docs/{name}" for name in listed) == sorted({*PAGES} - {"README.md", "docs/README.md"})


def test_the_index_has_every_verb_once() -> None:
    listed = re.findall(
        r"^\| `([a-z]+)[` ]", INDEX.partition("## The verbs")[2].partition("## ")[0], re.MULTILINE
    )
    assert sorted(listed) == sorted(VERBS)


def test_the_index_has_every_make_target_that_matters() -> None:
    targets = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert targets - set(re.findall(r"`make ([a-z-]+)`", INDEX)) == {"help", "demo", "clean"}


def test_the_figures_of_the_design_are_those_that_were_measured() -> None:
    design = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    (told,) = re.findall(r"([\d,]+) of ([\d,]+) looks", design)
    reliability = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    (control,) = re.findall(r"^\| control: .+ \| ([\d,]+) \| ([\d,]+) \| \d+ \|$", reliability, re.MULTILINE)
    assert told == control[::-1]


def test_the_pages_name_the_pythons_that_are_supported() -> None:
    setup = (ROOT / "setup.cfg").read_text(encoding="utf-8")
    minors = [int(minor) for minor in re.findall(r"Python :: 3\.(\d+)$", setup, re.MULTILINE)]
    for page in ("README.md", "docs/tutorial.md"):
        text = (ROOT / page).read_text(encoding="utf-8")
        assert f"Python 3.{min(minors)} to 3.{max(minors)}" in text


def test_the_readme_fits_one_screen() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 110
