"""`skyports-tf clouds`."""

from __future__ import annotations

import click

from skyports_tf.cli.configuration import session_config
from skyports_tf.cli.console import Session, pass_session
from skyports_tf.cli.options import json_option
from skyports_tf.report.catalog import clouds_text
from skyports_tf.report.json_output import clouds_json


@click.command()
@json_option
@pass_session
def clouds(session: Session) -> int:
    """Show the clouds and their limits.

    For each cloud that cannot be had, it says why, and what to do instead.
    """
    catalog = session_config(session).catalog
    managed = [catalog.load(name) for name in catalog.managed()]
    others = list(catalog.unmanaged().values())
    if session.json:
        session.echo_json(clouds_json(managed, others))
    else:
        session.echo(clouds_text(managed, others))
    return 0
