"""What a shared root module still tells of a stack that is gone: taken out of its state.

A plan that targets the module of a stack leaves the output that tells of it as it was (Terraform 1.11).
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from skyports_tf.running.execution import Execution
from skyports_tf.running.initialization import STATE_FILE
from skyports_tf.running.lens import Lens
from skyports_tf.terraform import Terraform, read_json


def drop_stale_outputs(execution: Execution) -> None:
    """Take the outputs of those of the stacks that hold nothing out of the state.

    The serial of the state tells whether somebody else was quicker: then Terraform refuses the state, and
    `TerraformError` is raised.
    """
    if execution.stack.layout == "separate":
        return
    run = execution.run(execution.root.state_pull)
    state = read_json(run.stdout)
    lenses = [Lens.of(stack) for stack in execution.stacks]
    stale = {lens.output for lens in lenses if not lens.outputs(state)} & set(state.get("outputs") or {})
    if not stale:
        return
    outputs = {name: value for name, value in state["outputs"].items() if name not in stale}
    push_state(execution, execution.root, {**state, "outputs": outputs, "serial": int(state["serial"]) + 1})
    execution.reader.forget()


def push_state(execution: Execution, terraform: Terraform, state: dict[str, object]) -> None:
    """Put a state in the place of the one that is kept, which must be the one that it was made from.

    Raises `TerraformError` where it is not.
    """
    with tempfile.TemporaryDirectory(prefix="skyports-") as room:
        file = Path(room, STATE_FILE)
        file.touch(mode=0o600)
        file.write_text(json.dumps(state), encoding="utf-8")
        execution.run(lambda: terraform.state_push(str(file), force=False))
