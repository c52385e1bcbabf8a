"""Why each item is offered: a code and the evidence that produced it.

Sixth step of `pipeline`. Pure. Evidence is the shopper's own events, a preference, or counts;
never another shopper. Reasons are made as the JSON they end as (shared.decisions.Reason): most of
them stand in thousands of answers, and objects that are encoded anew each time cost more than all
else of an answer.
"""

from typing import Final

from services.recommend.arrays import Numbers
from services.recommend.candidates.pool import Pool, Shopper, asked_and_partners
from services.recommend.exploration import DRAWS
from services.recommend.features import FEATURES, Matrix
from services.recommend.grounds import MOST_REASONS, NOTHING, SESSION, TOGETHER, WIDTH, ground
from services.recommend.knowledge import Knowledge
from services.recommend.learned_reasons import LEARNED, LearnedReasons
from services.recommend.popularity import column_of, label_of
from services.recommend.situation import Situation
from shared.catalogue import OfferChanged
from shared.decisions import Reason, encode_text

SIMILAR_SESSIONS: Final = "similar_sessions"
RECENTLY_VIEWED: Final = "recently_viewed"
BOUGHT_TOGETHER: Final = "bought_together"
AFFINITY: Final = "affinity"
TRENDING: Final = "trending"
TRENDING_HERE: Final = "trending_here"
CONVERTS: Final = "converts_well"
CATALOGUE: Final = "catalogue"
EXPLORATION: Final = "exploration"
PROMOTION: Final = "promotion"
PROMOTED: Final = "promoted"

_NAMES: Final = tuple(FEATURES)
_COUNTED: Final = {_NAMES.index("trend"): TRENDING, _NAMES.index("conversion"): CONVERTS}
_FIELDS: Final = {
    _NAMES.index(name): field
    for name, field in (("category", "category"), ("brand", "brand"), ("price", "price_band"))
}
"""Of features, by place: the affinity field of a preference, the code of what is counted."""
_PLACES: Final = range(0, MOST_REASONS * WIDTH, WIDTH)
_UNKNOWN: Final = encode_text(Reason(code=CATALOGUE))


class Explainer:
    """Explains the items of one answer."""

    def __init__(
        self, situation: Situation, shopper: Shopper, knowledge: Knowledge, now: int
    ) -> None:
        self._situation = situation
        self._shopper = shopper
        self._pairs = knowledge.pairs
        self._sessions = knowledge.sessions
        self._ids = knowledge.stock.numbers.ids
        self._popularity = knowledge.popularity
        self._catalogue = knowledge.stock.catalogue
        self._learned = LearnedReasons(situation, shopper, knowledge, now)
        self._events: dict[int, str] = {}
        self._likes: dict[tuple[int, int], str] = {}
        self._shared: dict[int, str] = {}

    def explain(self, moved: Matrix, pool: Pool, items: Numbers, rows: list[int]) -> list[str]:
        """Reasons of each item (how much each feature moved it, number and row, side by side), the
        strongest first, in JSON and with commas between them."""
        asked, partners = asked_and_partners(self._shopper, pool.own)
        lists = self._pairs.lists.arrays()
        arrays = self._sessions.arrays()
        found = ground(moved, items, pool.neighbours, asked, partners, arrays, lists)
        counted, shared, reason_for = self._popularity.texts.get, self._shared.get, self._reason
        explained = []
        for number, row, grounds in zip(items.tolist(), rows, found.tolist(), strict=True):
            reasons = []
            for at in _PLACES:
                feature = grounds[at]
                if feature == NOTHING:
                    continue
                # the two that most offers have are looked up here; what is new is made below
                if feature == SESSION:
                    start = shared(grounds[at + 2])
                    reason = start and f"{start}{grounds[at + 1]}}}}}"
                else:
                    reason = counted((feature, row))
                reason = reason or reason_for(
                    feature, number, row, grounds[at + 1], grounds[at + 2]
                )
                if reason:
                    reasons.append(reason)
            explained.append(",".join(reasons) or _UNKNOWN)
        return explained

    def _reason(self, feature: int, number: int, row: int, one: int, other: int) -> str:
        if feature == SESSION:
            return self._similar(number, one, other)
        if feature == TOGETHER:
            return self._completes(number, self._shopper.anchors[one])
        if feature in _COUNTED:
            return self._counts(feature, row)
        if feature in LEARNED:
            return self._learned.reason(feature, number, row, self._own)
        return self._liked(feature, row) if feature in _FIELDS else ""

    def _counts(self, feature: int, row: int) -> str:
        popularity = self._popularity
        reason = f'{{"code":"{_COUNTED[feature]}"{popularity.evidence(row)}}}'
        popularity.texts[feature, row] = reason
        return reason

    def _similar(self, number: int, sessions: int, position: int) -> str:
        """What the shopper shares with such sessions, which is never the offered item itself."""
        if not position:
            return f'{{"code":"{RECENTLY_VIEWED}","evidence":{{"events":{self._own(number)}}}}}'
        events = self._own(self._shopper.asked[position - 1])
        start = f'{{"code":"{SIMILAR_SESSIONS}","evidence":{{"events":{events},"sessions":'
        self._shared[position] = start
        return f"{start}{sessions}}}}}"

    def _own(self, number: int) -> str:
        """The shopper's own event on an item."""
        known = self._events.get(number)
        if known is None:
            events = self._situation.evidence(self._ids[number])
            known = self._events[number] = encode_text(events)
        return known

    def _completes(self, number: int, anchor: int) -> str:
        orders = self._pairs.together(anchor, number)
        evidence = f'{{"events":{self._own(anchor)},"orders":{orders}}}'
        return f'{{"code":"{BOUGHT_TOGETHER}","evidence":{evidence}}}'

    def _liked(self, feature: int, row: int) -> str:
        name = _FIELDS[feature]
        code = int(column_of(self._catalogue, name)[row])
        reason = self._likes.get((feature, code))
        if reason is None:
            reason = self._likes[feature, code] = self._preference(name, code)
        return reason

    def _preference(self, name: str, code: int) -> str:
        known = self._shopper.tastes.get(name, {})
        if code not in known:
            return ""
        share = round(known[code] / (sum(known.values()) or 1), 3)
        evidence = {
            "field": name,
            "value": label_of(self._catalogue, name, code),
            "share": share,
        }
        return encode_text(Reason(code=AFFINITY, evidence=evidence))


def why_promoted(offer: OfferChanged) -> Reason:
    """A promotion holds for the item now."""
    evidence = {"offer": offer.offer, "title": offer.title, "percent_off": offer.percent_off}
    return Reason(code=PROMOTION, evidence=evidence)


def why_random(share: float) -> Reason:
    """The item was drawn by lot, for the holdout."""
    return Reason(code=EXPLORATION, evidence={"random_share": share})


def why_explored(wins: int, shown: int, clicked: int) -> Reason:
    """The item had the highest of the drawn click rates in `wins` of all draws."""
    evidence = {"wins": wins, "draws": DRAWS, "shown": shown, "clicked": clicked}
    return Reason(code=EXPLORATION, evidence=evidence)


def why_in_share(item: str) -> str:
    """The request promises a share of the answer to promoted items, and this is one (JSON)."""
    return f'{{"code":"{PROMOTED}","evidence":{{"item":{item}}}}}'
