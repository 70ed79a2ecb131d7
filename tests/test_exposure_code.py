"""Exposures of .tf files: what is literal is read, what is not is told."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from skyports_tf.diagnostics import FindingsError
from skyports_tf.exposure.answers import Answer, ExposureRequest, find_exposures
from skyports_tf.exposure.hcl_expressions import evaluate, references_of
from skyports_tf.exposure.hcl_modules import read_module
from skyports_tf.exposure.values import UNKNOWN

GAP = Path(__file__).parent / "data/exposure/scanner_gap"


class Names:
    """A scope of two variables."""

    def lookup(self, steps: Sequence[str | int]) -> Any:
        known: Any = {"var": {"cidr": "0.0.0.0/0", "by": {"a": [1, 2]}, "no": False}}
        for step in steps:
            if not isinstance(known, (dict, list)) or (isinstance(known, dict) and step not in known):
                return UNKNOWN
            known = known[step] if isinstance(known, dict) else known[int(step)]
        return known


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('"a${var.cidr}b"', "a0.0.0.0/0b"),
        ('"${var.by.a}"', [1, 2]),
        ('"$${x} %%{y} \\"q\\" \\n \\u00e9"', '${x} %{y} "q" \n é'),
        ('"http://x # no comment"', "http://x # no comment"),
        ('"${"inner"}"', "inner"),
        ("[1, # one\n 2, /* two */ 3,]", [1, 2, 3]),
        ('{a = 1, "b" : "c"\n d=[]\n (var.cidr) = true}', {"a": 1, "b": "c", "d": [], "0.0.0.0/0": True}),
        ("var.by.a[1]", 2),
        ('var.by["a"].0', 1),
        ("-1", -1),
        ("1.5", 1.5),
        ("1 + 2 * 3 == 7 && !false", True),
        ('var.no ? "a" : "b"', "b"),
        ("null", None),
        ("<<EOF\nabc\nEOF", "abc\n"),
        ('toset(["b", "a", "b"])', ["b", "a"]),
        ("concat([1], var.by.a)", [1, 1, 2]),
        ('merge({a = 1}, {b = 2})["b"]', 2),
        ('flatten([[1], [2, [3]]])', [1, 2, 3]),
        ('keys({b = 1, a = 2})', ["a", "b"]),
        ('join(",", ["a", 1])', "a,1"),
        ("[var.cidr, each.value]", ["0.0.0.0/0", UNKNOWN]),
        ("aws_security_group.web.id", UNKNOWN),
        ("aws_instance.x[*].id", UNKNOWN),
        ("[for x in var.by.a : x]", UNKNOWN),
        ("{ for k, v in var.by : k => 1 }", UNKNOWN),
        ('cidrsubnet("10.0.0.0/8", 8, 1)', UNKNOWN),
        ("each.value ? 1 : 2", UNKNOWN),
        ('"a${each.value}"', UNKNOWN),
        ('join(",", ["a", each.value])', UNKNOWN),
        ("%{ if x }", UNKNOWN),
        ('"never ends', UNKNOWN),
        ("1 / 0", UNKNOWN),
        ("var.by.a[9]", UNKNOWN),
        ("", UNKNOWN),
        ("[" * 5000, UNKNOWN),
    ],
)  # fmt: skip
def test_an_expression_has_its_value_where_it_is_literal(text: str, value: Any) -> None:
    assert evaluate(text, Names()) == value


def test_references_are_found_wherever_they_stand() -> None:
    assert references_of('[aws_security_group.a["x"].id, var.b.c]') == [
        'aws_security_group.a["x"].id',
        "var.b.c",
    ]


def look(folder: Path, **files: str) -> Answer:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_tf", ".tf")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return find_exposures(ExposureRequest((str(folder),)))


def sources(answer: Answer) -> list[tuple[str, str]]:
    return [(item.address, item.source) for item in answer.after]


RULE = """\
resource "aws_vpc_security_group_ingress_rule" "a" {{
  security_group_id = "sg-1"
  ip_protocol       = "tcp"
  from_port         = 22
  to_port           = 22
  {0}
}}
"""
ADDRESS = "aws_vpc_security_group_ingress_rule.a"


def test_the_fifteen_holes_of_a_common_scanner_are_found_and_its_three_false_alarms_are_none() -> None:
    answer = find_exposures(ExposureRequest((str(GAP),)))
    reached = {
        item.address.partition("[")[0]
        for item in answer.after
        if item.internet and item.protocol in ("tcp", "all") and item.from_port <= 22 <= item.to_port
    }
    named = {item.address for item in read_module(str(GAP)).resources}
    assert reached == {address.partition("[")[0] for address in named if ".open" in address}
    assert len(reached) == 15
    assert {item.address.rpartition(".")[2] for item in answer.after} > {
        "closed_group",
        "closed_prefix_list",
        "closed_udp",
    }
    assert answer.diagnostics == ()


def test_variables_have_the_value_of_tfvars_before_their_default(tmp_path: Path) -> None:
    code = 'variable "cidr" { default = "10.0.0.0/8" }\n' + RULE.format("cidr_ipv4 = var.cidr")
    assert sources(look(tmp_path, main_tf=code)) == [(ADDRESS, "10.0.0.0/8")]
    (tmp_path / "terraform.tfvars").write_text('cidr = "0.0.0.0/0"\n', encoding="utf-8")
    assert sources(look(tmp_path)) == [(ADDRESS, "0.0.0.0/0")]
    (tmp_path / "z.auto.tfvars").write_text('cidr = "11.0.0.0/8"\n', encoding="utf-8")
    assert sources(look(tmp_path)) == [(ADDRESS, "11.0.0.0/8")]


def test_what_is_not_literal_is_told_with_its_place(tmp_path: Path) -> None:
    code = 'variable "cidr" {}\n' + RULE.format("cidr_ipv4 = var.cidr")
    answer = look(tmp_path, main_tf=code)
    assert answer.after == ()
    (told,) = answer.diagnostics
    assert (told.code, told.severity, told.span and told.span.line) == ("not-literal", "note", 2)
    assert "cidr_ipv4" in told.message


def test_for_each_and_count_over_what_is_literal_make_instances(tmp_path: Path) -> None:
    code = 'locals { from = { a = "10.0.0.0/8", b = "0.0.0.0/0" } }\n'
    code += RULE.format("for_each = local.from\n  cidr_ipv4 = each.value")
    assert sources(look(tmp_path, main_tf=code)) == [
        (f'{ADDRESS}["a"]', "10.0.0.0/8"),
        (f'{ADDRESS}["b"]', "0.0.0.0/0"),
    ]
    counted = RULE.format('count = 2\n  cidr_ipv4 = ["10.0.0.0/8", "0.0.0.0/0"][count.index]')
    assert sources(look(tmp_path, main_tf=counted)) == [
        (f"{ADDRESS}[0]", "10.0.0.0/8"),
        (f"{ADDRESS}[1]", "0.0.0.0/0"),
    ]
    none = RULE.format('count = false ? 1 : 0\n  cidr_ipv4 = "0.0.0.0/0"')
    assert sources(look(tmp_path, main_tf=none)) == []


def test_an_unknown_number_of_instances_is_one_and_told(tmp_path: Path) -> None:
    code = RULE.format('for_each = var.who\n  cidr_ipv4 = "0.0.0.0/0"')
    answer = look(tmp_path, main_tf=code)
    assert sources(answer) == [(ADDRESS, "0.0.0.0/0")]
    assert [item.code for item in answer.diagnostics] == ["not-literal"]


def test_dynamic_blocks_are_unrolled(tmp_path: Path) -> None:
    code = """\
