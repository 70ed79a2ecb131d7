"""The documentation follows from the code: pages in step, every code and verb documented, links right."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from docs.generate import PAGES, main
from skyports_tf.cli import ALIASES, VERBS, cli
from skyports_tf.clouds import load_cloud, managed_clouds, unmanaged_clouds
from skyports_tf.codes import CODES
from tests.support.installs import ROOT

PACKAGE = ROOT / "skyports_tf"
PROSE = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


def page_name(path: Path) -> str:
    """A page's path in the repository, for the name of a test."""
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", PAGES)
def test_a_generated_page_is_in_step_with_the_code(path: str) -> None:
    assert (ROOT / path).read_text(encoding="utf-8") == PAGES[path](), "run `make docs`"


def test_the_check_of_the_docs_writes_nothing_and_answers_0(capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: (ROOT / path).stat().st_mtime_ns for path in PAGES}
    assert main(["--check"]) == 0
    assert capsys.readouterr().out == ""
    assert before == {path: (ROOT / path).stat().st_mtime_ns for path in PAGES}


def test_every_code_is_documented_once() -> None:
    page = (ROOT / "docs/errors.md").read_text(encoding="utf-8")
    documented = re.findall(r"^\| `([a-z0-9-]+)` \|", page, re.MULTILINE)
    assert sorted(documented) == sorted(CODES)


@pytest.mark.parametrize("code", CODES)
def test_a_code_has_a_meaning_and_a_way_out(code: str) -> None:
    meaning, way_out = CODES[code]
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", code)
    assert meaning.endswith(".")
    assert way_out.endswith((".", "`"))


