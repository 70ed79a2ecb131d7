"""Every command in README.md and docs/ runs as a reader would run it, and prints what the page shows.

A block whose language is not known here, and a command that neither runs nor has a reason, fails: no new one
escapes. A page's commands run one after another in a folder of its own (its scene), by the real program.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest

from examples.playground import prepare
from tests.support.command_line import call
from tests.support.doc_blocks import (
    OTHERS,
    PAGES,
    SHELL,
    Block,
    Command,
    blocks,
    commands,
    commands_of,
    shows,
)
from tests.support.installs import ROOT
from tests.support.life import life_on
from tests.support.local_aws import MotoServer

# -- what does not run here, and why -------------------------------------------------------

INSTALLS: Final = "installs a package into the reader's own environment"
TARGET: Final = "a make target that CI runs itself"
PERSON: Final = "opens a shell for a person; test_playground runs one"
ACCOUNT: Final = "needs a plan of an account of the reader's; the answer to a recorded one is compared"
REASONS: Final = (INSTALLS, TARGET, PERSON, ACCOUNT)

NOT_RUN: Final[Mapping[tuple[str, str], str]] = {
    ("README.md", "make demo"): TARGET,
    ("README.md", "make test"): TARGET,
    ("README.md", "pip install ."): INSTALLS,
    ("README.md", "pip install '.[embedded]'"): INSTALLS,
    ("docs/exposure.md", "terraform show -json plan.tfplan > plan.json"): ACCOUNT,
    ("docs/takeover.md", "make test-skypilot PYTEST_ARGS='-k ours_first'"): TARGET,
    ("docs/takeover.md", "make test-skypilot"): TARGET,
    ("docs/tutorial.md", "make playground"): PERSON,
}
#: Sessions that a test of the page's own runs and compares, whole.
ELSEWHERE: Final[Mapping[str, str]] = {
    "README.md": "test_demo.py::test_the_readme_shows_what_the_demo_prints",
    "docs/adding-a-cloud.md": "test_adding_a_cloud.py::test_the_commands_of_the_page_print_what_it_shows",
    "docs/policy.md": "test_policy_page.py::test_the_commands_of_the_page_answer_as_it_says",
}
#: Commands that end otherwise than with 0, since that is what they are for.
ENDS: Final[Mapping[tuple[str, str], int]] = {
    ("docs/exposure.md", "skyports-tf exposure main.tf --asks tcp/22"): 1,
}
#: A line of Markdown or YAML that would be a command if its block were a shell's.
_COMMAND_LIKE = re.compile(
    r"^(?:\$ |(?:sudo |[A-Z_]+=\S+ )*(?:skyports-tf|terraform|tofu|sky|make|pip|git) \S)"
)
#: Languages in which such a line is no command of the reader's.
_CODE = ("yaml", "json", "hcl", "jinja", "mermaid")


def runs_elsewhere(page: str, block: Block) -> bool:
    return block.language == "console" and page in ELSEWHERE


def to_run(page: str) -> list[Command]:
    """The commands of a page that run in its scene."""
    here = [
        command for block in blocks(page) if not runs_elsewhere(page, block) for command in commands_of(block)
    ]
    return [command for command in here if (page, command.words) not in NOT_RUN]


# -- the scenes ----------------------------------------------------------------------------

Scene = Callable[[pytest.FixtureRequest], Path]


def _on_the_local_aws(request: pytest.FixtureRequest) -> Path:
    """The folder of the playground, on the local AWS that all tests share."""
    moto: MotoServer = request.getfixturevalue("aws")
    patch: pytest.MonkeyPatch = request.getfixturevalue("monkeypatch")
    folder: Path = request.getfixturevalue("tmp_path")
    assert os.environ["AWS_ENDPOINT_URL"] == moto.url
    for name, value in prepare(folder).items():
        patch.setenv(name, value)
    return folder / "ports"


def readme(request: pytest.FixtureRequest) -> Path:
    """One task; the launch is agreed to at a terminal."""
    folder = _on_the_local_aws(request)
    (folder / "jupyter.yaml").rename(folder / "task.yaml")
    return folder


def _on_a_played_cloud(request: pytest.FixtureRequest) -> Path:
    """Two clusters that are compiled, on a cloud that the schema provider plays; the main branch has none."""
    patch, folder = request.getfixturevalue("monkeypatch"), request.getfixturevalue("tmp_path")
    project = life_on("gcp", folder, request.getfixturevalue("mirror"), patch).project
    (folder / "tools").mkdir()
    for name, value in prepare(folder / "tools").items():
        patch.setenv(name, value)
    request.getfixturevalue("sky").does("status", "print('[]')")
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.com"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "config"], ["branch", "origin/main"]):
        subprocess.run([*git, *words], cwd=project.folder, check=True)
    for name in ("prod-web", "prod-db"):
        project.task("8080", infra="gcp", name=name, file=f"tasks/{name}.yaml")
    assert call(project.folder, "compile", "tasks").code == 0
    return project.folder


def gitops(request: pytest.FixtureRequest) -> Path:
    """The same clusters, and one more, all of them in the repository."""
    folder = _on_a_played_cloud(request)
    task = (folder / "tasks" / "prod-web.yaml").read_text(encoding="utf-8").replace("prod-web", "jupyter")
    (folder / "tasks" / "jupyter.yaml").write_text(task, encoding="utf-8")
    assert call(folder, "compile", "tasks").code == 0
    for role in ("AUTHOR", "COMMITTER"):
        request.getfixturevalue("monkeypatch").setenv(f"GIT_{role}_NAME", "t")
        request.getfixturevalue("monkeypatch").setenv(f"GIT_{role}_EMAIL", "t@example.com")
    for words in (["add", "tasks", "infra"], ["commit", "-qm", "tasks"]):
        subprocess.run(["git", *words], cwd=folder, check=True)
    return folder


def lifecycle(request: pytest.FixtureRequest) -> Path:
    """The same clusters, open; the folder is `$HOME/ports`."""
    folder = _on_a_played_cloud(request)
    assert call(folder, "apply", "--yes", "tasks").code == 0
    ports = folder.rename(folder.parent / "ports")
    request.getfixturevalue("monkeypatch").setenv("HOME", str(ports.parent))
    return ports


def exposure(request: pytest.FixtureRequest) -> Path:
    """The code of the page, a recorded plan, and the program."""
    folder: Path = request.getfixturevalue("tmp_path")
    for name, value in prepare(folder).items():
        request.getfixturevalue("monkeypatch").setenv(name, value)
    (code,) = (block.text for block in blocks("docs/exposure.md") if block.language == "hcl")
    (folder / "ports" / "main.tf").write_text(code, encoding="utf-8")
    shutil.copy(ROOT / "tests/data/exposure/recorded/plan.json", folder / "ports")
    return folder / "ports"


SCENES: Final[Mapping[str, Scene]] = {
    "README.md": readme,
    "docs/exposure.md": exposure,
    "docs/gitops.md": gitops,
    "docs/lifecycle.md": lifecycle,
    "docs/policy.md": _on_a_played_cloud,
    "docs/review.md": _on_a_played_cloud,
    "docs/tutorial.md": _on_the_local_aws,
}


@pytest.mark.parametrize("page", SCENES)
def test_the_commands_of_a_page_run_and_print_what_it_shows(
    page: str, request: pytest.FixtureRequest
) -> None:
    folder = SCENES[page](request)
    for command in to_run(page):
        done = run(command, folder)
        where = f"{page}:{command.line}: $ {command.text}\n{done.stdout}{done.stderr}"
        assert done.returncode == ENDS.get((page, command.words), 0), where
        if command.shown is not None:
            assert shows(command.shown, done.stdout or done.stderr), where


def run(command: Command, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run it in bash, with a person at the keyboard who says yes."""
    keyboard, stdin = os.openpty()
    try:
        os.write(keyboard, b"yes\n")
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command.text],
            cwd=folder, stdin=stdin, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
    finally:
        os.close(keyboard)
        os.close(stdin)


