"""SARIF and JUnit: valid for the public schemas, and the same bytes for the same findings."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest
import xmlschema
from hypothesis import given, settings
from hypothesis import strategies as st

from skyports_tf.cli.reports import internet_warnings
from skyports_tf.clouds import Catalog
from skyports_tf.codes import CODES
from skyports_tf.diagnostics import Diagnostic, PolicyMark, Span
from skyports_tf.model import Stack
from skyports_tf.outcomes import PortChanges, PortRule, ResourceCounts, RuleChange, StackPlan
from skyports_tf.policy import Policy, PolicyRule
from skyports_tf.report.checked import Checked
from skyports_tf.report.junit import junit_text
from skyports_tf.report.sarif import sarif_text
from tests.support.command_line import Answer, call
from tests.support.pretend_terraform import pretend_terraform
from tests.support.project import Project, working_in

FORMATS = Path(__file__).parent / "data" / "formats"
CONFIG = """\
sources: [0.0.0.0/0]
ssh_sources: [0.0.0.0/0]
policy:
  rules:
  - {name: databases, denied_ports: [3306, 5432]}
  - {name: public, internet_ports: [443, 3306, 5432], severity: warning}
  - {name: few, maximum_ports: 100}
  exceptions:
  - {rule: databases, cluster: web, ports: [5432], until: 9998-12-31,
     reason: "a <reviewed> & 'quoted' reason"}
"""


@lru_cache(maxsize=1)
def sarif_schema() -> Any:
    contents = json.loads((FORMATS / "sarif-2.1.0-rtm.5.json").read_text(encoding="utf-8"))
    return jsonschema.validators.validator_for(contents)(contents, format_checker=jsonschema.FormatChecker())


@lru_cache(maxsize=2)
def junit_schema(name: str) -> Any:
    return xmlschema.XMLSchema(str(FORMATS / name))


def sarif(text: str) -> Any:
    """The one run of a valid log."""
    document = json.loads(text)
    sarif_schema().validate(document)
    (run,) = document["runs"]
    return run


def junit(text: str) -> ElementTree.Element:
    """The root of a document that both XSDs take."""
    root = ElementTree.fromstring(text)
    for name in ("junit-10.xsd", "junit-windyroad.xsd"):
        junit_schema(name).validate(root)
    for suite in root:
        cases = suite.findall("testcase")
        assert suite.get("tests") == str(len(cases))
        assert suite.get("failures") == str(sum(case.find("failure") is not None for case in cases))
        assert suite.get("skipped") == str(sum(case.find("skipped") is not None for case in cases))
    return root


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A task that breaks two rules, one of them with an exception, and one that breaks none."""
    project = Project(tmp_path / "project")
    project.task("[3306, 5432]")
    project.task("443", name="good", file="good.yaml")
    terraform = pretend_terraform(tmp_path / "bin")
    project.config(f"{CONFIG}terraform:\n  binary: {terraform}\n")
    return project


def answer_in(project: Project, name: str, *words: str, code: int = 1) -> Answer:
    answer = call(project.folder, *words, "--format", name)
    assert answer.code == code, answer.err
    return answer


# -- SARIF -----------------------------------------------------------------------------


def test_the_schemas_refuse_what_is_wrong(project: Project) -> None:
    with pytest.raises(jsonschema.ValidationError):
        sarif('{"version": "2.1.0", "runs": [{}]}')
    for broken in ("<testsuites><testsuite/></testsuites>", "<testsuite name='x'/>"):
        with pytest.raises(xmlschema.XMLSchemaValidationError):
            junit(broken)


