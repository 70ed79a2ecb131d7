"""A saved plan on another machine, with the real Terraform: applied as shown, refused where it is stale."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.command_line import call
from tests.support.life import Life, life_on


@pytest.fixture
def life(tmp_path: Path, mirror: Path, monkeypatch: pytest.MonkeyPatch) -> Life:
    return life_on("gcp", tmp_path, mirror, monkeypatch)


def test_another_machine_applies_the_very_plan_and_none_that_is_stale(life: Life, tmp_path: Path) -> None:
    first = life.project.folder
    task = life.project.task("[8000-8003, 9000]", infra=life.place)
    assert call(first, "plan", task).code == 0
    # the state lies beside the files here, so each machine has its own
    second, third = tmp_path / "second", tmp_path / "third"
    shutil.copytree(first, second)
    assert call(first, "apply", "--saved", "--yes").code == 0
    assert len(life.cloud.objects()["google_compute_firewall"]) == 2
    # what was planned before is stale where the state has moved since
    shutil.copytree(first, third)
    for folder in second.glob("infra/web/*"):
        for name in ("skyports.tfplan", "skyports.tfplan.json"):
            shutil.copy(folder / name, third / folder.relative_to(second) / name)
    refused = call(third, "apply", "--saved", "--yes")
    assert refused.code == 3
    assert "Saved plan is stale" in refused.err
    assert call(first, "plan", "--all", "--detailed-exitcode").code == 0
