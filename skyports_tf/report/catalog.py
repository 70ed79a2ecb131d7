"""What `clouds` and `names` tell a person."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

from skyports_tf.clouds import Cloud, UnmanagedCloud
from skyports_tf.report.style import columns, style

_WIDTH = 78


def clouds_text(managed: Sequence[Cloud], unmanaged: Sequence[UnmanagedCloud]) -> str:
    """The clouds that we manage with their limits, then the others with the reason and a way out."""
    blocks = ["\n".join(_managed_lines(cloud)) for cloud in managed]
    blocks += ["\n".join(_unmanaged_lines(cloud)) for cloud in unmanaged]
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
    ]
    for limit in cloud.limits.values():
        raised = f" (set by {cloud.name}.{limit.setting}, up to {limit.maximum})" if limit.setting else ""
        rows.append(("limit", f"{limit.value}: {limit.quota}{raised}"))
    lines = columns(rows)
    wrapped = [part for line in lines for part in _wrapped(line, len("  protocols  "))]
    return [f"{style(cloud.name, 'bold')}  {cloud.title}", *wrapped]


def _unmanaged_lines(cloud: UnmanagedCloud) -> list[str]:
    body = [("why", cloud.reason), ("instead", cloud.instead)]
    lines = [part for line in columns(body) for part in _wrapped(line, len("  instead  "))]
    return [f"{style(cloud.name, 'bold')}  {style('cannot be had', 'yellow')}", *lines]


def _wrapped(line: str, indent: int) -> list[str]:
    return textwrap.wrap(
        line, _WIDTH, subsequent_indent=" " * indent, drop_whitespace=False, break_long_words=False,
        break_on_hyphens=False,
    ) or [""]  # fmt: skip
