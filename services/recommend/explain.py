"""Why each item is offered: a code and the evidence that produced it.

Sixth step of `pipeline`. Pure. Evidence is the shopper's own events, a preference, or counts;
never another shopper.
"""

from typing import Any, Final

import numpy as np

from services.recommend.candidates.bought_together import Pairs
from services.recommend.candidates.pool import Pool, Shopper
from services.recommend.candidates.sessions import SessionIndex
from services.recommend.catalogue.index import Catalogue
from services.recommend.features import FEATURES
from services.recommend.grounds import NOTHING, SESSION, TOGETHER, WIDTH, ground
from services.recommend.popularity import Popularity, column_of, label_of
from services.recommend.ranking import Shown
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

_NAMES: Final = tuple(FEATURES)
_COUNTED: Final = {_NAMES.index("trend"): TRENDING, _NAMES.index("conversion"): CONVERTS}
_FIELDS: Final = {
    _NAMES.index(name): field
    for name, field in (("category", "category"), ("brand", "brand"), ("price", "price_band"))
}
"""Of features, by place: the affinity field of a preference, the code of what is counted."""
_UNKNOWN: Final = [Reason(code=CATALOGUE)]


class Explainer:
    """Explains the items of one answer. `ids`: items by number."""

    def __init__(
        self,
        situation: Situation,
        shopper: Shopper,
        pairs: Pairs,
        ids: list[str],
        popularity: Popularity,
        catalogue: Catalogue,
    ) -> None:
        self._situation = situation
        self._shopper = shopper
        self._pairs = pairs
        self._ids = ids
        self._popularity = popularity
        self._catalogue = catalogue
        self._events: dict[int, list[dict[str, Any]]] = {}
        self._likes: dict[tuple[int, int], Reason | None] = {}

    def explain(
        self, shown: Shown, pool: Pool, sessions: SessionIndex, numbers: list[int], rows: list[int]
    ) -> list[list[Reason]]:
        """Reasons of each item (number and row, side by side), the strongest first."""
        found = ground(
            shown.moved,
            np.array(numbers, dtype=np.int64),
            pool.neighbours,
            np.array(self._shopper.asked, dtype=np.int64),
            np.array(self._shopper.partners, dtype=np.int64),
            sessions.arrays(),
            self._pairs.lists.arrays(),
        ).tolist()
        counted, reason_for = self._popularity.reason, self._reason
        explained = []
        for number, row, grounds in zip(numbers, rows, found, strict=True):
            reasons: list[Reason] = []
            for at in range(0, len(grounds), WIDTH):
                feature = grounds[at]
                if feature == NOTHING:
                    continue
                code = _COUNTED.get(feature)
                reason = (
                    reason_for(feature, number, row, grounds[at + 1], grounds[at + 2])
                    if code is None
                    else counted(code, row)
                )
                if reason is not None:
                    reasons.append(reason)
            explained.append(reasons or _UNKNOWN)
        return explained

    def _reason(self, feature: int, number: int, row: int, one: int, other: int) -> Reason | None:
        if feature == SESSION:
            return self._similar(number, one, other)
        if feature == TOGETHER:
            return self._completes(number, self._shopper.anchors[one])
        return self._liked(feature, row) if feature in _FIELDS else None

    def _similar(self, number: int, sessions: int, position: int) -> Reason:
        """What the shopper shares with such sessions, which is never the offered item itself."""
        if not position:
            return Reason(code=RECENTLY_VIEWED, evidence={"events": self._own(number)})
        events = self._own(self._shopper.asked[position - 1])
        return Reason(code=SIMILAR_SESSIONS, evidence={"events": events, "sessions": sessions})

    def _own(self, number: int) -> list[dict[str, Any]]:
        """The shopper's own event on an item."""
        known = self._events.get(number)
        if known is None:
            known = self._events[number] = self._situation.evidence(self._ids[number])
        return known

    def _completes(self, number: int, anchor: int) -> Reason:
        orders = self._pairs.together(anchor, number)
        return Reason(
            code=BOUGHT_TOGETHER, evidence={"events": self._own(anchor), "orders": orders}
        )

    def _liked(self, feature: int, row: int) -> Reason | None:
        name = _FIELDS[feature]
        code = int(column_of(self._catalogue, name)[row])
        if (feature, code) in self._likes:
            return self._likes[feature, code]
        known = self._shopper.tastes.get(name, {})
        reason = None
        if code in known:
            share = round(known[code] / (sum(known.values()) or 1), 3)
            value = label_of(self._catalogue, name, code)
            reason = Reason(code=AFFINITY, evidence={"field": name, "value": value, "share": share})
        self._likes[feature, code] = reason
        return reason


def why_promoted(offer: OfferChanged) -> Reason:
    """A promotion holds for the item now."""
    evidence = {"offer": offer.offer, "title": offer.title, "percent_off": offer.percent_off}
    return Reason(code=PROMOTION, evidence=evidence)


def why_random(share: float) -> Reason:
    """The item was drawn by lot, for the holdout."""
    return Reason(code=EXPLORATION, evidence={"random_share": share})
