"""What a plan opens beside the ports: SSH, on clouds where SkyPilot leaves that to us."""

from __future__ import annotations

from skyports_tf.model import Stack
from skyports_tf.outcomes import PortRule
from skyports_tf.running.changes import PORT_RULE, OpenRule, group_rules
from skyports_tf.running.stream import Record

SSH_RULE = "ssh"


def opened_ssh(record: Record, stack: Stack) -> tuple[PortRule, ...]:
    """What the plan opens for SSH: its rules are resources named `ssh`, or stand in the one for all ports.

    A rule's key is its source, or else says nothing of it; then it may be all who may use SSH.
    """
    made = {
        change.resource.key or ""
        for change in record.planned
        if change.action == "create"
        and (
            change.resource.name == SSH_RULE
            or (change.resource.name == PORT_RULE and not change.resource.key)
        )
    }
    if not made:
        return ()
    told = [source for source in stack.ssh_sources if str(source) in made] or stack.ssh_sources
    return group_rules(
        OpenRule("tcp", port, port, str(source)) for port in stack.ssh_ports for source in told
    )
