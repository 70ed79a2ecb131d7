"""Where states lie, with the real Terraform: S3 on moto and a real PostgreSQL, locked, and moved.

The stacks are resources inside Terraform, so that a plan takes a moment and the backends are real.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest

from skyports_tf.closing import close_stack, plan_close
from skyports_tf.diagnostics import FindingsError, TerraformError
from skyports_tf.lifecycle import RunSettings, apply_plan, plan_stack, read_status
from skyports_tf.model import Stack
from skyports_tf.render import render_stack
from skyports_tf.running.execution import execution_of
from skyports_tf.running.migration import BackendMovedError
from skyports_tf.running.plans import empty_plan
from tests.support.command_line import call, environment
from tests.support.local_aws import MotoServer
from tests.support.postgres import Postgres, start_postgres
from tests.support.programs import needed
from tests.support.stacks import aws_stack, rule, write_local_stack
from tests.test_interrupt import read_until

SETTINGS = RunSettings()
MOVING = RunSettings(migrate_state=True)
ONE = aws_stack(rule("8000"))
TWO = replace(ONE, rules=(rule("8000"), rule("9000")))
S3: dict[str, Any] = {
    "bucket": "states",
    "region": "us-east-1",
    "use_lockfile": True,
    "use_path_style": True,
    "skip_credentials_validation": True,
    "skip_requesting_account_id": True,
}
KEY = "skyports/web/aws-us-east-1/terraform.tfstate"
pytestmark = pytest.mark.xdist_group("states")


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with start_postgres(Path(needed("postgresql"))) as server:
        yield server


@pytest.fixture
def database(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch, local_terraform: tuple[str, ...]
) -> Postgres:
    """The server, empty, and Terraform told of it by its own variable."""
    names = "select schema_name from information_schema.schemata where schema_name like '%web%'"
    for name in postgres.query(names):
        postgres.query(f'drop schema "{name}" cascade')
    monkeypatch.setenv("PG_CONN_STR", postgres.connection)
    return postgres


@pytest.fixture
def bucket(aws: MotoServer) -> Any:
    """An empty bucket for states, and Terraform told of its S3 by Terraform's own variables."""
    s3 = boto3.client("s3", endpoint_url=aws.url, region_name="us-east-1")
    s3.create_bucket(Bucket="states")
    return s3


def keys(s3: Any, bucket: str = "states") -> list[str]:
    return [item["Key"] for item in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]


def write(out: Path, stack: Stack, kind: str, settings: dict[str, Any], seconds: float = 0) -> Stack:
    """Write a stack whose state lies in that backend, as `compile` names it; gives the stack."""
    folder = write_local_stack(out, stack, seconds)
    found = replace(stack, backend=(kind, settings))
    files = render_stack(replace(found, rules=()))
    (text,) = [file.text for file in files if file.path.endswith("/backend.tf")]
    (folder / "backend.tf").write_text(text, encoding="utf-8")
    return found


def applied(out: Path, stack: Stack, settings: RunSettings = SETTINGS) -> list[int]:
    """Plan and apply; gives the ports that are open then."""
    plan = plan_stack(str(out), stack, settings)
    return [item.from_port for item in apply_plan(str(out), plan, settings).rules]


def open_ports(out: Path, stack: Stack) -> list[int]:
    return [item.from_port for item in read_status(str(out), stack, SETTINGS).rules]


# -- a state of its own, used, locked and emptied --------------------------------------


def test_states_lie_in_postgresql_a_schema_each_and_go_with_the_last_port(
    database: Postgres, tmp_path: Path
) -> None:
    clusters = ("web", "web-2")
    for cluster in clusters:
        stack = write(tmp_path, replace(ONE, cluster=cluster), "pg", {})
        assert applied(tmp_path, stack) == [8000]
        assert not (tmp_path / stack.directory / "terraform.tfstate").exists()
    schemas = [f"skyports_{cluster}-aws-us-east-1" for cluster in clusters]
    for schema in schemas:
        state = "\n".join(database.query(f'select data from "{schema}".states'))
        assert len(json.loads(state)["resources"]) == 1
    # a clone without anything of Terraform's beside it knows them, too
    other = tmp_path / "clone"
    stack = write(other, replace(ONE, cluster="web", backend=None), "pg", {})
    assert open_ports(other, stack) == [8000]
    assert close_stack(str(other), plan_close(str(other), stack, SETTINGS), SETTINGS).verified_empty
    assert open_ports(tmp_path, stack) == []


