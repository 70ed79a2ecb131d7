"""skyports.yaml: every key optional, every mistake told at its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from skyports_tf.config import Config, find_config, read_config
from skyports_tf.diagnostics import FindingsError
from tests.support.project import Project, working_in


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def read(project: Project, text: str) -> Config:
    project.config(text)
    with working_in(project.folder):
        return read_config("skyports.yaml")


def test_an_empty_config_is_the_defaults(project: Project) -> None:
    for text in ("", "# nothing\n", "---\n", "{}\n"):
        assert read(project, text).sources == Config().sources
        assert read(project, text).clouds == ("aws",)


def test_the_config_is_found_in_the_current_folder_or_above(project: Project) -> None:
    project.config("retain: true\n")
    below = project.folder / "a" / "b"
    below.mkdir(parents=True)
    assert find_config(below) == project.folder / "skyports.yaml"


def test_out_is_relative_to_the_config(project: Project) -> None:
    project.config("out: generated\n")
    below = project.folder / "a"
    below.mkdir()
    with working_in(below):
        assert read_config("../skyports.yaml").out == "../generated"


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        ("ot: infra\n", "unknown-key", (1, 1)),
        ("clouds: aws\n", "wrong-type", (1, 9)),
        ("sources: [10.0.0.0/40]\n", "bad-source", (1, 11)),
        ("sources: []\n", None, None),
        ("retain: maybe\n", "wrong-type", (1, 9)),
        ("rules: [{sources: [10.0.0.0/8]}]\n", "missing-key", None),
        ("rules: [{cluster: web, ports: {99999: {}}}]\n", "bad-port", (1, 32)),
        ("rules: [{cluster: web, ports: {22:30: {}}}]\n", "bad-port", (1, 32)),
        ("rules: [{cluster: web, ports: {8: {}, 0x50: {}}}]\n", "bad-port", (1, 39)),
        ("rules: [{cluster: web, ports: {80: {protocol: icmp}}}]\n", None, None),
        ("backend: {s4: {}}\n", "backend-unknown", (1, 11)),
        ("backend: {s3: {}, gcs: {}}\n", None, None),
        ("aws: {mode: both}\n", None, None),
        ("aws: {rules_per_security_group: 0}\n", None, None),
        ("user_hash: 'a b'\n", None, None),
    ],
)
def test_a_mistake_is_told_at_its_place(
    project: Project, text: str, code: str | None, place: tuple[int, int] | None
) -> None:
    with pytest.raises(FindingsError) as caught:
        read(project, text)
    (finding,) = caught.value.diagnostics
    assert finding.path == "skyports.yaml" and finding.span is not None
    if code is not None:
        assert finding.code == code
    if place is not None:
        assert (finding.span.line, finding.span.column) == place


def test_a_config_is_one_document(project: Project) -> None:
    with pytest.raises(FindingsError) as caught:
        read(project, "out: a\n---\nout: b\n")
    assert [(item.code, item.span.line) for item in caught.value.diagnostics if item.span] == [
        ("config-value", 3)
    ]


def test_all_mistakes_of_the_file_are_told_at_once(project: Project) -> None:
    mistakes = "sources: [x, 10.0.0.0/8, y]\nrules: [{cluster: a, ports: {0: {sources: [z]}}}]\n"
    with pytest.raises(FindingsError) as caught:
        read(project, mistakes)
    assert [item.code for item in caught.value.diagnostics] == ["bad-source"] * 2 + ["bad-port", "bad-source"]
