"""Task files judged and read as SkyPilot 0.14.1 does: every vector of data/conformance."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from skyports_tf.diagnostics import Diagnostic, FindingsError
from skyports_tf.report.inspection import inspection_json
from skyports_tf.task import TaskOverrides, read_tasks

DATA = Path(__file__).parent / "data" / "conformance"

Vector = dict[str, Any]

#: `sky launch` has options that we do not offer; a vector that turns on one of them is set aside, by name.
NOT_OFFERED = {"cloud", "region", "zone"}
#: Options that change neither the verdict nor the ports.
WITHOUT_EFFECT = {"name", "gpus", "use_spot", "config_override"}


def vectors(name: str) -> list[Vector]:
    return [json.loads(line) for line in (DATA / name).read_text("utf-8").splitlines()]


def as_params(found: list[Vector]) -> list[Any]:
    return [pytest.param(vector, id=vector["id"]) for vector in found]


TASKS = vectors("tasks.jsonl")
OFFERED = [vector for vector in TASKS if not NOT_OFFERED & vector.get("cli", {}).keys()]


def overrides_of(options: Vector) -> TaskOverrides:
    assert options.keys() <= {"ports", "infra", "env"} | WITHOUT_EFFECT
    return TaskOverrides(tuple(options.get("ports", ())), options.get("infra"), dict(options.get("env", ())))


def inspect(text: str, folder: Path, overrides: TaskOverrides | None = None) -> Vector | list[Diagnostic]:
    """The document of `inspect --json`, or the findings that refuse the file."""
    path = folder / "task.yaml"
    path.write_bytes(text.encode())
    try:
        read = read_tasks(str(path), overrides)
    except FindingsError as error:
        assert any(item.severity == "error" for item in error.diagnostics)
        return list(error.diagnostics)
    [document] = inspection_json([read.document], read.warnings)["documents"]
    return dict(document)


def comparable(tasks: list[Vector]) -> list[Vector]:
    """Tasks whose bags of candidates are in one order."""
    return [
        {**task, "candidates": sorted(task["candidates"], key=json.dumps)}
        if task["candidates_kind"] == "any"
        else task
        for task in tasks
    ]


def assert_same(answer: Vector | list[Diagnostic], expected: Vector, name: str | None = None) -> None:
    if expected["error"] is not None:
        assert isinstance(answer, list), f"SkyPilot refuses it: {expected['error']}"
        return
    assert isinstance(answer, dict), answer
    result = expected["result"]
    assert (answer["kind"], answer["name"]) == (result["kind"], result["dag_name"])
    if name is not None:  # --name, which we have no part in
        result["tasks"][0]["name"] = answer["tasks"][0]["name"]
    assert comparable(answer["tasks"]) == comparable(result["tasks"])


@pytest.mark.parametrize("vector", as_params(OFFERED))
def test_a_task_file_is_judged_and_read_as_skypilot_does(vector: Vector, tmp_path: Path) -> None:
    options = vector.get("cli", {})
    assert_same(inspect(vector["yaml"], tmp_path, overrides_of(options)), vector, options.get("name"))


@pytest.mark.parametrize("vector", as_params([item for item in TASKS if "with_env" in item]))
def test_an_empty_variable_is_filled_from_the_command_line(vector: Vector, tmp_path: Path) -> None:
    filled = vector["with_env"]
    assert_same(inspect(vector["yaml"], tmp_path, overrides_of(filled["cli"])), filled)


def test_only_deprecated_options_are_set_aside() -> None:
    set_aside = [vector["cli"] for vector in TASKS if vector not in OFFERED]
    assert len(set_aside) == 4
    assert all(NOT_OFFERED & options.keys() for options in set_aside)


@pytest.mark.parametrize("vector", as_params(vectors("ports.jsonl")))
def test_ports_are_judged_and_read_as_skypilot_does(vector: Vector, tmp_path: Path) -> None:
    answer = inspect(vector["yaml"], tmp_path)
    if vector["error"] is not None:
        assert isinstance(answer, list), f"SkyPilot refuses it: {vector['error']}"
        return
    assert isinstance(answer, dict), answer
    assert answer["tasks"][0]["candidates"][0]["ports"] == vector["ports"]


# a fault of the command line has no place in a file
REFUSED_FILES = [vector for vector in TASKS if vector["error"] and "cli" not in vector]


@pytest.mark.parametrize("vector", as_params(REFUSED_FILES))
def test_every_refusal_says_where_and_why(vector: Vector, tmp_path: Path) -> None:
    findings = inspect(vector["yaml"], tmp_path)
    assert isinstance(findings, list)
    for item in findings:
        assert item.path is not None
        assert item.message
        assert item.span is not None or item.code == "file-empty"
