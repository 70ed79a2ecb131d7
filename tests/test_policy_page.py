"""docs/policy.md is true: its files are written, its commands run, and what they answer is compared."""

from __future__ import annotations

import re
from pathlib import Path

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
        assert (answer.out + answer.err).strip() == expected.strip(), words
    assert not (tmp_path / "infra").exists()


def test_the_page_names_every_kind_of_rule() -> None:
    from skyports_tf.policy import CODES_OF

    assert {kind for kind in CODES_OF if f"| `{kind}: " not in PAGE} == set()
