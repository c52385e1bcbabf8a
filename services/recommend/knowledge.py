"""What a decision is made of beside the request, and what comes of it.

The values that `pipeline` and `listing` work with. Pure.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from services.recommend.availability import Stock
from services.recommend.candidates.bought_together import Pairs
from services.recommend.candidates.neighbour_weights import NeighbourSettings
from services.recommend.candidates.pool import Pooling
from services.recommend.candidates.sessions import SessionIndex
from services.recommend.exploration import Posteriors
from services.recommend.features import Matrix
from services.recommend.features.shelf import Shelf
from services.recommend.objective import Worth
from services.recommend.popularity import Popularity
from services.recommend.ranking import Ranker
from shared.decisions import Fallback, Filtered, OfferedItem, decode_offers


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
    alike: tuple[str, ...] = ()
    shelf: Shelf = field(default_factory=Shelf)


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
    propensities are aligned with them; left: of a given list what may not be offered, and why."""

    offers: list[str]
    filtered: list[Filtered]
    fallback: Fallback
    features: Matrix | None
    propensities: list[float]
    sources: dict[str, int] = field(default_factory=dict)
    left: list[tuple[str, str]] = field(default_factory=list)
    moved: Matrix | None = None
    feature_names: list[str] = field(default_factory=list)

    @property
    def items(self) -> list[OfferedItem]:
        """The offers as objects."""
        return decode_offers(self.offers)
