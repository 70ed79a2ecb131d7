"""What `plan`, `apply` and `destroy` tell a person, in ports."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from skyports_tf.deadlines import Expiration, expirations
from skyports_tf.diagnostics import Diagnostic, visible
from skyports_tf.model import Stack
from skyports_tf.outcomes import PortChanges, PortRule, ResourceCounts, StackClosed, StackPlan
from skyports_tf.report.expiry import expiry_note, unchanged
from skyports_tf.report.rules import is_internet, range_text, task_files
from skyports_tf.report.style import Look, columns, count, style

_MARKS = {"open": "+", "change": "~", "close": "-", "keep": "="}
_LOOKS: dict[str, Look] = {"open": "green", "change": "yellow", "close": "red", "keep": "dim"}
TO_THE_INTERNET = "to the internet"


def plan_text(plans: Sequence[StackPlan]) -> str:
    """Per stack what opens, changes and closes, then the totals and where the plans were saved.

    Ends without a newline.
    """
    parts = [plan_block(plan) for plan in plans]
    return "\n\n".join([*parts, "\n".join([*_totals(plans), *_saved(plans)])])


def plan_block(plan: StackPlan) -> str:
    """One stack's changes, with the warning where a port opens to every address."""
    lines = [_heading(plan.stack)]
    if not (plan.changes.open or plan.changes.change or plan.changes.close):
        lines.append(f"  {_quiet_change(plan)}")
    lines += _change_lines(plan)
    lines += _step_lines(plan)
    lines += _ssh_lines(plan.ssh)
    lines += _internet_warning(plan.changes)
    return "\n".join(lines)


def applied_text(plans: Sequence[StackPlan]) -> str:
    """What was applied, with an empty line after it; nothing where there was nothing to do."""
    if not any(plan.counts.any for plan in plans):
        return ""
    opened, changed, closed = port_counts(plans)
    most = max(plan.steps for plan in plans)
    steps = f", {steps_text(most)}" if most > 1 else ""
    return f"{style('Applied:', 'bold')}    {opened} opened, {changed} changed, {closed} closed{steps}\n\n"


def closing_text(plans: Sequence[StackPlan]) -> str:
    """Per stack the ports that a shutdown closes, then the totals."""
    _, _, closed = port_counts(plans)
    totals = [
        f"{style('Ports:', 'bold')}      {closed} to close",
        f"{style('Terraform:', 'bold')}  {total_counts(plans).delete} to delete",
    ]
    return "\n\n".join([*(_closing_block(plan) for plan in plans), "\n".join(totals)])


def closed_text(closed: Sequence[StackClosed]) -> str:
    """What was closed, and the proof that nothing is left, a line a stack."""
    return "\n".join(_closed_line(item) for item in closed)


def terraform_words(counts: ResourceCounts) -> str:
    """A plan's counts in Terraform's own words: `3 to import, 0 to add, 0 to change, 0 to destroy`."""
    moved = [f"{counts.imported} to import"] if counts.imported or not counts.forgotten else []
    moved += [f"{counts.forgotten} to forget"] if counts.forgotten else []
    return ", ".join(
        [*moved, f"{counts.create} to add", f"{counts.update} to change", f"{counts.delete} to destroy"]
    )


def exposure_warnings(plans: Iterable[StackPlan]) -> list[Diagnostic]:
    """A warning for each stack that a plan opens to every address."""
    return [
        Diagnostic("open-to-internet", f"{plan.stack.name}: {exposure_text(reached)}", severity="warning")
        for plan in plans
        if (reached := exposed_ports(plan.changes))
    ]


def _closing_block(plan: StackPlan) -> str:
    lines = [_heading(plan.stack), *_closing_lines(plan)]
    if len(lines) == 1:
        lines.append(f"  no port is open; {count(plan.counts.delete, 'resource')} to delete")
    return "\n".join(lines)


def _heading(stack: Stack) -> str:
    files = ", ".join(task_files(stack)) or "no task is left"
    return f"{style(stack.name, 'bold')}  {style(visible(files), 'dim')}"


def _change_lines(plan: StackPlan) -> list[str]:
    """What changes, each with the time when it closes, then what else closes at a time."""
    changes, known = plan.changes, expirations(plan.stack)
    rows = [row for rule in changes.open for row in _rule_rows("open", rule, known)]
    for item in changes.change:
        rows += _rule_rows("change", item.after, known, rule_difference(item.before, item.after))
    rows += [row for rule in changes.close for row in _rule_rows("close", rule, known)]
    shown = [*changes.open, *(item.after for item in changes.change)]
    rows += [row for rule, item in unchanged(known, shown) for row in _rule_rows("keep", rule, [item])]
    return _table(rows)


def _closing_lines(plan: StackPlan) -> list[str]:
    return _table([row for rule in plan.changes.close for row in _rule_rows("close", rule, ())])


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    lines = columns([row[1:] for row in rows])
    return [_tinted(kind, line) for (kind, *_), line in zip(rows, lines, strict=True)]


def _rule_rows(
    kind: str, rule: PortRule, known: Sequence[Expiration], note: str = ""
) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for source in rule.sources or [""]:
        said = [note] if note and not rows else []
        if kind in ("open", "change") and is_internet(source):
            said.append(TO_THE_INTERNET)
        if until := expiry_note(rule, source, known):
            said.append(until)
        first = (f"{_MARKS[kind]} {kind}", f"{rule.protocol} {range_text(rule)}") if not rows else ("", "")
        rows.append((kind, *first, source, ", ".join(said)))
    return rows


