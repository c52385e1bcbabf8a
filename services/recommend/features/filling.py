"""All features of the candidates that go on to the ranker, in one compiled call.

Columns: the first stage's as they come, then SECOND, then those of the shop's own fields, as
shelf.py names them. What a shop does not have is nan, or 0 where nothing was found is an answer.
"""

from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from services.recommend.arrays import Codes, Numbers, Scores
from services.recommend.compiled import compiled
from services.recommend.features.feature import Matrix
from services.recommend.features.items import (
    AGE,
    ITEM_PRICE,
    PRICE_GAP,
    STOCK,
    age,
    number_at,
    price_at,
    usual_price,
)
from services.recommend.features.moment import DEPTH, HOUR, SEASON, WEEKDAY, moment
from services.recommend.features.overlap import SLOTS, in_common, tabulate
from services.recommend.features.rates import (
    CLICK_RATE,
    LOOKS,
    SHOWINGS,
    SHOWN,
    VIEWS,
    click_rate,
    mean_rates,
)

MOST_TEXTS: Final = 6
MOST_NUMBERS: Final = 8
"""Fields of items that are features: with texts, with numbers."""
SECOND: Final = (
    CLICK_RATE,
    SHOWINGS,
    LOOKS,
    AGE,
    STOCK,
    ITEM_PRICE,
    PRICE_GAP,
    HOUR,
    WEEKDAY,
    SEASON,
    DEPTH,
)
A_TEXT: Final = 3
"""Columns a text field: overlap, taste, rate."""
_OWN: Final = len(SECOND)

ShelfArrays: TypeAlias = tuple[
    Numbers,
    Numbers,
    Scores,
    NDArray[np.int64],
    float,
    tuple[Codes, ...],
    tuple[Scores, ...],
    tuple[Scores, ...],
    int,
    int,
]
"""By row: price, valid_from, stock (nan: not counted), counts (statistics.KINDS); the shop's click
rate, nan where nothing was shown; text fields' codes, their rates by code, numeric fields; how many
of both there are."""
SHELF: Final = (
    "Tuple((int64[::1], int64[::1], float64[::1], int64[:, ::1], float64,"
    f" UniTuple(int32[:, ::1], {MOST_TEXTS}), UniTuple(float64[::1], {MOST_TEXTS}),"
    f" UniTuple(float64[::1], {MOST_NUMBERS}), int64, int64))"
)


@compiled(f"void(int64[::1], int64[::1], int64[::1], int64, {SHELF}, int64, float64[:, ::1])")
def _plain(
    rows: Numbers,
    taken: Numbers,
    passed: Numbers,
    now: int,
    shelf: ShelfArrays,
    first: int,
    out: Matrix,
) -> None:
    price, valid_from, stock, counts, average, _, _, _, _, _ = shelf
    usual = usual_price(taken, price)
    hour, weekday, season = moment(now)
    for at in range(len(rows)):
        row = rows[at]
        counted = row < len(counts)
        out[at, first] = click_rate(row, counts, average)
        out[at, first + 1] = float(counts[row, SHOWN]) if counted else 0.0
        out[at, first + 2] = float(counts[row, VIEWS]) if counted else 0.0
        out[at, first + 3] = age(row, valid_from, now)
        out[at, first + 4] = number_at(row, stock)
        out[at, first + 5] = price_at(row, price)
        out[at, first + 6] = out[at, first + 5] / usual
        out[at, first + 7] = hour
        out[at, first + 8] = weekday
        out[at, first + 9] = season
        out[at, first + 10] = len(taken) + len(passed)


@compiled(f"void(int64[::1], int64[::1], int64[::1], {SHELF}, int64, float64[:, ::1])")
def _texts(
    rows: Numbers, taken: Numbers, passed: Numbers, shelf: ShelfArrays, first: int, out: Matrix
) -> None:
    _, _, _, counts, average, fields, rates, _, texts, _ = shelf
    known = np.concatenate((taken, passed))
    residuals = np.empty(len(known))
    for at in range(len(known)):
        expected = click_rate(max(known[at], 0), counts, average)
        expected = 0.0 if expected != expected else expected  # noqa: PLR0124  (nan)
        residuals[at] = 1.0 - expected if at < len(taken) else -expected
    keys = np.empty(SLOTS, dtype=np.int32)
    sums = np.empty((SLOTS, A_TEXT))
    for field in range(texts):
        column, took = first + A_TEXT * field, 0
        codes = fields[field]
        if len(known):
            keys[:] = -1
            sums[:] = 0.0
            took = tabulate(known, residuals, codes, keys, sums)
            in_common(rows, codes, keys, sums, took, out, column)
        else:
            out[:, column : column + 2] = np.nan
        mean_rates(rows, codes, rates[field], out, column + 2)


@compiled(f"float64[:, ::1](int64[::1], float64[:, ::1], int64[::1], int64[::1], int64, {SHELF})")
def fill(
    rows: Numbers,
    firsts: Matrix,
    taken: Numbers,
    passed: Numbers,
    now: int,
    shelf: ShelfArrays,
) -> Matrix:
    """The features of candidates (rows), a row each.

    firsts: their first-stage features; taken: rows that the shopper looked at, put into the cart or
    bought lately; passed: rows shown to the shopper and not clicked (below 0: not in the
    catalogue); now: epoch ms.
    """
    numbers, texts, count = shelf[7], shelf[8], shelf[9]
    first = firsts.shape[1]
    out = np.empty((len(rows), first + _OWN + A_TEXT * texts + count))
    for at in range(len(rows)):
        for column in range(first):
            out[at, column] = firsts[at, column]
    _plain(rows, taken, passed, now, shelf, first, out)
    _texts(rows, taken, passed, shelf, first + _OWN, out)
    start = first + _OWN + A_TEXT * texts
    for field in range(count):
        for at in range(len(rows)):
            out[at, start + field] = number_at(rows[at], numbers[field])
    return out
