"""What `reap` tells: which clusters are gone, what was closed or is to be, as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from skyports_tf.diagnostics import Diagnostic, visible
from skyports_tf.life import LifeState
from skyports_tf.outcomes import PortRule
from skyports_tf.reaped import ClusterReaped, StackReaped, Why
from skyports_tf.report.expiry import expiry_json
from skyports_tf.report.json_output import changes_json, kept_json, rule_json, tree_json
from skyports_tf.report.rules import port_texts, range_text
from skyports_tf.report.style import Look, columns, count, style

_LOOKS: dict[LifeState, Look] = {
    "closed": "dim",
    "alive": "green",
    "empty": "yellow",
    "gone": "red",
    "unknown": "yellow",
}
_WHY: dict[Why, str] = {
    "gone": "the cluster is gone",
    "abandoned": "a `run` was killed",
    "expired": "expired",
}


def reap_text(reaped: Sequence[ClusterReaped], acting: bool) -> str:
    """A block a cluster, then what it comes to; no newline at the end. `acting` says that it was done."""
    if not reaped:
        return "no stacks"
    due = [item for item in reaped if item.is_due]
    verb = "Reaped:" if acting else "To reap:"
    told = f"{len(due)} of {count(len(reaped), 'cluster')}" if due else "nothing"
    return "\n".join([*(_block(item) for item in reaped), "", f"{style(verb, 'bold')}  {told}"])


def reap_json(
    out: str,
    reaped: Sequence[ClusterReaped],
    files: Mapping[str, Iterable[str]],
    diagnostics: Iterable[Diagnostic],
) -> dict[str, Any]:
    """The document of `reap`; `files` are the generated files of each stack by its folder."""
    stacks = [_stack_json(item, files[item.stack.directory]) for one in reaped for item in one.stacks]
    document = tree_json(out, stacks, diagnostics)
    clusters = [_cluster_json(item) for item in reaped]
    return {
        "version": document["version"],
        "out": out,
        "clusters": clusters,
        "stacks": document["stacks"],
        "diagnostics": document["diagnostics"],
    }


def reap_findings(reaped: Sequence[ClusterReaped], checking: bool) -> list[Diagnostic]:
    """What is worth a word: clusters of which nothing is known, and when `checking`, what is to be reaped."""
    found = [
        Diagnostic(
            "life-unknown",
            f"{item.cluster}: {item.life.reason}; its ports stay open",
            severity="warning",
            help="run reap where SkyPilot knows the cluster, or destroy it",
        )
        for item in reaped
        if item.life.state == "unknown" and not item.failures
    ]
    if checking:
        found += [
            Diagnostic("to-reap", f"{item.cluster}: {_due_words(item)}", help="run reap without --check")
            for item in reaped
            if item.is_due
        ]
    return found


def _due_words(item: ClusterReaped) -> str:
    reasons = dict.fromkeys(_WHY[why] for stack in item.stacks for why in stack.why)
    ports = port_texts(rule for stack in item.stacks for rule in stack.changes.close)
    told = ", ".join(reasons) or f"a killed `run` has left {', '.join(item.forgotten)} in the ledger"
    return f"{told}; open: {', '.join(ports) or 'no port'}"


def _block(item: ClusterReaped) -> str:
    life = item.life
    lines = [
        f"{style(item.cluster, 'bold')}  {style(life.state, _LOOKS[life.state])}  {visible(life.reason)}"
    ]
    if item.forgotten:
        lines.append(f"  a killed `run` had opened the ports of {visible(', '.join(item.forgotten))}")
    for stack in item.stacks:
        lines += _stack_lines(stack)
    return "\n".join(lines)


def _stack_lines(item: StackReaped) -> list[str]:
    if not item.why:
        return []
    why = ", ".join(_WHY[reason] for reason in item.why)
    rows = [row for rule in item.changes.close for row in _rows(rule)]
    rows += [row for change in item.changes.change for row in _rows(change.after, "~ change")]
    head = f"  {style(item.stack.name, 'bold')}  {why}"
    if item.done:
        removed = f", {count(item.counts.delete, 'resource')} deleted" if item.counts.delete else ""
        head += f": closed{removed}" + ("; nothing is left" if item.verified_empty else "")
    return [head, *columns(rows, indent=4)]


def _rows(rule: PortRule, mark: str = "- close") -> list[tuple[str, ...]]:
    return [
        (mark, f"{rule.protocol} {range_text(rule)}", source) if not place else ("", "", source)
        for place, source in enumerate(rule.sources or ("",))
    ]


def _cluster_json(item: ClusterReaped) -> dict[str, Any]:
    life = item.life
    return {
        "cluster": item.cluster,
        "state": life.state,
        "reason": life.reason,
        "nodes": None if life.nodes is None else list(life.nodes),
        "empty_since": life.empty_since,
        "gone_at": life.gone_at,
        "forgotten": list(item.forgotten),
    }


def _stack_json(item: StackReaped, files: Iterable[str]) -> dict[str, Any]:
    return {
        **kept_json(item.stack, files),
        "changed": item.done and "gone" not in item.why,
        "expires": expiry_json(item.stack),
        **changes_json(item.changes, item.counts),
        "verified_empty": item.verified_empty,
        "reap": list(item.why),
        "expired": [rule_json(rule) for rule in item.expired],
        "done": item.done,
    }
