"""Tasks, config and flags to what each stack is asked for: which clouds, regions, names, sources.

Pure: nothing here reads a file, the environment or the clock.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath

from skyports_tf.clouds import Cloud, load_cloud, managed_clouds, unmanaged_clouds
from skyports_tf.config import Config
from skyports_tf.diagnostics import Diagnostic, FindingsError, Span, suggest
from skyports_tf.grants import Flags, grants_of
from skyports_tf.model import Candidate, LedgerEntry, Stack, Task, TaskDocument
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


def resolve_document(
    document: TaskDocument, file: str, config: Config, flags: Flags, findings: Findings
) -> Iterator[Demand]:
    """What every task of `document` asks for; `file` is its path in the ledger.

    What is wrong, and what is worth knowing, goes to `findings`.
    """
    for task in document.tasks:
        cluster = flags.cluster or task.name or PurePath(document.path).stem
        if _check_cluster(cluster, document.path, task, flags, findings):
            yield from _resolve_task(document.path, task, cluster, (file, config, flags, findings))


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
        clouds = (candidate.cloud,) if candidate.cloud else config.clouds
        for name in clouds:
            if name not in managed_clouds():
                left_out.append((name, candidate))
                continue
            try:
                place = Place(cluster, name, _region(load_cloud(name), candidate, path, config, findings))
            except FindingsError as error:
                findings.add(*error.diagnostics)
                continue
            wanted[place] = wanted.get(place, PortSet()) | candidate.ports
            spans.setdefault(place, candidate.infra_span or candidate.ports_span or task.span)
        if not candidate.cloud and not config.clouds_given and candidate.ports:
            findings.add(_open_cloud_note(path, task, config))
    _report_left_out(path, task, left_out, bool(wanted), findings)
    if not any(candidate.ports for candidate in task.candidates):
        findings.add(
            Diagnostic("no-ports", f"{_title(task)} asks for no ports", path, task.span, severity="note")
        )
    for place, ports in wanted.items():
        grants = tuple(grants_of(ports, cluster, config, flags))
        entry = LedgerEntry(file, task.name, task.position, ports, grants)
        yield Demand(place, entry, path, spans[place])


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


def _region(cloud: Cloud, candidate: Candidate, path: str, config: Config, findings: Findings) -> str | None:
    """The region, None where the cloud needs none; raises `FindingsError` for one that cannot be used."""
    if cloud.region_pattern is None:
        return candidate.region
    configured = config.cloud_settings.get(cloud.name, {}).get("region")
    region = candidate.region or configured or cloud.region_default
    if region is None or not re.fullmatch(cloud.region_pattern, region):
        raise FindingsError(_region_finding(cloud, candidate, path, config, region))
    if not candidate.region and not configured and candidate.ports:
        findings.add(
            Diagnostic(
                "region-default",
                f"no region of {cloud.name} is named: compiled for {region}, and SkyPilot may choose another",
                path,
                candidate.infra_span or candidate.ports_span,
                help=f"pin it as `infra: {cloud.name}/REGION`, or as `{cloud.name}.region` in the config",
                severity="warning",
            )
        )
    return region


def _region_finding(
    cloud: Cloud, candidate: Candidate, path: str, config: Config, region: str | None
) -> Diagnostic:
    if region is None:
        help_text = f"name it as `infra: {cloud.name}/REGION`, or as `{cloud.name}.region` in the config"
        message = f"{cloud.name} needs a region"
        return Diagnostic("region-missing", message, path, candidate.infra_span, help=help_text)
    message = f"{region!r} is no region of {cloud.name}"
    if candidate.region:
        return Diagnostic("region-invalid", message, path, candidate.infra_span)
    return config.finding("region-invalid", message, (cloud.name, "region"))


def _report_left_out(
    path: str, task: Task, left_out: Sequence[tuple[str, Candidate]], some_remain: bool, findings: Findings
) -> None:
    """One warning for the clouds that are left out, or an error for each where none remains."""
    open_ports = [(name, candidate) for name, candidate in left_out if candidate.ports]
    if not open_ports:
        return
    if some_remain:
        reasons = {name: _why_not(name)[0] for name, _ in open_ports}
        findings.add(
            Diagnostic(
                "cloud-left-out",
                "left out: " + "; ".join(f"{name} ({reason})" for name, reason in sorted(reasons.items())),
                path,
                open_ports[0][1].infra_span or task.span,
                severity="warning",
            )
        )
        return
    for name, candidate in open_ports:
        reason, instead = _why_not(name)
        code = "cloud-unsupported" if name in unmanaged_clouds() else "cloud-unknown"
        message = f"the ports of {name} cannot be managed: {reason}" if name in unmanaged_clouds() else reason
        findings.add(Diagnostic(code, message, path, candidate.infra_span or task.span, help=instead))


def _why_not(name: str) -> tuple[str, str | None]:
    known = unmanaged_clouds().get(name)
    if known:
        return known.reason, known.instead
    return f"unknown cloud {name!r}", suggest(name, (*managed_clouds(), *unmanaged_clouds()))


def cloud_settings(cloud: Cloud, config: Config) -> Mapping[str, str | int | bool]:
    """The cloud's own settings of the config over the manifest's defaults."""
    given = config.cloud_settings.get(cloud.name, {})
    return {name: given.get(name, default) for name, default in cloud.settings.items()}
