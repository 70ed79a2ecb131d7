"""SkyPilot's names and its reading of ports against ours, on input that nobody has thought of."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skyports_tf.clouds import load_cloud, managed_clouds
from skyports_tf.diagnostics import FindingsError
from skyports_tf.naming import NameTooLongError, is_cluster_name, name_on_cloud
from skyports_tf.task import read_tasks
from tests.skypilot.process import USER_HASH, Sky, start_sky

MANY = settings(max_examples=60)
LENGTHS = sorted({load_cloud(name).name_on_cloud_max_length or 0 for name in managed_clouds()})

# names that are nearly right, of all lengths
cluster_names = st.text(st.sampled_from("abzAZ019-_.é "), max_size=90) | st.from_regex(
    r"[a-zA-Z][-_.a-zA-Z0-9]{0,80}[a-zA-Z0-9]", fullmatch=True
)
numbers = st.one_of(st.integers(-1, 70000), st.sampled_from([0, 1, 22, 80, 443, 65535, 65536]))
texts = st.one_of(
    numbers.map(str),
    st.tuples(numbers, st.sampled_from(["-"] * 4 + [" -", "- ", " - "]), numbers).map(
        lambda parts: "".join(map(str, parts))
    ),
    st.text(st.sampled_from("0189-, xe:_+.٨８²"), max_size=8),
)
lines = st.lists(texts, max_size=4).map(",".join)
values = st.one_of(numbers, texts, lines, st.booleans(), st.none(), st.lists(numbers | texts, max_size=5))


@pytest.fixture(scope="module")
def sky(sky_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sky]:
    """One SkyPilot for all examples."""
    with start_sky(sky_python, tmp_path_factory.mktemp("home"), {}) as sky:
        yield sky


@MANY
@given(names=st.lists(cluster_names, min_size=20, max_size=40))
@pytest.mark.parametrize("length", LENGTHS)
def test_names_on_the_cloud_are_skypilots(length: int, sky: Sky, names: list[str]) -> None:
    most = length or None
    theirs = sky("names", clusters=names, length=most)["names"]
    assert dict(zip(names, theirs, strict=True)) == {name: _ours(name, most) for name in names}


def _ours(name: str, most: int | None) -> str | None:
    if not is_cluster_name(name):
        return None
    try:
        return name_on_cloud(name, USER_HASH, most)
    except NameTooLongError:
        return None


@MANY
@given(asked=st.lists(values, min_size=10, max_size=30))
def test_ports_are_read_as_skypilot_reads_them(
    sky: Sky, tmp_path_factory: pytest.TempPathFactory, asked: list[object]
) -> None:
    folder = tmp_path_factory.mktemp("tasks")
    files = []
    for number, value in enumerate(asked):
        # JSON is YAML too: both read the same text
        text = json.dumps({"resources": {"ports": value}}, ensure_ascii=False)
        files.append(folder / f"{number}.yaml")
        files[-1].write_text(text, encoding="utf-8")
    theirs = sky("ports", files=[str(file) for file in files])["ports"]
    for value, file, theirs_of_it in zip(asked, files, theirs, strict=True):
        assert _ports(file) == theirs_of_it, repr(value)


def _ports(file: Path) -> list[str] | str | None:
    try:
        (task,) = read_tasks(str(file)).document.tasks
    except FindingsError:
        return "refused"
    return [str(item) for item in task.candidates[0].ports] or None
