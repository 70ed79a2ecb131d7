"""Reading a text file that a user named: never hangs, never loads something huge."""

from __future__ import annotations

import os
import stat
from typing import Final

from skyports_tf.diagnostics import Diagnostic, FindingsError

#: SkyPilot's own files stay far below; a larger one is a mistyped path.
MOST_BYTES: Final = 4 * 1024 * 1024

_UTF16 = (b"\xff\xfe", b"\xfe\xff")
# O_NONBLOCK: opening a pipe without a writer would wait for ever
_OPEN_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)


def read_text(path: str) -> str:
    """The text of the file, every line end a line feed, as Python's text mode gives it.

    Raises `FindingsError` for a path that is missing, a folder, unreadable, no regular file,
    larger than `MOST_BYTES`, or not UTF-8.
    """
    content = read_bytes(path)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _finding(path, "file-not-text", _not_utf8(content, error)) from None
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def read_bytes(path: str, most: int = MOST_BYTES) -> bytes:
    """What the file holds; raises `FindingsError` as `read_text`, where it is larger than `most`, too."""
    try:
        descriptor = os.open(path, _OPEN_FLAGS)
    except (OSError, ValueError) as error:
        raise _open_error(path, error) from None
    try:
        return _read_regular(path, descriptor, most)
    except OSError as error:
        raise _finding(path, "file-unreadable", f"cannot be read: {error.strerror}") from None
    finally:
        os.close(descriptor)


def _read_regular(path: str, descriptor: int, most: int) -> bytes:
    status = os.fstat(descriptor)
    if stat.S_ISDIR(status.st_mode):
        raise _finding(path, "file-is-directory", "is a folder, not a file")
    if not stat.S_ISREG(status.st_mode):
        raise _finding(path, "file-unreadable", "is not a regular file")
    if status.st_size > most:
        raise _too_large(path, f"{status.st_size / 1024 / 1024:.0f} MiB", most)
    content = b""
    # one read as a rule; the loop and the extra byte catch a file that grows meanwhile
    while part := os.read(descriptor, most + 1 - len(content)):
        content += part
    if len(content) > most:
        raise _too_large(path, f"more than {most // 1024 // 1024} MiB", most)
    return content


def _open_error(path: str, error: OSError | ValueError) -> FindingsError:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return _finding(path, "file-missing", "does not exist")
    if isinstance(error, OSError):
        return _finding(path, "file-unreadable", f"cannot be read: {error.strerror}")
    return _finding(path, "file-missing", "does not exist: the path holds a NUL character")


def _too_large(path: str, size: str, most: int) -> FindingsError:
    limit = f"{most // 1024 // 1024} MiB"
    return _finding(path, "file-too-large", f"is too large: {size}, and a file may have {limit}")


def is_data(path: str) -> bool:
    """Whether the file is no text in any code: data, or a file that git-crypt has closed.

    Raises `FindingsError` as `read_bytes`.
    """
    return _is_data(read_bytes(path))


def _is_data(content: bytes) -> bool:
    return b"\0" in content[:8192] and not content.startswith(_UTF16)


def _not_utf8(content: bytes, error: UnicodeDecodeError) -> str:
    if content.startswith(_UTF16):
        return "is UTF-16 text, and SkyPilot reads UTF-8 only"
    if _is_data(content):
        return "is a binary file, not text"
    return f"is not UTF-8 text: byte {error.start + 1} is 0x{content[error.start]:02x}"


def _finding(path: str, code: str, message: str) -> FindingsError:
    return FindingsError(Diagnostic(code, f"the file {message}", path))
