"""The state of a root module, read and written in a room of its own: only a backend is there, no provider."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from skyports_tf.running.initialization import STATE_FILE
from skyports_tf.terraform import Run, Terraform, read_json

#: The data folder of a room.
DATA: Final = ".terraform"
_LOCAL: Final = re.compile(r'backend "local" \{\s*\}')


@dataclass(frozen=True, slots=True)
class StateRoom:
    """A prepared room: `ended` gives a run back that went through, and raises the error of another."""

    terraform: Terraform
    ended: Callable[[Run], Run]

    def pull(self) -> dict[str, Any]:
        """The state as it is kept; empty where there is none."""
        return dict(read_json(self.ended(self.terraform.state_pull()).stdout))

    def push(self, state: Mapping[str, Any]) -> None:
        """Put a state in the place of the one that it was made from.

        Terraform refuses it where that one has changed since, by its serial.
        """
        self.ended(pushed(self.terraform, json.dumps(state)))


def is_empty(file: Path) -> bool:
    """Whether a state file holds neither objects nor outputs."""
    state = read_json(file.read_text(encoding="utf-8"))
    return not state.get("resources") and not state.get("outputs")


@contextmanager
def state_room(
    root: Terraform, folder: Path, backend: str, ended: Callable[[Run], Run]
) -> Iterator[StateRoom]:
    """A room for the state of the root module in `folder`, whose backend.tf says `backend`.

    `root` is a Terraform of the same program, environment and partial configuration.
    """
    place = json.dumps(str(folder / STATE_FILE))
    rooms = json.dumps(str(folder / f"{STATE_FILE}.d"))
    named = f'backend "local" {{\n    path          = {place}\n    workspace_dir = {rooms}\n  }}'
    with tempfile.TemporaryDirectory(prefix="skyports-") as room:
        Path(room, "backend.tf").write_text(_LOCAL.sub(lambda _: named, backend), encoding="utf-8")
        terraform = beside(root, Path(room), root.backend_config)
        ended(terraform.init())
        yield StateRoom(terraform, ended)


def moved_states(
    root: Terraform,
    states: tuple[Mapping[str, Any], Mapping[str, Any]],
    addresses: tuple[str, str],
    ended: Callable[[Run], Run],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Two states after Terraform has moved a module of the first to its address in the second."""
    (source, target), (old, new) = states, addresses
    with tempfile.TemporaryDirectory(prefix="skyports-") as name:
        room = Path(name)
        files = _written(room / "source.tfstate", json.dumps(source)), room / "target.tfstate"
        if target:
            _written(room / "target.tfstate", json.dumps(target))
        terraform = beside(root, room)
        ended(terraform.state_mv(old, new, str(files[0]), str(files[1])))
        first, second = (dict(read_json(file.read_text(encoding="utf-8"))) for file in files)
    return first, second


def successor(state: Mapping[str, Any]) -> dict[str, Any]:
    """A state that was changed, as the one that follows: with the next serial."""
    return {**state, "serial": int(state["serial"]) + 1}


def pushed(terraform: Terraform, text: str, *, force: bool = False) -> Run:
    """Push the text of a state by way of a file that nobody else can read: it may hold secrets."""
    with tempfile.TemporaryDirectory(prefix="skyports-") as room:
        return terraform.state_push(str(_written(Path(room, STATE_FILE), text)), force=force)


def beside(root: Terraform, folder: Path, parts: tuple[str, ...] = ()) -> Terraform:
    """A Terraform of the same program and environment in another folder; `parts` are for its backend."""
    environment = {**root.environment, "TF_DATA_DIR": DATA}
    terraform = Terraform(root.program, folder, environment, root.signals)
    terraform.backend_config = parts
    return terraform


def _written(file: Path, text: str) -> Path:
    file.touch(mode=0o600)
    file.write_text(text, encoding="utf-8")
    return file
