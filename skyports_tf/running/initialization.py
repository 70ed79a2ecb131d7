"""`terraform init`, when it is needed and only then.

A mark in the data folder says with which backend, module, providers, program and CLI config
the stack was last prepared. Providers come through a shared plugin cache, so that a hundred
stacks hold one copy; Terraform's cache does not bear two writers (Terraform CLI documentation,
"Provider Plugin Cache"), so one of us at a time runs init.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from skyports_tf.backends import LOCAL
from skyports_tf.cache import cache_folder
from skyports_tf.diagnostics import Diagnostic, FindingsError
from skyports_tf.model import Stack
from skyports_tf.roots import CLUSTER_ENDING, LONE_MODULE, module_of, root_of
from skyports_tf.terraform import Flag, Run, Terraform

MARK = "skyports.init"
LOCK_FILE = ".terraform.lock.hcl"
STATE_FILE = "terraform.tfstate"
_LOCK_POLL_SECONDS = 0.05
_BACKEND = re.compile(rb'^\s*(?:backend\s+"([a-z0-9]+)"|(cloud))\s*\{', re.MULTILINE)
_MOVED = re.compile(r"-migrate-state\b|state migration|Backend configuration changed", re.IGNORECASE)
# the lines of main.tf that decide what init fetches
_FETCHED = re.compile(rb"^\s*(?:source|version|required_version)\s*= \".*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class StackPaths:
    """The folders of a stack: the tree, its root module's in it, and Terraform's data folder.

    `module` is what the stack is called in its root module.
    """

    out: Path
    folder: Path
    data: Path
    cloud: str
    module: str

    @classmethod
    def of(cls, out: str, stack: Stack, environment: Mapping[str, str]) -> StackPaths:
        """The paths of `stack` under `out`, all absolute."""
        root = Path(out).absolute()
        folder = root / root_of(stack)
        data = folder / (environment.get("TF_DATA_DIR") or ".terraform")
        return cls(root, folder, data, stack.cloud, module_of(stack))

    def mark(self, name: str) -> Path:
        """A mark of ours that tells something of the stack, in the data folder."""
        return self.data / (name if self.module == LONE_MODULE else f"{name}.{self.module}")


def needs_init(paths: StackPaths, terraform: Terraform) -> bool:
    """Whether the folder was never prepared, or prepared for something else than it holds now."""
    try:
        mark = (paths.data / MARK).read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return True
    return mark != _fingerprint(paths, terraform) or not _providers_are_there(paths.data)


def run_init(paths: StackPaths, terraform: Terraform, **flags: Flag) -> Run:
    """Run `terraform init`, under our lock, and mark the folder as prepared where it went through."""
    with init_lock(terraform):
        with writing(paths.data):
            (paths.data / MARK).unlink(missing_ok=True)
        borrowed = _borrow_lock_file(paths)
        extra = _plugin_cache(terraform.environment)
        end = terraform.init(extra=extra, **flags)
        if end.code != 0 and borrowed and terraform.signals.received is None and not asks_to_move(end):
            # the sibling's lock file may be what is wrong
            (paths.folder / LOCK_FILE).unlink(missing_ok=True)
            end = terraform.init(extra=extra, **flags)
    if end.code == 0:
        with suppress(OSError):
            (paths.data / MARK).write_text(_fingerprint(paths, terraform), encoding="ascii")
    return end


def asks_to_move(run: Run) -> bool:
    """Whether an init has failed since the state lies in another backend than the files name.

    The words are those of Terraform 1.5 to 1.15 and of OpenTofu.
    """
    return run.code != 0 and bool(_MOVED.search(run.words))


def backend_of(folder: Path) -> str:
    """The kind of backend that a stack's files name; `local` where they name none."""
    found = _BACKEND.search(_content(folder / "backend.tf"))
    return (found[1] or found[2]).decode("ascii") if found else LOCAL


def lay_state_file(paths: StackPaths) -> None:
    """Make sure that a state that is kept in a file has its file, empty as long as nothing was applied.

    Who locks a state that is not there makes its file, and removes it afterwards if it is still empty.
    An apply that has waited for that lock then writes its state into the removed file, and it is
    lost (seen with Terraform 1.11.4). A file that was there before is never removed.
    """
    if backend_of(paths.folder) == LOCAL and not os.environ.get("TF_WORKSPACE"):
        with writing(paths.folder):
            (paths.folder / STATE_FILE).touch()


