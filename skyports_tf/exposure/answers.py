"""Who can reach what, of whatever is named: tasks, stacks, plans, states, Terraform code."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from skyports_tf.compiler import CompileRequest, compile_tasks
from skyports_tf.config import Config
from skyports_tf.diagnostics import Diagnostic, FindingsError
from skyports_tf.exposure.hcl_modules import Code, read_file, read_module
from skyports_tf.exposure.model import Exposure
from skyports_tf.exposure.notices import code_notices, view_notices
from skyports_tf.exposure.ours import stack_exposures
from skyports_tf.exposure.terraform_json import View, view_of
from skyports_tf.exposure.views import exposed
from skyports_tf.ledger import LEDGER_NAME, read_stack
from skyports_tf.model import Stack
from skyports_tf.roots import GROUPS, root_of
from skyports_tf.stacks import filled_if_known
from skyports_tf.text.textfile import read_bytes
from skyports_tf.tree import all_stacks, find_stacks

STDIN: Final = "-"
_MOST_BYTES: Final = 1024 * 1024 * 1024
_CODE: Final = (".tf", ".tf.json")
_ZIP: Final = b"PK\x03\x04"
_BYTE_ORDER_MARKS: Final = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_KNOWN: Final = "a task file, a stack, the JSON of a plan or a state, or a folder of .tf files"


@dataclass(frozen=True, slots=True)
class ExposureRequest:
    """What to look at, with what is known around it; `stdin` gives what stands in for `-`."""

    targets: tuple[str, ...]
    config: Config = field(default_factory=Config)
    out: str = ""
    user_hash: str | None = None
    stdin: Callable[[], bytes] = bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """Exposures as they will be, and as they were; `before` is None where nothing tells of it.

    `attached` says what resources with rules guard, by address, as far as the same code tells.
    """

    after: tuple[Exposure, ...] = ()
    before: tuple[Exposure, ...] | None = None
    diagnostics: tuple[Diagnostic, ...] = ()
    attached: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def find_exposures(request: ExposureRequest) -> Answer:
    """The exposures of all that is named, of the whole tree where nothing is.

    What cannot be read is told among the diagnostics, beside the exposures of the rest.
    """
    if not request.targets:
        return _of_stacks(all_stacks(request.out), request)
    answers: list[Answer] = []
    tasks: list[str] = []
    for target in dict.fromkeys(request.targets):
        try:
            found = _of_target(target, request)
        except FindingsError as error:
            found = Answer(diagnostics=error.diagnostics)
        if found is None:
            tasks.append(target)
        else:
            answers.append(found)
    if tasks:
        answers.append(_of_tasks(tasks, request))
    return _together(answers)


def _together(answers: Sequence[Answer]) -> Answer:
    before = [item.before for item in answers if item.before is not None]
    return Answer(
        after=_sorted(item for answer in answers for item in answer.after),
        before=_sorted(item for part in before for item in part) if before else None,
        diagnostics=tuple(dict.fromkeys(item for answer in answers for item in answer.diagnostics)),
        attached={key: names for answer in answers for key, names in answer.attached.items()},
    )


def _sorted(exposures: Iterable[Exposure]) -> tuple[Exposure, ...]:
    return tuple(sorted(exposures, key=lambda item: item.sort_key))


def _of_target(target: str, request: ExposureRequest) -> Answer | None:
    """The answer for one target; None for what can only be a task."""
    if target != STDIN and os.path.isdir(target):
        return _of_folder(target, request)
    if target != STDIN and not os.path.lexists(target):
        return _of_stacks(find_stacks(request.out, [target]), request)
    if target.endswith(_CODE):
        return _of_code(read_file(target), request)
    content = request.stdin() if target == STDIN else read_bytes(target, _MOST_BYTES)
    if content.startswith(_ZIP):
        way_out = f"terraform show -json {target} > plan.json, and give it plan.json"
        raise FindingsError(_unreadable(target, "it is a saved plan in Terraform's own form", way_out))
    document = _json(target, content)
    try:
        view = view_of(document)
        if view is not None:
            return _of_view(view, request, None if target == STDIN else target)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise FindingsError(_unreadable(target, f"it is damaged ({error})", None)) from None
    if document is None and target != STDIN:
        return None
    raise FindingsError(_unreadable(target, "it is neither a plan nor a state of Terraform's", None))


def _json(target: str, content: bytes) -> Any:
    """What a JSON document holds; None for another kind of text."""
    start = content.lstrip()[:1]
    if start not in (b"{", b"[") and not content.startswith(_BYTE_ORDER_MARKS):
        return None
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        if target.endswith(".json") or target == STDIN:
            raise FindingsError(_unreadable(target, f"it is no JSON: {error}", None)) from None
        return None


def _unreadable(target: str, reason: str, help_text: str | None) -> Diagnostic:
    name = "standard input" if target == STDIN else repr(target)
    message = f"nothing can be told of {name}: {reason}"
    return Diagnostic("exposure-input", message, help=help_text or f"give it {_KNOWN}")


# -- stacks and tasks ------------------------------------------------------------------


def _of_stacks(stacks: Iterable[Stack], request: ExposureRequest) -> Answer:
    filled = [filled_if_known(stack, request.config) for stack in stacks]
    return Answer(stack_exposures(filled, request.config.ours))


def _of_tasks(tasks: Sequence[str], request: ExposureRequest) -> Answer:
    try:
        compilation = compile_tasks(
            CompileRequest(tuple(tasks), request.config, request.out, user_hash=request.user_hash)
        )
    except FindingsError as error:
        return Answer(diagnostics=error.diagnostics)
    stacks = [item.stack for item in compilation.stacks]
    before = _of_stacks((old for stack in stacks for old in _in_tree(request.out, stack)), request)
    after = stack_exposures(stacks, request.config.ours)
    return Answer(after, before.after, compilation.diagnostics)


def _in_tree(out: str, stack: Stack) -> Iterator[Stack]:
    if Path(out, stack.directory, LEDGER_NAME).is_file():
        yield read_stack(out, stack.directory)


def _of_folder(folder: str, request: ExposureRequest) -> Answer:
    path = Path(folder)
    if (path / LEDGER_NAME).is_file():
        place = path.resolve()
        out = os.path.relpath(place.parent.parent)
        return _of_stacks([read_stack(out, f"{place.parent.name}/{place.name}")], request)
    if next(path.glob(f"*/{LEDGER_NAME}"), None):
        place = path.resolve()
        return _of_stacks(find_stacks(os.path.relpath(place.parent), [place.name]), request)
    if next(path.glob(f"*/*/{LEDGER_NAME}"), None):
        return _of_stacks(all_stacks(folder), request)
    if sharing := _sharing(path.resolve()):
        return _of_stacks(sharing, request)
    modules = _root_modules(folder)
    if not modules:
        return _of_stacks(find_stacks(request.out, [folder]), request)
    return _together([_of_code(read_module(module), request) for module in modules])


def _sharing(folder: Path) -> list[Stack]:
    """The stacks that share the root module in the folder, or those in the folders below it."""
    found = [place for place in (folder, folder.parent) if place.name == GROUPS]
    if not found:
        return []
    out = os.path.relpath(found[0].parent)
    stacks = (stack for stack in all_stacks(out) if stack.layout == "grouped")
    return [stack for stack in stacks if folder in (found[0], Path(out, root_of(stack)).resolve())]


def _root_modules(folder: str) -> list[str]:
    """The folder where it holds code itself, else the folders below that do; hidden ones are left out."""
    if _has_code(os.listdir(folder)):
        return [folder]
    found = []
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if _has_code(files):
            found.append(place)
            # what lies below a module is read where it is called
            folders.clear()
    return found


def _has_code(names: Iterable[str]) -> bool:
    return any(name.endswith(_CODE) for name in names)


# -- any Terraform code ----------------------------------------------------------------


def _of_view(view: View, request: ExposureRequest, path: str | None) -> Answer:
    found = exposed(view, request.config.ours)
    return Answer(found.after, found.before, tuple(view_notices(found, view, path)), found.attached)


def _of_code(code: Code, request: ExposureRequest) -> Answer:
    found = exposed(View(tuple(code.resources)), request.config.ours)
    return Answer(found.after, None, tuple(code_notices(found, code)), found.attached)