def rule_difference(before: PortRule, after: PortRule) -> str:
    """What a changed rule was, in a few words."""
    told = []
    if (before.protocol, before.from_port, before.to_port) != (
        after.protocol,
        after.from_port,
        after.to_port,
    ):
        told.append(f"was {before.protocol} {range_text(before)}")
    if set(before.sources) != set(after.sources):
        told.append(f"was from {', '.join(before.sources)}")
    return ", ".join(told) or "other description"


def _tinted(kind: str, line: str) -> str:
    mark = f"{_MARKS[kind]} {kind}"
    head, found, rest = line.partition(mark)
    if found:
        line = head + style(mark, _LOOKS[kind]) + rest
    body, found, after = line.rpartition(TO_THE_INTERNET)
    return body + style(TO_THE_INTERNET, "yellow") + after if found else line


def _quiet_change(plan: StackPlan) -> str:
    if plan.counts.any:
        return f"no port changes, but Terraform has {resource_words(plan.counts)}"
    return "no port changes; apply records the nodes" if plan.outputs_changed else "no changes"


def _step_lines(plan: StackPlan) -> list[str]:
    """In how many steps, and why, in one quiet line; nothing where one will do."""
    return [style(f"  {steps_text(plan.steps)}: open first, then close", "dim")] if plan.steps > 1 else []


def steps_text(steps: int) -> str:
    """`in two steps`."""
    return f"in {'two' if steps == 2 else steps} steps"


def _ssh_lines(ssh: Sequence[PortRule]) -> list[str]:
    """What opens for SSH, in one quiet line."""
    if not ssh:
        return []
    ports, sources = ", ".join(map(range_text, ssh)), ssh[0].sources
    reach = TO_THE_INTERNET if any(map(is_internet, sources)) else ""
    (line,) = columns([(f"  also ssh: tcp {ports}", ", ".join(sources), reach)], indent=0)
    return [style(line, "dim")]


def _internet_warning(changes: PortChanges) -> list[str]:
    reached = exposed_ports(changes)
    if not reached:
        return []
    return [f"  {style('! warning:', 'yellow', 'bold')} {exposure_text(reached)}"]


def exposed_ports(changes: PortChanges) -> dict[str, list[str]]:
    """Which of 0.0.0.0/0 and ::/0 a plan lets in, each with the ports that it may reach."""
    reached: dict[str, list[str]] = {}
    for rule in (*changes.open, *(item.after for item in changes.change)):
        for source in filter(is_internet, rule.sources):
            reached.setdefault(source, []).append(f"{rule.protocol} {range_text(rule)}")
    return reached


def exposure_text(reached: dict[str, list[str]]) -> str:
    """The warning's sentence."""
    ports = sorted({port for found in reached.values() for port in found}, key=_port_order)
    shown = ", ".join(ports[:4]) + (f" and {len(ports) - 4} more" if len(ports) > 4 else "")
    return f"the whole internet ({', '.join(sorted(reached))}) may reach {shown}"


def _port_order(text: str) -> tuple[str, int]:
    protocol, _, ports = text.partition(" ")
    return protocol, int(ports.partition("-")[0])


def _totals(plans: Sequence[StackPlan]) -> list[str]:
    if not any(plan.counts.any for plan in plans):
        why = "every port is as the tasks ask" if plans else "there is no stack to plan"
        return [f"Nothing to do: {why}."]
    where = f" in {len(plans)} stacks" if len(plans) > 1 else ""
    opened, changed, closed = port_counts(plans)
    return [
        f"{style('Ports:', 'bold')}      {opened} to open, {changed} to change, {closed} to close{where}",
        f"{style('Terraform:', 'bold')}  {resource_words(total_counts(plans))}",
    ]


def port_counts(plans: Iterable[StackPlan]) -> tuple[int, int, int]:
    """How many rules the plans open, change and close."""
    changes = [plan.changes for plan in plans]
    return (
        sum(len(item.open) for item in changes),
        sum(len(item.change) for item in changes),
        sum(len(item.close) for item in changes),
    )


def total_counts(plans: Iterable[StackPlan]) -> ResourceCounts:
    """The counts of all plans together."""
    counts = [plan.counts for plan in plans]
    return ResourceCounts(
        sum(item.create for item in counts),
        sum(item.update for item in counts),
        sum(item.delete for item in counts),
        sum(item.imported for item in counts),
        sum(item.forgotten for item in counts),
    )


def resource_words(counts: ResourceCounts) -> str:
    """A plan's counts in a few words; what is imported or forgotten is told in Terraform's own."""
    if counts.imported or counts.forgotten:
        return terraform_words(counts)
    return f"{counts.create} to create, {counts.update} to update, {counts.delete} to delete"


def _saved(plans: Sequence[StackPlan]) -> list[str]:
    # one for all stacks of a shared root module
    paths = list(dict.fromkeys(visible(plan.plan_file) for plan in plans if plan.plan_file))
    labels = [style("Saved:", "bold") + " " * 6, *[" " * 12] * len(paths)]
    saved = [label + path for label, path in zip(labels, paths, strict=False)]
    return [*saved, *_plain_terraform(plans)]


def _plain_terraform(plans: Sequence[StackPlan]) -> list[str]:
    """What who applies a saved plan without us has to know."""
    if not any(plan.plan_file and plan.steps > 1 for plan in plans):
        return []
    return [
        style(f"{' ' * 12}apply with skyports-tf: `terraform apply` of a saved plan knows no steps", "dim")
    ]


def _closed_line(closed: StackClosed) -> str:
    ports = ", ".join(f"{rule.protocol} {range_text(rule)}" for rule in closed.changes.close)
    told = f"closed {ports}" if ports else "nothing was open"
    proof = "nothing is left" if closed.verified_empty else style("not proven empty", "red")
    removed = f" ({count(closed.counts.delete, 'resource')} deleted)" if closed.counts.delete else ""
    return f"{style(closed.stack.name, 'bold')}  {told}{removed}; {proof}"
