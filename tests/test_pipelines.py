"""`ci`: every file is what its reader takes, safe in what it holds, and the same for the same tree."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import hcl2
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from skyports_tf import __version__
from skyports_tf.cli import VERBS, cli
from skyports_tf.clouds import load_cloud, managed_clouds
from skyports_tf.login import login_of
from skyports_tf.pipelines.files import KINDS
from skyports_tf.pipelines.project import object_name
from skyports_tf.schema import schema_of
from skyports_tf.yaml_text import spell
from tests.support.command_line import Answer, call, valid
from tests.support.installs import ROOT
from tests.support.pipelines import BACKENDS, CLOUDS, S3, follow, project_with, read, read_all, steps
from tests.support.project import Project, tree_of
from tests.support.stacks import write_program

TREES: dict[str, tuple[tuple[str, ...], str]] = {
    "no stack": ((), S3),
    "one stack": (("aws",), S3),
    "every cloud": (tuple(CLOUDS), S3),
    **{f"backend {name}": (("aws", "gcp"), text) for name, text in BACKENDS.items()},
}
# what is secret by its name; a reference to it is all that a file may hold
SECRET = re.compile(r"secrets\.([A-Za-z_][A-Za-z0-9_]*)")


def write(folder: Path, *kinds: str, options: tuple[str, ...] = ()) -> Answer:
    answer = Answer(0, "", "")
    for kind in kinds:
        answer = call(folder, "ci", kind, *options)
        assert answer.code == 0, answer.err
    return answer


@pytest.fixture(scope="module", params=TREES)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with every pipeline written, for each of the trees."""
    clouds, config = TREES[request.param]
    found: Path = tmp_path_factory.mktemp("project")
    project_with(found, *clouds, config=config)
    write(found, *KINDS)
    return found


# -- each file is what its reader takes ------------------------------------------------


def test_the_kinds_are_those_of_the_contract() -> None:
    assert KINDS == ("github", "gitlab", "atlantis", "tofu-controller", "terragrunt", "pre-commit")


def test_a_github_workflow_follows_githubs_schema(folder: Path) -> None:
    names = sorted(path.name for path in (folder / ".github/workflows").iterdir())
    assert names == ["skyports-upkeep.yml", "skyports.yml"]
    for name in names:
        follow("github-workflows", read(folder / ".github/workflows" / name))


def test_a_gitlab_pipeline_follows_gitlabs_schema(folder: Path) -> None:
    assert read(folder / ".gitlab-ci.yml") == {"include": [{"local": "/skyports.gitlab-ci.yml"}]}
    for name in (".gitlab-ci.yml", "skyports.gitlab-ci.yml"):
        follow("gitlab-ci", read(folder / name))


def test_atlantis_finds_a_project_for_each_stack_and_no_key_that_a_server_restricts(folder: Path) -> None:
    document = follow("atlantis", read(folder / "atlantis.yaml"))
    found = {project["dir"] for project in document["projects"]}
    assert found == {str(path.parent.relative_to(folder)) for path in folder.glob("infra/*/*/stack.json")}
    for project in document["projects"]:
        for pattern in project["autoplan"]["when_modified"]:
            assert list((folder / project["dir"]).glob(pattern)) or pattern == ".terraform.lock.hcl"
    assert len({project["name"] for project in document["projects"]}) == len(found)


def test_flux_gets_an_object_for_each_stack_that_closes_its_ports_when_it_goes(folder: Path) -> None:
    follow("kustomization", read(folder / "flux/skyports/kustomization.yaml"))
    objects = read_all(folder / "flux/skyports/terraforms.yaml")
    for document in objects:
        follow("tofu-controller", document)
        assert document["spec"]["destroyResourcesOnDeletion"] is True
        assert document["spec"]["approvePlan"] == ""
        assert (folder / document["spec"]["path"] / "main.tf").is_file()
        # the controller would lay its own backend over ours
        is_local = '"local"' in (folder / document["spec"]["path"] / "backend.tf").read_text()
        assert document["spec"].get("backendConfig") == (None if is_local else {"disable": True})
    assert len(objects) == len(list(folder.glob("infra/*/*/stack.json")))


def test_a_terragrunt_unit_is_hcl_beside_the_stack_and_makes_no_backend(folder: Path) -> None:
    units = sorted(folder.rglob("terragrunt.hcl"))
    assert {unit.parent for unit in units} == {path.parent for path in folder.glob("infra/*/*/stack.json")}
    for unit in units:
        text = unit.read_text()
        with unit.open() as file:
            assert set(hcl2.load(file)) <= {"terraform", "__comments__", "__start_line__"}
        assert not re.search(r"^\s*(remote_state|generate|source|backend)\b", text, re.MULTILINE)
        assert not re.search(r"[ \t]+$|\t", text, re.MULTILINE)


def test_pre_commit_takes_the_config_and_our_own_hooks(folder: Path) -> None:
    follow("pre-commit-config", read(folder / ".pre-commit-config.yaml"))
    hooks = follow("pre-commit-hooks", read(ROOT / ".pre-commit-hooks.yaml"))
    assert {"skyports-tf-compile-check", "skyports-tf-inspect"} <= {hook["id"] for hook in hooks}
    for hook in hooks:
        re.compile(hook.get("files", ""))


