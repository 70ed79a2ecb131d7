"""`skyports-tf names`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from skyports_tf.cli.configuration import find_user_hash, session_config
from skyports_tf.cli.console import Session, pass_session
from skyports_tf.cli.options import json_option
from skyports_tf.clouds import load_cloud, managed_clouds
from skyports_tf.diagnostics import Diagnostic, FindingsError, suggest
from skyports_tf.model import StackMode
from skyports_tf.naming import NameTooLongError, is_cluster_name, is_user_hash, name_on_cloud
from skyports_tf.report.catalog import names_text
from skyports_tf.report.json_output import names_json


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
    known_hash = user_hash or session_config(session).user_hash or find_user_hash(os.environ, Path.home())
    _check(cluster, known_hash)
    found = {cloud: cloud_names(cloud, cluster, known_hash) for cloud in _clouds(infra)}
    if session.json:
        session.echo_json(names_json(cluster, known_hash, found, ()))
    else:
        session.echo(names_text(found))
    return 0


def cloud_names(cloud: str, cluster: str, user_hash: str | None) -> dict[str, str | None]:
    """The cluster's name on a cloud (None without a user hash), then its objects' names there.

    Raises `FindingsError` where the cloud's names have no room for it.
    """
    facts = load_cloud(cloud)
    try:
        named = user_hash and name_on_cloud(cluster, user_hash, facts.name_on_cloud_max_length)
    except NameTooLongError as error:
        raise FindingsError(Diagnostic("cluster-name", f"{cloud}: {error}")) from None
    mode: StackMode = facts.modes[0]
    objects = {
        kind: by_mode[mode].format(cluster=cluster, name_on_cloud=named)
        for kind, by_mode in facts.object_names.items()
        if mode in by_mode and (named or "{name_on_cloud}" not in by_mode[mode])
    }
    return {"name_on_cloud": named or None, **objects}


def _check(cluster: str, user_hash: str | None) -> None:
    findings = []
    if not is_cluster_name(cluster):
        findings.append(Diagnostic("cluster-name", f"{cluster!r} is no name of a cluster"))
    if user_hash and not is_user_hash(user_hash):
        findings.append(Diagnostic("bad-user-hash", f"{user_hash!r} is no user hash of SkyPilot's"))
    if findings:
        raise FindingsError(findings)


def _clouds(infra: str | None) -> tuple[str, ...]:
    known = managed_clouds()
    if infra is None:
        return known
    cloud = infra.partition("/")[0].lower()
    if cloud not in known:
        message = f"no such cloud: {cloud!r}"
        help_text = suggest(cloud, known, f"known clouds: {', '.join(known)}")
        raise FindingsError(Diagnostic("cloud-unknown", message, help=help_text))
    return (cloud,)
