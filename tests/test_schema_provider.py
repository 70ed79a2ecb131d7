"""The schema provider is a provider: Terraform plans, applies and refuses with it as with the real ones."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.schema_provider.facts import FOLDER
from tests.schema_provider.install import PROVIDERS, installed_paths
from tests.schema_provider.schema import read_schema
from tests.support.schema_cloud import SchemaCloud

SOURCES = {name: read_schema(FOLDER / "schemas" / f"{name}.json").source for name in PROVIDERS}

#: An object or two of each cloud, as a module might write them.
EXAMPLES = {name: (FOLDER / "examples" / f"{name}.tf").read_text(encoding="utf-8") for name in PROVIDERS}
#: Configurations `<provider>-<command>.tf` whose resources break rules; `# refused:` has what is told of it.
REFUSED = sorted((FOLDER / "refused").glob("*.tf"))


class Configuration:
    """A folder with a Terraform configuration, and the cloud of its provider."""

    def __init__(self, folder: Path, argv: tuple[str, ...], clouds: list[SchemaCloud]) -> None:
        self._folder = folder
        self._argv = argv
        self._env = {**os.environ, **{name: item for cloud in clouds for name, item in cloud.env.items()}}

    def write(self, text: str, *providers: str) -> None:
        """Replace the configuration, and make it ready."""
        needed = "\n".join(f'{name} = {{ source = "{SOURCES[name]}" }}' for name in providers)
        settings = f"terraform {{\nrequired_providers {{\n{needed}\n}}\n}}\n"
        (self._folder / "main.tf").write_text(settings + text, encoding="utf-8")
        if not (self._folder / ".terraform").exists():
            assert self.run("init").returncode == 0

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Terraform; what it says in `stdout`, with errors."""
        done = subprocess.run(
            [*self._argv, *arguments],
            cwd=self._folder,
            env=self._env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        done.stdout = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)
        return done

    def apply(self, *arguments: str) -> str:
        """Apply, and give what Terraform said; fails where it failed."""
        done = self.run("apply", "-auto-approve", *arguments)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def changes(self) -> bool:
        """Whether a plan finds anything to do."""
        done = self.run("plan", "-detailed-exitcode", "-lock=false")
        assert done.returncode in (0, 2), done.stdout
        return done.returncode == 2


Start = Callable[..., tuple[Configuration, SchemaCloud]]


@pytest.fixture
def start(tmp_path: Path, mirror: Path, terraform_argv: tuple[str, ...]) -> Start:
    """Make a configuration and its cloud: of a provider, from a text or else the example."""

    def started(provider: str, text: str | None = None) -> tuple[Configuration, SchemaCloud]:
        cloud = SchemaCloud(tmp_path / "clouds", provider, mirror)
        folder = tmp_path / "stack"
        folder.mkdir()
        configuration = Configuration(folder, terraform_argv, [cloud])
        configuration.write(EXAMPLES[provider] if text is None else text, provider)
        return configuration, cloud

    return started


# ---- each provider


@pytest.mark.parametrize("provider", PROVIDERS)
def test_each_cloud_is_applied_stays_as_it_is_and_is_destroyed(start: Start, provider: str) -> None:
    configuration, cloud = start(provider)
    configuration.apply()
    assert len(cloud.journal("create")) == sum(len(items) for items in cloud.objects().values()) > 0
    assert not configuration.changes()
    configuration.apply("-destroy")
    assert cloud.objects() == {}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_misspelt_argument_is_refused(start: Start, provider: str) -> None:
    wrong = {
        "google": ("target_tags", "target_tag"),
        "azurerm": ("destination_port_ranges", "destination_ports"),
        "kubernetes": ("load_balancer_source_ranges", "source_ranges"),
        "oci": ("destination_port_range ", "port_range "),
        "digitalocean": ("source_addresses", "source_address"),
        "nebius": ("protocol ", "protocols "),
        "ibm": ("remote ", "remotes "),
    }
    configuration, _ = start(provider, EXAMPLES[provider].replace(*wrong[provider]))
    done = configuration.run("validate")
    assert done.returncode == 1
    assert "Unsupported " in done.stdout


def test_a_misspelt_member_of_an_attribute_passes_in_silence(start: Start) -> None:
    """Terraform converts the value to the attribute's type, and drops what is more: modules beware."""
    configuration, cloud = start("nebius", EXAMPLES["nebius"].replace("source_cidrs", "source_cidr"))
    configuration.apply()
    (rule,) = cloud.objects()["nebius_vpc_v1_security_rule"]
    assert rule["ingress"]["source_cidrs"] is None


