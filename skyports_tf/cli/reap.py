"""`skyports-tf reap`."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from itertools import chain, groupby
from pathlib import Path
from typing import Any

import click

from skyports_tf.cli.configuration import find_user_hash, session_config, time_now
from skyports_tf.cli.console import JsonDocument, Session, pass_session
from skyports_tf.cli.options import cluster_names, json_option, out_option, timeout_option
from skyports_tf.cli.progress import progress_display
from skyports_tf.cli.running import announced, explain_failures, run_each, run_settings
from skyports_tf.cli.runoptions import parallel_option, terraform_options
from skyports_tf.config import Config
from skyports_tf.diagnostics import (
    Diagnostic,
    FindingsError,
    InterruptedRunError,
    ProgramMissingError,
    SkyportsError,
)
from skyports_tf.life import SkyWord
from skyports_tf.lifecycle import Progress
from skyports_tf.model import Stack
from skyports_tf.reaped import ClusterReaped, ReapRequest
from skyports_tf.reaping import Ahead, look_ahead, reap_cluster
from skyports_tf.report.reap import reap_findings, reap_json, reap_text
from skyports_tf.roots import by_root
from skyports_tf.running.skystatus import SkyStatusError, read_sky_status
from skyports_tf.sightings import marks_folder
from skyports_tf.skypilot import find_sky
from skyports_tf.tree import find_stacks, generated_files, stacks_of

_DURATION = re.compile(r"(?:(\d{1,4})d)?(?:(\d{1,5})h)?(?:(\d{1,6})m)?(?:(\d{1,8})s)?", re.ASCII)

# after these, no other cluster can be reaped
_LAST = (InterruptedRunError, ProgramMissingError)


def _read_grace(_context: click.Context, _option: click.Parameter, value: str) -> timedelta:
    found = _DURATION.fullmatch("0s" if value == "0" else value) if value else None
    if not found:
        raise click.BadParameter(f"{value!r} is no duration such as 90s, 15m, 1h30m or 0.")
    days, hours, minutes, seconds = (int(number or 0) for number in found.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


@click.command()
@cluster_names(required=False)
@click.option(
    "--grace",
    callback=_read_grace,
    default="15m",
    metavar="DURATION",
    show_default=True,
    help="How long a cluster has to be without nodes; 0 does not wait.",
)
@click.option("--check", is_flag=True, help="Close nothing; exit 1 where there is anything to close.")
@click.option("--dry-run", is_flag=True, help="Close nothing; show what would be closed.")
@click.option("--no-sky", is_flag=True, help="Do not ask SkyPilot.")
@click.option(
    "--marks",
    metavar="DIR",
    type=click.Path(),
    help="Where to note since when a cluster has no nodes.  [default: in the tree's data folder]",
)
@timeout_option
@parallel_option
@terraform_options
@out_option
@json_option
@pass_session
def reap(session: Session, /, clusters: tuple[str, ...], out: str | None, **options: Any) -> int:
    """Close ports of clusters that are gone, and expired ports.

    A cluster is gone where no node has borne its tag for the grace, or at once where it had nodes
    and 'sky status' does not list it any more. Of what cannot be known, nothing is closed. Of a
    cluster that lives, only expired ports close, and what a killed 'run' has left open. Never asks:
    it is for cron and pipelines. CLUSTER... are names of clusters, or folders of stacks; none means
    all.
    """
    config = session_config(session)
    call = _Call(session, config, out or config.out, _Options(**options))
    session.failure = call.failure_document
    stacks = find_stacks(call.out, clusters)
    call.reap(stacks)
    return call.answer()


@dataclass(frozen=True, slots=True)
class _Options:
    grace: timedelta
    check: bool
    dry_run: bool
    no_sky: bool
    marks: str | None
    timeout: float
    lock_timeout: str

    @property
    def acting(self) -> bool:
        """Whether anything may be closed."""
        return not (self.check or self.dry_run)


@dataclass(slots=True)
class _Call:
    """One call: what was reaped, what failed, and what is worth a word."""

    session: Session
    config: Config
    out: str
    options: _Options
    reaped: list[ClusterReaped] = field(default_factory=list)
    failures: list[SkyportsError] = field(default_factory=list)
    notes: list[Diagnostic] = field(default_factory=list)

    def failure_document(self, found: Sequence[Diagnostic]) -> JsonDocument:
        """The JSON of a call that ended before it looked at anything."""
        return reap_json(self.out, (), {}, found)

    def reap(self, stacks: Sequence[Stack]) -> None:
        """Reap cluster after cluster, whatever became of the one before; stop where none can follow."""
        request = ReapRequest(
            out=self.out,
            config=self.config,
            settings=run_settings(self.config, self.options.lock_timeout),
            now=time_now(),
            grace=self.options.grace,
            marks=marks_folder(self.out, self.options.marks),
            wait_seconds=self.options.timeout,
            acting=self.options.acting,
        )
        known = cache(lambda: self._ask_sky(sorted({stack.cluster for stack in stacks})))
        ahead = self._look_ahead(request, stacks)
        if self.failures:
            return
        with progress_display(self.session) as progress:
            for _, members in groupby(stacks, key=lambda stack: stack.cluster):
                try:
                    self.reaped.append(reap_cluster(request, list(members), known, progress, ahead))
                    self.failures += self.reaped[-1].failures
                except SkyportsError as error:
                    self.failures.append(error)
                if any(isinstance(error, _LAST) for error in self.failures):
                    break

    def _look_ahead(self, request: ReapRequest, stacks: Sequence[Stack]) -> Ahead:
        """What is seen of all stacks, root module by root module; what fails fails again in its turn."""

        def look(members: tuple[Stack, ...], progress: Progress) -> Ahead:
            return look_ahead(request, members, announced(progress, members, "probe"))

        if len(stacks) == 1:
            return {}
        # a cluster's life is that of all its stacks
        clusters = sorted({stack.cluster for stack in stacks})
        found = run_each(self.session, by_root(chain.from_iterable(map(self._stacks_of, clusters))), look)
        self.failures += [error for error in found.failures if isinstance(error, _LAST)]
        return dict(chain.from_iterable(seen.items() for seen in found.results))

    def _stacks_of(self, cluster: str) -> tuple[Stack, ...]:
        try:
            return stacks_of(self.out, cluster)
        except FindingsError:
            return ()  # told in its turn

    def answer(self) -> int:
        """Tell what was done, and give the exit code."""
        found = [*self.notes, *reap_findings(self.reaped, self.options.check)]
        found += [warning for one in self.reaped for item in one.stacks for warning in item.warnings]
        self.session.report(found)
        if self.session.json:
            files = {
                item.stack.directory: generated_files(self.out, item.stack)
                for one in self.reaped
                for item in one.stacks
            }
            found += [item for error in self.failures for item in error.diagnostics]
            self.session.echo_json(reap_json(self.out, self.reaped, files, found))
        else:
            self.session.echo(reap_text(self.reaped, self.options.acting))
        failed = explain_failures(self.session, self.failures)
        due = self.options.check and any(item.is_due for item in self.reaped)
        return failed or (FindingsError.exit_code if due else 0)

    def _ask_sky(self, clusters: list[str]) -> SkyWord | None:
        """What SkyPilot says of the clusters; None where it is not at hand, or says nothing of use."""
        if self.options.no_sky:
            return None
        try:
            program = find_sky(self.config.sky_binary, os.environ)
            if program is None:
                return None
            listed = read_sky_status(program, clusters, os.environ)
        except (SkyStatusError, ProgramMissingError) as error:
            message = f"`sky status` does not say which clusters live: {error}"
            way_out = "the nodes alone count; say --no-sky where that is all right"
            self.notes.append(Diagnostic("sky-silent", message, help=way_out, severity="warning"))
            return None
        return SkyWord(listed, find_user_hash(os.environ, Path.home()))
