"""Candidates of all sources as one pool: each item once, allowed by the policy, with features.

The fourth step of `pipeline` after the sources; the loops are compiled (pool_loops.py).
"""

from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np

from services.recommend.arrays import Numbers, Reasons, Scores, grown
from services.recommend.availability import Availability, Stock
from services.recommend.candidates.affinity import Tastes
from services.recommend.candidates.pool_loops import MOST_VALUES, gather
from services.recommend.features import PREFERENCES, Matrix
from services.recommend.policy import Rules
from services.recommend.popularity import Popularity

_NO_CODES: Final = [-2] * MOST_VALUES
_NO_WEIGHTS: Final = [0] * MOST_VALUES


class Found(NamedTuple):
    """What the sources found, the most personal first. `alike` and `together` are item numbers,
    each with a score of which the highest of an item counts; `liked` and `trending` are rows."""

    alike: Numbers
    votes: Scores
    together: Numbers
    cosines: Scores
    liked: Numbers
    trending: Numbers

    @property
    def personal(self) -> bool:
        """Whether there is more than what everybody gets."""
        return bool(len(self.alike) or len(self.together) or len(self.liked))

    def counts(self) -> dict[str, int]:
        """How many each source found."""
        return {
            "session": len(self.alike),
            "together": len(self.together),
            "affinity": len(self.liked),
            "trending": len(self.trending),
        }


class Pool(NamedTuple):
    """Rows that may be offered, each once, in the order found; their features, a row each; and
    how many candidates each reason code withheld."""

    rows: Numbers
    features: Matrix
    withheld: dict[int, int]


@dataclass(slots=True)
class Pooling:
    """Makes the pool of one request after another. `place` is scratch by row: where in the pool a
    row was put last. What it holds of earlier requests is told by the pool, which has another row
    there. `mark`: scratch by row, 0 between requests."""

    place: Numbers = field(default_factory=lambda: np.zeros(64, dtype=np.int64))
    mark: Reasons = field(default_factory=lambda: np.zeros(64, dtype=np.uint8))

    def collect(
        self,
        found: Found,
        stock: Stock,
        available: Availability,
        popularity: Popularity,
        seen: list[int],
        rules: Rules,
        tastes: Tastes,
    ) -> Pool:
        """One pool out of what the sources found, at most MOST_CANDIDATES, without what must not
        be offered: what `available` (for everybody) or `rules` (of the shopper's own; of two on
        one row the later) withholds. `seen`: items whose feature of that name is 1."""
        general = available.codes
        if len(general) > len(self.place) or len(general) > len(self.mark):
            self.place = grown(self.place, len(general))
            self.mark = grown(self.mark, len(general))
        columns = stock.catalogue.columns
        rows, features, counts = gather(
            found.alike,
            found.votes,
            found.together,
            found.cosines,
            found.liked,
            found.trending,
            _own(seen, rules, tastes),
            len(seen),
            len(rules.rows),
            stock.row_of,
            general,
            self.place,
            self.mark,
            columns.category,
            columns.brand,
            columns.price_band,
            popularity.trending,
            popularity.conversion,
        )
        withheld = {code: count for code, count in enumerate(counts.tolist()) if count}
        return Pool(rows, features, withheld)


def _own(seen: list[int], rules: Rules, tastes: Tastes) -> Numbers:
    """All that concerns the shopper alone, as `gather` takes it: one array costs less than five."""
    own = [*seen, *rules.rows, *rules.codes]
    weights: list[int] = []
    for name in PREFERENCES:
        known = tastes.get(name)
        if not known:
            own += _NO_CODES
            weights += _NO_WEIGHTS
            continue
        own += known
        own += _NO_CODES[len(known) :]
        weights += known.values()
        weights += _NO_WEIGHTS[len(known) :]
    own += weights
    return np.array(own, dtype=np.int64)
