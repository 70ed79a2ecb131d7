"""Fixtures for tests that run Terraform: a local AWS, the AWS provider, and the calls that were made.

Where Terraform or the provider is missing these tests fail and say what to install: a test
that is left out in silence proves nothing.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from skyports_tf.diagnostics import ProgramMissingError, TerraformError
from skyports_tf.terraform import find_program
from tests.support.life import MATRIX, Life, life_on
from tests.support.local_aws import MotoServer, cli_config, reset, start_moto
from tests.support.programs import REQUIRE, required
from tests.support.resident import installed_provider, resident_aws
from tests.support.schema_cloud import schema_mirror
from tests.support.stacks import ANYWHERE, compile_stack, write_program
from tests.support.stand_in_sky import StandInSky, stand_in_sky

# a worker of ours has lost the first
_IN_PIPELINE = bool({"CI", "SKYPORTS_IN_PIPELINE"} & {*os.environ})
if _IN_PIPELINE:
    os.environ["SKYPORTS_IN_PIPELINE"] = "1"
# what is slow is measured in bench/; in CI the same examples are tried every time
settings.register_profile(
    "skyports", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=_IN_PIPELINE
)
settings.load_profile("skyports")

# who starts the tests in the background may have told them to ignore signals, and children inherit that
for _signal, _handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_signal) is signal.SIG_IGN:
        signal.signal(_signal, _handler)

_WITH_SKYPILOT = Path(__file__).parent.resolve() / "skypilot"

# a developer's own settings are not the tests'
for _name in [*os.environ]:
    if _name.startswith(("TF_", "SKYPORTS_TF")) and _name not in ("TF_CLI_CONFIG_FILE", REQUIRE):
        del os.environ[_name]
# ... and a pipeline that runs the tests is none of theirs
for _name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "SKYPILOT_USER_ID", "CI"):
    os.environ.pop(_name, None)
# Terraform and its providers live for seconds: collecting their garbage costs a third of that time, and
# without it they take twice the memory, which is less than a gigabyte (https://go.dev/doc/gc-guide)
os.environ.setdefault("GOGC", "off")
os.environ.setdefault("GOMEMLIMIT", "1GiB")


def _home_without_skypilot() -> tempfile.TemporaryDirectory[str] | None:
    """Make a home of the tests' own, with all that the user's holds but ~/.sky.

    SkyPilot's user hash lies there, and would change every name. Gives the folder to keep until
    the end; None where the tests have one: a worker inherits it.
    """
    home = Path.home()
    if "PYTEST_XDIST_WORKER" in os.environ or not home.is_dir():
        return None
    made = tempfile.TemporaryDirectory(prefix="skyports-tests-home-")
    for entry in home.iterdir():
        if entry.name != ".sky":
            Path(made.name, entry.name).symlink_to(entry)
    os.environ["HOME"] = made.name
    return made


_HOME = _home_without_skypilot()


def pytest_configure(config: pytest.Config) -> None:
    """Name the tests' own marks; `xdist_group` is for tests that share what took seconds to make."""
    config.addinivalue_line("markers", "xdist_group(name): tests that share what a fixture made")
    config.addinivalue_line("markers", "own_provider: Terraform starts the AWS provider for each command")
    try:
        required()
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out the tests that need SkyPilot, unless they are asked for: `make test-skypilot`."""
    asked = any(Path(word).resolve().is_relative_to(_WITH_SKYPILOT) for word in config.args)
    return True if collection_path == _WITH_SKYPILOT and not asked else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    call: pytest.CallInfo[None],
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what Terraform said where its failure is a test's: the error itself names the command alone."""
    report = yield
    if call.excinfo and isinstance(call.excinfo.value, TerraformError):
        report.sections.append(("Terraform said", call.excinfo.value.output))
    return report


