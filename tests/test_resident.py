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

from tests.schema_provider.server import OPTIONS
from tests.schema_provider.wire import dynamic_value, each_field, fields, message, value_of
from tests.support.local_aws import MotoServer, ec2
from tests.support.resident import aws_types
from tests.support.stacks import ANYWHERE, compile_stack
from tests.support.thin_provider import VARIABLE


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


def connection(aws_provider: dict[str, str]) -> Any:
    """A connection to the provider, as each Terraform makes its own."""
    ((_, attached),) = json.loads(aws_provider[VARIABLE]).items()
    options = (("grpc.use_local_subchannel_pool", 1), *OPTIONS)
    return grpc.insecure_channel(attached["Addr"]["String"], options=options)


def call(channel: Any, method: str, *request: tuple[int, Any]) -> bytes:
    """What the provider answers to a call of tfplugin5."""
    answer: bytes = channel.unary_unary(f"/tfplugin5.Provider/{method}")(message(*request))
    return answer


def empty_block(block: bytes) -> dict[str, Any]:
    """A value with all attributes and blocks of a tfplugin5 `Schema.Block` null, or without elements."""
    found = [(number, fields(value)) for number, value in each_field(block) if number in (2, 3)]
    names = {item[1].decode(): number for number, item in found}
    lists = {item[1].decode() for number, item in found if number == 3 and item[3] in (2, 3)}
    return {name: [] if name in lists else None for name in names}


def default_vpc(channel: Any) -> list[str]:
    """The default VPC of the region that the connection has configured, by the provider."""
    name = "aws_vpcs"
    told = [fields(value) for number, value in each_field(call(channel, "GetSchema")) if number == 3]
    block = next(fields(item[2])[2] for item in told if item[1].decode() == name)
    answer = call(channel, "ReadDataSource", (1, name), (2, dynamic_value(empty_block(block))))
    return list(value_of(fields(answer)[1])["ids"])


def configure(channel: Any, region: str) -> None:
    """Say which region the connection is about."""
    block = fields(fields(call(channel, "GetSchema"))[1])[2]
    value = dynamic_value({**empty_block(block), "region": region})
    assert call(channel, "Configure", (1, "1.11.4"), (2, value)) == b""


def test_two_regions_at_once_are_each_answered_by_their_own(
    moto: MotoServer, aws_provider: dict[str, str]
) -> None:
    regions = ("us-east-1", "us-west-2")
    with connection(aws_provider) as east, connection(aws_provider) as west:
        for channel, region in zip((east, west), regions, strict=True):
            configure(channel, region)
        told = [default_vpc(channel) for channel in (east, west)]
    known = [ec2(moto.url, region).describe_vpcs()["Vpcs"] for region in regions]
    assert told == [[vpc["VpcId"] for vpc in vpcs] for vpcs in known]
    assert told[0] != told[1]


def test_what_the_provider_refuses_is_refused(aws_provider: dict[str, str]) -> None:
    with connection(aws_provider) as channel:
        with pytest.raises(grpc.RpcError) as refused:
            call(channel, "Dance")
        assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED
        assert "Dance" in refused.value.details()
