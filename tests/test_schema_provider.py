"""The schema provider is a provider: Terraform plans, applies and refuses with it as with the real ones."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.schema_provider import wire
from tests.schema_provider.facts import FOLDER, read_facts
from tests.schema_provider.install import PROVIDERS, installed_paths
from tests.schema_provider.limits import DELETE_CHECKS, WRITE_CHECKS
from tests.schema_provider.rules import CHECKS, STAGES
from tests.schema_provider.schema import Block, read_schema
from tests.support.schema_cloud import SchemaCloud, schema_mirror

SOURCES = {name: read_schema(FOLDER / "schemas" / f"{name}.json").source for name in PROVIDERS}

#: An object or two of each cloud, as a module might write them.
EXAMPLES = {
    "google": """
        data "google_compute_network" "this" { name = "skypilot-vpc" }
        resource "google_compute_firewall" "port" {
          name          = "web-a1b2c3d4"
          network       = data.google_compute_network.this.self_link
          source_ranges = ["10.0.0.0/8"]
          target_tags   = ["web-a1b2c3d4"]
          allow {
            protocol = "tcp"
            ports    = ["8888", "9000-9005"]
          }
        }
        """,
    "azurerm": """
        provider "azurerm" {
          features {}
        }
        data "azurerm_network_security_group" "this" {
          name                = "sky-web-a1b2c3d4-1a60-nsg"
          resource_group_name = "web-a1b2c3d4-eastus"
        }
        resource "azurerm_network_security_rule" "port" {
          name                        = "web"
          resource_group_name         = data.azurerm_network_security_group.this.resource_group_name
          network_security_group_name = data.azurerm_network_security_group.this.name
          priority                    = 200
          direction                   = "Inbound"
          access                      = "Allow"
          protocol                    = "Tcp"
          source_port_range           = "*"
          source_address_prefixes     = ["10.0.0.0/8"]
          destination_port_ranges     = ["8888", "9000-9005"]
          destination_address_prefix  = "*"
        }
        """,
    "kubernetes": """
        resource "kubernetes_service_v1" "port" {
          metadata { name = "web" }
          spec {
            type                        = "LoadBalancer"
            selector                    = { skypilot-cluster-name = "web-a1b2c3d4" }
            load_balancer_source_ranges = ["10.0.0.0/8"]
            port {
              name = "tcp-8888"
              port = 8888
            }
            port {
              name        = "tcp-9000"
              port        = 9000
              target_port = "9000"
            }
          }
        }
        output "ip" { value = kubernetes_service_v1.port.status[0].load_balancer[0].ingress[0].ip }
        """,
    "oci": """
        data "oci_core_vcns" "this" {
          compartment_id = "ocid1.compartment.oc1..example"
          display_name   = "skypilot_vcn"
        }
        resource "oci_core_network_security_group" "this" {
          compartment_id = "ocid1.compartment.oc1..example"
          vcn_id         = data.oci_core_vcns.this.virtual_networks[0].id
          display_name   = "nsg_web-a1b2c3d4"
        }
        resource "oci_core_network_security_group_security_rule" "port" {
          for_each                  = toset(["10.0.0.0/8", "2001:db8::/32"])
          network_security_group_id = oci_core_network_security_group.this.id
          direction                 = "INGRESS"
          protocol                  = "6"
          source                    = each.key
          tcp_options {
            destination_port_range {
              min = 8888
              max = 8890
            }
          }
        }
        """,
    "digitalocean": """
        data "digitalocean_droplets" "nodes" {
          filter {
            key    = "tags"
            values = ["skypilot-cluster-name:web-a1b2c3d4"]
          }
        }
        resource "digitalocean_tag" "this" { name = "skypilot-cluster-name:web-a1b2c3d4" }
        resource "digitalocean_firewall" "this" {
          name = "web-a1b2c3d4"
          tags = [digitalocean_tag.this.id]
          inbound_rule {
            protocol         = "tcp"
            port_range       = "8888-8890"
            source_addresses = ["10.0.0.0/8", "2001:db8::/32"]
          }
        }
        output "ip" { value = one(data.digitalocean_droplets.nodes.droplets).ipv4_address }
        """,
    "nebius": """
        data "nebius_vpc_v1_network" "this" {
          parent_id = "project-e00example"
          name      = "default-network"
        }
        resource "nebius_vpc_v1_security_group" "this" {
          parent_id  = "project-e00example"
          network_id = data.nebius_vpc_v1_network.this.id
          name       = "web"
        }
        resource "nebius_vpc_v1_security_rule" "port" {
          parent_id = nebius_vpc_v1_security_group.this.id
          name      = "tcp-8888"
          access    = "ALLOW"
          protocol  = "TCP"
          ingress = {
            source_cidrs      = ["10.0.0.0/8"]
            destination_ports = [8888, 8889]
          }
        }
        output "priority" { value = nebius_vpc_v1_security_rule.port.priority }
        """,
    "ibm": """
        data "ibm_is_security_group" "this" { name = "web-a1b2c3d4-sg" }
        resource "ibm_is_security_group" "this" { vpc = data.ibm_is_security_group.this.vpc }
        resource "ibm_is_security_group_rule" "port" {
          group     = ibm_is_security_group.this.id
          direction = "inbound"
          remote    = "10.0.0.0/8"
          tcp {
            port_min = 8888
            port_max = 8890
          }
        }
        """,
}


@pytest.fixture(scope="session")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mirror of our providers, made once."""
    return schema_mirror(tmp_path_factory.mktemp("schema-mirror"))


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


