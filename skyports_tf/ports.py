"""Port ranges and sets of ports, as interval algebra.

A set of ports is kept as its maximal runs, so every operation costs by the number of
ranges and never by their width: 1-65535 is one range, as 80 is.

The grammar is SkyPilot 0.14.1's (sky/utils/resources_utils.py:simplify_ports): a token is
a run of digits, or two of them joined by one hyphen without spaces; any Unicode decimal
digit counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

FIRST_PORT = 1
LAST_PORT = 65535
# CPython refuses longer ones in int(), and so SkyPilot crashes on them (cpython#95778)
MOST_DIGITS = 4300


class PortError(ValueError):
    """A text that is no port and no range of ports."""


@dataclass(frozen=True, slots=True, order=True)
class PortRange:
    """The ports from `first` to `last`, both included, within 1 to 65535."""

    first: int
    last: int

    def __post_init__(self) -> None:
        if not FIRST_PORT <= self.first <= self.last <= LAST_PORT:
            raise PortError(f"no range of ports: {self.first}-{self.last}")

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"

    def __len__(self) -> int:
        return self.last - self.first + 1

    def __contains__(self, port: int) -> bool:
        return self.first <= port <= self.last


@dataclass(frozen=True, slots=True)
class PortSet:
    """A set of ports as sorted ranges that neither overlap nor touch.

    Build one with `PortSet.of`, which sorts and merges; the constructor takes ranges
    that are already in that form.
    """

    ranges: tuple[PortRange, ...] = ()

    @classmethod
    def of(cls, ranges: Iterable[PortRange]) -> PortSet:
        """The set that holds every port of `ranges`, whatever their order or overlap."""
        merged: list[PortRange] = []
        for item in sorted(ranges):
            if merged and item.first <= merged[-1].last + 1:
                if item.last > merged[-1].last:
                    merged[-1] = PortRange(merged[-1].first, item.last)
            else:
                merged.append(item)
        return cls(tuple(merged))

    def __iter__(self) -> Iterator[PortRange]:
        return iter(self.ranges)

    def __bool__(self) -> bool:
        return bool(self.ranges)

    def __len__(self) -> int:
        """The number of ports, not of ranges."""
        return sum(map(len, self.ranges))

    def __contains__(self, port: int) -> bool:
        return any(port in item for item in self.ranges)

    def __or__(self, other: PortSet) -> PortSet:
        return PortSet.of((*self.ranges, *other.ranges))

    def __and__(self, other: PortSet) -> PortSet:
        return PortSet(tuple(_intersect(self.ranges, other.ranges)))

    def __sub__(self, other: PortSet) -> PortSet:
        return PortSet(tuple(_subtract(self.ranges, other.ranges)))

    def covers(self, other: PortSet) -> bool:
        """Whether every port of `other` is in this set."""
        return not other - self

    def __str__(self) -> str:
        return ", ".join(map(str, self.ranges))


def _intersect(left: tuple[PortRange, ...], right: tuple[PortRange, ...]) -> Iterator[PortRange]:
    i = j = 0
    while i < len(left) and j < len(right):
        first = max(left[i].first, right[j].first)
        last = min(left[i].last, right[j].last)
        if first <= last:
            yield PortRange(first, last)
        if left[i].last < right[j].last:
            i += 1
        else:
            j += 1


def _subtract(left: tuple[PortRange, ...], right: tuple[PortRange, ...]) -> Iterator[PortRange]:
    j = 0
    for item in left:
        first = item.first
        while j < len(right) and right[j].last < first:
            j += 1
        k = j
        while k < len(right) and right[k].first <= item.last:
            if first < right[k].first:
                yield PortRange(first, right[k].first - 1)
            first = right[k].last + 1
            k += 1
        if first <= item.last:
            yield PortRange(first, item.last)


def parse_port_range(token: str) -> PortRange:
    """Read one token, such as `80` or `8000-8010`.

    Raises `PortError` with one sentence that says what is wrong with the token.
    """
    first, hyphen, last = token.partition("-")
    if not hyphen:
        return _range_of(token, first, first)
    return _range_of(token, first, last)


def _range_of(token: str, first: str, last: str) -> PortRange:
    low, high = _parse_port(token, first), _parse_port(token, last)
    if low > high:
        raise PortError(f"the range {token!r} ends before it begins")
    return PortRange(low, high)


def _parse_port(token: str, text: str) -> int:
    if not text.isdecimal():
        raise PortError(f"{token!r} is neither a port nor a range of ports such as 8000-8010")
    number = int(text) if len(text) <= MOST_DIGITS else 0
    if not FIRST_PORT <= number <= LAST_PORT:
        shown = text if len(text) <= 20 else f"{text[:20]}..."
        raise PortError(f"port {shown} is outside {FIRST_PORT} to {LAST_PORT}")
    return number


def parse_ports(text: str) -> PortSet:
    """Read a comma list of ports and ranges; empty items are skipped.

    Raises `PortError` at the first bad item, as SkyPilot does.
    """
    return PortSet.of(parse_port_range(token) for token in port_tokens(text))


def port_tokens(text: str) -> list[str]:
    """The items of a comma list, stripped, without the empty ones."""
    return [token for token in (item.strip() for item in text.split(",")) if token]