def test_a_breach_is_a_result_at_its_place(project: Project) -> None:
    run = sarif(answer_in(project, "sarif", "compile", "web.yaml", "good.yaml").out)
    driver = run["tool"]["driver"]
    assert [rule["id"] for rule in driver["rules"]] == [
        "policy-denied-port/databases",
        "policy-internet/public",
        "policy-too-many-ports/few",
    ]
    assert [rule["defaultConfiguration"]["level"] for rule in driver["rules"]] == [
        "error",
        "warning",
        "error",
    ]
    result = next(item for item in run["results"] if item["level"] == "error" and not item["suppressions"])
    assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"] == "policy-denied-port/databases"
    assert result["locations"] == [
        {
            "physicalLocation": {
                "artifactLocation": {"uri": "web.yaml", "uriBaseId": "%SRCROOT%"},
                "region": {"startLine": 4, "startColumn": 11, "endLine": 4, "endColumn": 15},
            }
        }
    ]
    (related,) = result["relatedLocations"]
    assert related["physicalLocation"]["artifactLocation"]["uri"] == "skyports.yaml"
    assert related["physicalLocation"]["region"]["startLine"] == 5


def test_what_an_exception_covers_is_a_suppressed_result_with_its_reason(project: Project) -> None:
    results = sarif(answer_in(project, "sarif", "compile", "web.yaml").out)["results"]
    assert all("suppressions" in item for item in results)
    (excepted,) = [item for item in results if item["suppressions"]]
    assert (excepted["ruleId"], excepted["level"]) == ("policy-denied-port/databases", "error")
    assert excepted["suppressions"] == [
        {"kind": "external", "status": "accepted", "justification": "a <reviewed> & 'quoted' reason"}
    ]


def test_checks_of_other_tools_are_referred_to(project: Project) -> None:
    run = sarif(answer_in(project, "sarif", "compile", "web.yaml").out)
    assert {item["name"]: [taxon["id"] for taxon in item["taxa"]] for item in run["taxonomies"]} == {
        "checkov": ["CKV_AWS_24"],
        "trivy": ["AWS-0107"],
    }
    (ssh,) = [item for item in run["results"] if "taxa" in item]
    assert "tcp 22 (SSH)" in ssh["message"]["text"]
    assert ssh["properties"]["tags"] == ["CKV_AWS_24", "AWS-0107"]
    for taxon in ssh["taxa"]:
        component = run["taxonomies"][taxon["toolComponent"]["index"]]
        assert component["name"] == taxon["toolComponent"]["name"]
        assert component["taxa"][taxon["index"]]["id"] == taxon["id"]
    rule = run["tool"]["driver"]["rules"][ssh["ruleIndex"]]
    assert {item["target"]["id"] for item in rule["relationships"]} == {"CKV_AWS_24", "AWS-0107"}


