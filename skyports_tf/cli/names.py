"""`skyports-tf names`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import click

from skyports_tf.cli.configuration import find_user_hash, session_config
from skyports_tf.cli.console import Session, pass_session
from skyports_tf.cli.options import json_option
from skyports_tf.clouds import Cloud
from skyports_tf.config import Config
from skyports_tf.diagnostics import Diagnostic, FindingsError, suggest
from skyports_tf.naming import (
    USER_HASH_HELP,
    NameTooLongError,
    is_cluster_name,
    is_user_hash,
    name_on_cloud,
)
from skyports_tf.report.catalog import names_text
from skyports_tf.report.json_output import names_json
from skyports_tf.tasks.infra import ALIASES

#: No settings of the config's.
NOTHING: Mapping[str, Any] = MappingProxyType({})


@click.command()
@click.argument("cluster")
@click.option("--user-hash", metavar="HASH", help="SkyPilot's user hash.  [default: this machine's]")
@click.option("--infra", metavar="CLOUD", help="Only this cloud.")
@json_option
@pass_session
def names(session: Session, cluster: str, user_hash: str | None, infra: str | None) -> int:
    """Show what SkyPilot calls a cluster and its firewall objects.

    The names are those of each cloud; some need the user hash.
    """
    session.failure = lambda found: names_json(cluster, user_hash, {}, found)
    config = session_config(session)
    known_hash = user_hash or config.user_hash or find_user_hash(os.environ, Path.home())
    _check(cluster, known_hash)
    region = (infra or "").partition("/")[2].partition("/")[0] or None
    found: dict[str, dict[str, str | None]] = {}
    clouds = _clouds(config, infra)
    findings = [] if known_hash else _unknown_hash(clouds)
    for cloud in clouds:
        try:
            found[cloud.name] = cloud_names(
                cloud, cluster, known_hash, region, config.settings_of(cloud.name)
            )
        except FindingsError as error:
            findings += error.diagnostics
    session.report(findings)
    if session.json:
        session.echo_json(names_json(cluster, known_hash, found, findings))
    else:
        session.echo(names_text(found))
    return 1 if findings else 0


def cloud_names(
    cloud: Cloud, cluster: str, user_hash: str | None, region: str | None, given: Mapping[str, Any] = NOTHING
) -> dict[str, str | None]:
    """The cluster's name on a cloud (None without a user hash), then its objects' names there.

    `given` is the config's part for the cloud. Raises `FindingsError` where the cloud's names
    have no room for it.
    """
    try:
        named = name_on_cloud(cluster, user_hash, cloud.name_on_cloud_max_length) if user_hash else None
    except NameTooLongError as error:
        raise FindingsError(Diagnostic("cluster-name", f"{cloud.name}: {error}")) from None
    settings = {name: cloud.setting(given, name, cluster) for name in cloud.settings}
    known = cloud.region and (settings.get("region") or cloud.region.default or cloud.region.example)
    values = {**settings, "region": region or known}
    return {"name_on_cloud": named, **cloud.names_of(cluster, cloud.modes[0], named, values)}


def _check(cluster: str, user_hash: str | None) -> None:
    findings = []
    if not is_cluster_name(cluster):
        findings.append(Diagnostic("cluster-name", f"{cluster!r} is no name of a cluster"))
    if user_hash and not is_user_hash(user_hash):
        findings.append(Diagnostic("bad-user-hash", f"{user_hash!r} is no user hash of SkyPilot's"))
    if findings:
        raise FindingsError(findings)


def _unknown_hash(clouds: Iterable[Cloud]) -> list[Diagnostic]:
    """One finding for the clouds whose objects cannot be named without a user hash."""
    needing = [cloud.name for cloud in clouds if cloud.needs_user_hash]
    if not needing:
        return []
    message = f"SkyPilot's user hash is needed for the names on {', '.join(needing)}, and it is unknown"
    return [Diagnostic("user-hash-unknown", message, help=USER_HASH_HELP)]


def _clouds(config: Config, infra: str | None) -> list[Cloud]:
    known = config.catalog.managed()
    if infra is None:
        return [config.catalog.load(name) for name in known]
    cloud = infra.partition("/")[0].lower()
    cloud = ALIASES.get(cloud, cloud)
    if cloud not in known:
        other = config.catalog.unmanaged().get(cloud)
        if other is not None:
            message = f"the ports of {cloud} cannot be managed: {other.reason}"
            raise FindingsError(Diagnostic("cloud-unsupported", message, help=other.instead))
        message = f"no such cloud: {cloud!r}"
        help_text = suggest(cloud, known, f"known clouds: {', '.join(known)}")
        raise FindingsError(Diagnostic("cloud-unknown", message, help=help_text))
    return [config.catalog.load(cloud)]
