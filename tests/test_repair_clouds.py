"""What an interrupted apply has left on a cloud comes into the state; what cannot be seen there is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from skyports_tf.closing import close_stack, plan_close
from skyports_tf.clouds import load_cloud
from skyports_tf.model import Stack
from tests.support.life import MATRIX, SETTINGS, Life, life_on
from tests.support.project import working_in

FOUR, SIX = "203.0.113.0/24", "2001:db8::/32"
#: Clouds whose providers list what is there, and what else the config says.
CASES = {
    "azure": ("azure", ""),
    "ibm": ("ibm", ""),
    "kubernetes": ("kubernetes", ""),
    "kubernetes-ingress": ("kubernetes", "kubernetes: {ports: ingress}\n"),
    "oci": ("oci", ""),
}


@pytest.fixture(params=CASES)
def life(
    request: pytest.FixtureRequest, tmp_path: Path, mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> Life:
    cloud, more = CASES[request.param]
    life = life_on(cloud, tmp_path, mirror, monkeypatch)
    config = life.project.folder / "skyports.yaml"
    config.write_text(config.read_text(encoding="utf-8") + more, encoding="utf-8")
    return life


def forget(life: Life, stack: Stack) -> None:
    """Leave what a killed apply leaves: objects in the cloud, no state, and our mark of it."""
    for path in life.folder(stack).glob("terraform.tfstate*"):
        path.unlink()
    (life.folder(stack) / ".terraform" / "skyports.unfinished").touch()


def test_destroy_removes_what_no_state_knows(life: Life) -> None:
    sources = (FOUR,) if life.place == "ibm/us-south" else (FOUR, SIX)
    stack = life.compile("[8000-8003, 9000]", sources=sources, ssh_sources=(FOUR,))
    life.apply(stack)
    assert life.cloud.objects()
    forget(life, stack)
    # a part of the rules, so that keys of what is there are in no configuration
    edited = stack if life.place == "ibm/us-south" else life.compile("8000-8003", sources=(FOUR,))
    assert life.close(edited)
    assert life.cloud.objects() == {}
    assert life.close(edited)
    assert sorted(path.name for path in life.folder(stack).glob("*repair*")) == []


def test_an_apply_goes_on_where_the_last_one_was_killed(life: Life) -> None:
    stack = life.compile("[8000-8003, 9000]", sources=(FOUR,))
    life.apply(stack)
    before = life.cloud.objects()
    forget(life, stack)
    life.apply(stack)
    assert life.cloud.objects() == before
    assert not life.plan(stack).counts.any


@pytest.mark.parametrize("cloud", MATRIX)
def test_a_destroy_says_what_it_cannot_see(
    cloud: str, tmp_path: Path, mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    life = life_on(cloud, tmp_path, mirror, monkeypatch)
    stack = life.compile("8080")
    life.apply(stack)
    with working_in(life.project.folder):
        closed = close_stack("infra", plan_close("infra", stack, SETTINGS), SETTINGS)
    told = [item for item in closed.warnings if item.code == "not-swept"]
    reason = load_cloud(cloud).blind.get("leftovers")
    assert closed.verified_empty and len(told) == (1 if reason else 0)
    assert all(item.severity == "note" and str(reason) in item.message for item in told)
