"""`exposure` on the command line: what it reads, what it answers, its exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from skyports_tf.exposure.model import Exposure
from skyports_tf.exposure.questions import QuestionError, parse_question
from tests.support.command_line import Answer, call, valid
from tests.support.plans import change, plan, state

RULE = "aws_vpc_security_group_ingress_rule"
OPEN = {"ip_protocol": "tcp", "from_port": 22, "to_port": 22, "cidr_ipv4": "0.0.0.0/0"}
PRIVATE = {**OPEN, "cidr_ipv4": "10.0.0.0/8"}
KEYS = ["address", "cloud", "stack", "protocol", "from_port", "to_port", "source", "source_kind", "internet"]
TASK = "name: web\nresources:\n  infra: aws/us-east-1\n  ports: [{0}]\nrun: serve\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    documents = {
        "plan.json": plan(change(f'{RULE}.web["a"]', OPEN), change(f"{RULE}.old", None, PRIVATE)),
        "state.json": state({f"{RULE}.a": PRIVATE}),
        "unknown.json": plan(change(f"{RULE}.a", PRIVATE, unknown={"cidr_ipv6": True})),
    }
    for name, document in documents.items():
        (tmp_path / name).write_text(json.dumps(document), encoding="utf-8")
    (tmp_path / "skyports.yaml").write_text("ssh_sources: []\nuser_hash: a1b2c3d4\n", encoding="utf-8")
    (tmp_path / "web.yaml").write_text(TASK.format(8080), encoding="utf-8")
    return tmp_path


def document(answer: Answer) -> Any:
    return valid("exposure", answer.json)


def test_json_has_the_keys_of_the_contract(folder: Path) -> None:
    answer = call(folder, "exposure", "plan.json", "--json")
    assert answer.code == 0
    found = document(answer)
    assert found["version"] == 1
    assert [list(item) for item in found["exposures"]] == [KEYS]
    assert found["exposures"] == [
        {
            "address": f'{RULE}.web["a"]',
            "cloud": "aws",
            "stack": None,
            "protocol": "tcp",
            "from_port": 22,
            "to_port": 22,
            "source": "0.0.0.0/0",
            "source_kind": "cidr",
            "internet": True,
        }
    ]
    assert [item["address"] for item in found["before"]] == [f"{RULE}.old"]


def test_text_marks_the_internet_what_opens_and_what_closes(folder: Path) -> None:
    answer = call(folder, "exposure", "plan.json")
    assert answer.out == (
        "   who                  what    through\n"
        '+  INTERNET  0.0.0.0/0  tcp 22  aws_vpc_security_group_ingress_rule.web["a"]\n'
        "-  10.0.0.0/8           tcp 22  aws_vpc_security_group_ingress_rule.old\n"
        "\n"
        "1 exposure, 1 to the internet; 1 new, 1 closing\n"
    )


@pytest.mark.parametrize(
    ("asked", "code", "listed"),
    [("tcp/22", 1, 1), ("22", 1, 1), ("all", 1, 1), ("tcp/20-30", 1, 1), ("tcp/23", 0, 0), ("udp/22", 0, 0)],
)
def test_asking_lists_what_opens_the_port_and_fails_where_the_internet_reaches_it(
    folder: Path, asked: str, code: int, listed: int
) -> None:
    answer = call(folder, "exposure", "plan.json", "--asks", asked, "--json")
    assert (answer.code, len(document(answer)["exposures"])) == (code, listed)
    assert ("internet-reaches" in answer.err) == bool(code)


def test_what_is_open_to_others_than_the_internet_is_listed_without_failing(folder: Path) -> None:
    answer = call(folder, "exposure", "state.json", "--asks", "tcp/22")
    assert answer.code == 0
    assert "10.0.0.0/8" in answer.out


def test_ours_are_named_in_the_config(folder: Path) -> None:
    (folder / "skyports.yaml").write_text("exposure: {ours: [0.0.0.0/0]}\n", encoding="utf-8")
    assert call(folder, "exposure", "plan.json", "--asks", "tcp/22").code == 0


def test_what_is_not_known_yet_is_told(folder: Path) -> None:
    answer = call(folder, "exposure", "unknown.json", "--json")
    assert answer.code == 0
    assert [item["code"] for item in document(answer)["diagnostics"]] == ["exposure-unknown"]
    assert "warning[exposure-unknown]" in answer.err


@pytest.mark.parametrize("bad", ["ssh", "tcp/", "tcp/99999", "tcp/30-20", "icmp/8", "tcp/22;udp", ""])
def test_a_wrong_question_is_wrong_usage(folder: Path, bad: str) -> None:
    answer = call(folder, "exposure", "plan.json", "--asks", bad)
    if bad == "ssh":  # a protocol, though one that nobody has
        assert answer.code == 0
    else:
        assert answer.code == 2


def test_a_question_is_about_its_protocol_and_any_of_its_ports() -> None:
    def opened(protocol: str, first: int, last: int) -> Exposure:
        return Exposure("a", "c", None, protocol, first, last, "::/0", "cidr", True)

    assert parse_question("tcp/22,80-90").is_opened_by(opened("tcp", 85, 100))
    assert parse_question("TCP/22").is_opened_by(opened("all", 0, 65535))
    assert parse_question("icmp").is_opened_by(opened("icmp", 0, 65535))
    assert parse_question("udp/53").is_opened_by(opened("all", 53, 53))
    assert not parse_question("icmp").is_opened_by(opened("all", 53, 53))
    assert parse_question("all").is_opened_by(opened("50", 0, 65535))
    assert parse_question("tcp").is_opened_by(opened("tcp", 1, 1))
    assert not parse_question("udp").is_opened_by(opened("tcp", 1, 65535))
    assert not parse_question("tcp/22").is_opened_by(opened("other", 0, 65535))
    with pytest.raises(QuestionError):
        parse_question("22/tcp")


def test_standard_input_is_read_for_a_hyphen(folder: Path) -> None:
    text = (folder / "plan.json").read_text("utf-8")
    answer = call(folder, "exposure", "-", "--json", answer=text)
    assert [item["source"] for item in document(answer)["exposures"]] == ["0.0.0.0/0"]
    assert call(folder, "exposure", "-", answer="nothing").code == 1


def test_a_task_is_compiled_in_memory_and_held_against_the_tree(folder: Path) -> None:
    assert call(folder, "compile", "web.yaml").code == 0
    (folder / "web.yaml").write_text(TASK.format("8080, 9000"), encoding="utf-8")
    answer = call(folder, "exposure", "web.yaml", "--json")
    assert answer.code == 0
    found = document(answer)
    assert [item["from_port"] for item in found["exposures"]] == [8080, 9000]
    assert [item["from_port"] for item in found["before"]] == [8080]
    assert {item["stack"] for item in found["exposures"]} == {"web-aws-us-east-1"}
    assert found["exposures"][0]["address"] == f'module.ports.{RULE}.port["tcp-8080@0.0.0.0/0"]'
    assert "9000" not in (folder / "infra/web/aws-us-east-1/main.tf").read_text("utf-8")


def test_stacks_are_found_by_name_and_by_folder_and_all_without_any(folder: Path) -> None:
    call(folder, "compile", "web.yaml")
    calls = [(), ("web",), ("web/aws-us-east-1",), ("infra",), ("infra/web",), ("infra/web/aws-us-east-1",)]
    for names in calls:
        answer = call(folder, "exposure", *names, "--json")
        assert [item["from_port"] for item in document(answer)["exposures"]] == [8080], names
        assert document(answer)["before"] is None


def test_several_are_told_together_and_what_cannot_be_read_beside_them(folder: Path) -> None:
    (folder / "broken.json").write_text('{"resource_changes": ', encoding="utf-8")
    (folder / "list.json").write_text("[1]", encoding="utf-8")
    (folder / "odd.json").write_text('{"resource_changes": [1]}', encoding="utf-8")
    (folder / "saved").write_bytes(b"PK\x03\x04abc")
    names = ("plan.json", "broken.json", "list.json", "odd.json", "saved", "nobody", "state.json")
    answer = call(folder, "exposure", *names, "--json")
    found = document(answer)
    assert answer.code == 1
    assert len(found["exposures"]) == 2
    codes = sorted(item["code"] for item in found["diagnostics"])
    assert codes == ["cluster-unknown", *["exposure-input"] * 4]
    assert "terraform show -json saved" in answer.err
    assert "Traceback" not in answer.err


def test_a_wrong_task_is_told_as_compile_tells_it(folder: Path) -> None:
    (folder / "web.yaml").write_text("resources: {prots: 1}\n", encoding="utf-8")
    answer = call(folder, "exposure", "web.yaml", "--json")
    assert answer.code == 1
    assert [item["code"] for item in document(answer)["diagnostics"]] == ["unknown-key"]
    # nothing was read, which is not to say that nothing is exposed
    assert call(folder, "exposure", "web.yaml").out == ""


def test_windows_spelling_of_a_redirected_plan_is_read(folder: Path) -> None:
    text = (folder / "plan.json").read_text("utf-8")
    (folder / "plan16.json").write_bytes(text.encode("utf-16"))
    assert len(document(call(folder, "exposure", "plan16.json", "--json"))["exposures"]) == 1


def test_nothing_exposed_is_said(folder: Path) -> None:
    (folder / "empty.json").write_text(json.dumps(plan()), encoding="utf-8")
    assert call(folder, "exposure", "empty.json").out == "nothing is exposed\n"


def test_ports_of_every_protocol_are_told_as_what_they_are(folder: Path) -> None:
    rule = {
        "direction": "Inbound",
        "access": "Allow",
        "priority": 100,
        "protocol": "*",
        "destination_port_ranges": ["443", "8000-8100"],
        "source_address_prefix": "Internet",
    }
    plan_of = plan(change("azurerm_network_security_rule.a", rule))
    (folder / "any.json").write_text(json.dumps(plan_of), encoding="utf-8")
    answer = call(folder, "exposure", "any.json")
    assert "tcp, udp 443 " in answer.out
    assert "tcp, udp 8000-8100 " in answer.out
    assert call(folder, "exposure", "any.json", "--asks", "udp/8080").code == 1
    assert call(folder, "exposure", "any.json", "--asks", "icmp").code == 0
