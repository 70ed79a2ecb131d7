"""Sets of whole numbers as sorted intervals: ports, protocol by protocol, and addresses of one family.

Every operation costs by the number of intervals, never by their width: the internet is one interval.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

Interval = tuple[int, int]

FIRST_PORT: Final = 0
LAST_PORT: Final = 65535


@dataclass(frozen=True, slots=True)
class IntervalSet:
    """A set of whole numbers as intervals, both ends included, that neither overlap nor touch.

    Build one with `IntervalSet.of`, which sorts and merges; the constructor takes intervals that
    are already in that form.
    """

    intervals: tuple[Interval, ...] = ()

    @classmethod
    def of(cls, intervals: Iterable[Interval]) -> IntervalSet:
        """The set that holds every number of `intervals`, whatever their order or overlap."""
        merged: list[Interval] = []
        for first, last in sorted(intervals):
            if first > last:
                continue
            if merged and first <= merged[-1][1] + 1:
                if last > merged[-1][1]:
                    merged[-1] = (merged[-1][0], last)
            else:
                merged.append((first, last))
        return cls(tuple(merged))

    def __iter__(self) -> Iterator[Interval]:
        return iter(self.intervals)

    def __bool__(self) -> bool:
        return bool(self.intervals)

    def __contains__(self, number: int) -> bool:
        return any(first <= number <= last for first, last in self.intervals)

    def __or__(self, other: IntervalSet) -> IntervalSet:
        return IntervalSet.of((*self.intervals, *other.intervals))

    def __and__(self, other: IntervalSet) -> IntervalSet:
        return IntervalSet(tuple(_intersect(self.intervals, other.intervals)))

    def __sub__(self, other: IntervalSet) -> IntervalSet:
        return IntervalSet(tuple(_subtract(self.intervals, other.intervals)))

    def covers(self, other: IntervalSet) -> bool:
        """Whether every number of `other` is in this set."""
        return not other - self


EMPTY: Final = IntervalSet()
EVERY_PORT: Final = IntervalSet(((FIRST_PORT, LAST_PORT),))


def _intersect(left: tuple[Interval, ...], right: tuple[Interval, ...]) -> Iterator[Interval]:
    i = j = 0
    while i < len(left) and j < len(right):
        first, last = max(left[i][0], right[j][0]), min(left[i][1], right[j][1])
        if first <= last:
            yield first, last
        if left[i][1] < right[j][1]:
            i += 1
        else:
            j += 1


def _subtract(left: tuple[Interval, ...], right: tuple[Interval, ...]) -> Iterator[Interval]:
    j = 0
    for first, last in left:
        while j < len(right) and right[j][1] < first:
            j += 1
        k = j
        while k < len(right) and right[k][0] <= last:
            if first < right[k][0]:
                yield first, right[k][0] - 1
            first = max(first, right[k][1] + 1)
            k += 1
        if first <= last:
            yield first, last
