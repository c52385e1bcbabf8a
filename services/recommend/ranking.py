"""Ranking: features times weights, ties by item id.

Fifth step of `pipeline`. Pure. A learned ranker takes the place of the linear one by the same
method; the linear one stays what is fallen back on.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

import numpy as np

from services.recommend.arrays import NO_NUMBERS, NO_SCORES, Numbers, Scores
from services.recommend.asking import Ask
from services.recommend.availability import Stock
from services.recommend.candidates.first_stage import best_places
from services.recommend.candidates.own_numbers import session_rows
from services.recommend.candidates.pool import Pool, Shopper
from services.recommend.candidates.pool_loops import FIRST
from services.recommend.features import DEFAULT_WEIGHTS, Matrix
from services.recommend.features.filling import fill
from services.recommend.features.shelf import Shelf
from services.recommend.popularity import Popularity
from services.recommend.situation import Situation
from shared.decisions import ModelName

DIGITS: Final = 1e6


class Scene(NamedTuple):
    """What the ranker may look at beside the pool: all of one decision but the draw."""

    situation: Situation
    shopper: Shopper
    stock: Stock
    popularity: Popularity
    ask: Ask
    now: int
    shelf: Shelf


class Ranked(NamedTuple):
    """Candidates, best first, side by side; names: of the features; scores: to 6 digits;
    conversions: chances of a purchase, empty where nobody learned them; attribute: gives what each
    feature moved of each row's score."""

    rows: Numbers
    names: tuple[str, ...]
    features: Matrix
    scores: Scores
    conversions: Scores
    attribute: Callable[[Matrix], Matrix]

    def at(self, places: Numbers) -> "Ranked":
        """Those at the places, in that order."""
        conversions = self.conversions.take(places) if len(self.conversions) else NO_SCORES
        return Ranked(
            self.rows.take(places),
            self.names,
            self.features.take(places, axis=0),
            self.scores.take(places),
            conversions,
            self.attribute,
        )

    @property
    def moved(self) -> Matrix:
        """How much each feature moved each one's score. Computed when it is asked for, since it
        costs as much as ranking: ask for what is shown alone."""
        return self.attribute(self.features)


def features_of(pool: Pool, scene: Scene) -> Matrix:
    """All features of the pool's candidates, a row each, by the names of the scene's shelf."""
    taken = session_rows(pool.own, scene.stock.row_of)
    arrays = scene.shelf.arrays(scene.stock.catalogue, scene.popularity.counts)
    return fill(pool.rows, pool.features, taken, NO_NUMBERS, scene.now, arrays)


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
        features = features_of(pool, scene)
        places = best_places(pool.scores, pool.rows, scene.stock.id_order, len(pool.rows))
        scores = np.rint(pool.scores[places] * DIGITS) / DIGITS
        rows, names = pool.rows[places], scene.shelf.names
        return Ranked(rows, names, features[places], scores, NO_SCORES, self._attribute)

    def conversion(self, ranked: Ranked) -> Scores:
        """See Ranker; these scores are no chances."""
        return ranked.scores

    def _attribute(self, features: Matrix) -> Matrix:
        moved = np.zeros_like(features)
        moved[:, : len(FIRST)] = features[:, : len(FIRST)] * self.first_weights
        return moved
