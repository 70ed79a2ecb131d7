"""The JSON Schema of a task, and its violations as findings in our words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import skyports_tf.schemas
from skyports_tf.diagnostics import Diagnostic
from skyports_tf.schema import kind_of, schema_findings, schema_of
from skyports_tf.source import read_yaml

SCHEMAS = sorted(Path(skyports_tf.schemas.__file__).parent.glob("*.schema.json"))

#: SkyPilot 0.14.1's own keys (sky/utils/schemas.py: get_task_schema, get_resources_schema).
TASK_KEYS = set(
    """
    name workdir event_callback num_nodes resources file_mounts service pool setup run envs secrets
    managed_secrets inputs outputs file_mounts_mapping config volumes volume_mounts
    api_server_access _metadata
    """.split()  # noqa: SIM905
)
RESOURCE_KEYS = set(
    """
    cloud region zone infra cpus memory accelerators instance_type use_spot job_recovery volumes
    disk_size ephemeral_storage disk_tier network_tier local_disk max_hourly_cost ports labels
    accelerator_args
    _no_missing_accel_warnings image_id autostop priority priority_class _docker_login_config
    _is_image_managed _requires_fuse _cluster_config_overrides any_of ordered
    """.split()  # noqa: SIM905
)


def findings(folder: Path, text: str, schema: str = "task") -> list[Diagnostic]:
    path = folder / "t.yaml"
    path.write_text(text)
    [document] = read_yaml(str(path)).documents
    return schema_findings(schema, document)


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda path: path.name)
def test_a_schema_is_a_json_schema(path: Path) -> None:
    contents = json.loads(path.read_text("utf-8"))
    jsonschema.validators.validator_for(contents).check_schema(contents)
    assert schema_of(path.name.removesuffix(".schema.json")) == contents


def test_the_task_schema_knows_every_key_of_skypilot() -> None:
    schema = schema_of("task")
    resources = schema["properties"]["resources"]["properties"]
    # both are read and dropped, or renamed, before SkyPilot looks at its schema
    assert schema["properties"].keys() == TASK_KEYS | {"_user_specified_yaml"}
    assert resources.keys() == RESOURCE_KEYS | {"gpus"}
    entry = schema["$defs"]["resources_entry"]["properties"]
    assert entry.keys() == resources.keys() - {"any_of", "ordered"}


@pytest.mark.parametrize(
    ("text", "code", "message", "help_text", "place"),
    [
        ("nam: x", "unknown-key", "unknown key 'nam'", "did you mean 'name'?", (1, 1)),
        (
            "resources: {Ports: 80}",
            "unknown-key",
            "unknown key 'Ports' in 'resources'",
            "did you mean 'ports'?",
            (1, 13),
        ),
        ("80: x", "unknown-key", "unknown key 80", ..., (1, 1)),
        ("on: x", "unknown-key", "unknown key True", ..., (1, 1)),
        (
            "run: 5",
            "wrong-type",
            "'run' must be a text, not the number 5",
            "quote it to make it a text",
            (1, 6),
        ),
        (
            "num_nodes: '2'",
            "wrong-type",
            "'num_nodes' must be a whole number, not the text '2'",
            None,
            (1, 12),
        ),
        ("resources: [a]", "wrong-type", "'resources' must be a mapping, not a list", None, (1, 12)),
        (
            "resources: {ports: 2024-10-20}",
            "wrong-type",
            "'resources.ports' must be a text, a whole number or a list, not the date 2024-10-20",
            None,
            (1, 20),
        ),
        (
            "resources:\n  any_of:\n    - use_spot: 'yes'",
            "wrong-type",
            "'resources.any_of[0].use_spot' must be true or false, not the text 'yes'",
            None,
            (3, 17),
        ),
        (
            "resources: {autostop: 5x}",
            "bad-value",
            "'resources.autostop' cannot be the text '5x'",
            "write a number of minutes, or a time such as 30m, 2h, 1d",
            (1, 23),
        ),
        (
            "service: {load_balancing_policy: round-robin}",
            "bad-value",
            "'service.load_balancing_policy' cannot be the text 'round-robin'",
            "did you mean 'round_robin'?",
            (1, 34),
        ),
        (
            "service: {tls: {keyfile: k}}",
            "missing-key",
            "'service.tls' needs the key 'certfile'",
            None,
            (1, 16),
        ),
        (
            "resources: {priority: 1001}",
            "bad-value",
            "'resources.priority' must be at most 1000, not the number 1001",
            None,
            (1, 23),
        ),
        (
            "resources: {max_hourly_cost: 0}",
            "bad-value",
            "'resources.max_hourly_cost' must be more than 0, not the number 0",
            None,
            (1, 30),
        ),
        (
            "config: {kubernetes: {custom_metadata: {name: x}}}",
            "bad-value",
            "'config.kubernetes.custom_metadata.name' cannot be set here",
            None,
            (1, 41),
        ),
        ("inputs: {}", "bad-value", "'inputs' must not be empty", None, (1, 9)),
    ],
)
def test_a_violation_is_told_in_our_words(
    tmp_path: Path, text: str, code: str, message: str, help_text: Any, place: tuple[int, int]
) -> None:
    [item] = findings(tmp_path, text)
    assert (item.code, item.message) == (code, message)
    assert item.span is not None
    assert (item.span.line, item.span.column) == place
    if help_text is not ...:
        assert item.help == help_text


def test_an_unknown_key_like_no_other_lists_the_known_ones(tmp_path: Path) -> None:
    [item] = findings(tmp_path, "zzzzzz: 1")
    assert item.help is not None
    assert item.help.startswith("known keys: api_server_access, config, ")
    assert "_metadata" not in item.help


def test_all_violations_are_told_at_once(tmp_path: Path) -> None:
    found = findings(tmp_path, "run: 5\nnam: x\nresources:\n  ports: [80, true, null]\n  port: 1\n")
    assert sorted(item.code for item in found) == ["unknown-key", "unknown-key", *["wrong-type"] * 3]


def test_a_hint_fits_the_value(tmp_path: Path) -> None:
    [item] = findings(tmp_path, "resources: {ports: true}")
    assert item.help is None


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "empty"),
        (True, "true"),
        (1.5, "the number 1.5"),
        pytest.param(10**5000, "a number far too large", id="huge"),
        ("x" * 99, f"the text '{'x' * 56}..."),
        ({1}, "a set"),
        (b"x", "binary"),
    ],
)
def test_a_value_has_its_words(value: object, words: str) -> None:
    assert kind_of(value) == words
