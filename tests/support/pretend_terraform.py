"""A pretend Terraform: it plans and applies one rule at once, and fails for the cluster `bad`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.support.stacks import write_program

_RULE = {
    "addr": 'module.ports.aws_vpc_security_group_ingress_rule.port["tcp-8888@0.0.0.0/0"]',
    "module": "module.ports",
    "resource": 'aws_vpc_security_group_ingress_rule.port["tcp-8888@0.0.0.0/0"]',
    "resource_type": "aws_vpc_security_group_ingress_rule",
    "resource_name": "port",
    "resource_key": "tcp-8888@0.0.0.0/0",
}
_PLANNED: list[dict[str, Any]] = [
    {"type": "version", "terraform": "1.11.4", "ui": "1.2"},
    {"type": "planned_change", "change": {"resource": _RULE, "action": "create"}},
    {"type": "change_summary", "changes": {"add": 1, "change": 0, "remove": 0, "operation": "plan"}},
    {"type": "of_a_later_version", "@message": "something new"},
]
_OUTPUTS = {
    "rules": {
        "sensitive": False,
        "value": {
            "tcp-8888@0.0.0.0/0": {
                "protocol": "tcp",
                "from_port": 8888,
                "to_port": 8888,
                "source": "0.0.0.0/0",
            }
        },
    },
    "nodes": {
        "sensitive": False,
        "value": [{"id": "i-0a", "public_ip": "203.0.113.7", "private_ip": "10.0.0.4", "head": True}],
    },
}
_APPLIED: list[dict[str, Any]] = [
    {
        "type": "apply_complete",
        "@message": "port: Creation complete",
        "hook": {"resource": _RULE, "action": "create"},
    },
    {"type": "change_summary", "changes": {"add": 1, "change": 0, "remove": 0, "operation": "apply"}},
    {"type": "outputs", "outputs": _OUTPUTS},
]
_FAILED: list[dict[str, Any]] = [
    {
        "type": "diagnostic",
        "@level": "error",
        "@message": "Error: no luck",
        "diagnostic": {"severity": "error", "summary": "no luck", "detail": "The moon was wrong."},
    }
]


def pretend_terraform(folder: Path) -> Path:
    """Write the program into `folder`; it notes its commands in `calls` beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, events in (("planned", _PLANNED), ("applied", _APPLIED), ("failed", _FAILED)):
        text = "".join(json.dumps({"@level": "info", "@message": "", **event}) + "\n" for event in events)
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "outputs").write_text(json.dumps(_OUTPUTS), encoding="utf-8")
    return write_program(
        folder / "terraform",
        f"""\
        cd_to="$PWD"
        here='{folder}'
        echo "$1 $cd_to" >> "$here/calls"
        case "$1 $cd_to" in
          init*) mkdir -p .terraform ;;
          plan*/bad/*) cat "$here/failed"; exit 1 ;;
          plan*) cat "$here/planned" ;;
          apply*) echo '{{}}' > terraform.tfstate; cat "$here/applied" ;;
          output*) cat "$here/outputs" ;;
        esac
        """,
    )


def commands(project: Path) -> list[str]:
    """The commands that were run for the project beside the program's folder `bin`."""
    lines = (project.parent / "bin" / "calls").read_text(encoding="utf-8").splitlines()
    return [line.partition(" ")[0] for line in lines]
