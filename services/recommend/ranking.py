"""Ranking: features times weights, ties by item id, and no feed of a single category.

Fifth step of `pipeline`. Pure. A learned ranker takes the place of the linear one by the same
two methods; the linear one stays what is fallen back on.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from services.recommend.arrays import Numbers, Scores
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


class Ranker(Protocol):
    """Whatever scores candidates by their features."""

    @property
    def name(self) -> ModelName: ...

    def score(self, features: Matrix) -> Scores: ...

    def contributions(self, features: Sequence[float]) -> list[float]:
        """How much each feature moved one item's score, in the order of FEATURES."""
        ...


@dataclass(frozen=True, slots=True)
class LinearRanker:
    """A weighted sum of the features."""

    name: ModelName
    weights: Mapping[str, float] = field(default_factory=lambda: DEFAULT_WEIGHTS)
    _vector: Scores = field(init=False)
    _list: list[float] = field(init=False)

    def __post_init__(self) -> None:
        weights = [float(self.weights.get(feature, 0.0)) for feature in FEATURES]
        object.__setattr__(self, "_list", weights)
        object.__setattr__(self, "_vector", np.array(weights))

    def score(self, features: Matrix) -> Scores:
        """One score a candidate."""
        return features @ self._vector

    def contributions(self, features: Sequence[float]) -> list[float]:
        """Feature times weight."""
        return [value * weight for value, weight in zip(features, self._list, strict=True)]


def best(scores: Scores, rows: Numbers, id_order: Numbers, limit: int) -> list[int]:
    """Places of the `limit` best candidates, best first; equal scores by item id."""
    places = np.arange(len(scores))
    if len(scores) > limit:
        threshold = np.partition(scores, len(scores) - limit)[len(scores) - limit]
        places = np.flatnonzero(scores >= threshold)
    order = np.lexsort((id_order[rows[places]], -scores[places]))[:limit]
    found: list[int] = places[order].tolist()
    return found


def spread(
    places: list[int],
    categories: NDArray[np.signedinteger[Any]],
    n: int,
) -> list[int]:
    """The n first of the ranked places, of one category at most MOST_OF_ONE_CATEGORY of them
    while others are left; whoever had to wait fills up what stays free."""
    most = max(2, math.ceil(n * MOST_OF_ONE_CATEGORY))
    taken: Counter[int] = Counter()
    chosen: list[int] = []
    waiting: list[int] = []
    for place, category in zip(places, categories[places].tolist(), strict=True):
        if len(chosen) == n:
            break
        if taken[category] < most or category < 0:
            taken[category] += 1
            chosen.append(place)
        else:
            waiting.append(place)
    return chosen + waiting[: n - len(chosen)]