# -- nothing escapes -----------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES)
def test_a_block_says_what_it_is(page: str) -> None:
    unknown = [block.place for block in blocks(page) if block.language not in (*SHELL, *OTHERS)]
    assert unknown == [], f"the language of a block is one of {(*SHELL, *OTHERS)}"


@pytest.mark.parametrize("page", PAGES)
def test_no_command_hides_in_a_block_of_text(page: str) -> None:
    for block in blocks(page):
        if block.language not in (*SHELL, *_CODE):
            hidden = [line for line in block.text.splitlines() if _COMMAND_LIKE.match(line)]
            assert hidden == [], f"{block.place}: what a reader is to run belongs in a block of a shell"


@pytest.mark.parametrize("page", PAGES)
def test_a_command_runs_or_has_a_reason(page: str) -> None:
    assert bool(to_run(page)) == (page in SCENES), (
        f"{page} needs a scene, or a reason for each of its commands"
    )


def test_reasons_are_from_the_list_and_about_commands_that_are_there() -> None:
    there = {(page, command.words) for page in PAGES for command in commands(page)}
    assert {*NOT_RUN, *ENDS} - there == set()
    assert set(NOT_RUN.values()) == set(REASONS)
    targets = {words.split()[1] for (_, words), reason in NOT_RUN.items() if reason is TARGET}
    assert targets - {"demo"} <= set(re.findall(r"\brun ([\w-]+)", (ROOT / ".ci/run").read_text("utf-8")))


