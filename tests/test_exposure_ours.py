"""What our own stacks expose, from their rules alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from skyports_tf.compiler import CompileRequest, compile_tasks
from skyports_tf.config import Config, read_config
from skyports_tf.diagnostics import FindingsError
from skyports_tf.exposure.model import Exposure
from skyports_tf.exposure.ours import stack_exposures


def exposed(
    folder: Path, infra: str, settings: str = "", ports: str = "[8080, 9000-9005]"
) -> tuple[Exposure, ...]:
    (folder / "skyports.yaml").write_text(f"user_hash: a1b2c3d4\n{settings}", encoding="utf-8")
    task = folder / "web.yaml"
    task.write_text(f"name: web\nresources:\n  infra: {infra}\n  ports: {ports}\nrun: serve\n", "utf-8")
    config = read_config(str(folder / "skyports.yaml"))
    compilation = compile_tasks(CompileRequest(tasks=(str(task),), config=config, out=str(folder / "infra")))
    return stack_exposures([item.stack for item in compilation.stacks], config.ours)


def test_every_rule_and_ssh_of_a_stack_is_an_exposure(tmp_path: Path) -> None:
    found = exposed(
        tmp_path,
        "aws/us-east-1",
        "sources: [0.0.0.0/0, 10.0.0.0/8]\nssh_sources: [81.2.69.0/24]\nexposure: {ours: [81.2.69.0/24]}\n",
    )
    place = "module.ports.aws_vpc_security_group_ingress_rule"
    assert [(item.address, item.from_port, item.to_port, item.internet) for item in found] == [
        (f'{place}.port["tcp-8080@0.0.0.0/0"]', 8080, 8080, True),
        (f'{place}.port["tcp-8080@10.0.0.0/8"]', 8080, 8080, False),
        (f'{place}.port["tcp-9000@0.0.0.0/0"]', 9000, 9005, True),
        (f'{place}.port["tcp-9000@10.0.0.0/8"]', 9000, 9005, False),
        (f'{place}.ssh["81.2.69.0/24"]', 22, 22, False),
    ]
    assert {(item.cloud, item.stack, item.protocol, item.source_kind) for item in found} == {
        ("aws", "web-aws-us-east-1", "tcp", "cidr")
    }


def test_a_port_that_ssh_opens_anyway_is_told_once_where_it_has_no_rule_of_its_own(tmp_path: Path) -> None:
    sources = "sources: [10.0.0.0/8]\nssh_sources: [10.0.0.0/8, 192.168.0.0/16]\n"
    place = "module.ports.aws_vpc_security_group_ingress_rule"
    assert [item.address for item in exposed(tmp_path, "aws/us-east-1", sources, "[22]")] == [
        f'{place}.ssh["10.0.0.0/8"]',
        f'{place}.ssh["192.168.0.0/16"]',
    ]
    # a range is another rule
    assert f'{place}.port["tcp-22@10.0.0.0/8"]' in [
        item.address for item in exposed(tmp_path, "aws/us-east-1", sources, "[22-23]")
    ]


def test_a_cloud_that_packs_its_rules_exposes_the_same(tmp_path: Path) -> None:
    found = exposed(
        tmp_path, "gcp", "gcp: {project: my-project}\nsources: [0.0.0.0/0, '::/0', 'tag:bastion']\n"
    )
    assert {
        (item.from_port, item.to_port, item.source, item.source_kind, item.internet) for item in found
    } == {
        (first, last, *source)
        for first, last in ((8080, 8080), (9000, 9005))
        for source in (("0.0.0.0/0", "cidr", True), ("::/0", "cidr", True), ("bastion", "tag", False))
    }


def test_the_word_of_a_cloud_for_the_internet_counts(tmp_path: Path) -> None:
    found = exposed(
        tmp_path,
        "azure/eastus",
        "azure: {subscription_id: 11111111-2222-3333-4444-555555555555}\n"
        "sources: ['tag:Internet', 'tag:VirtualNetwork']\nssh_sources: []\n",
    )
    assert {(item.source, item.internet) for item in found} == {("Internet", True), ("VirtualNetwork", False)}


@pytest.mark.parametrize("block", ["pl-0123456789abcdef0", "10.0.0.0/40", "office"])
def test_ours_are_cidr_blocks(tmp_path: Path, block: str) -> None:
    path = tmp_path / "skyports.yaml"
    path.write_text(f"exposure:\n  ours: [{block}]\n", encoding="utf-8")
    with pytest.raises(FindingsError):
        read_config(str(path))


def test_nothing_is_ours_without_a_config() -> None:
    assert Config().ours == ()
