"""Who may reach a port: CIDR blocks, and what clouds have beside them.

A source is written as a CIDR block (`10.0.0.0/8`, `2001:db8::/32`), a single address, an AWS
prefix list (`pl-...`), an AWS security group (`sg-...`), or a tag (`tag:NAME`: a network tag
on GCP, a service tag on Azure).
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

SourceKind = Literal["ipv4", "ipv6", "prefix_list", "group", "tag"]

_KIND_ORDER = {"ipv4": 0, "ipv6": 1, "prefix_list": 2, "group": 3, "tag": 4}
_AWS_ID = re.compile(r"(?P<kind>pl|sg)-[0-9a-f]{8,17}")
_ADDRESS = re.compile(r"[0-9A-Fa-f:.]+(?:/[0-9]{1,3})?")
_TAG = re.compile(r"tag:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9_])?")


class SourceError(ValueError):
    """A text that names no source."""


@dataclass(frozen=True, slots=True)
class Source:
    """One source: its kind, and its text in the one normal form (network address, lower case)."""

    kind: SourceKind
    text: str

    def __str__(self) -> str:
        return self.text

    @property
    def is_internet(self) -> bool:
        """Whether this is every address of its family."""
        return self.text in ("0.0.0.0/0", "::/0")

    @property
    def sort_key(self) -> tuple[int, int, int, str]:
        """IPv4 before IPv6 before the rest; addresses in numeric order, wider blocks first."""
        return _sort_key(self.kind, self.text)


@lru_cache(maxsize=4096)
def _sort_key(kind: SourceKind, text: str) -> tuple[int, int, int, str]:
    if kind in ("ipv4", "ipv6"):
        block = ipaddress.ip_network(text)
        return _KIND_ORDER[kind], int(block.network_address), block.prefixlen, text
    return _KIND_ORDER[kind], 0, 0, text


@lru_cache(maxsize=4096)
def parse_source(text: str) -> Source:
    """Read a source; host bits are dropped (`10.0.0.5/8` is `10.0.0.0/8`).

    Raises `SourceError` with one sentence for anything else.
    """
    found = _AWS_ID.fullmatch(text)
    if found:
        return Source("prefix_list" if found["kind"] == "pl" else "group", text)
    if _TAG.fullmatch(text):
        return Source("tag", text)
    block = _parse_block(text)
    if block is None:
        raise SourceError(f"{text!r} is no CIDR block such as 203.0.113.0/24 or 2001:db8::/32")
    if isinstance(block, ipaddress.IPv6Network) and block.network_address.ipv4_mapped is not None:
        raise SourceError(f"{text!r} is an IPv4 address written as IPv6: write it as IPv4")
    return Source("ipv4" if block.version == 4 else "ipv6", str(block))


def _parse_block(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    # ipaddress also reads netmasks and scopes, which no cloud takes
    if not _ADDRESS.fullmatch(text):
        return None
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
