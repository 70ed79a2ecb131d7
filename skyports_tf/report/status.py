"""What `status`, and `apply` at its end, tell a person: open ports, nodes, endpoints."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from skyports_tf.deadlines import Expiration, expirations
from skyports_tf.diagnostics import visible
from skyports_tf.outcomes import Node, PortRule, StackState, StackStatus
from skyports_tf.report.endpoints import endpoint, head_address, head_of, is_reachable
from skyports_tf.report.expiry import expiry_note
from skyports_tf.report.rules import is_internet, range_text
from skyports_tf.report.style import Look, columns, style

_STATE_LOOKS: dict[StackState, Look] = {"open": "green", "closed": "dim", "unknown": "yellow"}


def status_text(statuses: Sequence[StackStatus], now: datetime | None = None) -> str:
    """A block a stack: its state, its ports with their endpoints, its nodes; no newline at the end.

    With `now`, open ports that are past their time are told as such.
    """
    return "\n\n".join(status_block(status, now) for status in statuses) if statuses else "no stacks"


def status_block(status: StackStatus, now: datetime | None = None) -> str:
    """One stack."""
    reason = f": {visible(status.reason)}" if status.reason else ""
    lines = [f"{style(status.stack.name, 'bold')}  {style(status.state, _STATE_LOOKS[status.state])}{reason}"]
    if status.rules:
        known = expirations(status.stack, now)
        rows = [row for rule in status.rules for row in _rule_rows(rule, _reached(rule, status), known)]
        heads = ("port", "from", "endpoint" if is_reachable(status) else "", "expires" if known else "")
        lines += _table(heads, rows)
    if status.nodes:
        lines += _table(("node", "public", "private"), _node_rows(status.nodes))
    elif status.state == "open" and not status.endpoints:
        lines.append(style("  no nodes yet: after the launch, apply again to see the endpoints", "dim"))
    return "\n".join(lines)


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    title, *body = columns([heads, *rows])
    return [style(title, "dim"), *body]


def _reached(rule: PortRule, status: StackStatus) -> str:
    """Where a rule's ports are reached; of several with endpoints of their own, the first."""
    address = head_address(status)
    if address is not None:
        return endpoint(address, range_text(rule))
    first = str(rule.from_port) if rule.protocol == "tcp" else f"{rule.protocol} {rule.from_port}"
    text = status.endpoints.get(first, "")
    return f"{text} ..." if text and rule.to_port > rule.from_port else text


def _rule_rows(rule: PortRule, reached: str, known: Sequence[Expiration]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for source in rule.sources or [""]:
        shown = f"{source} (internet)" if is_internet(source) else source
        until = expiry_note(rule, source, known)
        port, where = ("", "") if rows else (f"{rule.protocol} {range_text(rule)}", reached)
        rows.append((port, shown, where, until))
    return rows


def _node_rows(nodes: Sequence[Node]) -> list[tuple[str, ...]]:
    head = head_of(nodes)
    return [
        (f"{node.id} (head)" if node is head else node.id, node.public_ip or "-", node.private_ip or "-")
        for node in nodes
    ]
