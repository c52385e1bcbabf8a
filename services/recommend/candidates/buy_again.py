"""Buy again: which of the things that the shopper bought are due.

Candidates of `pipeline`, in the compiled loops. An item is due as its typical interval comes round:
the share of its buyers who came back, which the shopper's own orders outweigh the more there are,
times how likely a return is now against the likeliest time, a normal curve over log days.
"""

from math import exp, log
from typing import Final, TypeAlias

import numpy as np

from services.recommend.arrays import Numbers, Scores
from services.recommend.compiled import compiled

LEAST_SHARE: Final = 0.1
"""Below it an item is no habit: a sofa that somebody bought twice is none."""
OWN_WEIGHT: Final = 4.0
"""The whole shop's buyers of an item count as so many orders of the shopper's own."""
EARLIEST: Final = 0.25
"""Of the interval must have passed: before that it is still on the shelf at home."""

IntervalArrays: TypeAlias = tuple[Scores, Scores, float]
"""Intervals.arrays()."""
INTERVALS: Final = "Tuple((float64[::1], float64[::1], float64))"


@compiled(f"float64[::1](int64[::1], int64[::1], int64[::1], {INTERVALS})")
def due(items: Numbers, days: Numbers, times: Numbers, intervals: IntervalArrays) -> Scores:
    """How due each item is, 0 to 1; 0: not at all. days: since each was last bought, below 0 where
    unknown; times: in how many orders."""
    typical, share, spread = intervals
    scores = np.zeros(len(items))
    for at in range(len(items)):
        item, passed = items[at], days[at]
        if item < 0 or item >= len(typical) or typical[item] <= 0.0 or passed < 0:
            continue
        again = (share[item] * OWN_WEIGHT + times[at] - 1) / (OWN_WEIGHT + times[at] - 1)
        # half a day more, since days are whole ones
        distance = log((passed + 0.5) / typical[item])
        if again >= LEAST_SHARE and passed + 0.5 >= EARLIEST * typical[item]:
            scores[at] = again * exp(-0.5 * (distance / spread) ** 2)
    return scores
