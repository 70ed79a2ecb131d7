"""Whether a cluster lives: judged from nodes, from SkyPilot's word, and from how long it is so."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from skyports_tf.diagnostics import FindingsError
from skyports_tf.life import Life, LifeState, Sighting, SkyWord, judge, update_mark
from skyports_tf.model import Stack
from skyports_tf.running.skystatus import SkyStatusError, parse_sky_status, read_sky_status
from skyports_tf.sightings import Mark, drop_mark, read_mark, write_mark
from tests.support.stacks import write_program

NOW = datetime(2026, 11, 24, 20, tzinfo=timezone.utc)
GRACE = timedelta(minutes=15)
STACK = Stack("web", "aws", "us-east-1", name_on_cloud="web-a1b2c3d4")
SILENT = SkyWord({}, "a1b2c3d4")
OTHERS = SkyWord({}, "ffffffff")
LISTED = SkyWord({"web": "UP"}, "a1b2c3d4")


def seen(
    nodes: tuple[str, ...] | None = (),
    *,
    state: str | None = "x/1",
    had_nodes: bool = False,
    stack: Stack = STACK,
) -> Sighting:
    return Sighting(stack, state, nodes=nodes, had_nodes=had_nodes)


def watch(*looks: tuple[int, Sighting, SkyWord | None], grace: timedelta = GRACE) -> list[LifeState]:
    """What each look says, at the minute it is taken; the mark goes from one to the next."""
    mark = Mark()
    states: list[LifeState] = []
    for minute, sighting, word in looks:
        now = NOW + timedelta(minutes=minute)
        mark = update_mark(mark, sighting, word, now)
        states.append(judge([(sighting, mark)], word, now, grace).state)
    return states


@pytest.mark.parametrize(
    ("looks", "states"),
    [
        # never launched: the grace counts from the first look, and is exact
        ([(0, seen(), None), (14, seen(), None), (15, seen(), None)], ["empty", "empty", "gone"]),
        # launched, gone, and gone for long enough
        (
            [(0, seen(("i",)), None), (60, seen(), None), (74, seen(), None), (75, seen(), None)],
            ["alive", "empty", "empty", "gone"],
        ),
        # a node that comes back begins the wait anew, and so does an apply
        (
            [(0, seen(), None), (14, seen(("i",)), None), (16, seen(), None), (30, seen(), None)],
            ["empty", "alive", "empty", "empty"],
        ),
        ([(0, seen(), None), (14, seen(), None), (16, seen(state="x/2"), None)], ["empty", "empty", "empty"]),
        # what cannot be known is never gone, and does not stop the clock
        (
            [(0, seen(), None), (5, seen(None), None), (60, seen(None), None), (61, seen(), None)],
            ["empty", "unknown", "unknown", "gone"],
        ),
        # SkyPilot's word: a cluster that it lists lives, one that it dropped is gone at once
        ([(0, seen(), LISTED), (60, seen(), LISTED), (61, seen(), SILENT)], ["alive", "alive", "gone"]),
        ([(0, seen(("i",)), None), (1, seen(), SILENT)], ["alive", "gone"]),
        ([(0, seen(had_nodes=True), SILENT)], ["gone"]),
        # ... unless it was never there, or another's SkyPilot says so
        ([(0, seen(), SILENT), (14, seen(), SILENT), (15, seen(), SILENT)], ["empty", "empty", "gone"]),
        ([(0, seen(("i",)), None), (1, seen(), OTHERS), (16, seen(), OTHERS)], ["alive", "empty", "gone"]),
        ([(0, seen(("i",)), None), (9, seen(("i",)), SILENT)], ["alive", "alive"]),
        # where nodes cannot be listed, the word counts of the SkyPilot that launched it
        (
            [(0, seen(None), SILENT), (14, seen(None), SILENT), (15, seen(None), SILENT)],
            ["empty", "empty", "gone"],
        ),
        ([(0, seen(None), OTHERS), (60, seen(None), OTHERS)], ["unknown", "unknown"]),
        ([(0, seen(None), SkyWord({"web": "INIT"})), (1, seen(None), SkyWord({}))], ["alive", "gone"]),
        ([(0, seen(None), None), (60, seen(None), None)], ["unknown", "unknown"]),
        # a clock that was set back does not prolong the wait
        ([(60, seen(), None), (0, seen(), None), (15, seen(), None)], ["empty", "empty", "gone"]),
        ([(0, seen(state=None), None)], ["closed"]),
    ],
)
def test_a_cluster_is_judged_by_what_was_seen(
    looks: Sequence[tuple[int, Sighting, SkyWord | None]], states: list[str]
) -> None:
    assert watch(*looks) == states


def test_without_a_grace_a_cluster_without_nodes_is_gone_and_an_unknown_one_is_not() -> None:
    assert watch((0, seen(), None), grace=timedelta()) == ["gone"]
    assert watch((0, seen(None), None), (0, seen(None), OTHERS), grace=timedelta()) == ["unknown"] * 2


def test_a_cluster_lives_where_any_of_its_stacks_has_nodes() -> None:
    elsewhere = replace(STACK, region="us-west-2")
    old = Mark("x/1", "2026-11-24T10:00:00Z", had_nodes=True)
    pairs = [(seen(), old), (seen(("i",), stack=elsewhere), Mark())]
    assert judge(pairs, None, NOW, GRACE).state == "alive"
    assert judge([(seen(), old), (seen(None, stack=elsewhere), Mark())], None, NOW, GRACE).state == "unknown"
    # a stack that holds nothing has no say
    assert judge([(seen(), old), (seen(state=None, stack=elsewhere), Mark())], None, NOW, GRACE) == Life(
        "gone",
        "no node bears its tag since 2026-11-24 10:00 UTC",
        (),
        "2026-11-24T10:00:00Z",
        "2026-11-24T10:15:00Z",
    )


def test_a_pattern_as_name_is_nobodys_in_particular() -> None:
    stack = replace(STACK, name_on_cloud="web-????????")
    assert watch((0, seen(("i",), stack=stack), None), (1, seen(stack=stack), OTHERS)) == ["alive", "gone"]
    assert watch((0, seen(None, stack=stack), SILENT)) == ["unknown"]


# -- marks -----------------------------------------------------------------------------


def test_a_mark_is_read_as_it_was_written_and_a_damaged_one_is_none(tmp_path: Path) -> None:
    folder, mark = tmp_path / "a" / "b", Mark("x/7", "2026-11-24T10:00:00Z", True, True)
    assert read_mark(folder, STACK) == Mark()
    write_mark(folder, STACK, mark)
    assert read_mark(folder, STACK) == mark
    (path,) = folder.iterdir()
    assert path.name == "web@aws-us-east-1.json"
    for text in (
        "",
        "[]",
        '{"version": 2}',
        json.dumps({**json.loads(path.read_text()), "empty_since": "x"}),
    ):
        path.write_text(text, encoding="utf-8")
        assert read_mark(folder, STACK) == Mark()
    drop_mark(folder, STACK)
    drop_mark(folder, STACK)
    assert list(folder.iterdir()) == []


def test_a_mark_that_cannot_be_written_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(FindingsError, match="cannot write"):
        write_mark(tmp_path / "file" / "x", STACK, Mark())


# -- sky status ------------------------------------------------------------------------

TABLE = """\
\x1b[36m\x1b[1mClusters\x1b[0m
NAME      INFRA              RESOURCES     STATUS   AUTOSTOP  LAUNCHED
web       AWS (us-east-1)    1x(t3.micro)  UP       -         1 hr ago
train-1   GCP (us-central1)  1x(n1)        STOPPED  10m       2 days ago

Managed jobs
NAME  STATUS
job   UP
"""


@pytest.mark.parametrize(
    ("text", "clusters"),
    [
        ('[{"name": "web", "status": "UP"}, {"name": "b", "status": null}]', {"web": "UP", "b": ""}),
        ("starting the API server ...\n[\n]\n", {}),
        ('[notice]\n[{"name": "web", "status": "INIT"}]', {"web": "INIT"}),
        (TABLE, {"web": "UP", "train-1": "STOPPED"}),
        ("Clusters\nNo existing clusters.\n", {}),
        ("Cluster web not found.\n", {}),
    ],
)
def test_what_sky_status_prints_is_understood(text: str, clusters: dict[str, str]) -> None:
    assert parse_sky_status(text) == clusters


@pytest.mark.parametrize("text", ["", "{}", "[1, 2]", '[{"status": "UP"}]', "Enabled clouds: aws\n"])
def test_what_is_not_understood_is_no_word(text: str) -> None:
    with pytest.raises(SkyStatusError, match="not understood"):
        parse_sky_status(text)


def test_sky_is_asked_for_json_and_an_older_one_for_its_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log"
    table = tmp_path / "table"
    table.write_text(TABLE, encoding="utf-8")
    sky = write_program(
        tmp_path / "sky",
        f"""\
        echo "$*" >> {log}
        case "$*" in *--output*) echo "No such option: --output" >&2; exit 2;; esac
        cat {table}
        """,
    )
    assert read_sky_status(str(sky), ["web", "other"], os.environ) == {"web": "UP"}
    assert log.read_text(encoding="utf-8").splitlines() == [
        "status --refresh --all-users --output json web other",
        "status --refresh --all-users web other",
    ]
    write_program(sky, "echo 'the API server is down' >&2; exit 1")
    with pytest.raises(SkyStatusError, match="exit code 1: the API server is down"):
        read_sky_status(str(sky), ["web"], os.environ)
    with pytest.raises(SkyStatusError, match="cannot be run"):
        read_sky_status(str(tmp_path / "none"), ["web"], os.environ)
    write_program(sky, "exec sleep 60")
    monkeypatch.setattr("skyports_tf.running.skystatus.STATUS_SECONDS", 0.2)
    with pytest.raises(SkyStatusError, match="took longer"):
        read_sky_status(str(sky), ["web"], os.environ)
