"""What a decision is made of beside the request, and what comes of it.

The values that `pipeline` and `listing` work with. Pure.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

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
COVER_MS: Final = 100
"""How often an item that came after training is given a vector, as long as there are any."""
MOST_COVERED: Final = 10
"""So many at once after a time without requests."""
LOOKED_THROUGH: Final = 4_096
"""Rows looked through for such an item at once."""
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
    _covered_at: int = -COVER_MS
    _covered: int = 0
    _covering: Vectors | None = None

    def prepare(self) -> None:
        """Make what the first requests would wait for: columns of item fields take 0.6 s for
        100,000 items, room for what training did not know 30 ms for 10,000."""
        self.shelf.arrays(self.stock.catalogue, self.popularity.counts)
        self.vectors.make_room(len(self.stock.numbers))
        self.similar.make_room(len(self.stock.numbers))

    def refresh(self, moment: "Moment") -> None:
        """Follow the catalogue in what is derived from all of it, at most REFRESH_MS behind."""
        passed = moment.real_ms - self._covered_at
        if not 0 <= passed < COVER_MS:
            self._covered_at = moment.real_ms
            for _ in range(MOST_COVERED if passed < 0 else min(passed // COVER_MS, MOST_COVERED)):
                self._cover()
        if 0 <= moment.real_ms - self._refreshed < REFRESH_MS:
            return
        self._refreshed = moment.real_ms
        self.worth.refresh(self.stock.catalogue)
        self.newcomers.refresh(self.stock.catalogue, moment.now, NEWNESS_MS)

    def _cover(self) -> None:
        """Give the next item that came after training a vector and those like it."""
        if self._covering is not self.vectors:
            self._covering, self._covered = self.vectors, 0
        stock, known = self.stock, self.vectors.known
        first = self._covered
        if not len(self.vectors.labels.names) or first >= stock.size:
            return
        numbers = stock.number_of[first : min(first + LOOKED_THROUGH, stock.size)]
        missing = np.flatnonzero(~known[np.where(numbers < len(known), numbers, NO_ITEM)])
        if not len(missing):
            self._covered += len(numbers)
            return
        at = int(missing[0])
        self._covered += at + 1
        item = stock.catalogue.item(stock.catalogue.ids[first + at])
        if item is not None:
            self.vectors.cover(int(numbers[at]), item)
            self.similar.cover(numbers[at : at + 1], self.vectors)


class Moment(NamedTuple):
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
