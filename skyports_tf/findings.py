"""A collector of what is wrong with one document, each finding once."""

from __future__ import annotations

from skyports_tf.diagnostics import Diagnostic, Severity
from skyports_tf.nodes import KeyPath
from skyports_tf.source import YamlDocument


class Findings:
    """Findings on one document: `errors` refuse it, `warnings` do not.

    A setting that several candidates share is judged for each of them, and told once.
    """

    __slots__ = ("_seen", "document", "errors", "warnings")

    def __init__(self, document: YamlDocument) -> None:
        self.document = document
        self.errors: list[Diagnostic] = []
        self.warnings: list[Diagnostic] = []
        self._seen: set[Diagnostic] = set()

    def error(
        self,
        code: str,
        message: str,
        at: KeyPath = (),
        *,
        key: bool = False,
        help: str | None = None,  # noqa: A002 - the word of Diagnostic
    ) -> None:
        """Refuse the document for the value or the key at `at`."""
        self._add(self.document.diagnostic(code, message, at, key=key, help=help))

    def warn(self, code: str, message: str, at: KeyPath = (), *, help: str | None = None) -> None:  # noqa: A002
        """Tell of the value at `at` without refusing it."""
        self._add(self.document.diagnostic(code, message, at, help=help, severity="warning"))

    def crash(self, why: str, at: KeyPath = (), *, help: str | None = None) -> None:  # noqa: A002
        """Refuse what SkyPilot stops at with an internal error of its own."""
        self.error("skypilot-fails", f"SkyPilot fails on this: {why}", at, help=help)

    def add(self, diagnostics: list[Diagnostic]) -> None:
        """Take over findings that were made elsewhere."""
        for item in diagnostics:
            self._add(item)

    def _add(self, item: Diagnostic) -> None:
        if item in self._seen:
            return
        self._seen.add(item)
        kept: dict[Severity, list[Diagnostic]] = {"error": self.errors}
        kept.get(item.severity, self.warnings).append(item)
