"""The ranker's features: computed once, at decision time, and logged.

Fourth step of `pipeline`, in candidates/pool_loops.py. Each is one number a candidate, in [0, 1]
unless it says otherwise; what a model was trained on is named in FEATURES, in that order.
"""

from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Matrix: TypeAlias = NDArray[np.float64]
"""One row a candidate, one column a feature."""

FEATURES: Final = {
    "session": "Votes of sessions like this one, relative to the best candidate's.",
    "together": "Cosine of being in one order with what the shopper has or just bought.",
    "category": "Share of the item's category in the shopper's preferences.",
    "brand": "Share of the item's brand in the shopper's preferences.",
    "price": "Share of the item's price band in the shopper's preferences.",
    "trend": "How much the item is wanted now, logarithmic, relative to the most wanted.",
    "conversion": "Purchases a view, smoothed, against the shop's average.",
    "seen": "1 for what the shopper looked at lately and did not buy.",
    "similar": "How like what the shopper looks at the item is, by who else likes both.",
    "vector": "How near the item is to the shopper in the learned space.",
    "again": "How much it is time to buy the item again, by its own and the shopper's intervals.",
    "new": "How new the item is, 1 for the newest.",
}
PREFERENCES: Final = ("category", "brand", "price_band")
"""Affinity fields, in the order of their features."""


NAMES: Final = list(FEATURES)


def as_rows(features: Matrix | None, count: int) -> list[list[float]]:
    """Features side by side with NAMES, of `count` items of which the first have a row."""
    rows: list[list[float]] = [] if features is None else features.tolist()
    return rows if len(rows) == count else rows + [[] for _ in range(count - len(rows))]
