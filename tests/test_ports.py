"""Interval algebra of ports: each operation against plain sets of numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyports_tf.ports import PortError, PortRange, PortSet, parse_port_range, parse_ports, port_tokens

# a small universe makes ranges meet, touch and overlap often
ends = st.integers(1, 40)
ranges = st.tuples(ends, ends).map(lambda pair: PortRange(min(pair), max(pair)))
port_sets = st.lists(ranges, max_size=6).map(PortSet.of)


def numbers(ports: PortSet) -> set[int]:
    return {port for item in ports for port in range(item.first, item.last + 1)}


@given(st.lists(ranges, max_size=8))
def test_a_set_holds_the_ports_of_its_ranges_in_normal_form(found: list[PortRange]) -> None:
    ports = PortSet.of(found)
    assert numbers(ports) == {port for item in found for port in range(item.first, item.last + 1)}
    gaps = [right.first - left.last for left, right in zip(ports.ranges, ports.ranges[1:], strict=False)]
    assert all(gap > 1 for gap in gaps)


@given(port_sets, port_sets)
def test_set_operations_are_those_of_sets(left: PortSet, right: PortSet) -> None:
    assert numbers(left | right) == numbers(left) | numbers(right)
    assert numbers(left & right) == numbers(left) & numbers(right)
    assert numbers(left - right) == numbers(left) - numbers(right)
    assert left.covers(right) == (numbers(left) >= numbers(right))
    assert len(left) == len(numbers(left))
    assert bool(left) == bool(numbers(left))
    assert all((port in left) == (port in numbers(left)) for port in range(1, 41))


@given(port_sets)
def test_what_a_set_is_written_as_reads_back(ports: PortSet) -> None:
    assert parse_ports(str(ports)) == ports


def test_the_cost_of_a_set_is_the_number_of_its_ranges() -> None:
    everything = parse_ports("1-65535")
    assert everything.ranges == (PortRange(1, 65535),)
    assert len((everything - parse_ports("80,443,8000-9000")).ranges) == 4


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        ("80", "80"),
        ("0080", "80"),
        ("1-65535", "1-65535"),
        ("8000-8000", "8000"),
        ("８０", "80"),
        ("٨٠-٩٠", "80-90"),
    ],
)
def test_a_token_is_read_as_skypilot_reads_it(token: str, expected: str) -> None:
    assert str(parse_port_range(token)) == expected


@pytest.mark.parametrize(
    ("token", "message"),
    [
        ("abc", "'abc' is neither a port nor a range of ports such as 8000-8010"),
        ("80-", "'80-' is neither a port nor a range of ports such as 8000-8010"),
        ("-80", "'-80' is neither a port nor a range of ports such as 8000-8010"),
        ("80-90-100", "'80-90-100' is neither a port nor a range of ports such as 8000-8010"),
        ("80 - 90", "'80 - 90' is neither a port nor a range of ports such as 8000-8010"),
        ("²", "'²' is neither a port nor a range of ports such as 8000-8010"),
        ("0", "port 0 is outside 1 to 65535"),
        ("65536", "port 65536 is outside 1 to 65535"),
        ("9" * 5000, f"port {'9' * 20}... is outside 1 to 65535"),
        ("90-80", "the range '90-80' ends before it begins"),
    ],
)
def test_a_bad_token_is_refused_in_one_sentence(token: str, message: str) -> None:
    with pytest.raises(PortError) as caught:
        parse_port_range(token)
    assert str(caught.value) == message


@pytest.mark.parametrize(("first", "last"), [(0, 80), (80, 79), (1, 65536)])
def test_no_range_leaves_the_ports(first: int, last: int) -> None:
    with pytest.raises(PortError):
        PortRange(first, last)


@given(st.text(alphabet="0123456789,- \t\u00a0x", max_size=20))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        ports = parse_ports(text)
    except PortError:
        return
    assert bool(ports) == bool(port_tokens(text))
