"""Task files as tasks: candidates, ports, overrides, headers, and what refuses them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skyports_tf.diagnostics import Diagnostic, FindingsError, format_diagnostics
from skyports_tf.documents import Task, TaskDocument
from skyports_tf.schema import schema_of
from skyports_tf.task import ReadTasks, TaskOverrides, read_tasks

Read = Callable[..., ReadTasks]

TASK_KEYS = sorted(schema_of("task")["properties"])
INNER_KEYS = [
    *schema_of("task")["properties"]["resources"]["properties"],
    "path",
    "store",
    "url",
    "workers",
    "foo",
]

EXPECTED = Path(__file__).parent / "errors"


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def read_text(text: str, **overrides: object) -> ReadTasks:
        path = tmp_path / "task.yaml"
        path.write_text(text, encoding="utf-8")
        return read_tasks(str(path), TaskOverrides(**overrides))  # type: ignore[arg-type]

    return read_text


@pytest.fixture
def refused(read: Read) -> Callable[..., list[Diagnostic]]:
    def findings(text: str, **overrides: object) -> list[Diagnostic]:
        with pytest.raises(FindingsError) as caught:
            read(text, **overrides)
        return list(caught.value.diagnostics)

    return findings


def shown(task: Task) -> list[str]:
    return [f"{candidate.infra} {candidate.ports}" for candidate in task.candidates]


def only(read: ReadTasks) -> Task:
    [task] = read.document.tasks
    return task


# -- candidates ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("resources", "kind", "candidates"),
    [
        ("{}", "any", ["None "]),
        ("null", "any", ["None "]),
        ("{infra: aws/us-east-1, ports: 80}", "any", ["aws/us-east-1 80"]),
        ("{cloud: AWS, region: us-east-1, zone: us-east-1a}", "any", ["aws/us-east-1/us-east-1a "]),
        ("{infra: '*/us-east-1'}", "any", ["*/us-east-1 "]),
        ("{infra: K8s/a/b/c}", "any", ["kubernetes/a/b/c "]),
        ("{infra: ssh/pool}", "any", ["ssh/pool "]),
        ("{ports: 80, any_of: [{infra: aws}, {infra: gcp, ports: 81}]}", "any", ["aws 80", "gcp 81"]),
        (
            "{ports: 80, any_of: [{ports: null}, {ports: []}, {ports: ''}]}",
            "any",
            ["None ", "None ", "None "],
        ),
        ("{ports: abc, any_of: [{ports: 80}]}", "any", ["None 80"]),
        ("{ordered: [{infra: gcp}, {infra: aws}]}", "ordered", ["gcp ", "aws "]),
        ("{region: r, any_of: [{cloud: gcp}]}", "any", ["gcp/r "]),
        ("{accelerators: {A100: 1, H100: 8}, ports: 80}", "any", ["None 80", "None 80"]),
        ("{accelerators: [A100, H100]}", "ordered", ["None ", "None "]),
        ("{accelerators: [A100, A100]}", "ordered", ["None "]),
        ("{gpus: tpu-v3-8}", "any", ["gcp "]),
        ("{accelerators: 80GB+}", "any", ["None "]),
        (
            "{accelerators: {A: 1, B: 1}, any_of: [{infra: aws}, {infra: gcp}]}",
            "any",
            ["aws ", "aws ", "gcp ", "gcp "],
        ),
        ("{any_of: [], ordered: null, ports: 80}", "any", ["None 80"]),
    ],
)
def test_resources_are_what_a_task_may_run_on(
    read: Read, resources: str, kind: str, candidates: list[str]
) -> None:
    task = only(read(f"resources: {resources}\nrun: echo\n"))
    assert (task.candidates_kind, shown(task)) == (kind, candidates)


def test_a_candidate_knows_where_its_place_and_ports_stand(read: Read) -> None:
    task = only(read("resources:\n  ports: 80\n  any_of:\n    - infra: aws\n    - {cloud: gcp, ports: 81}\n"))
    first, second = task.candidates
    assert (first.infra_span, first.ports_span) != (None, None)
    places = [
        (span.line, span.column)
        for item in (first, second)
        for span in (item.infra_span, item.ports_span)
        if span
    ]
    assert places == [(4, 14), (2, 10), (5, 15), (5, 27)]


# -- ports -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "ports"),
    [
        ("8080", "8080"),
        ("'8080'", "8080"),
        ("[80, 81]", "80-81"),
        ("['8000-8010', 8005, '8011, 22']", "22, 8000-8011"),
        ("' 80 ,, 90 '", "80, 90"),
        ("','", ""),
        ("1-65535", "1-65535"),
    ],
)
def test_ports_are_normal_ranges(read: Read, written: str, ports: str) -> None:
    assert str(only(read(f"resources: {{ports: {written}}}\n")).candidates[0].ports) == ports


@pytest.mark.parametrize(
    ("written", "number", "why"),
    [
        ("22:22", 1342, "base 60"),
        ("0100", 64, "YAML 1.1"),
        ("0x50", 80, "YAML 1.1"),
        ("8_080", 8080, "YAML 1.1"),
        ("+80", 80, "YAML 1.1"),
        ("0b101", 5, "YAML 1.1"),
    ],
)
@pytest.mark.parametrize("shape", ["ports: {}", "ports: [1, {}]", "any_of: [{{infra: aws, ports: {}}}]"])
def test_a_number_that_yaml_reads_otherwise_is_kept_and_told(
    read: Read, written: str, number: int, why: str, shape: str
) -> None:
    answer = read(f"resources:\n  {shape.format(written)}\n")
    assert number in only(answer).candidates[0].ports
    [warning] = answer.warnings
    assert (warning.code, warning.severity) == ("yaml-number", "warning")
    assert warning.message == f"YAML reads this as the port {number}"
    assert warning.help == f"{written!r} is a number in {why}: write {number}, or quote what you mean"
    assert warning.source_line is not None
    assert warning.span is not None
    assert warning.source_line[warning.span.column - 1 :].startswith(written)


@pytest.mark.parametrize("written", ["80", "'0080'", "0080", "[80, '443']", "&p 80"])
def test_a_plain_number_is_not_talked_about(read: Read, written: str) -> None:
    assert read(f"resources: {{ports: {written}}}\n").warnings == ()


def test_the_port_of_a_service_is_read_and_told_of_too(read: Read) -> None:
    answer = read("service: {ports: 22:22, replicas: 1}\n")
    assert only(answer).service_port == 1342
    assert [item.code for item in answer.warnings] == ["yaml-number"]


# -- overrides -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "ports"),
    [
        ((), "8080"),
        (("80",), "80"),
        (("80", "90-91"), "80, 90-91"),
        (("80,443",), "80, 443"),
        (("none",), ""),
        (("NONE",), ""),
        (("",), ""),
        (("0080",), "80"),
    ],
)
def test_ports_of_the_command_line_replace_those_of_every_candidate(
    read: Read, options: tuple[str, ...], ports: str
) -> None:
    text = "resources: {ports: 8080, any_of: [{infra: aws}, {infra: gcp}]}\n"
    assert shown(only(read(text, ports=options))) == [f"aws {ports}", f"gcp {ports}"]


def test_infra_of_the_command_line_sets_all_three_parts(read: Read) -> None:
    text = "resources: {infra: aws/us-east-1/us-east-1a, ports: 80}\n"
    assert shown(only(read(text, infra="gcp"))) == ["gcp 80"]
    assert shown(only(read(text, infra="*"))) == ["None 80"]
    assert shown(only(read(text, infra="digitalocean/nyc1"))) == ["do/nyc1 80"]


@pytest.mark.parametrize(
    ("overrides", "code"),
    [
        ({"ports": ("none", "80")}, "bad-port"),
        ({"ports": ("80-79",)}, "bad-port"),
        ({"infra": "aws/a/b/c"}, "bad-infra"),
        ({"infra": "aws//b"}, "bad-infra"),
        ({"infra": "asw"}, "bad-infra"),
    ],
)
def test_a_bad_override_is_a_finding_without_a_place(
    refused: Callable[..., list[Diagnostic]], overrides: dict[str, object], code: str
) -> None:
    [item] = refused("run: echo\n", **overrides)
    assert (item.code, item.path, item.span) == (code, None, None)


@pytest.mark.parametrize("header", ["name: pipe\n---\n", "", "name: g\nexecution: parallel\n---\n"])
def test_overrides_do_not_apply_to_several_tasks(read: Read, header: str) -> None:
    text = f"{header}name: a\nresources: {{infra: aws, ports: 80}}\n---\nname: b\n"
    answer = read(text, ports=("443",), infra="gcp")
    assert [shown(task) for task in answer.document.tasks] == [["aws 80"], ["None "]]
    assert [item.code for item in answer.warnings] == ["overrides-ignored"]


def test_a_variable_of_the_command_line_fills_an_empty_one(
    read: Read, refused: Callable[..., list[Diagnostic]]
) -> None:
    text = "envs: {HF_TOKEN: , MODEL: m}\nresources: {ports: 80}\n"
    assert shown(only(read(text, envs={"HF_TOKEN": "x"}))) == ["None 80"]
    [item] = refused(text)
    assert (item.code, item.message) == (
        "env-without-value",
        "the environment variable 'HF_TOKEN' has no value",
    )


# -- documents -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kind", "name", "names"),
    [
        ("run: x\n", "task", None, [None]),
        ("name: web\n", "task", None, ["web"]),
        ("name: web\nexecution: serial\n", "task", None, ["web"]),
        ("name: pipe\n---\nname: a\n---\nname: b\n", "chain", "pipe", ["a", "b"]),
        ("name: pipe\nexecution: serial\n---\nrun: a\n---\nrun: b\n", "chain", "pipe", [None, None]),
        ("name: pipe\n---\nname: a\n", "task", None, ["a"]),
        ("name: 5\n---\nrun: a\n---\nrun: b\n", "chain", 5, [None, None]),
        ("name: .nan\n---\nrun: a\n---\nrun: b\n", "chain", "nan", [None, None]),
        ("---\n---\nname: b\n", "task", None, ["b"]),
        ("run: a\n---\nrun: b\n", "chain", None, [None, None]),
        ("name: g\nexecution: parallel\n---\nname: a\n---\n---\nname: b\n", "job_group", "g", ["a", "b"]),
        ("name: g\nexecution: parallel\nprimary_tasks: [a]\n---\nname: a\n", "job_group", "g", ["a"]),
    ],
)
def test_a_file_is_a_task_a_chain_or_a_job_group(
    read: Read, text: str, kind: str, name: str | int | None, names: list[str | None]
) -> None:
    document: TaskDocument = read(text).document
    assert (document.kind, document.name) == (kind, name)
    assert [task.name for task in document.tasks] == names
    assert [task.position for task in document.tasks] == list(range(len(names)))


def test_a_repeated_key_refuses_a_task_and_not_a_job_group(
    read: Read, refused: Callable[..., list[Diagnostic]]
) -> None:
    assert [item.code for item in refused("run: a\nrun: b\n")] == ["repeated-key"]
    answer = read("name: g\nexecution: parallel\n---\nname: a\nnum_nodes: 2\nnum_nodes: 3\n")
    assert only(answer).num_nodes == 3
    assert [(item.code, item.severity) for item in answer.warnings] == [("repeated-key", "warning")]


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n", "---\n---\n", "{}\n", "---\n{}\n---\n"])
def test_a_file_without_a_task_is_refused(refused: Callable[..., list[Diagnostic]], text: str) -> None:
    [item] = refused(text)
    assert item.code == "file-empty"


@pytest.mark.parametrize("text", ["[]\n", "- a\n", "echo hello\n", "42\n", "run: a\n---\nfoo\n", "false\n"])
def test_a_document_that_is_no_mapping_is_refused(
    refused: Callable[..., list[Diagnostic]], text: str
) -> None:
    [item] = refused(text)
    assert item.code == "not-a-mapping"


# -- what SkyPilot itself trips over ---------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "envs: null\n",
        "resources: {accelerators: []}\n",
        "resources: {accelerators: {}}\n",
        "resources: {infra: aws, accelerators: tpu-v3-8}\n",
        "resources: {image_id: {us-east-1: 5}}\n",
        "resources: {volumes: [{path: /x, name: a}], any_of: [{infra: aws}, {infra: gcp}]}\n",
        "service: {readiness_probe: null}\n",
        "service: {ports: 8080.0}\n",
        "volumes: {/x: 2024-01-01}\n",
        "inputs: {}\n",
        "resources: {foo: null}\n",
    ],
)
def test_what_crashes_skypilot_is_a_finding(refused: Callable[..., list[Diagnostic]], text: str) -> None:
    assert refused(text)


# -- texts made to hurt ----------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        f"resources: {{ports: [{', '.join(['x'] * 20_000)}]}}\n",
        f"resources: {{ports: '{', '.join(['x'] * 20_000)}'}}\n",
        "".join(f"key{number}: 1\n" for number in range(20_000)),
        "envs:\n" + "".join(f"  A-{number}: 1\n" for number in range(20_000)),
    ],
    ids=["list", "text", "keys", "envs"],
)
def test_the_errors_of_a_hopeless_file_end_somewhere(
    refused: Callable[..., list[Diagnostic]], text: str
) -> None:
    found = refused(text)
    assert len(found) == 1001
    assert [item.message for item in found if item.code == "too-many-errors"] == [
        "there are more than 1000 errors: the others are not shown"
    ]


scalars = st.one_of(
    st.sampled_from(["aws", "aws/us-east-1", "80", "80-90", "$A", "tpu-v3-8", "docker", "*", 80, 8080.0]),
    st.sampled_from([None, True, False]),
    st.integers(),
    st.floats(),
    st.dates(),
    st.text(max_size=5),
)
keys = st.sampled_from(INNER_KEYS) | st.integers()
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)
documents = st.lists(
    st.none() | st.dictionaries(st.sampled_from(TASK_KEYS), values, max_size=6), min_size=1, max_size=3
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300)
@given(documents)
def test_any_task_is_read_or_refused_with_findings(read: Read, file: list[dict[str, object] | None]) -> None:
    try:
        answer = read(yaml.safe_dump_all(file, sort_keys=False, allow_unicode=True))
    except FindingsError as error:
        assert format_diagnostics(error.diagnostics)
    else:
        assert answer.document.tasks


@pytest.mark.parametrize(
    "text",
    [
        f"resources: {{ports: {'x' * 100_000}}}\n",
        f"resources: {{infra: {'aws/' * 30_000}x}}\n",
        f"resources: {{priority: 1{'0' * 4000}}}\n",
        f"resources: {{ports: 0x{'f' * 3000}}}\n",
        f"run: 0x{'f' * 3000}\n",
        f"envs: {{A: 0x{'f' * 5000}}}\n",
        f"name: [{'x' * 100_000}]\n",
    ],
)
def test_a_huge_value_is_not_repeated_in_full(refused: Callable[..., list[Diagnostic]], text: str) -> None:
    assert len(format_diagnostics(refused(text))) < 2000


# -- the words -------------------------------------------------------------------------


@pytest.mark.parametrize("case", sorted(EXPECTED.glob("*.yaml")), ids=lambda case: case.stem)
def test_all_findings_of_a_file_are_told_at_once_with_place_line_caret_and_help(
    case: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(EXPECTED)
    with pytest.raises(FindingsError) as caught:
        read_tasks(case.name)
    assert format_diagnostics(caught.value.diagnostics) + "\n" == case.with_suffix(".txt").read_text("utf-8")


def test_reading_does_not_depend_on_hash_seeds() -> None:
    case = EXPECTED / "resources.yaml"
    script = (
        "import sys; from skyports_tf.task import read_tasks; from skyports_tf.diagnostics import *\n"
        "try: read_tasks(sys.argv[1])\n"
        "except FindingsError as error: print(format_diagnostics(error.diagnostics))\n"
    )
    answers = {
        subprocess.run(
            [sys.executable, "-c", script, str(case)],
            env={
                "PYTHONHASHSEED": seed,
                "PYTHONPATH": str(EXPECTED.parent.parent),
                "PYTHONIOENCODING": "utf-8",
            },
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(answers) == 1
