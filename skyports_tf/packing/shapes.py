"""The shapes that rules have on the clouds: what one of them may hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from skyports_tf.model import Protocol
from skyports_tf.ports import PortSet
from skyports_tf.sources import Source, SourceKind

PortsShape = Literal["range", "ranges", "single"]
SourcesShape = Literal["one", "family", "mixed"]


@dataclass(frozen=True, slots=True)
class RuleShape:
    """What one rule of a cloud may hold.

    `ports`: one contiguous range, any ranges (at most `ports_max` of them), or single ports (at
    most `ports_max` of them).
    `sources`: one, several of one family, or several of any (at most `sources_max`).
    `many_protocols`: whether TCP and UDP may stand in one rule.
    `alone`: the kinds of source of which a rule takes one, and no other beside it.
    """

    ports: PortsShape
    sources: SourcesShape
    many_protocols: bool = False
    ports_max: int | None = None
    sources_max: int | None = None
    alone: tuple[SourceKind, ...] = ()

    @property
    def is_plain(self) -> bool:
        """Whether a rule is one range to one source: what is wanted is then in rules as it stands."""
        return self.ports == "range" and self.sources == "one"


#: What is wanted: each source's ports, by protocol.
Wanted: TypeAlias = Mapping[tuple[Protocol, Source], PortSet]
