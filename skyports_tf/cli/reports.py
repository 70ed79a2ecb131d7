"""The formats that tell findings and nothing else: SARIF and JUnit."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from skyports_tf.cli.console import Session
from skyports_tf.diagnostics import Diagnostic
from skyports_tf.policy import NO_POLICY, Policy

FINDING_FORMATS: Final = ("sarif", "junit")


def tell_failures(session: Session, verb: str, files: Sequence[str], policy: Policy = NO_POLICY) -> None:
    """Let findings that end the call answer in the format of findings that was asked for, if one was."""
    if session.format in FINDING_FORMATS:

        def document(found: Sequence[Diagnostic]) -> str:
            return findings_document(session.format, verb, files, policy, found)

        session.failed_as = document


def findings_document(
    name: str, verb: str, files: Iterable[str], policy: Policy, findings: Iterable[Diagnostic]
) -> str:
    """The findings of a verb on task files in the format `name`, with a newline at the end."""
    from skyports_tf.report.checked import Checked

    shown = tuple(replace(item, path=item.path and _relative(item.path)) for item in findings)
    checked = Checked(verb, tuple(dict.fromkeys(map(_relative, files))), policy, shown)
    if name == "sarif":
        from skyports_tf.report.sarif import sarif_text

        return sarif_text(checked)
    from skyports_tf.report.junit import junit_text

    return junit_text(checked)


def _relative(path: str) -> str:
    """A path from the current folder, where it lies below it: as a report names a file of the repository."""
    if "\0" in path:
        return path
    relative = os.path.relpath(path)
    return path if os.path.isabs(path) and relative.startswith("..") else relative
