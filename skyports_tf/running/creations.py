"""What Terraform is making right now, and what it failed to make."""

from __future__ import annotations

from skyports_tf.running.stream import Step


class Creations:
    """What Terraform is making right now, and what it failed to make.

    Terraform stops its providers on SIGINT, and these drop the calls under way: what the cloud
    has made by then is in no state, and in the way of the next apply (Terraform 1.11 with the
    AWS provider 5.100: "InvalidPermission.Duplicate"). So a signal waits for a quiet moment.
    """

    def __init__(self) -> None:
        self.failed: list[str] = []
        self._open: set[str] = set()
        self._moved = False

    def hear(self, step: Step) -> None:
        """Follow one step of the stream."""
        if step.action != "create":
            return
        self._moved = True
        if step.phase == "start":
            self._open.add(step.resource.address)
        elif step.phase != "progress":
            self._open.discard(step.resource.address)
        if step.phase == "errored":
            self.failed.append(step.resource.address)

    def is_busy(self) -> bool:
        """Whether anything is being made, or was since the last question."""
        moved, self._moved = self._moved, False
        return moved or bool(self._open)
