"""`inspect`: what was understood of task files, as text and as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from skyports_tf.schema import schema_of
from tests.support.command_line import Answer, call

WEB = "name: web\nresources:\n  infra: aws/us-east-1\n  ports: [8080, 9000-9005]\nrun: echo\n"
CHAIN = """\
name: pipe
---
name: train
num_nodes: 4
resources:
  accelerators: {A100: 8, H100: 8}
run: echo
---
name: serve
service: {readiness_probe: /health, replicas: 2, ports: 8080}
resources:
  ports: 8080
  ordered:
    - infra: aws/us-east-1
    - {infra: k8s/prod, ports: 8443}
    - infra: "*"
run: echo
"""
GROUP = (
    "name: rl\nexecution: parallel\n---\nname: trainer\nrun: echo\n---\nname: judge\nresources: {ports: 80}\n"
)
BAD = "resources:\n  prots: 1\n  ports: [80, abc]\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in {"web": WEB, "chain": CHAIN, "group": GROUP, "bad": BAD}.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    return tmp_path


def checked(answer: Answer) -> Any:
    """The JSON of an answer, which its schema holds."""
    jsonschema.validate(answer.json, schema_of("inspect"))
    return answer.json


def test_the_text_shows_documents_tasks_candidates_and_ports(folder: Path) -> None:
    answer = call(folder, "inspect", "web.yaml", "chain.yaml", "group.yaml")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out == (
        "web.yaml: task\n"
        "  web: 1 node\n"
        "    aws/us-east-1  ports 8080, 9000-9005\n"
        "\n"
        "chain.yaml: chain pipe\n"
        "  train: 4 nodes, any of 2 candidates\n"
        "    any cloud  no ports (2 candidates)\n"
        "  serve: 1 node, in this order 3 candidates, serves on port 8080\n"
        "    aws/us-east-1    ports 8080\n"
        "    kubernetes/prod  ports 8443\n"
        "    any cloud        ports 8080\n"
        "\n"
        "group.yaml: job group rl\n"
        "  trainer: 1 node\n"
        "    any cloud  no ports\n"
        "  judge: 1 node\n"
        "    any cloud  ports 80\n"
    )


def test_the_json_has_every_key_of_the_contract(folder: Path) -> None:
    answer = call(folder, "inspect", "--json", "web.yaml")
    assert checked(answer) == {
        "version": 1,
        "documents": [
            {
                "path": "web.yaml",
                "kind": "task",
                "name": None,
                "tasks": [
                    {
                        "name": "web",
                        "num_nodes": 1,
                        "candidates_kind": "any",
                        "candidates": [
                            {
                                "infra": "aws/us-east-1",
                                "cloud": "aws",
                                "region": "us-east-1",
                                "zone": None,
                                "ports": ["8080", "9000-9005"],
                            }
                        ],
                        "service_port": None,
                    }
                ],
            }
        ],
        "diagnostics": [],
    }


def test_the_good_files_are_documents_and_the_others_findings(folder: Path) -> None:
    answer = call(folder, "inspect", "--json", "bad.yaml", "web.yaml", "none.yaml", "chain.yaml")
    found = checked(answer)
    assert answer.code == 1
    assert [item["path"] for item in found["documents"]] == ["web.yaml", "chain.yaml"]
    assert [(item["path"], item["code"], item["line"], item["column"]) for item in found["diagnostics"]] == [
        ("bad.yaml", "unknown-key", 2, 3),
        ("bad.yaml", "bad-port", 3, 15),
        ("none.yaml", "file-missing", None, None),
    ]
    assert found["diagnostics"][0]["help"] == "did you mean 'ports'?"
    assert "bad.yaml:2:3: error[unknown-key]" in answer.err


def test_a_warning_does_not_refuse(folder: Path) -> None:
    (folder / "odd.yaml").write_text("resources: {ports: 22:22}\n")
    answer = call(folder, "inspect", "--json", "odd.yaml")
    found = checked(answer)
    assert answer.code == 0
    assert found["documents"][0]["tasks"][0]["candidates"][0]["ports"] == ["1342"]
    [warning] = found["diagnostics"]
    assert (warning["severity"], warning["code"]) == ("warning", "yaml-number")


def test_the_command_line_overrides_ports_and_place(folder: Path) -> None:
    answer = call(folder, "inspect", "--ports", "443", "--ports", "80,81", "--infra", "gcp", "web.yaml")
    assert answer.out == "web.yaml: task\n  web: 1 node\n    gcp  ports 80-81, 443\n"
    assert "no ports" in call(folder, "inspect", "--ports", "none", "web.yaml").out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--ports", "abc"), "error[bad-port]: --ports: 'abc' is neither a port nor a range"),
        (("--ports", "none", "--ports", "80"), "error[bad-port]: --ports none clears the ports"),
        (("--infra", "asw"), "error[bad-infra]: --infra: no cloud 'asw'"),
    ],
)
def test_a_bad_override_is_a_finding(folder: Path, options: tuple[str, ...], message: str) -> None:
    answer = call(folder, "inspect", *options, "web.yaml", "web.yaml")
    assert answer.code == 1
    assert answer.err.startswith(message)
    assert answer.err.count("error[") == 1
    assert answer.out == ""


def test_it_needs_a_file(folder: Path) -> None:
    assert call(folder, "inspect").code == 2


def test_thousands_of_files_are_one_call(tmp_path: Path) -> None:
    names = [f"{number}.yaml" for number in range(2000)]
    for name in names:
        (tmp_path / name).write_text(WEB)
    answer = call(tmp_path, "inspect", "--json", *names)
    assert answer.code == 0
    assert [item["path"] for item in json.loads(answer.out)["documents"]] == names


def test_nothing_of_a_file_steers_the_terminal(tmp_path: Path) -> None:
    (tmp_path / "t.yaml").write_text(
        'name: "a\\e[2Jb"\nresources: {infra: "k8s/\\u202Ex"}\n', encoding="utf-8"
    )
    out = call(tmp_path, "inspect", "t.yaml").out
    assert all(char.isprintable() or char == "\n" for char in out)


def test_it_writes_nothing(folder: Path) -> None:
    before = sorted(folder.iterdir())
    call(folder, "inspect", "web.yaml", "bad.yaml")
    assert sorted(folder.iterdir()) == before
