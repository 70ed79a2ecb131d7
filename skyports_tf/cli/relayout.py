"""`skyports-tf relayout`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import click

from skyports_tf.cli.configuration import answer_failures, session_config
from skyports_tf.cli.console import Session, pass_session
from skyports_tf.cli.options import cluster_names, json_option, out_option, yes_option
from skyports_tf.cli.running import (
    Outcome,
    agree,
    announced,
    explain_failures,
    filled,
    run_each,
    run_settings,
)
from skyports_tf.cli.runoptions import parallel_option, terraform_options
from skyports_tf.config import Config
from skyports_tf.diagnostics import FindingsError
from skyports_tf.lifecycle import Progress, RunSettings
from skyports_tf.model import Stack
from skyports_tf.relayout import StackMoved, move_stacks, refusals
from skyports_tf.report.json_output import tree_json
from skyports_tf.report.layout import moved_json, moved_text, moving_text
from skyports_tf.roots import by_root, group_of
from skyports_tf.tree import find_stacks, generated_files

DECLINED = 1


@click.command()
@cluster_names(required=False)
@yes_option
@parallel_option
@terraform_options
@out_option
@json_option
@pass_session
def relayout(
    session: Session, clusters: tuple[str, ...], yes: bool, lock_timeout: str, out: str | None
) -> int:
    """Move stacks with their states to the layout of the config.

    No port opens, changes or closes by it: a plan proves it afterwards. The states move before the
    files say so; commit these at once, and let no pipeline apply in between. CLUSTER... are names of
    clusters, or folders of stacks; none means all.
    """
    answer_failures(session, out)
    config = session_config(session)
    tree, settings = out or config.out, run_settings(config, lock_timeout)
    roots = by_root((filled(stack, config) for stack in find_stacks(tree, clusters)), group_of)
    stacks = [stack for members in roots for stack in members if stack.layout != config.layout]
    if found := list(refusals(tree, stacks, config)):
        raise FindingsError(found)
    if stacks and not session.json:
        moved = [replace(stack, layout=config.layout) for stack in stacks]
        session.echo(moving_text(stacks, moved))
    if stacks and not agree(session, yes, "Move these states?", "moved"):
        return DECLINED
    return _finish(session, tree, _move_all(session, tree, roots, (config, settings)))


def _move_all(
    session: Session, out: str, roots: Sequence[tuple[Stack, ...]], how: tuple[Config, RunSettings]
) -> Outcome[tuple[StackMoved, ...]]:
    config, settings = how

    def step(stacks: tuple[Stack, ...], progress: Progress) -> tuple[StackMoved, ...]:
        return move_stacks(out, stacks, config, settings, announced(progress, stacks, "apply"))

    return run_each(session, roots, step)


def _finish(session: Session, out: str, outcome: Outcome[tuple[StackMoved, ...]]) -> int:
    moved = [item for members in outcome.results for item in members]
    if session.json:
        stacks = [moved_json(item, generated_files(out, item.stack)) for item in moved]
        session.echo_json(tree_json(out, stacks, outcome.diagnostics))
    elif moved:
        session.echo(f"\n{moved_text(moved)}")
    elif not outcome.failures:
        session.note("Every stack has the layout of the config: nothing to move.")
    return explain_failures(session, outcome.failures)
