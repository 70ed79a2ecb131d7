"""Sets of addresses, IPv4 and IPv6 kept apart, and which of them are the internet.

Public is every address but those that IANA's registries of special-purpose addresses call not globally
reachable (https://www.iana.org/assignments/iana-ipv4-special-registry and
https://www.iana.org/assignments/iana-ipv6-special-registry, read on 2026-11-25), multicast groups, which no
packet comes from, and site-local addresses (RFC 3879). What IANA has not given out yet counts as public: it
may be tomorrow.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from skyports_tf.exposure.intervals import EMPTY, Interval, IntervalSet

EVERYONE: Final = ("0.0.0.0/0", "::/0")

_NOT_PUBLIC: Final = (
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "::/127",
    "::ffff:0:0/96",
    "64:ff9b:1::/48",
    "100::/64",
    "100:0:0:1::/64",
    "2001::/23",
    "2001:db8::/32",
    "3fff::/20",
    "5f00::/16",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
)
#: Blocks inside these that are globally reachable all the same, or where the registry leaves it open.
_PUBLIC_INSIDE: Final = (
    "192.0.0.9/32",
    "192.0.0.10/32",
    "2001::/32",
    "2001:1::1/128",
    "2001:1::2/128",
    "2001:1::3/128",
    "2001:3::/32",
    "2001:4:112::/48",
    "2001:20::/28",
    "2001:30::/28",
)


class AddressError(ValueError):
    """A text that is no address and no CIDR block."""


@dataclass(frozen=True, slots=True)
class AddressSet:
    """A set of addresses, each family on its own."""

    v4: IntervalSet = EMPTY
    v6: IntervalSet = EMPTY

    @classmethod
    def of(cls, blocks: Iterable[str]) -> AddressSet:
        """All addresses of CIDR blocks; raises `AddressError` at the first text that is none."""
        found: dict[int, list[Interval]] = {4: [], 6: []}
        for text in blocks:
            version, first, last = block_of(text)
            found[version].append((first, last))
        return cls(IntervalSet.of(found[4]), IntervalSet.of(found[6]))

    def __bool__(self) -> bool:
        return bool(self.v4) or bool(self.v6)

    def __or__(self, other: AddressSet) -> AddressSet:
        return AddressSet(self.v4 | other.v4, self.v6 | other.v6)

    def __and__(self, other: AddressSet) -> AddressSet:
        return AddressSet(self.v4 & other.v4, self.v6 & other.v6)

    def __sub__(self, other: AddressSet) -> AddressSet:
        return AddressSet(self.v4 - other.v4, self.v6 - other.v6)

    def covers(self, other: AddressSet) -> bool:
        """Whether every address of `other` is in this set."""
        return self.v4.covers(other.v4) and self.v6.covers(other.v6)

    def blocks(self) -> Iterator[str]:
        """The fewest CIDR blocks that hold these addresses and no other, IPv4 first."""
        for first, last in self.v4:
            ends = ipaddress.IPv4Address(first), ipaddress.IPv4Address(last)
            yield from map(str, ipaddress.summarize_address_range(*ends))
        for first, last in self.v6:
            ends6 = ipaddress.IPv6Address(first), ipaddress.IPv6Address(last)
            yield from map(str, ipaddress.summarize_address_range(*ends6))


@lru_cache(maxsize=16384)
def block_of(text: str) -> tuple[int, int, int]:
    """Family, first and last address of a CIDR block or of one address; host bits do not count.

    Raises `AddressError` for any other text.
    """
    try:
        block = ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        raise AddressError(f"{text!r} is no CIDR block") from None
    return block.version, int(block.network_address), int(block.broadcast_address)


@lru_cache(maxsize=16384)
def normal_block(text: str) -> str:
    """A CIDR block in its one normal form; raises `AddressError` as `block_of`."""
    block_of(text)
    return str(ipaddress.ip_network(text.strip(), strict=False))


@lru_cache(maxsize=1)
def public_addresses() -> AddressSet:
    """The internet: every address that is globally reachable, or may become so."""
    return AddressSet.of(EVERYONE) - (AddressSet.of(_NOT_PUBLIC) - AddressSet.of(_PUBLIC_INSIDE))


@lru_cache(maxsize=64)
def strangers(ours: tuple[str, ...]) -> AddressSet:
    """The internet without the blocks that are `ours`."""
    return public_addresses() - AddressSet.of(ours)


@lru_cache(maxsize=16384)
def is_internet(source: str, ours: tuple[str, ...] = ()) -> bool:
    """Whether a source holds public addresses beyond the blocks that are `ours`.

    Half the internet such as 0.0.0.0/1 does, and so does one public address; a text that is no
    CIDR block, such as the id of a group, does not.
    """
    try:
        return bool(AddressSet.of((source,)) & strangers(ours))
    except AddressError:
        return False
