"""How Terraform is to be run, and how it tells how far it is: what callers give, and what they hear."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from skyports_tf.clouds import CATALOG, Catalog

Phase = Literal["init", "probe", "plan", "apply", "destroy", "verify"]


@dataclass(frozen=True, slots=True)
class RunSettings:
    """How Terraform is run: `binary` is terraform.binary of the config, the rest are flags of Terraform.

    `catalog` has the clouds of the stacks. `backend_config` are files and NAME=VALUE pairs for init, and
    with `migrate_state` a state is copied to where the files say that it is. With `only_looking`, files
    of repairs are left alone.
    """

    binary: str | None = None
    lock_timeout: str = "0s"
    parallelism: int | None = None
    catalog: Catalog = CATALOG
    backend_config: tuple[str, ...] = ()
    migrate_state: bool = False
    only_looking: bool = False


@dataclass(frozen=True, slots=True)
class ProgressEvent:
    """How far a stack is: `done` of `total` changes, None where Terraform does not know how many there are.

    `step` says which of several applies it is, and is empty where there is one.
    """

    stack: str
    phase: Phase
    done: int
    total: int | None
    message: str
    step: str = ""


Progress: TypeAlias = Callable[[ProgressEvent], None]


def silent(event: ProgressEvent) -> None:
    """A `Progress` that tells nobody."""
