"""Golden trees: a folder a case, compiled and compared byte for byte.

tests/golden/<cloud>/<case>/ holds task files, a skyports.yaml, and either expected/ (the tree
without the module) or expected.txt (what refuses it); tests/golden/<cloud>/module/ is the module.
`make golden` writes them anew.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.golden import CASES, MODULE, compiled
from tests.support.project import tree_of


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}-{case.name}")
def test_a_case_compiles_to_its_golden_tree(case: Path, tmp_path: Path) -> None:
    answer = compiled(case, tmp_path)
    if answer is None:
        module = {
            f"modules/{case.parent.name}/{name}": text for name, text in tree_of(case.parent / MODULE).items()
        }
        golden = tree_of(case / "expected") | module
        assert tree_of(tmp_path / "infra") == golden, "`make golden`, and read the diff"
        assert not (case / "expected.txt").exists()
    else:
        assert answer == (case / "expected.txt").read_text(encoding="utf-8")
        assert not (case / "expected").exists() and not (tmp_path / "infra").exists()


@pytest.mark.parametrize("cloud", sorted({case.parent for case in CASES}), ids=lambda folder: folder.name)
def test_golden_trees_are_formatted(cloud: Path) -> None:
    check = ["terraform", "fmt", "-check", "-recursive", "-diff", str(cloud)]
    assert subprocess.run(check, capture_output=True, text=True).stdout == ""
