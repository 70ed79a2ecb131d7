"""Two at once, stale plans and other failures: Terraform's own words, and nothing applied unseen."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import boto3
import pytest

from skyports_tf.closing import close_stack, plan_close
from skyports_tf.diagnostics import FindingsError, TerraformError
from skyports_tf.lifecycle import (
    PLAN_FILE,
    RunSettings,
    apply_plan,
    plan_stack,
    read_status,
)
from skyports_tf.running.child import Signals
from skyports_tf.terraform import Program, Terraform
from tests.support.local_aws import MotoServer
from tests.support.stacks import ANYWHERE, aws_stack, compile_stack, rule, write_local_stack, write_program
from tests.test_interrupt import STACKS, applying, read_until

SETTINGS = RunSettings()
ONE = aws_stack(rule("8000"))
TWO = replace(ONE, rules=(rule("8000"), rule("8001")))


def test_a_lock_held_by_another_is_told_in_terraforms_words(
    local_terraform: tuple[str, ...], tmp_path: Path
) -> None:
    stack = STACKS["rules"]
    write_local_stack(tmp_path, stack, seconds=0.3)
    with applying(tmp_path) as process:
        read_until(process.stdout, lambda line: line.startswith("apply 1 "))
        with pytest.raises(TerraformError) as caught:
            plan_stack(str(tmp_path), stack, SETTINGS)
        # a longer patience is enough
        waited = plan_stack(str(tmp_path), stack, RunSettings(lock_timeout="60s"))
    assert caught.value.exit_code == 3
    assert caught.value.diagnostics[0].message == "web-aws-us-east-1: terraform plan failed"
    for words in (
        "Error acquiring the state lock",
        "Lock Info:",
        "Operation: OperationTypeApply",
        "Who:",
        "Created:",
    ):
        assert words in caught.value.output
    assert not waited.counts.any


# as Terraform 1.11.4 says it with `use_lockfile` on S3
LOCK_GONE = """\
Error message: operation error S3: PutObject, https response error StatusCode: 412, api error \
PreconditionFailed: At least one of the pre-conditions you specified did not hold
unable to retrieve file from S3 bucket 'states' with key 'web/terraform.tfstate.tflock': operation error S3: \
GetObject, https response error StatusCode: 404, RequestID: , HostID: , NoSuchKey: """


@pytest.mark.parametrize(
    ("times", "detail", "goes_on"),
    [
        (1, LOCK_GONE, True),
        (3, LOCK_GONE, True),
        (4, LOCK_GONE, False),
        (1, LOCK_GONE.partition("\n")[0], False),
    ],
)
def test_a_lock_that_went_as_terraform_looked_at_it_is_in_nobodys_way(
    terraform_argv: tuple[str, ...],
    local_terraform: tuple[str, ...],
    tmp_path: Path,
    times: int,
    detail: str,
    goes_on: bool,
) -> None:
    write_local_stack(tmp_path, ONE)
    told = {"severity": "error", "summary": "Error acquiring the state lock", "detail": detail}
    line = json.dumps({"@level": "error", "@message": "Error", "type": "diagnostic", "diagnostic": told})
    (tmp_path / "said").write_text(f"{line}\n", encoding="utf-8")
    program = write_program(
        tmp_path / "terraform",
        f"""\
        if [ "$1" = plan ] && [ "$(cat {tmp_path}/count 2> /dev/null | wc -l)" -lt {times} ]; then
          echo >> {tmp_path}/count; cat {tmp_path}/said; exit 1
        fi
        exec {shlex.join(terraform_argv)} "$@"
        """,
    )
    settings = RunSettings(binary=str(program), lock_timeout="60s")
    if goes_on:
        assert plan_stack(str(tmp_path), ONE, settings).counts.create == 1
        return
    with pytest.raises(TerraformError) as caught:
        plan_stack(str(tmp_path), ONE, settings)
    assert detail.strip() in caught.value.output


def test_a_stale_plan_is_refused_in_terraforms_words(
    local_terraform: tuple[str, ...], tmp_path: Path
) -> None:
    folder = write_local_stack(tmp_path, ONE)
    plan = plan_stack(str(tmp_path), ONE, SETTINGS)
    kept = (folder / PLAN_FILE).read_bytes()
    apply_plan(str(tmp_path), plan, SETTINGS)
    (folder / PLAN_FILE).write_bytes(kept)
    with pytest.raises(TerraformError) as caught:
        apply_plan(str(tmp_path), plan, SETTINGS)
    assert "Saved plan is stale" in caught.value.output


def test_an_apply_that_waits_for_a_plan_to_end_keeps_its_state(
    local_terraform: tuple[str, ...], tmp_path: Path
) -> None:
    # Terraform removes a state file that it has made and not written to, under the hands of who waits for it
    folder = write_local_stack(tmp_path, ONE)
    plan_stack(str(tmp_path), ONE, SETTINGS)
    # it asks, and holds the lock meanwhile
    command = [*local_terraform, "apply", "-no-color"]
    asking = subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    read_until(asking.stdout, lambda line: "Do you want to perform" in line)
    patient = [*local_terraform, "apply", "-no-color", "-lock-timeout=60s", PLAN_FILE]
    waiting = subprocess.Popen(patient, cwd=folder, stdout=subprocess.PIPE, text=True)
    read_until(waiting.stdout, lambda line: "Acquiring state lock" in line)
    asking.communicate("no\n", timeout=60)
    waiting.communicate(timeout=60)
    assert waiting.returncode == 0
    assert [rule.from_port for rule in read_status(str(tmp_path), ONE, SETTINGS).rules] == [8000]


def test_a_plan_that_is_gone_is_refused_in_terraforms_words(
    local_terraform: tuple[str, ...], tmp_path: Path
) -> None:
    folder = write_local_stack(tmp_path, ONE)
    plan = plan_stack(str(tmp_path), ONE, SETTINGS)
    (folder / PLAN_FILE).unlink()
    with pytest.raises(TerraformError) as caught:
        apply_plan(str(tmp_path), plan, SETTINGS)
    assert "no such file or directory" in caught.value.output


def test_another_plan_than_the_one_that_was_shown_is_not_applied(
    local_terraform: tuple[str, ...], tmp_path: Path
) -> None:
    folder = write_local_stack(tmp_path, ONE)
    shown = plan_stack(str(tmp_path), ONE, SETTINGS)
    write_local_stack(tmp_path, TWO)
    plan_stack(str(tmp_path), TWO, SETTINGS)
    with pytest.raises(FindingsError) as caught:
        apply_plan(str(tmp_path), shown, SETTINGS)
    assert caught.value.diagnostics[0].code == "plan-replaced"
    # it is laid before anybody locks it, and was not written to
    assert (folder / "terraform.tfstate").stat().st_size == 0


def test_a_failed_plan_leaves_no_plan_behind(local_terraform: tuple[str, ...], tmp_path: Path) -> None:
    folder = write_local_stack(tmp_path, ONE)
    with (folder / "main.tf").open("a", encoding="utf-8") as file:
        file.write("resource nonsense\n")
    with pytest.raises(TerraformError) as caught:
        plan_stack(str(tmp_path), ONE, SETTINGS)
    assert "resource nonsense" in caught.value.output
    assert not list(folder.glob("*.tfplan"))


def test_the_life_of_a_stack_leaves_a_state_that_holds_nothing(
    local_terraform: tuple[str, ...], tmp_path: Path
) -> None:
    out = str(tmp_path)
    folder = write_local_stack(tmp_path, TWO)
    assert apply_plan(out, plan_stack(out, TWO, SETTINGS), SETTINGS).state == "open"
    closed = close_stack(out, plan_close(out, TWO, SETTINGS), SETTINGS)
    assert closed.verified_empty
    assert [(rule.from_port, rule.tasks) for rule in closed.changes.close] == [
        (8000, ("web.yaml",)),
        (8001, ("web.yaml",)),
    ]
    state = json.loads((folder / "terraform.tfstate").read_text(encoding="utf-8"))
    assert (state["resources"], state["outputs"]) == ([], {})
    assert read_status(out, TWO, SETTINGS).state == "closed"


def test_what_is_left_after_destroy_is_named(local_terraform: tuple[str, ...], tmp_path: Path) -> None:
    out = str(tmp_path)
    folder = write_local_stack(tmp_path, ONE)
    apply_plan(out, plan_stack(out, ONE, SETTINGS), SETTINGS)
    plan = plan_close(out, ONE, SETTINGS)
    # somebody applies again between our apply and our proof
    meddler = write_program(
        tmp_path / "meddler",
        f"""\
        cp {folder}/terraform.tfstate {tmp_path}/before.tfstate
        {local_terraform[0]} "$@"; code=$?
        [ "$1" = apply ] && cp {tmp_path}/before.tfstate {folder}/terraform.tfstate
        exit $code
        """,
    )
    with pytest.raises(FindingsError) as caught:
        close_stack(out, plan, RunSettings(binary=str(meddler)))
    assert caught.value.exit_code == 1
    assert caught.value.diagnostics[0].code == "still-open"
    assert 'terraform_data.port["tcp-8000@0.0.0.0/0"]' in caught.value.diagnostics[0].message


def test_a_state_that_cannot_be_read_is_unknown_with_the_reason(
    local_terraform: tuple[str, ...], tmp_path: Path
) -> None:
    stack = replace(ONE, backend=("http", {"address": "http://127.0.0.1:9/state"}))
    folder = write_local_stack(tmp_path, stack)
    backend = 'backend "http" {\n    address = "http://127.0.0.1:9/state"\n    retry_max = 0\n  }'
    (folder / "backend.tf").write_text(f"terraform {{\n  {backend}\n}}\n", encoding="utf-8")
    status = read_status(str(tmp_path), stack, SETTINGS)
    assert status.state == "unknown"
    assert status.reason is not None
    assert "127.0.0.1:9" in status.reason or "state" in status.reason.lower()


def test_a_corrupt_state_is_unknown_and_not_closed(local_terraform: tuple[str, ...], tmp_path: Path) -> None:
    folder = write_local_stack(tmp_path, ONE)
    (folder / "terraform.tfstate").write_text("{", encoding="utf-8")
    assert read_status(str(tmp_path), ONE, SETTINGS).state == "unknown"


def test_init_runs_again_when_terraform_asks_for_it_and_only_once(
    local_terraform: tuple[str, ...], tmp_path: Path
) -> None:
    out = str(tmp_path)
    folder = write_local_stack(tmp_path, ONE)
    plan_stack(out, ONE, SETTINGS)
    # behind our back: the mark is there, what it stands for is not
    (folder / ".terraform" / "terraform.tfstate").unlink()
    assert plan_stack(out, ONE, SETTINGS).counts.create == 1


@pytest.mark.xdist_group("takeover")
def test_a_state_in_s3_is_used_locked_and_emptied(aws: MotoServer, tmp_path: Path) -> None:
    settings = {"bucket": "states", "region": "us-east-1", "use_lockfile": True, "use_path_style": True}
    skipped = {"skip_credentials_validation": True, "skip_requesting_account_id": True}
    stack = compile_stack(tmp_path, {"8000": [ANYWHERE]}, config={"backend": {"s3": {**settings, **skipped}}})
    out = str(tmp_path / "local")
    folder = write_local_stack(Path(out), stack)
    shutil.copy(tmp_path / "infra" / stack.directory / "backend.tf", folder)
    s3 = boto3.client("s3", endpoint_url=aws.url, region_name="us-east-1")
    s3.create_bucket(Bucket="states")
    key = f"skyports/{stack.directory}/terraform.tfstate"

    assert apply_plan(out, plan_stack(out, stack, SETTINGS), SETTINGS).state == "open"
    assert [item["Key"] for item in s3.list_objects_v2(Bucket="states")["Contents"]] == [key]
    assert not (folder / "terraform.tfstate").exists()

    s3.put_object(Bucket="states", Key=f"{key}.tflock", Body=b'{"ID": "1", "Who": "ann@laptop"}')
    with pytest.raises(TerraformError) as caught:
        plan_close(out, stack, SETTINGS)
    assert "ann@laptop" in caught.value.output
    # whoever only looks needs no lock
    assert read_status(out, stack, SETTINGS).state == "open"

    s3.delete_object(Bucket="states", Key=f"{key}.tflock")
    assert close_stack(out, plan_close(out, stack, SETTINGS), SETTINGS).verified_empty
    assert read_status(out, stack, SETTINGS).state == "closed"


def test_terraform_is_called_without_a_shell_and_without_a_terminal(tmp_path: Path) -> None:
    folder = tmp_path / "$(touch pwned); `touch pwned` 'x'"
    folder.mkdir()
    program = write_program(tmp_path / "terraform", 'printf "%s\\n" "$@"; read line || echo "no stdin"\n')
    terraform = Terraform(Program((str(program),)), folder, os.environ, Signals())
    run = terraform.show("$(touch pwned).tfplan")
    assert run.stdout.splitlines() == ["show", "-json", "-no-color", "$(touch pwned).tfplan", "no stdin"]
    assert not list(tmp_path.rglob("pwned"))


def test_a_folder_that_cannot_be_written_to_is_a_finding(
    local_terraform: tuple[str, ...], tmp_path: Path
) -> None:
    folder = write_local_stack(tmp_path, ONE)
    (folder / ".terraform" / "skyports.init").mkdir(parents=True)
    with pytest.raises(FindingsError) as caught:
        plan_stack(str(tmp_path), ONE, SETTINGS)
    assert caught.value.diagnostics[0].code == "file-unwritable"
