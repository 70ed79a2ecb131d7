"""Who may reach which port: sources, protocols and descriptions by the config's rules and the flags."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TypeVar

from skyports_tf.config import ClusterRule, Config, PortRefinement
from skyports_tf.expiry import deadline_of
from skyports_tf.model import Grant, Protocol, StackMode
from skyports_tf.ports import PortRange, PortSet
from skyports_tf.sources import Source

_TCP: tuple[Protocol, ...] = ("tcp",)
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class Flags:
    """What the command line says beside the config; None and empty leave it to the config.

    `user_hash` is SkyPilot's, where config or machine know it.
    """

    cluster: str | None = None
    sources: tuple[Source, ...] = ()
    ssh_sources: tuple[Source, ...] = ()
    retain: bool | None = None
    mode: StackMode | None = None
    expires: str | None = None
    user_hash: str | None = None


def grants_of(ports: PortSet, cluster: str, config: Config, flags: Flags) -> Iterator[Grant]:
    """The grants for `ports`: protocol, source, description and expiry by the rules that match `cluster`.

    `--source` and `--expires` on the command line go over whatever the config says.
    """
    rules = matching_rules(cluster, config)
    base = _Piece(
        _last(rule.sources for rule in rules) or config.sources,
        expires=_last(rule.expires for rule in rules) or config.expires,
    )
    for item, piece in _refine(ports, base, rules):
        expires = flags.expires or piece.expires
        # a date is absolute at once; a duration begins with the apply
        expires_at = deadline_of(expires) if expires else None
        for protocol in piece.protocols:
            for source in flags.sources or piece.sources:
                yield Grant(protocol, item, source, piece.description, expires, piece.expires, expires_at)


def matching_rules(cluster: str, config: Config) -> tuple[ClusterRule, ...]:
    """The config's rules for `cluster`, in the order of the file."""
    return tuple(rule for rule in config.rules if fnmatchcase(cluster, rule.cluster))


def ssh_sources_of(cluster: str, config: Config, flags: Flags) -> tuple[Source, ...]:
    """Who may reach port 22 of the cluster's nodes."""
    ruled = _last(rule.ssh_sources for rule in matching_rules(cluster, config))
    if flags.ssh_sources:
        return flags.ssh_sources
    return config.ssh_sources if ruled is None else ruled


def _last(values: Iterable[_Value | None]) -> _Value | None:
    found = None
    for value in values:
        found = found if value is None else value
    return found


@dataclass(frozen=True, slots=True)
class _Piece:
    """What holds for a range of ports."""

    sources: tuple[Source, ...]
    protocols: tuple[Protocol, ...] = _TCP
    description: str | None = None
    expires: str | None = None

    def refined(self, by: PortRefinement) -> _Piece:
        return replace(
            self,
            sources=by.sources or self.sources,
            protocols=by.protocols or self.protocols,
            description=by.description or self.description,
            expires=by.expires or self.expires,
        )


def _refine(ports: PortSet, base: _Piece, rules: Sequence[ClusterRule]) -> Iterator[tuple[PortRange, _Piece]]:
    """Cut `ports` at the borders of the refinements, and give each piece what the last one says."""
    pieces = [(item, base) for item in ports]
    for refinement in (item for rule in rules for item in rule.ports):
        inside = PortSet((refinement.ports,))
        cut: list[tuple[PortRange, _Piece]] = []
        for item, piece in pieces:
            whole = PortSet((item,))
            cut += [(rest, piece) for rest in whole - inside]
            cut += [(part, piece.refined(refinement)) for part in whole & inside]
        pieces = cut
    yield from sorted(pieces, key=lambda piece: piece[0])