def test_a_fingerprint_stays_when_lines_move_and_differs_between_breaches(project: Project) -> None:
    def prints() -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for item in sarif(answer_in(project, "sarif", "compile", "web.yaml").out)["results"]:
            uri = item["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
            identity = item["partialFingerprints"]["primaryLocationLineHash"]
            found.setdefault(f"{item['ruleId']} {uri}", []).append(identity)
        return found

    before = prints()
    assert len({item for items in before.values() for item in items}) == sum(map(len, before.values())) == 3
    text = (project.folder / "web.yaml").read_text(encoding="utf-8")
    project.write("web.yaml", "# a comment\n\n" + text)
    assert prints() == before


def test_the_same_finding_in_two_files_is_two_alerts(project: Project) -> None:
    for file in ("a.yaml", "b.yaml"):
        project.write(file, "name: bad\nprots: 1\n")
    results = sarif(answer_in(project, "sarif", "compile", "a.yaml", "b.yaml").out)["results"]
    identities = [
        item["partialFingerprints"]["skyportsFinding/v1"] for item in results if item["level"] == "error"
    ]
    assert len({item.partition(":")[0] for item in identities}) == len(identities) == 2
    assert all(item.endswith(":1") for item in identities)


@pytest.mark.parametrize("name", ["sarif", "junit"])
def test_the_same_input_gives_the_same_bytes_in_any_order_and_no_machine(project: Project, name: str) -> None:
    first = answer_in(project, name, "compile", "web.yaml", "good.yaml").out
    assert answer_in(project, name, "compile", "good.yaml", "web.yaml").out == first
    absolute = str(project.folder / "web.yaml")
    assert answer_in(project, name, "compile", absolute, "good.yaml").out == first
    assert str(project.folder) not in first


def test_findings_without_a_rule_are_results_of_their_code(project: Project) -> None:
    project.write("bad.yaml", "name: bad\nresources: {infra: aws, prots: 1}\n")
    run = sarif(answer_in(project, "sarif", "compile", "bad.yaml").out)
    (unknown,) = [item for item in run["results"] if item["ruleId"] == "unknown-key"]
    assert unknown["locations"][0]["physicalLocation"]["region"]["startLine"] == 2
    (rule,) = [rule for rule in run["tool"]["driver"]["rules"] if rule["id"] == "unknown-key"]
    assert rule["name"] == "UnknownKey" and rule["shortDescription"]["text"] == CODES["unknown-key"][0]
    assert "suppressions" not in unknown


def test_a_config_that_cannot_be_read_is_a_result_as_well(project: Project) -> None:
    project.config("ot: infra\n")
    run = sarif(answer_in(project, "sarif", "compile", "web.yaml").out)
    assert [item["ruleId"] for item in run["results"]] == ["unknown-key"]
    root = junit(answer_in(project, "junit", "compile", "web.yaml").out)
    assert [(suite.get("name"), suite.get("failures")) for suite in root] == [
        ("skyports.yaml", "1"),
        ("web.yaml", "0"),
    ]


def test_a_tree_out_of_date_is_a_result_at_its_file(project: Project) -> None:
    project.compile("good.yaml")
    assert answer_in(project, "sarif", "compile", "--check", "good.yaml", code=0).code == 0
    (project.folder / "infra/good/aws-us-east-1/main.tf").write_text(
        "# Generated by skyports-tf\n", encoding="utf-8"
    )
    run = sarif(answer_in(project, "sarif", "compile", "--check", "good.yaml").out)
    (outdated,) = [item for item in run["results"] if item["ruleId"] == "tree-outdated"]
    place = outdated["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "infra/good/aws-us-east-1/main.tf"
    assert place["region"] == {"startLine": 1}


@pytest.mark.parametrize("name", ["sarif", "junit"])
def test_a_plan_answers_in_the_same_formats(project: Project, name: str) -> None:
    answer_in(project, name, "plan", "web.yaml")
    assert not (project.folder / "infra").exists()
    answer = answer_in(project, name, "plan", "good.yaml", code=0)
    if name == "junit":
        assert [suite.get("name") for suite in junit(answer.out)] == ["good.yaml", "skyports.yaml"]
    else:
        assert sarif(answer.out)["automationDetails"] == {"id": "skyports-tf/plan/"}
    assert (project.folder / "infra/good/aws-us-east-1/skyports.tfplan").exists()


def test_what_a_plan_opens_to_the_internet_stands_at_the_line_that_asks_for_it(project: Project) -> None:
    project.config("")
    project.task("[80, 8000-8005]", name="many", file="tasks/many.yaml")
    stack = project.compile("tasks/many.yaml").stacks[0].stack
    rules = tuple(
        PortRule("tcp", first, last, (source,), ("tasks/many.yaml",))
        for first, last, source in ((80, 80, "10.0.0.0/8"), (8000, 8005, "0.0.0.0/0"))
    )
    plan = StackPlan(stack, PortChanges(open=rules), ResourceCounts(create=2))
    with working_in(project.folder):
        (warning,) = internet_warnings(plan, "infra", Catalog())
    assert (warning.code, warning.path) == ("open-to-internet", "tasks/many.yaml")
    assert warning.span and (warning.span.line, warning.span.column) == (4, 15)
    with working_in(project.folder.parent):
        assert internet_warnings(plan, "infra", Catalog())[0].path is None


def test_what_a_plan_opens_to_the_internet_names_the_checks_of_other_tools() -> None:
    ours = PortRule("tcp", 3389, 3389, ("10.0.0.0/8",))
    wide = PortRule("tcp", 20, 22, ("10.0.0.0/8", "::/0"))
    changes = PortChanges(open=(ours, wide), change=(RuleChange(ours, replace(ours, sources=wide.sources)),))
    plan = StackPlan(Stack("web", "aws", "us-east-1"), changes, ResourceCounts(create=2))
    (warning,) = internet_warnings(plan, "infra", Catalog())
    run = sarif(sarif_text(Checked("plan", ("web.yaml",), findings=(warning,))))
    assert [taxon["id"] for taxon in run["results"][0]["taxa"]] == ["CKV_AWS_24", "AWS-0107", "CKV_AWS_25"]
    assert run["results"][0]["properties"]["tags"] == ["CKV_AWS_24", "AWS-0107", "CKV_AWS_25"]
    (quiet,) = internet_warnings(
        replace(plan, changes=PortChanges(open=(replace(wide, to_port=21),))), "infra", Catalog()
    )
    assert quiet.checks == ()


def test_a_plan_that_fails_is_a_result_beside_the_findings(project: Project) -> None:
    project.task("9999", name="bad", file="bad.yaml")
    project.config(f"{(project.folder / 'skyports.yaml').read_text()}".replace("[443,", "[443, 9999,"))
    answer = answer_in(project, "sarif", "plan", "bad.yaml", code=3)
    assert "terraform-failed" in [item["ruleId"] for item in sarif(answer.out)["results"]]


# -- JUnit -----------------------------------------------------------------------------


def test_a_suite_is_a_file_and_a_case_a_check(project: Project) -> None:
    root = junit(answer_in(project, "junit", "compile", "web.yaml", "good.yaml").out)
    cases = {
        (suite.get("name"), case.get("name")): next((part.tag for part in case), "passed")
        for suite in root
        for case in suite.findall("testcase")
    }
    assert cases == {
        ("good.yaml", "read and compiled"): "passed",
        ("good.yaml", "policy-denied-port/databases"): "passed",
        ("good.yaml", "policy-internet/public"): "passed",
        ("good.yaml", "policy-too-many-ports/few"): "passed",
        ("skyports.yaml", "policy-internet/public"): "passed",
        ("web.yaml", "read and compiled"): "passed",
        ("web.yaml", "policy-denied-port/databases"): "failure",
        ("web.yaml", "policy-internet/public"): "passed",
        ("web.yaml", "policy-too-many-ports/few"): "passed",
        (
            "web.yaml",
            "policy-denied-port/databases excepted: web-aws-us-east-1 web.yaml tcp 5432",
        ): "skipped",
    }
    (failure,) = root.iter("failure")
    assert failure.get("type") == "policy-denied-port"
    assert str(failure.get("message")).startswith(
        "web.yaml:4: policy 'databases': web-aws-us-east-1 opens tcp 3306"
    )
    assert "\n4 |   ports: [3306, 5432]\n  |           ^^^^\n" in str(failure.text)
    (skipped,) = root.iter("skipped")
    assert "a <reviewed> & 'quoted' reason" in str(skipped.get("message"))
    (told,) = [part.text for part in root.iter("system-out") if part.text]
    assert "warning[policy-internet]" in told


def test_several_breaches_of_one_rule_are_one_failure_that_tells_them_all(project: Project) -> None:
    project.task("[3306, 5432]", name="other", file="other.yaml")
    root = junit(answer_in(project, "junit", "compile", "other.yaml").out)
    (failure,) = root.iter("failure")
    assert "(and 1 more)" in str(failure.get("message"))
    assert "tcp 3306" in str(failure.text) and "tcp 5432" in str(failure.text)


def test_a_file_that_cannot_be_read_fails_and_was_not_compiled(project: Project) -> None:
    root = junit(answer_in(project, "junit", "compile", "nowhere.yaml").out)
    (suite,) = [suite for suite in root if suite.get("name") == "nowhere.yaml"]
    names = [case.get("name") for case in suite.findall("testcase")]
    assert "read and compiled" not in names and "file-missing" in names and suite.get("failures") == "1"


def test_no_file_passes_that_was_not_read(project: Project) -> None:
    project.config("polcy: {}\n")
    root = junit(answer_in(project, "junit", "compile", "good.yaml").out)
    cases = {
        (suite.get("name"), case.get("name")): next((part.tag for part in case), "passed")
        for suite in root
        for case in suite.findall("testcase")
    }
    assert cases == {
        ("good.yaml", "read and compiled"): "skipped",
        ("skyports.yaml", "unknown-key"): "failure",
    }


# -- both, whatever is in them ---------------------------------------------------------

HOSTILE = st.text(st.characters(codec=None), max_size=30) | st.sampled_from(
    ["]]>", "<!--", "&#0;", "\x1b[31m", "\ud800", "\ufffe", "a\nb", "\u202e", "\"'<>&", "%2e%2e/", "\x00"]
)
SPANS = st.none() | st.builds(
    lambda line, column, length: Span(line, column, line, column + length),
    *[st.integers(1, 99)] * 2,
    st.integers(0, 9),
)
MARKS = st.none() | st.builds(
    PolicyMark,
    st.sampled_from(["a", "b"]),
    st.just("policy-internet"),
    st.sampled_from(["error", "warning"]),
    HOSTILE,
    st.none() | HOSTILE,
    st.none() | HOSTILE,
    SPANS,
)
CHECKS = st.lists(
    st.sampled_from([("checkov", "CKV_AWS_24"), ("trivy", "AWS-0107")]), max_size=2, unique=True
)
FINDINGS = st.builds(
    Diagnostic,
    st.sampled_from(["file-missing", "unknown-key", "policy-internet"]),
    HOSTILE,
    st.none() | HOSTILE,
    SPANS,
    st.none() | HOSTILE,
    st.sampled_from(["error", "warning", "note"]),
    st.none() | HOSTILE,
    MARKS,
    CHECKS.map(tuple),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(FINDINGS, max_size=5), st.lists(HOSTILE, max_size=2), st.randoms())
def test_no_name_and_no_text_breaks_a_report(
    findings: list[Diagnostic], files: list[str], random: Any
) -> None:
    policy = Policy((PolicyRule("a", "internet_ports"), PolicyRule("b", "denied_ports")))
    checked = Checked("compile", tuple(files), policy, tuple(findings))
    results = sarif(sarif_text(checked))["results"]
    assert len(results) == len(findings)
    root = junit(junit_text(checked))
    failing = {item.path or "skyports-tf" for item in findings if item.severity == "error"}
    excused = {
        item.path or "skyports-tf" for item in findings if item.mark and item.mark.justification is not None
    }
    failures = sum(int(suite.get("failures", "0")) for suite in root)
    assert failures >= len(failing - excused)
    for text in (sarif_text(checked), junit_text(checked)):
        assert all(char.isprintable() or char == "\n" for char in text)
    shuffled = random.sample(findings, len(findings))
    again = Checked("compile", tuple(reversed(files)), policy, tuple(shuffled))
    assert junit_text(again) == junit_text(checked)


def test_a_name_with_bytes_of_no_text_is_a_uri(project: Project) -> None:
    checked = Checked("compile", (), Policy(), (Diagnostic("file-missing", "gone", "a b/\udcff#é?.yaml"),))
    (result,) = sarif(sarif_text(checked))["results"]
    uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri == "a%20b/%FF%23%C3%A9%3F.yaml"
