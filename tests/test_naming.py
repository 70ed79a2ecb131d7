"""SkyPilot's names, against vectors made by running SkyPilot 0.14.1."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from skyports_tf.cli.names import cloud_names
from skyports_tf.clouds import load_cloud, managed_clouds
from skyports_tf.naming import (
    NameTooLongError,
    is_cluster_name,
    is_user_hash,
    name_on_cloud,
    name_on_cloud_pattern,
)
from tests.support.command_line import call

FILE = Path(__file__).parent / "data" / "conformance" / "cluster_names.jsonl"
VECTORS = [json.loads(line) for line in FILE.read_text(encoding="utf-8").splitlines()]


def of_kind(kind: str) -> list[Any]:
    return [pytest.param(vector, id=vector["id"]) for vector in VECTORS if vector["kind"] == kind]


@pytest.mark.parametrize("vector", of_kind("name_on_cloud"))
def test_a_name_on_cloud_is_skypilots(vector: dict[str, Any]) -> None:
    arguments = (vector["display_name"], vector["user_hash"], vector["max_length"])
    if vector["error"]:
        with pytest.raises(NameTooLongError):
            name_on_cloud(*arguments)
    else:
        assert name_on_cloud(*arguments) == vector["name_on_cloud"]


@pytest.mark.parametrize(
    "vector", [item for item in of_kind("max_length") if item.values[0]["add_user_hash"]]
)
def test_a_long_name_is_cut_as_skypilot_cuts_it(vector: dict[str, Any]) -> None:
    test_a_name_on_cloud_is_skypilots(vector)


@pytest.mark.parametrize(
    "vector", [item for item in of_kind("validity") if item.values[0]["display_name"] is not None]
)
def test_a_cluster_name_is_valid_where_skypilot_says_so(vector: dict[str, Any]) -> None:
    assert is_cluster_name(vector["display_name"]) == vector["valid"]


@pytest.mark.parametrize("vector", of_kind("user_hash_valid"))
def test_a_user_hash_is_valid_where_skypilot_says_so(vector: dict[str, Any]) -> None:
    assert is_user_hash(vector["user_hash"]) == vector["valid"]


@pytest.mark.parametrize("name", ["web\n", "../x", "-x", "x-", "wеb", "", "a b", "a/b", "${x}", "a\0"])
def test_a_hostile_cluster_name_is_refused(name: str) -> None:
    assert not is_cluster_name(name)


def test_an_unknown_user_hash_gives_a_pattern_that_fits_any() -> None:
    assert name_on_cloud_pattern("My.Web_1") == "my-web-1-????????"


NAMED = [item for item in of_kind("name_on_cloud") if item.values[0]["cloud"] in managed_clouds()]


@pytest.mark.parametrize("vector", NAMED)
def test_the_verb_names_prints_skypilots_names(vector: dict[str, Any]) -> None:
    cloud, derived = load_cloud(vector["cloud"]), vector["derived"]
    found = cloud_names(cloud, vector["display_name"], vector["user_hash"], derived.get("example_region"))
    assert found["name_on_cloud"] == vector["name_on_cloud"]
    assert {kind: found.get(kind) for kind in derived} == derived


@pytest.mark.parametrize("cloud", managed_clouds())
def test_every_cloud_has_vectors_and_skypilots_length_of_names(cloud: str) -> None:
    lengths = {item.values[0]["max_length"] for item in NAMED if item.values[0]["cloud"] == cloud}
    assert lengths == {load_cloud(cloud).name_on_cloud_max_length}


def test_the_verb_names_answers_with_the_keys_of_the_vectors(tmp_path: Path) -> None:
    answer = call(tmp_path, "names", "web", "--user-hash", "a1b2c3d4", "--json").json
    assert (answer["version"], answer["cluster"], answer["user_hash"]) == (1, "web", "a1b2c3d4")
    assert sorted(answer["clouds"]) == sorted(managed_clouds())
    for item in NAMED:
        vector = item.values[0]
        if (vector["display_name"], vector["user_hash"]) == ("web", "a1b2c3d4"):
            names = answer["clouds"][vector["cloud"]]
            assert list(names)[: len(vector["derived"]) + 1] == ["name_on_cloud", *vector["derived"]]
            assert {kind: names[kind] for kind in vector["derived"]} == vector["derived"]


def test_a_region_is_part_of_a_name_where_the_cloud_says_so(tmp_path: Path) -> None:
    answer = call(tmp_path, "names", "web", "--user-hash", "a1b2c3d4", "--infra", "azure/westus2", "--json")
    assert answer.json["clouds"]["azure"]["resource_group"] == "web-a1b2c3d4-westus2"
