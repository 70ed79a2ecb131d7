"""A small project for tests: task files, a config, and the tree they compile to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skyports_tf.compiler import Compilation, CompileRequest, compile_tasks, compile_tree
from skyports_tf.config import read_config
from skyports_tf.diagnostics import FindingsError
from skyports_tf.ledger import read_stack
from skyports_tf.model import Stack
from skyports_tf.task import TaskOverrides


@contextmanager
def working_in(folder: Path) -> Iterator[None]:
    """Make `folder` the current folder for a while."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@dataclass(frozen=True)
class Project:
    """Everything happens in `folder`; compile as the command line does from there."""

    folder: Path

    def task(
        self,
        ports: str,
        name: str | None = "web",
        infra: str | None = "aws/us-east-1",
        file: str = "web.yaml",
    ) -> str:
        """Write a task file that asks for `ports` (YAML text), and give its path."""
        lines = [f"name: {name}"] if name else []
        lines += ["resources:"]
        lines += [f"  infra: {infra}"] if infra else []
        lines += [f"  ports: {ports}", "run: echo hello", ""]
        return self.write(file, "\n".join(lines))

    def write(self, file: str, text: str) -> str:
        """Write a file of the project, and give its path."""
        path = self.folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return file

    def config(self, text: str) -> str:
        """Write skyports.yaml."""
        return self.write("skyports.yaml", text)

    def request(
        self, *tasks: str, ports: tuple[str, ...] = (), infra: str | None = None, **rest: Any
    ) -> CompileRequest:
        """The request that the command line would make."""
        config = read_config("skyports.yaml" if self.folder.joinpath("skyports.yaml").exists() else None)
        overrides = TaskOverrides(ports=ports, infra=infra)
        return CompileRequest(tasks=tasks, config=config, overrides=overrides, **rest)

    def compile(self, *tasks: str, **rest: Any) -> Compilation:
        """Compile and write."""
        with working_in(self.folder):
            return compile_tree(self.request(*tasks, **rest))

    def look(self, *tasks: str, **rest: Any) -> Compilation:
        """Compile and write nothing."""
        with working_in(self.folder):
            return compile_tasks(self.request(*tasks, **rest))

    def refused(self, *tasks: str, **rest: Any) -> list[str]:
        """The codes of the errors that refuse the tasks; fails where none does."""
        try:
            self.compile(*tasks, **rest)
        except FindingsError as error:
            return [item.code for item in error.diagnostics if item.severity == "error"]
        raise AssertionError("nothing was refused")

    def warned(self, *tasks: str, **rest: Any) -> list[str]:
        """The codes of what is told beside a compilation."""
        return [item.code for item in self.compile(*tasks, **rest).diagnostics]

    def text(self, path: str) -> str:
        """A file of the tree."""
        return (self.folder / "infra" / path).read_text(encoding="utf-8")

    def tree(self) -> dict[str, str]:
        """Every file of the tree by its path."""
        return tree_of(self.folder / "infra")

    def stack(self, directory: str = "web/aws-us-east-1") -> Stack:
        """A stack as its ledger has it."""
        with working_in(self.folder):
            return read_stack("infra", directory)

    def keys(self, directory: str = "web/aws-us-east-1") -> list[str]:
        """The keys of a stack's rules."""
        return [rule.key for rule in self.stack(directory).rules]


def tree_of(folder: Path) -> dict[str, str]:
    """Every file below `folder` by its relative path."""
    return {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
