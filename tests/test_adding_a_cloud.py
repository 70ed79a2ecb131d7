"""A cloud from a folder of the user's: docs/adding-a-cloud.md is true, and mistakes have a place."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from skyports_tf.clouds import CATALOG, managed_clouds
from skyports_tf.manifest import read_manifest
from tests.support.command_line import Answer, call
from tests.support.installs import ROOT
from tests.support.project import tree_of

PAGE = (ROOT / "docs" / "adding-a-cloud.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"^`([\w./-]+)`[^`\n]*:\n\n```\w*\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
CLOUD = "clouds/fluidstack"
OURS = CATALOG.folders[0] / "aws"
AWS_TASK = "name: web\nresources: {infra: aws/us-east-1, ports: [80, 443]}\nrun: ./serve.sh\n"
MANIFEST, MAIN = f"{CLOUD}/manifest.yaml", f"{CLOUD}/stack/main.tf.j2"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The files of the page."""
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def refused(project: Path, *arguments: str) -> Answer:
    answer = call(project, *(arguments or ("compile", "web.yaml")))
    assert answer.code == 1 and "Traceback" not in answer.err
    assert not (project / "infra").exists()
    return answer


def console() -> str:
    blocks = re.findall(r"^```console\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return "\n".join(blocks)


def test_the_page_holds_a_whole_cloud() -> None:
    ours = {
        path.relative_to(ROOT / "templates/aws").as_posix() for path in (ROOT / "templates/aws").rglob("*.*")
    }
    # where there is no provider to look, there is no probe
    assert "`clouds/fluidstack/probe/main.tf.j2` may be left out" in PAGE
    ours.remove("probe/main.tf.j2")
    assert set(FILES) == {f"{CLOUD}/{name}" for name in ours} | {"skyports.yaml", "web.yaml"}


@pytest.mark.parametrize("name", managed_clouds())
def test_our_own_manifests_are_right_so_that_no_start_has_to_check_them(name: str) -> None:
    assert read_manifest(OURS.parent / name / "manifest.yaml")["name"] == name


def test_the_page_names_every_key_of_a_manifest() -> None:
    schema = json.loads((ROOT / "skyports_tf/schemas/manifest.schema.json").read_text(encoding="utf-8"))
    table = PAGE.partition("| key | says |")[2].partition("\n\n")[0]
    named = re.findall(r"`(\w+)`", "".join(row.split("|")[1] for row in table.splitlines()[1:]))
    assert sorted(named) == sorted(schema["properties"])


def test_the_commands_of_the_page_print_what_it_shows(
    project: Path, local_terraform: tuple[str, ...], capfd: pytest.CaptureFixture[str]
) -> None:
    told = []
    for command in re.findall(r"^\$ skyports-tf (.+)$", console(), re.MULTILINE):
        answer = call(project, *command.split())
        assert answer.code == 0, answer.err
        told.append(f"$ skyports-tf {command}\n{answer.out}")
    assert "\n".join(told) == console()


def test_the_generated_tree_is_formatted(project: Path) -> None:
    assert call(project, "compile", "web.yaml").code == 0
    check = ["terraform", "fmt", "-check", "-recursive", "-diff", str(project / "infra")]
    assert subprocess.run(check, capture_output=True, text=True).stdout == ""


def test_a_stack_without_ports_closes_them_with_the_next_apply(
    project: Path, local_terraform: tuple[str, ...]
) -> None:
    assert call(project, "apply", "--yes", "web.yaml").code == 0
    closed = call(project, "apply", "--yes", "--ports", "none", "web.yaml", "--json")
    (stack,) = closed.json["stacks"]
    assert [rule["from_port"] for rule in stack["changes"]["close"]] == [8080, 9000]
    assert call(project, "status", "--json").json["stacks"][0]["state"] == "closed"


def test_a_cloud_that_skypilot_does_not_know_is_for_tasks_that_name_none(
    project: Path, local_terraform: tuple[str, ...]
) -> None:
    (project / CLOUD).rename(project / "clouds/acme")
    for path in (project / "clouds").rglob("*.*"):
        path.write_text(path.read_text(encoding="utf-8").replace("fluidstack", "acme"), encoding="utf-8")
    edit(project / "skyports.yaml", "fluidstack: {zone: north}", "clouds: [acme]\nacme: {zone: north}")
    edit(project / "web.yaml", "  infra: fluidstack\n", "")
    applied = call(project, "apply", "--yes", "--json", "web.yaml")
    assert applied.code == 0, applied.err
    assert [stack["directory"] for stack in applied.json["stacks"]] == ["web/acme"]
    assert call(project, "names", "web", "--infra", "acme", "--json").json["clouds"]["acme"]["firewall"]
    assert call(project, "destroy", "--yes", "web").code == 0

    refused = call(project, "compile", "--infra", "acme", "web.yaml")
    assert refused.code == 1 and "no cloud 'acme'" in refused.err


def test_the_verb_clouds_lists_it(project: Path) -> None:
    known = {cloud["name"]: cloud for cloud in call(project, "clouds", "--json").json["clouds"]}
    assert known["fluidstack"]["managed"] and known["fluidstack"]["title"] in call(project, "clouds").out
    (project / "skyports.yaml").unlink()
    known = {cloud["name"]: cloud for cloud in call(project, "clouds", "--json").json["clouds"]}
    assert not known["fluidstack"]["managed"]


def test_a_setting_of_the_cloud_is_checked_by_its_manifest(project: Path) -> None:
    edit(project / "skyports.yaml", "{zone: north}", "{zone: north, entris: 40}")
    refused = call(project, "compile", "web.yaml")
    assert (
        "skyports.yaml:4:27: error[unknown-key]" in refused.err and "did you mean 'entries'?" in refused.err
    )


class TestOverriding:
    """A folder with the name of one of our clouds comes before it, file by file."""

    @pytest.fixture
    def plain(self, tmp_path: Path) -> Path:
        return self.new(tmp_path / "plain")

    @pytest.fixture
    def project(self, tmp_path: Path) -> Path:
        return self.new(tmp_path / "project")

    def new(self, folder: Path) -> Path:
        (folder / "clouds/aws/module").mkdir(parents=True)
        (folder / "skyports.yaml").write_text("templates: clouds\n", encoding="utf-8")
        (folder / "web.yaml").write_text(AWS_TASK, encoding="utf-8")
        return folder

    def compiled(self, project: Path) -> dict[str, str]:
        answer = call(project, "compile", "web.yaml")
        assert answer.code == 0, answer.err
        return tree_of(project / "infra")

    def test_a_template_alone_replaces_ours(self, plain: Path, project: Path) -> None:
        shutil.copy(OURS / "module/main.tf.j2", project / "clouds/aws/module")
        edit(project / "clouds/aws/module/main.tf.j2", "Ports of a SkyPilot", "Ports of our SkyPilot")
        ours, theirs = self.compiled(plain), self.compiled(project)
        assert [path for path in ours if ours[path] != theirs[path]] == ["modules/aws/main.tf"]
        assert "Ports of our SkyPilot cluster" in theirs["modules/aws/main.tf"]

    def test_a_manifest_alone_replaces_our_facts(self, project: Path) -> None:
        shutil.copy(OURS / "manifest.yaml", project / "clouds/aws")
        edit(project / "clouds/aws/manifest.yaml", "value: 60", "value: 2")
        answer = refused(project)
        assert "error[quota-exceeded]" in answer.err and "2 are allowed" in answer.err


#: What is wrong: the file, what to change, the finding's code, words of it.
MISTAKES: dict[str, tuple[str, str, str, str, str]] = {
    "a key that is not there": (MANIFEST, "title:", "titel:", "unknown-key", "did you mean 'title'?"),
    "no YAML": (MANIFEST, "sources: {ipv4", "sources: {{ipv4", "yaml-syntax", ""),
    "another name": (MANIFEST, "name: fluidstack", "name: fluidstck", "manifest-name", "'fluidstack'"),
    "a shape that is not there": (MANIFEST, "ports: ranges", "ports: many", "bad-value", "one of range"),
    "a bad expression": (MANIFEST, '"[a-z][-a', '"([a-z][-a', "manifest-value", "no regular expression"),
    "an unknown field": (MANIFEST, "{name_on_cloud}", "{name_on_clod}", "manifest-value", "'name_on_cloud'"),
    "a brace": (MANIFEST, "{name_on_cloud}", "{name_on_cloud", "manifest-value", "no pattern of a name"),
    "a rule of no object": (MANIFEST, "firewall: {p", "wall: {p", "manifest-value", "no object 'wall'"),
    "a type of no schema": (MANIFEST, "type: integer", "type: int", "bad-value", "did you mean 'integer'?"),
    "a setting without words": (MANIFEST, "description: Zone", "default: Zone", "missing-key", "description"),
    "a limit's setting": (MANIFEST, "setting: entries", "setting: entrees", "manifest-value", "did you mean"),
    "a required setting": (MANIFEST, "[zone]", "[zones]", "manifest-value", "did you mean 'zone'?"),
    "an argument": (MANIFEST, "{ipv4: source_ranges", "{ipv4: source ranges", "bad-value", "sources.ipv4"),
    "the template's syntax": (MAIN, "| hcl }}", "| hcl }", "template-invalid", "unexpected '}'"),
    "an unknown name": (MAIN, "names.firewall", "names.firewal", "template-invalid", "'firewal'"),
    "an unknown filter": (MAIN, "| hcl(2)", "| hlc(2)", "template-invalid", "hlc"),
    "a wrong operation": (MAIN, "{{ header }}", "{{ header + 1 }}", "template-invalid", "str"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_a_cloud_is_told_at_its_line(project: Path, mistake: str) -> None:
    file, old, new, code, words = MISTAKES[mistake]
    edit(project / file, old, new)
    answer = refused(project)
    text = (project / file).read_text(encoding="utf-8")
    line = text[: text.index(new)].count("\n") + 1
    found = re.findall(rf"^{re.escape(file)}:(\d+):\d+: error\[{code}\]", answer.err, re.MULTILINE)
    assert any(abs(int(number) - line) <= 1 for number in found), answer.err
    assert words in answer.err


def test_a_template_that_is_not_there_is_named(project: Path) -> None:
    (project / CLOUD / "module/variables.tf.j2").unlink()
    assert f"{CLOUD}/module/variables.tf.j2: error[template-invalid]" in refused(project).err


def test_a_folder_of_clouds_that_is_not_there_is_told_at_its_place(project: Path) -> None:
    edit(project / "skyports.yaml", "templates: clouds", "templates: cloud")
    assert "skyports.yaml:1:12: error[config-value]: no such folder: 'cloud'" in refused(project).err


def test_a_broken_cloud_that_no_task_uses_is_in_nobodys_way(project: Path) -> None:
    (project / MANIFEST).write_text("nothing", encoding="utf-8")
    (project / "skyports.yaml").write_text("templates: clouds\n", encoding="utf-8")
    (project / "web.yaml").write_text(AWS_TASK, encoding="utf-8")
    assert call(project, "compile", "web.yaml").code == 0
