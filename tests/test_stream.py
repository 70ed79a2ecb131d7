"""Terraform's `-json` stream: what is read of it, and that nothing in it can hurt."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyports_tf.running.stream import (
    Drift,
    Event,
    Message,
    Outputs,
    PlannedChange,
    Resource,
    Step,
    Summary,
    Text,
    format_message,
    parse_event,
    record_of,
)

# as Terraform 1.11.4 writes it
RESOURCE = {
    "addr": 'module.ports.aws_vpc_security_group_ingress_rule.port["tcp-8888@0.0.0.0/0"]',
    "module": "module.ports",
    "resource": 'aws_vpc_security_group_ingress_rule.port["tcp-8888@0.0.0.0/0"]',
    "implied_provider": "aws",
    "resource_type": "aws_vpc_security_group_ingress_rule",
    "resource_name": "port",
    "resource_key": "tcp-8888@0.0.0.0/0",
}
PORT = Resource(RESOURCE["addr"], "aws_vpc_security_group_ingress_rule", "port", "tcp-8888@0.0.0.0/0")


@pytest.mark.parametrize(
    ("message", "event"),
    [
        (
            {"type": "planned_change", "change": {"resource": RESOURCE, "action": "create"}},
            PlannedChange(PORT, "create"),
        ),
        (
            {"type": "resource_drift", "change": {"resource": RESOURCE, "action": "update"}},
            Drift(PORT, "update"),
        ),
        (
            {
                "type": "apply_start",
                "@message": "Creating...",
                "hook": {"resource": RESOURCE, "action": "create"},
            },
            Step(PORT, "create", "start", "Creating..."),
        ),
        (
            {"type": "refresh_complete", "@message": "Done", "hook": {"resource": RESOURCE}},
            Step(PORT, "refresh", "complete", "Done"),
        ),
        (
            {"type": "change_summary", "changes": {"add": 7, "change": 1, "remove": 2, "operation": "plan"}},
            Summary("plan", 7, 1, 2),
        ),
        (
            {"type": "outputs", "outputs": {"rules": {"sensitive": False, "action": "update"}}},
            Outputs(actions={"rules": "update"}),
        ),
        (
            {
                "type": "outputs",
                "outputs": {"ports": {"sensitive": False, "type": "string", "value": ["80"]}},
            },
            Outputs(values={"ports": ["80"]}),
        ),
        ({"type": "version", "terraform": "1.11.4", "ui": "1.2"}, None),
        ({"type": "a type of the next version", "change": 1}, None),
    ],
)
def test_messages_become_events_and_unknown_types_nothing(message: object, event: object) -> None:
    assert parse_event(json.dumps(message)) == event


def test_a_count_index_is_a_key_too() -> None:
    event = parse_event(json.dumps({"type": "planned_change", "change": {"resource": {"resource_key": 0}}}))
    assert isinstance(event, PlannedChange)
    assert event.resource.key == "0"


@pytest.mark.parametrize("line", ["plain words", "{broken", "[1, 2]", "12", '"text"', "[" * 100_000])
def test_a_line_that_is_no_message_is_kept_as_text(line: str) -> None:
    assert parse_event(line) == Text(line)


@pytest.mark.parametrize("line", ["", "   ", "\t"])
def test_an_empty_line_is_nothing(line: str) -> None:
    assert parse_event(line) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
KINDS = [
    "planned_change", "resource_drift", "change_summary", "outputs", "diagnostic",
    "apply_start", "apply_errored", "refresh_complete",
]  # fmt: skip
PARTS = st.dictionaries(
    st.sampled_from(
        ["resource", "action", "severity", "summary", "detail", "range", "snippet", "address", "add"]
    ),
    JSON,
)
MESSAGES = st.fixed_dictionaries(
    {"type": st.sampled_from(KINDS)},
    optional=dict.fromkeys(["change", "hook", "changes", "outputs", "diagnostic", "@message"], PARTS | JSON),
)


@given(MESSAGES | JSON)
def test_no_message_whatever_its_form_is_an_error(message: object) -> None:
    event = parse_event(json.dumps(message))
    if isinstance(event, Message):
        format_message(event)
    record_of([event] if event else [])


@given(st.text())
def test_no_line_is_an_error(line: str) -> None:
    parse_event(line)


def test_a_diagnostic_keeps_terraforms_words_and_shows_the_place() -> None:
    message = {
        "type": "diagnostic",
        "diagnostic": {
            "severity": "error",
            "summary": "Invalid Attribute Value",
            "detail": "Attribute to_port value must be between -1 and 65535,\ngot: 99999999",
            "address": 'module.ports.aws_vpc_security_group_ingress_rule.port["tcp-9000@0.0.0.0/0"]',
            "range": {"filename": "../../modules/aws/main.tf", "start": {"line": 28, "column": 23}},
            "snippet": {
                "context": 'resource "aws_vpc_security_group_ingress_rule" "port"',
                "code": "  to_port = each.value.to_port",
                "start_line": 28,
                "values": [{"traversal": "each.value.to_port", "statement": "is 99999999"}],
            },
        },
    }
    event = parse_event(json.dumps(message))
    assert isinstance(event, Message)
    assert format_message(event) == (
        "Error: Invalid Attribute Value\n"
        "\n"
        '  with module.ports.aws_vpc_security_group_ingress_rule.port["tcp-9000@0.0.0.0/0"], '
        "on ../../modules/aws/main.tf line 28, "
        'in resource "aws_vpc_security_group_ingress_rule" "port":\n'
        "    28:   to_port = each.value.to_port\n"
        "        each.value.to_port is 99999999\n"
        "\n"
        "Attribute to_port value must be between -1 and 65535,\n"
        "got: 99999999"
    )


def test_of_errors_and_warnings_each_is_told_apart() -> None:
    events: list[Event] = [Message("error", "a", ""), Message("warning", "b", ""), Text("c")]
    record = record_of(events)
    assert [message.summary for message in record.errors] == ["a"]
    assert [message.summary for message in record.warnings] == ["b"]
    assert record.text == ("c",)
