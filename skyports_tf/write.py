"""Writes the tree: whole files or nothing, only what changed, only files that are ours."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from skyports_tf.diagnostics import Diagnostic, FindingsError
from skyports_tf.ledger import GENERATED_BY, LEDGER_NAME
from skyports_tf.model import GeneratedFile
from skyports_tf.render import HEADER, TEMPORARY_NAME

_OUR_LEDGER = f'{{\n  "generated_by": "{GENERATED_BY}'.encode()
_OUR_HEADER = HEADER.encode()


@contextmanager
def locked_tree(out: str) -> Iterator[None]:
    """Hold the tree for one compile from its ledgers' reading to their writing; others wait.

    The lock is on the folder itself and goes with the process, so nothing is left behind;
    a folder that was made for the lock and stayed empty is removed.
    """
    is_new = not os.path.isdir(out)
    try:
        Path(out).mkdir(parents=True, exist_ok=True)
        handle = os.open(out, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise FindingsError(_cannot_write(out, error)) from None
    try:
        with suppress(OSError):  # a file system without locks is written to without one
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        if is_new:
            with suppress(OSError):  # it holds something
                os.rmdir(out)
        os.close(handle)


def changed_files(out: str, files: Sequence[GeneratedFile]) -> tuple[GeneratedFile, ...]:
    """Those of `files` that differ from what is in `out`, in their order.

    One without a text differs where a file of ours stands there; what is not ours stays.
    Raises `FindingsError` where a file that is not ours stands in the place of one.
    """
    changed = []
    findings = []
    absent: dict[str, bool] = {}
    for file in files:
        path = os.path.join(out, file.path)
        folder = os.path.dirname(path)
        if folder not in absent:
            absent[folder] = _is_absent(folder)
        try:
            found = None if absent[folder] else _read(path)
        except OSError as error:
            findings += [_cannot_write(path, error)] if file.text else []
            continue
        if (found or b"") == file.text.encode():
            continue
        if found is None or _is_ours(file.path, found):
            changed.append(file)
        elif file.text:
            findings.append(_foreign(path))
    if findings:
        raise FindingsError(findings)
    return tuple(changed)


def write_tree(out: str, files: Iterable[GeneratedFile]) -> tuple[str, ...]:
    """Write those of `files` that differ, each whole or not at all; give the paths written.

    Raises `FindingsError` before the first write where one of them is not ours, and where the
    file system refuses a write.
    """
    changed = changed_files(out, tuple(files))
    write_files(out, changed)
    return tuple(file.path for file in changed)


def write_files(out: str, files: Iterable[GeneratedFile]) -> None:
    """Write `files`, which `changed_files` has let pass, each whole or not at all.

    One without a text is removed.
    Raises `FindingsError` where the file system refuses a write.
    """
    made: set[str] = set()
    for file in files:
        path = os.path.join(out, file.path)
        folder = os.path.dirname(path)
        try:
            if folder not in made:
                os.makedirs(folder, exist_ok=True)
                made.add(folder)
            if file.text:
                _write_whole(folder, path, file.text.encode())
            else:
                Path(path).unlink(missing_ok=True)
        except OSError as error:
            raise FindingsError(_cannot_write(path, error)) from None


def tree_diff(out: str, files: Iterable[GeneratedFile]) -> str:
    """What writing `files` would change, as one unified diff; empty where nothing would."""
    from difflib import unified_diff

    lines: list[str] = []
    for file in changed_files(out, tuple(files)):
        path = os.path.normpath(os.path.join(out, file.path))
        old = (_read(path) or b"").decode("utf-8", "replace")
        before = f"a/{path}" if old else "/dev/null"
        after = f"b/{path}" if file.text else "/dev/null"
        lines += unified_diff(old.splitlines(True), file.text.splitlines(True), before, after)
    return "".join(lines)


def difference(out: str, file: GeneratedFile, maker: str) -> str:
    """How a file that is not as it should be differs, in words; `maker` asks for it, in the plural."""
    if not file.text:
        return f"the file is there, and {maker} ask for none any more"
    if not os.path.lexists(os.path.join(out, file.path)):
        return f"the file is not there, and {maker} ask for it"
    return f"the file differs from what {maker} ask for"


def _read(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None


def _is_absent(folder: str) -> bool:
    try:
        os.stat(folder)
    except FileNotFoundError:
        return True
    except OSError:  # told with the file
        return False
    return False


def _is_ours(path: str, text: bytes) -> bool:
    return text.startswith(_OUR_LEDGER if path.endswith(LEDGER_NAME) else _OUR_HEADER)


def _write_whole(folder: str, path: str, text: bytes) -> None:
    """Write beside the file, flush to the disk, rename over it: a reader sees the old file or the new one."""
    # one name for all: the tree is locked, so what a killed writer left is overwritten by the next
    temporary = os.path.join(folder, TEMPORARY_NAME)
    try:
        with open(
            os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o666), "wb"
        ) as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise


def _foreign(path: str) -> Diagnostic:
    return Diagnostic(
        "file-foreign",
        "this file is not ours, and it stands where a generated file belongs",
        os.path.normpath(path),
        help="move it away, or choose another folder with --out",
    )


def _cannot_write(path: str, error: OSError) -> Diagnostic:
    reason = os.strerror(error.errno) if error.errno else str(error)
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        reason = "a file stands where a folder belongs"
    return Diagnostic("file-unwritable", f"cannot write: {reason}", path)
