"""What `clouds` and `names` tell a person."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

from skyports_tf.clouds import Cloud
from skyports_tf.report.style import columns, style
from skyports_tf.unmanaged import UnmanagedCloud

_WIDTH = 78


def clouds_text(managed: Sequence[Cloud], unmanaged: Sequence[UnmanagedCloud]) -> str:
    """The clouds that we manage with their limits, then the others with the reason and a way out."""
    blocks = ["\n".join(_managed_lines(cloud)) for cloud in managed]
    alike: dict[tuple[str, str], list[str]] = {}
    for cloud in unmanaged:
        alike.setdefault((cloud.reason, cloud.instead), []).append(cloud.name)
    blocks += ["\n".join(_unmanaged_lines(names, *facts)) for facts, names in alike.items()]
    return "\n\n".join(blocks)


def names_text(clouds: Mapping[str, Mapping[str, str | None]]) -> str:
    """Each cloud's names, one a line."""
    blocks = []
    for cloud, names in clouds.items():
        rows = [
            (kind.replace("_", " "), name or "unknown without a user hash") for kind, name in names.items()
        ]
        blocks.append("\n".join([style(cloud, "bold"), *columns(rows)]))
    return "\n\n".join(blocks)


def _managed_lines(cloud: Cloud) -> list[str]:
    rows = [
        ("provider", f"{cloud.provider.source} {cloud.provider.version}"),
        ("sources", ", ".join(cloud.sources).replace("_", " ")),
        ("protocols", ", ".join(cloud.protocols)),
        ("modes", ", ".join(cloud.modes)),
        ("takeover", cloud.takeover),
    ]
    if cloud.required_settings:
        rows.append(("needs", ", ".join(f"{cloud.name}.{name}" for name in cloud.required_settings)))
    for limit in cloud.limits.values():
        most = f", up to {limit.maximum}" if limit.maximum else ""
        raised = f" (set by {cloud.name}.{limit.setting}{most})" if limit.setting else ""
        known = f"{'not verified; ' if limit.unverified else ''}source: {limit.source}"
        rows.append(("limit", f"{limit.value}: {limit.quota}{raised}; {known}"))
    return [f"{style(cloud.name, 'bold', 'green')}  {cloud.title}", *_wrapped(rows)]


def _unmanaged_lines(names: Sequence[str], reason: str, instead: str) -> list[str]:
    heading = textwrap.wrap(f"not managed: {', '.join(names)}", _WIDTH, subsequent_indent="  ")
    return [*(style(line, "bold") for line in heading), *_wrapped([("why", reason), ("instead", instead)])]


def _wrapped(rows: Sequence[tuple[str, str]]) -> list[str]:
    room = _WIDTH - 4 - max(len(name) for name, _ in rows)
    parts = [(name, part) for name, text in rows for part in textwrap.wrap(text, room) or [""]]
    repeated = [
        name if place == 0 or parts[place - 1][0] != name else "" for place, (name, _) in enumerate(parts)
    ]
    return columns(zip(repeated, (part for _, part in parts), strict=True))
