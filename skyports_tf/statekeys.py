"""Whether each stack of a tree has a state of its own: two with one key would overwrite each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from skyports_tf.backends import KEY_PREFIX, backends, keys_may_meet, state_key
from skyports_tf.config import Config
from skyports_tf.diagnostics import Diagnostic
from skyports_tf.model import Stack
from skyports_tf.roots import root_of
from skyports_tf.tree import directories_of_tree, roots_of_groups


def key_findings(out: str, stacks: Sequence[Stack], config: Config) -> Iterator[Diagnostic]:
    """An error for each of `stacks` whose state would lie where another's of the tree `out` does.

    The others are asked for their folders alone: a key follows from the folder and the config.
    """
    if not stacks or not keys_may_meet(config.backend_kind, config.backend):
        return
    mine = {root_of(stack) for stack in stacks}
    others = {*directories_of_tree(out), *roots_of_groups(out)}
    owners: dict[str, str] = {}
    # what is in the tree was there first
    for directory in [*sorted(others - {*mine, *(stack.directory for stack in stacks)}), *sorted(mine)]:
        key = state_key(config.backend_kind, config.backend, directory)
        owner = owners.setdefault(key, directory)
        if owner != directory and directory in mine:
            yield _shared(config, owner, directory, key)


def layout_findings(stacks: Sequence[Stack], config: Config) -> Iterator[Diagnostic]:
    """A note where stacks are laid out otherwise than the config says: they stay so, as their states do."""
    others = [stack.name for stack in stacks if stack.layout != config.layout]
    if others:
        which = others[0] if len(others) == 1 else f"{len(others)} stacks"
        message = f"{which} stays" if len(others) == 1 else f"{which} stay"
        message += f" in the layout that is there, and the config says {config.layout!r}"
        help_text = "`skyports-tf relayout` moves them with their states; no port closes by it"
        yield replace(config.finding("layout-kept", message, ("layout",), help_text), severity="note")


def _shared(config: Config, first: str, second: str, key: str) -> Diagnostic:
    backend = backends()[config.backend_kind]
    names = [name for name in (backend.key or "", KEY_PREFIX) if name in config.backend]
    at = ("backend", config.backend_kind, *names[:1])
    message = f"the stacks {first} and {second} would share one state: {backend.key} is {key!r} for both"
    help_text = "let it differ by stack, such as by {directory}, or rename one of the clusters"
    return config.finding("backend-key-shared", message, at, help_text)