def repair_files(stack: Stack) -> tuple[str, str]:
    """Files that stand in the folder of a stack's root module for the moment of a repair."""
    if stack.layout == "separate":
        return "skyports_repair.tf", "skyports_repair_override.tf"
    # the name of a cluster may end so that with .tf alone behind it the file would be an override
    name = f"skyports_repair.{module_of(stack)}"
    return f"{name}.imports.tf", f"{name}_override.tf"


def remove_repair_files(folder: Path, stack: Stack) -> None:
    """Remove what a repair of the stack has put there, or one that was killed has left."""
    for name in repair_files(stack):
        (folder / name).unlink(missing_ok=True)


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Raise `FindingsError` where the folder cannot be written to."""
    try:
        yield
    except OSError as error:
        message = f"the folder cannot be written to: {error.strerror}"
        raise FindingsError(Diagnostic("file-unwritable", message, path=str(folder))) from error


def _fingerprint(paths: StackPaths, terraform: Terraform) -> str:
    digest = hashlib.sha256()
    for part in _init_inputs(paths, terraform):
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()


def _init_inputs(paths: StackPaths, terraform: Terraform) -> Iterator[bytes]:
    yield "\0".join(terraform.program.argv).encode("utf-8", "surrogateescape")
    yield _content(paths.folder / "backend.tf")
    yield from _FETCHED.findall(_content(paths.folder / "main.tf"))
    # init installs modules, also those of the tree, each by its name
    for path in sorted(paths.folder.glob(f"*{CLUSTER_ENDING}")):
        yield path.name.encode("utf-8", "surrogateescape")
    yield _content(paths.out / "modules" / paths.cloud / "versions.tf")
    yield _content(paths.folder / LOCK_FILE)
    yield _content(_cli_config(terraform.environment))
    for item in terraform.backend_config:
        yield item.encode("utf-8", "surrogateescape")
        yield _content(None if "=" in item else Path(item))


def _content(path: Path | None) -> bytes:
    try:
        return path.read_bytes() if path else b""
    except OSError:
        return b""


def _cli_config(environment: Mapping[str, str]) -> Path | None:
    named = environment.get("TF_CLI_CONFIG_FILE")
    if named:
        return Path(named)
    home = environment.get("HOME")
    return Path(home) / ".terraformrc" if home else None


def _providers_are_there(data: Path) -> bool:
    """Whether no provider is a link into a folder that is gone."""
    # host/namespace/type/version/platform
    return all(found.exists() for found in (data / "providers").glob("*/*/*/*/*"))


def _plugin_cache(environment: Mapping[str, str]) -> dict[str, str]:
    """The plugin cache to use for init: empty where the user has chosen one, or none can be made."""
    chosen = environment.get("TF_PLUGIN_CACHE_DIR") or b"plugin_cache_dir" in _content(
        _cli_config(environment)
    )
    plugins = None if chosen else cache_folder("plugins")
    return {"TF_PLUGIN_CACHE_DIR": str(plugins)} if plugins else {}


@contextmanager
def init_lock(terraform: Terraform) -> Iterator[None]:
    """Wait until no other of us runs init; a signal ends the wait."""
    import fcntl

    folder = cache_folder("locks")
    if folder is None:
        yield
        return
    with (folder / "init.lock").open("ab") as file:
        while True:
            terraform.signals.check("terraform init")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(_LOCK_POLL_SECONDS)
        yield


def _borrow_lock_file(paths: StackPaths) -> bool:
    """Take over the provider versions and checksums of a sibling stack, where this one has none.

    Terraform uses a cached provider only where a lock file vouches for it; and stacks of one
    tree and one module should run one version of a provider.
    """
    own = paths.folder / LOCK_FILE
    if own.exists():
        return False
    siblings = [
        *paths.out.glob(f"*/{paths.cloud}/{LOCK_FILE}"),
        *paths.out.glob(f"*/{paths.cloud}-*/{LOCK_FILE}"),
    ]
    for sibling in sorted(siblings):
        with suppress(OSError):
            shutil.copyfile(sibling, own)
            return True
    return False
