"""The ranker's features: computed once, at decision time, and logged.

Fourth step of `pipeline`. Pure. Each is one number a candidate, in [0, 1] unless it says
otherwise; what a model was trained on is named in FEATURES, in that order.
"""

from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from services.recommend.arrays import Codes, Numbers, Scores
from services.recommend.candidates.affinity import MOST_VALUES, Tastes
from services.recommend.candidates.pool import SCORED, SEEN, Pool
from services.recommend.catalogue.index import Catalogue
from services.recommend.compiled import compiled
from services.recommend.popularity import Popularity

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

SESSION_VOTES: Final = SCORED.index("session")
COSINES: Final = SCORED.index("together")
_NO_CODES: Final = [-2] * MOST_VALUES
_NO_SHARES: Final = [0.0] * (MOST_VALUES + 1)
_WIDTH: Final = len(FEATURES)


@dataclass(frozen=True, slots=True)
class Candidates:
    """What features are computed of: the pool and the shopper's tastes."""

    pool: Pool
    tastes: Tastes
    catalogue: Catalogue
    popularity: Popularity


def compute(candidates: Candidates) -> Matrix:
    """The features of the pool's candidates, in the order of FEATURES."""
    pool, columns, popularity = candidates.pool, candidates.catalogue.columns, candidates.popularity
    codes, shares = _preferences(candidates.tastes)
    return _fill(
        pool.rows,
        pool.scores,
        pool.count,
        columns.category,
        columns.brand,
        columns.price_band,
        codes,
        shares,
        popularity.trending,
        popularity.conversion,
    )


def _preferences(tastes: Tastes) -> tuple[Numbers, Matrix]:
    """For each of PREFERENCES the codes preferred, padded with codes that no item has, and
    their shares, behind a 0 for all other codes."""
    codes: list[int] = []
    shares: list[float] = []
    for name in PREFERENCES:
        known = tastes.get(name)
        if not known:
            codes += _NO_CODES
            shares += _NO_SHARES
            continue
        total = sum(known.values()) or 1
        codes += known
        codes += _NO_CODES[len(known) :]
        shares.append(0.0)
        shares += [weight / total for weight in known.values()]
        shares += _NO_SHARES[len(known) + 1 :]
    count = len(PREFERENCES)
    return np.array(codes, dtype=np.int64).reshape(count, -1), np.array(shares).reshape(count, -1)


@compiled("float64(int64, int64, int64[:, ::1], float64[:, ::1])")
def _share(code: int, name: int, codes: Numbers, shares: Matrix) -> float:
    # no way out of the loop: which value matches cannot be foretold, and a wrong guess of the
    # processor's costs more than eight comparisons
    which = 0
    for at in range(MOST_VALUES):
        which += (at + 1) * (codes[name, at] == code)
    return float(shares[name, which])


@compiled(
    "float64[:, ::1](int64[::1], float64[:, ::1], int64, int32[::1], int32[::1], int8[::1],"
    " int64[:, ::1], float64[:, ::1], float64[::1], float64[::1])"
)
def _fill(
    rows: Numbers,
    scores: Matrix,
    count: int,
    category: Codes,
    brand: Codes,
    price_band: NDArray[np.int8],
    codes: Numbers,
    shares: Matrix,
    trending: Scores,
    conversion: Scores,
) -> Matrix:
    greatest = 0.0
    for at in range(count):
        greatest = max(greatest, scores[SESSION_VOTES, at])
    features = np.zeros((count, _WIDTH))
    for at in range(count):
        row = rows[at]
        if greatest > 0.0:
            features[at, 0] = scores[SESSION_VOTES, at] / greatest
        features[at, 1] = scores[COSINES, at]
        features[at, 2] = _share(category[row], 0, codes, shares)
        features[at, 3] = _share(brand[row], 1, codes, shares)
        features[at, 4] = _share(price_band[row], 2, codes, shares)
        # items newer than these sums have no trend yet
        if row < len(trending):
            features[at, 5] = trending[row]
            features[at, 6] = conversion[row]
        features[at, 7] = scores[SEEN, at]
    return features


def as_records(features: Matrix | None, count: int) -> list[dict[str, Any]]:
    """Features by name, of `count` items of which the first have a row."""
    rows = [] if features is None else features.tolist()
    named = [dict(zip(FEATURES, row, strict=True)) for row in rows]
    return named + [{} for _ in range(count - len(named))]
