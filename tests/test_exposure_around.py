"""What stands around a rule: its load balancer, firewalls of machines, and what is not told."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path as File
from typing import Any

import pytest

from skyports_tf.exposure import attachments, neighbours
from skyports_tf.exposure.neighbours import given_names
from skyports_tf.exposure.resources import Resource
from skyports_tf.exposure.terraform_json import view_of
from skyports_tf.exposure.values import Path
from skyports_tf.exposure.views import Exposed, exposed
from tests.support.command_line import call
from tests.support.exposure_game import disagreements
from tests.support.plans import change, code, plan, state


def read(document: Mapping[str, Any]) -> Exposed:
    view = view_of(document)
    assert view is not None
    return exposed(view)


def told(document: Mapping[str, Any], folder: File) -> list[tuple[str, str, str]]:
    """The findings of the verb: severity, code and message."""
    (folder / "given.json").write_text(json.dumps(document), encoding="utf-8")
    answer = call(folder, "exposure", "--json", "given.json")
    assert answer.code == 0
    return [
        (item["severity"], item["code"], item["message"]) for item in json.loads(answer.out)["diagnostics"]
    ]


# -- load balancers --------------------------------------------------------------------

LISTENER = {"protocol": "TCP", "port": 22}
NETWORK = {"load_balancer_type": "network", "internal": False, "ip_address_type": "ipv4"}
NEW = {"id": True, "arn": True, "security_groups": True}


def balanced(balancer: Mapping[str, Any], reference: str = "aws_lb.a", **groups: Any) -> Mapping[str, Any]:
    """A plan that makes a load balancer and a listener of it."""
    return plan(
        change("aws_lb.a", dict(balancer), unknown=NEW),
        change("aws_lb_listener.a", LISTENER, unknown={"load_balancer_arn": True}),
        configuration=code(
            aws_lb__a={"load_balancer_type": {"constant_value": "network"}, **groups},
            aws_lb_listener__a={"load_balancer_arn": {"references": [f"{reference}.arn", reference]}},
        ),
    )


def test_a_new_load_balancer_whose_code_gives_no_group_lets_everyone_in() -> None:
    found = read(balanced(NETWORK))
    assert [(item.address, item.source, item.internet) for item in found.after] == [
        ("aws_lb_listener.a", "0.0.0.0/0", True)
    ]
    assert found.untold == ()


def test_one_with_a_new_group_is_the_matter_of_that_group() -> None:
    group = {"references": ["aws_security_group.new.id", "aws_security_group.new"]}
    found = read(balanced(NETWORK, security_groups=group))
    assert (found.after, found.untold) == ((), ())


def test_a_group_that_the_code_names_and_does_not_give_guards_nothing() -> None:
    """As of a condition that is false."""
    group = {"references": ["var.guarded", "aws_security_group.new.id", "aws_security_group.new"]}
    document = plan(
        change("aws_lb.a", {**NETWORK, "security_groups": []}, unknown={"id": True, "arn": True}),
        change("aws_lb_listener.a", LISTENER, unknown={"load_balancer_arn": True}),
        change("linode_nodebalancer_config.c", {"nodebalancer_id": 7, "port": 80, "protocol": "http"}),
        change("linode_firewall.f", {"inbound_policy": "DROP", "inbound": [], "nodebalancers": []}),
        change("linode_nodebalancer.n", {"id": "7"}),
        configuration=code(
            aws_lb__a={"security_groups": group},
            aws_lb_listener__a={"load_balancer_arn": refers("aws_lb.a", attribute="arn")},
            linode_firewall__f={"nodebalancers": refers("linode_nodebalancer.n")},
        ),
    )
    found = read(document)
    assert {item.address for item in found.after} == {"aws_lb_listener.a", "linode_nodebalancer_config.c"}
    assert found.attached == {}


def test_one_that_may_be_internal_is_told() -> None:
    unknown = plan(
        change("aws_lb.a", {**NETWORK, "internal": None, "id": "lb/1"}, unknown={"internal": True}),
        change("aws_lb_listener.a", {**LISTENER, "load_balancer_arn": "lb/1"}),
    )
    assert [item.attribute for item in read(unknown).untold] == ["internal"]


def test_a_load_balancer_that_is_elsewhere_is_told(tmp_path: File) -> None:
    listener = {**LISTENER, "load_balancer_arn": "arn:aws:elasticloadbalancing:x:1:loadbalancer/net/other/1"}
    message = "aws_lb_listener.a: what it opens hangs on its load_balancer_arn, which is not in this code"
    assert told(state({"aws_lb_listener.a": listener}), tmp_path) == [("note", "exposure-elsewhere", message)]
    assert told(state({"aws_lb_listener.a": {**listener, "protocol": "HTTPS"}}), tmp_path) == []


def test_an_instance_of_several_load_balancers_is_the_one_that_is_meant() -> None:
    balancers = {"in": {**NETWORK, "internal": True}, "out": NETWORK}
    changes = [
        item
        for key, balancer in balancers.items()
        for item in (
            change(f'aws_lb.a["{key}"]', balancer, unknown=NEW),
            change(f'aws_lb_listener.a["{key}"]', LISTENER, unknown={"load_balancer_arn": True}),
        )
    ]
    references = ["aws_lb.a", "each.key"]
    lone = ['aws_lb.a["out"].arn', 'aws_lb.a["out"]', "aws_lb.a"]
    found = read(
        plan(
            *changes,
            change("aws_lb_listener.lone", LISTENER, unknown={"load_balancer_arn": True}),
            configuration=code(
                aws_lb_listener__a={"load_balancer_arn": {"references": references}},
                aws_lb_listener__lone={"load_balancer_arn": {"references": lone}},
            ),
        )
    )
    assert [(item.address, item.source) for item in found.after] == [
        ('aws_lb_listener.a["in"]', "internal network"),
        ('aws_lb_listener.a["out"]', "0.0.0.0/0"),
        ("aws_lb_listener.lone", "0.0.0.0/0"),
    ]


def test_where_nobody_can_tell_which_is_meant_all_count() -> None:
    document = plan(
        change("aws_lb.a[0]", {**NETWORK, "internal": True}, unknown=NEW),
        change("aws_lb.a[1]", NETWORK, unknown=NEW),
        change("aws_lb_listener.a", LISTENER, unknown={"load_balancer_arn": True}),
        configuration=code(aws_lb_listener__a={"load_balancer_arn": {"references": ["aws_lb.a"]}}),
    )
    assert [item.source for item in read(document).after] == ["0.0.0.0/0", "internal network"]


def test_what_a_load_balancer_was_is_not_what_it_will_be() -> None:
    before = {**NETWORK, "id": "lb/1", "security_groups": ["sg-1"]}
    listener = {**LISTENER, "load_balancer_arn": "lb/1"}
    document = plan(
        change("aws_lb.a", {**before, "security_groups": []}, before),
        change("aws_lb_listener.a", listener, listener),
    )
    found = read(document)
    assert (found.before, [item.internet for item in found.after]) == ((), [True])


def test_a_firewall_on_one_of_several_guards_no_other() -> None:
    node = {"protocol": "http", "port": 80}
    references = ['linode_nodebalancer.n["a"].id', 'linode_nodebalancer.n["a"]', "linode_nodebalancer.n"]
    document = plan(
        *(change(f'linode_nodebalancer.n["{key}"]', {}, unknown={"id": True}) for key in "ab"),
        *(
            change(f'linode_nodebalancer_config.c["{key}"]', node, unknown={"nodebalancer_id": True})
            for key in "ab"
        ),
        change("linode_firewall_device.d", {}, unknown={"entity_id": True, "firewall_id": True}),
        configuration=code(
            linode_nodebalancer_config__c={
                "nodebalancer_id": {"references": ["linode_nodebalancer.n", "each.key"]}
            },
            linode_firewall_device__d={
                "entity_id": {"references": references},
                "firewall_id": {"references": ["linode_firewall.f.id", "linode_firewall.f"]},
            },
        ),
    )
    assert {item.address for item in read(document).after} == {'linode_nodebalancer_config.c["b"]'}


def test_the_oracle_finds_out_a_load_balancer_that_is_read_wrongly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours.Neighbours, "is_guarded", lambda *_: False)
    assert disagreements(2_000, 3)


# -- what keeps an answer from being whole ---------------------------------------------

RULE = "aws_vpc_security_group_ingress_rule"
OPEN = {"ip_protocol": "tcp", "from_port": 22, "to_port": 22, "cidr_ipv4": "0.0.0.0/0"}


def test_what_narrows_is_named_where_something_is_open(tmp_path: File) -> None:
    acl = {"id": "acl-1", "ingress": []}
    opened = state({f"{RULE}.a": OPEN, "aws_network_acl.a": acl, "aws_default_network_acl.b": acl})
    message = "aws_default_network_acl.b, aws_network_acl.a may let in less than what is told here"
    assert told(opened, tmp_path) == [("note", "exposure-narrower", message)]
    assert told(state({"aws_network_acl.a": acl}), tmp_path) == []


@pytest.mark.parametrize(("kind", "narrows"), [("NetworkPolicy", True), ("Deployment", False)])
def test_a_manifest_narrows_where_it_is_a_policy(kind: str, narrows: bool) -> None:
    document = state({"kubernetes_manifest.a": {"manifest": {"kind": kind, "spec": {}}}})
    assert bool(read(document).narrowing) is narrows


def test_an_ingress_is_not_passed_over(tmp_path: File) -> None:
    document = state({"kubernetes_ingress_v1.web": {"spec": [{}]}})
    message = "what kubernetes_ingress_v1.web opens is not known"
    assert told(document, tmp_path) == [("note", "exposure-unseen", message)]


MACHINES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "hcloud_server": ({"firewall_ids": []}, {"firewall_ids": [7]}),
    "linode_instance": ({"firewall_id": None}, {"firewall_id": 7}),
    "vultr_instance": ({"firewall_group_id": ""}, {"firewall_group_id": "f"}),
}


@pytest.mark.parametrize("kind", MACHINES)
def test_a_machine_without_a_firewall_is_named(kind: str, tmp_path: File) -> None:
    bare, guarded = MACHINES[kind]
    message = f"no firewall of this code is on {kind}.a: every port is open until one is"
    assert told(state({f"{kind}.a": bare}), tmp_path) == [("note", "exposure-bare", message)]
    assert told(state({f"{kind}.a": guarded}), tmp_path) == []


@pytest.mark.parametrize(
    ("firewall", "bare"),
    [
        ({"droplet_ids": [7]}, ()),
        ({"tags": ["web"]}, ()),
        ({"droplet_ids": [8], "tags": ["db"]}, ("digitalocean_droplet.a",)),
    ],
)
def test_a_firewall_is_on_whom_it_names(firewall: Mapping[str, Any], bare: tuple[str, ...]) -> None:
    droplet = {"id": "7", "tags": ["web"]}
    document = state({"digitalocean_droplet.a": droplet, "digitalocean_firewall.f": firewall})
    assert read(document).bare == bare


@pytest.mark.parametrize(
    ("selector", "bare"),
    [
        ("env=prod", ()),
        ("env", ()),
        ("env=test", ("hcloud_server.a",)),
        # which machines these are is not told here, so none is called bare
        ("env in (test,dev)", ()),
    ],
)
def test_labels_choose_machines_as_far_as_they_are_plain(selector: str, bare: tuple[str, ...]) -> None:
    server = {"id": "7", "labels": {"env": "prod"}, "firewall_ids": []}
    firewall = {"rule": [], "apply_to": [{"label_selector": selector, "server": 0}]}
    assert read(state({"hcloud_server.a": server, "hcloud_firewall.f": firewall})).bare == bare


DEFAULTS: dict[str, tuple[dict[str, Any], bool]] = {
    "a network that nobody took over": (
        {"oci_core_vcn.v": {"id": "v", "default_security_list_id": "l"}},
        True,
    ),
    "one that the code took over": (
        {
            "oci_core_vcn.v": {"id": "v", "default_security_list_id": "l"},
            "oci_core_default_security_list.l": {
                "manage_default_resource_id": "l",
                "ingress_security_rules": [],
            },
        },
        False,
    ),
    "another one": (
        {
            "oci_core_vcn.v": {"id": "v", "default_security_list_id": "l"},
            "oci_core_default_security_list.l": {
                "manage_default_resource_id": "m",
                "ingress_security_rules": [],
            },
        },
        True,
    ),
    "the cloud's network": (
        {
            "google_compute_instance.i": {
                "network_interface": [{"network": "projects/p/global/networks/default"}]
            }
        },
        True,
    ),
    "one of the user": ({"google_compute_instance.i": {"network_interface": [{"network": "mine"}]}}, False),
    "no group": ({"scaleway_instance_server.s": {"security_group_id": None}}, True),
    "a group": ({"scaleway_instance_server.s": {"security_group_id": "g"}}, False),
}


@pytest.mark.parametrize("name", DEFAULTS)
def test_rules_that_a_cloud_has_of_its_own_are_told(name: str, tmp_path: File) -> None:
    resources, counts = DEFAULTS[name]
    found = [code for _, code, _ in told(state(resources), tmp_path)]
    assert found == ["exposure-default"] * counts


def test_a_new_network_is_taken_over_by_its_place_in_the_code() -> None:
    vcn = refers("oci_core_vcn.v", attribute="default_security_list_id")
    made = [
        change("oci_core_vcn.v", {}, unknown={"id": True, "default_security_list_id": True}),
        change("oci_core_default_security_list.l", {}, unknown={"manage_default_resource_id": True}),
    ]
    known = code(oci_core_default_security_list__l={"manage_default_resource_id": vcn})
    assert [address for address, _ in read(plan(made[0])).defaults] == ["oci_core_vcn.v"]
    assert read(plan(*made, configuration=known)).defaults == ()


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"complete": False}, "it is not complete, as with -target"),
        ({"errored": True}, "it ended with an error"),
        (
            {"deferred_changes": [{"resource_change": change(f"{RULE}.b", OPEN)}]},
            f"it puts off {RULE}.b",
        ),
    ],
)
def test_a_plan_of_a_part_of_the_code_says_so(more: Mapping[str, Any], reason: str, tmp_path: File) -> None:
    message = f"the plan does not hold all of the code: {reason}"
    document = {**plan(change(f"{RULE}.a", OPEN)), **more}
    assert told(document, tmp_path) == [("warning", "exposure-partial", message)]
    assert told({**document, "complete": True, "errored": False, "deferred_changes": []}, tmp_path) == []


# -- who is meant ----------------------------------------------------------------------


def refers(*addresses: str, attribute: str = "id") -> dict[str, Any]:
    """An expression that names resources, as a plan's configuration has it."""
    return {"references": [text for place in addresses for text in (f"{place}.{attribute}", place)]}


