"""The formats that tell findings and nothing else: SARIF and JUnit."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from skyports_tf.cli.console import Session
from skyports_tf.clouds import Catalog
from skyports_tf.diagnostics import Diagnostic, Span
from skyports_tf.policy import NO_POLICY, Policy
from skyports_tf.ports import PortRange, PortSet
from skyports_tf.tree import base_of

if TYPE_CHECKING:
    from skyports_tf.outcomes import PortRule, StackPlan

FINDING_FORMATS: Final = ("sarif", "junit")


def tell_failures(session: Session, verb: str, files: Sequence[str], policy: Policy | None = None) -> None:
    """Let findings that end the call answer in the format of findings that was asked for, if one was.

    Without a policy it is not known yet, and no file was read.
    """
    if session.format in FINDING_FORMATS:

        def document(found: Sequence[Diagnostic]) -> str:
            return findings_document(
                session.format, verb, files, policy or NO_POLICY, found, unread=policy is None
            )

        session.failed_as = document


def findings_document(
    name: str,
    verb: str,
    files: Iterable[str],
    policy: Policy,
    findings: Iterable[Diagnostic],
    *,
    unread: bool = False,
) -> str:
    """The findings of a verb on task files in the format `name`, with a newline at the end."""
    from skyports_tf.report.checked import Checked

    shown = tuple(replace(item, path=item.path and _relative(item.path)) for item in findings)
    checked = Checked(verb, tuple(dict.fromkeys(map(_relative, files))), policy, shown, unread)
    if name == "sarif":
        from skyports_tf.report.sarif import sarif_text

        return sarif_text(checked)
    from skyports_tf.report.junit import junit_text

    return junit_text(checked)


def internet_warnings(plan: StackPlan, out: str, catalog: Catalog) -> list[Diagnostic]:
    """The warning of what a plan opens to the internet, at the line that asks for the first such port.

    It names the checks of other tools that mean the same.
    """
    from skyports_tf.exposure.addresses import EVERYONE
    from skyports_tf.report.text import exposure_warnings

    changed = (*plan.changes.open, *(item.after for item in plan.changes.change))
    rules = [rule for rule in changed if not set(rule.sources).isdisjoint(EVERYONE)]
    path, span = _place_of_opening(plan, rules, out)
    checks = _checks(plan.stack.cloud, rules, catalog)
    return [replace(item, path=path, span=span, checks=checks) for item in exposure_warnings([plan])]


def _checks(cloud: str, rules: Iterable[PortRule], catalog: Catalog) -> tuple[tuple[str, str], ...]:
    from skyports_tf.policing import same_checks

    known = catalog.load(cloud)
    found = (same_checks(known, rule.protocol, _ports(rule)) for rule in rules)
    return tuple(dict.fromkeys(check for checks in found for check in checks))


def _ports(rule: PortRule) -> PortSet:
    return PortSet((PortRange(rule.from_port, rule.to_port),))


def _place_of_opening(plan: StackPlan, rules: Iterable[PortRule], out: str) -> tuple[str | None, Span | None]:
    from skyports_tf.portplaces import port_places

    rule = next((rule for rule in rules if rule.tasks), None)
    if rule is None:
        return None, None
    file = rule.tasks[0]
    path = os.path.relpath(os.path.join(base_of(out), file))
    if not os.path.isfile(path):
        return None, None
    position = next((entry.position for entry in plan.stack.entries if entry.file == file), 0)
    places = port_places(path, position, plan.stack.cloud)
    return path, next((span for ports, span in places.items if ports & _ports(rule)), places.whole)


def _relative(path: str) -> str:
    """A path from the current folder, where it lies below it: as a report names a file of the repository."""
    if "\0" in path:
        return path
    relative = os.path.relpath(path)
    return path if os.path.isabs(path) and relative.startswith("..") else relative
