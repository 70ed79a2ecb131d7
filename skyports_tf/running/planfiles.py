"""The files of saved plans: their names, whether they are what was shown, and what they were made from."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from skyports_tf.diagnostics import Diagnostic, FindingsError
from skyports_tf.model import Stack
from skyports_tf.outcomes import StackPlan
from skyports_tf.roots import LONE_MODULE, SHARED_ENDINGS, module_of
from skyports_tf.running.initialization import StackPaths

#: The saved plan in the folder of a root module.
PLAN_FILE: Final = "skyports.tfplan"
#: What that plan was shown to do, beside it.
SHOWN_FILE: Final = "skyports.tfplan.json"

_FOLDER: Final = "tfconfig/"
_MODULE: Final = f"{_FOLDER}m-"


def files_digests(plan_file: Path, stacks: Sequence[Stack]) -> list[str]:
    """For each of the stacks, the SHA-256 of its configuration; empty where the plan holds none to be read.

    That of a stack in a shared root module is not of the files of others. A plan file is a ZIP archive
    with the configuration in tfconfig/: a folder m-KEY for each module, that of the root without a key,
    and modules.json (Terraform 0.12 to 1.11, OpenTofu); OpenTofu may encrypt it.
    """
    try:
        with zipfile.ZipFile(plan_file) as archive:
            names = sorted(name for name in archive.namelist() if name.startswith(_FOLDER))
            files = {name: hashlib.sha256(archive.read(name)).digest() for name in names}
    except (OSError, zipfile.BadZipFile):
        files = {}
    owned: dict[tuple[str, str], dict[str, bytes]] = {}
    for name, digest in files.items():
        owned.setdefault(_owner(name), {})[name] = digest
    return [_digest(files if stack.layout == "separate" else _own(owned, stack)) for stack in stacks]


def _owner(name: str) -> tuple[str, str]:
    """Whose a file is in a shared root module: a cluster's, a module's, or nobody's own."""
    module, _, file = name.removeprefix(_MODULE).partition("/")
    if not name.startswith(_MODULE):
        # the list of all modules
        return "list", ""
    if module:
        return "module", module.partition(".")[0]
    ending = next((ending for ending in SHARED_ENDINGS if file.endswith(ending)), None)
    return ("cluster", file.removesuffix(ending)) if ending else ("root", "")


def _own(owned: Mapping[tuple[str, str], Mapping[str, bytes]], stack: Stack) -> dict[str, bytes]:
    owners = (("root", ""), ("cluster", stack.cluster), ("module", module_of(stack)))
    return {name: digest for owner in owners for name, digest in owned.get(owner, {}).items()}


def _digest(files: Mapping[str, bytes]) -> str:
    if not files:
        return ""
    digest = hashlib.sha256()
    for name, content in files.items():
        digest.update(f"{name}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def own_plan(paths: StackPaths) -> str:
    """The name of a plan of one stack; in a shared root module, that of each is its own."""
    return PLAN_FILE if paths.module == LONE_MODULE else f"skyports.{paths.module}.tfplan"


def name_of(plan: StackPlan) -> str:
    """The name of the file of a plan that was saved."""
    return Path(plan.plan_file).name if plan.plan_file else PLAN_FILE


def remove_plan(paths: StackPaths, name: str) -> None:
    """Remove a plan, and what was kept of it beside it."""
    beside = (SHOWN_FILE,) if name == PLAN_FILE else ()
    for file in (*beside, name):
        (paths.folder / file).unlink(missing_ok=True)


def remove_applied(paths: StackPaths, plan: StackPlan) -> None:
    """Remove a plan that was applied; one that others have saved in its place stays."""
    if not is_replaced(paths, plan):
        remove_plan(paths, name_of(plan))


def check_plan(paths: StackPaths, plan: StackPlan) -> None:
    """Refuse a plan file that is not the one that was shown; that it is missing, Terraform says.

    In a shared root module others may save theirs in its place: there, the stack is planned again.
    Raises `FindingsError`.
    """
    if paths.module == LONE_MODULE and _file_digest(paths, plan) and is_replaced(paths, plan):
        message = f"{plan.stack.name}: another plan was saved since this one was shown"
        raise FindingsError(Diagnostic("plan-replaced", message, path=plan.plan_file, help="plan again"))


def is_replaced(paths: StackPaths, plan: StackPlan) -> bool:
    """Whether another plan was saved since this one was, or it was applied."""
    return plan.plan_digest is not None and _file_digest(paths, plan) != plan.plan_digest


def _file_digest(paths: StackPaths, plan: StackPlan) -> str:
    path = paths.folder / name_of(plan)
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