@pytest.mark.parametrize("kind", ["s3", "pg"])
def test_of_two_applies_at_once_one_stops_or_waits_and_no_port_is_lost(
    kind: str, request: pytest.FixtureRequest, local_terraform: tuple[str, ...], tmp_path: Path
) -> None:
    request.getfixturevalue("bucket" if kind == "s3" else "database")
    settings = S3 if kind == "s3" else {}
    stack = write(tmp_path, TWO, kind, settings, seconds=1.5)
    mine = plan_stack(str(tmp_path), stack, SETTINGS)
    other = tmp_path / "clone"
    write(other, TWO, kind, settings, seconds=0)
    # whoever comes first makes the schema, the bucket is there
    command = [*local_terraform, "apply", "-no-color", "skyports.tfplan"]
    first = subprocess.Popen(command, cwd=tmp_path / stack.directory, stdout=subprocess.PIPE, text=True)
    try:
        read_until(first.stdout, lambda line: "Creating..." in line)
        with pytest.raises(TerraformError) as caught:
            plan_stack(str(other), stack, SETTINGS)
        assert "Error acquiring the state lock" in caught.value.output
        assert "Who:" in caught.value.output
        # a longer patience is enough, and finds all that the first has opened
        waited = plan_stack(str(other), stack, RunSettings(lock_timeout="60s"))
    finally:
        first.communicate(timeout=60)
    assert first.returncode == 0 and mine.counts.create == 2
    assert not waited.counts.any
    assert open_ports(other, stack) == [8000, 9000]


# -- a backend that moves --------------------------------------------------------------


def test_a_state_follows_its_backend_only_when_asked_and_is_not_lost(bucket: Any, tmp_path: Path) -> None:
    local = write(tmp_path, TWO, "local", {})
    assert applied(tmp_path, local) == [8000, 9000]
    before = json.loads((tmp_path / local.directory / "terraform.tfstate").read_text())

    moved = write(tmp_path, TWO, "s3", S3)
    with pytest.raises(BackendMovedError) as caught:
        plan_stack(str(tmp_path), moved, SETTINGS)
    (found,) = caught.value.diagnostics
    assert (found.code, caught.value.exit_code) == ("backend-moved", 1)
    assert "'local'" in found.message and "'s3'" in found.message and "--migrate-state" in (found.help or "")
    assert keys(bucket) == []
    status = read_status(str(tmp_path), moved, SETTINGS)
    assert status.state == "unknown" and "its state lies in the backend 'local'" in (status.reason or "")

    assert not plan_stack(str(tmp_path), moved, MOVING).counts.any
    assert keys(bucket) == [KEY]
    there = json.loads(bucket.get_object(Bucket="states", Key=KEY)["Body"].read())
    assert (there["lineage"], there["resources"]) == (before["lineage"], before["resources"])
    assert open_ports(tmp_path, moved) == [8000, 9000]
    # once is enough
    assert not plan_stack(str(tmp_path), moved, SETTINGS).counts.any


def test_a_state_moves_between_servers_and_back_beside_the_files(
    bucket: Any, database: Postgres, tmp_path: Path
) -> None:
    assert applied(tmp_path, write(tmp_path, ONE, "s3", S3)) == [8000]
    for kind, settings in (("pg", {}), ("pg", {"key_prefix": "team"}), ("local", {})):
        stack = write(tmp_path, ONE, kind, settings)
        with pytest.raises(BackendMovedError):
            plan_stack(str(tmp_path), stack, SETTINGS)
        assert not plan_stack(str(tmp_path), stack, MOVING).counts.any
        assert open_ports(tmp_path, stack) == [8000]
    assert (tmp_path / stack.directory / "terraform.tfstate").stat().st_size > 0
    assert close_stack(str(tmp_path), plan_close(str(tmp_path), stack, SETTINGS), SETTINGS).verified_empty


