"""A state that has to follow its backend: looked at on both sides, copied by Terraform, and checked.

`terraform init -migrate-state` overwrites what it finds, `-reconfigure` forgets what it leaves
behind, and without either it only refuses. So both sides are read first, in folders of their own:
a state is copied to a place that holds none, and never over another.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from skyports_tf.backends import LOCAL, without_secrets
from skyports_tf.diagnostics import Diagnostic, FindingsError
from skyports_tf.running.initialization import STATE_FILE, StackPaths, backend_of, run_init
from skyports_tf.running.staterooms import DATA, beside, pushed
from skyports_tf.terraform import Flag, Run, Terraform, read_json

#: What a state of ours is called that lies beside the one that has taken its place.
STALE_STATE = f"{STATE_FILE}.stale"


class BackendMovedError(FindingsError):
    """A state would have to be copied to where the files of its stack say that it is.

    `stack` is the stack's name.
    """

    def __init__(self, diagnostic: Diagnostic, stack: str) -> None:
        super().__init__(diagnostic)
        self.stack = stack


@dataclass(frozen=True, slots=True)
class KeptState:
    """A state as it is kept: `digest` is that of what it holds, empty where it holds nothing."""

    lineage: str = ""
    serial: int = 0
    digest: str = ""
    text: str = field(default="", repr=False, compare=False)

    @classmethod
    def of(cls, text: str) -> KeptState:
        """The state of `terraform state pull`, or of a state file."""
        state = read_json(text)
        held = [state.get("resources") or [], state.get("outputs") or {}]
        digest = hashlib.sha256(json.dumps(held, sort_keys=True).encode()).hexdigest() if any(held) else ""
        return cls(str(state.get("lineage") or ""), int(state.get("serial") or 0), digest, text)

    def is_later(self, other: KeptState) -> bool:
        """Whether this is what became of `other`, or holds the same."""
        return self.digest == other.digest or (self.lineage == other.lineage and self.serial > other.serial)


@dataclass(frozen=True, slots=True)
class Following:
    """A stack's folder, prepared for another backend than its files name.

    `ended` gives a run back that went through, and raises the error of another. With `migrate`,
    a state may be copied.
    """

    paths: StackPaths
    terraform: Terraform
    name: str
    ended: Callable[[Run], Run]
    migrate: bool
    flags: Mapping[str, Flag]

    def follow(self) -> Run:
        """Prepare the folder for the backend of its files, and bring the state there where it is elsewhere.

        Gives the run of init. Raises `BackendMovedError` where a state would have to be copied and may
        not, `FindingsError` where it would meet another.
        """
        with tempfile.TemporaryDirectory(prefix="skyports-") as room:
            new = Path(room, "new")
            new.mkdir()
            shutil.copyfile(self.paths.folder / "backend.tf", new / "backend.tf")
            there = self._pulled(new, self.terraform.backend_config)
            old, named = _prepared(self.paths.data), _prepared(new / DATA)
            if old and _place(old) == _place(named):
                return self._init(reconfigure=True)
            here = self._here(old, Path(room, "old"))
        if not here.digest or there.is_later(here):
            if old.get("type", LOCAL) == LOCAL and here.digest:
                # init would ask for it again
                (self.paths.folder / STATE_FILE).replace(self.paths.folder / STALE_STATE)
            return self._init(reconfigure=True)
        if there.digest:
            raise FindingsError(self._conflict(old, "another state lies there, and would be overwritten"))
        return self._copy(old, here)

    def _copy(self, old: Mapping[str, Any], here: KeptState) -> Run:
        if not self.migrate:
            where, kind = old.get("type", LOCAL), backend_of(self.paths.folder)
            target = f"another place of the backend {kind!r}" if where == kind else f"the backend {kind!r}"
            message = f"{self.name}: its state lies in the backend {where!r}, and the files name {target}"
            help_text = "`--migrate-state` copies it there; both are locked meanwhile, and it is checked"
            raise BackendMovedError(Diagnostic("backend-moved", message, help=help_text), self.name)
        run = self._init(migrate_state=True, force_copy=True)
        if run.code == 0:
            arrived = KeptState.of(self.ended(self.terraform.state_pull()).stdout)
            if arrived.digest != here.digest:
                raise FindingsError(self._conflict(old, "what is there now is not what was copied"))
            if arrived.lineage != here.lineage:
                self._keep_lineage(here)
        return run

    def _keep_lineage(self, here: KeptState) -> None:
        """Let the copy bear the lineage of the state, by which other clones know it.

        Terraform gives it another one where the backend has made an empty state before (Terraform 1.11).
        """
        self.ended(pushed(self.terraform, here.text, force=True))

    def _conflict(self, old: Mapping[str, Any], why: str) -> Diagnostic:
        message = f"{self.name}: its state in the backend {old.get('type', LOCAL)!r} cannot move: {why}"
        help_text = (
            "look at both with `terraform state pull`; empty the one that is wrong, or choose another "
            "`key_prefix`"
        )
        return Diagnostic("backend-conflict", message, help=help_text)

    def _init(self, **flags: Flag) -> Run:
        return self.ended(run_init(self.paths, self.terraform, **self.flags, **flags))

    def _here(self, old: Mapping[str, Any], room: Path) -> KeptState:
        """The state where it has been so far."""
        kind = old.get("type", LOCAL)
        if kind == LOCAL:
            try:
                return KeptState.of((self.paths.folder / STATE_FILE).read_text(encoding="utf-8"))
            except (OSError, UnicodeDecodeError):
                return KeptState()
        room.mkdir()
        settings = {name: value for name, value in (old.get("config") or {}).items() if value is not None}
        block = {"cloud": settings} if kind == "cloud" else {"backend": {kind: settings}}
        (room / "backend.tf.json").write_text(json.dumps({"terraform": block}), encoding="utf-8")
        return self._pulled(room, ())

    def _pulled(self, room: Path, parts: tuple[str, ...]) -> KeptState:
        """The state that the backend in the folder `room` has; nothing but a backend is there."""
        terraform = beside(self.terraform, room, parts)
        self.ended(terraform.init())
        return KeptState.of(self.ended(terraform.state_pull()).stdout)


def earlier_backend(paths: StackPaths) -> str:
    """The backend that the folder was last prepared for: its state may not have moved yet."""
    return str(_prepared(paths.data).get("type", ""))


def _prepared(data: Path) -> Mapping[str, Any]:
    """What Terraform has noted of the backend that a data folder is for: its `type` and `config`."""
    try:
        text = (data / STATE_FILE).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return {}
    found = read_json(text).get("backend")
    return found if isinstance(found, dict) else {}


def _place(prepared: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """Where a backend keeps states: its settings without credentials, which may change."""
    return str(prepared.get("type", "")), without_secrets(prepared.get("config") or {})
