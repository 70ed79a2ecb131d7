"""What a shared root module still tells of a stack that is gone: taken out of its state.

A plan that targets the module of a stack leaves the output that tells of it as it was (Terraform 1.11).
"""

from __future__ import annotations

import json

from skyports_tf.running.execution import Execution
from skyports_tf.running.lens import Lens
from skyports_tf.running.staterooms import pushed, successor
from skyports_tf.terraform import read_json


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
    left = json.dumps(successor({**state, "outputs": outputs}))
    execution.run(lambda: pushed(execution.root, left))
    execution.reader.forget()
