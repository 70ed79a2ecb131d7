"""Shell completion: the shell asks the program itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from skyports_tf.cli import ALIASES, VERBS

SCRIPT = Path(sys.executable).with_name("skyports-tf")


def complete(*words: str) -> list[str]:
    """What bash is offered for the last of the words."""
    asked = {
        "_SKYPORTS_TF_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(["skyports-tf", *words]),
        "COMP_CWORD": str(len(words)),
    }
    said = subprocess.run([SCRIPT], env={**os.environ, **asked}, capture_output=True, text=True, check=False)
    assert said.stderr == ""
    return [line.partition(",")[2] for line in said.stdout.splitlines()]


def test_verbs_complete() -> None:
    assert set(complete("")) == {*VERBS, *ALIASES}
    assert complete("pl") == ["plan"]


def test_options_of_a_verb_complete() -> None:
    assert complete("compile", "--ch") == ["--check"]
    assert {"--ip", "--endpoint", "--endpoints"} <= set(complete("status", "--"))


def test_values_of_an_option_complete() -> None:
    assert complete("--color", "a") == ["auto", "always"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_a_script(shell: str) -> None:
    asked = {"_SKYPORTS_TF_COMPLETE": f"{shell}_source"}
    said = subprocess.run([SCRIPT], env={**os.environ, **asked}, capture_output=True, text=True, check=True)
    assert "_SKYPORTS_TF_COMPLETE" in said.stdout


def test_bash_takes_the_script() -> None:
    bash = shutil.which("bash")
    assert bash is not None, "this test runs the documented line in bash: install bash"
    line = f'eval "$(_SKYPORTS_TF_COMPLETE=bash_source {SCRIPT})" && complete -p skyports-tf'
    said = subprocess.run([bash, "-c", line], capture_output=True, text=True, check=True)
    assert "skyports-tf" in said.stdout
