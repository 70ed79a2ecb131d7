"""Stacks of every cloud from sets of (protocol, port, source), and edits of such sets."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

import yaml

from skyports_tf.clouds import load_cloud
from skyports_tf.config import Config, read_config
from skyports_tf.grants import Flags
from skyports_tf.model import Grant, LedgerEntry, PackedRule, Protocol, Stack
from skyports_tf.ports import PortRange, PortSet
from skyports_tf.render import render_stack
from skyports_tf.resolve import Place
from skyports_tf.sources import Source, parse_source
from skyports_tf.stacks import build_stack
from tests.support.installs import ROOT

Cell: TypeAlias = tuple[Protocol, int, Source]
Cells: TypeAlias = frozenset[Cell]
Edit: TypeAlias = Callable[[Cells, int, Source], Cells]

#: Sources of every kind that a cloud may take; a manifest says which it does.
SOURCES = tuple(
    map(
        parse_source,
        (
            "10.0.0.0/8",
            "192.168.0.0/16",
            "0.0.0.0/0",
            "2001:db8::/32",
            "2001:db8:1::/48",
            "pl-0123abcd",
            "sg-0123abcd",
            "tag:office",
        ),
    )
)


def sources_of(cloud: str) -> list[Source]:
    """Those of `SOURCES` that the cloud takes."""
    return [source for source in SOURCES if source.kind in load_cloud(cloud).sources]


@cache
def config_of(cloud: str) -> Config:
    """A config with what cannot be guessed of the cloud, from tests/matrix."""
    file = ROOT / "tests" / "matrix" / f"{cloud}.yaml"
    facts = yaml.safe_load(file.read_text(encoding="utf-8")) if file.exists() else {"config": ""}
    with TemporaryDirectory() as folder:
        path = Path(folder, "skyports.yaml")
        path.write_text(facts["config"], encoding="utf-8")
        return read_config(str(path))


def grants_of(cells: Iterable[Cell]) -> tuple[Grant, ...]:
    """The grants that open these cells, in the order in which protocols and sources come."""
    found: dict[tuple[Protocol, Source], list[PortRange]] = {}
    for protocol, port, source in cells:
        found.setdefault((protocol, source), []).append(PortRange(port, port))
    return tuple(
        Grant(protocol, item, source)
        for (protocol, source), ranges in found.items()
        for item in PortSet.of(ranges)
    )


def stack_of(cloud: str, grants: Sequence[Grant], old: Stack | None = None) -> Stack:
    """The stack of a cluster on the cloud that asks for `grants`; `old` is what was there."""
    region = load_cloud(cloud).region
    place = Place("web", cloud, (region.default or region.example or "r1") if region else None)
    ports = PortSet.of(grant.ports for grant in grants)
    entries = (LedgerEntry("web.yaml", "web", 0, ports, tuple(grants)),)
    return build_stack(place, old, entries, config_of(cloud), Flags(user_hash="a1b2c3d4"))


def cells_of(rule: PackedRule) -> Cells:
    """What a packed rule opens."""
    return frozenset(
        (protocol, port, source)
        for protocol, ports in rule.ports
        for item in ports
        for port in range(item.first, item.last + 1)
        for source in rule.sources
    )


def files_of(stack: Stack) -> dict[str, str]:
    """The rendered root module by file name."""
    return {file.path.rpartition("/")[2]: file.text for file in render_stack(stack)}


def rule_lines(main: str) -> dict[str, str]:
    """Key to expression of the map `rules`; the blanks that align the lines are left out."""
    (body,) = re.findall(r"^  rules = \{\n(.*?)^  \}$", main, re.MULTILINE | re.DOTALL)
    found = (re.fullmatch(r'    "?(.+?)"? += (\{.*)', line) for line in body.splitlines())
    return {match[1]: match[2] for match in found if match}


def without_rules(main: str) -> str:
    """The root module's text without the map `rules`."""
    return re.sub(r"^  rules = \{\n.*?^  \}$", "  rules", main, flags=re.MULTILINE | re.DOTALL)


# -- edits -----------------------------------------------------------------------------


def open_port(cells: Cells, port: int, source: Source) -> Cells:
    """A port more, to all who may reach another, else to `source`."""
    reach = {other for protocol, _, other in cells if protocol == "tcp"} or {source}
    return cells | {("tcp", port, other) for other in reach}


def drop_port(cells: Cells, port: int, source: Source) -> Cells:
    """The first port from `port` on is asked for no more."""
    gone = min((number for _, number, _ in cells if number >= port), default=None)
    return frozenset(cell for cell in cells if cell[1] != gone)


def widen(cells: Cells, port: int, source: Source) -> Cells:
    """Ranges that hold `port` become three longer."""
    return cells | {
        (protocol, number + step, other)
        for protocol, number, other in cells
        if number == port
        for step in (1, 2, 3)
    }


def add_source(cells: Cells, port: int, source: Source) -> Cells:
    """All ports open to one more."""
    return cells | {(protocol, number, source) for protocol, number, _ in cells}


def remove_source(cells: Cells, port: int, source: Source) -> Cells:
    """Nothing is open to it any more."""
    return frozenset(cell for cell in cells if cell[2] != source)


def give_port(cells: Cells, port: int, source: Source) -> Cells:
    """One port opens to one source alone, whoever else may reach others."""
    return frozenset(cell for cell in cells if cell[1] != port) | {("tcp", port, source)}


def open_udp(cells: Cells, port: int, source: Source) -> Cells:
    """A port of the other protocol."""
    return cells | {("udp", port, source)}


EDITS: tuple[Edit, ...] = (open_port, drop_port, widen, add_source, remove_source, give_port, open_udp)
