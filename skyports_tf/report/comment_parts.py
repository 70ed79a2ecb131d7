"""The parts of a comment beside its rows: exposure before and after, stacks in detail, findings."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence

from skyports_tf.deadlines import Expiration, expirations
from skyports_tf.diagnostics import Diagnostic, SkyportsError, format_diagnostic, visible
from skyports_tf.model import Stack
from skyports_tf.outcomes import PortRule
from skyports_tf.ports import PortSet
from skyports_tf.reach import union
from skyports_tf.report.comment_rows import INTERNET, source_cell
from skyports_tf.report.expiry import expiry_note
from skyports_tf.report.markup import code, fenced, folded, html_code, plain, table
from skyports_tf.report.port_words import Ports, by_source, listed, port_words, rule_word, unique
from skyports_tf.report.review import Reach, StackReview, reaches_internet, source_order
from skyports_tf.report.rules import task_files
from skyports_tf.report.style import count
from skyports_tf.report.text import resource_words, steps_text
from skyports_tf.running.changes import group_rules, stack_rules
from skyports_tf.sky_config import SKY_CONFIG_NAME

_MOST_SOURCES = 8
_MOST_GROUPS = 4
_MOST_PORTS = 6
_MOST_NAMES = 4
_NOTHING = "nothing"


# -- exposure --------------------------------------------------------------------------


def exposure_part(reviews: Sequence[StackReview]) -> str:
    """Who reaches what before and after: the internet always, the others where it changes for them."""
    rows = [_internet_row(reviews)]
    news = {source: review for review in reviews for _, source in (*review.gained, *review.lost)}
    inside = [source for source, review in news.items() if review.audience(source) != "internet"]
    inside.sort(key=lambda source: source_order(news[source].stack.cloud, source, news[source].ours))
    for source in inside[:_MOST_SOURCES]:
        mark = f"{INTERNET} " if news[source].audience(source) == "public" else ""
        rows.append([mark + code(source), *_before_and_after(reviews, frozenset({source}))])
    if len(inside) > _MOST_SOURCES:
        rows.append([count(len(inside) - _MOST_SOURCES, "more source"), "", ""])
    return table(("Who reaches what", "Before", "After"), rows)


def _internet_row(reviews: Sequence[StackReview]) -> list[str]:
    wide = {
        source
        for review in reviews
        for _, source in (*review.before, *review.after)
        if review.audience(source) == "internet"
    }
    return [f"{INTERNET} **the internet**", *_before_and_after(reviews, frozenset(wide))]


def _before_and_after(reviews: Sequence[StackReview], sources: frozenset[str]) -> list[str]:
    """Two cells on the stacks where it changes; where it changes nowhere, on all of them."""
    changing = [
        item for item in reviews if _ports_for(item.before, sources) != _ports_for(item.after, sources)
    ]
    if not changing:
        cell = _reached([(item.stack.cluster, item.before) for item in reviews], sources)
        return [cell, cell if cell == _NOTHING else "the same"]
    cells = [
        _reached([(item.stack.cluster, getattr(item, end)) for item in changing], sources)
        for end in ("before", "after")
    ]
    steady = {item.stack.cluster for item in reviews if _ports_for(item.after, sources)}
    steady -= {item.stack.cluster for item in changing}
    return [f"{cell}<br>and {count(len(steady), 'cluster')} as before" if steady else cell for cell in cells]


def _reached(reaches: Iterable[tuple[str, Reach]], sources: frozenset[str]) -> str:
    """`web: tcp/80, tcp/443`: clusters that are alike together, the largest group first."""
    groups: dict[Ports, list[str]] = {}
    for cluster, reach in reaches:
        if ports := _ports_for(reach, sources):
            groups.setdefault(ports, []).append(cluster)
    if not groups:
        return _NOTHING
    ordered = sorted(groups.items(), key=lambda item: (-len(item[1]), item[1]))
    words = [
        f"{listed([plain(name) for name in unique(names)], _MOST_NAMES, 'clusters')}: "
        f"{code(listed(port_words(ports), _MOST_PORTS))}"
        for ports, names in ordered[:_MOST_GROUPS]
    ]
    left = [name for _, names in ordered[_MOST_GROUPS:] for name in names]
    return "<br>".join([*words, *([count(len(unique(left)), "more cluster")] if left else [])])


def _ports_for(reach: Reach, sources: frozenset[str]) -> Ports:
    """All ports that any of the sources reaches."""
    found: list[Mapping[tuple[str, str], PortSet]] = [
        {(protocol, ""): ports} for (protocol, source), ports in reach.items() if source in sources
    ]
    return by_source(union(found)).get("", ())


def exposed_clusters(reviews: Iterable[StackReview], end: str) -> int:
    """How many clusters let anybody in who is not ours, `before` or `after`."""
    return len({item.stack.cluster for item in reviews if reaches_internet(item, getattr(item, end))})


# -- stacks ----------------------------------------------------------------------------


def stack_details(review: StackReview, out: str, full: bool) -> str:
    """One stack, folded: what it comes from, what Terraform does, and with `full` all that is open after."""
    plan, stack = review.plan, review.stack
    files = ", ".join(map(code, task_files(stack))) or "no task any more"
    lines = [f"- Compiled from {files}", f"- Terraform: {resource_words(plan.counts)}"]
    if plan.steps > 1:
        lines.append(
            f"- Applied {steps_text(plan.steps)}: open first, then close. "
            "`terraform apply` of the saved plan knows no steps: apply it with skyports-tf"
        )
    if stack.sky_config:
        path = os.path.join(out, stack.directory, SKY_CONFIG_NAME)
        lines.append(f"- SkyPilot's config must say what {code(path)} says")
    if plan.plan_file:
        lines.append(f"- Saved as {code(plan.plan_file)}")
    body = "\n".join(lines)
    if full and stack.rules:
        body += f"\n\nOpen after it:\n\n{_open_table(review)}"
    return folded(f"{html_code(stack.name)} {_counts(review)}", body)


def _counts(review: StackReview) -> str:
    marks = [row.mark for row in review.rows]
    told = [f"{mark} {marks.count(mark)}" for mark in ("opens", "changes", "closes") if mark in marks]
    return ", ".join(told) or "no port changes, but Terraform has changes"


def _open_table(review: StackReview) -> str:
    stack, known = review.stack, expirations(review.stack)
    rows = [
        [
            code(rule_word(rule)),
            source_cell(review, rule.sources),
            ", ".join(_ends(rule, known)) or "closed by hand",
            ", ".join(map(code, rule.tasks)),
        ]
        for rule in group_rules(stack_rules(stack).values())
    ]
    rows += [
        [code(f"tcp/{port}"), source_cell(review, map(str, stack.ssh_sources)), "", "SSH"]
        for port in stack.ssh_ports
        if stack.ssh_sources
    ]
    return table(("Ports", "From", "Until", "Asked for by"), rows)


def _ends(rule: PortRule, known: Sequence[Expiration]) -> list[str]:
    ends = dict.fromkeys(expiry_note(rule, source, known) for source in rule.sources)
    return [end for end in ends if end]


def quiet_part(reviews: Sequence[StackReview], most: int) -> str:
    """The stacks that stay as they are, folded."""
    names = [code(review.stack.name) for review in reviews]
    stay = "stays as it is" if len(names) == 1 else "stay as they are"
    return folded(f"{count(len(names), 'stack')} {stay}", listed(names, most))


# -- findings --------------------------------------------------------------------------


def failure_part(stacks: Sequence[Stack], failures: Sequence[SkyportsError], room: int) -> str:
    """What could not be planned, and why: findings first, Terraform's own words folded below."""
    names = listed([code(stack.name) for stack in stacks], 12)
    told = f"**{count(len(stacks), 'stack')} could not be planned**: {names}. Nothing here speaks of them."
    lines = [f"> [!CAUTION]\n> {told}"]
    found = [item for error in failures for item in error.diagnostics]
    if found:
        lines.append(findings_block(found, room // 2))
    said = filter(None, (str(getattr(error, "output", "")).strip() for error in failures))
    # only the end has room, and it does not get shorter by being made visible
    output = "\n".join(map(visible, "\n".join(said)[-room:].splitlines()))
    if output:
        lines.append(folded("What Terraform said", fenced(_last(output, room // 2))))
    return "\n\n".join(lines)


def warning_part(found: Sequence[Diagnostic], room: int) -> str:
    """Findings that stop nothing, folded."""
    words = [
        f"{count(len(of_kind), kind)}"
        for kind in ("error", "warning", "note")
        if (of_kind := [item for item in found if item.severity == kind])
    ]
    return folded(listed(words, 3), findings_block(found, room))


def findings_block(found: Sequence[Diagnostic], room: int) -> str:
    """Findings as they stand in a terminal, as many as there is room for, the errors first."""
    ordered = sorted(found, key=lambda item: (item.severity != "error", item.sort_key))
    texts, used = [], 0
    for item in ordered:
        text = format_diagnostic(item)
        used += len(text.encode()) + 2
        if used > room:
            break
        texts.append(text)
    left = len(ordered) - len(texts)
    if left:
        texts.append(f"... and {count(left, 'more finding')}: the log has all of them")
    return fenced("\n\n".join(texts))


def _last(text: str, room: int) -> str:
    """The end of the text, of at most so many bytes."""
    whole = text.encode()
    return text if len(whole) <= room else f"...{whole[-room:].decode('utf-8', 'ignore')}"