def strings_of_the_package() -> Iterator[str]:
    """Every string constant of the sources, the table of codes itself left out."""
    for path in PACKAGE.rglob("*.py"):
        if not path.name.startswith("codes"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield node.value


def test_every_code_of_the_table_is_used() -> None:
    assert set(CODES) - set(strings_of_the_package()) == set()


def diagnostic_codes() -> Iterator[tuple[str, int, str]]:
    """File, line and code of every `Diagnostic("code", ...)` and `document.diagnostic("code", ...)`."""
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            called = getattr(node.func, "id", getattr(node.func, "attr", ""))
            first = node.args[0]
            if called in ("Diagnostic", "diagnostic", "finding") and isinstance(first, ast.Constant):
                yield str(path.relative_to(ROOT)), node.lineno, str(first.value)


def test_every_code_that_is_used_is_in_the_table() -> None:
    found = list(diagnostic_codes())
    assert len(found) > 20
    assert [place for place in found if place[2] not in CODES] == []


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_and_its_options_are_documented(verb: str) -> None:
    page = (ROOT / "docs/cli.md").read_text(encoding="utf-8")
    part = page.partition(f"\n## skyports-tf {verb}\n")[2].partition("\n## ")[0]
    command = cli.get_command(click.Context(cli), verb)
    assert command is not None
    assert command.help
    for parameter in command.params:
        for name in parameter.opts if isinstance(parameter, click.Option) else ():
            assert name in part, f"{name} of {verb} is not documented"
            assert getattr(parameter, "help", None), f"{name} of {verb} has no help"


@pytest.mark.parametrize("arguments", [[], ["plan"]], ids=["the program", "a verb"])
def test_the_help_that_is_documented_is_the_one_on_a_terminal_of_80_columns(arguments: list[str]) -> None:
    command = [sys.executable, "-m", "skyports_tf", *arguments, "--help"]
    env = {**os.environ, "COLUMNS": "80"}
    shown = subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout
    assert f"```text\n{shown}```\n" in (ROOT / "docs/cli.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("alias", ALIASES)
def test_another_name_of_a_verb_is_documented(alias: str) -> None:
    assert f"Also as `{alias}`." in (ROOT / "docs/cli.md").read_text(encoding="utf-8")


def test_every_page_fits_80_columns_where_it_shows_help() -> None:
    page = (ROOT / "docs/cli.md").read_text(encoding="utf-8")
    for block in re.findall(r"```text\n(Usage.*?)```", page, re.DOTALL):
        assert max(map(len, block.splitlines())) <= 80


def test_every_key_of_the_config_is_documented() -> None:
    schema = json.loads((PACKAGE / "schemas/config.schema.json").read_text(encoding="utf-8"))
    page = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
    for key in schema["properties"]:
        assert f"| `{key}` |" in page


@pytest.mark.parametrize("name", managed_clouds())
def test_a_cloud_its_limits_and_its_settings_are_documented(name: str) -> None:
    cloud = load_cloud(name)
    page = (ROOT / "docs/clouds.md").read_text(encoding="utf-8")
    part = page.partition(f"\n## {cloud.title}\n")[2].partition("\n## ")[0]
    assert all(text in part for text in (cloud.objects, cloud.found_by.replace("<", "\\<"), cloud.takeover))
    for limit in cloud.limits.values():
        (row,) = [line for line in part.splitlines() if line.startswith(f"| {limit.quota} |")]
        assert str(limit.value) in row and limit.source in row and limit.unverified == ("unverified" in row)
    settings = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
    assert all(f"| `{name}.{key}` |" in settings for key in cloud.settings)


def test_every_cloud_that_cannot_be_had_is_documented_with_the_reason() -> None:
    others = (ROOT / "docs/clouds.md").read_text(encoding="utf-8").partition("other clouds\n")[2]
    for name, cloud in unmanaged_clouds().items():
        (row,) = [line for line in others.splitlines() if re.match(rf"\|[^|]*\b{name}\b", line)]
        assert cloud.reason in row and cloud.instead in row


@pytest.mark.parametrize("path", PROSE, ids=page_name)
def test_a_link_to_a_file_of_ours_leads_somewhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (path.parent / target).exists(), f"{path.name} links to {target}"


def anchors(path: Path) -> set[str]:
    """What GitHub makes of the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", PROSE, ids=page_name)
def test_a_link_to_a_heading_leads_to_one(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for target, anchor in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", text):
        page = path.parent / target if target else path
        assert anchor in anchors(page), f"{path.name} links to {target}#{anchor}"


@pytest.mark.parametrize("path", PROSE, ids=page_name)
def test_no_page_names_a_path_of_a_machine(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert re.findall(r"(?<![\w.~$])/(?:home|root|work|Users|opt|tmp)/\S*", text) == []


def test_the_changelog_begins_with_what_is_unreleased() -> None:
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[0] == "[Unreleased]"


def test_the_readme_begins_with_the_two_commands() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    first_block = re.search(r"```\w*\n(.*?)```", text, re.DOTALL)
    assert first_block is not None
    assert re.findall(r"^make \w+", first_block[1], re.MULTILINE) == ["make demo", "make test"]


def test_the_operators_page_speaks_of_verbs_and_options_that_are_there() -> None:
    page = (ROOT / "docs/lifecycle.md").read_text(encoding="utf-8")
    assert page.count("```mermaid") == page.count("sequenceDiagram") == 1
    verbs = set(re.findall(r"`(?:skyports-tf )?([a-z]+)(?: [A-Z][A-Z. ]*| --[a-z][^`]*| TASK[^`]*)?`", page))
    assert set(VERBS) - {"inspect", "names", "clouds"} <= verbs
    known = {option for verb in VERBS for option in options_of(verb)}
    theirs = {"--cloud", "--region", "--zone", "--config", "--refresh"}  # of `sky launch` and `sky status`
    assert set(re.findall(r"--[a-z][a-z-]+", page)) - theirs - known == set()


def options_of(verb: str) -> Iterator[str]:
    command = cli.get_command(click.Context(cli), verb)
    for parameter in command.params if command else ():
        yield from parameter.opts
