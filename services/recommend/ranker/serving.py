"""The trained ranker as recommend ranks with it: trees, and chances out of their scores. Pure.

Takes the place of ranking.LinearRanker once a model version has the part `ranker`.
"""

from dataclasses import dataclass, field
from typing import Final, TypeAlias

import numpy as np

from services.recommend.arrays import NO_SCORES, Numbers, Scores
from services.recommend.candidates.first_stage import best_places
from services.recommend.candidates.own_numbers import session_rows
from services.recommend.candidates.pool import Pool
from services.recommend.candidates.pool_loops import FIRST
from services.recommend.compiled import compiled
from services.recommend.features import DEFAULT_WEIGHTS, Matrix
from services.recommend.features.filling import SHELF, ShelfArrays, fill
from services.recommend.ranker.calibration import Sigmoid
from services.recommend.ranker.training import places_of, trees_of
from services.recommend.ranker.trees import TREES, TreeArrays, Trees, paths, walk
from services.recommend.ranking import DIGITS, Ranked, Scene
from shared.decisions import ModelName
from shared.models.part import Part

Pooled: TypeAlias = tuple[Numbers, Matrix, Numbers, Numbers, Numbers]
"""Of a pool the rows, first-stage features and own numbers; rows by item number, order of ids."""
ODDS: Final = Sigmoid(1.0, 0.0)
"""Where nothing was fitted: the order is right, the chances are not."""


@dataclass(slots=True)
class TreeRanker:
    """Boosted trees over all features; the first stage stays the linear one.

    names: features by which the trees were trained; clicks, purchases: from scores to chances, the
    latter None where too little was bought to learn it.
    """

    name: ModelName
    trees: Trees
    names: tuple[str, ...]
    clicks: Sigmoid | None
    purchases: Sigmoid | None
    first_weights: Scores = field(
        default_factory=lambda: np.array([DEFAULT_WEIGHTS[name] for name in FIRST])
    )
    _columns: tuple[str, ...] | None = None
    _placed: TreeArrays | None = None

    @classmethod
    def of(cls, part: Part, name: ModelName) -> "TreeRanker":
        """Of what ranker/training.py left."""
        click, conversion = part.facts["click"], part.facts["conversion"]
        return cls(
            name,
            trees_of(part),
            tuple(part.facts["names"]),
            click and Sigmoid(*click),
            conversion and Sigmoid(*conversion),
        )

    @property
    def calibrated(self) -> bool:
        """Whether scores are chances of a click."""
        return self.clicks is not None

    def rank(self, pool: Pool, scene: Scene) -> Ranked:
        """See ranking.Ranker."""
        stock, shelf = scene.stock, scene.shelf
        known = shelf.arrays(stock.catalogue, scene.popularity.counts)
        slope, offset = self.clicks or ODDS
        bought = self.purchases or ODDS
        rows, features, scores, conversions = _rank(
            (pool.rows, pool.features, pool.own, stock.row_of, stock.id_order),
            scene.now,
            known,
            self._arrays(shelf.names),
            (slope, offset, bought.slope, bought.offset),
        )
        if self.purchases is None:
            conversions = NO_SCORES
        return Ranked(rows, shelf.names, features, scores, conversions, self._attribute)

    def conversion(self, ranked: Ranked) -> Scores:
        """See ranking.Ranker; chances of a click where nobody learned those of a purchase, which
        are in another scale and, as far as known, in the same order."""
        return ranked.conversions if len(ranked.conversions) else ranked.scores

    def _arrays(self, columns: tuple[str, ...]) -> TreeArrays:
        """The trees over these columns, placed anew where they are others than last time."""
        if self._placed is None or columns is not self._columns:
            placed = self.trees.placed(places_of(self.names, columns), {})
            self._columns, self._placed = columns, placed.arrays()
        return self._placed

    def _attribute(self, features: Matrix) -> Matrix:
        return paths(np.ascontiguousarray(features), self._arrays(self._columns or ()))


@compiled(
    "Tuple((int64[::1], float64[:, ::1], float64[::1], float64[::1]))(Tuple((int64[::1],"
    f" float64[:, ::1], int64[::1], int64[::1], int64[::1])), int64, {SHELF}, {TREES},"
    " UniTuple(float64, 4))"
)
def _rank(
    pooled: Pooled,
    now: int,
    shelf: ShelfArrays,
    trees: TreeArrays,
    sigmoids: tuple[float, float, float, float],
) -> tuple[Numbers, Matrix, Scores, Scores]:
    """Rows best first, and of each all features and the chances of a click and of a purchase."""
    rows, firsts, own, row_of, id_order = pooled
    click_slope, click_offset, slope, offset = sigmoids
    taken = session_rows(own, row_of)
    features = fill(rows, firsts, taken, np.empty(0, dtype=np.int64), now, shelf)
    scores = walk(features, trees)
    places = best_places(scores, rows, id_order, len(rows))
    clicks, conversions = np.empty(len(places)), np.empty(len(places))
    ordered = np.empty(features.shape)
    for at in range(len(places)):
        ordered[at] = features[places[at]]
        score = scores[places[at]]
        chance = 1.0 / (1.0 + np.exp(-(click_slope * score + click_offset)))
        clicks[at] = np.rint(chance * DIGITS) / DIGITS
        conversions[at] = 1.0 / (1.0 + np.exp(-(slope * score + offset)))
    return rows[places], ordered, clicks, conversions
