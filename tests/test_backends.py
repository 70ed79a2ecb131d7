"""Terraform backends: a state of its own for each stack, and no secret in a file."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyports_tf.backends import absolute_parts, backends, keys_may_meet, settings_of, state_key
from skyports_tf.config import read_config
from skyports_tf.diagnostics import FindingsError
from skyports_tf.schema import schema_of
from skyports_tf.source import read_yaml
from tests.support.command_line import call
from tests.support.installs import ROOT
from tests.support.project import Project, working_in

KINDS = ("local", "s3", "gcs", "azurerm", "oci", "consul", "pg", "kubernetes", "http", "cloud")
NEEDED = {"http": {"address": "https://example.com/state"}}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_the_facts_of_backends_are_valid_and_have_a_source() -> None:
    facts = read_yaml(str(ROOT / "templates" / "backends.yaml")).documents[0].data
    jsonschema.Draft202012Validator(schema_of("backends")).validate(facts)
    assert tuple(sorted(facts)) == tuple(sorted(KINDS)) == tuple(sorted(backends()))


# -- one key a stack -------------------------------------------------------------------

BACKENDS = {
    "local: {}": 'backend "local" {}',
    "s3: {bucket: b, region: us-east-1, use_lockfile: true}": (
        'backend "s3" {\n'
        '    bucket       = "b"\n'
        '    key          = "skyports/web/aws-us-east-1/terraform.tfstate"\n'
        '    region       = "us-east-1"\n'
        "    use_lockfile = true\n"
        "  }"
    ),
    "s3: {bucket: b, key: 'net/{cluster}/{place}.tfstate'}": (
        'backend "s3" {\n    bucket = "b"\n    key    = "net/web/aws-us-east-1.tfstate"\n  }'
    ),
    "gcs: {bucket: b, key_prefix: team/ports}": (
        'backend "gcs" {\n    bucket = "b"\n    prefix = "team/ports/web/aws-us-east-1"\n  }'
    ),
    "azurerm: {container_name: c, storage_account_name: a, use_azuread_auth: true}": (
        'backend "azurerm" {\n'
        '    container_name       = "c"\n'
        '    key                  = "skyports/web/aws-us-east-1/terraform.tfstate"\n'
        '    storage_account_name = "a"\n'
        "    use_azuread_auth     = true\n"
        "  }"
    ),
    "oci: {bucket: b, namespace: n}": (
        'backend "oci" {\n'
        '    bucket    = "b"\n'
        '    key       = "skyports/web/aws-us-east-1/terraform.tfstate"\n'
        '    namespace = "n"\n'
        "  }"
    ),
    "consul: {address: 'consul.example.com:8500', scheme: https}": (
        'backend "consul" {\n'
        '    address = "consul.example.com:8500"\n'
        '    path    = "skyports/web/aws-us-east-1"\n'
        '    scheme  = "https"\n'
        "  }"
    ),
    "pg: {}": 'backend "pg" {\n    schema_name = "skyports_web-aws-us-east-1"\n  }',
    # Terraform takes no suffix that ends with a number
    "kubernetes: {namespace: infra}": (
        'backend "kubernetes" {\n'
        '    namespace     = "infra"\n'
        '    secret_suffix = "skyports-web-aws-us-east-1-state"\n'
        "  }"
    ),
    "http: {address: 'https://example.com/state', lock_address: 'https://example.com/lock'}": (
        'backend "http" {\n'
        '    address      = "https://example.com/state/web-aws-us-east-1"\n'
        '    lock_address = "https://example.com/lock/web-aws-us-east-1"\n'
        "  }"
    ),
    # as GitLab has it
    "http: {address: 'https://example.com/state/{stack}', lock_address: 'https://example.com/state/{stack}/lock',"
    " lock_method: POST}": (
        'backend "http" {\n'
        '    address      = "https://example.com/state/web-aws-us-east-1"\n'
        '    lock_address = "https://example.com/state/web-aws-us-east-1/lock"\n'
        '    lock_method  = "POST"\n'
        "  }"
    ),
    "http: {address: 'https://example.com/state/?token=none'}": (
        'backend "http" {\n    address = "https://example.com/state/web-aws-us-east-1?token=none"\n  }'
    ),
    "cloud: {organization: acme}": (
        'cloud {\n    organization = "acme"\n\n    workspaces {\n'
        '      name = "skyports-web-aws-us-east-1"\n    }\n  }'
    ),
    "cloud: {organization: acme, workspaces: {project: ports}}": (
        'cloud {\n    organization = "acme"\n\n    workspaces {\n'
        '      name    = "skyports-web-aws-us-east-1"\n      project = "ports"\n    }\n  }'
    ),
}


@pytest.mark.parametrize("backend", BACKENDS)
def test_each_stack_has_a_state_key_of_its_own(project: Project, backend: str) -> None:
    project.config(f"backend:\n  {backend}\n")
    project.compile(project.task("80"))
    assert f"terraform {{\n  {BACKENDS[backend]}\n}}\n" in project.text("web/aws-us-east-1/backend.tf")
    if shutil.which("terraform"):
        subprocess.run(
            ["terraform", "fmt", "-check", "-recursive", str(project.folder / "infra")], check=True
        )


NAMES = st.from_regex(r"[a-zA-Z]([-_.a-zA-Z0-9]{0,80}[a-zA-Z0-9])?", fullmatch=True)
PLACES = st.sampled_from(["aws-us-east-1", "kubernetes", "kubernetes-a.b", "gcp", "azure-westeurope", "a-7"])


@given(
    st.lists(st.tuples(NAMES, PLACES), min_size=2, max_size=12, unique=True), st.text("aZ9/-_.é", max_size=90)
)
def test_no_two_stacks_of_paths_and_lengths_of_any_kind_share_a_key(
    stacks: list[tuple[str, str]], prefix: str
) -> None:
    directories = [f"{cluster}/{place}" for cluster, place in stacks]
    # joined by a hyphen, `a-b` `c` and `a` `b-c` are alike: compile refuses those
    directories = list({directory.replace("/", "-"): directory for directory in directories}.values())
    for kind in KINDS[1:]:
        settings = {"key_prefix": prefix, **NEEDED.get(kind, {})}
        keys = [state_key(kind, settings, directory) for directory in directories]
        assert len(set(keys)) == len(directories), kind


@given(NAMES, PLACES, st.text("aZ9/-_.é", max_size=90))
def test_a_key_is_one_that_the_backend_takes(cluster: str, place: str, prefix: str) -> None:
    directory = f"{cluster}/{place}"
    schema = state_key("pg", {"key_prefix": prefix}, directory)
    assert len(schema.encode()) <= 63 and not schema.startswith("pg_")
    suffix = state_key("kubernetes", {"key_prefix": prefix}, directory)
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", suffix) and len(suffix) <= 63
    assert not re.search(r"-[0-9]+$", suffix)
    workspace = settings_of("cloud", {"key_prefix": prefix}, directory)["workspaces"]["name"]
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,90}", workspace)
    assert not state_key("s3", {"key_prefix": prefix}, directory).startswith("/")


def test_long_names_are_told_apart_where_postgresql_would_cut_them() -> None:
    clusters = [f"{'very-long-name-' * 6}{number}" for number in range(2)]
    first, second = (state_key("pg", {}, f"{cluster}/aws-us-east-1") for cluster in clusters)
    assert first != second and len(first) <= 63


# -- two stacks with one key -----------------------------------------------------------


def shared(project: Project, config: str, *clusters: str) -> list[tuple[str, int | None, int | None]]:
    """Compile a task of each cluster, the last of them with findings; gives code, line and column."""
    project.config(config)
    tasks = [project.task("80", name=name, file=f"{name}.yaml") for name in clusters]
    for task in tasks[:-1]:
        project.compile(task)
    with pytest.raises(FindingsError) as caught:
        project.compile(tasks[-1])
    return [
        (item.code, item.span.line, item.span.column) if item.span else (item.code, None, None)
        for item in caught.value.diagnostics
        if item.severity == "error"
    ]


def test_a_key_that_says_the_same_for_two_stacks_is_refused_at_its_line(project: Project) -> None:
    config = "backend:\n  s3:\n    bucket: b\n    key: 'states/{place}'\n"
    assert shared(project, config, "web", "api") == [("backend-key-shared", 4, 10)]
    # of the one that came first, nothing was lost
    assert list(project.tree())[-1].startswith("web/") and "api" not in str(list(project.tree()))


def test_two_stacks_that_meet_in_one_compile_are_refused_too(project: Project) -> None:
    project.config("backend: {consul: {path: '{prefix}/{place}'}}\n")
    tasks = [project.task("80", name=name, file=f"{name}.yaml") for name in ("web", "api")]
    assert project.refused(*tasks) == ["backend-key-shared"]
    assert not (project.folder / "infra").exists()


def test_names_that_meet_where_a_hyphen_joins_them_are_refused(project: Project) -> None:
    one = project.task("80", name="a", infra="k8s/kubernetes-b", file="one.yaml")
    two = project.task("80", name="a-kubernetes", infra="k8s/b", file="two.yaml")
    project.config("user_hash: a1b2c3d4\nbackend:\n  pg: {}\n")
    project.compile(one)
    with pytest.raises(FindingsError) as caught:
        project.compile(two)
    (found,) = [item for item in caught.value.diagnostics if item.severity == "error"]
    assert found.code == "backend-key-shared" and found.span and found.span.line == 3
    assert "a/kubernetes-kubernetes-b and a-kubernetes/kubernetes-b" in found.message


@pytest.mark.parametrize("kind", KINDS)
def test_a_compile_looks_at_other_stacks_only_where_keys_could_meet(kind: str) -> None:
    safe = {"local", "s3", "gcs", "azurerm", "oci", "consul"}
    assert keys_may_meet(kind, NEEDED.get(kind, {})) == (kind not in safe)


# -- no secret in a file ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "code", "place", "way_out"),
    [
        ("backend: {s3: {key: x}}\n", "backend-key", (1, 16), "leave it out"),
        ("backend: {s3: {key: '{prefix}/x'}}\n", "backend-key", (1, 16), "leave it out"),
        ("backend: {s3: {key: '{region}/x'}}\n", "config-value", (1, 16), "{place}"),
        ("backend: {local: {path: x}}\n", "backend-key", (1, 19), None),
        ("backend: {cloud: {workspaces: {name: x}}}\n", "backend-key", (1, 19), None),
        ("backend: {s3: {secret_key: x}}\n", "config-secret", (1, 16), "AWS_SECRET_ACCESS_KEY"),
        ("backend: {azurerm: {sas_token: x}}\n", "config-secret", (1, 21), "ARM_SAS_TOKEN"),
        ("backend: {gcs: {credentials: x}}\n", "config-secret", (1, 17), "GOOGLE_BACKEND_CREDENTIALS"),
        ("backend: {http: {address: a, password: x}}\n", "config-secret", (1, 30), "TF_HTTP_PASSWORD"),
        ("backend: {http: {address: 'https://u:p@h/s'}}\n", "config-secret", (1, 18), "--backend-config"),
        ("backend: {kubernetes: {token: x}}\n", "config-secret", (1, 24), "KUBE_TOKEN"),
        ("backend: {consul: {access_token: x}}\n", "config-secret", (1, 20), "CONSUL_HTTP_TOKEN"),
        ("backend: {oci: {private_key: x}}\n", "config-secret", (1, 17), "--backend-config"),
        ("backend: {cloud: {token: x}}\n", "config-secret", (1, 19), "--backend-config"),
        ("backend: {pg: {conn_str: 'postgres://u:p@h/db'}}\n", "config-secret", (1, 16), "PG_CONN_STR"),
        ("backend: {pg: {conn_str: 'host=h password=p'}}\n", "config-secret", (1, 16), "PG_CONN_STR"),
        (
            "backend: {s3: {assume_role_with_web_identity: {web_identity_token: x}}}\n",
            "config-secret",
            (1, 16),
            "--backend-config",
        ),
        ("backend: {s3: {'a b': x}}\n", "config-value", (1, 16), None),
        (
            "backend: {s3: {}}\nterraform: {backend_config: [secret_key=x]}\n",
            "config-secret",
            (2, 30),
            "AWS_SECRET_ACCESS_KEY",
        ),
        ("backend: {s3: {}}\nterraform: {backend_config: [a.hcl, key=x]}\n", "backend-key", (2, 37), None),
    ],
)
def test_a_secret_or_a_key_is_refused_at_its_place_with_the_way_out(
    project: Project, text: str, code: str, place: tuple[int, int], way_out: str | None
) -> None:
    project.config(text)
    with working_in(project.folder), pytest.raises(FindingsError) as caught:
        read_config("skyports.yaml")
    (found,) = caught.value.diagnostics
    assert found.code == code and found.span is not None
    assert (found.span.line, found.span.column) == place
    assert way_out is None or way_out in (found.help or "")


def test_a_connection_string_without_a_secret_is_taken(project: Project) -> None:
    project.config("backend: {pg: {conn_str: 'postgres://db.example.com/states?sslmode=require'}}\n")
    project.compile(project.task("80"))
    assert "db.example.com/states" in project.text("web/aws-us-east-1/backend.tf")


def test_files_of_a_partial_configuration_are_relative_to_the_config(project: Project) -> None:
    project.config(
        "backend: {s3: {}}\nterraform: {backend_config: [secret.s3.tfbackend, region=eu-west-1]}\n"
    )
    below = project.folder / "a"
    below.mkdir()
    with working_in(below):
        found = read_config("../skyports.yaml").backend_config
    assert found == (str(project.folder / "secret.s3.tfbackend"), "region=eu-west-1")
    assert absolute_parts(["x=/y", "/z"], below) == ("x=/y", "/z")


def test_a_key_on_the_command_line_would_be_one_for_all(project: Project) -> None:
    project.config("backend: {s3: {bucket: b}}\n")
    answer = call(project.folder, "plan", project.task("80"), "--backend-config", "key=x", "--json")
    assert answer.code == 1
    assert [item["code"] for item in answer.json["diagnostics"]] == ["backend-key"]


def test_a_file_for_init_that_sets_a_key_or_is_not_there_is_refused(project: Project) -> None:
    project.config("backend: {s3: {bucket: b}}\nterraform: {backend_config: [part.hcl]}\n")
    task = project.task("80")
    missing = call(project.folder, "plan", task, "--json")
    assert [item["code"] for item in missing.json["diagnostics"]] == ["file-missing"]
    project.write("part.hcl", 'region = "eu-west-1"\n  key    = "one.tfstate"\n')
    refused = call(project.folder, "plan", task)
    assert refused.code == 1
    assert f"{project.folder / 'part.hcl'}:2:3: error[backend-key]" in refused.err
    project.write("part.json", '{"key": "one.tfstate"}\n')
    project.write("part.hcl", "")
    assert call(project.folder, "plan", task, "--backend-config", "part.json").code == 1
