"""Findings as JUnit XML, which GitLab, GitHub and Jenkins show: a suite a file, a case a check.

There is no standard; the bytes are valid for both XSDs in use, that of Jenkins' xunit plugin and
Windy Road's, which wants a time and a host: both are constants here, so that the same findings give the
same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from skyports_tf.diagnostics import Diagnostic, format_diagnostic, visible
from skyports_tf.report.checked import Checked, policy_rule_id, rule_id

_NO_TIME: Final = 'timestamp="1970-01-01T00:00:00" hostname="localhost" time="0"'
#: The suite of findings that have no file.
_NO_FILE: Final = "skyports-tf"
_READ: Final = "read and compiled"
_NOT_READ: Final = "other findings ended the call before it was read"


def junit_text(checked: Checked) -> str:
    """One `testsuites` document, with a newline at its end."""
    by_file: dict[str, list[Diagnostic]] = {file: [] for file in sorted(set(checked.files))}
    for item in checked.sorted_findings:
        by_file.setdefault(item.path or _NO_FILE, []).append(item)
    rules = sorted(policy_rule_id(rule.code, rule) for rule in checked.policy.rules)
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', "<testsuites>"]
    for number, (file, findings) in enumerate(sorted(by_file.items())):
        is_broken = any(item.severity == "error" and not item.mark for item in findings)
        checks = [*(() if is_broken else (_READ,)), *rules] if file in checked.files else ()
        if checked.unread and file in checked.files and not findings:
            lines += _unknown_suite(number, file)
        else:
            lines += _suite(number, file, findings, checks)
    return "\n".join([*lines, "</testsuites>", ""])


def _suite(number: int, file: str, findings: Sequence[Diagnostic], rules: Iterable[str]) -> list[str]:
    checks: dict[str, list[Diagnostic]] = {name: [] for name in rules}
    excepted = [item for item in findings if item.mark and item.mark.justification is not None]
    for item in findings:
        if item not in excepted:
            checks.setdefault(rule_id(item), []).append(item)
    failed = sum(_fails(items) for items in checks.values())
    name = quoteattr(_token(file))
    counts = f'tests="{len(checks) + len(excepted)}" failures="{failed}" errors="0" skipped="{len(excepted)}"'
    lines = [
        f'  <testsuite name={name} package={name} id="{number}" {counts} {_NO_TIME}>',
        "    <properties/>",
    ]
    for check, items in checks.items():
        lines += _case(check, file, _failure(items) if _fails(items) else [])
    for item in excepted:
        message = quoteattr(visible(item.message))
        title = f"{rule_id(item)} excepted: {item.mark.subject if item.mark else ''}"
        lines += _case(title, file, [f"      <skipped message={message}/>"])
    told = [item for item in findings if item.severity != "error" and item not in excepted]
    return [*lines, _output(told), "    <system-err/>", "  </testsuite>"]


def _unknown_suite(number: int, file: str) -> list[str]:
    """A file of which nothing is known: neither passed nor failed."""
    name = quoteattr(_token(file))
    counts = f'tests="1" failures="0" errors="0" skipped="1" {_NO_TIME}'
    return [
        f'  <testsuite name={name} package={name} id="{number}" {counts}>',
        "    <properties/>",
        *_case(_READ, file, [f"      <skipped message={quoteattr(_NOT_READ)}/>"]),
        "    <system-out/>",
        "    <system-err/>",
        "  </testsuite>",
    ]


def _fails(items: Iterable[Diagnostic]) -> bool:
    return any(item.severity == "error" for item in items)


def _case(name: str, file: str, inner: Sequence[str]) -> list[str]:
    head = f'    <testcase name={quoteattr(_token(name))} classname={quoteattr(_token(file))} time="0"'
    return [f"{head}>", *inner, "    </testcase>"] if inner else [f"{head}/>"]


def _failure(items: Sequence[Diagnostic]) -> list[str]:
    """All errors of one check: a case has room for one failure."""
    errors = [item for item in items if item.severity == "error"]
    first = visible(errors[0].message)
    place = f"{errors[0].path}:{errors[0].span.line}: " if errors[0].path and errors[0].span else ""
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    message = quoteattr(f"{visible(place)}{first}{more}")
    text = "\n\n".join(map(format_diagnostic, errors))
    return [f'      <failure message={message} type="{errors[0].code}">{escape(text)}</failure>']


def _output(items: Sequence[Diagnostic]) -> str:
    """Warnings and notes, which fail nothing."""
    text = "\n\n".join(map(format_diagnostic, items))
    return f"    <system-out>{escape(text)}</system-out>" if text else "    <system-out/>"


def _token(text: str) -> str:
    """A text as an xs:token: visible, and without doubled or outer spaces; never empty."""
    return " ".join(visible(text).split()) or "-"
