"""What a cloud cannot do is refused before anything is written, with a code, a place and a way out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from skyports_tf.clouds import load_cloud, managed_clouds
from tests.support.command_line import Answer, call, environment

#: For each cloud a place, and what the config must say of it.
PLACES = {
    "aws": ("aws/us-east-1", ""),
    "azure": ("azure/eastus", ""),
    "do": ("do/nyc3", ""),
    "gcp": ("gcp/us-central1", "gcp: {project: my-project}"),
    "ibm": ("ibm/us-south", 'ibm: {security_groups: {"*": r006-11111111-2222-3333-4444-555555555555}}'),
    "kubernetes": ("kubernetes", ""),
    "nebius": ("nebius/eu-north1", "nebius: {project_id: project-e00a, network_id: vpcnetwork-e00a}"),
    "oci": ("oci/us-ashburn-1", "oci: {compartment_id: ocid1.compartment.oc1..example}"),
}
HASH = "user_hash: a1b2c3d4"
NEEDS_HASH = [name for name in managed_clouds() if load_cloud(name).needs_user_hash]
NEEDS_REGION = ["azure", "ibm", "oci"]


@dataclass(frozen=True)
class Case:
    """A task on `infra` that asks for `ports`, under a config, and the finding that refuses it."""

    infra: str
    code: str
    words: str
    way_out: str
    ports: str = "8080"
    config: str = ""
    options: str = ""
    place: str = "web.yaml:3:10"


def full(cloud: str, *more: str) -> str:
    """A config that says what the cloud needs."""
    return "\n".join([HASH, PLACES[cloud][1], *more, ""])


def answer(folder: Path, case: Case) -> Answer:
    """What `compile` says to a case, on a machine without a user hash."""
    folder.joinpath("web.yaml").write_text(
        f"name: web\nresources:\n  infra: {case.infra}\n  ports: {case.ports}\nrun: ./serve.sh\n",
        encoding="utf-8",
    )
    folder.joinpath("skyports.yaml").write_text(case.config, encoding="utf-8")
    with environment(HOME=str(folder)):
        return call(folder, "compile", *case.options.split(), "web.yaml")


def check(folder: Path, case: Case) -> None:
    """The case is refused as it says, and nothing is written."""
    refused = answer(folder, case)
    assert refused.code == 1, refused.out
    place = f"{case.place}: " if case.place else ""
    head = f"{place}error[{case.code}]: "
    blocks = [block for block in refused.err.split("\n\n") if block.startswith(head) and case.words in block]
    assert len(blocks) == 1 and f"= help: {case.way_out}" in blocks[0], refused.err
    assert "Traceback" not in refused.err and refused.out == ""
    assert sorted(path.name for path in folder.iterdir()) == ["skyports.yaml", "web.yaml"]


def test_the_table_holds_every_cloud() -> None:
    assert sorted(PLACES) == sorted(managed_clouds())


@pytest.mark.parametrize("cloud", PLACES)
def test_what_the_table_says_of_a_cloud_is_enough(cloud: str, tmp_path: Path) -> None:
    assert answer(tmp_path, Case(PLACES[cloud][0], "", "", "", config=full(cloud))).code == 0


EXPLOSIONS = {
    "kubernetes": Case(
        "kubernetes",
        "quota-exceeded",
        "1311 rules are needed, 50 are allowed: 1261 too many (Load balancers",
        "raise the quota and set `kubernetes.load_balancers` in the config, or ask for fewer",
        "1-65535",
        HASH,
    ),
    "nebius": Case(
        "nebius/eu-north1",
        "quota-exceeded",
        "rules are needed, 100 are allowed: ",
        "raise the quota and set `nebius.rules_per_security_group` in the config, or ask for fewer",
        "1-65535",
        full("nebius"),
    ),
}


@pytest.mark.parametrize("cloud", EXPLOSIONS)
def test_all_ports_on_a_cloud_of_single_ports_name_quota_need_and_excess(cloud: str, tmp_path: Path) -> None:
    check(tmp_path, EXPLOSIONS[cloud])


@pytest.mark.parametrize("cloud", sorted(set(PLACES) - set(EXPLOSIONS)))
def test_all_ports_are_one_rule_where_rules_hold_ranges(cloud: str, tmp_path: Path) -> None:
    compiled = answer(tmp_path, Case(PLACES[cloud][0], "", "", "", "1-65535", full(cloud)))
    assert compiled.code == 0, compiled.err
    main = next((tmp_path / "infra/web").glob("*/main.tf")).read_text(encoding="utf-8")
    assert main.count("65535") == 1


def test_a_quota_that_the_config_raises_is_kept_to(tmp_path: Path) -> None:
    def compiled(load_balancers: int) -> Answer:
        config = f"{HASH}\nkubernetes: {{load_balancers: {load_balancers}, ports_per_load_balancer: 10}}\n"
        return answer(tmp_path, Case("kubernetes", "", "", "", "8000-8099", config))

    assert "10 rules are needed, 9 are allowed: 1 too many" in compiled(9).err
    assert compiled(10).code == 0


V6_CLOUDS = [name for name in managed_clouds() if "ipv6" in load_cloud(name).sources]


@pytest.mark.parametrize("cloud", sorted(set(PLACES) - set(V6_CLOUDS)))
@pytest.mark.parametrize("where", ["option", "config", "port"])
def test_ipv6_is_refused_where_there_is_none(cloud: str, where: str, tmp_path: Path) -> None:
    v6 = "2001:db8::/32"
    more = {
        "option": "",
        "config": f'sources: ["{v6}"]',
        "port": f'rules: [{{cluster: web, ports: {{8080: {{sources: ["{v6}"]}}}}}}]',
    }[where]
    options = f"--source {v6}" if where == "option" else ""
    case = Case(
        PLACES[cloud][0],
        "source-unsupported",
        f"web-{cloud}",
        "it takes: ipv4",
        config=full(cloud, more),
        options=options,
    )
    check(tmp_path, case)


@pytest.mark.parametrize("cloud", V6_CLOUDS)
def test_ipv6_and_ipv4_open_where_there_is_both(cloud: str, tmp_path: Path) -> None:
    case = Case(
        PLACES[cloud][0],
        "",
        "",
        "",
        config=full(cloud),
        options="--source 2001:db8::/32 --source 10.0.0.0/8",
    )
    assert answer(tmp_path, case).code == 0


@pytest.mark.parametrize("cloud", ["do", "ibm", "kubernetes", "nebius", "oci"])
def test_sources_of_another_cloud_are_refused(cloud: str, tmp_path: Path) -> None:
    case = Case(
        PLACES[cloud][0],
        "source-unsupported",
        "'sg-0123456789abcdef0'",
        "it takes: ipv4",
        config=full(cloud),
        options="--source sg-0123456789abcdef0",
    )
    check(tmp_path, case)


CLOUDS = {
    "in a task": Case("asw/us-east-1", "bad-infra", "no cloud 'asw'", "did you mean 'aws'?"),
    "on the command line": Case(
        "aws/us-east-1",
        "bad-infra",
        "--infra: no cloud 'gpc'",
        "did you mean 'gcp'?",
        options="--infra gpc",
        place="",
    ),
    "in the config": Case(
        "'*'",
        "cloud-unknown",
        "unknown cloud 'asw'",
        "did you mean 'aws'?",
        config="clouds: [gcp, asw]\n",
        place="skyports.yaml:1:15",
    ),
    "another name of it in the config": Case(
        "aws/us-east-1",
        "cloud-unknown",
        "unknown cloud 'k8s'",
        "did you mean 'kubernetes'?",
        config="clouds: [k8s]\n",
        place="skyports.yaml:1:10",
    ),
    "settings of one": Case(
        "aws/us-east-1",
        "unknown-key",
        "unknown key 'azur'",
        "did you mean 'azure'?",
        config="azur: {region: eastus}\n",
        place="skyports.yaml:1:1",
    ),
    "a setting of one": Case(
        "gcp",
        "unknown-key",
        "unknown key 'projct' in 'gcp'",
        "did you mean 'project'?",
        config=f"{HASH}\ngcp: {{projct: my-project}}\n",
        place="skyports.yaml:2:7",
    ),
}


@pytest.mark.parametrize("where", CLOUDS)
def test_a_misspelt_cloud_or_setting_is_told_with_the_nearest_name(where: str, tmp_path: Path) -> None:
    check(tmp_path, CLOUDS[where])


UNSUPPORTED = {
    "in a task": Case(
        "lambda", "cloud-unsupported", "the ports of lambda cannot be managed: its firewall is", "keep"
    ),
    "with a region": Case(
        "runpod/US", "cloud-unsupported", "ports are fixed when the pod is created", "name the ports"
    ),
    "on the command line": Case(
        "aws/us-east-1",
        "cloud-unsupported",
        "the ports of vast",
        "name the ports",
        options="--infra vast",
        place="web.yaml:1:1",
    ),
    "in the config": Case(
        "'*'", "cloud-unsupported", "the ports of slurm", "reach", config="clouds: [slurm]\n"
    ),
}


@pytest.mark.parametrize("where", UNSUPPORTED)
def test_a_cloud_that_cannot_be_managed_is_refused_with_the_reason(where: str, tmp_path: Path) -> None:
    check(tmp_path, UNSUPPORTED[where])


def test_candidates_that_cannot_be_managed_are_left_out_with_one_warning(tmp_path: Path) -> None:
    any_of = "\n".join(
        f"    - infra: {infra}" for infra in ("lambda", "aws/us-east-1", "runpod", "aws/us-west-2")
    )
    (tmp_path / "web.yaml").write_text(
        f"name: web\nresources:\n  ports: 80\n  any_of:\n{any_of}\n", encoding="utf-8"
    )
    compiled = call(tmp_path, "compile", "web.yaml")
    assert compiled.code == 0
    assert compiled.err.count("warning[cloud-left-out]") == 1
    assert "web.yaml:5:14: warning[cloud-left-out]: left out: lambda (its firewall" in compiled.err
    assert "runpod (ports are fixed" in compiled.err
    assert sorted(path.name for path in (tmp_path / "infra/web").iterdir()) == [
        "aws-us-east-1",
        "aws-us-west-2",
    ]


@pytest.mark.parametrize("cloud", NEEDS_REGION)
def test_a_region_that_is_needed_and_missing_is_told(cloud: str, tmp_path: Path) -> None:
    case = Case(
        cloud,
        "region-missing",
        f"{cloud} needs a region",
        f"name it as `infra: {cloud}/REGION`, or as `{cloud}.region` in the config",
        config=full(cloud),
    )
    check(tmp_path, case)


@pytest.mark.parametrize("cloud", NEEDS_REGION)
def test_a_region_in_the_config_or_on_the_command_line_is_enough(cloud: str, tmp_path: Path) -> None:
    region = PLACES[cloud][0].partition("/")[2]
    given = PLACES[cloud][1].removeprefix(f"{cloud}: {{").removesuffix("}")
    settings = ", ".join(filter(None, [given, f"region: {region}"]))
    for config, options in (
        (f"{HASH}\n{cloud}: {{{settings}}}\n", ""),
        (full(cloud), f"--infra {cloud}/{region}"),
    ):
        assert answer(tmp_path, Case(cloud, "", "", "", config=config, options=options)).code == 0
    assert [path.name for path in (tmp_path / "infra/web").iterdir()] == [f"{cloud}-{region}"]


@pytest.mark.parametrize("cloud", [name for name in managed_clouds() if not load_cloud(name).region])
def test_a_region_that_the_cloud_does_not_need_is_not_asked_for(cloud: str, tmp_path: Path) -> None:
    assert answer(tmp_path, Case(cloud, "", "", "", config=full(cloud))).code == 0
    assert answer(tmp_path, Case(PLACES[cloud][0], "", "", "", config=full(cloud))).code == 0
    assert [path.name for path in (tmp_path / "infra/web").iterdir()] == [cloud]


@pytest.mark.parametrize("cloud", ["aws", *NEEDS_REGION])
def test_a_text_that_is_no_region_is_refused(cloud: str, tmp_path: Path) -> None:
    words = f"'no_where!' is no region of {cloud}"
    way_out = f"name it as `infra: {cloud}/REGION`"
    check(tmp_path, Case(f"{cloud}/no_where!", "region-invalid", words, way_out, config=full(cloud)))


REQUIRED = [(cloud, name) for cloud in managed_clouds() for name in load_cloud(cloud).required_settings]


@pytest.mark.parametrize(("cloud", "name"), REQUIRED)
def test_a_setting_that_is_needed_and_missing_is_told(cloud: str, name: str, tmp_path: Path) -> None:
    infra = PLACES[cloud][0]
    words = f"{cloud} needs the setting {name!r}: {load_cloud(cloud).settings[name]['description']}"
    check(tmp_path, Case(infra, "setting-missing", words, f"set `{cloud}.{name}", config=HASH))


def test_a_setting_by_cluster_is_needed_for_the_cluster(tmp_path: Path) -> None:
    config = "ibm: {security_groups: {other: r006-11111111-2222-3333-4444-555555555555}}"
    check(
        tmp_path, Case("ibm/us-south", "setting-missing", "", "set `ibm.security_groups.web`", config=config)
    )


SETTINGS = {
    "gcp": "gcp: {project: 'My Project'}",
    "oci": "oci: {compartment_id: skypilot_compartment}",
    "azure": "azure: {subscription_id: mine}",
    "ibm": "ibm: {security_groups: {web: web-sg}}",
    "kubernetes": "kubernetes: {load_balancers: many}",
    "nebius": "nebius: {project_id: 5}",
}


@pytest.mark.parametrize("cloud", SETTINGS)
def test_a_setting_of_a_wrong_form_is_told_at_its_place(cloud: str, tmp_path: Path) -> None:
    refused = answer(tmp_path, Case(PLACES[cloud][0], "", "", "", config=f"{HASH}\n{SETTINGS[cloud]}\n"))
    assert refused.code == 1 and "skyports.yaml:2:" in refused.err and not (tmp_path / "infra").exists()


@pytest.mark.parametrize("cloud", NEEDS_HASH)
def test_a_user_hash_that_is_needed_and_unknown_is_told(cloud: str, tmp_path: Path) -> None:
    case = Case(
        PLACES[cloud][0],
        "user-hash-unknown",
        "SkyPilot's user hash is needed",
        "set `user_hash` in the config or SKYPILOT_USER_ID; SkyPilot keeps it in ~/.sky/user_hash",
        config=PLACES[cloud][1],
    )
    check(tmp_path, case)


def test_a_user_hash_without_room_is_another_finding_than_one_that_is_unknown(tmp_path: Path) -> None:
    case = Case(
        PLACES["gcp"][0],
        "name-too-long",
        "has no room for 'web'",
        "choose a shorter name with --cluster",
        config=f"user_hash: {'a' * 40}\n{PLACES['gcp'][1]}\n",
        place="",
    )
    check(tmp_path, case)


@pytest.mark.parametrize("cloud", sorted(set(PLACES) - set(NEEDS_HASH)))
def test_a_user_hash_that_is_not_needed_is_not_asked_for(cloud: str, tmp_path: Path) -> None:
    assert answer(tmp_path, Case(PLACES[cloud][0], "", "", "", config=PLACES[cloud][1])).code == 0


NAMES = {
    "aws": ("c" * 250, "name-too-long", "the security group's name has 257 characters, 255 are allowed"),
    "azure": ("c" * 250, "", ""),
    "do": ("c" * 250, "name-too-long", "the firewall's name has 268 characters, 255 are"),
    "gcp": ("c" * 250, "", ""),
    "kubernetes": ("c" * 250, "", ""),
    "nebius": ("c" * 50, "name-too-long", "63 are allowed"),
    "oci": ("c" * 250, "", ""),
}


@pytest.mark.parametrize("cloud", NAMES)
def test_a_name_that_breaks_the_clouds_rules_is_refused(cloud: str, tmp_path: Path) -> None:
    """SkyPilot cuts long names where the cloud bounds them; where it does not, ours may be too long."""
    name, code, words = NAMES[cloud]
    options = f"--cluster {name}"
    case = Case(
        PLACES[cloud][0], code, words, "choose another name with --cluster", "80", full(cloud), options
    )
    if code:
        check(tmp_path, case)
    else:
        assert answer(tmp_path, case).code == 0


@pytest.mark.parametrize("name", ["a_b.c", "Web-1", "x"])
@pytest.mark.parametrize("cloud", PLACES)
def test_a_name_that_skypilot_takes_is_right_on_every_cloud(cloud: str, name: str, tmp_path: Path) -> None:
    case = Case(PLACES[cloud][0], "", "", "", config=full(cloud), options=f"--cluster {name}")
    assert answer(tmp_path, case).code == 0


@pytest.mark.parametrize("name", ["1web", "web-", "a b", "modules", "${x}", "../x"])
def test_a_name_that_skypilot_refuses_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_text("resources: {infra: aws/us-east-1, ports: 80}\n", encoding="utf-8")
    refused = call(tmp_path, "compile", "--cluster", name, "web.yaml")
    assert (
        refused.code == 1
        and "error[cluster-name]" in refused.err
        and "give one with --cluster" in refused.err
    )
    assert not (tmp_path / "infra").exists()


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    any_of = "".join(f"    - infra: {infra}\n" for infra in ("gcp", "oci", "nebius/eu-north1", "do"))
    task = f"name: web\nresources:\n  ports: 80\n  any_of:\n{any_of}run: ./serve.sh\n"
    (tmp_path / "web.yaml").write_text(task, encoding="utf-8")
    (tmp_path / "bad.yaml").write_text("resources: {prots: 80}\n", encoding="utf-8")
    with environment(HOME=str(tmp_path)):
        refused = call(tmp_path, "compile", "web.yaml", "bad.yaml", "--json")
    assert {(item["path"], item["line"], item["code"]) for item in refused.json["diagnostics"]} == {
        ("bad.yaml", 1, "unknown-key"),
        ("web.yaml", 5, "setting-missing"),
        ("web.yaml", 5, "user-hash-unknown"),
        ("web.yaml", 6, "region-missing"),
        ("web.yaml", 7, "setting-missing"),
        ("web.yaml", 7, "user-hash-unknown"),
        ("web.yaml", 8, "user-hash-unknown"),
    }
    assert refused.code == 1 and not (tmp_path / "infra").exists()
