"""Who may reach a port: the texts that name a source, and those that name none."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyports_tf.sources import Source, SourceError, parse_source


@pytest.mark.parametrize(
    ("text", "kind", "normal"),
    [
        ("0.0.0.0/0", "ipv4", "0.0.0.0/0"),
        ("203.0.113.7", "ipv4", "203.0.113.7/32"),
        ("10.0.0.5/8", "ipv4", "10.0.0.0/8"),
        ("::/0", "ipv6", "::/0"),
        ("2001:DB8::1/32", "ipv6", "2001:db8::/32"),
        ("2001:db8:0:0:0:0:0:1", "ipv6", "2001:db8::1/128"),
        ("pl-0123456789abcdef0", "prefix_list", "pl-0123456789abcdef0"),
        ("sg-01234567", "group", "sg-01234567"),
        ("tag:web", "tag", "tag:web"),
    ],
)
def test_a_source_has_one_normal_form(text: str, kind: str, normal: str) -> None:
    source = parse_source(text)
    assert (source.kind, source.text, str(source)) == (kind, normal, normal)
    assert parse_source(normal) == source


@pytest.mark.parametrize(
    "text",
    [
        "",
        "internet",
        "10.0.0.0/33",
        "10.0.0.0/255.0.0.0",
        "010.0.0.1",
        "10.0.0",
        "fe80::1%eth0",
        "::/129",
        " 10.0.0.0/8",
        "10.0.0.0/8\n",
        "sg-XYZ",
        "pl-123",
        "tag:",
        "tag:-a",
        "tag:a b",
        "::ffff:10.0.0.1",
        '10.0.0.0/8"',
        "${var.cidr}",
        "１０.0.0.0/8",
    ],
)
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(SourceError):
        parse_source(text)


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)), st.integers(0, 32))
def test_a_block_is_its_network(address: ipaddress.IPv4Address | ipaddress.IPv6Address, length: int) -> None:
    block = ipaddress.ip_network(f"{address}/{length}", strict=False)
    if isinstance(block, ipaddress.IPv6Network) and block.network_address.ipv4_mapped is not None:
        return
    assert parse_source(f"{address}/{length}").text == str(block)


def test_sources_sort_by_family_then_number_then_width() -> None:
    texts = [
        "tag:b",
        "sg-01234567",
        "pl-01234567",
        "::/0",
        "203.0.113.0/24",
        "10.0.0.0/16",
        "10.0.0.0/8",
        "9.0.0.0/8",
    ]
    ordered = sorted(map(parse_source, texts), key=lambda source: source.sort_key)
    assert [str(source) for source in ordered] == [
        "9.0.0.0/8",
        "10.0.0.0/8",
        "10.0.0.0/16",
        "203.0.113.0/24",
        "::/0",
        "pl-01234567",
        "sg-01234567",
        "tag:b",
    ]


def test_only_the_whole_of_a_family_is_the_internet() -> None:
    texts = ["0.0.0.0/0", "::/0", "0.0.0.0/1", "10.0.0.0/8", "tag:internet"]
    assert [parse_source(text).is_internet for text in texts] == [True, True, False, False, False]
    assert Source("ipv4", "0.0.0.0/0").is_internet
