"""The loops from candidates to features, compiled; gathering.py calls them. What they mean
stands in pool.py, policy.py and features.py.
"""

from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from services.recommend.arrays import Codes, Numbers, Reasons, Scores
from services.recommend.compiled import compiled

MOST_CANDIDATES: Final = 1_000
MOST_REASONS: Final = 32
MOST_VALUES: Final = 8
"""Preferred values of one field that count."""
FIELDS: Final = 3
SESSION: Final = 0
TOGETHER: Final = 1
SEEN: Final = 2
SIMILAR: Final = 3
VECTOR: Final = 4
AGAIN: Final = 5
NEW: Final = 6
PROMOTED: Final = 7
SIGNALS: Final = 8
"""What sources say of a candidate, 0 where they did not find it: columns of `scores` below, whose
rows are the candidates', a line of the processor's cache each."""
NO_COLUMN: Final = -1
FIRST: Final = (
    "session",
    "together",
    "category",
    "brand",
    "price",
    "trend",
    "conversion",
    "seen",
    "similar",
    "vector",
    "again",
    "new",
)
"""The first stage's features, by column."""
WIDTH: Final = len(FIRST)

Bag: TypeAlias = tuple[Numbers, Numbers, Scores, Numbers, int]
"""Rows by item number; rows and signals of the candidates; by row where in the pool it was put
last; rows that count."""
ByRow: TypeAlias = tuple[Codes, Codes, NDArray[np.int8], Scores, Scores]
"""Category, brand, price band, trending, conversion."""
BY_ROW: Final = "Tuple((int32[::1], int32[::1], int8[::1], float64[::1], float64[::1]))"
BAG: Final = "Tuple((int64[::1], int64[::1], float64[:, ::1], int64[::1], int64))"


@compiled(f"int64(int64[::1], float64[::1], int64, {BAG}, int64)")
def add(found: Numbers, values: Scores, column: int, bag: Bag, count: int) -> int:
    """Adds candidates to the `count` in the bag: rows where no column, NEW or PROMOTED is theirs,
    else item numbers."""
    row_of, pooled, scores, place, size = bag
    for at in range(len(found)):
        row = found[at]
        if 0 <= column < NEW:
            row = row_of[row] if row < len(row_of) else -1
        if row < 0 or row >= size:
            continue
        where = place[row]
        if where >= count or pooled[where] != row:
            if count == len(pooled):
                continue
            where = count
            place[row] = where
            pooled[where] = row
            scores[where] = 0.0
            count += 1
        if column >= 0:
            scores[where, column] = max(scores[where, column], values[at])
    return count


@compiled(f"void(int64[::1], {BAG}, int64)")
def note(seen: Numbers, bag: Bag, count: int) -> None:
    """Marks the candidates that the shopper looked at (item numbers)."""
    row_of, pooled, scores, place, size = bag
    for at in range(len(seen)):
        row = row_of[seen[at]] if seen[at] < len(row_of) else -1
        if 0 <= row < size and place[row] < count and pooled[place[row]] == row:
            scores[place[row], SEEN] = 1.0


@compiled(
    "int64(int64[::1], float64[:, ::1], int64, uint8[::1], int64[:, ::1], uint8[::1], int64[::1],"
    " int64)"
)
def keep(
    pooled: Numbers,
    scores: Scores,
    count: int,
    general: Reasons,
    own_rules: Numbers,
    mark: Reasons,
    counts: Numbers,
    bought: int,
) -> int:
    """Keeps the candidates that neither `general` nor an own rule (rows and reasons, side by side;
    of two the later) withholds, and counts the others by reason. What was bought and is due again
    is not withheld for having been bought. `mark` is 0 before and after."""
    named, reasons = own_rules[0], own_rules[1]
    for at in range(len(named)):
        if named[at] < len(mark):
            mark[named[at]] = reasons[at]
    kept = 0
    for at in range(count):
        row = pooled[at]
        code = general[row] if general[row] != 0 else mark[row]
        if code == bought and scores[at, AGAIN] > 0.0:
            code = 0
        if code != 0:
            counts[code] += 1
            continue
        pooled[kept] = row
        if kept != at:
            scores[kept] = scores[at]
        kept += 1
    for at in range(len(named)):
        if named[at] < len(mark):
            mark[named[at]] = 0
    return kept


@compiled("float64[:, ::1](int64[::1])")
def shares(weights: Numbers) -> Scores:
    """Shares of the fields' values, behind a 0 for all other values."""
    shares = np.zeros((FIELDS, MOST_VALUES + 1))
    for name in range(FIELDS):
        total = 0
        for at in range(MOST_VALUES):
            total += weights[name * MOST_VALUES + at]
        total = total if total != 0 else 1
        for at in range(MOST_VALUES):
            shares[name, at + 1] = weights[name * MOST_VALUES + at] / total
    return shares


@compiled("float64(int64, int64, int64[::1], float64[:, ::1])")
def _share(code: int, name: int, codes: Numbers, shares: Scores) -> float:
    # no way out of the loop: which value matches cannot be foretold, and a wrong guess of the
    # processor's costs more than eight comparisons
    which = 0
    for at in range(MOST_VALUES):
        which += (at + 1) * (codes[name * MOST_VALUES + at] == code)
    return float(shares[name, which])


@compiled(
    f"float64[:, ::1](int64[::1], float64[:, ::1], int64, {BY_ROW}, int64[::1], float64[:, ::1])"
)
def fill(
    rows: Numbers, scores: Scores, count: int, by_row: ByRow, codes: Numbers, shares: Scores
) -> Scores:
    """The features of the kept candidates, a row each."""
    category, brand, price_band, trending, conversion = by_row
    # against the best of what is new to the shopper: neighbours name what was seen a moment ago
    # many times as strongly, and beside it all else would look alike
    greatest = 0.0
    for at in range(count):
        if scores[at, SEEN] == 0.0:
            greatest = max(greatest, scores[at, SESSION])
    features = np.empty((count, WIDTH))
    for at in range(count):
        row = rows[at]
        features[at, 0] = 0.0
        if scores[at, SESSION] > 0.0:
            features[at, 0] = min(scores[at, SESSION] / greatest, 1.0)
        features[at, 1] = scores[at, TOGETHER]
        features[at, 2] = _share(category[row], 0, codes, shares)
        features[at, 3] = _share(brand[row], 1, codes, shares)
        features[at, 4] = _share(price_band[row], 2, codes, shares)
        # items newer than these sums have no trend yet
        features[at, 5] = trending[row] if row < len(trending) else 0.0
        features[at, 6] = conversion[row] if row < len(trending) else 0.0
        features[at, 7] = scores[at, SEEN]
        for column in range(SIMILAR, PROMOTED):
            features[at, 5 + column] = scores[at, column]
    return features
