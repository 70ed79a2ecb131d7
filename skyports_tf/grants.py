"""Who may reach which port: sources, protocols and descriptions by the config's rules and the flags."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from skyports_tf.config import ClusterRule, Config
from skyports_tf.model import Grant, Protocol, StackMode
from skyports_tf.ports import PortRange, PortSet
from skyports_tf.sources import Source

_TCP: tuple[Protocol, ...] = ("tcp",)


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
    user_hash: str | None = None


def grants_of(ports: PortSet, cluster: str, config: Config, flags: Flags) -> Iterator[Grant]:
    """The grants for `ports`: protocol, source and description by the rules that match `cluster`.

    `--source` on the command line goes over whatever the config says.
    """
    rules = matching_rules(cluster, config)
    base = _last(rule.sources for rule in rules) or config.sources
    for piece, sources, protocols, description in _refine(ports, base, rules):
        for protocol in protocols:
            for source in flags.sources or sources:
                yield Grant(protocol, piece, source, description)


def matching_rules(cluster: str, config: Config) -> tuple[ClusterRule, ...]:
    """The config's rules for `cluster`, in the order of the file."""
    return tuple(rule for rule in config.rules if fnmatchcase(cluster, rule.cluster))


def ssh_sources_of(cluster: str, config: Config, flags: Flags) -> tuple[Source, ...]:
    """Who may reach port 22 of the cluster's nodes."""
    ruled = _last(rule.ssh_sources for rule in matching_rules(cluster, config))
    if flags.ssh_sources:
        return flags.ssh_sources
    return config.ssh_sources if ruled is None else ruled


def _last(values: Iterable[tuple[Source, ...] | None]) -> tuple[Source, ...] | None:
    found = None
    for value in values:
        found = found if value is None else value
    return found


_Piece = tuple[PortRange, tuple[Source, ...], tuple[Protocol, ...], "str | None"]


def _refine(ports: PortSet, base: tuple[Source, ...], rules: Sequence[ClusterRule]) -> Iterator[_Piece]:
    """Cut `ports` at the borders of the refinements, and give each piece what the last one says."""
    pieces: list[_Piece] = [(item, base, _TCP, None) for item in ports]
    for rule in rules:
        for refinement in rule.ports:
            inside = PortSet((refinement.ports,))
            cut: list[_Piece] = []
            for piece, sources, protocols, description in pieces:
                whole = PortSet((piece,))
                cut += [(rest, sources, protocols, description) for rest in whole - inside]
                cut += [
                    (
                        part,
                        refinement.sources or sources,
                        refinement.protocols or protocols,
                        refinement.description or description,
                    )
                    for part in whole & inside
                ]
            pieces = cut
    yield from sorted(pieces, key=lambda piece: piece[0])
