"""What a decision is made of beside the request, and what comes of it.

The values that `pipeline` and `listing` work with. Pure.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from services.recommend.availability import Stock
from services.recommend.candidates.bought_together import Pairs
from services.recommend.candidates.intervals import Intervals
from services.recommend.candidates.neighbour_weights import NeighbourSettings
from services.recommend.candidates.newcomers import Newcomers
from services.recommend.candidates.pool import Pooling
from services.recommend.candidates.sessions import SessionIndex
from services.recommend.exploration import Posteriors
from services.recommend.features import Matrix
from services.recommend.features.shelf import Shelf
from services.recommend.numbers import NO_ITEM
from services.recommend.objective import Worth
from services.recommend.popularity import Popularity
from services.recommend.ranking import Ranker
from services.recommend.similar.model import Similar
from services.recommend.vectors.model import Vectors
from shared.decisions import Fallback, Filtered, ModelName, OfferedItem, decode_offers

REFRESH_MS: Final = 1_000
MOST_COVERED: Final = 10
NEWNESS_MS: Final = 600_000
"""After how long an item that has not changed is less new."""


@dataclass(slots=True)
class Knowledge:
    """All that offers are decided with beside the request; parts are replaced whole.

    alike: fields, beside category and brand, by which items count as alike (diversity.py).
    """

    stock: Stock
    sessions: SessionIndex
    pairs: Pairs
    popularity: Popularity
    ranker: Ranker
    neighbours: NeighbourSettings = field(default_factory=NeighbourSettings)
    pooling: Pooling = field(default_factory=Pooling)
    posteriors: Posteriors = field(default_factory=Posteriors)
    worth: Worth = field(default_factory=Worth)
    vectors: Vectors = field(default_factory=Vectors)
    similar: Similar = field(default_factory=Similar)
    intervals: Intervals = field(default_factory=Intervals)
    newcomers: Newcomers = field(default_factory=Newcomers)
    alike: tuple[str, ...] = ()
    shelf: Shelf = field(default_factory=Shelf)
    _refreshed: int = -REFRESH_MS
    _covered: int = 0
    _covering: Vectors | None = None

    def refresh(self, moment: "Moment") -> None:
        """Follow the catalogue in what is derived from all of it, at most REFRESH_MS behind."""
        if 0 <= moment.real_ms - self._refreshed < REFRESH_MS:
            return
        self._refreshed = moment.real_ms
        self.worth.refresh(self.stock.catalogue)
        self.newcomers.refresh(self.stock.catalogue, moment.now, NEWNESS_MS)
        self._cover()

    def _cover(self) -> None:
        """Give items that came after training a vector, some at a time since requests wait."""
        if self._covering is not self.vectors:
            self._covering, self._covered = self.vectors, 0
        stock, known = self.stock, self.vectors.known
        if not len(self.vectors.labels.names) or self._covered >= stock.size:
            return
        numbers = stock.number_of[self._covered : stock.size]
        missing = np.flatnonzero(~known[np.where(numbers < len(known), numbers, NO_ITEM)])
        for row in (missing[:MOST_COVERED] + self._covered).tolist():
            item = stock.catalogue.item(stock.catalogue.ids[row])
            if item is not None:
                self.vectors.cover(int(stock.number_of[row]), item)
        self.similar.cover(numbers[missing[:MOST_COVERED]], self.vectors)
        left = missing[MOST_COVERED:]
        self._covered = self._covered + int(left[0]) if len(left) else stock.size


@dataclass(frozen=True, slots=True)
class Moment:
    """When and for which draw: business ms, real ms, the decision's id, and whether there is no
    time left for another source of candidates."""

    now: int
    real_ms: int
    decision_id: str
    late: Callable[[], bool]


@dataclass(slots=True)
class Choice:
    """The decision's outcome. offers: each item in JSON (shared.decisions.OfferedItem), best first;
    features (a row each, by feature_names), how much each moved the score (of the ranked) and
    propensities are aligned with them; left: of a given list what may not be offered, and why;
    model: what ranked them, None for the ranker in force."""

    offers: list[str]
    filtered: list[Filtered]
    fallback: Fallback
    features: Matrix | None
    propensities: list[float]
    sources: dict[str, int] = field(default_factory=dict)
    left: list[tuple[str, str]] = field(default_factory=list)
    moved: Matrix | None = None
    feature_names: list[str] = field(default_factory=list)
    model: ModelName | None = None

    @property
    def items(self) -> list[OfferedItem]:
        """The offers as objects."""
        return decode_offers(self.offers)
