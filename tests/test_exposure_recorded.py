"""Exposures of what the real Terraform told: a state, its raw file, and two plans."""

from __future__ import annotations

import json
from pathlib import Path

from skyports_tf.exposure.hcl_modules import read_module
from skyports_tf.exposure.terraform_json import View, view_of
from skyports_tf.exposure.views import Exposed, exposed

RECORDED = Path(__file__).parent / "data/exposure/recorded"
RULE = "aws_vpc_security_group_ingress_rule"
BASTION = "sg-8d3ad0635fd977a27"

STATE = {
    ("aws_security_group.bastion", "tcp", 22, "0.0.0.0/0", True),
    ("aws_security_group.bastion", "tcp", 22, BASTION, False),
    ("aws_security_group.dynamic", "tcp", 443, "10.0.0.0/8", False),
    (f"{RULE}.from_bastion", "tcp", 80, BASTION, False),
    (f'{RULE}.ssh["0.0.0.0/0"]', "tcp", 22, "0.0.0.0/0", True),
    (f'{RULE}.ssh["10.0.0.0/8"]', "tcp", 22, "10.0.0.0/8", False),
}


def recorded(name: str) -> Exposed:
    view = view_of(json.loads((RECORDED / f"{name}.json").read_text("utf-8")))
    assert view is not None
    return exposed(view)


def rows(found: Exposed) -> set[tuple[str, str, int, str, bool]]:
    return {(item.address, item.protocol, item.from_port, item.source, item.internet) for item in found.after}


def test_a_state_and_its_raw_file_tell_the_same() -> None:
    assert rows(recorded("state")) == STATE
    assert rows(recorded("raw_state")) == STATE


def test_a_plan_tells_what_opens_closes_and_stays() -> None:
    found = recorded("plan")
    assert rows(found) == STATE - {(f'{RULE}.ssh["0.0.0.0/0"]', "tcp", 22, "0.0.0.0/0", True)} | {
        (f"{RULE}.all_v6[0]", "all", 0, "::/0", True),
        ("aws_security_group.dynamic", "tcp", 8443, "10.0.0.0/8", False),
        (f"module.more[0].{RULE}.inner", "udp", 53, "module.more[0].aws_security_group.inner", False),
        (f"module.more[0].{RULE}.outer", "udp", 54, "sg-6e5135af83aebaa08", False),
    }
    assert (f'{RULE}.ssh["0.0.0.0/0"]', True) in {
        (item.address, item.internet) for item in found.before or ()
    }
    assert [(item.address, item.attribute, item.likely_empty) for item in found.untold] == [
        ("aws_security_group_rule.old[0]", "cidr_blocks", False),
        ("module.more[0].aws_security_group.inner", "ingress", True),
    ]


def test_inline_rules_that_hang_on_what_is_new_are_not_lost() -> None:
    """The parts of such blocks are not told apart in a plan's configuration."""
    found = recorded("new")
    assert ("aws_security_group.inline[0]", "tcp", 5000, "aws_security_group.new[0]", False) in rows(found)
    assert ("aws_security_group.inline_unknown[0]", "cidr_blocks") in {
        (item.address, item.attribute) for item in found.untold
    }
    assert ("aws_security_group.dynamic", "tcp", 8443, "10.0.0.0/8", False) in rows(found)


def test_the_code_tells_by_its_names_what_the_state_tells_by_its_ids() -> None:
    code = read_module(str(RECORDED / "code"))
    by_id = {row[:3] for row in STATE}
    assert {row[:3] for row in rows(exposed(View(tuple(code.resources))))} == by_id
    assert code.notes == []
