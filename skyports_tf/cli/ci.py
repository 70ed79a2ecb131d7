"""`skyports-tf ci`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import click

from skyports_tf.cli.configuration import session_config
from skyports_tf.cli.console import JsonDocument, Session, pass_session
from skyports_tf.cli.options import json_option, out_option
from skyports_tf.config import Config
from skyports_tf.diagnostics import Diagnostic, FindingsError
from skyports_tf.model import GeneratedFile
from skyports_tf.pipelines.files import KINDS, Pipeline, pipeline_files
from skyports_tf.pipelines.notes import pipeline_notes
from skyports_tf.pipelines.project import find_project
from skyports_tf.pipelines.settings import PipelineSettings, read_settings
from skyports_tf.report.pipelines import pipeline_json, pipeline_text
from skyports_tf.tree import all_stacks
from skyports_tf.write import changed_files, difference, locked_tree, tree_diff, write_files

_SETTINGS = ("branch", "environment", "install", "source_ref", "namespace", "interval")


@click.command()
@click.argument("kind", metavar="KIND", type=click.Choice(KINDS))
@click.option("--check", is_flag=True, help="Write nothing; exit 1 when a file differs.")
@click.option("--diff", is_flag=True, help="Write nothing; show what would change as a unified diff.")
@click.option("--stdout", is_flag=True, help="Write nothing; show the files.")
@click.option("--branch", metavar="NAME", help="The main branch.  [default: ci.branch, else main]")
@click.option("--environment", metavar="NAME", help="What applies wait behind.  [default: skyports]")
@click.option("--install", metavar="WORDS", help="What pip installs.  [default: this version of skyports-tf]")
@click.option(
    "--source-ref", metavar="KIND/NAME", help="Flux's source.  [default: GitRepository/flux-system]"
)
@click.option("--namespace", metavar="NAME", help="Of Flux's objects.  [default: flux-system]")
@click.option("--interval", metavar="DURATION", help="How often Flux looks.  [default: 10m]")
@out_option
@json_option
@pass_session
def ci(session: Session, /, kind: str, out: str | None, **options: Any) -> int:
    """Write the pipelines that run all this.

    KIND is github, gitlab, atlantis, tofu-controller, terragrunt or pre-commit. The files are made
    from the tree as it is, and from 'ci' in the config. A file that is not ours is never
    overwritten. Run it again when clouds or stacks come or go: with --check, the pipelines tell.
    """
    flags = _Flags(*(bool(options.pop(name)) for name in ("check", "diff", "stdout")))
    if session.json and flags.stdout:
        raise click.UsageError("--stdout and --json exclude each other.")
    session.failure = lambda found: pipeline_json(kind, ".", (), (), found)
    config = session_config(session)
    settings = _settings(config, options)
    named = (session.config is not None, out is not None)
    project = find_project(config, out or config.out, named)
    pipeline = Pipeline(kind, project, settings)
    call = _Call(session, pipeline, pipeline_files(pipeline), flags)
    return call.answer(list(pipeline_notes(pipeline, call.files, all_stacks(out or config.out), config)))


@dataclass(frozen=True, slots=True)
class _Flags:
    check: bool
    diff: bool
    stdout: bool

    @property
    def writing(self) -> bool:
        return not (self.check or self.diff or self.stdout)


@dataclass(frozen=True, slots=True)
class _Call:
    """One call: the files of the pipeline, and what is to become of them."""

    session: Session
    pipeline: Pipeline
    files: tuple[GeneratedFile, ...]
    flags: _Flags

    def answer(self, notes: list[Diagnostic]) -> int:
        """Write or compare, tell what came of it, and give the exit code."""
        root = self.pipeline.project.root
        if self.flags.stdout:
            for file in self.files:
                click.echo(f"# {file.path}\n{file.text}")
            self.session.report(notes)
            return 0
        changed = self._changed(root)
        if self.flags.diff:
            # beside JSON, stdout holds the one document alone
            diff = tree_diff(root, self.files)
            click.echo(diff, nl=False, err=self.session.json, color=False)
        findings = self._outdated(changed) if self.flags.check else []
        self._tell({file.path for file in changed}, [*notes, *findings])
        return FindingsError.exit_code if findings else 0

    def _changed(self, root: str) -> tuple[GeneratedFile, ...]:
        try:
            with locked_tree(root) if self.flags.writing else nullcontext():
                changed = changed_files(root, self.files)
                if self.flags.writing:
                    write_files(root, changed)
                return changed
        except FindingsError as error:
            raise FindingsError([_advised(item, self.pipeline.kind) for item in error.diagnostics]) from None

    def _tell(self, changed: set[str], found: Sequence[Diagnostic]) -> None:
        self.session.report(found)
        if self.session.json:
            kind, root = self.pipeline.kind, self.pipeline.project.root
            document: JsonDocument = pipeline_json(kind, root, self.files, changed, found)
            self.session.echo_json(document)
        elif self.flags.writing:
            self.session.echo(pipeline_text(self.files, changed))

    def _outdated(self, changed: Sequence[GeneratedFile]) -> list[Diagnostic]:
        way_out = "run the same command without --check"
        root = self.pipeline.project.root
        found = sorted((os.path.normpath(os.path.join(root, item.path)), item) for item in changed)
        return [
            Diagnostic(
                "pipeline-outdated",
                difference(root, item, "the tree and the config"),
                path,
                help=None if place else way_out,
            )
            for place, (path, item) in enumerate(found)
        ]


def _settings(config: Config, options: dict[str, str | None]) -> PipelineSettings:
    try:
        return read_settings(config.ci, {name: options[name] for name in _SETTINGS})
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def _advised(item: Diagnostic, kind: str) -> Diagnostic:
    if item.code != "file-foreign":
        return item
    return replace(item, help=f"move it away, or take over what `ci {kind} --stdout` shows")
