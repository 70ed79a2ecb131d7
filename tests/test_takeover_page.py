"""docs/takeover.md says what SkyPilot does, and every line of it is a test."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "takeover.md").read_text(encoding="utf-8")
ORDERS = [ROOT / "tests" / "skypilot" / name for name in ("test_aws_orders.py", "test_other_clouds.py")]


def orders() -> list[str]:
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in ORDERS]
    functions = [node.name for tree in trees for node in tree.body if isinstance(node, ast.FunctionDef)]
    return [name for name in functions if name.startswith("test_")]


def test_every_order_on_the_page_is_a_test_and_every_test_is_on_the_page() -> None:
    named = re.findall(r"\| `([a-z_]+)` \|$", PAGE, re.MULTILINE)
    found = {word: [name for name in orders() if word in name] for word in named}
    assert {word: names for word, names in found.items() if len(names) != 1} == {}
    assert sorted(name for names in found.values() for name in names) == sorted(orders())


def test_the_page_names_the_version_that_is_tested() -> None:
    pinned = (ROOT / "tests" / "skypilot" / "requirements.txt").read_text(encoding="utf-8")
    version = re.search(r"^skypilot\[aws\]==(\S+)$", pinned, re.MULTILINE)
    assert version
    assert f"SkyPilot {version[1]}" in PAGE
