"""Where what a stack opens is written: its ports in the task file, its sources in the config."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from skyports_tf.config import Config
from skyports_tf.diagnostics import FindingsError, Span
from skyports_tf.ports import PortError, PortRange, PortSet, parse_port_range
from skyports_tf.source import YamlDocument, read_yaml
from skyports_tf.sources import Source, SourceError, parse_source
from skyports_tf.task import read_tasks

_KeyPath = tuple["str | int", ...]


@dataclass(frozen=True, slots=True)
class PortPlaces:
    """Where a task says which ports it needs at one cloud: every item with its place.

    `whole` is where the ports begin, else the task; None where the file cannot be read.
    """

    items: tuple[tuple[PortSet, Span], ...] = ()
    whole: Span | None = None


def port_places(path: str, position: int, cloud: str) -> PortPlaces:
    """Where the task at `position` of the file asks for the ports that it needs on `cloud`."""
    try:
        tasks = read_tasks(path).document.tasks
        documents = read_yaml(path, keep_repeated_keys=True).documents
    except FindingsError:
        return PortPlaces()
    task = next((item for item in tasks if item.position == position), None)
    if task is None:
        return PortPlaces()
    spans = [item.ports_span for item in task.candidates if item.cloud in (None, cloud) and item.ports_span]
    items = tuple(item for span in dict.fromkeys(spans) for item in _items(documents, span))
    return PortPlaces(items, spans[0] if spans else task.span)


def _items(documents: tuple[YamlDocument, ...], span: Span) -> Iterator[tuple[PortSet, Span]]:
    for text, place in (word for document in documents for word in document.words(span)):
        try:
            yield PortSet((parse_port_range(text),)), place
        except PortError:
            continue


def source_place(config: Config, cluster: str, ports: PortRange, source: Source) -> _KeyPath | None:
    """The key path at which the config lets `source` reach these ports of a cluster.

    None where the config does not say it: it is the default, or the command line said it.
    """
    matching = [place for place, rule in enumerate(config.rules) if fnmatchcase(cluster, rule.cluster)]
    refined: _KeyPath | None = None
    general: _KeyPath = ("sources",)
    for place in matching:
        rule = config.rules[place]
        if rule.sources is not None:
            general = ("rules", place, "sources")
        for item in rule.ports:
            if item.sources is not None and PortSet((item.ports,)) & PortSet((ports,)):
                refined = ("rules", place, "ports", _key_of(config, place, item.ports), "sources")
    return _item_of(config, refined or general, source)


def ssh_source_place(config: Config, cluster: str, source: Source) -> _KeyPath | None:
    """The key path at which the config lets `source` reach SSH of a cluster; None as `source_place`."""
    at: _KeyPath = ("ssh_sources",)
    for place, rule in enumerate(config.rules):
        if rule.ssh_sources is not None and fnmatchcase(cluster, rule.cluster):
            at = ("rules", place, "ssh_sources")
    return _item_of(config, at, source)


def _key_of(config: Config, place: int, ports: PortRange) -> Any:
    """The key under which a rule of the config speaks of these ports, as it is written."""
    written = config.document.data["rules"][place]["ports"] if config.document else ()
    return next(key for key in written if parse_port_range(str(key)) == ports)


def _item_of(config: Config, at: _KeyPath, source: Source) -> _KeyPath | None:
    listed: Any = config.document.data if config.document else None
    for step in at:
        listed = listed.get(step) if isinstance(listed, dict) else listed[step] if listed else None
    for place, text in enumerate(listed or ()):
        try:
            if parse_source(str(text)) == source:
                return (*at, place)
        except SourceError:
            continue
    return None
