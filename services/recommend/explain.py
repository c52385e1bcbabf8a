"""Why each item is offered: a code and the evidence that produced it.

Sixth step of `pipeline`. Pure. Evidence is the shopper's own events, a preference, or counts;
never another shopper.
"""

from dataclasses import dataclass
from typing import Any, Final

from services.recommend.candidates.affinity import Tastes
from services.recommend.candidates.bought_together import Pairs
from services.recommend.candidates.sessions import Neighbours, why_neighbours
from services.recommend.catalogue.index import Catalogue
from services.recommend.features import FEATURES
from services.recommend.popularity import Popularity, column_of, label_of
from services.recommend.ranking import Ranker
from services.recommend.situation import Situation
from shared.catalogue import OfferChanged
from shared.decisions import Reason

SIMILAR_SESSIONS: Final = "similar_sessions"
BOUGHT_TOGETHER: Final = "bought_together"
AFFINITY: Final = "affinity"
TRENDING: Final = "trending"
CONVERTS: Final = "converts_well"
CATALOGUE: Final = "catalogue"
EXPLORATION: Final = "exploration"
PROMOTION: Final = "promotion"

MOST_REASONS: Final = 2
_FIELDS: Final = {"category": "category", "brand": "brand", "price": "price_band"}
_COUNTED: Final = {"trend": TRENDING, "conversion": CONVERTS}
_NAMES: Final = tuple(FEATURES)
_PLACES: Final = range(len(_NAMES))


@dataclass(frozen=True, slots=True)
class Grounds:
    """What the sources found, beside the scores: the neighbours and the session they were asked
    for (item ids, as numbered), and item number → the anchor it goes with."""

    neighbours: Neighbours | None
    asked: list[int]
    causes: dict[int, int]
    tastes: Tastes


class Explainer:
    """Explains the items of one answer."""

    def __init__(
        self,
        situation: Situation,
        grounds: Grounds,
        pairs: Pairs,
        ids: list[str],
        popularity: Popularity,
    ) -> None:
        self._situation = situation
        self._grounds = grounds
        self._pairs = pairs
        self._ids = ids
        self._popularity = popularity

    def explain(
        self,
        ranker: Ranker,
        rows: list[int],
        numbers: list[int],
        features: list[list[float]],
        catalogue: Catalogue,
    ) -> list[list[Reason]]:
        """Reasons of each item (row, number and features side by side), the strongest first."""
        shared = self._shared(numbers)
        counts = self._popularity.evidence(rows)
        explained = []
        for place, values in enumerate(features):
            moved = ranker.contributions(values)
            reasons: list[Reason] = []
            for feature in sorted(_PLACES, key=moved.__getitem__, reverse=True)[:MOST_REASONS]:
                if moved[feature] <= 0.0:
                    break
                name = _NAMES[feature]
                if name == "session":
                    reasons.extend(self._similar(*shared[place]))
                elif name == "together":
                    reasons.extend(self._completes(numbers[place]))
                elif name in _FIELDS:
                    reasons.extend(self._liked(catalogue, rows, name, place))
                elif name in _COUNTED:
                    reasons.append(Reason(code=_COUNTED[name], evidence=counts[place]))
            explained.append(reasons or [Reason(code=CATALOGUE)])
        return explained

    def _shared(self, numbers: list[int]) -> list[tuple[int, int]]:
        if self._grounds.neighbours is None or not numbers:
            return [(0, 0)] * len(numbers)
        return why_neighbours(self._grounds.neighbours, numbers)

    def _similar(self, sessions: int, position: int) -> list[Reason]:
        if not sessions:
            return []
        item = self._ids[self._grounds.asked[position - 1]]
        evidence = {"events": self._events(item), "sessions": sessions}
        return [Reason(code=SIMILAR_SESSIONS, evidence=evidence)]

    def _completes(self, number: int) -> list[Reason]:
        anchor = self._grounds.causes.get(number)
        if anchor is None:
            return []
        orders = self._pairs.together(anchor, number)
        evidence = {"events": self._events(self._ids[anchor]), "orders": orders}
        return [Reason(code=BOUGHT_TOGETHER, evidence=evidence)]

    def _liked(
        self, catalogue: Catalogue, rows: list[int], feature: str, place: int
    ) -> list[Reason]:
        name = _FIELDS[feature]
        known = self._grounds.tastes.get(name, {})
        code = int(column_of(catalogue, name)[rows[place]])
        if code not in known:
            return []
        share = round(known[code] / (sum(known.values()) or 1), 3)
        evidence = {"field": name, "value": label_of(catalogue, name, code), "share": share}
        return [Reason(code=AFFINITY, evidence=evidence)]

    def _events(self, item: str) -> list[dict[str, Any]]:
        event = self._situation.events.get(item)
        return [event] if event is not None else []


def why_promoted(offer: OfferChanged) -> Reason:
    """A promotion holds for the item now."""
    evidence = {"offer": offer.offer, "title": offer.title, "percent_off": offer.percent_off}
    return Reason(code=PROMOTION, evidence=evidence)


def why_random(share: float) -> Reason:
    """The item was drawn by lot, for the holdout."""
    return Reason(code=EXPLORATION, evidence={"random_share": share})
