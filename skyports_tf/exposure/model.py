"""One exposure: who reaches which ports, through which resource."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SourceKind = Literal["cidr", "group", "prefix_list", "tag"]


@dataclass(frozen=True, slots=True)
class Exposure:
    """Ports that the resource at `address` opens to one source.

    `cloud` is the cloud's short name; `stack` the name of our stack, None for other code.
    `protocol` is tcp, udp, icmp, all, or the name or number of another; one without ports has them
    all. `internet` says that the source holds public addresses that the config does not call ours.
    """

    address: str
    cloud: str
    stack: str | None
    protocol: str
    from_port: int
    to_port: int
    source: str
    source_kind: SourceKind
    internet: bool

    @property
    def sort_key(self) -> tuple[str, str, str, int, int, str, str]:
        """Orders exposures by stack and address, then by what they open."""
        return (
            self.stack or "",
            self.address,
            self.protocol,
            self.from_port,
            self.to_port,
            self.source_kind,
            self.source,
        )
