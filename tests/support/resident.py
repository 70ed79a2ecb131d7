"""Providers that stay: one process serves all commands of a test, where Terraform starts it anew for each.

Terraform is told by TF_REATTACH_PROVIDERS (its documentation: "Debugging Terraform Plugins").
It saves most of a command's time, and all else is as ever; but `init` leaves such a provider
out, so that it runs before. What is left of the time goes into the schemas of AWS's 1,500 types:
thin_provider.py keeps those that our templates name.
"""

from __future__ import annotations

import atexit
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.schema_provider.facts import FOLDER, variable_of
from tests.schema_provider.install import provider_command
from tests.schema_provider.schema import read_schema
from tests.schema_provider.server import READY
from tests.support.installs import ROOT
from tests.support.schema_cloud import SETTINGS
from tests.support.thin_provider import VARIABLE

_AWS = "registry.terraform.io/hashicorp/aws"
# a second `Configure` with it fails in the AWS provider (aws-sdk-go-base: "has no WithTransportOptions")
_ONLY_ONCE = "AWS_CA_BUNDLE"


class _Resident:
    """A schema provider that runs until this process ends, and plays one cloud after another."""

    def __init__(self, provider: str, cloud: Path) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="tf")
        self._cloud = Path(self._folder.name, "cloud")
        self.play(cloud)
        socket = str(Path(self._folder.name, "s"))
        environment = {variable_of(provider): str(self._cloud), **SETTINGS.get(provider, {})}
        self._process = _run(provider_command(provider, f"unix:{socket}"), environment)
        _port_of(self._process)
        source = read_schema(FOLDER / "schemas" / f"{provider}.json").source
        address = {"Network": "unix", "String": socket}
        attached = {"Protocol": "grpc", "ProtocolVersion": 6, "Pid": self._process.pid, "Test": True}
        self.environment = {VARIABLE: json.dumps({source: {**attached, "Addr": address}})}

    def play(self, cloud: Path) -> None:
        """From the next command on, the cloud in this folder is the provider's."""
        self._cloud.unlink(missing_ok=True)
        self._cloud.symlink_to(cloud)

    def end(self) -> None:
        """Stop it."""
        with self._process:
            pass
        self._folder.cleanup()


_residents: dict[str, _Resident] = {}


@atexit.register
def _end_all() -> None:
    while _residents:
        _residents.popitem()[1].end()


def resident_schema_provider(provider: str, cloud: Path) -> dict[str, str]:
    """What Terraform's environment needs to use the resident schema provider for the cloud in this folder.

    One process serves all tests, one after another: it plays the cloud that it was asked for last.
    """
    if provider in _residents:
        _residents[provider].play(cloud)
    else:
        _residents[provider] = _Resident(provider, cloud)
    return _residents[provider].environment


@contextmanager
def resident_aws(program: Path, environment: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Keep the AWS provider running, and tell Terraform of the types in our templates alone.

    `program` is the provider's. Gives what Terraform's environment needs.
    """
    command = [sys.executable, "-m", "tests.support.thin_provider", str(program), *aws_types()]
    with _run(command, environment, ROOT) as process:
        attached = {"Protocol": "grpc", "ProtocolVersion": 5, "Pid": process.pid, "Test": True}
        address = {"Network": "tcp", "String": f"127.0.0.1:{_port_of(process)}"}
        yield {VARIABLE: json.dumps({_AWS: {**attached, "Addr": address}})}


def aws_types() -> list[str]:
    """The types of resources and data sources that our templates for AWS name."""
    texts = (path.read_text(encoding="utf-8") for path in (ROOT / "templates" / "aws").rglob("*.*"))
    return sorted({name for text in texts for name in re.findall(r"\baws_[a-z0-9_]+", text)})


def _run(
    command: Sequence[str], environment: Mapping[str, str], folder: Path | None = None
) -> subprocess.Popen[str]:
    inherited = {name: value for name, value in os.environ.items() if name != _ONLY_ONCE}
    return subprocess.Popen(
        command,
        cwd=folder,
        env={**inherited, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )


def _port_of(process: subprocess.Popen[str]) -> int:
    """Wait until the server is ready; gives its port, where it has one."""
    line = process.stdout.readline() if process.stdout else ""
    if not line.startswith(READY):
        raise RuntimeError(f"{process.args!r} did not start")
    return int(line.removeprefix(READY))


def installed_provider(stack: Path) -> Path:
    """The program of the one provider that `terraform init` has installed in the stack's folder."""
    # host/namespace/type/version/platform, which may be a link into a mirror or a cache
    (program,) = (stack / ".terraform" / "providers").glob("*/*/*/*/*/terraform-provider-*")
    return program.resolve()
