"""Sets of ports and addresses against one-by-one membership, and what counts as the internet."""

from __future__ import annotations

import ipaddress
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyports_tf.exposure.addresses import AddressError, AddressSet, block_of, is_internet, public_addresses
from skyports_tf.exposure.intervals import IntervalSet

SMALL = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)).map(lambda pair: tuple(sorted(pair))))


def numbers(pairs: list[tuple[int, int]]) -> set[int]:
    return {number for first, last in pairs for number in range(first, last + 1)}


@given(SMALL, SMALL)
def test_interval_sets_do_what_sets_of_numbers_do(
    left: list[tuple[int, int]], right: list[tuple[int, int]]
) -> None:
    one, other = IntervalSet.of(left), IntervalSet.of(right)
    both, either = numbers(left) & numbers(right), numbers(left) | numbers(right)
    assert numbers(list(one & other)) == both
    assert numbers(list(one | other)) == either
    assert numbers(list(one - other)) == numbers(left) - numbers(right)
    assert one.covers(other) == (numbers(right) <= numbers(left))
    for found in (one & other, one | other, one - other):
        assert found == IntervalSet.of(found), "sorted, merged"


BLOCKS = st.lists(
    st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 32)).map(
        lambda b: f"{ipaddress.ip_address(b[0])}/{b[1]}"
    ),
    max_size=6,
)


@given(BLOCKS, BLOCKS)
def test_blocks_of_a_set_hold_exactly_its_addresses(left: list[str], right: list[str]) -> None:
    rest = AddressSet.of(left) - AddressSet.of(right)
    assert AddressSet.of(rest.blocks()) == rest
    assert not rest & AddressSet.of(right)


@pytest.mark.parametrize(
    "source",
    [
        "0.0.0.0/0",
        "::/0",
        "0.0.0.0/1",
        "128.0.0.0/1",
        "::/1",
        "8000::/1",
        "2000::/3",
        "8.8.8.8/32",
        "8.8.8.8",
        "10.0.0.0/7",
        "2600::/16",
        "192.0.0.9/32",
    ],
)
def test_public_addresses_are_the_internet(source: str) -> None:
    assert is_internet(source)


@pytest.mark.parametrize(
    "source",
    [
        "10.0.0.0/8",
        "10.1.2.3/32",
        "172.16.0.0/12",
        "192.168.1.0/24",
        "100.64.0.0/10",
        "127.0.0.1",
        "169.254.0.0/16",
        "fc00::/7",
        "fe80::/64",
        "::1/128",
        "203.0.113.0/24",
        "2001:db8::/32",
        "224.0.0.0/4",
        "sg-0123456789abcdef0",
        "pl-0123456789abcdef0",
        "VirtualNetwork",
        "",
    ],
)
def test_private_addresses_and_names_are_not_the_internet(source: str) -> None:
    assert not is_internet(source)


def test_what_is_ours_is_not_the_internet_and_what_lies_around_it_is() -> None:
    assert not is_internet("81.2.69.0/24", ("81.2.69.0/24",))
    assert not is_internet("81.2.69.142/32", ("81.2.0.0/16",))
    assert is_internet("81.2.68.0/23", ("81.2.69.0/24",))
    assert not is_internet("0.0.0.0/0", ("0.0.0.0/1", "128.0.0.0/1"))
    assert is_internet("::/0", ("0.0.0.0/0",)), "the families are apart"


def test_public_is_what_python_calls_global_but_for_multicast() -> None:
    """Python's own tables hold fewer and older blocks: where the two differ, the registry is newer."""
    newer = AddressSet.of(
        [
            "100:0:0:1::/64",
            "5f00::/16",
            "3fff::/20",
            "64:ff9b:1::/48",
            "2002::/16",
            "2001::/23",
            "fec0::/10",
            "192.0.0.0/24",
        ]
    )
    public, seed = public_addresses(), random.Random(5)
    for _ in range(20_000):
        bits, version = (32, 4) if seed.random() < 0.5 else (128, 6)
        first = seed.getrandbits(8) << (bits - 8) | seed.getrandbits(bits - 8) >> seed.randrange(bits - 8)
        address = ipaddress.ip_address(first) if version == 4 else ipaddress.IPv6Address(first)
        mine = first in (public.v4 if version == 4 else public.v6)
        known = first in (newer.v4 if version == 4 else newer.v6)
        assert known or mine == (address.is_global and not address.is_multicast), address


def test_a_text_that_is_no_block_is_refused() -> None:
    for text in ("", "10.0.0.0/33", "all", "10.0.0.0/8,11.0.0.0/8"):
        with pytest.raises(AddressError):
            block_of(text)
