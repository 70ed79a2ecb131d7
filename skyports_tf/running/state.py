"""What a stack's state says, through Terraform: outputs, rules, addresses.

`terraform output` starts no provider and costs a tenth of `terraform show`; but the outputs
are those of the last apply that went through. A mark stands from before an apply until it has
gone through, and while it stands the resources themselves are asked.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from skyports_tf.backends import LOCAL
from skyports_tf.model import Stack
from skyports_tf.outcomes import StackStatus
from skyports_tf.running.changes import (
    PORT_RULE,
    OpenRule,
    endpoints_of,
    group_rules,
    is_content_key,
    nodes_of,
    output_rules,
    resources_of,
    stack_rules,
    state_rules,
)
from skyports_tf.running.contents import packed_rules, told_rules
from skyports_tf.running.execution import Execution
from skyports_tf.running.initialization import STATE_FILE, StackPaths, backend_of, writing
from skyports_tf.running.migration import earlier_backend
from skyports_tf.terraform import read_json

# `id` alone is often not what a provider imports by
_ID_ATTRIBUTES = ("id", "security_group_rule_id", "arn", "self_link")
_MARK = "skyports.unfinished"
_LOCAL_STATES = (STATE_FILE, f"{STATE_FILE}.d", f"{STATE_FILE}.backup")


def never_applied(paths: StackPaths) -> bool:
    """Whether the state is kept in the stack's own folder, and there is none: told without Terraform."""
    elsewhere = any(os.environ.get(name) for name in ("TF_WORKSPACE", "TF_DATA_DIR"))
    if elsewhere or backend_of(paths.folder) != LOCAL or earlier_backend(paths) not in ("", LOCAL):
        return False
    return paths.folder.is_dir() and not any(_holds(paths.folder / name) for name in _LOCAL_STATES)


def _holds(file: Path) -> bool:
    """Whether there is a state, or what may be one."""
    try:
        return file.lstat().st_size > 0
    except FileNotFoundError:
        return False


def never_begun(paths: StackPaths) -> bool:
    """Whether nothing was ever applied, and no apply begun from here that might have made something."""
    return never_applied(paths) and not is_unfinished(paths)


def mark_unfinished(paths: StackPaths) -> None:
    """Note that the resources may be ahead of the outputs. Raises `FindingsError` where that fails."""
    with writing(paths.data):
        paths.data.mkdir(exist_ok=True)
        paths.mark(_MARK).touch()


def mark_finished(paths: StackPaths) -> None:
    """Note that the outputs tell the truth."""
    paths.mark(_MARK).unlink(missing_ok=True)


def is_unfinished(paths: StackPaths) -> bool:
    """Whether an apply was begun from here that has not gone through."""
    return paths.mark(_MARK).exists()


def read_outputs(execution: Execution) -> dict[str, Any]:
    """The root module's outputs by name; empty where nothing was ever applied."""
    outputs = read_json(execution.run(execution.terraform.output).stdout)
    return {
        name: output["value"]
        for name, output in outputs.items()
        if isinstance(output, dict) and "value" in output
    }


def read_addresses(execution: Execution) -> tuple[str, ...]:
    """The addresses of everything in the state, data sources left out."""
    run = execution.run(execution.terraform.state_list, ok=(0, 1))
    if run.code == 1 and "No state file was found" not in run.words:
        raise execution.failure(run)
    return tuple(line for line in run.stdout.splitlines() if line and not _is_data(line))


def read_port_resources(execution: Execution) -> list[str]:
    """The addresses, without their keys, of the resources in the state that open ports."""
    names = {address.partition("[")[0] for address in read_addresses(execution)}
    return sorted(name for name in names if name.endswith(f".{PORT_RULE}"))


def show_state(execution: Execution) -> Mapping[str, Any]:
    """The whole state, as `terraform show -json` gives it."""
    return read_json(execution.run(execution.terraform.show).stdout)


def show_plan(execution: Execution, plan_file: str) -> Mapping[str, Any]:
    """A saved plan, as `terraform show -json` gives it."""
    return read_json(execution.run(lambda: execution.terraform.show(plan_file)).stdout)


def state_objects(shown: Mapping[str, Any]) -> tuple[frozenset[str], frozenset[str]]:
    """The addresses of what a state holds, and the ids by which it can be imported.

    `shown` is `terraform show -json` without a plan.
    """
    root = (shown.get("values") or {}).get("root_module") or {}
    found = [item for item in resources_of(root) if item.get("mode") != "data"]
    values = [item.get("values") or {} for item in found]
    identifiers = {str(value[name]) for value in values for name in _ID_ATTRIBUTES if value.get(name)}
    return frozenset(str(item.get("address")) for item in found), frozenset(identifiers)


def _is_data(address: str) -> bool:
    # module keys may hold dots, data sources have none in their own type and name
    return address.startswith("data.") or ".data." in address.partition("[")[0]


def read_open_rules(execution: Execution, outputs: Mapping[str, Any]) -> dict[str, OpenRule]:
    """The port rules of the state by key; from the resources where the outputs can't be trusted."""
    ahead = is_unfinished(execution.paths) or (not outputs and bool(read_addresses(execution)))
    if not ahead:
        return output_rules(outputs)
    shown = show_state(execution)
    rules = state_rules(shown, stack_rules(execution.stack))
    if all(map(is_content_key, rules)):
        return rules
    return packed_rules(execution.stack, rules)


def status_of(stack: Stack, rules: Mapping[str, OpenRule], outputs: Mapping[str, Any]) -> StackStatus:
    """The status of a stack from its rules and outputs."""
    return StackStatus(
        stack=stack,
        state="open" if rules else "closed",
        rules=group_rules(told_rules(rules.values(), stack)),
        nodes=nodes_of(outputs),
        endpoints=endpoints_of(outputs),
    )


def with_tasks(rules: Mapping[str, OpenRule], stack: Stack) -> dict[str, OpenRule]:
    """The rules, with the task files that ask for them in the stack."""
    wanted = stack_rules(stack)
    return {
        key: OpenRule(*rule.opening, tasks=wanted[key].tasks if key in wanted else ())
        for key, rule in rules.items()
    }
