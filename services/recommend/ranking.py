"""Ranking: features times weights, ties by item id, and no feed of a single category.

Fifth step of `pipeline`. Pure. A learned ranker takes the place of the linear one by the same
method; the linear one stays what is fallen back on.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

import numpy as np

from services.recommend.arrays import Codes, Numbers, Scores
from services.recommend.compiled import compiled
from services.recommend.features import FEATURES, Matrix
from shared.decisions import ModelName

DEFAULT_WEIGHTS: Final = {
    "session": 1.0,
    "together": 1.0,
    "category": 0.5,
    "brand": 0.3,
    "price": 0.2,
    "trend": 0.3,
    "conversion": 0.2,
    "seen": -0.3,
}
"""Set by hand, for a shop whose decisions have taught nothing yet."""

MOST_OF_ONE_CATEGORY: Final = 0.6
DIGITS: Final = 1e6
RANKED: Final = 3
"""Candidates ranked for each that is offered: as far as another category is looked for."""


class Shown(NamedTuple):
    """The chosen candidates, best first, side by side; scores: to 6 digits; moved: how much each
    feature moved each one's score."""

    rows: Numbers
    features: Matrix
    scores: Scores
    moved: Matrix


class Ranker(Protocol):
    """Whatever scores candidates by their features and chooses the best."""

    @property
    def name(self) -> ModelName: ...

    def choose(
        self, rows: Numbers, features: Matrix, id_order: Numbers, categories: Codes, n: int
    ) -> Shown:
        """The n candidates to offer, best first, equal scores by item id.

        Of one category at most MOST_OF_ONE_CATEGORY while the best RANKED x n hold others; whoever
        had to wait fills up what stays free. rows, features: side by side; id_order, categories:
        by row.
        """
        ...


@dataclass(frozen=True, slots=True)
class LinearRanker:
    """A weighted sum of the features: candidates with the same features have the same score."""

    name: ModelName
    weights: Mapping[str, float] = field(default_factory=lambda: DEFAULT_WEIGHTS)
    _vector: Scores = field(init=False)

    def __post_init__(self) -> None:
        weights = [float(self.weights.get(feature, 0.0)) for feature in FEATURES]
        object.__setattr__(self, "_vector", np.array(weights))

    def choose(
        self, rows: Numbers, features: Matrix, id_order: Numbers, categories: Codes, n: int
    ) -> Shown:
        """See Ranker."""
        most = max(2, math.ceil(n * MOST_OF_ONE_CATEGORY))
        vector = self._vector
        return Shown(*_choose(rows, features, vector, id_order, categories, n, most, RANKED * n))


@compiled("float64[::1](float64[:, ::1], float64[::1])")
def _weigh(features: Matrix, weights: Scores) -> Scores:
    # not a matrix product: that adds up in another order where its vectors of numbers end
    scores = np.empty(len(features), dtype=np.float64)
    for at in range(len(features)):
        total = 0.0
        for column in range(len(weights)):
            total += features[at, column] * weights[column]
        scores[at] = total
    return scores


@compiled("int64[::1](float64[::1], int64[::1], int64[::1], int64)")
def _best(scores: Scores, rows: Numbers, id_order: Numbers, limit: int) -> Numbers:
    best = np.empty(min(limit, len(scores)), dtype=np.int64)
    held = 0
    for place in range(len(scores)):
        score, order = scores[place], id_order[rows[place]]
        at = held
        while at > 0:
            other = best[at - 1]
            if score < scores[other]:
                break
            if score == scores[other] and order > id_order[rows[other]]:
                break
            if at < len(best):
                best[at] = other
            at -= 1
        if at < len(best):
            best[at] = place
            held = min(held + 1, len(best))
    return best


@compiled("int64[::1](int64[::1], int64[::1], int32[::1], int64, int64)")
def _spread(ranked: Numbers, rows: Numbers, categories: Codes, n: int, most: int) -> Numbers:
    chosen = np.empty(min(n, len(ranked)), dtype=np.int64)
    waiting = np.empty(len(ranked), dtype=np.int64)
    size = waits = 0
    for place in ranked:
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


@compiled(
    "Tuple((int64[::1], float64[:, ::1], float64[::1], float64[:, ::1]))(int64[::1],"
    " float64[:, ::1], float64[::1], int64[::1], int32[::1], int64, int64, int64)"
)
def _choose(
    rows: Numbers,
    features: Matrix,
    weights: Scores,
    id_order: Numbers,
    categories: Codes,
    n: int,
    most: int,
    limit: int,
) -> tuple[Numbers, Matrix, Scores, Matrix]:
    scores = _weigh(features, weights)
    places = _spread(_best(scores, rows, id_order, limit), rows, categories, n, most)
    shown = np.empty(len(places))
    chosen = np.empty((len(places), features.shape[1]))
    moved = np.empty((len(places), features.shape[1]))
    for at in range(len(places)):
        shown[at] = np.rint(scores[places[at]] * DIGITS) / DIGITS
        chosen[at] = features[places[at]]
        moved[at] = features[places[at]] * weights
    return rows[places], chosen, shown, moved
