"""Candidates that are computed for the shopper: what lies nearest in the learned space, and what of
the things that were bought is due again.

Part of `gathering`.
"""

from typing import Final

import numpy as np

from services.recommend.arrays import Numbers
from services.recommend.candidates.buy_again import INTERVALS, IntervalArrays, due
from services.recommend.candidates.pool_loops import AGAIN, BAG, VECTOR, Bag, add
from services.recommend.compiled import compiled
from services.recommend.vectors.loops import VECTORS, Floats, VectorArrays, nearest_items

MOST_NEAREST: Final = 50


@compiled(f"UniTuple(int64, 2)(float32[::1], {VECTORS}, {BAG}, int64)")
def add_nearest(vector: Floats, vectors: VectorArrays, bag: Bag, count: int) -> tuple[int, int]:
    """Adds the items nearest to a shopper's vector; how many candidates there are now, and how many
    were found."""
    items, scores = nearest_items(vector, vectors, MOST_NEAREST)
    return add(items, scores, VECTOR, bag, count), len(items)


@compiled(
    f"UniTuple(int64, 2)(int64[::1], UniTuple(int64[::1], 2), int64, {INTERVALS}, {BAG}, int64)"
)
def add_due(
    named: Numbers,
    bought: tuple[Numbers, Numbers],
    passed: int,
    intervals: IntervalArrays,
    bag: Bag,
    count: int,
) -> tuple[int, int]:
    """Adds what is due again of what was bought: the first of the named items, side by side with
    days since (to which `passed` come) and orders."""
    days, times = bought
    items = named[: len(days)]
    scores = due(items, days + passed, times, intervals)
    again = np.flatnonzero(scores > 0.0)
    return add(items[again], scores[again], AGAIN, bag, count), len(again)