def firewall(
    name: str, body: str = "", allow: str = 'protocol = "tcp"', ranges: str = '["10.0.0.0/8"]'
) -> str:
    return f"""
        resource "google_compute_firewall" "{name}" {{
          name          = "{name}"
          network       = "default"
          source_ranges = {ranges}
          {body}
          allow {{
            {allow}
          }}
        }}
        """


def nsg_rule(name: str, **changes: str) -> str:
    body = {
        "name": f'"{name}"',
        "resource_group_name": '"web-a1b2c3d4-eastus"',
        "network_security_group_name": '"sky-web-a1b2c3d4-1a60-nsg"',
        "priority": str(200 + sum(map(ord, name)) % 97),
        "direction": '"Inbound"',
        "access": '"Allow"',
        "protocol": '"Tcp"',
        "source_port_range": '"*"',
        "source_address_prefix": '"*"',
        "destination_port_range": '"80"',
        "destination_address_prefix": '"*"',
        **changes,
    }
    lines = "\n".join(f"{key} = {value}" for key, value in body.items())
    return f'resource "azurerm_network_security_rule" "{name}" {{\n{lines}\n}}\n'


def service(name: str, *ports: str) -> str:
    blocks = "\n".join(f"port {{\n{port}\n}}" for port in ports)
    meta = f'metadata {{\nname = "{name}"\n}}'
    return f'resource "kubernetes_service_v1" "{name}" {{\n{meta}\nspec {{\n{blocks}\n}}\n}}\n'


def nsg_ports(name: str, first: int, last: int, source: str = "10.0.0.0/8") -> str:
    return f"""
        resource "oci_core_network_security_group_security_rule" "{name}" {{
          network_security_group_id = oci_core_network_security_group.this.id
          direction                 = "INGRESS"
          protocol                  = "6"
          source                    = "{source}"
          tcp_options {{
            destination_port_range {{
              min = {first}
              max = {last}
            }}
          }}
        }}
        """


def group_rule(name: str, ports: list[int], cidrs: str = '"10.0.0.0/8"', rest: str = "") -> str:
    return f"""
        resource "nebius_vpc_v1_security_rule" "{name}" {{
          parent_id = nebius_vpc_v1_security_group.this.id
          name      = "{name}"
          access    = "ALLOW"
          protocol  = "TCP"
          {rest}
          ingress = {{
            source_cidrs      = [{cidrs}]
            destination_ports = {ports}
          }}
        }}
        """


AZURE = 'provider "azurerm" {\nfeatures {}\n}\n'
OCI_GROUP = """
    resource "oci_core_network_security_group" "this" {
      compartment_id = "ocid1.compartment.oc1..example"
      vcn_id         = "ocid1.vcn.oc1.iad.skypilot"
    }
    """
NEBIUS_GROUP = """
    resource "nebius_vpc_v1_security_group" "this" {
      parent_id  = "project-e00example"
      network_id = "vpcnetwork-e00default"
    }
    """

