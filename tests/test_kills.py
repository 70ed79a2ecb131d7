"""Some of the strikes that `python -m bench.kills` makes at calls of apply and destroy, all of it real."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.kills import Strike, Yard, yard

pytestmark = pytest.mark.xdist_group("kills")

#: We are killed, and Terraform goes on; a destroy is cut in two.
STRIKES = [
    Strike("apply", "us", 3, taken=True),
    Strike("destroy", "both", 3, taken=True),
]


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    with yard(tmp_path_factory.mktemp("yard")) as made:
        yield made


@pytest.mark.parametrize("strike", STRIKES, ids=lambda strike: f"{strike.phase}-{strike.blow}-{strike.call}")
def test_after_a_strike_a_rerun_of_destroy_leaves_nothing(ours: Yard, strike: Strike) -> None:
    aftermath = ours.strike(strike)
    assert aftermath.struck
    assert aftermath.is_clean, aftermath


def test_a_strike_leaves_what_no_state_knows(ours: Yard) -> None:
    # else there would be nothing to bring back, and the test above would prove nothing
    aftermath = ours.strike(Strike("apply", "both", 1, taken=True))
    assert aftermath.orphans > 0
    assert aftermath.is_clean, aftermath


def test_a_state_that_cannot_be_read_is_seen(tmp_path: Path) -> None:
    from tests.support.kills import _is_sound

    state = tmp_path / "terraform.tfstate"
    assert _is_sound(state)
    state.write_text(json.dumps({"version": 4, "resources": []}), encoding="utf-8")
    assert _is_sound(state)
    state.write_text('{"version": 4, "resour', encoding="utf-8")
    assert not _is_sound(state)
