"""docs/policy.md is true: its files are written, its commands run, and what they answer is compared."""

from __future__ import annotations

import json
import re
from pathlib import Path

from skyports_tf.clouds import load_cloud, managed_clouds
from skyports_tf.policy import CODES_OF
from tests.support.command_line import call
from tests.support.installs import ROOT

# the page's exception must not end one day
PAGE = (
    (ROOT / "docs" / "policy.md")
    .read_text(encoding="utf-8")
    .replace("2027-03-31", "9998-12-31")
    .replace("2027-04-01", "9999-01-01")
)
FILES = dict(re.findall(r"^`([\w./-]+)`:\n\n```\w*\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
COMMANDS = re.findall(r"^\$ skyports-tf (.*)\n((?:(?!^```|^\$ ).*\n)*)", PAGE, re.MULTILINE)


def test_the_commands_of_the_page_answer_as_it_says(tmp_path: Path) -> None:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert len(FILES) == 2 and COMMANDS
    for words, expected in COMMANDS:
        answer = call(tmp_path, *words.split())
        assert (answer.out or answer.err).strip() == expected.strip(), words
    assert not (tmp_path / "infra").exists()


def test_the_result_on_the_page_is_one_of_the_log(tmp_path: Path) -> None:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    shown = re.search(r"^```json\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert shown is not None
    (run,) = call(tmp_path, "compile", "demo.yaml", "--format", "sarif").json["runs"]
    assert json.loads(shown[1]) in run["results"]


def test_the_page_names_checks_that_the_manifests_know() -> None:
    known = {check["id"] for name in managed_clouds() for check in load_cloud(name).checks}
    assert set(re.findall(r"CKV2?_[A-Z]+_\d+", PAGE)) - known == set()


def test_the_page_names_every_kind_of_rule() -> None:
    assert {kind for kind in CODES_OF if f"| `{kind}: " not in PAGE} == set()
