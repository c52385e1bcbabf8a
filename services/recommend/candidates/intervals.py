"""Repurchase intervals: after how long an item is bought again, and by how many of its buyers.

Trained by training/intervals.py, kept as the part `intervals`; buy_again.py asks whether an item is
due. Pure.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.recommend.arrays import NO_SCORES, Scores
from services.recommend.candidates.buy_again import IntervalArrays
from shared.models.part import Part

NAME: Final = "intervals"
USUAL_SPREAD: Final = 1.0


@dataclass(frozen=True, slots=True)
class Intervals:
    """By item number: days, typical between two orders of it by one customer (0: nobody came back
    for it); share, of its buyers those who came back, both shrunk towards the whole shop's. spread:
    standard deviation of the logarithm of an interval around its item's."""

    days: Scores = field(default_factory=lambda: NO_SCORES)
    share: Scores = field(default_factory=lambda: NO_SCORES)
    spread: float = USUAL_SPREAD

    def arrays(self) -> IntervalArrays:
        """What compiled code takes."""
        return self.days, self.share, self.spread

    def part(self) -> Part:
        """As it lies in the model store, of those items alone that anybody came back for."""
        items = np.flatnonzero(self.days)
        return Part(
            NAME,
            {"items": items, "days": self.days[items], "share": self.share[items]},
            {"spread": self.spread, "items": len(items)},
        )

    @classmethod
    def of(cls, part: Part, local: NDArray[np.integer]) -> "Intervals":
        """What a part holds, for this process: local is item number by the part's."""
        items = local[part.arrays["items"].astype(np.int64)]
        size = int(items.max(initial=-1)) + 1
        days, share = np.zeros(size), np.zeros(size)
        days[items] = part.arrays["days"]
        share[items] = part.arrays["share"]
        return cls(days, share, float(part.facts["spread"]))