resource "hcloud_firewall" "f" {
  dynamic "rule" {
    for_each = { ssh = 22, web = 443 }
    content {
      direction  = "in"
      protocol   = "tcp"
      port       = tostring(rule.value)
      source_ips = rule.key == "ssh" ? ["10.0.0.0/8"] : ["0.0.0.0/0"]
    }
  }
}
"""
    answer = look(tmp_path, main_tf=code)
    assert {(item.from_port, item.source) for item in answer.after} == {
        (22, "10.0.0.0/8"),
        (443, "0.0.0.0/0"),
    }
    unknown = code.replace("{ ssh = 22, web = 443 }", "var.ports")
    told = look(tmp_path, main_tf=unknown)
    assert told.after == ()
    assert [item.code for item in told.diagnostics] == ["not-literal"]


def test_modules_in_folders_are_read_with_their_arguments(tmp_path: Path) -> None:
    inner = 'variable "cidr" {}\nvariable "group" {}\n' + RULE.format(
        "cidr_ipv4 = var.cidr\n  referenced_security_group_id = var.group"
    )
    outer = """\
module "web" {
  source   = "./rules"
  for_each = toset(["0.0.0.0/0"])
  cidr     = each.key
  group    = aws_security_group.lb.id
}
module "far" {
  source = "terraform-aws-modules/security-group/aws"
}
"""
    answer = look(tmp_path, main_tf=outer, rules__main_tf=inner)
    place = f'module.web["0.0.0.0/0"].{ADDRESS}'
    assert sources(answer) == [(place, "0.0.0.0/0"), (place, "aws_security_group.lb")]
    assert [(item.code, item.span and item.span.line) for item in answer.diagnostics] == [("not-literal", 8)]


def test_a_group_and_a_rule_meet_by_a_name_that_is_written_once(tmp_path: Path) -> None:
    rule = """\
