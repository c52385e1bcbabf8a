"""Why each item is offered: a code and the evidence that produced it.

Sixth step of `pipeline`. Pure. Evidence is the shopper's own events, a preference, or counts;
never another shopper.
"""

from typing import Any, Final, NamedTuple

import numpy as np

from services.recommend.arrays import Numbers
from services.recommend.candidates.affinity import Tastes
from services.recommend.candidates.bought_together import Pairs, cause_of
from services.recommend.candidates.sessions import Neighbours, why_neighbours
from services.recommend.catalogue.index import Catalogue
from services.recommend.compiled import compiled
from services.recommend.features import FEATURES, Matrix
from services.recommend.popularity import Popularity, column_of, label_of
from services.recommend.situation import Situation
from shared.catalogue import OfferChanged
from shared.decisions import Reason

SIMILAR_SESSIONS: Final = "similar_sessions"
RECENTLY_VIEWED: Final = "recently_viewed"
BOUGHT_TOGETHER: Final = "bought_together"
AFFINITY: Final = "affinity"
TRENDING: Final = "trending"
CONVERTS: Final = "converts_well"
CATALOGUE: Final = "catalogue"
EXPLORATION: Final = "exploration"
PROMOTION: Final = "promotion"

MOST_REASONS: Final = 2
_NOTHING: Final = -1
_NAMES: Final = tuple(FEATURES)
_SESSION: Final = _NAMES.index("session")
_TOGETHER: Final = _NAMES.index("together")
_COUNTED: Final = {_NAMES.index("trend"): TRENDING, _NAMES.index("conversion"): CONVERTS}
_FIELDS: Final = {
    _NAMES.index(name): field
    for name, field in (("category", "category"), ("brand", "brand"), ("price", "price_band"))
}
"""Of features, by place: the affinity field of a preference, the code of what is counted."""


class Grounds(NamedTuple):
    """What the sources found, beside the scores: the neighbours and the items they were asked
    for, the whole session and the anchors to complete, as item numbers."""

    neighbours: Neighbours | None
    asked: list[int]
    session: list[int]
    anchors: list[int]
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
        self._events: dict[int, list[dict[str, Any]]] = {}

    def explain(
        self,
        moved: Matrix,
        rows: list[int],
        numbers: list[int],
        catalogue: Catalogue,
    ) -> list[list[Reason]]:
        """Reasons of each item (row, number and how much each feature moved its score, side by
        side), the strongest first."""
        shared = self._shared(numbers)
        counted = self._popularity.reason
        explained = []
        for place, features in enumerate(_strongest(moved).tolist()):
            reasons: list[Reason] = []
            for feature in features:
                if feature == _NOTHING:
                    break
                reason: Reason | None
                if feature == _SESSION:
                    reason = self._similar(numbers[place], *shared[place])
                elif feature in _COUNTED:
                    reason = counted(_COUNTED[feature], rows[place])
                elif feature == _TOGETHER:
                    reason = self._completes(numbers[place])
                elif feature in _FIELDS:
                    reason = self._liked(catalogue, rows[place], _FIELDS[feature])
                else:
                    reason = None
                if reason is not None:
                    reasons.append(reason)
            explained.append(reasons or [Reason(code=CATALOGUE)])
        return explained

    def _shared(self, numbers: list[int]) -> list[tuple[int, int]]:
        if self._grounds.neighbours is None or not numbers:
            return [(0, 0)] * len(numbers)
        return why_neighbours(self._grounds.neighbours, numbers)

    def _similar(self, number: int, sessions: int, position: int) -> Reason | None:
        """What the shopper shares with such sessions, which is never the offered item itself."""
        if not sessions:
            return None
        if not position:
            return Reason(code=RECENTLY_VIEWED, evidence={"events": self._own(number)})
        events = self._own(self._grounds.asked[position - 1])
        return Reason(code=SIMILAR_SESSIONS, evidence={"events": events, "sessions": sessions})

    def _own(self, number: int) -> list[dict[str, Any]]:
        """The shopper's own event on an item."""
        known = self._events.get(number)
        if known is None:
            known = self._events[number] = self._situation.evidence(self._ids[number])
        return known

    def _completes(self, number: int) -> Reason | None:
        anchor = cause_of(self._pairs, self._grounds.anchors, number)
        if anchor is None:
            return None
        orders = self._pairs.together(anchor, number)
        return Reason(
            code=BOUGHT_TOGETHER, evidence={"events": self._own(anchor), "orders": orders}
        )

    def _liked(self, catalogue: Catalogue, row: int, name: str) -> Reason | None:
        known = self._grounds.tastes.get(name, {})
        code = int(column_of(catalogue, name)[row])
        if code not in known:
            return None
        share = round(known[code] / (sum(known.values()) or 1), 3)
        evidence = {"field": name, "value": label_of(catalogue, name, code), "share": share}
        return Reason(code=AFFINITY, evidence=evidence)


@compiled("int64[:, ::1](float64[:, ::1])")
def _strongest(moved: Matrix) -> Numbers:
    """By item the features that raised its score most, of equal ones the first named."""
    found = np.full((len(moved), MOST_REASONS), _NOTHING)
    for item in range(len(moved)):
        for place in range(MOST_REASONS):
            most = 0.0
            for feature in range(moved.shape[1]):
                value = moved[item, feature]
                if value > most and (place == 0 or feature != found[item, 0]):
                    most = value
                    found[item, place] = feature
    return found


def why_promoted(offer: OfferChanged) -> Reason:
    """A promotion holds for the item now."""
    evidence = {"offer": offer.offer, "title": offer.title, "percent_off": offer.percent_off}
    return Reason(code=PROMOTION, evidence=evidence)


def why_random(share: float) -> Reason:
    """The item was drawn by lot, for the holdout."""
    return Reason(code=EXPLORATION, evidence={"random_share": share})
