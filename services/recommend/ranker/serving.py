"""The trained ranker as recommend ranks with it: trees, and chances out of their scores. Pure.

Takes the place of ranking.LinearRanker once a model version has the part `ranker`.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from services.recommend.arrays import NO_SCORES, Numbers, Scores
from services.recommend.candidates.first_stage import best_places
from services.recommend.candidates.pool import Pool
from services.recommend.candidates.pool_loops import FIRST
from services.recommend.compiled import compiled
from services.recommend.features import DEFAULT_WEIGHTS, Matrix
from services.recommend.ranker.calibration import Sigmoid
from services.recommend.ranker.training import places_of, trees_of
from services.recommend.ranker.trees import TREES, TreeArrays, Trees, paths, walk
from services.recommend.ranking import DIGITS, Ranked, Scene, features_of
from shared.decisions import ModelName
from shared.models.part import Part

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
        features = features_of(pool, scene)
        columns = scene.shelf.names
        slope, offset = self.clicks or ODDS
        bought = self.purchases or ODDS
        places, scores, conversions = _rank(
            features,
            self._arrays(columns),
            pool.rows,
            scene.stock.id_order,
            (slope, offset, bought.slope, bought.offset),
        )
        if self.purchases is None:
            conversions = NO_SCORES
        rows = pool.rows[places]
        return Ranked(rows, columns, features[places], scores, conversions, self._attribute)

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
    f"Tuple((int64[::1], float64[::1], float64[::1]))(float64[:, ::1], {TREES}, int64[::1],"
    " int64[::1], UniTuple(float64, 4))"
)
def _rank(
    features: Matrix,
    trees: TreeArrays,
    rows: Numbers,
    id_order: Numbers,
    sigmoids: tuple[float, float, float, float],
) -> tuple[Numbers, Scores, Scores]:
    """Places best first, and there the chances of a click and of a purchase."""
    click_slope, click_offset, slope, offset = sigmoids
    scores = walk(features, trees)
    places = best_places(scores, rows, id_order, len(rows))
    clicks, conversions = np.empty(len(places)), np.empty(len(places))
    for at in range(len(places)):
        score = scores[places[at]]
        chance = 1.0 / (1.0 + np.exp(-(click_slope * score + click_offset)))
        clicks[at] = np.rint(chance * DIGITS) / DIGITS
        conversions[at] = 1.0 / (1.0 + np.exp(-(slope * score + offset)))
    return places, clicks, conversions