def test_all_new_groups_that_a_rule_names_are_told() -> None:
    rule = {"type": "ingress", "protocol": "tcp", "from_port": 22, "to_port": 22, "prefix_list_ids": []}
    inline = {"protocol": "tcp", "from_port": 22, "to_port": 22}
    groups = refers("aws_security_group.a", "aws_security_group.b")
    document = plan(
        change(
            "aws_security_group.g", {"ingress": [inline]}, unknown={"ingress": [{"security_groups": True}]}
        ),
        change("aws_security_group_rule.r", rule, unknown={"source_security_group_id": True}),
        configuration=code(
            aws_security_group__g={"ingress": [{"security_groups": groups}]},
            aws_security_group_rule__r={"source_security_group_id": refers("aws_security_group.b[0]")},
        ),
    )
    assert [(item.address, item.source) for item in read(document).after] == [
        ("aws_security_group.g", "aws_security_group.a"),
        ("aws_security_group.g", "aws_security_group.b"),
        ("aws_security_group_rule.r", "aws_security_group.b[0]"),
    ]


def test_a_text_that_names_a_new_group_is_that_group() -> None:
    kind, group = "oci_core_network_security_group_security_rule", "oci_core_network_security_group.n"
    rule = {"direction": "INGRESS", "protocol": "6"}
    document = plan(
        change(f"{kind}.a", rule, unknown={"source": True}),
        change(f"{kind}.b", rule, unknown={"source": True}),
        configuration={
            "resources": [
                {"address": f"{kind}.a", "expressions": {"source": refers(group)}},
                {"address": f"{kind}.b", "expressions": {"source": refers("oci_core_subnet.s")}},
            ]
        },
    )
    found = read(document)
    assert [(item.address, item.source, item.source_kind) for item in found.after] == [
        (f"{kind}.a", group, "group")
    ]
    assert [item.address for item in found.untold] == [f"{kind}.b"]


