"""The ranker's features: computed once, at decision time, and logged.

Fourth step of `pipeline`, in candidates/pool_loops.py. Each is one number a candidate, in [0, 1]
unless it says otherwise; what a model was trained on is named in FEATURES, in that order.
"""

from typing import Any, Final, TypeAlias

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
}
PREFERENCES: Final = ("category", "brand", "price_band")
"""Affinity fields, in the order of their features."""


def as_records(features: Matrix | None, count: int) -> list[dict[str, Any]]:
    """Features by name, of `count` items of which the first have a row."""
    rows = [] if features is None else features.tolist()
    named = [dict(zip(FEATURES, row, strict=True)) for row in rows]
    return named + [{} for _ in range(count - len(named))]
