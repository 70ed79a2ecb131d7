"""Where a breach of the policy is written: a file and a span for every part of it.

Ports are found in the task file of the ledger entry that asks for them, whether that task is being
compiled or was before; sources in the config, where it names them; all else at the rule itself.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from skyports_tf.config import Config
from skyports_tf.diagnostics import Span
from skyports_tf.judging import Breach
from skyports_tf.ledger import LEDGER_NAME
from skyports_tf.model import ADOPTED, LedgerEntry, Stack
from skyports_tf.policy import PolicyException, PolicyRule
from skyports_tf.portplaces import PortPlaces, port_places, source_place, ssh_source_place
from skyports_tf.ports import PortRange, PortSet
from skyports_tf.resolve import Place, place_of
from skyports_tf.sources import Source
from skyports_tf.tree import base_of


class Spot(NamedTuple):
    """A file, and a place in it."""

    path: str | None
    span: Span | None

    def __str__(self) -> str:
        return f"{self.path}:{self.span.line}" if self.span else str(self.path)


class Cut(NamedTuple):
    """The part of a breach that stands at one spot."""

    spot: Spot
    ports: PortSet
    sources: tuple[Source, ...]


@dataclass(slots=True)
class Spots:
    """Finds spots; `paths` are the task files at hand, as the user wrote them, by place and ledger name."""

    config: Config
    out: str
    paths: Mapping[tuple[Place, str], str]
    _read: dict[tuple[str, int, str], PortPlaces] = field(default_factory=dict)

    def cuts(self, breach: Breach) -> Iterator[Cut]:
        """The breach cut by the spots at which its ports or sources are written."""
        if breach.protocol is None:
            yield Cut(self._largest(breach.stack), PortSet(), ())
            return
        left: dict[PortSet, list[Source]] = {}
        for (spot, ports), sources in self._by_source(breach).items():
            if spot is not None:
                yield Cut(spot, ports, tuple(sources))
            elif breach.entry is None:
                yield Cut(self.rule_spot(breach.rule), ports, tuple(sources))
            else:
                left.setdefault(ports, []).extend(sources)
        for ports, sources in left.items():
            for spot, part in self._by_line(breach.stack, breach.entry, ports) if breach.entry else ():
                yield Cut(spot, part, tuple(sources))

    def _by_source(self, breach: Breach) -> dict[tuple[Spot | None, PortSet], list[Source]]:
        """The sources by the spot where the config names them, where it is they that make the breach."""
        if breach.entry is not None and breach.rule.kind != "allowed_sources":
            return {(None, breach.ports): list(breach.sources)}
        cluster = breach.stack.cluster
        found: dict[tuple[Spot | None, Source], list[PortRange]] = {}
        for source in breach.sources:
            for item in breach.ports:
                at = source_place(self.config, cluster, item, source)
                if breach.entry is None:
                    at = ssh_source_place(self.config, cluster, source)
                found.setdefault((self.spot(at) if at else None, source), []).append(item)
        by_spot: dict[tuple[Spot | None, PortSet], list[Source]] = {}
        for (spot, source), ranges in found.items():
            by_spot.setdefault((spot, PortSet.of(ranges)), []).append(source)
        return by_spot

    def _by_line(self, stack: Stack, entry: LedgerEntry, ports: PortSet) -> Iterator[tuple[Spot, PortSet]]:
        """The ports by the items of the task file that ask for them; the rest at the file as a whole."""
        path = self._path_of(stack, entry)
        places = self._places(path, entry, stack)
        for item, span in places.items:
            if part := ports & item:
                yield Spot(path, span), part
                ports = ports - part
        if ports:
            yield Spot(path, places.whole), ports

    def _largest(self, stack: Stack) -> Spot:
        """Where the task stands that asks for the most ports, one at hand before others."""
        entries = sorted(
            stack.entries,
            key=lambda item: ((place_of(stack), item.file) not in self.paths, -len(item.ports), item.file),
        )
        path = self._path_of(stack, entries[0])
        places = self._places(path, entries[0], stack)
        return Spot(path, places.items[0][1] if places.items else places.whole)

    def _path_of(self, stack: Stack, entry: LedgerEntry) -> str:
        """The task file of an entry, relative to the current folder; the ledger where it is gone."""
        known = self.paths.get((place_of(stack), entry.file))
        if known is not None:
            return known
        path = os.path.relpath(os.path.join(base_of(self.out), entry.file))
        if entry.file == ADOPTED or not os.path.isfile(path):
            return os.path.join(self.out, stack.directory, LEDGER_NAME)
        return path

    def _places(self, path: str, entry: LedgerEntry, stack: Stack) -> PortPlaces:
        key = (path, entry.position, stack.cloud)
        if key not in self._read:
            is_ledger = os.path.basename(path) == LEDGER_NAME
            self._read[key] = PortPlaces() if is_ledger else port_places(*key)
        return self._read[key]

    def spot(self, at: tuple[str | int, ...]) -> Spot | None:
        """The spot of a setting; None where the config does not have it."""
        document = self.config.document
        if document is None or at[0] not in document.data:
            return None
        return Spot(document.path, document.span(at))

    def rule_spot(self, rule: PolicyRule) -> Spot:
        """Where a rule has its name."""
        return self.spot(("policy", "rules", rule.position, "name")) or Spot(None, None)

    def exception_spot(self, exception: PolicyException, key: str = "rule") -> Spot:
        """Where an exception says `key`."""
        return self.spot(("policy", "exceptions", exception.position, key)) or Spot(None, None)