def test_a_group_inside_an_attribute_is_attached() -> None:
    """Of attributes with parts a plan's configuration tells one expression."""
    group = "nebius_vpc_v1_security_group.g"
    rule = {"access": "ALLOW", "protocol": "TCP", "ingress": {"source_cidrs": ["0.0.0.0/0"]}}
    parts = {"network_interfaces": [{"security_groups": [{"id": True}]}]}
    document = plan(
        change(group, {"name": "g"}, unknown={"id": True}),
        change("nebius_vpc_v1_security_rule.r", rule, unknown={"parent_id": True}),
        change("nebius_compute_v1_instance.i", {"network_interfaces": [{}]}, unknown=parts),
        configuration=code(
            nebius_vpc_v1_security_rule__r={"parent_id": refers(group)},
            nebius_compute_v1_instance__i={"network_interfaces": refers("nebius_vpc_v1_subnet.s", group)},
        ),
    )
    assert read(document).attached == {"nebius_vpc_v1_security_rule.r": ("nebius_compute_v1_instance.i",)}


def test_a_new_mark_is_one_by_its_place_in_the_code() -> None:
    tag = refers("digitalocean_tag.t")
    document = plan(
        change("digitalocean_droplet.a", {}, unknown={"id": True, "tags": True}),
        change("digitalocean_droplet.b", {}, unknown={"id": True}),
        change("digitalocean_firewall.f", {"inbound_rule": []}, unknown={"tags": True}),
        configuration=code(digitalocean_droplet__a={"tags": tag}, digitalocean_firewall__f={"tags": tag}),
    )
    assert read(document).bare == ("digitalocean_droplet.b",)