@pytest.fixture(scope="session")
def terraform_config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Terraform CLI config with the provider mirror of this machine, where it has one."""
    return cli_config(tmp_path_factory.mktemp("terraform"))


@pytest.fixture(scope="session")
def terraform_argv() -> tuple[str, ...]:
    """How the real Terraform is called; fails where there is none."""
    try:
        return find_program(None, os.environ).argv
    except ProgramMissingError as error:
        pytest.fail(f"these tests run the real Terraform: {error}; {error.diagnostics[0].help}")


@pytest.fixture(scope="session")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Terraform CLI config with the schema providers of the pretend clouds."""
    return schema_mirror(tmp_path_factory.mktemp("mirror"))


@pytest.fixture(params=MATRIX)
def life(
    request: pytest.FixtureRequest, tmp_path: Path, mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> Life:
    """A life on each cloud that the schema provider plays."""
    return life_on(request.param, tmp_path, mirror, monkeypatch)


@pytest.fixture(scope="session")
def moto() -> Iterator[MotoServer]:
    """A local AWS of this test process alone."""
    with start_moto() as server:
        yield server


@pytest.fixture
def sky(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandInSky:
    """A stand-in for SkyPilot, on PATH."""
    found = stand_in_sky(tmp_path / "bin")
    monkeypatch.setenv("PATH", found.environment["PATH"])
    monkeypatch.delenv("SKY", raising=False)
    return found


@pytest.fixture
def local_terraform(
    monkeypatch: pytest.MonkeyPatch, terraform_config: Path, terraform_argv: tuple[str, ...]
) -> tuple[str, ...]:
    """The real Terraform, with the environment it needs; no cloud."""
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", str(terraform_config))
    return terraform_argv


@pytest.fixture(scope="session")
def aws_program(
    terraform_config: Path, terraform_argv: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The program of the real AWS provider, as Terraform installs it."""
    folder = tmp_path_factory.mktemp("provider")
    stack = folder / "infra" / compile_stack(folder, {"80": [ANYWHERE]}).directory
    env = {**os.environ, "TF_CLI_CONFIG_FILE": str(terraform_config)}
    subprocess.run([*terraform_argv, "init", "-input=false"], cwd=stack, env=env, check=True)
    return installed_provider(stack)


@pytest.fixture(scope="session")
def aws_provider(aws_program: Path, moto: MotoServer) -> Iterator[dict[str, str]]:
    """What makes Terraform use an AWS provider that stays for the commands of many tests."""
    with resident_aws(aws_program, moto.env) as environment:
        yield environment


@pytest.fixture
def aws(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    local_terraform: tuple[str, ...],
    moto: MotoServer,
) -> MotoServer:
    """The local AWS, empty, with Terraform set up to use it.

    The provider is one that stays, and Terraform knows the types of our templates alone, which takes a
    fifth of the time; Terraform installs and starts it as ever in tests that are marked `own_provider`.
    """
    reset(moto.url)
    own = request.node.get_closest_marker("own_provider") is not None
    provider = {} if own else request.getfixturevalue("aws_provider")
    for name, value in {**moto.env, **provider}.items():
        monkeypatch.setenv(name, value)
    return moto


class Calls:
    """The Terraform commands that were run, through a program that notes them and runs the real one."""

    def __init__(self, folder: Path, argv: tuple[str, ...]) -> None:
        self._log = folder / "calls.log"
        self.program = write_program(
            folder / "terraform",
            f"""\
            echo "$*" >> {shlex.quote(str(self._log))}
            exec {shlex.join(argv)} "$@"
            """,
        )

    def since_last(self) -> list[str]:
        """The commands, without their flags, that were run since the last call."""
        lines = self._log.read_text(encoding="utf-8").splitlines() if self._log.exists() else []
        self._log.write_text("", encoding="utf-8")
        return [" ".join(word for word in line.split() if not word.startswith("-")) for line in lines]


@pytest.fixture
def calls(tmp_path: Path, terraform_argv: tuple[str, ...]) -> Calls:
    """A Terraform that notes its calls: `calls.program` is the binary to configure."""
    return Calls(tmp_path, terraform_argv)
