"""Features: how often what was shown of an item, or of a value of one of its fields, was clicked.

Windowed, since statistics keep 14 days; smoothed towards the shop's average, so that three clicks
of four do not beat three hundred of a thousand.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.recommend.arrays import Codes, Numbers, Scores
from services.recommend.compiled import compiled
from services.recommend.features.feature import Feature, Matrix

SHOWN: Final = 3
CLICKED: Final = 4
"""Columns of the counts (statistics.KINDS)."""
VIEWS: Final = 0
PRIOR: Final = 10.0
"""Showings at the average rate that an item is taken to have had before its own."""
VALUE_PRIOR: Final = 20.0

_COUNTS: Final = "item statistics by partition and hour"
CLICK_RATE: Final = Feature(
    "click_rate", "Clicks a showing, smoothed; nan: no showings.", _COUNTS, "profile", "nothing"
)
SHOWINGS: Final = Feature("showings", "Times shown.", _COUNTS, "profile", "nothing")
LOOKS: Final = Feature("views", "Times looked at.", _COUNTS, "profile", "nothing")


def value_rate(field: str) -> Feature:
    """The feature of one field."""
    return Feature(
        f"rate:{field}",
        f"Clicks a showing of items with the same {field}, mean over the item's values.",
        "shown and clicked by value",
        "shelf, whenever statistics change",
        "nothing",
    )


@compiled("float64(float64, float64, float64, float64)")
def smoothed(clicked: float, shown: float, average: float, prior: float) -> float:
    """Clicks a showing with `prior` showings at the average."""
    return (clicked + prior * average) / (shown + prior)


@compiled("float64(int64, int64[:, ::1], float64)")
def click_rate(row: int, counts: NDArray[np.int64], average: float) -> float:
    """By row; nan where nothing was ever shown. average: the shop's, nan where nothing was."""
    if row >= len(counts):
        return average
    return smoothed(float(counts[row, CLICKED]), float(counts[row, SHOWN]), average, PRIOR)


@compiled("void(int64[::1], int32[:, ::1], float64[::1], float64[:, ::1], int64)")
def mean_rates(rows: Numbers, codes: Codes, rates: Scores, out: Matrix, column: int) -> None:
    """The mean rate of each row's values, nan where it has none."""
    for place in range(len(rows)):
        row, total, count = rows[place], 0.0, 0
        for at in range(codes.shape[1] if row < len(codes) else 0):
            code = codes[row, at]
            if code < 0:
                break
            if code < len(rates):
                total += rates[code]
                count += 1
        out[place, column] = total / count if count else np.nan


@compiled("float64[::1](int32[:, ::1], int64[:, ::1], int64, float64)")
def rates_of_values(codes: Codes, counts: NDArray[np.int64], labels: int, average: float) -> Scores:
    """By code of a value: clicks a showing over all items that have it, smoothed."""
    shown, clicked = np.zeros(labels), np.zeros(labels)
    for row in range(min(len(codes), len(counts))):
        if counts[row, SHOWN] == 0:
            continue
        for at in range(codes.shape[1]):
            code = codes[row, at]
            if code < 0:
                break
            shown[code] += counts[row, SHOWN]
            clicked[code] += counts[row, CLICKED]
    rates = np.empty(labels)
    for code in range(labels):
        rates[code] = smoothed(clicked[code], shown[code], average, VALUE_PRIOR)
    return rates