def test_a_state_never_overwrites_another(bucket: Any, tmp_path: Path) -> None:
    # somebody else's stack of the same name is there
    theirs = write(tmp_path / "theirs", TWO, "s3", S3)
    applied(tmp_path / "theirs", theirs)
    there = bucket.get_object(Bucket="states", Key=KEY)["Body"].read()

    applied(tmp_path, write(tmp_path, ONE, "local", {}))
    moved = write(tmp_path, ONE, "s3", S3)
    for settings in (SETTINGS, MOVING):
        with pytest.raises(FindingsError) as caught:
            plan_stack(str(tmp_path), moved, settings)
        assert caught.value.diagnostics[0].code == "backend-conflict"
    assert bucket.get_object(Bucket="states", Key=KEY)["Body"].read() == there
    # and what was here is here
    assert open_ports(tmp_path, write(tmp_path, ONE, "local", {})) == [8000]


def test_where_another_has_moved_the_state_nothing_is_asked(bucket: Any, tmp_path: Path) -> None:
    local = write(tmp_path, ONE, "local", {})
    applied(tmp_path, local)
    mine, theirs = tmp_path / local.directory, tmp_path / "theirs" / local.directory
    write(tmp_path / "theirs", ONE, "local", {})
    (theirs / "terraform.tfstate").write_bytes((mine / "terraform.tfstate").read_bytes())
    assert not plan_stack(str(tmp_path / "theirs"), local, SETTINGS).counts.any
    moved = write(tmp_path / "theirs", TWO, "s3", S3)
    assert applied(tmp_path / "theirs", moved, MOVING) == [8000, 9000]

    write(tmp_path, TWO, "s3", S3)
    assert not plan_stack(str(tmp_path), moved, SETTINGS).counts.any
    # what was here is out of the way, not gone
    assert (mine / "terraform.tfstate.stale").stat().st_size > 0


def test_a_state_that_was_never_written_moves_unasked(bucket: Any, tmp_path: Path) -> None:
    plan_stack(str(tmp_path), write(tmp_path, ONE, "local", {}), SETTINGS)
    assert applied(tmp_path, write(tmp_path, ONE, "s3", S3)) == [8000]


# -- partial configuration -------------------------------------------------------------