def test_terraform_reads_the_schemas_as_the_files_have_them(
    tmp_path: Path, mirror: Path, terraform_argv: tuple[str, ...]
) -> None:
    clouds = [SchemaCloud(tmp_path / "clouds", provider, mirror) for provider in PROVIDERS]
    configuration = Configuration(tmp_path, terraform_argv, clouds)
    configuration.write("", *PROVIDERS)
    read = json.loads(configuration.run("providers", "schema", "-json").stdout)["provider_schemas"]
    for provider in PROVIDERS:
        document = json.loads((FOLDER / "schemas" / f"{provider}.json").read_text(encoding="utf-8"))
        for source, schemas in document["provider_schemas"].items():
            assert normal(read[source]) == normal(schemas), provider


def normal(schema: Any) -> Any:
    """A schema without what has no meaning: notes on text, and what is false, zero or empty."""
    if isinstance(schema, list):
        return [normal(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {name: normal(item) for name, item in schema.items() if name != "description_kind"}
    return {name: item for name, item in kept.items() if item not in (None, False, 0, {})}


# ---- what happens to an object


def test_what_was_deleted_behind_its_back_is_made_again(start: Start) -> None:
    configuration, cloud = start("google")
    configuration.apply()
    cloud.delete("google_compute_firewall", "projects/my-project/global/firewalls/web-a1b2c3d4")
    assert configuration.changes()
    configuration.apply()
    assert [call["op"] for call in cloud.journal("create", "delete")] == ["create", "create"]


def test_what_was_edited_behind_its_back_is_put_right(start: Start) -> None:
    configuration, cloud = start("google")
    configuration.apply()
    identifier = "projects/my-project/global/firewalls/web-a1b2c3d4"
    cloud.edit("google_compute_firewall", identifier, source_ranges=["0.0.0.0/0"])
    assert "in-place" in configuration.apply()
    assert cloud.objects("google_compute_firewall")["google_compute_firewall"][0]["source_ranges"] == [
        "10.0.0.0/8"
    ]


def test_most_changes_are_updates_in_place_and_some_replace(start: Start) -> None:
    configuration, cloud = start("google")
    configuration.apply()
    widened = EXAMPLES["google"].replace("9000-9005", "9000-9100")
    configuration.write(widened, "google")
    configuration.apply()
    configuration.write(widened.replace('"web-a1b2c3d4"\n', '"renamed"\n', 1), "google")
    assert "forces replacement" in configuration.apply()
    ops = [call["op"] for call in cloud.journal("create", "update", "delete")]
    assert ops == ["create", "update", "delete", "create"]


def test_a_switch_of_protocol_replaces_where_blocks_do_so(start: Start) -> None:
    configuration, _ = start("ibm")
    configuration.apply()
    configuration.write(EXAMPLES["ibm"].replace("tcp {", "udp {"), "ibm")
    assert "forces replacement" in configuration.run("plan").stdout


def test_what_is_there_can_be_imported(start: Start) -> None:
    configuration, cloud = start("google")
    configuration.apply()
    configuration.run("state", "rm", "google_compute_firewall.port")
    assert "already exists" in configuration.run("apply", "-auto-approve").stdout
    assert (
        configuration.run("import", "google_compute_firewall.port", "my-project/web-a1b2c3d4").returncode == 0
    )
    assert not configuration.changes()
    missing = configuration.run("import", "google_compute_firewall.other", "other").stdout
    assert len(cloud.journal("create")) == 1
    assert "other" in missing


def test_two_objects_alike_are_two_where_they_have_no_name(start: Start) -> None:
    text = EXAMPLES["oci"].replace('toset(["10.0.0.0/8", "2001:db8::/32"])', 'toset(["a", "b"])')
    configuration, cloud = start("oci", text.replace("= each.key", '= "10.0.0.0/8"'))
    configuration.apply()
    rules = cloud.objects("oci_core_network_security_group_security_rule")
    assert len({rule["id"] for items in rules.values() for rule in items}) == 2


def test_an_operation_fails_where_a_test_says_so(start: Start) -> None:
    configuration, cloud = start("google")
    cloud.fail("google_compute_firewall", create="quota exceeded, they say")
    done = configuration.run("apply", "-auto-approve")
    assert done.returncode == 1
    assert "quota exceeded, they say" in done.stdout
    cloud.fail("google_compute_firewall")
    configuration.apply()
    assert len(cloud.journal("create")) == 1


# ---- data sources


def test_a_data_source_finds_nothing_with_an_error_and_a_list_is_empty(start: Start) -> None:
    configuration, _ = start("oci", DATA_MISSES)
    done = configuration.run("plan")
    assert done.returncode == 1
    assert "oci_core_vcn: not found" in done.stdout
    configuration.write(DATA_MISSES.replace('data "oci_core_vcn" "one" { vcn_id = "x" }', ""), "oci")
    assert "none = 0" in " ".join(configuration.apply().split())


DATA_MISSES = """
    data "oci_core_vcn" "one" { vcn_id = "x" }
    data "oci_core_instances" "none" {
      compartment_id = "ocid1.compartment.oc1..example"
      filter {
        name   = "freeform_tags.skypilot-cluster-name"
        values = ["another"]
      }
    }
    data "oci_core_instances" "nodes" {
      compartment_id = "ocid1.compartment.oc1..example"
      filter {
        name   = "freeform_tags.skypilot-cluster-name"
        values = ["web-a1b2c3d4"]
      }
    }
    output "none" { value = length(data.oci_core_instances.none.instances) }
    output "ip" { value = data.oci_core_instances.nodes.instances[0].public_ip }
    """


def test_a_data_source_sees_what_was_put_there_and_what_was_made(start: Start) -> None:
    text = """
        data "azurerm_resources" "nodes" {
          type                = "Microsoft.Compute/virtualMachines"
          required_tags       = { skypilot-cluster-name = "web-a1b2c3d4" }
        }
        output "nodes" { value = join(" ", [for vm in data.azurerm_resources.nodes.resources : vm.name]) }
        """
    configuration, cloud = start("azurerm", 'provider "azurerm" {\nfeatures {}\n}\n' + text)
    vm = {"type": "Microsoft.Compute/virtualMachines", "tags": {"skypilot-cluster-name": "web-a1b2c3d4"}}
    cloud.put("azurerm_resources", name="web-a1b2c3d4-worker", **vm)
    cloud.put("azurerm_resources", name="other", type="Microsoft.Compute/virtualMachines", tags={})
    assert 'nodes = "web-a1b2c3d4-head web-a1b2c3d4-worker"' in configuration.apply()


# ---- the rules beyond the schema


@pytest.mark.parametrize("case", REFUSED, ids=lambda path: path.stem)
def test_rules_that_a_schema_does_not_hold_are_held(start: Start, case: Path) -> None:
    provider, command = case.stem.split("-")
    text = case.read_text(encoding="utf-8")
    configuration, _ = start(provider, text)
    done = configuration.run(*(["apply", "-auto-approve"] if command == "apply" else [command]))
    said = " ".join(done.stdout.replace("\u2502", " ").split())
    assert done.returncode == 1
    told = re.findall("# refused: (.*)", text)
    assert told
    assert [message for message in told if message not in said] == [], said


def test_a_quota_is_counted_in_the_cloud(start: Start) -> None:
    text = re.sub("for_each .*", "count = 121", EXAMPLES["oci"])
    configuration, cloud = start("oci", text.replace("= each.key", '= "10.0.0.0/8"'))
    assert "quota exceeded: at most 120" in configuration.run("apply", "-auto-approve").stdout
    assert len(cloud.journal("create")) == 1 + 120


def test_what_is_used_is_not_deleted(start: Start) -> None:
    configuration, _ = start("nebius")
    configuration.apply()
    configuration.run("state", "rm", "nebius_vpc_v1_security_rule.port")
    done = configuration.run("destroy", "-auto-approve")
    assert "is still used by vpcsecurityrule-" in done.stdout


# ---- the program


def test_the_program_is_for_terraform_alone(mirror: Path) -> None:
    program = next(installed_paths(mirror.parent / "mirror"))
    done = subprocess.run([program], capture_output=True, text=True, env={})
    assert (done.returncode, done.stderr) == (1, "This is a Terraform provider: Terraform starts it.\n")


_ORPHANER = """
import subprocess, sys
child = subprocess.Popen([sys.argv[1]], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid)
"""


def test_the_program_ends_when_terraform_is_gone(tmp_path: Path, mirror: Path) -> None:
    cloud = SchemaCloud(tmp_path, "google", mirror)
    cookie = {"TF_PLUGIN_MAGIC_COOKIE": "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2"}
    program = next(path for path in installed_paths(mirror.parent / "mirror") if "google" in path.name)
    done = subprocess.run(
        [sys.executable, "-c", _ORPHANER, str(program)],
        capture_output=True,
        text=True,
        env={**os.environ, **cloud.env, **cookie},
        check=True,
    )
    process = int(done.stdout)
    for _ in range(600):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    pytest.fail(f"process {process} is still there")
