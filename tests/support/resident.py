"""Providers that stay: one process serves all commands of a test, where Terraform starts it anew for each.

Terraform is told by TF_REATTACH_PROVIDERS (its documentation: "Debugging Terraform Plugins").
It saves most of a command's time, and all else is as ever; but `init` leaves such a provider
out, so that it runs before.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.schema_provider.facts import FOLDER
from tests.schema_provider.install import provider_command
from tests.schema_provider.schema import read_schema

VARIABLE = "TF_REATTACH_PROVIDERS"
# a second `Configure` with it fails in the AWS provider (aws-sdk-go-base: "has no WithTransportOptions")
_ONLY_ONCE = "AWS_CA_BUNDLE"
# a provider that is run for debugging tells all, which is a good part of its work
_SILENT = {
    f"TF_LOG{part}": "off"
    for part in ("", "_SDK", "_SDK_PROTO", "_SDK_FRAMEWORK", "_SDK_HELPER_SCHEMA", "_SDK_MUX", "_PROVIDER")
}
# it ends with us, whatever ends us: its stdin is then at its end
_UNTIL_STDIN_ENDS = '"$@" & read -r _; kill -9 $!'


@contextmanager
def resident_schema_provider(provider: str, environment: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Keep a schema provider running until the block ends; gives what Terraform's environment needs.

    `environment` is that of the provider's `SchemaCloud`.
    """
    source = read_schema(FOLDER / "schemas" / f"{provider}.json").source
    with tempfile.TemporaryDirectory(prefix="tf") as folder:
        socket = str(Path(folder, "s"))
        with _running(provider_command(provider, f"unix:{socket}"), environment) as said:
            if next(said, "") != "ready\n":
                raise RuntimeError(f"the schema provider {provider} did not start")
            address = {"Network": "unix", "String": socket}
            attached = {
                "Protocol": "grpc",
                "ProtocolVersion": 6,
                "Pid": os.getpid(),
                "Test": True,
                "Addr": address,
            }
            yield {VARIABLE: json.dumps({source: attached})}


@contextmanager
def resident_provider(program: Path, environment: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Keep a real provider running as for debugging; gives what Terraform's environment needs."""
    command = ["sh", "-c", _UNTIL_STDIN_ENDS, "sh", str(program), "-debug"]
    with _running(command, {**environment, **_SILENT}) as said:
        for line in said:
            found = re.search(rf"{VARIABLE}='(.+)'", line)
            if found:
                yield {VARIABLE: found[1]}
                return
        raise RuntimeError(f"{program.name} -debug did not start")


@contextmanager
def _running(command: Sequence[str], environment: Mapping[str, str]) -> Iterator[Iterator[str]]:
    """Run it until the block ends; gives what it says."""
    inherited = {name: value for name, value in os.environ.items() if name != _ONLY_ONCE}
    with subprocess.Popen(
        command,
        env={**inherited, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        yield process.stdout


def installed_provider(stack: Path) -> Path:
    """The program of the one provider that `terraform init` has installed in the stack's folder."""
    # host/namespace/type/version/platform, which may be a link into a mirror or a cache
    (program,) = (stack / ".terraform" / "providers").glob("*/*/*/*/*/terraform-provider-*")
    return program.resolve()
