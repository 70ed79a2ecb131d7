"""What the tests of AWS run Terraform with: the real provider, of which Terraform is told less."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped,unused-ignore]
import pytest

from tests.support.resident import VARIABLE, aws_types
from tests.support.stacks import ANYWHERE, compile_stack


@pytest.fixture
def stack(local_terraform: tuple[str, ...], tmp_path: Path) -> Path:
    """The folder of a stack, after `terraform init`."""
    folder = tmp_path / "infra" / compile_stack(tmp_path, {"80": [ANYWHERE]}).directory
    subprocess.run([*local_terraform, "init", "-input=false"], cwd=folder, check=True)
    return folder


def schemas(terraform: tuple[str, ...], stack: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    """What Terraform knows of the AWS provider: kind -> name -> schema."""
    command = [*terraform, "providers", "schema", "-json"]
    env = {**os.environ, **environment}
    told = subprocess.run(command, cwd=stack, env=env, stdout=subprocess.PIPE, check=True).stdout
    ((_, found),) = json.loads(told)["provider_schemas"].items()
    return dict(found)


def test_terraform_is_told_of_the_types_we_use_as_the_provider_tells_of_them(
    local_terraform: tuple[str, ...], stack: Path, aws_provider: dict[str, str]
) -> None:
    all_of_it = schemas(local_terraform, stack, {})
    told = schemas(local_terraform, stack, aws_provider)
    assert told["provider"] == all_of_it["provider"]
    for kind in ("resource_schemas", "data_source_schemas"):
        assert told[kind] == {name: told for name, told in all_of_it[kind].items() if name in aws_types()}
    assert {"aws_security_group", "aws_vpc_security_group_ingress_rule"} < told["resource_schemas"].keys()


def test_what_the_provider_refuses_is_refused(aws_provider: dict[str, str]) -> None:
    ((_, attached),) = json.loads(aws_provider[VARIABLE]).items()
    with grpc.insecure_channel(f"unix:{attached['Addr']['String']}") as channel:
        with pytest.raises(grpc.RpcError) as refused:
            channel.unary_unary("/tfplugin5.Provider/Dance")(b"")
        assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED
        assert "Dance" in refused.value.details()
