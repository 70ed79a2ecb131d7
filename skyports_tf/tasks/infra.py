"""Where a task runs: SkyPilot's `infra` text and the older `cloud`, `region`, `zone`.

Facts: sky/utils/infra_utils.py:InfraInfo.from_str and to_str, sky/utils/schemas.py:_get_infra_pattern,
sky/skylet/constants.py:ALL_CLOUDS, sky/utils/registry.py (aliases), SkyPilot 0.14.1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from skyports_tf.diagnostics import suggest

#: Every cloud that SkyPilot knows, by its lower-case name.
CLOUDS: Final = frozenset(
    {
        "aws",
        "azure",
        "cudo",
        "do",
        "fluidstack",
        "gcp",
        "hyperbolic",
        "ibm",
        "kubernetes",
        "lambda",
        "mithril",
        "nebius",
        "oci",
        "paperspace",
        "primeintellect",
        "runpod",
        "scp",
        "seeweb",
        "shadeform",
        "slurm",
        "ssh",
        "vast",
        "verda",
        "vsphere",
        "yotta",
    }
)
#: Names that SkyPilot's command line takes as well; in a task file `k8s` alone, within `infra`.
ALIASES: Final = {"digitalocean": "do", "k8s": "kubernetes"}
SHAPE: Final = "write cloud, cloud/region or cloud/region/zone; '*' leaves a part open"

_PLACE = r"(?:/[^/]+(?:/[^/]+)?)?"
_VIRTUAL_MACHINES = "|".join(sorted(CLOUDS - {"kubernetes"}))
_IN_A_FILE = re.compile(rf"^(?:(?i:{_VIRTUAL_MACHINES}){_PLACE}|\*{_PLACE}|(?i:kubernetes|k8s)(?:/.+)?)$")


class InfraError(ValueError):
    """A text that names no place; `help` is the way out."""

    def __init__(self, message: str, help_text: str | None = SHAPE) -> None:
        super().__init__(message)
        self.help = help_text


@dataclass(frozen=True, slots=True)
class Place:
    """A cloud, a region and a zone as SkyPilot keeps them; None means any."""

    cloud: str | None = None
    region: str | None = None
    zone: str | None = None

    @property
    def infra(self) -> str | None:
        """SkyPilot's canonical text, such as `aws/us-east-1` or `*/us-east-1`; None where all is open."""
        region = (self.region or "*").removeprefix("ssh-")
        parts = [self.cloud or "*", region, self.zone or "*"]
        while parts and parts[-1] == "*":
            parts.pop()
        return "/".join(parts) or None


def check_shape(text: str) -> None:
    """Raise `InfraError` for an `infra` text whose shape SkyPilot refuses in a task file."""
    if not _IN_A_FILE.search(text):
        raise _no_infra(text)


def parse_infra(text: str, *, in_file: bool = True) -> Place:
    """Read an `infra` text; a task file is stricter than the command line.

    Raises `InfraError` for any other text.
    """
    if in_file:
        check_shape(text)
    stripped = text.strip().strip("/")
    if not text.strip():
        return Place()
    parts = [part.strip() for part in stripped.split("/")]
    if "" in parts:
        raise InfraError(f"{text!r} has an empty part")
    cloud = parts[0].lower()
    cloud = ALIASES.get(cloud, cloud) if cloud == "k8s" or not in_file else cloud
    if cloud in ("kubernetes", "ssh"):
        return _context(cloud, "/".join(parts[1:]))
    if len(parts) > 3:
        raise InfraError(f"{text!r} has more than three parts")
    named = [None if part == "*" else part for part in parts[1:]] + [None, None]
    # a cloud of the past, which SkyPilot's command line takes for any
    anywhere = cloud == "*" or (cloud == "local" and not in_file)
    return Place(None if anywhere else known_cloud(cloud), named[0], named[1])


def _context(cloud: str, rest: str) -> Place:
    # a context may hold slashes; a pool of SSH nodes is a context named ssh-<pool>
    if not rest or (rest == "*" and cloud == "kubernetes"):
        return Place(cloud)
    return Place(cloud, f"ssh-{rest}" if cloud == "ssh" else rest)


def known_cloud(name: str) -> str:
    """The lower-case name of a cloud that SkyPilot knows. Raises `InfraError` for any other."""
    cloud = name.lower()
    if cloud in CLOUDS:
        return cloud
    if cloud in ALIASES:
        raise InfraError(f"no cloud {name!r}", f"write {ALIASES[cloud]!r}")
    raise InfraError(f"no cloud {name!r}", suggest(cloud, CLOUDS, f"one of {', '.join(sorted(CLOUDS))}"))


def _no_infra(text: str) -> InfraError:
    cloud = text.partition("/")[0].strip()
    if cloud.lower() in ALIASES and cloud.lower() != "k8s":
        return InfraError(f"no cloud {cloud!r} in a task file", f"write {ALIASES[cloud.lower()]!r}")
    if cloud and cloud != "*" and cloud.lower() not in (*CLOUDS, "k8s"):
        return InfraError(f"no cloud {cloud!r}", suggest(cloud.lower(), CLOUDS, SHAPE))
    return InfraError(f"{text!r} is no place")
