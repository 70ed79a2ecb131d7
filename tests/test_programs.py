"""Programs that some tests use: one without is skipped here, and fails where a pipeline has brought them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.installs import ROOT
from tests.support.programs import PROGRAMS, REQUIRE, needed, required
from tests.support.stacks import write_program


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_test_is_skipped_without_its_program_and_fails_where_it_is_required(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.support.programs.PROGRAMS", {name: lambda: None})
    monkeypatch.delenv(REQUIRE, raising=False)
    with pytest.raises(pytest.skip.Exception, match=f"apt-get install {name}"):
        needed(name)
    monkeypatch.setenv(REQUIRE, name)
    with pytest.raises(pytest.fail.Exception, match=REQUIRE):
        needed(name)


def test_a_requirement_that_is_misspelt_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(REQUIRE, "postgresql, chrome")
    with pytest.raises(ValueError, match="and not chrome"):
        required()
    monkeypatch.setenv(REQUIRE, "postgresql, chromium")
    assert required() == {*PROGRAMS}


# -- what .ci/packages installs --------------------------------------------------------


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A machine of root's without a browser; its mirror is down as long as there is a file `down`."""
    (tmp_path / "bin").mkdir()
    write_program(tmp_path / "bin/id", "echo 0\n")
    write_program(tmp_path / "bin/sleep", "true\n")
    write_program(
        tmp_path / "bin/apt-get",
        f"""\
        [ ! -e '{tmp_path}/down' ] || {{ echo 'E: no route to the mirror'; exit 100; }}
        case "$*" in *--no-download*) touch '{tmp_path}/chromium' ;; esac
        """,
    )
    write_program(
        tmp_path / "bin/python3",
        f"""\
        found=
        [ ! -e '{tmp_path}/chromium' ] || found=chromium
        [ "$3" != --missing ] || [ -n "$found" ] || found=chromium
        echo "$found"
        """,
    )
    return tmp_path


def packages(machine: Path) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PATH": f"{machine / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    env.pop("PYTHON", None)
    command = [str(ROOT / ".ci/packages")]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=True)


def test_what_is_missing_is_installed_and_required(machine: Path) -> None:
    done = packages(machine)
    assert done.stdout == "chromium\n"
    assert done.stderr == "Installing chromium, which some tests use ...\n"


def test_a_mirror_that_is_down_fails_nothing_and_is_told(machine: Path) -> None:
    (machine / "down").touch()
    done = packages(machine)
    assert done.stdout == "\n"
    assert "E: no route to the mirror\nchromium cannot be installed now" in done.stderr


def test_without_root_nothing_is_installed_and_that_is_told(machine: Path) -> None:
    write_program(machine / "bin/id", "echo 1000\n")
    done = packages(machine)
    assert done.stdout == "\n" and not (machine / "chromium").exists()
    assert "the tests that use chromium are skipped" in done.stderr


def test_a_bare_python_can_say_what_is_here() -> None:
    command = [sys.executable, "-S", "-m", "tests.support.programs"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert set(filter(None, found.strip().split(","))) == {
        name for name, find in PROGRAMS.items() if find() is not None
    }