# -- what the commands are -------------------------------------------------------------


def commands(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Every call of ours in the files, as verb and words; what a shell would fill in is left out."""
    hooks = [item["entry"] for item in read(ROOT / ".pre-commit-hooks.yaml")]
    config = read(folder / ".pre-commit-config.yaml")
    hooks += [item["entry"] for repo in config["repos"] for item in repo["hooks"]]
    workflows = [read(path) for path in sorted((folder / ".github/workflows").iterdir())]
    runs = [step["run"] for workflow in workflows for _, step in steps(workflow) if "run" in step]
    jobs = [job for job in read(folder / "skyports.gitlab-ci.yml").values() if isinstance(job, dict)]
    runs += [line for job in jobs for line in job.get("script", ())]
    for line in (line for text in (*hooks, *runs) for line in text.splitlines()):
        if line.strip().startswith("skyports-tf "):
            words = shlex.split(re.split(r" \|| >", line)[0])
            yield words[1], words[2:]


def test_every_command_is_a_verb_of_ours_with_options_that_it_has(folder: Path) -> None:
    found = list(commands(folder))
    assert {"compile", "plan", "apply", "ci", "reap", "drift"} <= {verb for verb, _ in found}
    for verb, words in found:
        command = cli.get_command(click.Context(cli), verb)
        assert command is not None, verb
        known = {name for item in command.params if isinstance(item, click.Option) for name in item.opts}
        assert {word for word in words if word.startswith("--")} <= known, verb
    assert set(VERBS) >= {verb for verb, _ in found}


def test_every_script_is_bash(folder: Path) -> None:
    for path in sorted((folder / ".github/workflows").iterdir()):
        for _, step in steps(read(path)):
            if "run" in step:
                subprocess.run(["bash", "-n"], input=step["run"], text=True, check=True)
    for job in read(folder / "skyports.gitlab-ci.yml").values():
        for line in (*job.get("before_script", ()), *job.get("script", ())):
            if isinstance(line, str):
                subprocess.run(["bash", "-n"], input=line, text=True, check=True)


# -- what runs the tree ----------------------------------------------------------------

TOFU = f"{S3}terraform: {{binary: tofu}}\n"


@pytest.fixture(scope="module")
def with_tofu(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of OpenTofu, with every pipeline written."""
    found: Path = tmp_path_factory.mktemp("tofu")
    project_with(found, "aws", config=TOFU)
    write(found, *KINDS)
    return found


def test_where_the_config_names_opentofu_every_pipeline_sets_it_up(with_tofu: Path) -> None:
    version = read(ROOT / "templates/ci/facts.yaml")["programs"]["tofu"]["version"]
    for path in sorted((with_tofu / ".github/workflows").iterdir()):
        workflow = follow("github-workflows", read(path))
        used = [item["with"] for _, item in steps(workflow) if "setup-opentofu@" in item.get("uses", "")]
        assert used and all(item == {"tofu_version": version, "tofu_wrapper": False} for item in used)
        assert "setup-terraform" not in path.read_text()
    gitlab = follow("gitlab-ci", read(with_tofu / "skyports.gitlab-ci.yml"))
    (install,) = [line for line in gitlab[".skyports-cloud"]["before_script"] if "tofu" in str(line)]
    assert f"SKYPORTS_TERRAFORM={version}" in install and "--skip-verify" not in install
    assert "embedded" not in str(gitlab)
    (project,) = follow("atlantis", read(with_tofu / "atlantis.yaml"))["projects"]
    assert project["terraform_distribution"] == "opentofu"
    (unit,) = with_tofu.rglob("terragrunt.hcl")
    with unit.open() as file:
        assert hcl2.load(file)["terraform_binary"].strip('"') == "tofu"


def test_gitlab_installs_opentofu_only_where_the_image_has_none(with_tofu: Path, tmp_path: Path) -> None:
    gitlab = read(with_tofu / "skyports.gitlab-ci.yml")
    (install,) = [line for line in gitlab[".skyports-cloud"]["before_script"] if "tofu" in str(line)]
    write_program(tmp_path / "curl", f'echo \'echo "$@" > {tmp_path}/asked\' > "$7"\n')
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin", "SKYPORTS_TOKENS": str(tmp_path)}
    for _ in range(2):
        subprocess.run(["bash", "-eo", "pipefail", "-c", install], env=env, check=True)
        asked = tmp_path / "asked"
        assert asked.exists() is not (tmp_path / "tofu").exists()
        if asked.exists():
            assert asked.read_text() == "--install-method standalone --opentofu-version 1.11.5\n"
            asked.unlink()
        write_program(tmp_path / "tofu", "true\n")


def test_gitlab_has_a_terraform_without_an_image_of_its_own(tmp_path: Path) -> None:
    project = project_with(tmp_path, "aws")
    install = "python -m pip install --quiet --root-user-action ignore "
    for more, expected in (
        ("", f"'skyports-tf[embedded]=={__version__}'"),
        ("ci: {install: -r requirements.txt}\n", "-r requirements.txt"),
    ):
        project.config(f"{S3}{more}")
        write(tmp_path, "gitlab")
        (found,) = read(tmp_path / "skyports.gitlab-ci.yml")[".skyports"]["before_script"]
        assert found == install + expected


@pytest.mark.parametrize("binary", ["terraform", "/opt/terraform-1.9/terraform", "./my-wrapper"])
def test_any_other_binary_is_terraform_to_a_pipeline(binary: str, tmp_path: Path) -> None:
    project_with(tmp_path, "aws", config=f"{S3}terraform: {{binary: {binary}}}\nci: {{terraform: 1.9.8}}\n")
    write(tmp_path, "github")
    text = (tmp_path / ".github/workflows/skyports.yml").read_text()
    assert "hashicorp/setup-terraform@" in text and 'terraform_version: "1.9.8"' in text


def test_the_documented_versions_are_those_that_are_set_up() -> None:
    told = schema_of("config")["properties"]["ci"]["properties"]["terraform"]["description"]
    programs = read(ROOT / "templates/ci/facts.yaml")["programs"]
    assert set(re.findall(r"[0-9]+\.[0-9]+\.[0-9]+", told)) == {item["version"] for item in programs.values()}


# -- security --------------------------------------------------------------------------


def workflows(folder: Path) -> list[Any]:
    return [read(path) for path in sorted((folder / ".github/workflows").iterdir())]


def test_no_expression_stands_in_a_script(folder: Path) -> None:
    for workflow in workflows(folder):
        for _, step in steps(workflow):
            assert "${{" not in step.get("run", "")


def test_every_action_is_pinned_to_the_commit_of_a_release(folder: Path) -> None:
    pins = yaml.safe_load((ROOT / "templates/ci/facts.yaml").read_text())["actions"]
    for path in (folder / ".github/workflows").iterdir():
        used = re.findall(r"^\s*(?:- )?uses: (\S+)@(\S+) # (\S+)$", path.read_text(), re.MULTILINE)
        assert len(used) == path.read_text().count("uses: ") > 3
        for action, commit, version in used:
            assert re.fullmatch(r"[0-9a-f]{40}", commit)
            assert (commit, version) == (pins[action]["commit"], pins[action]["version"])


def test_a_job_may_do_what_it_needs_and_no_more(folder: Path) -> None:
    main, upkeep = (
        read(folder / ".github/workflows/skyports.yml"),
        read(folder / ".github/workflows/skyports-upkeep.yml"),
    )
    assert main["permissions"] == upkeep["permissions"] == {}
    reading = {"contents": "read", "id-token": "write"}
    assert {name: job["permissions"] for name, job in main["jobs"].items()} == {
        "check": {"contents": "read", "security-events": "write"},
        "plan": reading,
        "comment": {"pull-requests": "write"},
        "prepare": {**reading, "actions": "read", "pull-requests": "read"},
        "apply": reading,
    }
    assert {name: job["permissions"] for name, job in upkeep["jobs"].items()} == {
        "reap": reading,
        "drift": reading,
    }


def test_what_writes_to_a_cloud_waits_behind_an_environment_and_comes_from_the_main_branch(
    folder: Path,
) -> None:
    main, upkeep = workflows(folder)[1], workflows(folder)[0]
    assert main["jobs"]["apply"]["environment"] == "skyports"
    assert upkeep["jobs"]["reap"]["environment"] == "skyports-upkeep"
    for job in (main["jobs"]["prepare"], upkeep["jobs"]["reap"], upkeep["jobs"]["drift"]):
        assert "github.ref == 'refs/heads/main'" in job["if"]
    for name, step in steps(main):
        if "apply --saved" in step.get("run", ""):
            assert name == "apply"
    assert "pull_request_target" not in main["on"] and "workflow_run" not in main["on"]


def test_a_fork_is_checked_and_gets_no_token_of_a_cloud(folder: Path) -> None:
    jobs = workflows(folder)[1]["jobs"]
    own = "github.event.pull_request.head.repo.full_name == github.repository"
    for job in jobs.values():
        if (
            "id-token" in job["permissions"]
            and "pull_request'" in job.get("if", "")
            and "!=" not in job["if"]
        ):
            assert own in job["if"]
    assert own not in jobs["check"]["if"]


def test_runs_on_one_stack_take_turns_and_none_is_broken_off(folder: Path) -> None:
    found = [workflow.get("concurrency") for workflow in workflows(folder)]
    found += [job.get("concurrency") for workflow in workflows(folder) for job in workflow["jobs"].values()]
    groups = [item for item in found if item]
    assert len(groups) == 4
    assert all(item["cancel-in-progress"] is False for item in groups)
    assert "matrix.stacks" in workflows(folder)[1]["jobs"]["apply"]["concurrency"]["group"]


def test_no_file_holds_a_secret_and_steps_name_only_those_that_are_needed(folder: Path) -> None:
    for workflow in workflows(folder):
        used = {stack.parent.name.split("-")[0] for stack in folder.glob("infra/*/*/stack.json")}
        allowed = {name for cloud in used for name in login_of(load_cloud(cloud).login).secrets}
        backends = yaml.safe_load((ROOT / "templates/ci/facts.yaml").read_text())["backend_secrets"]
        allowed |= {name.format(host="app_terraform_io") for names in backends.values() for name in names}
        for cloud in managed_clouds():
            if login_of(load_cloud(cloud).login).backends:
                allowed |= set(login_of(load_cloud(cloud).login).secrets)
        assert "env" not in workflow or set(workflow["env"]) == {"TF_IN_AUTOMATION"}
        for _, step in steps(workflow):
            in_env = set(SECRET.findall(str(step.get("env", {}))))
            assert in_env <= allowed
            assert in_env == set(SECRET.findall(str(step)))


def test_a_plan_is_kept_for_a_day_and_what_was_shown_without_it(folder: Path) -> None:
    main = workflows(folder)[1]
    kept = {
        step["with"]["name"]: step["with"]
        for _, step in steps(main)
        if step.get("uses", "").startswith("actions/upload-artifact")
    }
    assert kept["skyports-plans"]["retention-days"] == 1
    (collect,) = [
        step["run"] for job, step in steps(main) if job == "plan" and "tfplan" in step.get("run", "")
    ]
    assert "skyports.tfplan.json" in collect and "skyports.tfplan " not in collect
    gitlab = read(folder / "skyports.gitlab-ci.yml")["skyports:prepare"]["artifacts"]
    assert (gitlab["public"], gitlab["expire_in"]) == (False, "1 day")
    assert gitlab["reports"] == {"terraform": "skyports-plan.json"}


def test_what_reap_has_seen_is_kept_where_it_failed_too(folder: Path) -> None:
    (keep,) = [
        item for _, item in steps(workflows(folder)[0]) if "actions/cache/save@" in item.get("uses", "")
    ]
    assert "!cancelled()" in keep["if"] and "success()" not in keep["if"]
    (restore,) = [
        item for _, item in steps(workflows(folder)[0]) if "actions/cache/restore@" in item.get("uses", "")
    ]
    assert restore["with"]["path"] == keep["with"]["path"]
    assert read(folder / "skyports.gitlab-ci.yml")["skyports:reap"]["cache"]["when"] == "always"


# -- credentials -----------------------------------------------------------------------


def environments(folder: Path) -> list[dict[str, str]]:
    """The environment of each step of GitHub's that runs Terraform."""
    found = [item for workflow in workflows(folder) for _, item in steps(workflow)]
    running = re.compile(r"skyports-tf (plan|apply|reap|drift)\b")
    return [item.get("env", {}) for item in found if running.search(item.get("run", ""))]


def test_a_provider_and_a_backend_find_the_same_credentials_under_their_own_names(tmp_path: Path) -> None:
    project = project_with(tmp_path, "oci", config=BACKENDS["oci"])
    write(tmp_path, "github", "gitlab")
    assert len(environments(tmp_path)) == 5
    for env in environments(tmp_path):
        for name in ("tenancy_ocid", "user_ocid", "fingerprint"):
            assert env[f"TF_VAR_{name}"] == env[f"OCI_{name}"] == f"${{{{ vars.TF_VAR_{name} }}}}"
        assert env["TF_VAR_private_key"] == env["OCI_private_key"] == "${{ secrets.TF_VAR_private_key }}"
        # the names of a mapping are without regard to case on GitHub
        assert len({name.lower() for name in env}) == len(env)
    script = read(tmp_path / "skyports.gitlab-ci.yml")[".skyports-cloud"]["before_script"]
    assert 'export OCI_private_key="$TF_VAR_private_key"' in script
    project.config(f"oci: {{compartment_id: ocid1.compartment.oc1..aaaa}}\n{S3}")
    write(tmp_path, "github", "gitlab")
    assert not any("OCI_tenancy_ocid" in env for env in environments(tmp_path))
    assert "OCI_" not in (tmp_path / "skyports.gitlab-ci.yml").read_text()


def test_the_kubeconfig_is_named_to_providers_and_backends_that_look_for_none(tmp_path: Path) -> None:
    project_with(tmp_path, "aws", config=BACKENDS["kubernetes"])
    write(tmp_path, "github", "gitlab")
    assert all(env["KUBE_CONFIG_PATH"] == "~/.kube/config" for env in environments(tmp_path))
    script = read(tmp_path / "skyports.gitlab-ci.yml")[".skyports-cloud"]["before_script"]
    assert "export KUBE_CONFIG_PATH='~/.kube/config'" in script


@pytest.mark.parametrize(
    ("backend", "name"),
    [
        ("organization: acme", "TF_TOKEN_app_terraform_io"),
        ("organization: acme, hostname: tfe.my-org.example", "TF_TOKEN_tfe_my__org_example"),
        ("organization: acme, hostname: 'a${{ x }}'", "TF_TOKEN_app_terraform_io"),
    ],
)
def test_the_token_of_a_backend_is_called_after_its_host(backend: str, name: str, tmp_path: Path) -> None:
    project_with(tmp_path, "aws", config=f"backend: {{cloud: {{{backend}}}}}\n")
    write(tmp_path, "github")
    assert all(env[name] == f"${{{{ secrets.{name} }}}}" for env in environments(tmp_path))


@pytest.mark.parametrize(
    ("address", "given", "expected"),
    [
        ("https://gitlab.com/api/v4/projects/7/terraform/state/{stack}", {}, "gitlab-ci-token job"),
        (
            "https://gitlab.com/api/v4/projects/7/terraform/state/{stack}",
            {"TF_HTTP_USERNAME": "me", "TF_HTTP_PASSWORD": "mine"},
            "me mine",
        ),
        ("https://gitlab.com.evil.example/api/v4/projects/7/terraform/state/{stack}", {}, " "),
        ("https://state.example.com/ports", {}, " "),
    ],
)
def test_the_jobs_token_opens_states_in_its_own_gitlab_and_goes_nowhere_else(
    address: str, given: dict[str, str], expected: str, tmp_path: Path
) -> None:
    project_with(tmp_path, "aws", config=f"backend: {{http: {{address: '{address}'}}}}\n")
    write(tmp_path, "gitlab")
    script = read(tmp_path / "skyports.gitlab-ci.yml")[".skyports-cloud"]["before_script"]
    lines = [line for line in script if "TF_HTTP" in str(line)]
    env = {"CI_API_V4_URL": "https://gitlab.com/api/v4", "CI_JOB_TOKEN": "job", **given}
    told = "\n".join([*lines, 'echo "${TF_HTTP_USERNAME:-} ${TF_HTTP_PASSWORD:-}"'])
    done = subprocess.run(["bash", "-euc", told], env=env, capture_output=True, text=True, check=True)
    assert done.stdout == f"{expected}\n"


# -- the same for the same tree --------------------------------------------------------


def test_it_writes_the_same_again_and_finds_nothing_to_change(folder: Path) -> None:
    before = tree_of(folder)
    for kind in KINDS:
        assert call(folder, "ci", kind, "--check").code == 0
        answer = call(folder, "ci", kind, "--json")
        assert [item["changed"] for item in valid("ci", answer.json)["files"]] == [False] * len(
            answer.json["files"]
        )
        assert call(folder, "ci", kind, "--diff").out == ""
    assert tree_of(folder) == before


def test_nothing_of_this_machine_or_of_the_time_is_in_a_file(folder: Path) -> None:
    for path, text in tree_of(folder).items():
        assert str(folder) not in text, path
        assert not re.search(r"\b20\d\d-\d\d-\d\d\b", text), path


@pytest.mark.parametrize("kind", KINDS)
def test_check_finds_an_edit_and_the_next_call_puts_it_right(kind: str, tmp_path: Path) -> None:
    project_with(tmp_path, "aws")
    write(tmp_path, kind)
    files = [item["path"] for item in call(tmp_path, "ci", kind, "--json").json["files"]]
    for name in files:
        path = tmp_path / name
        right = path.read_text()
        path.write_text(f"{right}# edited\n")
        answer = call(tmp_path, "ci", kind, "--check", "--json")
        assert answer.code == 1
        assert [item["path"] for item in answer.json["files"] if item["changed"]] == [name]
        assert [item["code"] for item in answer.json["diagnostics"]] == ["pipeline-outdated"]
        assert f"--- a/{name}\n+++ b/{name}\n" in call(tmp_path, "ci", kind, "--diff").out
        path.unlink()
        (missing,) = call(tmp_path, "ci", kind, "--check", "--json").json["diagnostics"]
        assert missing["message"] == "the file is not there, and the tree and the config ask for it"
        path.write_text(f"{right}# edited\n")
        assert "-# edited" in call(tmp_path, "ci", kind, "--diff").out
        write(tmp_path, kind)
        assert path.read_text() == right


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_is_not_ours_is_never_overwritten(kind: str, tmp_path: Path) -> None:
    project_with(tmp_path, "aws")
    files = [item["path"] for item in call(tmp_path, "ci", kind, "--check", "--json").json["files"]]
    name = next(name for name in files if name != ".gitlab-ci.yml")
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text("mine: true\n")
    answer = call(tmp_path, "ci", kind)
    assert answer.code == 1
    assert "file-foreign" in answer.err and f"ci {kind} --stdout" in answer.err
    assert (tmp_path / name).read_text() == "mine: true\n"
    assert not any((tmp_path / other).exists() for other in files if other != name)


def test_a_pipeline_of_gitlab_that_is_the_users_own_stays_and_is_told_to_include_ours(tmp_path: Path) -> None:
    project_with(tmp_path, "aws")
    own = tmp_path / ".gitlab-ci.yml"
    own.write_text("test: {script: [make test]}\n")
    answer = write(tmp_path, "gitlab")
    assert "warning[pipeline-include]" in answer.err
    own.write_text("include: [{local: /skyports.gitlab-ci.yml}]\n")
    answer = write(tmp_path, "gitlab")
    assert answer.err == ""
    assert own.read_text() == "include: [{local: /skyports.gitlab-ci.yml}]\n"


def test_the_file_of_a_stack_that_is_gone_goes_with_the_next_call(tmp_path: Path) -> None:
    project_with(tmp_path, "aws", "gcp")
    write(tmp_path, "terragrunt")
    (tmp_path / "infra/gcp/gcp/stack.json").unlink()
    assert call(tmp_path, "ci", "terragrunt", "--check").code == 1
    assert "removed    infra/gcp/gcp/terragrunt.hcl" in write(tmp_path, "terragrunt").out
    assert [path.parent.name for path in tmp_path.rglob("terragrunt.hcl")] == ["aws-us-east-1"]


def test_clusters_that_share_a_root_module_are_one_stack_to_a_pipeline(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.config(f"{S3}layout: grouped\nuser_hash: a1b2c3d4\n")
    for name in ("blue", "green"):
        project.task("8888", name=name, file=f"{name}.yaml")
    assert call(tmp_path, "compile", "blue.yaml", "green.yaml").code == 0
    write(tmp_path, "gitlab", "atlantis", "tofu-controller", "terragrunt")
    (shared,) = read(tmp_path / "atlantis.yaml")["projects"]
    assert shared["dir"] == "infra/groups/aws-us-east-1"
    patterns = shared["autoplan"]["when_modified"]
    assert {"../../../blue.yaml", "../../../green.yaml"} <= set(patterns)
    assert all(
        list((tmp_path / shared["dir"]).glob(pattern)) or pattern == ".terraform.lock.hcl"
        for pattern in patterns
    )
    (flux,) = read_all(tmp_path / "flux/skyports/terraforms.yaml")
    assert flux["spec"]["path"] == "./infra/groups/aws-us-east-1"
    jobs = [name for name in read(tmp_path / "skyports.gitlab-ci.yml") if name.startswith("skyports:apply ")]
    assert jobs == ["skyports:apply groups/aws-us-east-1"]
    assert [path.parent.name for path in tmp_path.rglob("terragrunt.hcl")] == ["aws-us-east-1"]


# -- what is told ----------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["github", "gitlab", "atlantis", "terragrunt"])
def test_a_state_that_a_pipeline_would_lose_is_warned_about(kind: str, tmp_path: Path) -> None:
    project_with(tmp_path, "aws", config="")
    assert "warning[local-state-in-pipeline]" in write(tmp_path, kind).err
    project_with(tmp_path, config=S3)
    assert write(tmp_path, kind).err == ""


@pytest.mark.parametrize("kind", ["tofu-controller", "pre-commit"])
def test_what_keeps_its_state_or_has_none_is_not_warned_about(kind: str, tmp_path: Path) -> None:
    project_with(tmp_path, "aws", config="")
    assert write(tmp_path, kind).err == ""


def test_an_end_that_counts_from_an_apply_is_warned_about(tmp_path: Path) -> None:
    project = project_with(tmp_path, config=f"{S3}expires: 8h\n")
    assert "skyports.yaml:7:10: warning[duration-in-pipeline]" in write(tmp_path, "github").err
    project.config(S3)
    project.compile(project.task("80"), expires="3d")
    assert "web-aws-us-east-1: 3d counts from an apply on" in write(tmp_path, "github").err
    project.compile(project.task("80"), expires="2099-01-01")
    assert write(tmp_path, "github").err == ""


@pytest.mark.parametrize(("config", "said"), [("", ""), ("ci: {grace: 12h}\n", " --grace 12h")])
def test_the_grace_of_reap_is_the_configs(config: str, said: str, tmp_path: Path) -> None:
    project_with(tmp_path, "aws", config=S3 + config)
    write(tmp_path, "github", "gitlab")
    (upkeep,) = [path.read_text() for path in tmp_path.rglob("skyports-upkeep.yml")]
    for text in (upkeep, (tmp_path / "skyports.gitlab-ci.yml").read_text()):
        assert f"skyports-tf reap --no-sky{said} --marks" in text
    project_with(tmp_path, config=f"{S3}ci: {{grace: soon}}\n")
    assert "skyports.yaml:7:13: error[" in call(tmp_path, "ci", "github").err


def test_stdout_shows_the_files_and_writes_none(tmp_path: Path) -> None:
    project_with(tmp_path, "aws")
    answer = call(tmp_path, "ci", "pre-commit", "--stdout")
    assert answer.out.startswith("# .pre-commit-config.yaml\n# Generated by skyports-tf")
    assert not (tmp_path / ".pre-commit-config.yaml").exists()
    assert call(tmp_path, "ci", "pre-commit", "--stdout", "--json").code == 2


def test_no_kind_and_an_unknown_one_are_wrong_usage(tmp_path: Path) -> None:
    assert call(tmp_path, "ci").code == call(tmp_path, "ci", "jenkins").code == 2


# -- places ----------------------------------------------------------------------------


def test_a_project_below_the_root_has_files_of_its_own_at_the_root(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    for name in ("ml/ports", "web"):
        project_with(tmp_path / name, "aws")
        write(tmp_path / name, *KINDS[:2], "tofu-controller")
    found = sorted(path.name for path in (tmp_path / ".github/workflows").iterdir())
    assert found == [
        f"{base}.{place}.yml" for base in ("skyports-upkeep", "skyports") for place in ("ml-ports", "web")
    ]
    for name in found:
        workflow = follow("github-workflows", read(tmp_path / ".github/workflows" / name))
        place = "web" if "web" in name else "ml/ports"
        assert workflow["defaults"]["run"]["working-directory"] == place
    gitlab = follow("gitlab-ci", read(tmp_path / "skyports.ml-ports.gitlab-ci.yml"))
    assert gitlab[".skyports-ml-ports"]["before_script"][-1] == "cd ml/ports"
    (flux,) = read_all(tmp_path / "ml/ports/flux/skyports/terraforms.yaml")
    assert flux["spec"]["path"] == "./ml/ports/infra/aws/aws-us-east-1"
    assert call(tmp_path / "web", "ci", "github", "--check").code == 0


@pytest.fixture
def two_projects(tmp_path: Path) -> Path:
    """A repository with a project at its root and two below it, whose stacks are called the same."""
    (tmp_path / ".git").mkdir()
    for name in (".", "ml ports", "web"):
        project_with(tmp_path / name, "aws")
        write(tmp_path / name, *KINDS)
    return tmp_path


def test_projects_of_one_repository_share_the_files_of_its_root(two_projects: Path) -> None:
    atlantis = follow("atlantis", read(two_projects / "atlantis.yaml"))["projects"]
    assert {item["name"]: item["dir"] for item in atlantis} == {
        "aws-aws-us-east-1": "infra/aws/aws-us-east-1",
        "ml-ports/aws-aws-us-east-1": "ml ports/infra/aws/aws-us-east-1",
        "web/aws-aws-us-east-1": "web/infra/aws/aws-us-east-1",
    }
    assert read(two_projects / ".gitlab-ci.yml")["include"] == [
        {"local": f"/skyports{name}.gitlab-ci.yml"} for name in ("", ".ml-ports", ".web")
    ]
    for name in (".", "ml ports", "web"):
        for kind in KINDS:
            assert call(two_projects / name, "ci", kind, "--check").code == 0, (name, kind)


def test_a_project_that_is_gone_leaves_the_shared_files(two_projects: Path) -> None:
    shutil.rmtree(two_projects / "web")
    (two_projects / "skyports.web.gitlab-ci.yml").unlink()
    for kind in ("atlantis", "gitlab", "pre-commit"):
        assert call(two_projects, "ci", kind, "--check").code == 1
        write(two_projects, kind)
    for name in ("atlantis.yaml", ".gitlab-ci.yml", ".pre-commit-config.yaml"):
        text = (two_projects / name).read_text(encoding="utf-8")
        assert "web" not in text and "ports" in text


def test_the_hook_of_a_project_below_the_root_checks_that_project(two_projects: Path) -> None:
    (repository,) = follow("pre-commit-config", read(two_projects / ".pre-commit-config.yaml"))["repos"]
    assert [hook["name"].partition(": ")[0] for hook in repository["hooks"]][1:] == ["ml ports", "web"]
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}

    def codes() -> list[int]:
        # as pre-commit does it: at the root, its words as a shell splits them, and no shell
        return [
            subprocess.run(
                shlex.split(hook["entry"]), cwd=two_projects, env=env, capture_output=True
            ).returncode
            for hook in repository["hooks"]
        ]

    package = f"skyports-tf=={__version__}"
    assert {tuple(hook["additional_dependencies"]) for hook in repository["hooks"]} == {(package,)}
    assert codes() == [0, 0, 0]
    main = two_projects / "ml ports/infra/aws/aws-us-east-1/main.tf"
    main.write_text(main.read_text(encoding="utf-8").replace("tcp", "udp", 1), encoding="utf-8")
    assert codes() == [0, 1, 0]


def test_stacks_of_the_same_name_are_two_objects_for_flux(two_projects: Path) -> None:
    found = [
        item["metadata"]["name"]
        for path in sorted(two_projects.rglob("terraforms.yaml"))
        for item in read_all(path)
    ]
    assert len(set(found)) == len(found) == 3


def test_what_the_command_line_names_stands_in_the_commands(tmp_path: Path) -> None:
    project = project_with(tmp_path, "aws")
    project.compile("tasks/aws.yaml", out="deploy/ports")
    options = ("--out", "deploy/ports", "--branch", "trunk", "--environment", "prod")
    write(tmp_path, "github", options=options)
    workflow = read(tmp_path / ".github/workflows/skyports.yml")
    runs = "\n".join(step.get("run", "") for _, step in steps(workflow))
    assert "plan --all --out deploy/ports " in runs and "cd deploy/ports\n" in runs
    assert "skyports-tf ci github --check --out deploy/ports --branch trunk --environment prod" in runs
    assert workflow["on"]["push"] == {"branches": ["trunk"]}
    assert workflow["jobs"]["apply"]["environment"] == "prod"
    assert call(tmp_path, "ci", "github", "--check", *options).code == 0
    assert call(tmp_path, "ci", "github", "--check").code == 1


def test_the_config_says_what_the_options_do_not(tmp_path: Path) -> None:
    project = project_with(tmp_path, "aws")
    ci = (
        "ci:\n  branch: trunk\n  install: -r requirements.txt\n  tasks: [tasks, more tasks]\n"
        "  source_ref: OCIRepository/infra/ports\n  namespace: ports\n  interval: 1h\n  approve_plan: auto\n"
    )
    project.config(S3 + ci)
    write(tmp_path, "github", "tofu-controller")
    runs = "\n".join(
        step.get("run", "") for _, step in steps(read(tmp_path / ".github/workflows/skyports.yml"))
    )
    assert "pip-version-check -r requirements.txt\n" in runs + "\n"
    assert "compile --all --check --format sarif tasks 'more tasks' >" in runs
    (flux,) = read_all(tmp_path / "flux/skyports/terraforms.yaml")
    assert flux["metadata"]["namespace"] == "ports"
    assert flux["spec"]["sourceRef"] == {"kind": "OCIRepository", "name": "ports", "namespace": "infra"}
    assert (flux["spec"]["interval"], flux["spec"]["approvePlan"]) == ("1h", "auto")


def test_a_pipeline_installs_the_version_that_wrote_it(tmp_path: Path) -> None:
    project_with(tmp_path, "aws")
    write(tmp_path, "github")
    assert f"skyports-tf=={__version__}\n" in (tmp_path / ".github/workflows/skyports.yml").read_text()


def test_a_tree_outside_of_the_repository_is_refused(tmp_path: Path) -> None:
    (tmp_path / "repo").mkdir()
    (tmp_path / "repo/.git").mkdir()
    answer = call(tmp_path / "repo", "ci", "github", "--out", "../infra")
    assert (answer.code, "pipeline-path" in answer.err) == (1, True)


# -- hostile names ---------------------------------------------------------------------

HOSTILE = ("main}}", "a b;rm", "x'y", 'x"y', "${{ secrets.X }}", "$(id)", "`id`", "a\nb", "-x", "")


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("option", ["--branch", "--install", "--source-ref", "--namespace", "--interval"])
def test_an_option_that_a_pipeline_would_read_as_code_is_refused(
    option: str, text: str, tmp_path: Path
) -> None:
    answer = call(tmp_path, "ci", "github", option, text)
    assert answer.code == 2 or (option, text) == ("--install", "-x")
    assert answer.code != 2 or list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", [name for name in HOSTILE if name != "-x"])
@pytest.mark.parametrize("key", ["branch", "environment", "install", "image", "reap_schedule", "terraform"])
def test_a_setting_that_a_pipeline_would_read_as_code_is_refused(key: str, text: str, tmp_path: Path) -> None:
    Project(tmp_path).config(f"ci: {{{key}: {spell(text)}}}\n")
    answer = call(tmp_path, "ci", "github")
    assert (answer.code, "skyports.yaml:1:" in answer.err) == (1, True)


@pytest.mark.parametrize("name", ["${{ x }}", "$(id)", "a'b", "-x", "ä", "a*b"])
def test_a_folder_that_a_pipeline_would_read_as_code_is_refused(name: str, tmp_path: Path) -> None:
    answer = call(tmp_path, "ci", "github", "--out", name)
    assert answer.code == 1
    assert "pipeline-path" in answer.err


@pytest.mark.parametrize(
    "name", ["a: b.yaml", "#c.yaml", "!d.yaml", "e*[f]?.yaml", "g'h\"i.yaml", "- j.yaml", "ü\u2028k.yaml"]
)
def test_a_task_files_name_stays_a_text_and_a_pattern_of_itself(name: str, tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.config(S3)
    project.compile(project.task("80", file=name))
    write(tmp_path, *KINDS)
    (found,) = follow("atlantis", read(tmp_path / "atlantis.yaml"))["projects"]
    pattern = found["autoplan"]["when_modified"][-1]
    assert re.sub(r"\\(.)", r"\1", pattern) == f"../../../{name}"
    assert not re.search(r"(?<!\\)[*?\[]", pattern)


@given(st.text())
def test_a_yaml_text_reads_back_as_it_was(text: str) -> None:
    for loader in (yaml.SafeLoader, yaml.BaseLoader):
        assert yaml.load(f"- {spell(text)}\n", loader) == [text]
        assert yaml.load(f"{{x: {spell(text)}, y: [{spell(text)}]}}", loader) == {"x": text, "y": [text]}
    assert "\n" not in spell(text)


@given(st.from_regex(r"[A-Za-z][-_.A-Za-z0-9]{0,120}[A-Za-z0-9]", fullmatch=True))
def test_a_name_for_kubernetes_is_one_and_short(name: str) -> None:
    found = object_name(name)
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,48}[a-z0-9])?", found)
    assert found == name or found[-9] == "-"


def test_names_that_differ_stay_different_for_kubernetes() -> None:
    names = ["web", "Web", "WEB", "we.b", "we_b", "we-b", "a" * 60, "a" * 61]
    assert len({object_name(name) for name in names}) == len(names)
