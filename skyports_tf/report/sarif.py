"""Findings as SARIF 2.1.0, for code scanning: https://docs.oasis-open.org/sarif/sarif/v2.1.0/.

The bytes follow from the findings alone: no time, no machine. A finding without a file stands at the
first file at hand, since GitHub takes no result without a place.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from skyports_tf import __version__
from skyports_tf.codes import CODES
from skyports_tf.diagnostics import Diagnostic, Severity, Span, visible
from skyports_tf.report.checked import Checked, fingerprints, policy_rule_id, rule_id

_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
_NAME: Final = "skyports-tf"
_ROOT: Final = "%SRCROOT%"
_POLICY: Final = "policy"
Json = dict[str, Any]


def sarif_text(checked: Checked) -> str:
    """One SARIF log of one run, with a newline at its end."""
    findings = checked.sorted_findings
    rules = _rules(checked, findings)
    tools = _taxonomies(findings)
    run: Json = {
        "tool": {
            "driver": {
                "name": _NAME,
                "version": __version__,
                "semanticVersion": __version__,
                "rules": [*rules.values()],
                **({"supportedTaxonomies": _references(tools)} if tools else {}),
            }
        },
        # GitHub's category is what stands before the last slash
        "automationDetails": {"id": f"{_NAME}/{checked.verb}/"},
        "columnKind": "unicodeCodePoints",
        "results": _results(findings, [*rules], tools, checked.files),
    }
    if tools:
        run["taxonomies"] = [
            {"name": tool, "isComprehensive": False, "taxa": [{"id": check} for check in checks]}
            for tool, checks in tools.items()
        ]
    document = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(document, indent=2) + "\n"


# -- rules -----------------------------------------------------------------------------


def _rules(checked: Checked, findings: Iterable[Diagnostic]) -> dict[str, Json]:
    """Every rule of the policy, and every code that was found, by id."""
    found = {
        policy_rule_id(rule.code, rule): _rule(policy_rule_id(rule.code, rule), rule.code, rule.severity)
        for rule in checked.policy.rules
    }
    for item in findings:
        code, severity = (item.mark.code, item.mark.severity) if item.mark else (item.code, item.severity)
        found.setdefault(rule_id(item), _rule(rule_id(item), code, severity))
    related: dict[str, dict[tuple[str, str], None]] = {}
    for item in findings:
        related.setdefault(rule_id(item), {}).update(dict.fromkeys(item.checks))
    tools = _taxonomies(findings)
    for name, checks in related.items():
        if checks:
            found[name]["relationships"] = [
                {"target": _reference(tools, *check), "kinds": ["relevant"]} for check in sorted(checks)
            ]
    return dict(sorted(found.items()))


def _rule(name: str, code: str, severity: Severity) -> Json:
    meaning, way_out = CODES[code]
    code_name, _, policy = name.partition("/")
    tags = [_POLICY, "security"] if policy else ["task"]
    return {
        "id": name,
        "name": "".join(word.capitalize() for word in code_name.split("-")),
        "shortDescription": {"text": f"{meaning.rstrip('.')} (policy {policy!r})" if policy else meaning},
        "fullDescription": {"text": meaning},
        "help": {"text": f"{meaning} {way_out}", "markdown": f"{meaning}\n\n{way_out}"},
        "defaultConfiguration": {"level": severity},
        "properties": {"tags": tags},
    }


# -- other tools' checks ---------------------------------------------------------------


def _taxonomies(findings: Iterable[Diagnostic]) -> dict[str, list[str]]:
    """The ids of other tools' checks that mean the same as a finding, by tool, sorted."""
    found: dict[str, set[str]] = {}
    for item in findings:
        for tool, check in item.checks:
            found.setdefault(tool, set()).add(check)
    return {tool: sorted(checks) for tool, checks in sorted(found.items())}


def _references(tools: Mapping[str, Sequence[str]]) -> list[Json]:
    return [{"name": tool, "index": index} for index, tool in enumerate(tools)]


def _reference(tools: Mapping[str, Sequence[str]], tool: str, check: str) -> Json:
    component = {"name": tool, "index": [*tools].index(tool)}
    return {"id": check, "index": tools[tool].index(check), "toolComponent": component}


# -- results ---------------------------------------------------------------------------


def _results(
    findings: Sequence[Diagnostic],
    rules: Sequence[str],
    tools: Mapping[str, Sequence[str]],
    files: Sequence[str],
) -> list[Json]:
    places = {name: place for place, name in enumerate(rules)}
    # either every result says whether it is suppressed, or none does (SARIF 2.1.0, 3.27.23)
    suppressing = any(item.mark and item.mark.justification is not None for item in findings)
    found = []
    for item, identity in zip(findings, fingerprints(findings), strict=True):
        result = _result(item, identity, files[0] if files else None)
        result = {"ruleId": rule_id(item), "ruleIndex": places[rule_id(item)], **result}
        if item.checks:
            result["taxa"] = [_reference(tools, *check) for check in item.checks]
            result["properties"] = {"tags": [check for _, check in item.checks]}
        if suppressing:
            result["suppressions"] = _suppressions(item)
        found.append(result)
    return found


def _result(item: Diagnostic, identity: str, otherwise: str | None) -> Json:
    path = item.path or otherwise
    text = f"{visible(item.message)}\n{visible(item.help)}" if item.help else visible(item.message)
    result: Json = {
        "level": item.mark.severity if item.mark else item.severity,
        "message": {"text": text},
        "locations": [{"physicalLocation": _location(path, item.span)}] if path else [],
    }
    if item.mark and item.mark.path:
        related = {"physicalLocation": _location(item.mark.path, item.mark.span)}
        message = {"text": f"the rule {item.mark.rule!r}"}
        result["relatedLocations"] = [{"id": 1, "message": message, **related}]
    # GitHub knows an alert again by the first of them alone
    result["partialFingerprints"] = {"primaryLocationLineHash": identity, "skyportsFinding/v1": identity}
    return result


def _suppressions(item: Diagnostic) -> list[Json]:
    if item.mark is None or item.mark.justification is None:
        return []
    justification = visible(item.mark.justification)
    return [{"kind": "external", "status": "accepted", "justification": justification}]


def _location(path: str, span: Span | None) -> Json:
    region = {"startLine": 1}
    if span:
        region = {
            "startLine": span.line,
            "startColumn": span.column,
            "endLine": span.end_line,
            "endColumn": span.end_column,
        }
    return {"artifactLocation": _artifact(path), "region": region}


def _bytes_of(path: str) -> bytes:
    try:
        return path.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # a text that names no file of any system
        return path.encode("utf-8", "surrogatepass")


def _artifact(path: str) -> Json:
    """A path as a URI, relative to the root of the sources unless it is absolute; any byte may be in it."""
    uri = quote(_bytes_of(path.replace(os.sep, "/")))
    return {"uri": f"file://{uri}"} if os.path.isabs(path) else {"uri": uri, "uriBaseId": _ROOT}
