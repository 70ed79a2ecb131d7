"""Fixtures for tests with the real SkyPilot: its Python, an account as SkyPilot leaves it, a cluster."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.skypilot.account import Account, furnish_account
from tests.skypilot.process import USER_HASH, Sky, sky_program, start_sky
from tests.support.ec2_proxy import start_proxy
from tests.support.local_aws import MotoServer, reset
from tests.support.project import Project
from tests.support.resident import resident_aws


@pytest.fixture(scope="session")
def sky_python() -> Path:
    """The Python that has SkyPilot; fails where none is named."""
    named = os.environ.get("SKY_PYTHON")
    if not named:
        pytest.fail("SKY_PYTHON names the Python that has SkyPilot: make test-skypilot")
    return Path(named)


@pytest.fixture
def account(
    monkeypatch: pytest.MonkeyPatch, local_terraform: tuple[str, ...], moto: MotoServer, aws_program: Path
) -> Iterator[Account]:
    """A local AWS that keeps groups in use, with what SkyPilot needs before its first launch."""
    reset(moto.url)
    furnish_account(moto.url)
    with start_proxy(moto.url) as proxy:
        account = Account(moto.url, proxy)
        with resident_aws(aws_program, proxy.server.env) as provider:
            for name, value in {**proxy.server.env, **provider, "SKYPILOT_USER_ID": USER_HASH}.items():
                monkeypatch.setenv(name, value)
            yield account


@pytest.fixture
def sky(account: Account, sky_python: Path, tmp_path: Path) -> Iterator[Sky]:
    """SkyPilot in that account, with no config of its own."""
    with start_sky(sky_python, tmp_path / "home", account.proxy.server.env) as sky:
        yield sky


@pytest.fixture
def program(account: Account, sky_python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """SkyPilot in that account as the program `sky` on PATH."""
    (tmp_path / "bin").mkdir()
    environment = {**account.proxy.server.env, "SKY_IMAGE": account.image}
    program = sky_program(sky_python, tmp_path / "bin", tmp_path / "home", environment)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    return program


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project with a config that names the user hash alone."""
    project = Project(tmp_path / "project")
    project.config(f"user_hash: {USER_HASH}\n")
    return project
