"""Ranking: features times weights, ties by item id.

Fifth step of `pipeline`. Pure. A learned ranker takes the place of the linear one by the same
method; the linear one stays what is fallen back on.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

import numpy as np

from services.recommend.arrays import Numbers, Scores
from services.recommend.asking import Ask
from services.recommend.availability import Stock
from services.recommend.candidates.first_stage import best_places
from services.recommend.candidates.pool import Pool, Shopper
from services.recommend.candidates.pool_loops import FIRST
from services.recommend.features import Matrix
from services.recommend.popularity import Popularity
from services.recommend.situation import Situation
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
    "similar": 0.5,
    "vector": 0.1,
    "again": 0.8,
    "new": 0.1,
}
"""Set by hand, for a shop whose decisions have taught nothing yet."""

DIGITS: Final = 1e6


class Scene(NamedTuple):
    """What the ranker may look at beside the pool: all of one decision but the draw."""

    situation: Situation
    shopper: Shopper
    stock: Stock
    popularity: Popularity
    ask: Ask
    now: int


class Ranked(NamedTuple):
    """Candidates, best first, side by side; scores: to 6 digits; moved: how much each feature
    moved each one's score."""

    rows: Numbers
    features: Matrix
    scores: Scores
    moved: Matrix

    def at(self, places: Numbers) -> "Ranked":
        """Those at the places, in that order."""
        return Ranked(
            self.rows[places], self.features[places], self.scores[places], self.moved[places]
        )


class Ranker(Protocol):
    """Whatever scores candidates by their features.

    first_weights: of the first stage (candidates/first_stage.py), by pool_loops.FIRST; calibrated:
    whether scores are chances of a click.
    """

    @property
    def name(self) -> ModelName: ...

    @property
    def first_weights(self) -> Scores: ...

    @property
    def calibrated(self) -> bool: ...

    def rank(self, pool: Pool, scene: Scene) -> Ranked:
        """All of the pool, best first, equal scores by item id."""
        ...

    def conversion(self, ranked: Ranked) -> Scores:
        """Of each the chance of a purchase, where scores are chances."""
        ...


@dataclass(frozen=True, slots=True)
class LinearRanker:
    """A weighted sum of the features, which is what the first stage made: candidates with the same
    features have the same score."""

    name: ModelName
    weights: Mapping[str, float] = field(default_factory=lambda: DEFAULT_WEIGHTS)
    first_weights: Scores = field(init=False)
    calibrated: bool = False

    def __post_init__(self) -> None:
        weights = [float(self.weights.get(feature, 0.0)) for feature in FIRST]
        object.__setattr__(self, "first_weights", np.array(weights))

    def rank(self, pool: Pool, scene: Scene) -> Ranked:
        """See Ranker."""
        places = best_places(pool.scores, pool.rows, scene.stock.id_order, len(pool.rows))
        features = pool.features[places]
        scores = np.rint(pool.scores[places] * DIGITS) / DIGITS
        return Ranked(pool.rows[places], features, scores, features * self.first_weights)

    def conversion(self, ranked: Ranked) -> Scores:
        """See Ranker; these scores are no chances."""
        return ranked.scores
