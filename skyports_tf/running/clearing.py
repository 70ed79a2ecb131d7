"""The folder of a root module that is gone: nothing of ours stays behind in it."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from skyports_tf.clouds import Catalog
from skyports_tf.model import Stack
from skyports_tf.render import render_group
from skyports_tf.roots import root_of
from skyports_tf.running.initialization import LOCK_FILE, STATE_FILE
from skyports_tf.running.planfiles import PLAN_FILE, SHOWN_FILE
from skyports_tf.running.staterooms import is_empty
from skyports_tf.tree import all_stacks

#: What a root module leaves in its folder that is of no use once it is gone; backups of its state stay.
_BESIDE: Final = (LOCK_FILE, PLAN_FILE, SHOWN_FILE, f".{SHOWN_FILE}")


def clear_folder(folder: Path, files: Iterable[str]) -> None:
    """Remove what a root module that is gone has left in its folder, and the folder if nothing else is there.

    `files` are the names of its own files that are still there. A local state goes where it holds nothing.
    """
    for name in (*_BESIDE, *files):
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder / ".terraform", ignore_errors=True)
    state = folder / STATE_FILE
    if state.is_file() and is_empty(state):
        state.unlink()
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def clear_shared_root(out: str, stack: Stack, catalog: Catalog) -> None:
    """Remove the root module that `stack` has shared with others, where none of them is in it any more."""
    root = root_of(stack)
    if stack.layout == "separate" or any(root_of(other) == root for other in all_stacks(out)):
        return
    folder = Path(out, root)
    clear_folder(folder, [Path(file.path).name for file in render_group(stack, catalog)])
    with suppress(OSError):  # another place's, or nothing
        folder.parent.rmdir()
