"""Reasons out of what training learned: what is like what was looked at, taste, what is due again;
and that an item is new.

Part of explain.py, asked for the few offers that rest on it. Pure.
"""

from collections.abc import Callable
from typing import Final, TypeAlias

import numpy as np

from services.recommend.candidates.listed import SIMILAR_TO, weight_of
from services.recommend.candidates.newcomers import NEW_MS
from services.recommend.candidates.pool import Shopper
from services.recommend.features import FEATURES
from services.recommend.knowledge import Knowledge
from services.recommend.situation import Situation
from shared.decisions import Reason, encode_text
from shared.profile import DAY_MS

SIMILAR_ITEM: Final = "similar_item"
TASTE: Final = "taste"
BUY_AGAIN: Final = "buy_again"
NEW_ITEM: Final = "new_item"
_NAMES: Final = tuple(FEATURES)
LEARNED: Final = {
    _NAMES.index("similar"): SIMILAR_ITEM,
    _NAMES.index("vector"): TASTE,
    _NAMES.index("again"): BUY_AGAIN,
    _NAMES.index("new"): NEW_ITEM,
}
"""Codes by feature."""


Own: TypeAlias = Callable[[int], str]


class LearnedReasons:
    """Of one answer. own: gives the shopper's own events on an item (number) in JSON; handed over
    with each question, since who asks holds this and should not be held by it: what refers to
    itself waits for the garbage collector."""

    def __init__(
        self,
        situation: Situation,
        shopper: Shopper,
        knowledge: Knowledge,
        now: int,
    ) -> None:
        self._situation = situation
        self._newest = shopper.session[: -SIMILAR_TO - 1 : -1]
        self._knowledge = knowledge
        self._now = now

    def reason(self, feature: int, number: int, row: int, own: Own) -> str:
        """One reason in JSON, empty where there is nothing to show for it."""
        code = LEARNED[feature]
        if code == SIMILAR_ITEM:
            return self._like(number, own)
        if code == BUY_AGAIN:
            return self._due(number)
        if code == NEW_ITEM:
            return self._new(row)
        events = ",".join(filter(None, (own(item)[1:-1] for item in self._newest)))
        return f'{{"code":"{TASTE}","evidence":{{"events":[{events}]}}}}' if events else ""

    def _like(self, number: int, own: Own) -> str:
        """By the item that weighs most among the newest of the session."""
        found, most, likeness = 0, 0.0, 0.0
        for place, item in enumerate(self._newest):
            partners, scores = self._knowledge.similar.partners(item)
            for score in scores[partners == number].tolist():
                if score * weight_of(place) > most:
                    found, most, likeness = item, score * weight_of(place), score
        if not found:
            return ""
        evidence = f'{{"events":{own(found)},"similarity":{round(likeness, 3)}}}'
        return f'{{"code":"{SIMILAR_ITEM}","evidence":{evidence}}}'

    def _due(self, number: int) -> str:
        days, times, passed = self._situation.purchases(self._now)
        item = self._knowledge.stock.numbers.ids[number]
        intervals = self._knowledge.intervals.days
        if not days or item not in self._situation.bought or number >= len(intervals):
            return ""
        if intervals[number] <= 0.0:
            return ""
        place = self._situation.bought.index(item)
        evidence = {
            "days_ago": days[place] + passed,
            "interval_days": round(float(intervals[number])),
            "times": times[place],
        }
        return encode_text(Reason(code=BUY_AGAIN, evidence=evidence))

    def _new(self, row: int) -> str:
        rows, newness = self._knowledge.newcomers.arrays()
        place = np.flatnonzero(rows == row)
        if not len(place):
            return ""
        days = round((1.0 - float(newness[place[0]])) * NEW_MS / DAY_MS)
        return encode_text(Reason(code=NEW_ITEM, evidence={"days_ago": days}))
