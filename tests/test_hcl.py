"""HCL spelling: whatever the text, Terraform reads the text that went in."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyports_tf import hcl

HOSTILE = (
    "",
    "plain",
    '"',
    "\\",
    '\\"',
    "\\\\n",
    "${var.x}",
    "$${var.x}",
    "$$${var.x}",
    "%{ if true }x%{ endif }",
    "%%{",
    "$",
    "$$",
    "%",
    "$ {",
    "{}",
    "\n",
    "\r\n",
    "\t",
    "\b\f\v\x01\x1f\x7f",
    "\x1b[31m",
    "a\u2028b\u2029c\u0085d",
    "<<EOT\nx\nEOT",
    "# comment",
    "/* */",
    "é ü 中文 🚀",
    "\u202egnp.exe",
    "\ufeffbom",
    "${",
    "%{",
    "~}",
    "$\\{",
    "'; rm -rf /",
    "../../etc/passwd",
    "-flag",
)


def read_back(values: list[str], folder: Path) -> list[str]:
    """What the real Terraform reads of `values` as we spell them."""
    folder.joinpath("main.tf").write_text(
        f'output "values" {{\n  value = {hcl.spell(values)}\n}}\n', encoding="utf-8"
    )
    run = ["terraform", f"-chdir={folder}"]
    subprocess.run([*run, "apply", "-auto-approve", "-input=false"], check=True, capture_output=True)
    shown = subprocess.run([*run, "output", "-json", "values"], check=True, capture_output=True, text=True)
    found: list[str] = json.loads(shown.stdout)
    return found


def test_hostile_strings_come_back_from_terraform_as_they_went_in(tmp_path: Path) -> None:
    assert read_back(list(HOSTILE), tmp_path) == list(HOSTILE)


def test_random_text_comes_back_from_terraform_as_it_went_in(tmp_path: Path) -> None:
    texts: list[str] = []

    @given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), min_size=50))
    def collect(batch: list[str]) -> None:
        texts.extend(batch)

    collect()
    assert read_back(texts, tmp_path) == normalised(texts)


def normalised(texts: list[str]) -> list[str]:
    """Terraform keeps strings in Unicode's NFC (its language specification says so)."""
    import unicodedata

    return [unicodedata.normalize("NFC", text) for text in texts]


@pytest.mark.parametrize("text", ["\0", "a\0b", "\ud800"])
def test_text_that_hcl_cannot_hold_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        hcl.quote(text)


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_a_quoted_text_stays_on_one_line_and_opens_no_template(text: str) -> None:
    quoted = hcl.quote(text)
    assert len(quoted.splitlines()) == 1
    without_escapes = quoted.replace("$${", "").replace("%%{", "")
    assert "${" not in without_escapes and "%{" not in without_escapes


@given(st.text())
def test_a_comment_stays_on_its_line(text: str) -> None:
    assert len(f"# {hcl.comment(text)}".splitlines()) == 1


@pytest.mark.parametrize(
    ("value", "spelled"),
    [
        (None, "null"),
        (True, "true"),
        (False, "false"),
        (8080, "8080"),
        ("x", '"x"'),
        ([], "[]"),
        (["a", 1], '["a", 1]'),
        ({}, "{}"),
        (hcl.Expression("module.ports.rules"), "module.ports.rules"),
        ({"a": 1, "bb": "x"}, '{\n  a  = 1\n  bb = "x"\n}'),
        ({"tcp-80@::/0": 1}, '{\n  "tcp-80@::/0" = 1\n}'),
        ({"a": {"b": 1}, "c": 2}, "{\n  a = {\n    b = 1\n  }\n  c = 2\n}"),
    ],
)
def test_values_are_spelled_as_terraform_fmt_would(value: hcl.Value, spelled: str) -> None:
    assert hcl.spell(value) == spelled


def test_an_inline_map_stays_on_one_line() -> None:
    assert hcl.spell_inline({"protocol": "tcp", "from_port": 80}) == '{ protocol = "tcp", from_port = 80 }'
    assert hcl.spell_inline({}) == "{}"


@given(
    st.recursive(
        st.text('abc${%"\\\n ', max_size=4) | st.integers() | st.booleans() | st.none(),
        lambda inner: st.dictionaries(st.text("ab-_1@ /", min_size=1, max_size=5), inner, max_size=4),
        max_leaves=12,
    )
)
def test_spelled_maps_are_what_terraform_fmt_writes(value: hcl.Value) -> None:
    FORMATTED.append(f"x{len(FORMATTED)} = {hcl.spell(value)}\n")


FORMATTED: list[str] = []


def test_terraform_fmt_finds_nothing_to_change(tmp_path: Path) -> None:
    test_spelled_maps_are_what_terraform_fmt_writes()
    for number, text in enumerate(FORMATTED):
        tmp_path.joinpath(f"f{number}.tf").write_text(
            f"locals {{\n  {text.rstrip().replace(chr(10), chr(10) + '  ')}\n}}\n"
        )
    check = subprocess.run(
        ["terraform", "fmt", "-check", "-diff", str(tmp_path)], capture_output=True, text=True
    )
    assert check.stdout == "" and check.returncode == 0
