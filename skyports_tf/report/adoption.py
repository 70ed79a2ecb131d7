"""What `adopt` and `release` tell a person: the ports that change hands, and that nothing else happens."""

from __future__ import annotations

from collections.abc import Sequence

from skyports_tf.diagnostics import visible
from skyports_tf.outcomes import PortRule, StackClosed, StackPlan
from skyports_tf.report.rules import is_internet, range_text
from skyports_tf.report.style import columns, count, style
from skyports_tf.report.text import TO_THE_INTERNET, terraform_words, total_counts


def adopting_text(plans: Sequence[tuple[StackPlan, Sequence[PortRule]]]) -> str:
    """Per stack the ports that come into our hands as they are, then Terraform's words for all.

    Ends without a newline.
    """
    return _text(plans, "adopt", "all of it is ours already")


def releasing_text(plans: Sequence[tuple[StackPlan, Sequence[PortRule]]]) -> str:
    """Per stack the ports that leave our hands as they are, then Terraform's words for all."""
    return _text(plans, "release", "nothing of it is in Terraform's hands")


def released_text(released: Sequence[StackClosed]) -> str:
    """What was given back, a line a stack."""
    return "\n".join(
        f"{style(item.stack.name, 'bold')}  {_given_back(item.counts.forgotten)}; nothing was closed"
        for item in released
    )


def _given_back(resources: int) -> str:
    return f"{count(resources, 'resource')} given back" if resources else "nothing was in Terraform's hands"


def _text(plans: Sequence[tuple[StackPlan, Sequence[PortRule]]], verb: str, nothing: str) -> str:
    parts = ["\n".join(_block(plan, rules, verb, nothing)) for plan, rules in plans]
    lines = [f"{style('Terraform:', 'bold')}  {terraform_words(total_counts(plan for plan, _ in plans))}"]
    lines += [
        f"{style('Saved:', 'bold')}      {visible(plan.plan_file)}" for plan, _ in plans if plan.plan_file
    ]
    return "\n\n".join([*parts, "\n".join(lines)])


def _block(plan: StackPlan, rules: Sequence[PortRule], verb: str, nothing: str) -> list[str]:
    lines = [style(plan.stack.name, "bold")]
    if not plan.counts.any:
        return [*lines, f"  {nothing}"]
    rows = []
    for rule in rules:
        for place, source in enumerate(rule.sources):
            what = (f"= {verb}", f"{rule.protocol} {range_text(rule)}") if not place else ("", "")
            rows.append((*what, source, TO_THE_INTERNET if is_internet(source) else ""))
    return [*lines, *columns(rows)]
