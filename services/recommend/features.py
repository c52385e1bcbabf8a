"""The ranker's features, one function each: computed once, at decision time, and logged.

Fourth step of `pipeline`. Pure. A feature takes the candidates and gives one number each, in
[0, 1] unless it says otherwise; what a model was trained on is named in FEATURES, in that order.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from services.recommend.arrays import NO_SCORES, Numbers, Scores
from services.recommend.candidates.affinity import Tastes
from services.recommend.candidates.pool import Pool
from services.recommend.catalogue.index import Catalogue
from services.recommend.popularity import Popularity, column_of

Matrix: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Candidates:
    """What features are computed of: the pool and the shopper's tastes."""

    pool: Pool
    tastes: Tastes
    catalogue: Catalogue
    popularity: Popularity


Feature: TypeAlias = Callable[[Candidates], "Scores | float"]


def session(candidates: Candidates) -> Scores | float:
    """Votes of sessions like this one, relative to the best candidate's."""
    votes = candidates.pool.scores.get("session", NO_SCORES)
    greatest = votes.max() if len(votes) else 0.0
    return votes / greatest if greatest > 0.0 else 0.0


def together(candidates: Candidates) -> Scores | float:
    """Cosine of being in one order with what the shopper has or just bought."""
    column = candidates.pool.scores.get("together", NO_SCORES)
    return column if len(column) else 0.0


def category(candidates: Candidates) -> Scores | float:
    """Share of the item's category in the shopper's preferences."""
    return _preference(candidates, "category")


def brand(candidates: Candidates) -> Scores | float:
    """Share of the item's brand in the shopper's preferences."""
    return _preference(candidates, "brand")


def price(candidates: Candidates) -> Scores | float:
    """Share of the item's price band in the shopper's preferences."""
    return _preference(candidates, "price_band")


def trend(candidates: Candidates) -> Scores | float:
    """How much the item is wanted now, logarithmic, relative to the most wanted."""
    return _by_row(candidates.popularity.trending, candidates.pool.rows)


def conversion(candidates: Candidates) -> Scores | float:
    """Purchases a view, smoothed, against the shop's average."""
    return _by_row(candidates.popularity.conversion, candidates.pool.rows)


def seen(candidates: Candidates) -> Scores | float:
    """1 for what the shopper looked at lately and did not buy."""
    column = candidates.pool.scores.get("seen", NO_SCORES)
    return column if len(column) else 0.0


FEATURES: Final[dict[str, Feature]] = {
    feature.__name__: feature
    for feature in (session, together, category, brand, price, trend, conversion, seen)
}


def compute(candidates: Candidates) -> Matrix:
    """One row a candidate, one column a feature, in the order of FEATURES."""
    matrix = np.empty((len(FEATURES), len(candidates.pool.rows)))
    for place, feature in enumerate(FEATURES.values()):
        matrix[place] = feature(candidates)
    return matrix.T


def _by_row(column: Scores, rows: Numbers) -> Scores | float:
    size = len(column)
    if not size:
        return 0.0
    if not len(rows) or int(rows.max()) < size:
        return column[rows]
    values = np.zeros(len(rows))
    inside = rows < size
    values[inside] = column[rows[inside]]
    return values


def _preference(candidates: Candidates, name: str) -> Scores | float:
    known = candidates.tastes.get(name)
    if not known:
        return 0.0
    codes = column_of(candidates.catalogue, name)[candidates.pool.rows]
    # the last entry stays 0: it is what code NONE (-1) and codes beyond the table read
    table = np.zeros(max(known) + 2)
    table[list(known)] = list(known.values())
    total = sum(known.values()) or 1
    shares: Scores = table[np.minimum(codes, len(table) - 1)] / total
    return shares
