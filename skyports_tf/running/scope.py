"""Terraform for some stacks of a shared root module: it plans them alone, and tells of one as if it were."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any, Final

from skyports_tf import hcl
from skyports_tf.model import Stack
from skyports_tf.running.lens import Lens
from skyports_tf.running.stream import Record
from skyports_tf.terraform import Flag, OnEvent, Run, Terraform, read_json

#: Terraform's words for what `-target` does, which is what we want.
_TARGETING: Final = frozenset({"Resource targeting is in effect", "Applied changes may be incomplete"})
_CLOSED: Final = "closed=true"
#: What `terraform plan -detailed-exitcode` ends with where there is anything to do.
_CHANGES: Final = 2


class TargetingTerraform(Terraform):
    """Terraform in the folder of a shared root module, whose plans touch the modules of `stacks` alone."""

    def __init__(self, root: Terraform, stacks: Iterable[Stack]) -> None:
        super().__init__(root.program, root.folder, root.environment, root.signals)
        self.backend_config = root.backend_config
        self._modules = [Lens.of(stack).module for stack in stacks]

    def plan(self, *, on_event: OnEvent | None = None, **flags: Flag) -> Run:
        """Plan the stacks' modules, or what of them is targeted."""
        flags["target"] = flags.get("target") or self._modules
        return quiet(super().plan(on_event=on_event, **flags))

    def apply(self, plan_file: str, *, on_event: OnEvent | None = None, **flags: Flag) -> Run:
        """Apply a saved plan."""
        return quiet(super().apply(plan_file, on_event=on_event, **flags))


class ScopedTerraform(TargetingTerraform):
    """Terraform in the folder of a shared root module, as if the stack had it to itself.

    With `reader`, state and plans are read through it, once for many stacks.
    """

    def __init__(self, root: Terraform, stack: Stack, reader: RootReader | None = None) -> None:
        super().__init__(root, [stack])
        self._lens = Lens.of(stack)
        self._cluster = stack.cluster
        self._reader = reader

    def plan(self, *, on_event: OnEvent | None = None, **flags: Flag) -> Run:
        """Plan the stack's module, or what of it is targeted."""
        targets = flags.get("target")
        if isinstance(targets, list):
            flags["target"] = [self._lens.outward(address) for address in targets]
        if flags.get("var") == _CLOSED:
            flags["var"] = f"closed=[{hcl.quote(self._cluster)}]"
        run = self._seen(super().plan(on_event=on_event, **flags))
        # outputs of other stacks, and the one that a targeted plan leaves behind, are no changes of the stack
        return replace(run, code=0) if run.code == _CHANGES and not run.record.planned else run

    def apply(self, plan_file: str, *, on_event: OnEvent | None = None, **flags: Flag) -> Run:
        """Apply a saved plan, which is of this stack alone."""
        return self._seen(super().apply(plan_file, on_event=on_event, **flags))

    def output(self) -> Run:
        """The stack's outputs, as those of a root module of its own."""
        return self._read(self._pulled(), self._outputs)

    def show(self, *plan_file: str) -> Run:
        """The stack in the state, or in a saved plan."""
        reader = self._reader
        return self._read(reader.show(*plan_file) if reader else super().show(*plan_file), self._lens.shown)

    def state_pull(self) -> Run:
        """The stack in the state as it is kept."""
        return self._read(self._pulled(), self._lens.state)

    def state_list(self) -> Run:
        """The stack's addresses in the state."""
        run = self._reader.listed() if self._reader else super().state_list()
        return replace(run, stdout="\n".join(self._lens.addresses(run.stdout.splitlines())))

    def _pulled(self) -> Run:
        return self._reader.pulled() if self._reader else super().state_pull()

    def _outputs(self, state: Mapping[str, Any]) -> Mapping[str, Any]:
        return {name: {"value": value} for name, value in self._lens.outputs(state).items()}

    def _read(self, run: Run, cut: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> Run:
        if run.code != 0:
            return run
        document = self._reader.parse(run.stdout) if self._reader else read_json(run.stdout)
        return replace(run, stdout=json.dumps(cut(document)))

    def _seen(self, run: Run) -> Run:
        return replace(run, record=self._lens.record(run.record))


class RootReader:
    """The state and the plans of a root module, each read once, until `forget`."""

    def __init__(self, root: Terraform) -> None:
        self._root = root
        self.forget()

    def forget(self) -> None:
        """Read anew from now on: the state has changed."""
        self.pulled = cache(lambda: self._root.state_pull())
        self.listed = cache(lambda: self._root.state_list())
        self.show = cache(lambda *plan_file: self._root.show(*plan_file))
        #: What was read, parsed once.
        self.parse = cache(read_json)


def seen_by(stack: Stack, record: Record) -> Record:
    """What a run on a root module said of one of its stacks."""
    return Lens.of(stack).record(record)


def seen_in(stack: Stack, addresses: Iterable[str]) -> list[str]:
    """Those of a root module's addresses that are the stack's, as it calls them."""
    return Lens.of(stack).addresses(addresses)


def quiet(run: Run) -> Run:
    """A run without Terraform's warnings of `-target`."""
    said = tuple(message for message in run.record.messages if message.summary not in _TARGETING)
    return replace(run, record=replace(run.record, messages=said))
