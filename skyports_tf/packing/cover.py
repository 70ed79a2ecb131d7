"""Minimum set cover: the fewest of given sets that together hold everything.

Sets are bit masks. Small instances are solved exactly by branch and bound; where the search
grows beyond its budget, the best cover found so far counts, which is never worse than greedy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

#: How many nodes the search may visit; some hundred thousand a second.
BUDGET = 50_000


def minimum_cover(
    everything: int, sets: Sequence[int], costs: Sequence[int] | None = None
) -> tuple[int, ...]:
    """The positions in `sets` of a cheapest cover of `everything`, sorted; the first one found among equals.

    `costs` are whole numbers above 0, 1 each where None. Raises `ValueError` where the sets
    together do not hold everything.
    """
    search = _Search(sets, costs or [1] * len(sets))
    best = search.greedy(everything)
    if best is None:
        raise ValueError("the sets do not hold everything")
    search.best, search.best_cost = best, sum(search.costs[item] for item in best)
    search.visit(everything, (), 0)
    return tuple(sorted(search.best))


@dataclass(slots=True)
class _Search:
    sets: Sequence[int]
    costs: Sequence[int]
    best: tuple[int, ...] = ()
    best_cost: int = 0
    visited: int = field(default=0)

    def greedy(self, missing: int) -> tuple[int, ...] | None:
        chosen: list[int] = []
        while missing:
            gains = [
                (item & missing).bit_count() / cost for item, cost in zip(self.sets, self.costs, strict=True)
            ]
            gain = max(gains, default=0)
            if not gain:
                return None
            chosen.append(gains.index(gain))
            missing &= ~self.sets[chosen[-1]]
        return tuple(chosen)

    def visit(self, missing: int, chosen: tuple[int, ...], cost: int) -> None:
        """Try every set that holds the element that the fewest sets hold."""
        self.visited += 1
        if not missing:
            if cost < self.best_cost:
                self.best, self.best_cost = chosen, cost
            return
        if self.visited > BUDGET or cost + self._at_least(missing) >= self.best_cost:
            return
        for item in self._rarest(missing):
            self.visit(missing & ~self.sets[item], (*chosen, item), cost + self.costs[item])

    def _at_least(self, missing: int) -> int:
        """A lower bound of what is still to be paid: the cheapest price of an element, for all of them."""
        needed = missing.bit_count()
        return min(
            (
                -(-needed * cost // found)
                for item, cost in zip(self.sets, self.costs, strict=True)
                if (found := (item & missing).bit_count())
            ),
            default=1,
        )

    def _rarest(self, missing: int) -> list[int]:
        holders: list[int] | None = None
        while missing:
            element = missing & -missing
            missing ^= element
            found = [item for item, members in enumerate(self.sets) if members & element]
            if holders is None or len(found) < len(holders):
                holders = found
        # the widest first: good covers early, more of the search cut off
        return sorted(holders or [], key=lambda item: (-self.sets[item].bit_count(), item))