def test_a_partial_configuration_reaches_init_alone_and_new_credentials_move_nothing(
    bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    secrets = tmp_path / "secret.s3.tfbackend"
    secrets.write_text('access_key = "AKIAFIRST"\nsecret_key = "first-secret"\n', encoding="utf-8")
    rest = {name: value for name, value in S3.items() if name != "bucket"}
    stack = write(tmp_path, ONE, "s3", rest)
    settings = RunSettings(backend_config=(str(secrets), "bucket=states"))
    assert applied(tmp_path, stack, settings) == [8000]
    assert keys(bucket) == [KEY]
    # Terraform itself keeps what it was given in .terraform/, which is not committed
    written = [path for path in (tmp_path / stack.directory).iterdir() if path.is_file()]
    assert not any(b"first-secret" in path.read_bytes() for path in written)

    secrets.write_text('access_key = "AKIASECOND"\nsecret_key = "second-secret"\n', encoding="utf-8")
    assert not plan_stack(str(tmp_path), stack, settings).counts.any


# -- from the command line -------------------------------------------------------------


def test_who_can_be_asked_is_asked_before_a_state_moves(
    bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = aws_project(tmp_path, "local: {}")
    state = tmp_path / "infra" / stack / "terraform.tfstate"
    # a state as an apply leaves it; the resource is none that a provider has to start for
    state.write_text(json.dumps(_STATE), encoding="utf-8")
    aws_project(tmp_path, f"s3: {json.dumps(S3)}")
    monkeypatch.setattr("skyports_tf.cli.plan.plan_stacks", _only_prepare)

    refused = call(tmp_path, "plan", "web.yaml")
    assert (refused.code, keys(bucket)) == (1, [])
    assert "error[backend-moved]" in refused.err
    as_json = call(tmp_path, "plan", "web.yaml", "--json")
    assert [item["code"] for item in as_json.json["diagnostics"]] == ["backend-moved"]
    declined = call(tmp_path, "plan", "web.yaml", answer="no\n")
    assert declined.code == 1 and "Copy this state there? [y/N]" in declined.err
    assert keys(bucket) == [] and state.stat().st_size > 0
    agreed = call(tmp_path, "plan", "web.yaml", answer="yes\n")
    assert (agreed.code, keys(bucket)) == (0, [KEY])
    assert json.loads(bucket.get_object(Bucket="states", Key=KEY)["Body"].read())["lineage"] == "l-1"


def _only_prepare(out: str, stacks: Sequence[Stack], settings: RunSettings, progress: Any) -> Any:
    """What `plan_stacks` does up to the plan, which would start the provider."""
    with execution_of(out, stacks[0], settings, progress, stacks[1:]):
        return tuple(empty_plan(out, stack) for stack in stacks)


_STATE = {
    "version": 4,
    "terraform_version": "1.5.0",
    "serial": 3,
    "lineage": "l-1",
    "outputs": {"rules": {"value": {}, "type": ["object", {}]}},
    "resources": [],
}


def aws_project(folder: Path, backend: str) -> str:
    """Compile a task with that backend; gives the stack's folder in the tree."""
    (folder / "web.yaml").write_text("name: web\nresources: {infra: aws/us-east-1, ports: 80}\nrun: x\n")
    (folder / "skyports.yaml").write_text(f"backend: {{{backend}}}\n")
    assert call(folder, "compile", "web.yaml").code == 0
    return "web/aws-us-east-1"


@pytest.mark.parametrize("value", ["true", "1"])
def test_a_local_state_in_a_pipeline_is_warned_about(
    tmp_path: Path, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skyports_tf.cli.plan.plan_stacks", _plan_nothing)
    stack = aws_project(tmp_path, "local: {}")
    assert stack
    for name, expected in ((value, ["local-state-in-pipeline"]), ("false", []), ("", [])):
        with environment(CI=name):
            answer = call(tmp_path, "plan", "web.yaml", "--json")
        found = [item for item in answer.json["diagnostics"] if item["code"] == "local-state-in-pipeline"]
        assert [item["code"] for item in found] == expected, answer.err
        assert all((item["severity"], item["line"]) == ("warning", 1) for item in found)
    aws_project(tmp_path, "s3: {bucket: b, region: us-east-1}")
    with environment(CI=value):
        assert "local-state-in-pipeline" not in call(tmp_path, "plan", "web.yaml").err


def test_compile_warns_of_it_too_also_where_the_tree_is_known_to_be_up_to_date(tmp_path: Path) -> None:
    aws_project(tmp_path, "local: {}")
    for words in ((), ("--check",), ("--check", "--json"), ("--check", "--format", "sarif"), ("--diff",)):
        assert "local-state" not in call(tmp_path, "compile", "web.yaml", *words).err
        with environment(CI="true"):
            answer = call(tmp_path, "compile", "web.yaml", *words)
        assert answer.code == 0
        assert answer.err.count("warning[local-state-in-pipeline]") == 1, words
    aws_project(tmp_path, "s3: {bucket: b, region: us-east-1}")
    with environment(CI="true"):
        assert "local-state" not in call(tmp_path, "compile", "web.yaml").err


def _plan_nothing(out: str, stacks: Sequence[Stack], settings: RunSettings, progress: Any) -> Any:
    return tuple(empty_plan(out, stack) for stack in stacks)