resource "azurerm_network_security_rule" "{0}" {{
  resource_group_name         = "g"
  network_security_group_name = azurerm_network_security_group.n.name
  direction = "Inbound"
  access    = "{1}"
  priority  = {2}
  protocol  = "Tcp"
  source_port_range          = "*"
  source_address_prefix      = "*"
  destination_port_range     = "22"
  destination_address_prefix = "*"
}}
"""
    group = (
        'resource "azurerm_network_security_group" "n" {\n  name = "web"\n  resource_group_name = "g"\n}\n'
    )
    code = group + rule.format("a", "Allow", 200)
    assert len(look(tmp_path, main_tf=code).after) == 2
    assert look(tmp_path, main_tf=code + rule.format("d", "Deny", 100)).after == ()


def test_code_in_json_is_read(tmp_path: Path) -> None:
    rule = {"protocol": "tcp", "direction": "in", "port": "22", "source_ips": ["0.0.0.0/0", "${var.x}"]}
    document = {
        "variable": {"x": {"default": "10.0.0.0/8"}},
        "resource": {"hcloud_firewall": {"f": {"rule": [rule]}}},
    }
    (tmp_path / "main.tf.json").write_text(json.dumps(document), encoding="utf-8")
    assert sources(look(tmp_path)) == [
        ("hcloud_firewall.f", "0.0.0.0/0"),
        ("hcloud_firewall.f", "10.0.0.0/8"),
    ]


@pytest.mark.parametrize("text", ['resource "a" {', "a = = 1\n", "resource a b c }\n", "\x00"])
def test_what_is_no_hcl_is_a_finding(tmp_path: Path, text: str) -> None:
    answer = look(tmp_path, main_tf=text)
    assert {item.code for item in answer.diagnostics} == {"code-invalid"}
    with pytest.raises(FindingsError):
        read_module(str(tmp_path))


def test_a_value_that_needs_itself_has_none(tmp_path: Path) -> None:
    code = "locals {\n  a = local.b\n  b = local.a\n}\n" + RULE.format("cidr_ipv4 = local.a")
    assert look(tmp_path, main_tf=code).after == ()


def test_a_folder_of_folders_is_read_folder_by_folder(tmp_path: Path) -> None:
    answer = look(
        tmp_path,
        a__main_tf=RULE.format('cidr_ipv4 = "0.0.0.0/0"'),
        b__main_tf=RULE.format('cidr_ipv4 = "10.0.0.0/8"'),
    )
    assert [source for _, source in sources(answer)] == ["0.0.0.0/0", "10.0.0.0/8"]