ATTACHED: dict[str, tuple[dict[str, Any], str]] = {
    "ibm_is_instance": (
        {"primary_network_interface": [{"security_groups": ["g"]}]},
        "ibm_is_security_group_rule",
    ),
    "oci_core_instance": (
        {"create_vnic_details": [{"nsg_ids": ["g"]}]},
        "oci_core_network_security_group_security_rule",
    ),
    "openstack_networking_port_v2": ({"security_group_ids": ["g"]}, "openstack_networking_secgroup_rule_v2"),
    "vultr_instance": ({"firewall_group_id": "g"}, "vultr_firewall_rule"),
    "linode_instance": ({"firewall_id": "g"}, "linode_firewall"),
    "hcloud_server": ({"firewall_ids": ["g"]}, "hcloud_firewall"),
    "scaleway_instance_server": ({"security_group_id": "g"}, "scaleway_instance_security_group"),
    "oci_core_subnet": ({"security_list_ids": ["g"]}, "oci_core_security_list"),
}
GROUPS = {
    "ibm": "group",
    "oci": "network_security_group_id",
    "openstack": "security_group_id",
    "vultr": "firewall_group_id",
}


@pytest.mark.parametrize("kind", ATTACHED)
def test_groups_are_followed_on_every_provider(kind: str) -> None:
    values, rules = ATTACHED[kind]
    holder = {"id": "g"} if "rule" not in rules else {GROUPS[kind.partition("_")[0]]: "g"}
    assert read(state({f"{kind}.a": values, f"{rules}.r": holder})).attached == {f"{rules}.r": (f"{kind}.a",)}


