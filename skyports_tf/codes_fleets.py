"""Findings of many stacks: folders of tasks, where their states are, what has changed; see `codes`."""

from __future__ import annotations

from typing import Final

#: code -> (meaning, way out), one sentence each.
FLEET_CODES: Final[dict[str, tuple[str, str]]] = {
    # folders and fleets
    "folder-empty": ("A folder was named, and no task file is in it or below it.", "Check the path."),
    "not-tasks": (
        "Files of a folder are no task files, and were left out.",
        "Nothing, if that is so; else name the file itself, to see what is wrong with it.",
    ),
    "nothing-compiled": (
        "`--all` stands for every task of the tree, which holds no stack: nothing was checked or planned.",
        "Compile task files first; or run it where the tree is, or name the tree with `--out`.",
    ),
    "git-missing": (
        "`--since` needs git, and there is none that can be run.",
        "Install git, or leave it out.",
    ),
    "git-failed": (
        "`--since` asks git what has changed, and git cannot tell; its own words are in the message.",
        "Do what the help says.",
    ),
    "changed-since": ("`--since` has left out stacks whose inputs are those of that commit.", "Nothing."),
    "stack-gone": (
        "The folder of a stack was removed while tasks asked for its ports: what is open stays open.",
        "Put it back, and take its tasks out with `--forget`; remove it once that was applied. "
        "After a `destroy`, nothing.",
    ),
    # where states are
    "layout-kept": (
        "Stacks are laid out otherwise than the config says: a compile does not move their states.",
        "Run `skyports-tf relayout`, or let the config say what is there.",
    ),
    "plan-shared": (
        "A saved plan is of several clusters of one root module, and one of them was to be applied alone.",
        "Do what the help says.",
    ),
    "layout-differs": (
        "Two clusters of a place cannot share a root module, since it would have to be another one for each.",
        "Do what the help says.",
    ),
    "layout-busy": (
        "A stack cannot move to another layout now; the message says why.",
        "Do what the help says; nothing was moved.",
    ),
    "backend-moved": (
        "The files name another place for a stack's state than where it lies.",
        "Say `--migrate-state`: it is copied there, and checked.",
    ),
    "backend-conflict": (
        "A state cannot follow its backend without a loss: another one lies there, or it did not arrive.",
        "Do what the help says; nothing was overwritten.",
    ),
    "local-state-in-pipeline": (
        "A pipeline keeps the state beside the files, where it is lost with the machine.",
        "Set `backend` in the config.",
    ),
}
