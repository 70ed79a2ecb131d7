"""Where a cluster may be that no task file tells of: `--infra`, else the config's clouds."""

from __future__ import annotations

import re

from skyports_tf.config import Config
from skyports_tf.diagnostics import Diagnostic, FindingsError, suggest
from skyports_tf.model import Stack
from skyports_tf.naming import RESERVED_NAMES, is_cluster_name
from skyports_tf.resolve import Findings
from skyports_tf.tasks.infra import InfraError, Place, parse_infra


def new_stacks(cluster: str, infra: str | None, config: Config, findings: Findings) -> tuple[Stack, ...]:
    """A stack without ports at each place where `cluster` may be.

    What is taken for granted goes to `findings`. Raises `FindingsError` for a name or a place
    that cannot be.
    """
    if not is_cluster_name(cluster) or cluster in RESERVED_NAMES:
        raise FindingsError(Diagnostic("cluster-name", f"{cluster!r} is no name of a cluster"))
    named = _named(infra)
    clouds = (named.cloud,) if named.cloud else config.clouds
    return tuple(_stack(cluster, name, named.region, config, findings) for name in clouds)


def _named(infra: str | None) -> Place:
    try:
        return parse_infra(infra or "", in_file=False)
    except InfraError as error:
        raise FindingsError(Diagnostic("bad-infra", f"--infra: {error}", help=error.help)) from None


def _stack(cluster: str, name: str, region: str | None, config: Config, findings: Findings) -> Stack:
    known = config.catalog.managed()
    if name not in known:
        other = config.catalog.unmanaged().get(name)
        if other is None:
            message = f"no such cloud: {name!r}"
            raise FindingsError(Diagnostic("cloud-unknown", message, help=suggest(name, known)))
        message = f"the ports of {name} cannot be managed: {other.reason}"
        raise FindingsError(Diagnostic("cloud-unsupported", message, help=other.instead))
    cloud = config.catalog.load(name)
    mode = config.settings_of(name).get("mode") or cloud.modes[0]
    return Stack(cluster, name, _region(name, region, config, findings), mode, layout=config.layout)


def _region(name: str, named: str | None, config: Config, findings: Findings) -> str | None:
    cloud = config.catalog.load(name)
    if cloud.region is None:
        return None
    configured = config.settings_of(name).get("region")
    region = named or configured or cloud.region.default
    way_out = f"name it as `--infra {name}/REGION`, or as `{name}.region` in the config"
    if region is None and cloud.region.required:
        raise FindingsError(Diagnostic("region-missing", f"{name} needs a region", help=way_out))
    if region is not None and not re.fullmatch(cloud.region.pattern, region):
        message = f"{region!r} is no region of {name}"
        raise FindingsError(Diagnostic("region-invalid", message, help=way_out))
    if region and not named and not configured:
        message = f"no region of {name} is named: looking in {region}"
        findings.add(Diagnostic("region-default", message, help=way_out, severity="warning"))
    return region
