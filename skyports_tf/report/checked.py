"""What was checked, and what came of it: the common ground of SARIF and JUnit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from skyports_tf.diagnostics import Diagnostic
from skyports_tf.policy import NO_POLICY, Policy, PolicyRule


@dataclass(frozen=True, slots=True)
class Checked:
    """One call: its verb, the task files that it looked at, the policy, and all findings.

    Paths are relative to the current folder where they lie below it. With `unread`, the findings have
    ended the call before any of the files was read.
    """

    verb: str
    files: tuple[str, ...] = ()
    policy: Policy = NO_POLICY
    findings: tuple[Diagnostic, ...] = ()
    unread: bool = False

    @property
    def sorted_findings(self) -> list[Diagnostic]:
        """The findings in the order of files and places."""
        return sorted(self.findings, key=lambda item: (*item.sort_key, repr(item)))


def rule_id(item: Diagnostic) -> str:
    """What a finding is an instance of: its code, and with it the rule of the policy that it breaks."""
    return policy_rule_id(item.mark.code, item.mark.rule) if item.mark else item.code


def policy_rule_id(code: str, rule: PolicyRule | str) -> str:
    """The id of a rule of the policy, whose breaches have the code."""
    return f"{code}/{rule if isinstance(rule, str) else rule.name}"


def fingerprints(findings: Iterable[Diagnostic]) -> list[str]:
    """An identity for each finding that stays when lines move; the second of the same kind ends in `:2`."""
    seen: Counter[str] = Counter()
    found = []
    for item in findings:
        subject = item.mark.subject if item.mark else item.message
        text = "\0".join((rule_id(item), item.path or "", subject))
        digest = sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:32]
        seen[digest] += 1
        found.append(f"{digest}:{seen[digest]}")
    return found