@pytest.mark.parametrize("page", ELSEWHERE)
def test_a_session_that_runs_elsewhere_has_its_test_there(page: str) -> None:
    file, name = ELSEWHERE[page].split("::")
    tree = ast.parse((ROOT / "tests" / file).read_text(encoding="utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    sessions = [block for block in blocks(page) if runs_elsewhere(page, block)]
    assert sessions
    # these tests take every line of this form
    assert all(item.words.startswith("skyports-tf ") for block in sessions for item in commands_of(block))


# -- what is compared without a command ----------------------------------------------------


def test_the_exposure_on_the_page_is_one_of_the_answer(request: pytest.FixtureRequest) -> None:
    folder = exposure(request)
    (shown,) = (json.loads(block.text) for block in blocks("docs/exposure.md") if block.language == "json")
    assert shown in call(folder, "exposure", "main.tf", "--json").json["exposures"]


def test_the_finding_on_the_page_of_findings_is_one(tmp_path: Path) -> None:
    (shown,) = (block.text for block in blocks("docs/errors.md") if block.language == "text")
    (line,) = re.findall(r"^task\.yaml:(\d+):", shown)
    above = ["name: web", *["# what it is for"] * (int(line) - 3), "resources:"]
    (tmp_path / "task.yaml").write_text("\n".join([*above, "  prots: 1", ""]), encoding="utf-8")
    assert call(tmp_path, "inspect", "task.yaml").err.strip() == shown.strip()


# -- how a page is read --------------------------------------------------------------------


def read(language: str, text: str) -> Iterator[tuple[str, str | None]]:
    for command in commands_of(Block("page.md", 1, language, text)):
        yield command.words, command.shown


def test_a_script_has_a_command_a_line_without_its_remark() -> None:
    text = "# first\nmake demo    # all of it\n\necho '#1' a#b \\\n  c\ncat > x <<'END'\n# text\nEND\nls\n"
    told = [words for words, _ in read("sh", text)]
    assert told == ["make demo", "echo '#1' a#b \\\n  c", "cat > x <<'END'\n# text\nEND", "ls"]


def test_a_session_has_what_each_command_prints() -> None:
    assert [*read("console", "$ a b\none\n\ntwo\n$ c\n")] == [("a b", "one\n\ntwo\n"), ("c", "")]
    with pytest.raises(AssertionError, match="begins with a command"):
        [*read("console", "lost\n$ a\n")]


def test_a_line_of_a_crontab_is_a_command_after_five_fields() -> None:
    assert [*read("crontab", "*/5 * * * *  cd x && y\n")] == [("cd x && y", None)]
    with pytest.raises(AssertionError, match="five fields"):
        [*read("crontab", "@daily y\n")]


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        ("a 203.0.113.7:80  b", "a  203.0.113.99:80 b\n", True),
        ("i-0123456789abcdef0 up", "i-fedcba98765432100  up", True),
        ("10.0.0.0/8", "11.0.0.0/8", False),
        ("a\nb", "a\nc", False),
        ("a\nb", "a\n\nb", False),
        ("a\n...\nc", "a\nb\nb\nc", True),
        ("a\n...\nc", "a\nc", True),
        ("a\n...\nc", "a\nb\ncd", False),
        ("...\nc", "b\nc", True),
        ("...\nc", "b\nc\nd", False),
        ("...\nc\n...", "b\nc\nd", True),
        ("a.", "ab", False),
    ],
)
def test_what_is_shown_is_what_is_printed_but_for_ids_addresses_and_dots(
    shown: str, printed: str, same: bool
) -> None:
    assert shows(shown, printed) is same
