"""Every cloud and every example with the real Terraform: whole lives of clusters.

AWS has the real provider and a local AWS; the other clouds are played by the schema provider.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from skyports_tf.clouds import managed_clouds
from skyports_tf.model import Stack
from skyports_tf.outcomes import StackPlan
from tests.support.examples import NAMES, Example, ports_of, widened, without_the_first
from tests.support.life import (
    MATRIX,
    Life,
    Open,
    asked,
    life_on,
    lose_port,
    opened_and_closed,
    reach,
    spoken,
    use_resident,
)
from tests.support.local_aws import MotoServer, ec2
from tests.support.project import Project
from tests.support.resident import installed_provider

ONE, TWO = "203.0.113.0/24", "198.51.100.0/24"


def test_every_cloud_is_in_the_matrix() -> None:
    assert set(MATRIX) == set(managed_clouds()) - {"aws"}


# -- each cloud: Terraform starts the provider as it always does ---------------------------


@pytest.fixture(params=MATRIX)
def plain_life(
    request: pytest.FixtureRequest, tmp_path: Path, mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> Life:
    return life_on(request.param, tmp_path, mirror, monkeypatch, resident=False)


def test_a_cluster_lives_its_whole_life(plain_life: Life) -> None:
    life = plain_life

    def compiled(ports: str, *sources: str) -> Stack:
        return life.compile(ports, sources=sources or (ONE,))

    first = life.plan(compiled("[8000-8003, 9000]"))
    assert reach(first.changes.open) == {("tcp", port, ONE) for port in (8000, 8001, 8002, 8003, 9000)}
    assert spoken(life.apply(first).rules) == {("tcp", 8000, 8003, ONE), ("tcp", 9000, 9000, ONE)}

    again = life.plan(compiled("[8000-8003, 9000]"))
    assert is_empty(again)

    wider = life.plan(compiled("[8000-8004, 9000]"))
    if life.facts.get("in_place", True):
        assert (wider.counts.create, wider.counts.delete) == (0, 0)
    assert opened_and_closed(wider.changes) == ({("tcp", 8004, ONE)}, set())
    life.apply(wider)

    fewer = life.plan(compiled("8000-8004"))
    assert opened_and_closed(fewer.changes) == (set(), {("tcp", 9000, ONE)})
    life.apply(fewer)

    stack = compiled("8000-8004", ONE, TWO)
    more = life.plan(stack)
    assert opened_and_closed(more.changes) == ({("tcp", port, TWO) for port in range(8000, 8005)}, set())
    life.apply(more)
    assert spoken(life.status(stack).rules) == {("tcp", 8000, 8004, ONE), ("tcp", 8000, 8004, TWO)}

    lose_port(life, 8000)
    drifted = life.plan(stack)
    assert drifted.counts.create >= 1 and drifted.changes.open
    life.apply(drifted)
    assert is_empty(life.plan(stack))

    assert life.close(stack)
    assert life.cloud.objects() == {}
    assert life.status(stack).state == "closed"


def test_a_misspelt_argument_is_refused(plain_life: Life) -> None:
    ((right, wrong),) = plain_life.facts["misspelt"].items()
    stack = plain_life.compile("8000")
    init(plain_life, stack)
    refuses_a_misspelling(plain_life, stack, right, wrong)


def refuses_a_misspelling(life: Life, stack: Stack, right: str, wrong: str) -> None:
    module = life.project.folder / "infra" / "modules" / stack.cloud / "main.tf"
    text = module.read_text(encoding="utf-8")
    assert life.terraform(stack, "validate").returncode == 0
    assert right in text
    module.write_text(text.replace(right, wrong), encoding="utf-8")
    refused = life.terraform(stack, "validate")
    assert refused.returncode == 1 and wrong.strip() in refused.stderr


def is_empty(plan: StackPlan) -> bool:
    """Whether there is nothing to do, in ports, resources and outputs."""
    return not plan.counts.any and plan.changes == type(plan.changes)() and not plan.outputs_changed


# -- each cloud and example: one provider process a test -----------------------------------


def init(life: Life, stack: Stack) -> None:
    """`terraform init`: the provider of the cloud is there after it, and no other."""
    done = life.terraform(stack, "init", "-input=false")
    assert done.returncode == 0, done.stderr
    assert installed_provider(life.folder(stack)).exists()


def begin(life: Life, stack: Stack) -> None:
    """Validate, plan, apply; then a second plan is empty."""
    valid = life.terraform(stack, "validate")
    assert valid.returncode == 0, valid.stderr
    life.launch(stack)
    changed(life, stack, set())
    assert is_empty(life.plan(stack))


def changed(life: Life, stack: Stack, there: set[Open]) -> StackPlan:
    """Plan and apply: exactly what is asked for and not `there` opens, and the reverse closes."""
    wanted = asked(stack)
    assert wanted != there
    plan = life.plan(stack)
    assert opened_and_closed(plan.changes) == (wanted - there, there - wanted)
    assert reach(life.apply(plan).rules) == wanted
    return plan


def end(life: Life, stack: Stack) -> None:
    """Destroy: nothing is left in the state, and nothing in the cloud."""
    assert life.close(stack)
    assert life.cloud.objects() == {}
    assert life.status(stack).state == "closed"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("cloud", MATRIX)
def test_an_example_lives_its_whole_life(
    cloud: str, name: str, tmp_path: Path, mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    life = life_on(cloud, tmp_path, mirror, monkeypatch, resident=False)
    example = Example(life, cloud, name)
    example.write()
    stacks = example.compile(ONE)
    assert stacks.keys() == example.clusters()
    for stack in stacks.values():
        init(life, stack)
    use_resident(life.cloud, monkeypatch)
    for cluster in stacks:
        example.write()
        stack = example.compile(ONE)[cluster]
        begin(life, stack)
        edit_and_drift(life, example, stack)


def edit_and_drift(life: Life, example: Example, stack: Stack) -> None:
    """A widened range, a new source, a dropped port, an object that vanished; one after the other."""
    cluster, ports = stack.cluster, ports_of(stack)

    def edited(*sources: str) -> Stack:
        example.edit({cluster: ports})
        return example.compile(*sources)[cluster]

    ports, there = widened(ports), asked(stack)
    stack = edited(ONE)
    wider = changed(life, stack, there)
    if life.facts.get("in_place", True):
        assert (wider.counts.create, wider.counts.delete) == (0, 0)

    there = asked(stack)
    stack = edited(ONE, TWO)
    changed(life, stack, there)

    ports, there = without_the_first(ports), asked(stack)
    stack = edited(ONE, TWO)
    changed(life, stack, there)

    lose_port(life, max(ports).first)
    drifted = life.plan(stack)
    opened, closed = opened_and_closed(drifted.changes)
    assert opened and opened <= asked(stack) and not closed
    assert drifted.counts.create >= 1
    assert reach(life.apply(drifted).rules) == asked(stack)
    assert is_empty(life.plan(stack))
    end(life, stack)


# -- AWS: a command costs seconds, so edits share plans that tell them apart -----------------


@dataclass(frozen=True)
class LocalAws:
    """What of ours is in the local AWS, in the way of a `SchemaCloud`; in one region."""

    url: str
    region: str

    def objects(self, kind: str | None = None) -> dict[str, list[dict[str, Any]]]:
        client = ec2(self.url, self.region)
        groups = [
            {**group, "id": group["GroupId"]}
            for group in client.describe_security_groups()["SecurityGroups"]
            if group["GroupName"] != "default"
        ]
        rules = [
            {**rule, "id": rule["SecurityGroupRuleId"]}
            for rule in client.describe_security_group_rules()["SecurityGroupRules"]
            if rule["GroupId"] in {group["id"] for group in groups}
        ]
        found = {"aws_security_group": groups, "aws_vpc_security_group_ingress_rule": rules}
        return {name: items for name, items in found.items() if items and kind in (None, name)}

    def delete(self, kind: str, identifier: str) -> None:
        (rule,) = (item for item in self.objects(kind)[kind] if item["id"] == identifier)
        ec2(self.url, self.region).revoke_security_group_ingress(
            GroupId=rule["GroupId"], SecurityGroupRuleIds=[identifier]
        )


def life_on_aws(aws: MotoServer, folder: Path, region: str = "us-east-1") -> Life:
    project = Project(folder)
    # an example that may run elsewhere needs the settings of the other places
    project.config("user_hash: a1b2c3d4\ngcp: {project: my-project}\n")
    facts = {"port_resource": "aws_vpc_security_group_ingress_rule"}
    return Life(project, LocalAws(aws.url, region), None, facts)


@pytest.mark.own_provider
@pytest.mark.parametrize("name", NAMES)
def test_an_example_lives_its_whole_life_on_aws(
    name: str,
    aws: MotoServer,
    aws_provider: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    example = Example(life_on_aws(aws, tmp_path), "aws", name)
    example.write()
    stacks = example.compile(ONE)
    assert stacks.keys() == example.clusters()
    for stack in stacks.values():
        init(example.life, stack)
    for variable, value in aws_provider.items():
        monkeypatch.setenv(variable, value)
    for cluster, stack in stacks.items():
        life = life_on_aws(aws, tmp_path, stack.region or "")
        example.write()
        stack = example.compile(ONE)[cluster]
        begin(life, stack)
        edit_and_drift_at_once(life, example, stack)


def edit_and_drift_at_once(life: Life, example: Example, stack: Stack) -> None:
    """A widened range and a new source in one plan, a dropped port and a rule that vanished in the next."""
    cluster = stack.cluster
    ports, there = widened(ports_of(stack)), asked(stack)
    example.edit({cluster: ports})
    stack = example.compile(ONE, TWO)[cluster]
    wider = changed(life, stack, there)
    # the range is widened in its place; what the new source may reach is new
    assert (wider.counts.update, wider.counts.create, wider.counts.delete) == (1, len([*ports]), 0)

    ports, there = without_the_first(ports), asked(stack)
    lost = lose_port(life, max(ports).last)
    there -= {("tcp", port, lost["CidrIpv4"]) for port in range(lost["FromPort"], lost["ToPort"] + 1)}
    example.edit({cluster: ports})
    stack = example.compile(ONE, TWO)[cluster]
    repaired = changed(life, stack, there)
    assert repaired.counts.create >= 1
    end(life, stack)


@pytest.mark.own_provider
def test_a_misspelt_argument_is_refused_on_aws(
    aws: MotoServer, aws_provider: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    life = life_on_aws(aws, tmp_path)
    stack = life.project.compile(life.project.task("8000")).stacks[0].stack
    init(life, stack)
    for variable, value in aws_provider.items():
        monkeypatch.setenv(variable, value)
    refuses_a_misspelling(life, stack, "ip_protocol ", "ip_protocols ")
