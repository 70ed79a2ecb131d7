"""What a task file adds to a tree for a while: which files those are, and how they are taken out again.

Used by `run`, and by `reap` for a `run` that was killed. Who calls this holds the clusters
(`lease.locked_clusters`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from skyports_tf.bookkeeping import ledger_names
from skyports_tf.closing import close_stack, plan_close
from skyports_tf.compilation import Compilation
from skyports_tf.config import Config
from skyports_tf.diagnostics import Diagnostic, FindingsError
from skyports_tf.lease import drop_lease, files_to_close, leases, locked_clusters, narrow_lease
from skyports_tf.lifecycle import Progress, RunSettings, apply_plan, close_ports, plan_stack
from skyports_tf.model import Stack
from skyports_tf.outcomes import PortRule, StackClosed, StackPlan
from skyports_tf.ports import PortRange, PortSet
from skyports_tf.recompile import recompile_stacks
from skyports_tf.running.changes import group_rules, stack_rules
from skyports_tf.running.settings import silent
from skyports_tf.running.shutdown import live_nodes
from skyports_tf.tree import stacks_of

_Reach = dict[tuple[str, str], PortSet]


@dataclass(frozen=True, slots=True)
class StackSettled:
    """A stack after tasks were taken out of it: what was applied, and the proof where nothing was left.

    `closed` is None where other tasks keep the stack alive, or where nodes keep its group: `notes` says so.
    """

    stack: Stack
    plan: StackPlan
    closed: StackClosed | None
    notes: tuple[Diagnostic, ...] = ()


def added_files(out: str, compilation: Compilation, tasks: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """By cluster of `compilation`, those of the files `tasks` that are in the ledger for holders' sake alone.

    A file that no ledger of the cluster has yet, or that another lease names. Ask before the
    compilation is written.
    """
    ledger_name = ledger_names(out)
    files = list(dict.fromkeys(map(ledger_name, tasks)))
    asked: dict[str, set[str]] = {}
    for item in compilation.stacks:
        asked.setdefault(item.stack.cluster, set()).update(entry.file for entry in item.stack.entries)
    added = {}
    for cluster, wanted in sorted(asked.items()):
        known = {entry.file for stack in stacks_of(out, cluster) for entry in stack.entries}
        leased = {file for lease in leases(out, cluster) for file in lease.files}
        added[cluster] = tuple(
            file for file in files if file in wanted and (file not in known or file in leased)
        )
    return added


def claim_files(out: str, compilation: Compilation, tasks: Iterable[str]) -> None:
    """The files `tasks` are applied to stay: no lease on a cluster of `compilation` names them any more."""
    files = set(map(ledger_names(out), tasks))
    for cluster in sorted({item.stack.cluster for item in compilation.stacks}):
        if not any(files.intersection(lease.files) for lease in leases(out, cluster)):
            continue
        with locked_clusters(out, [cluster]):
            for lease in leases(out, cluster):
                narrow_lease(lease, [file for file in lease.files if file not in files])


def forget_files(out: str, files: Mapping[str, Collection[str]], config: Config) -> tuple[Stack, ...]:
    """Take `files`, by cluster, out of the ledgers; gives the stacks of these clusters as they are then.

    Also those that hold none of the files (any more): an earlier try may have come this far, and
    what the files opened is open still. A cluster without files is left out. Raises
    `FindingsError` where what is left cannot be compiled.
    """
    stacks = [stack for cluster, gone in sorted(files.items()) if gone for stack in stacks_of(out, cluster)]
    compilation = recompile_stacks(
        out,
        stacks,
        lambda stack: [entry for entry in stack.entries if entry.file not in files[stack.cluster]],
        config,
    )
    return tuple(item.stack for item in compilation.stacks)


def drop_abandoned(out: str, closed: Mapping[str, Collection[str]]) -> None:
    """Remove abandoned leases on nothing but the files `closed`, by cluster: they are closed."""
    for cluster, files in closed.items():
        for lease in leases(out, cluster):
            if lease.state == "abandoned" and set(lease.files) <= set(files):
                drop_lease(lease)


def forget_abandoned(out: str, cluster: str, config: Config) -> None:
    """Take what abandoned leases name out of the ledgers of a cluster that is closed, and remove the leases.

    Raises `FindingsError` as `forget_files`.
    """
    with locked_clusters(out, [cluster]):
        known = leases(out, cluster)
        left = [lease for lease in known if lease.state == "abandoned"]
        forget_files(
            out, {cluster: {file for lease in left for file in files_to_close(lease, known)}}, config
        )
        for lease in left:
            drop_lease(lease)


def settle_stack(
    out: str, stack: Stack, allowed: Stack, settings: RunSettings, progress: Progress = silent
) -> StackSettled:
    """Bring the cloud to what the ledger of `stack` still asks for, and destroy it where that is nothing.

    `stack` has its names (`fill_stack`). While nodes run in the group, its ports are closed and it
    stays. What somebody agreed to open before is in `allowed`: raises `FindingsError` where more
    than that would open, and nothing is applied then.
    """
    if not stack.entries:
        plan = plan_close(out, stack, settings, progress)
        notes = tuple(_group_kept(out, stack, settings)) if plan.counts.any else ()
        if notes:
            return StackSettled(stack, close_ports(out, stack, settings, progress), None, notes)
        return StackSettled(stack, plan, close_stack(out, plan, settings, progress))
    plan = plan_stack(out, stack, settings, progress)
    refuse_to_open(plan, allowed)
    if plan.plan_file is not None:
        apply_plan(out, plan, settings, progress)
    return StackSettled(stack, plan, None)


def _group_kept(out: str, stack: Stack, settings: RunSettings) -> Iterator[Diagnostic]:
    """A note where the group of a stack without tasks has to outlive its nodes.

    Nodes that were launched into it hold it; and on some clouds it keeps out what would come in without it.
    """
    keeps_out = settings.catalog.load(stack.cloud).keeps_out
    if stack.mode != "takeover":
        return
    nodes = live_nodes(out, stack, settings)
    if nodes or (nodes is None and keeps_out):
        running = f"nodes run ({', '.join(nodes)})" if nodes else "nodes may run"
        message = f"{stack.name}: {running}, so the group stays, without ports"
        help_text = f"`skyports-tf down {stack.cluster}` removes it with the cluster"
        yield Diagnostic("group-kept", message, help=help_text, severity="note")


def refuse_to_open(plan: StackPlan, allowed: Stack) -> None:
    """Refuse a plan, which nobody was shown, that opens more than the rules of `allowed`, which somebody was.

    What is open already does not count. Raises `FindingsError`.
    """
    changes = plan.changes
    before = _reach([*changes.close, *(item.before for item in changes.change)])
    known = _reach(group_rules(stack_rules(allowed).values()))
    opened = []
    for cell, ports in _reach([*changes.open, *(item.after for item in changes.change)]).items():
        fresh = ports - before.get(cell, PortSet()) - known.get(cell, PortSet())
        opened += [f"{cell[0]} {item} from {cell[1]}" for item in fresh]
    if opened:
        message = f"{plan.stack.name}: this would also open what nobody agreed to: {', '.join(opened)}"
        help_text = "the tree was compiled anew meanwhile: look at `skyports-tf plan`, and apply it"
        raise FindingsError(Diagnostic("opens-unseen", message, help=help_text))


def _reach(rules: Iterable[PortRule]) -> _Reach:
    found: _Reach = {}
    for rule in rules:
        # a rule for every protocol begins at 0, which is no port
        ports = PortSet((PortRange(max(rule.from_port, 1), rule.to_port),))
        for source in rule.sources:
            key = (rule.protocol, source)
            found[key] = found.get(key, PortSet()) | ports
    return found
