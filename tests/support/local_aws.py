"""A local AWS for tests and the demo: moto, pretend nodes, and where Terraform finds its provider."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REGISTRY = "registry.terraform.io"
REGION = "us-east-1"
_CREDENTIALS = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
_START_SECONDS = 60.0
# it ends with us, whatever ends us: its stdin is then at its end. An answer leaves as one piece: the AWS
# provider has dropped one in a thousand whose body came after its headers, and then asked again
_SERVER = """
import os, sys, threading
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
from moto.server import MotoRequestHandler, main
MotoRequestHandler.wbufsize = -1
main(["-H", "127.0.0.1", "-p", "0"])
"""


@dataclass(frozen=True)
class MotoServer:
    """A running moto: its URL, and the environment that makes Terraform and boto3 use it."""

    url: str

    @property
    def env(self) -> dict[str, str]:
        """Endpoint and pretend credentials; nothing of the caller's own AWS set-up is used."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_SESSION_TOKEN": "",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }


def reset(url: str) -> None:
    """Empty the moto at `url`: a default VPC is all it has then."""
    request = urllib.request.Request(f"{url}/moto-api/reset", method="POST")
    urllib.request.urlopen(request, timeout=60).close()


@contextmanager
def start_moto() -> Iterator[MotoServer]:
    """Run moto on a free loopback port until the block ends.

    Raises `RuntimeError` with what to install where it does not start.
    """
    with tempfile.TemporaryFile() as log:
        server = subprocess.Popen(
            [sys.executable, "-c", _SERVER],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            # the terminal's Ctrl-C is for us: we stop the server when we are done with it
            start_new_session=True,
        )
        try:
            yield MotoServer(_url_of(server, log.fileno()))
        finally:
            server.terminate()
            server.wait()
            if server.stdin:
                server.stdin.close()


def _url_of(server: subprocess.Popen[bytes], log: int) -> str:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        said = os.pread(log, 1 << 16, 0).decode("utf-8", "replace")
        found = re.search(r"Running on (http://127\.0\.0\.1:\d+)", said)
        if found:
            return found[1]
        if server.poll() is not None:
            break
        time.sleep(0.05)
    said = os.pread(log, 1 << 16, 0).decode("utf-8", "replace").strip()
    raise RuntimeError(f"moto did not start: pip install 'skyports-tf[test]'\n{said}")


def ec2(url: str, region: str = REGION) -> Any:
    """A boto3 client of the local EC2."""
    import boto3

    return boto3.client("ec2", endpoint_url=url, region_name=region, **_CREDENTIALS)


def launch_nodes(url: str, name_on_cloud: str, count: int, region: str = REGION) -> list[str]:
    """Run `count` pretend nodes in the default VPC, tagged as SkyPilot tags them; the head is first.

    Tags: sky/provision/constants.py and sky/provision/aws/instance.py:_create_instances,
    run_instances, SkyPilot 0.14.1. Gives the instance ids.
    """
    client = ec2(url, region)
    image = client.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
    launched = client.run_instances(ImageId=image, InstanceType="t3.micro", MinCount=count, MaxCount=count)
    ids = [instance["InstanceId"] for instance in launched["Instances"]]
    for position, instance in enumerate(ids):
        client.create_tags(Resources=[instance], Tags=_tags(name_on_cloud, is_head=position == 0))
    return ids


def _tags(name_on_cloud: str, *, is_head: bool) -> list[dict[str, str]]:
    kind = "head" if is_head else "worker"
    tags = {
        "Name": f"sky-{name_on_cloud}-{kind}",
        "ray-cluster-name": name_on_cloud,
        "skypilot-cluster-name": name_on_cloud,
        "ray-node-type": kind,
        "skypilot-head-node": "1" if is_head else "0",
    }
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def cli_config(folder: Path, environment: Mapping[str, str] = os.environ) -> Path:
    """A Terraform CLI config that takes providers from a local mirror, where there is one.

    $TF_CLI_CONFIG_FILE is used as it is, where that file exists. Else the mirror is
    $SKYPORTS_PLUGIN_MIRROR, or the folders in the usual places that hold providers of the public
    registry; what they don't hold is downloaded. The file is written into `folder`.
    """
    named = environment.get("TF_CLI_CONFIG_FILE")
    if named and Path(named).is_file():
        return Path(named)
    path = folder / "terraform.rc"
    path.write_text(_config_text(find_mirrors(environment)), encoding="utf-8")
    return path


def find_mirrors(environment: Mapping[str, str] = os.environ) -> dict[Path, tuple[str, ...]]:
    """Local provider mirrors, and the providers in each (`hashicorp/aws`)."""
    named = environment.get("SKYPORTS_PLUGIN_MIRROR")
    home = Path(environment.get("HOME") or "/nonexistent")
    usual = (
        home / ".terraform.d",
        home / ".local/share",
        Path("/opt"),
        Path("/usr/share"),
        Path("/usr/local/share"),
    )
    roots = [Path(named)] if named else usual
    mirrors = {registry.parent: _providers(registry) for root in roots for registry in _registries(root)}
    return {mirror: providers for mirror, providers in mirrors.items() if providers}


def _registries(root: Path) -> list[Path]:
    patterns = [f"{'*/' * depth}{REGISTRY}" for depth in range(4)]
    return sorted(found for pattern in patterns for found in root.glob(pattern) if found.is_dir())


def _providers(registry: Path) -> tuple[str, ...]:
    return tuple(
        sorted(f"{found.parent.name}/{found.name}" for found in registry.glob("*/*") if found.is_dir())
    )


def _config_text(mirrors: Mapping[Path, Sequence[str]]) -> str:
    if not mirrors:
        # one download serves all: a test's stack has no lock file yet
        return "plugin_cache_may_break_dependency_lock_file = true\n"
    blocks, taken = [], []
    for mirror, providers in mirrors.items():
        names = [
            f'"{REGISTRY}/{provider}"' for provider in providers if f'"{REGISTRY}/{provider}"' not in taken
        ]
        taken += names
        if names:
            quoted = str(mirror).replace("\\", "\\\\").replace('"', '\\"')
            lines = [f'    path    = "{quoted}"', f"    include = [{', '.join(names)}]"]
            blocks.append("\n".join(["  filesystem_mirror {", *lines, "  }", ""]))
    direct = f"  direct {{\n    exclude = [{', '.join(taken)}]\n  }}\n"
    return f"provider_installation {{\n{''.join(blocks)}{direct}}}\n"
