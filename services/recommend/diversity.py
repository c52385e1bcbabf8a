"""Which of the ranked are shown, and in which order: no feed of a single category.

Between the ranker and the answer in `pipeline`. Pure.
"""

import math
from typing import Final

import numpy as np

from services.recommend.arrays import Codes, Numbers
from services.recommend.compiled import compiled

MOST_OF_ONE_CATEGORY: Final = 0.6
LOOKED_AT: Final = 3
"""Candidates looked at for each that is offered: as far as another category is looked for."""


def most_of_one(n: int) -> int:
    """How many of n offers may be of one category while others are at hand."""
    return max(2, math.ceil(n * MOST_OF_ONE_CATEGORY))


@compiled("int64[::1](int64[::1], int32[::1], int64, int64, int64)")
def spread(rows: Numbers, categories: Codes, n: int, most: int, limit: int) -> Numbers:
    """Places of the n of the best `limit` rows to show: of one category at most `most` while the
    others hold others; whoever had to wait fills up what stays free."""
    looked_at = min(limit, len(rows))
    chosen = np.empty(min(n, looked_at), dtype=np.int64)
    waiting = np.empty(looked_at, dtype=np.int64)
    size = waits = 0
    for place in range(looked_at):
        if size == len(chosen):
            break
        category = categories[rows[place]]
        same = 0
        for at in range(size):
            same += categories[rows[chosen[at]]] == category
        if same < most or category < 0:
            chosen[size] = place
            size += 1
        else:
            waiting[waits] = place
            waits += 1
    for at in range(len(chosen) - size):
        chosen[size + at] = waiting[at]
    return chosen
