"""No input can inject HCL, a flag or a path: hostile text goes through compile and real Terraform."""

from __future__ import annotations

import json
import re
import subprocess
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from skyports_tf.diagnostics import FindingsError
from tests.support.project import Project
from tests.test_hcl import HOSTILE

# What the AWS module is given comes back as it is: the real root module, another module.
ECHO = """
variable "attach" {}
variable "closed" {}
variable "cluster" {}
variable "name_on_cloud" {}
variable "rules" {}
variable "security_group_name" {}
variable "ssh_rules" {}
variable "tags" {}
variable "vpc" {}
output "nodes" { value = var.tags }
output "ports" { value = [var.cluster, var.vpc, var.security_group_name] }
output "rules" { value = var.rules }
output "security_group" { value = null }
"""

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40) | st.sampled_from(HOSTILE)


def heard_by_terraform(project: Project, directory: str) -> dict[str, Any]:
    """The arguments of the module call, as the real Terraform reads the generated root module."""
    folder = project.folder / "heard"
    (folder / "echo").mkdir(parents=True)
    (folder / "echo" / "main.tf").write_text(ECHO)
    source = project.folder / "infra" / directory
    main = (source / "main.tf").read_text(encoding="utf-8")
    main = re.sub(r'\nprovider "aws" \{\n.*?\n\}\n', "\n", main, flags=re.DOTALL)
    main = re.sub(r"\n  required_providers \{\n.*?\n  \}\n", "\n", main, flags=re.DOTALL)
    (folder / "main.tf").write_text(main.replace('"../../modules/aws"', '"./echo"'), encoding="utf-8")
    (folder / "outputs.tf").write_text((source / "outputs.tf").read_text(encoding="utf-8"), encoding="utf-8")
    run = ["terraform", f"-chdir={folder}"]
    subprocess.run([*run, "init", "-input=false"], check=True, capture_output=True)
    subprocess.run([*run, "apply", "-auto-approve", "-input=false"], check=True, capture_output=True)
    shown = subprocess.run([*run, "output", "-json"], check=True, capture_output=True, text=True)
    return {name: output["value"] for name, output in json.loads(shown.stdout).items()}


def normal(text: str) -> str:
    """Terraform keeps strings in Unicode's normal form C."""
    return unicodedata.normalize("NFC", text)


def collected(strategy: st.SearchStrategy[str], count: int) -> list[str]:
    """Many texts of a strategy, for one run of Terraform."""
    found: list[str] = []

    @settings(max_examples=count, database=None)
    @given(strategy)
    def collect(text: str) -> None:
        found.append(text)

    collect()
    return found


def test_hostile_tags_and_names_reach_terraform_as_text(tmp_path: Path) -> None:
    project = Project(tmp_path)
    texts = [text for text in collected(TEXTS, 300) if "\0" not in text and is_yaml_text(text)]
    tags = {f"t{number} {normal(text)[:60]}": text for number, text in enumerate(texts)}
    vpc = '${file("/etc/passwd")} %{ for x in y }'
    project.config(yaml.safe_dump({"tags": tags, "aws": {"vpc": vpc}}, allow_unicode=False))
    project.compile(project.task("80"))
    heard = heard_by_terraform(project, "web/aws-us-east-1")
    assert heard["nodes"] == {normal(key): normal(value) for key, value in tags.items()}
    assert heard["ports"] == ["web", vpc, "sky-sg-web"]
    assert list(heard["rules"]) == ["tcp-80@0.0.0.0/0"]


def is_yaml_text(text: str) -> bool:
    """Whether the text can stand in a YAML file at all."""
    return bool(yaml.safe_load(yaml.safe_dump({"x": text})) == {"x": text})


def test_hostile_file_names_stay_in_their_comment(tmp_path: Path) -> None:
    project = Project(tmp_path)
    names = [
        'a"b',
        "${x}",
        "%{x}",
        "x\ny = 1",
        "\u202etxt",
        "-rf",
        "a b",
        "'",
        "*/",
        "#",
        "\x1b[31m",
        "é",
        "\u2028x",
    ]
    for number, name in enumerate(names):
        project.task(str(1000 + 2 * number), file=f"{name}.yaml")
    project.compile(*(f"./{name}.yaml" for name in names))
    main = project.text("web/aws-us-east-1/main.tf")
    header = main.split("\n\n")[0]
    assert len(header.splitlines()) == 2 and all(line.startswith("# ") for line in header.splitlines())
    assert len(heard_by_terraform(project, "web/aws-us-east-1")["rules"]) == len(names)
    ledger = json.loads(project.text("web/aws-us-east-1/stack.json"))
    assert {entry["file"] for entry in ledger["tasks"]} == {f"{name}.yaml" for name in names}


@pytest.mark.parametrize(
    "config",
    [
        'tags: {"a\\0": b}',
        'tags: {a: "b\\0"}',
        'aws: {vpc: "\\0"}',
        'backend: {s3: {bucket: "\\0", endpoints: {s3: ["\\0"]}}}',
        'rules: [{cluster: web, ports: {80: {description: "\\0"}}}]',
    ],
)
def test_a_nul_character_is_refused_wherever_it_stands(tmp_path: Path, config: str) -> None:
    project = Project(tmp_path)
    project.config(config)
    assert set(project.refused(project.task("80"))) == {"config-value"}


def refusals(project: Project, **rest: Any) -> Iterator[str]:
    try:
        project.look("web.yaml", **rest)
    except FindingsError as error:
        yield from (item.code for item in error.diagnostics)


@settings(max_examples=150)
@given(TEXTS)
def test_a_hostile_cluster_or_source_is_refused_or_plain(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    project = Project(tmp_path_factory.getbasetemp() / "hostile")
    project.folder.mkdir(exist_ok=True)
    project.task("80")
    if not re.fullmatch(r"[A-Za-z][-_.A-Za-z0-9]*", text):
        assert "cluster-name" in set(refusals(project, cluster=text or " "))
    if not re.fullmatch(r"[0-9a-fA-F:./]+|(pl|sg)-[0-9a-f]+|tag:.*", text):
        assert "bad-source" in set(refusals(project, sources=(text,)))
    assert not project.folder.joinpath("infra").exists()
