"""What the stages hand to each other: frozen data, no behaviour beyond names.

Resolve turns the tasks of a document (documents.py) into `Stack`s; render turns a stack into
`GeneratedFile`s. What comes of a stack when Terraform runs is in outcomes.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from skyports_tf.naming import folder_name
from skyports_tf.ports import PortRange, PortSet
from skyports_tf.sources import Source

Protocol = Literal["tcp", "udp"]
StackMode = Literal["takeover", "attach"]
Layout = Literal["separate", "grouped"]

#: Stands for a task file in the ledger entry of what `adopt` has found open.
ADOPTED: Final = "adopted"


@dataclass(frozen=True, slots=True)
class Grant:
    """One range of ports wanted open to one source.

    `expires` is for how long, in the normal form of `expiry`, and `configured` what the config said
    of it then: the two differ where the command line had a say. `expires_at` is the absolute
    time, None until a duration begins with an apply. A `closed` grant is past its time and opens
    nothing.
    """

    protocol: Protocol
    ports: PortRange
    source: Source
    description: str | None = None
    expires: str | None = None
    configured: str | None = None
    expires_at: str | None = None
    closed: bool = False


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """What one task asks of a stack.

    `file` is the task file relative to the folder that holds `--out`, with forward slashes;
    `retained` are grants that the task no longer asks for and that stay until shutdown.
    """

    file: str
    task: str | None
    position: int
    ports: PortSet
    grants: tuple[Grant, ...]
    retained: tuple[Grant, ...] = ()


@dataclass(frozen=True, slots=True)
class IngressRule:
    """One rule as the cloud holds it on AWS: one range, one source; `tasks` are the files that ask for it."""

    protocol: Protocol
    ports: PortRange
    source: Source
    description: str | None = None
    tasks: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The rule's identity: protocol, first port and source; a wider range keeps it."""
        return f"{self.protocol}-{self.ports.first}@{self.source}"


@dataclass(frozen=True, slots=True)
class PackedRule:
    """One rule as a cloud of any shape holds it: all of `ports` to all of `sources`.

    `key` is the rule's identity, which it keeps from one compile to the next.
    """

    key: str
    ports: tuple[tuple[Protocol, PortSet], ...]
    sources: tuple[Source, ...]
    description: str | None = None
    priority: int | None = None

    @property
    def sort_key(self) -> tuple[object, ...]:
        """By sources, then by ports."""
        return (
            tuple(source.sort_key for source in self.sources),
            tuple((protocol, ports.ranges) for protocol, ports in self.ports),
        )


@dataclass(frozen=True, slots=True)
class Stack:
    """A cluster's ports at one place: a root module with a state of its own, or a part of one (`layout`).

    `rules` say what opens, one range and one source each; `packed` are the rules as the cloud
    holds them; `names` are the names of its objects, by kind. `settings` are the
    cloud's own values, such as `vpc`, and `backend` the kind and settings of the Terraform backend
    (None: local). `ssh_ports` are open to `ssh_sources` where SSH is ours to open; `sky_config` is
    what SkyPilot's own config must say, empty where it need not say anything, and `launch_config`
    what it had better say at a launch.

    `adopted` are facts about objects that SkyPilot made and `adopt` took over, for the cloud's
    module, which leaves them as they were; what it says of single rules stands under `rules`, by
    their keys. `imports` maps addresses to the ids of what the next apply takes over.
    """

    cluster: str
    cloud: str
    region: str | None
    mode: StackMode = "takeover"
    entries: tuple[LedgerEntry, ...] = ()
    rules: tuple[IngressRule, ...] = ()
    packed: tuple[PackedRule, ...] = ()
    ssh_sources: tuple[Source, ...] = ()
    ssh_ports: tuple[int, ...] = ()
    name_on_cloud: str | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str | int | bool] = field(default_factory=dict)
    backend: tuple[str, Mapping[str, Any]] | None = None
    sky_config: Mapping[str, Any] = field(default_factory=dict)
    launch_config: Mapping[str, Any] = field(default_factory=dict)
    adopted: Mapping[str, Any] = field(default_factory=dict)
    imports: Mapping[str, str] = field(default_factory=dict)
    layout: Layout = "separate"

    @property
    def directory(self) -> str:
        """The stack's folder under the out folder, made from checked names only."""
        return f"{self.cluster}/{self.place}"

    @property
    def place(self) -> str:
        """Cloud and region, as the name of a folder."""
        return self.cloud if self.region is None else f"{self.cloud}-{folder_name(self.region)}"

    @property
    def name(self) -> str:
        """The stack's name: its folder with `-` for `/`."""
        return self.directory.replace("/", "-")

    @property
    def is_kept(self) -> bool:
        """Whether its groups stay: a port is open, or one is only past its time while the cluster lives."""
        return bool(self.rules) or any(
            grant.closed for entry in self.entries for grant in (*entry.grants, *entry.retained)
        )


@dataclass(frozen=True, slots=True)
class GeneratedFile:
    """A file of the tree: its path relative to the out folder, with forward slashes, and its text.

    Without a text it is a file that must not be there (any more).
    """

    path: str
    text: str
