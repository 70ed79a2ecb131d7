"""Every kind of finding: its code, what it means and the way out.

docs/errors.md is written from this table (`make docs`), and `Diagnostic` refuses a code
that is not in it, so neither can fall behind the other.
"""

from __future__ import annotations

from typing import Final

#: code -> (meaning, way out), one sentence each.
CODES: Final[dict[str, tuple[str, str]]] = {
    # reading files
    "file-missing": ("The file does not exist.", "Check the path."),
    "file-unreadable": ("The file cannot be read.", "Check its permissions."),
    "file-is-directory": ("A folder stands where a file is needed.", "Name a file in it."),
    "file-too-large": ("The file is far larger than any task file.", "Check that the path is the right one."),
    "file-not-text": ("The file is not UTF-8 text.", "Save it as UTF-8."),
    "file-empty": ("The file holds no task.", "Write a task, such as `run: echo hello`."),
}
