"""What is worth a warning where a tree comes into a pipeline."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from skyports_tf.config import Config
from skyports_tf.diagnostics import Diagnostic
from skyports_tf.expiry import NEVER, deadline_of
from skyports_tf.model import GeneratedFile, Stack
from skyports_tf.pipelines.files import Pipeline
from skyports_tf.pipelines.shared import GITLAB_ROOT

#: The kinds that run on machines which keep nothing from one run to the next.
_FORGETFUL = frozenset({"github", "gitlab", "atlantis", "terragrunt"})
#: The kinds that apply.
_APPLYING = frozenset({*_FORGETFUL, "tofu-controller"})


def pipeline_notes(
    pipeline: Pipeline, files: tuple[GeneratedFile, ...], stacks: tuple[Stack, ...], config: Config
) -> Iterator[Diagnostic]:
    """Warnings: a state that would be lost, ends that would never come, a file that nobody includes."""
    if pipeline.kind in _FORGETFUL and pipeline.project.backend == "local":
        message = "the state is kept in the stacks' folders, and a pipeline would lose it with its machine"
        help_text = "name a backend: `backend: {s3: {bucket: my-state, region: us-east-1}}`"
        yield _warning(config.finding("local-state-in-pipeline", message, ("backend",), help_text))
    if pipeline.kind in _APPLYING:
        yield from _durations(stacks, config)
    if pipeline.kind == "gitlab" and GITLAB_ROOT not in {file.path for file in files}:
        yield from _not_included(pipeline, files)


def _durations(stacks: tuple[Stack, ...], config: Config) -> Iterator[Diagnostic]:
    if config.expires and _is_duration(config.expires):
        yield _warning(
            config.finding("duration-in-pipeline", _lasting(config.expires), ("expires",), _WAY_OUT)
        )
    for stack in stacks:
        found = sorted(
            {
                grant.expires
                for entry in stack.entries
                for grant in entry.grants
                if grant.expires and not grant.expires_at and _is_duration(grant.expires)
            }
        )
        if found and found != [config.expires]:
            message = f"{stack.name}: {_lasting(', '.join(found))}"
            yield Diagnostic("duration-in-pipeline", message, help=_WAY_OUT, severity="warning")


_WAY_OUT = "write a date or a time: `expires: 2026-12-01`"


def _lasting(spec: str) -> str:
    return f"{spec} counts from an apply on, and a pipeline does not keep when that was"


def _is_duration(spec: str) -> bool:
    return spec != NEVER and deadline_of(spec) is None


def _not_included(pipeline: Pipeline, files: tuple[GeneratedFile, ...]) -> Iterator[Diagnostic]:
    path = Path(pipeline.project.root, GITLAB_ROOT)
    (ours,) = (file.path for file in files)
    try:
        included = ours in path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return
    if not included:
        message = f"{GITLAB_ROOT} is your own, and does not include {ours}"
        help_text = f"add to it: include: [{{local: /{ours}}}]"
        yield Diagnostic("pipeline-include", message, str(path), help=help_text, severity="warning")


def _warning(found: Diagnostic) -> Diagnostic:
    return replace(found, severity="warning")
