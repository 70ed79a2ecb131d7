"""The command line as tests call it: in this process, with its output caught."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema

from skyports_tf.cli import run
from skyports_tf.schema import schema_of
from tests.support.project import working_in


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@dataclass(frozen=True)
class Answer:
    """What a call gave: its exit code, and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on stdout."""
        return json.loads(self.out)


def call(folder: Path, *arguments: str, answer: str | None = None, terminal: bool = False) -> Answer:
    """Call `skyports-tf` in `folder`.

    `answer` is what a person types at a terminal, None where there is none; `terminal` makes
    stdout and stderr terminals.
    """
    out, err = (_Terminal(), _Terminal()) if terminal else (io.StringIO(), io.StringIO())
    with working_in(folder), redirect_stdout(out), redirect_stderr(err), _typing(answer):
        code = run(arguments)
    return Answer(code, out.getvalue(), err.getvalue())


def valid(schema: str, document: Any) -> Any:
    """The document, once the schema of that name has taken it."""
    contents = schema_of(schema)
    jsonschema.validators.validator_for(contents)(contents).validate(document)
    return document


@contextmanager
def _typing(answer: str | None) -> Iterator[None]:
    before = sys.stdin
    sys.stdin = io.StringIO() if answer is None else _Terminal(answer)
    try:
        yield
    finally:
        sys.stdin = before


@contextmanager
def environment(**names: str) -> Iterator[None]:
    """Set environment variables for a while."""
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(names)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value
