"""A collector of what is wrong with one document, each finding once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from skyports_tf.diagnostics import Diagnostic
from skyports_tf.source import YamlDocument
from skyports_tf.text.nodes import KeyPath

#: After so many errors the rest of a document is counted, not told.
MOST_ERRORS: Final = 1000
_LONGEST_MESSAGE = 300


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
        if self._has_room():
            self._add(self.document.diagnostic(code, _shortened(message), at, key=key, help=help))

    def error_in_text(
        self,
        code: str,
        message: str,
        at: KeyPath,
        part: tuple[int, int],
        help: str | None = None,  # noqa: A002
    ) -> None:
        """Refuse the document for a slice of the text at `at`."""
        if self._has_room():
            self._add(self.document.part_diagnostic(code, _shortened(message), at, part, help))

    def warn(self, code: str, message: str, at: KeyPath = (), *, help: str | None = None) -> None:  # noqa: A002
        """Tell of the value at `at` without refusing it."""
        if len(self.warnings) < MOST_ERRORS:
            item = self.document.diagnostic(code, _shortened(message), at, help=help, severity="warning")
            self._add(item)

    def crash(self, why: str, at: KeyPath = (), *, help: str | None = None) -> None:  # noqa: A002
        """Refuse what SkyPilot stops at with an internal error of its own."""
        self.error("skypilot-fails", f"SkyPilot fails on this: {why}", at, help=help)

    def add(self, diagnostics: Iterable[Diagnostic]) -> None:
        """Take over findings that were made elsewhere."""
        for item in diagnostics:
            if self._has_room():
                self._add(item)

    def _has_room(self) -> bool:
        if len(self.errors) < MOST_ERRORS:
            return True
        if len(self.errors) == MOST_ERRORS:
            message = f"there are more than {MOST_ERRORS} errors: the others are not shown"
            self.errors.append(self.document.diagnostic("too-many-errors", message))
        return False

    def _add(self, item: Diagnostic) -> None:
        if item not in self._seen:
            self._seen.add(item)
            (self.errors if item.severity == "error" else self.warnings).append(item)


def _shortened(message: str) -> str:
    return message if len(message) <= _LONGEST_MESSAGE else f"{message[:_LONGEST_MESSAGE]}..."
