"""The wheel, the sdist and the editable install: each carries what it needs and compiles a task."""

from __future__ import annotations

import os
import shutil
import tarfile
import zipfile
from pathlib import Path

import pytest

import skyports_tf
from tests.support.installs import ROOT, build, copy_sources, install, run


def data_files() -> set[str]:
    """Every file of facts, of templates/ and of schemas/ as an installed package names it."""
    found = {f"skyports_tf/schemas/{file.name}" for file in (ROOT / "skyports_tf/schemas").glob("*.json")}
    found |= {file.relative_to(ROOT).as_posix() for file in (ROOT / "skyports_tf/exposure").rglob("*.yaml")}
    for file in (ROOT / "templates").rglob("*"):
        if file.is_file() and "__pycache__" not in file.parts:
            found.add(f"skyports_tf/templates/{file.relative_to(ROOT / 'templates').as_posix()}")
    return found


def python_files() -> set[str]:
    sources = (ROOT / "skyports_tf").rglob("*.py")
    return {file.relative_to(ROOT).as_posix() for file in sources} | {"skyports_tf/py.typed"}


@pytest.fixture(scope="module")
def sdist_and_wheel(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Both, built once; the wheel from the sdist."""
    return build(tmp_path_factory.mktemp("built"))


@pytest.fixture(scope="module")
def sdist(sdist_and_wheel: tuple[Path, Path]) -> Path:
    return sdist_and_wheel[0]


@pytest.fixture(scope="module")
def wheel(sdist_and_wheel: tuple[Path, Path]) -> Path:
    return sdist_and_wheel[1]


def assert_compiles_an_example(python: Path, folder: Path, origin: Path) -> None:
    """The console script and `python -m` work, from `origin`, away from the sources."""
    script, task = python.parent / "skyports-tf", folder / "task.yaml"
    shutil.copy(ROOT / "examples/jupyter_lab.yaml", task)
    env = {**os.environ, "SKYPILOT_USER_ID": "a1b2c3d4", "PYTHONDONTWRITEBYTECODE": "1"}
    where = run(python, "-c", "import skyports_tf; print(skyports_tf.__file__)", cwd=folder, env=env)
    assert Path(where.strip()).is_relative_to(origin)
    expected = f"skyports-tf {skyports_tf.__version__}\n"
    assert run(script, "--version", cwd=folder, env=env) == expected
    assert run(python, "-m", "skyports_tf", "--version", cwd=folder, env=env) == expected
    run(script, "compile", task, cwd=folder, env=env)
    assert "8888" in (folder / "infra/jupyter/aws-us-east-1/main.tf").read_text()
    assert (folder / "infra/modules/aws/main.tf").exists()


def test_the_wheel_carries_the_code_the_templates_and_the_schemas(wheel: Path) -> None:
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert names == python_files() | data_files()


def test_the_sdist_carries_what_the_wheel_carries_and_the_tests(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    sources = {name.replace("skyports_tf/templates/", "templates/") for name in data_files()}
    assert python_files() | sources <= names
    assert {"LICENSE", "README.md", "CHANGELOG.md", "Makefile", "tests/test_packaging.py"} <= names
    assert "examples/jupyter_lab.yaml" in names


def test_the_metadata_names_the_script_the_licence_and_the_pythons(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (folder,) = {name.split("/")[0] for name in archive.namelist() if ".dist-info/" in name}
        metadata = archive.read(f"{folder}/METADATA").decode()
        assert (
            "skyports-tf = skyports_tf.__main__:main" in archive.read(f"{folder}/entry_points.txt").decode()
        )
    assert f"\nVersion: {skyports_tf.__version__}\n" in metadata
    assert "\nRequires-Python: >=3.10\n" in metadata
    assert "Apache-2.0" in metadata
    assert "Provides-Extra: embedded" in metadata


def test_an_installed_wheel_compiles_a_task(wheel: Path, tmp_path: Path) -> None:
    python = install(tmp_path / "venv", wheel)
    assert_compiles_an_example(python, tmp_path, tmp_path / "venv")


def test_an_editable_install_compiles_a_task(tmp_path: Path) -> None:
    sources = copy_sources(tmp_path / "sources")
    python = install(tmp_path / "venv", "--editable", sources)
    assert_compiles_an_example(python, tmp_path, sources)