#: By provider and command: a configuration in which each resource breaks a rule, and what is said of it.
REFUSED: Mapping[str, tuple[str, str, str, list[str]]] = {
    "google, by validate": (
        "google",
        "validate",
        firewall("Upper")
        + firewall("x" * 64)
        + firewall("far", "priority = 65536")
        + firewall("both", 'deny {\nprotocol = "udp"\n}')
        + firewall("tags", 'target_tags = ["a"]\nsource_service_accounts = ["b"]'),
        [
            "name: 'Upper' does not match",
            "name: 'xxxxxxxx",
            "priority: expected 0 to 65535, got 65536",
            "exactly one of allow, deny must be specified, not allow, deny",
            "target_tags conflicts with source_service_accounts",
        ],
    ),
    "google, by plan": (
        "google",
        "plan",
        firewall("nowhere", ranges="null"),
        ["one of source_ranges, source_tags, source_service_accounts must be defined"],
    ),
    "google, by apply": (
        "google",
        "apply",
        firewall("mixed", ranges='["10.0.0.0/8", "2001:db8::/32"]')
        + firewall("backwards", allow='protocol = "tcp"\nports = ["90-80"]'),
        ["IPv4 and IPv6 ranges can't be in one rule", "allow.ports: '90-80' is not a port"],
    ),
    "azure, by validate": (
        "azurerm",
        "validate",
        AZURE
        + nsg_rule("low", priority="99")
        + nsg_rule("lower", protocol='"tcp"')
        + nsg_rule("twice", source_address_prefixes='["10.0.0.0/8"]')
        + nsg_rule("ports", destination_port_ranges='["80"]'),
        [
            "priority: expected 100 to 4096, got 99",
            "protocol: expected one of",
            "not source_address_prefix, source_address_prefixes",
            "destination_port_range conflicts with destination_port_ranges",
        ],
    ),
    "azure, by apply": (
        "azurerm",
        "apply",
        AZURE
        + nsg_rule("first", priority="300")
        + nsg_rule("second", priority="300", depends_on="[azurerm_network_security_rule.first]")
        + nsg_rule("y" * 81)
        + nsg_rule("tag", source_address_prefix="null", source_address_prefixes='["Internet"]')
        + nsg_rule("lost", network_security_group_name='"other"'),
        [
            "priority 300 is taken by",
            "name: 'yyyyyyyy",
            "source_address_prefixes: 'Internet' does not",
            "no such azurerm_network_security_group: name 'other'",
        ],
    ),
    "kubernetes, by apply": (
        "kubernetes",
        "apply",
        service("nameless", "port = 80", "port = 81")
        + service("twice", 'name = "a"\nport = 80', 'name = "b"\nport = 80')
        + service("same", 'name = "a"\nport = 80', 'name = "a"\nport = 81'),
        [
            "spec.port: name is required where there are several",
            "spec.port: duplicate port, protocol: (80, 'TCP')",
            "spec.port: duplicate name: ('a',)",
        ],
    ),
    "oci, by apply": (
        "oci",
        "apply",
        OCI_GROUP + nsg_ports("backwards", 90, 80) + nsg_ports("host", 80, 80, "10.0.0.5/8"),
        ["min 90 is above max 80", "10.0.0.5/8 has host bits set"],
    ),
    "digitalocean, by validate": (
        "digitalocean",
        "validate",
        'resource "digitalocean_tag" "a" { name = "a.b" }',
        ["name: 'a.b' does not match"],
    ),
    "digitalocean, by apply": (
        "digitalocean",
        "apply",
        """
        resource "digitalocean_firewall" "many" {
          name = "many"
          dynamic "inbound_rule" {
            for_each = range(1, 52)
            content {
              protocol   = "tcp"
              port_range = tostring(inbound_rule.value)
            }
          }
        }
        """,
        ["inbound_rule and outbound_rule: at most 50, got 51"],
    ),
    "nebius, by apply": (
        "nebius",
        "apply",
        NEBIUS_GROUP
        + group_rule("nine", [*range(1, 10)])
        + group_rule("six", [80], '"2001:db8::/32"')
        + group_rule("cidrs", [80], ", ".join(f'"10.{byte}.0.0/16"' for byte in range(9)))
        + group_rule("late", [80], rest="priority = 1001"),
        [
            "ingress.destination_ports: at most 8, got 9",
            "2001:db8::/32 is not IPv4",
            "ingress.source_cidrs: at most 8, got 9",
            "priority: expected 0 to 1000, got 1001",
        ],
    ),
    "ibm, by validate": (
        "ibm",
        "validate",
        """
        resource "ibm_is_security_group_rule" "both" {
          group     = "r006-x"
          direction = "in"
          tcp {}
          udp {}
        }
        """,
        ["direction: expected one of", "tcp conflicts with udp"],
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_rules_that_a_schema_does_not_hold_are_held(start: Start, case: str) -> None:
    provider, command, text, messages = REFUSED[case]
    configuration, _ = start(provider, text)
    done = configuration.run(*([command, "-auto-approve"] if command == "apply" else [command]))
    said = " ".join(done.stdout.replace("│", " ").split())
    assert done.returncode == 1
    assert [message for message in messages if message not in said] == [], said


def test_a_quota_is_counted_in_the_cloud(start: Start) -> None:
    rules = nsg_ports("port", 80, 80).replace('"port" {', '"port" {\ncount = 121')
    configuration, cloud = start("oci", OCI_GROUP + rules)
    assert "quota exceeded: at most 120" in configuration.run("apply", "-auto-approve").stdout
    assert len(cloud.journal("create")) == 1 + 120


def test_what_is_used_is_not_deleted(start: Start) -> None:
    configuration, _ = start("nebius")
    configuration.apply()
    done = configuration.run("destroy", "-auto-approve", "-target=nebius_vpc_v1_security_group.this")
    assert done.returncode == 0, "Terraform deletes the rule first"
    configuration.apply()
    configuration.run("state", "rm", "nebius_vpc_v1_security_rule.port")
    done = configuration.run("destroy", "-auto-approve")
    assert "is still used by vpcsecurityrule-" in done.stdout


# ---- facts


def fact_paths(provider: str) -> Iterator[tuple[str, str]]:
    """Every (type, path into its objects) that the facts name."""
    for kind, known in read_facts(provider).resources.items():
        for path in [*known.defaults, *known.computed, *known.force_new]:
            yield kind, path
        for rule in known.rules:
            at = rule.about.get("at", ())
            inside = [f"{at}.{name}" for key in ("field", "first", "last") if (name := rule.about.get(key))]
            own = ["of", "within", *(["fields"] if rule.kind in ("unique", "exists") else [])]
            named = [name for key in own for name in rule.about.get(key, ())]
            paths = [*([at] if isinstance(at, str) else at), *(inside if at else ()), *named]
            for path in [*paths, *rule.about.get("when", ())]:
                yield kind, path


def leads_somewhere(block: Block, path: str) -> bool:
    name, _, rest = path.partition(".")
    while rest and (rest.split(".")[0].isdigit() or rest == "#"):
        rest = rest.partition(".")[2]
    nested = dict(block.nested()).get(name)
    if nested:
        return not rest or leads_somewhere(nested.block, rest)
    return name in block.attributes and not rest


@pytest.mark.parametrize("provider", PROVIDERS)
def test_facts_are_about_what_the_schema_has(provider: str) -> None:
    schema, facts = read_schema(FOLDER / "schemas" / f"{provider}.json"), read_facts(provider)
    assert set(facts.resources) == set(schema.resources)
    assert set(facts.data_sources) == set(schema.data_sources)
    wrong = [
        (kind, path)
        for kind, path in fact_paths(provider)
        if not leads_somewhere(schema.resources[kind].block, path)
    ]
    assert wrong == []


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_rule_is_of_a_known_kind_and_says_where_it_is_from(provider: str) -> None:
    kinds = {*CHECKS, *WRITE_CHECKS, *DELETE_CHECKS}
    for kind, known in read_facts(provider).resources.items():
        for rule in known.rules:
            assert rule.kind in kinds, kind
            assert rule.stage in STAGES, kind
            assert rule.source.endswith(("[S]", "[K]")), (kind, rule.source)


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


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES)
def test_a_value_survives_the_wire(value: Any) -> None:
    assert wire.value_of(wire.dynamic_value(value)) == value


@given(st.dictionaries(st.integers(1, 500), st.integers(1, 2**63) | st.binary()))
def test_a_message_survives_the_wire(content: dict[int, int | bytes]) -> None:
    assert wire.fields(wire.message(*content.items())) == content
