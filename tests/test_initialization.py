"""`terraform init` runs where it is needed and nowhere else; providers are shared between stacks."""

from __future__ import annotations

import fcntl
import os
import shlex
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from skyports_tf.diagnostics import TerraformError
from skyports_tf.lifecycle import RunSettings, plan_stack
from skyports_tf.model import Stack
from tests.support.stacks import aws_stack, rule, write_program

STACK = aws_stack(rule("8888"))
LOCK_FILE = ".terraform.lock.hcl"


class Fake:
    """A Terraform that notes its calls; init makes what the real one makes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "calls.log"
        provider = ".terraform/providers/registry.terraform.io/hashicorp/aws/5.0.0"
        self.platform = Path(provider) / "linux_amd64"
        self.init = f'mkdir -p {provider}; ln -sfn "$PROVIDER" {self.platform}; echo lock >> {LOCK_FILE}'
        (folder / "provider").mkdir()

    def write(self, name: str = "terraform", *, init: str | None = None, plan: str = "") -> RunSettings:
        program = write_program(
            self.folder / name,
            f"""\
            PROVIDER={shlex.quote(str(self.folder / "provider"))}
            echo "$1 cache=$TF_PLUGIN_CACHE_DIR" >> {shlex.quote(str(self.log))}
            if [ "$1" = init ]; then {self.init if init is None else init}; exit; fi
            {plan}
            exit 0
            """,
        )
        return RunSettings(binary=str(program))

    def calls(self) -> list[str]:
        """The commands since the last call."""
        said = self.lines()
        self.log.unlink(missing_ok=True)
        return [line.split()[0] for line in said]

    def lines(self) -> list[str]:
        return self.log.read_text(encoding="utf-8").splitlines() if self.log.exists() else []


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("TF_CLI_CONFIG_FILE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return Fake(tmp_path)


def write_stack(out: Path, stack: Stack) -> Path:
    """What init looks at, as a stack's files have it; gives the stack's folder."""
    folder = out / stack.directory
    rules = "\n".join(f'    "{item.key}" = {{ source = "{item.source}" }}' for item in stack.rules)
    texts = {
        folder / "backend.tf": 'terraform {\n  backend "local" {}\n}\n',
        folder
        / "main.tf": f'module "ports" {{\n  source = "../../modules/aws"\n  rules = {{\n{rules}\n  }}\n}}\n',
        out / "modules/aws/versions.tf": 'terraform {\n  required_version = ">= 1.5"\n}\n',
    }
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_stack(tmp_path / "infra", STACK)


def plan(tmp_path: Path, settings: RunSettings, stack: Stack = STACK) -> None:
    plan_stack(str(tmp_path / "infra"), stack, settings)


def test_a_folder_is_prepared_once(fake: Fake, folder: Path, tmp_path: Path) -> None:
    settings = fake.write()
    plan(tmp_path, settings)
    plan(tmp_path, settings)
    assert fake.calls() == ["init", "plan", "plan"]


def test_new_rules_need_no_init(fake: Fake, folder: Path, tmp_path: Path) -> None:
    settings = fake.write()
    plan(tmp_path, settings)
    write_stack(tmp_path / "infra", aws_stack(rule("8888"), rule("9999", "10.0.0.0/8")))
    plan(tmp_path, settings)
    assert fake.calls() == ["init", "plan", "plan"]


CHANGES: dict[str, Callable[[Path], object]] = {
    "backend": lambda folder: (folder / "backend.tf").write_text("terraform {}\n"),
    "module source": lambda folder: (folder / "main.tf").write_text(
        'module "ports" {\n  source = "../x"\n}\n'
    ),
    "no module any more": lambda folder: (folder / "main.tf").write_text("\n"),
    "provider version": lambda folder: (folder.parents[1] / "modules/aws/versions.tf").write_text("\n"),
    "lock file": lambda folder: (folder / LOCK_FILE).write_text("other\n"),
    "no lock file": lambda folder: (folder / LOCK_FILE).unlink(),
    "provider gone": lambda folder: (folder.parents[2] / "provider").rmdir(),
    "mark gone": lambda folder: (folder / ".terraform/skyports.init").unlink(),
    "mark damaged": lambda folder: (folder / ".terraform/skyports.init").write_bytes(b"\xff"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_init_depends_on_makes_it_run_again(
    fake: Fake, folder: Path, tmp_path: Path, change: str
) -> None:
    settings = fake.write()
    plan(tmp_path, settings)
    fake.calls()
    CHANGES[change](folder)
    plan(tmp_path, settings)
    assert fake.calls() == ["init", "plan"]


def test_another_terraform_prepares_the_folder_anew(fake: Fake, folder: Path, tmp_path: Path) -> None:
    plan(tmp_path, fake.write())
    plan(tmp_path, fake.write("tofu"))
    assert fake.calls() == ["init", "plan", "init", "plan"]


def test_another_cli_config_prepares_the_folder_anew(
    fake: Fake, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = fake.write()
    config = tmp_path / "terraform.rc"
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", str(config))
    plan(tmp_path, settings)
    config.write_text("disable_checkpoint = true\n", encoding="utf-8")
    plan(tmp_path, settings)
    plan(tmp_path, settings)
    assert fake.calls() == ["init", "plan", "init", "plan", "plan"]


def test_an_init_that_fails_is_told_and_tried_again_next_time(
    fake: Fake, folder: Path, tmp_path: Path
) -> None:
    for _ in range(2):
        with pytest.raises(TerraformError, match="terraform init failed") as caught:
            plan(tmp_path, fake.write(init="echo 'Error: no network' >&2; exit 1"))
        assert caught.value.output == "Error: no network"
    assert fake.calls() == ["init", "init"]


def test_a_plan_that_asks_for_init_gets_one_and_one_only(fake: Fake, folder: Path, tmp_path: Path) -> None:
    plan(tmp_path, fake.write())
    fake.calls()
    settings = fake.write(plan="echo 'Error: please run \"terraform init\"' >&2; exit 1")
    with pytest.raises(TerraformError, match="terraform plan failed"):
        plan(tmp_path, settings)
    assert fake.calls() == ["plan", "init", "plan"]


def test_providers_are_shared_through_a_cache_that_is_ours_alone(
    fake: Fake, folder: Path, tmp_path: Path
) -> None:
    plan(tmp_path, fake.write())
    cache = tmp_path / "cache" / "skyports-tf" / "plugins"
    assert fake.lines() == [f"init cache={cache}", "plan cache="]
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700


def test_a_cache_that_the_user_has_chosen_is_kept(
    fake: Fake, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_PLUGIN_CACHE_DIR", "/their/own")
    plan(tmp_path, fake.write())
    assert fake.lines()[0] == "init cache=/their/own"


def test_a_cache_in_the_cli_config_is_kept(fake: Fake, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / ".terraformrc").write_text('plugin_cache_dir = "/their/own"\n', encoding="utf-8")
    plan(tmp_path, fake.write())
    assert fake.lines()[0] == "init cache="


def test_a_cache_that_others_may_write_to_is_not_used(fake: Fake, folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache" / "skyports-tf" / "plugins"
    cache.mkdir(parents=True)
    cache.chmod(0o777)
    plan(tmp_path, fake.write())
    assert fake.lines()[0] == "init cache="


def test_a_cache_that_cannot_be_made_is_done_without(fake: Fake, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file", encoding="utf-8")
    plan(tmp_path, fake.write())
    assert fake.lines()[0] == "init cache="


def test_a_new_stack_takes_over_the_provider_versions_of_its_siblings(
    fake: Fake, folder: Path, tmp_path: Path
) -> None:
    (folder / LOCK_FILE).write_text("version 5.1\n", encoding="utf-8")
    other = aws_stack(rule("80"), cluster="other")
    new = write_stack(tmp_path / "infra", other)
    plan(tmp_path, fake.write(init="exit 0"), other)
    assert (new / LOCK_FILE).read_text(encoding="utf-8") == "version 5.1\n"


def test_its_own_lock_file_is_never_touched(fake: Fake, folder: Path, tmp_path: Path) -> None:
    (folder / LOCK_FILE).write_text("version 5.1\n", encoding="utf-8")
    other = aws_stack(rule("80"), cluster="other")
    new = write_stack(tmp_path / "infra", other)
    (new / LOCK_FILE).write_text("version 5.2\n", encoding="utf-8")
    with pytest.raises(TerraformError):
        plan(tmp_path, fake.write(init="exit 1"), other)
    assert (new / LOCK_FILE).read_text(encoding="utf-8") == "version 5.2\n"


def test_a_siblings_lock_file_that_does_not_fit_is_dropped(fake: Fake, folder: Path, tmp_path: Path) -> None:
    (folder / LOCK_FILE).write_text("version 1\n", encoding="utf-8")
    other = aws_stack(rule("80"), cluster="other")
    new = write_stack(tmp_path / "infra", other)
    plan(tmp_path, fake.write(init=f"if [ -e {LOCK_FILE} ]; then exit 1; fi; mkdir -p .terraform"), other)
    assert fake.calls() == ["init", "init", "plan"]
    assert not (new / LOCK_FILE).exists()


def test_inits_run_one_at_a_time(fake: Fake, folder: Path, tmp_path: Path) -> None:
    """Terraform's plugin cache does not bear two writers."""
    locks = tmp_path / "cache" / "skyports-tf" / "locks"
    locks.mkdir(parents=True, mode=0o700)
    settings = fake.write()
    with (locks / "init.lock").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        run = threading.Thread(target=plan, args=(tmp_path, settings))
        run.start()
        run.join(0.5)
        assert run.is_alive()
        assert fake.lines() == []
    run.join(60)
    assert fake.calls() == ["init", "plan"]


def test_the_data_folder_of_the_user_is_respected(
    fake: Fake, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_DATA_DIR", str(tmp_path / "elsewhere"))
    settings = fake.write(init=f"mkdir -p {tmp_path}/elsewhere")
    plan(tmp_path, settings)
    plan(tmp_path, settings)
    assert fake.calls() == ["init", "plan", "plan"]
    assert os.listdir(tmp_path / "elsewhere") == ["skyports.init"]
