"""`skyports-tf status`."""

from __future__ import annotations

from collections.abc import Sequence

import click

from skyports_tf.cli.configuration import session_config, time_now
from skyports_tf.cli.console import JsonDocument, Session, pass_session
from skyports_tf.cli.options import cluster_names, json_option, out_option
from skyports_tf.cli.running import run_settings
from skyports_tf.cli.runoptions import backend_options
from skyports_tf.diagnostics import Diagnostic, FindingsError
from skyports_tf.lifecycle import read_statuses
from skyports_tf.outcomes import StackStatus
from skyports_tf.report.endpoints import endpoint_lines, head_address, is_reachable, one_endpoint
from skyports_tf.report.json_output import status_json
from skyports_tf.report.status import status_text
from skyports_tf.roots import by_root
from skyports_tf.tree import find_stacks


@click.command()
@cluster_names(required=False)
@click.option("--ip", is_flag=True, help="Print the head node's address, and nothing else.")
@click.option("--endpoints", is_flag=True, help="Print each open port's endpoint, and nothing else.")
@click.option(
    "--endpoint", type=int, metavar="PORT", help="Print the endpoint of one port, and nothing else."
)
@backend_options
@out_option
@json_option
@pass_session
def status(
    session: Session,
    clusters: tuple[str, ...],
    ip: bool,
    endpoints: bool,
    endpoint: int | None,
    out: str | None,
) -> int:
    """Show open ports, nodes and endpoints.

    They are as Terraform's state has them. CLUSTER... are names of clusters, or folders of
    stacks; none means all. --ip, --endpoints and --endpoint print what 'sky status' prints, and
    need one CLUSTER.
    """
    asked = {"--ip": ip, "--endpoints": endpoints, "--endpoint": endpoint is not None}
    flags = [flag for flag, given in asked.items() if given]
    _check_usage(session, flags, clusters)
    session.failure = _failure
    config = session_config(session)
    tree, settings = out or config.out, run_settings(config)
    stacks = find_stacks(tree, clusters)
    found = {
        status.stack.directory: status
        for members in by_root(stacks)
        for status in read_statuses(tree, members, settings)
    }
    statuses = [found[stack.directory] for stack in stacks]
    if flags:
        # SkyPilot takes port 0 as no port
        _print_address(clusters[0], statuses, flags[0], endpoint or None)
    else:
        _answer(session, statuses)
    return 0


def _answer(session: Session, statuses: Sequence[StackStatus]) -> None:
    warnings = [warning for item in statuses for warning in item.warnings]
    session.report(warnings)
    if session.json:
        session.echo_json(status_json(statuses, warnings, time_now()))
    else:
        session.echo(status_text(statuses, time_now()))


def _failure(found: Sequence[Diagnostic]) -> JsonDocument:
    return status_json((), found)


def _check_usage(session: Session, flags: list[str], clusters: Sequence[str]) -> None:
    if len(flags) > 1:
        raise click.UsageError(f"{' and '.join(flags)} exclude each other.")
    if flags and session.json:
        raise click.UsageError(f"{flags[0]} and --json exclude each other.")
    if flags and len(clusters) != 1:
        raise click.UsageError(f"{flags[0]} needs exactly one CLUSTER.")


def _print_address(cluster: str, statuses: Sequence[StackStatus], flag: str, port: int | None) -> None:
    found = _the_running_one(cluster, statuses)
    if flag == "--ip":
        lines = [text for text in (head_address(found),) if text]
    elif port is None:
        lines = list(endpoint_lines(found))
    else:
        lines = [text for text in (one_endpoint(found, port),) if text]
    if not lines:
        what = "no address" if flag == "--ip" else "no endpoint"
        what += f" for port {port}" if port is not None else ""
        raise FindingsError(Diagnostic("endpoint-missing", f"cluster {cluster!r} has {what}"))
    click.echo("\n".join(lines))


def _the_running_one(cluster: str, statuses: Sequence[StackStatus]) -> StackStatus:
    """The one stack of the cluster that knows where its ports are reached."""
    running = [item for item in statuses if is_reachable(item)]
    if len(running) == 1:
        return running[0]
    if running:
        names = ", ".join(item.stack.directory for item in running)
        message = f"cluster {cluster!r} runs in several places: {names}"
        raise FindingsError(Diagnostic("endpoint-ambiguous", message, help="name one stack's folder"))
    reasons = [item.reason for item in statuses if item.reason]
    message = f"no node of cluster {cluster!r} is known" + (f": {reasons[0]}" if reasons else "")
    raise FindingsError(Diagnostic("endpoint-missing", message, help="launch the cluster, then apply again"))
