"""Features: what an item has in common with what the shopper took or passed over, by any field.

overlap: the share of what the shopper took that has the item's values. taste: how much more, or
less, than other shoppers this one takes what has them, counting what was passed over.
"""

from typing import Final

import numpy as np

from services.recommend.arrays import Codes, Numbers, Scores
from services.recommend.compiled import compiled
from services.recommend.features.feature import Feature, Matrix

SLOTS: Final = 1_024
"""Of a table by value, a power of two; values beyond half of it are left out."""
SPREAD: Final = 40_503
TASTE_PRIOR: Final = 3.0
"""Items with a value that count as neither liked nor disliked, before the shopper's own."""
_VIEW: Final = "the shopper's view"


def overlap_field(field: str) -> Feature:
    """The feature of one field."""
    meaning = f"Share of what the shopper took with the same {field}, mean over the item's values."
    return Feature(f"overlap:{field}", meaning, _VIEW, "profile", "what was taken")


def taste_field(field: str) -> Feature:
    """The feature of one field."""
    meaning = f"Taken less expected of items with the same {field}, smoothed, mean over its values."
    return Feature(f"taste:{field}", meaning, _VIEW, "profile", "what was taken and passed over")


@compiled("int64(int32, int32[::1])")
def slot_of(code: int, keys: Codes) -> int:
    """Where a value lies in the table, or where it would: the first free place from its own on."""
    at = (code * SPREAD) & (SLOTS - 1)
    while keys[at] >= 0 and keys[at] != code:
        at = (at + 1) & (SLOTS - 1)
    return at


@compiled("int64(int64[::1], float64[::1], int32[:, ::1], int32[::1], float64[:, ::1])")
def tabulate(rows: Numbers, residuals: Scores, codes: Codes, keys: Codes, sums: Scores) -> int:
    """Fills the table (keys -1 and sums 0 before): by value how many were taken (residual above
    0), how many there are in all, and the sum of residuals. How many were taken that have any."""
    held, taken = 0, 0
    for place in range(len(rows)):
        row = rows[place]
        if row < 0 or row >= len(codes) or codes[row, 0] < 0:
            continue
        took = residuals[place] > 0.0
        taken += took
        for at in range(codes.shape[1]):
            code = codes[row, at]
            if code < 0:
                break
            slot = slot_of(code, keys)
            if keys[slot] < 0:
                if held >= SLOTS // 2:
                    continue
                keys[slot] = code
                held += 1
            sums[slot, 0] += took
            sums[slot, 1] += 1.0
            sums[slot, 2] += residuals[place]
    return taken


@compiled(
    "void(int64[::1], int32[:, ::1], int32[::1], float64[:, ::1], int64, float64[:, ::1], int64)"
)
def in_common(
    rows: Numbers, codes: Codes, keys: Codes, sums: Scores, taken: int, out: Matrix, column: int
) -> None:
    """Overlap and, a column further, taste of each row, nan where it has no value."""
    for place in range(len(rows)):
        row, shared, taste, count = rows[place], 0.0, 0.0, 0
        for at in range(codes.shape[1] if row < len(codes) else 0):
            code = codes[row, at]
            if code < 0:
                break
            # slot_of, written out: a call costs more than all else here
            slot = (code * SPREAD) & (SLOTS - 1)
            while keys[slot] >= 0 and keys[slot] != code:
                slot = (slot + 1) & (SLOTS - 1)
            count += 1
            if keys[slot] == code:
                shared += sums[slot, 0]
                taste += sums[slot, 2] / (sums[slot, 1] + TASTE_PRIOR)
        out[place, column] = shared / max(taken, 1) / count if count else np.nan
        out[place, column + 1] = taste / count if count else np.nan
