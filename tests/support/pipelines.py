"""Projects for the tests of `ci`, and the files it writes as their readers see them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from tests.support.installs import ROOT
from tests.support.project import Project

KINDS = ("github", "gitlab", "atlantis", "tofu-controller", "terragrunt", "pre-commit")
#: What every cloud needs to be compiled for.
CLOUDS = {
    "aws": "aws/us-east-1",
    "azure": "azure/eastus",
    "do": "do",
    "gcp": "gcp",
    "ibm": "ibm/us-south",
    "kubernetes": "kubernetes",
    "nebius": "nebius",
    "oci": "oci/us-ashburn-1",
}
CONFIG = """\
user_hash: a1b2c3d4
gcp: {project: my-project}
ibm: {security_groups: {"*": r006-0717e1a2-5b3c-4d1e-9f00-8a7b6c5d4e3f}}
nebius: {project_id: project-e00abc, network_id: vpcnetwork-e00abc}
oci: {compartment_id: ocid1.compartment.oc1..aaaa}
"""
S3 = "backend: {s3: {bucket: my-state, region: us-east-1, use_lockfile: true}}\n"
#: A config of each backend.
BACKENDS = {
    "local": "",
    "s3": S3,
    "gcs": "backend: {gcs: {bucket: my-state}}\n",
    "azurerm": "backend: {azurerm: {storage_account_name: mystate, container_name: state}}\n",
    "oci": "backend: {oci: {bucket: my-state, namespace: ns}}\n",
    "kubernetes": "backend: {kubernetes: {config_path: ~/.kube/config}}\n",
    "consul": "backend: {consul: {address: consul.example.com}}\n",
    "pg": "backend: {pg: {}}\n",
    "http": "backend: {http: {address: 'https://state.example.com/ports'}}\n",
    "cloud": "backend: {cloud: {organization: my-org}}\n",
}
_SCHEMAS = ROOT / "tests/data/pipelines"


class _Loader(yaml.SafeLoader):
    """YAML as GitHub and GitLab read it: `on` is a text, and `!reference` is a list."""


_Loader.yaml_implicit_resolvers = {
    sign: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool" or sign in "tTfF"]
    for sign, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _reference(loader: _Loader, node: yaml.SequenceNode) -> list[Any]:
    return list(loader.construct_sequence(node))


_Loader.add_constructor("!reference", _reference)


def read(path: Path) -> Any:
    """The one document in a file."""
    return yaml.load(path.read_text(encoding="utf-8"), _Loader)


def read_all(path: Path) -> list[Any]:
    """The documents in a file, without empty ones."""
    text = path.read_text(encoding="utf-8")
    return [document for document in yaml.load_all(text, _Loader) if document is not None]


def follow(schema: str, document: Any) -> Any:
    """The document, once the public schema of that name has taken it."""
    contents = json.loads((_SCHEMAS / f"{schema}.schema.json").read_text(encoding="utf-8"))
    jsonschema.validators.validator_for(contents)(contents).validate(document)
    return document


def steps(workflow: Any) -> Iterator[tuple[str, Any]]:
    """Every step of a GitHub workflow, with the name of its job."""
    for name, job in workflow["jobs"].items():
        for step in job["steps"]:
            yield name, step


def step(workflow: Any, job: str, name: str) -> Any:
    """The one step of that name."""
    (found,) = [item for item in workflow["jobs"][job]["steps"] if item.get("name") == name]
    return found


def project_with(folder: Path, *clouds: str, config: str = S3) -> Project:
    """A project whose tasks, in tasks/, are compiled for these clouds."""
    project = Project(folder)
    project.config(CONFIG + config)
    tasks = [
        project.task("[8080, '9000-9005']", name=cloud, infra=CLOUDS[cloud], file=f"tasks/{cloud}.yaml")
        for cloud in clouds
    ]
    if tasks:
        project.compile(*tasks)
    return project