def test_what_is_looked_up_grows_with_the_plan_and_not_with_its_square(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked: list[str] = []

    def named(resource: Resource, path: Path) -> Iterator[str]:
        looked.append(resource.address)
        return given_names(resource, path)

    for module in (attachments, neighbours):
        monkeypatch.setattr(module, "given_names", named)

    def looks(count: int) -> int:
        looked.clear()
        resources: dict[str, Mapping[str, Any]] = {}
        for place in range(count):
            resources[f"aws_security_group.g{place}"] = {"id": f"sg-{place}", "ingress": []}
            resources[f"{RULE}.r{place}"] = {**OPEN, "security_group_id": f"sg-{place}"}
            resources[f"aws_instance.i{place}"] = {"vpc_security_group_ids": [f"sg-{place}"]}
            resources[f"aws_lb.l{place}"] = {**NETWORK, "id": f"lb/{place}"}
            resources[f"aws_lb_listener.l{place}"] = {**LISTENER, "load_balancer_arn": f"lb/{place}"}
        found = read(state(resources))
        assert (len(found.after), len(found.attached)) == (2 * count, 2 * count)
        return len(looked)

    assert looks(40) < 2.1 * looks(20)


def test_a_value_that_is_new_is_one_all_the_same() -> None:
    """Whatever it will be: the rule is for it, and not for those whom a rule without it is for."""
    rule = {"protocol": "tcp", "port": "443", "subnet": "0.0.0.0", "subnet_size": 0}
    document = plan(
        change("vultr_firewall_rule.r", rule, unknown={"source": True}),
        configuration=code(vultr_firewall_rule__r={"source": refers("vultr_load_balancer.l")}),
    )
    found = read(document)
    assert [(item.source, item.source_kind, item.internet) for item in found.after] == [
        ("vultr_load_balancer.l", "tag", False)
    ]
    assert found.untold == ()
