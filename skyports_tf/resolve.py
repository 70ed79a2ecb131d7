"""Tasks, config and flags to what each stack is asked for: which clouds, regions, names, sources.

Pure: nothing here reads a file, the environment or the clock.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath

from skyports_tf.clouds import Cloud
from skyports_tf.config import Config
from skyports_tf.diagnostics import Diagnostic, FindingsError, Span, suggest
from skyports_tf.documents import Candidate, Task, TaskDocument
from skyports_tf.grants import Flags, grants_of
from skyports_tf.model import LedgerEntry, Stack
from skyports_tf.naming import RESERVED_NAMES, is_cluster_name
from skyports_tf.ports import PortSet


@dataclass(frozen=True, slots=True)
class Place:
    """Where a stack lives: cluster, cloud, region."""

    cluster: str
    cloud: str
    region: str | None


def place_of(stack: Stack) -> Place:
    """Where a stack lives."""
    return Place(stack.cluster, stack.cloud, stack.region)


@dataclass(frozen=True, slots=True)
class Demand:
    """What one task asks of one place, as a ledger entry; `span` is where the task says so."""

    place: Place
    entry: LedgerEntry
    path: str
    span: Span | None


@dataclass(slots=True)
class Findings:
    """Collects findings; the same one is kept once."""

    items: dict[Diagnostic, None] = field(default_factory=dict)

    def add(self, *items: Diagnostic) -> None:
        """Keep `items`."""
        self.items.update(dict.fromkeys(items))

    @property
    def has_errors(self) -> bool:
        """Whether one of them is an error."""
        return any(item.severity == "error" for item in self.items)


def resolve_document(
    document: TaskDocument, file: str, config: Config, flags: Flags, findings: Findings
) -> Iterator[Demand]:
    """What every task of `document` asks for; `file` is its path in the ledger.

    What is wrong, and what is worth knowing, goes to `findings`.
    """
    for task in document.tasks:
        cluster = cluster_of(document, task, flags.cluster)
        if _check_cluster(cluster, document.path, task, flags, findings):
            yield from _resolve_task(document.path, task, cluster, (file, config, flags, findings))


def cluster_of(document: TaskDocument, task: Task, named: str | None) -> str:
    """The cluster of a task: as `named` on the command line, else by the task, else by its file."""
    return named or task.name or PurePath(document.path).stem


def _check_cluster(cluster: str, path: str, task: Task, flags: Flags, findings: Findings) -> bool:
    if is_cluster_name(cluster) and cluster not in RESERVED_NAMES:
        return True
    origin = "--cluster" if flags.cluster else "the task's name" if task.name else "the file's name"
    reason = "is reserved" if cluster in RESERVED_NAMES else "is no cluster name"
    findings.add(
        Diagnostic(
            "cluster-name",
            f"{cluster!r} ({origin}) {reason}",
            None if flags.cluster else path,
            None if flags.cluster else task.span,
            help="a cluster name begins with a letter, holds letters, digits, '-', '_' and '.', "
            "and ends with a letter or digit; give one with --cluster",
        )
    )
    return False


_Context = tuple[str, Config, Flags, Findings]


def _resolve_task(path: str, task: Task, cluster: str, context: _Context) -> Iterator[Demand]:
    file, config, flags, findings = context
    wanted: dict[Place, PortSet] = {}
    spans: dict[Place, Span | None] = {}
    left_out: list[tuple[str, Candidate]] = []
    for candidate in task.candidates:
        for name in (candidate.cloud,) if candidate.cloud else config.clouds:
            if name not in config.catalog.managed():
                left_out.append((name, candidate))
                continue
            try:
                place = Place(cluster, name, _region(name, candidate, path, config, findings))
            except FindingsError as error:
                findings.add(*error.diagnostics)
                continue
            wanted[place] = wanted.get(place, PortSet()) | candidate.ports
            spans.setdefault(place, candidate.infra_span or candidate.ports_span or task.span)
        if not candidate.cloud and not config.clouds_given and candidate.ports:
            findings.add(_open_cloud_note(path, task, config))
    _report_left_out(path, task, left_out, (config, any(wanted.values()), findings))
    if not any(candidate.ports for candidate in task.candidates):
        message = f"{_title(task)} asks for no ports"
        findings.add(Diagnostic("no-ports", message, path, task.span, severity="note"))
    for place, ports in (wanted or {Place(cluster, "", None): PortSet()}).items():
        grants = tuple(grants_of(ports, cluster, config, flags))
        entry = LedgerEntry(file, task.name, task.position, ports, grants)
        yield Demand(place, entry, path, spans.get(place))


def _title(task: Task) -> str:
    return f"task {task.name!r}" if task.name else "the task"


def _open_cloud_note(path: str, task: Task, config: Config) -> Diagnostic:
    return Diagnostic(
        "cloud-default",
        f"{_title(task)} names no cloud: compiled for {', '.join(config.clouds)}",
        path,
        task.span,
        help="name it as `infra: CLOUD/REGION` in the task, with --infra, or as `clouds` in the config",
        severity="note",
    )


def _region(name: str, candidate: Candidate, path: str, config: Config, findings: Findings) -> str | None:
    """The region, None where the cloud needs none; raises `FindingsError` for one that cannot be used."""
    cloud = config.catalog.load(name)
    if cloud.region is None:
        return None
    configured = config.settings_of(name).get("region")
    # SkyPilot keeps `region: '*'`, which means any, as it is written
    named = None if candidate.region in ("", "*") else candidate.region
    region = named or configured or cloud.region.default
    if not candidate.ports or (region is None and not cloud.region.required):
        return region
    if region is None or not re.fullmatch(cloud.region.pattern, region):
        raise FindingsError(_region_finding(cloud, candidate, path, config, region))
    if not named and not configured:
        findings.add(
            Diagnostic(
                "region-default",
                f"no region of {name} is named: compiled for {region}, and SkyPilot may choose another",
                path,
                candidate.infra_span or candidate.ports_span,
                help=f"pin it as `infra: {name}/REGION`, or as `{name}.region` in the config",
                severity="warning",
            )
        )
    return region


def _region_finding(
    cloud: Cloud, candidate: Candidate, path: str, config: Config, region: str | None
) -> Diagnostic:
    help_text = f"name it as `infra: {cloud.name}/REGION`, or as `{cloud.name}.region` in the config"
    if region is None:
        message = f"{cloud.name} needs a region"
        return Diagnostic("region-missing", message, path, candidate.infra_span, help=help_text)
    message = f"{region!r} is no region of {cloud.name}"
    if candidate.region:
        return Diagnostic("region-invalid", message, path, candidate.infra_span, help=help_text)
    return config.finding("region-invalid", message, (cloud.name, "region"))


def _report_left_out(
    path: str,
    task: Task,
    left_out: Sequence[tuple[str, Candidate]],
    context: tuple[Config, bool, Findings],
) -> None:
    """One warning for the clouds that are left out, or an error for each where none remains."""
    config, some_remain, findings = context
    open_ports = [(name, candidate) for name, candidate in left_out if candidate.ports]
    if not open_ports:
        return
    if some_remain:
        reasons = {name: _why_not(name, config)[1] for name, _ in open_ports}
        message = "left out: " + "; ".join(f"{name} ({reason})" for name, reason in sorted(reasons.items()))
        span = open_ports[0][1].infra_span or task.span
        findings.add(Diagnostic("cloud-left-out", message, path, span, severity="warning"))
        return
    for name, candidate in open_ports:
        code, reason, help_text = _why_not(name, config)
        message = (
            f"the ports of {name} cannot be managed: {reason}" if code == "cloud-unsupported" else reason
        )
        findings.add(Diagnostic(code, message, path, candidate.infra_span or task.span, help=help_text))


def _why_not(name: str, config: Config) -> tuple[str, str, str | None]:
    """Code, reason and way out for a cloud that we cannot manage."""
    known = config.catalog.unmanaged()
    if name in known:
        return "cloud-unsupported", known[name].reason, known[name].instead
    return "cloud-unknown", f"unknown cloud {name!r}", suggest(name, (*config.catalog.managed(), *known))
