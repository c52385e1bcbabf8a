"""One decision, from top to bottom: request and profile, candidates, policy, rank, explain, answer.

Pure: what was read of the store, the time, and what was learned are arguments. The ladder of
fallbacks (DESIGN, invariant 5), as the answer's `fallback` tells it:

none        a profile was read and something personal was found for it; or the shopper paused
            profiling and the request alone gave something to go on
no_profile  the store failed, nobody is named, or the named have no profile yet: session and
            context of the request
trending    nothing personal was found, or time ran out before it was looked for
catalogue   nobody was seen in the shop yet: items in the order of their ids
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from services.recommend.asking import Ask
from services.recommend.availability import Availability, Stock
from services.recommend.candidates.bought_together import Pairs
from services.recommend.candidates.first_stage import MOST_KEPT
from services.recommend.candidates.neighbour_weights import NeighbourSettings
from services.recommend.candidates.pool import Pool, Pooling, Shopper, number, pack
from services.recommend.candidates.sessions import SessionIndex
from services.recommend.candidates.trending import catalogue_order
from services.recommend.diversity import LOOKED_AT, most_of_one, spread
from services.recommend.experiment import draw_items
from services.recommend.explain import CATALOGUE, Explainer, why_promoted, why_random
from services.recommend.features import Matrix
from services.recommend.policy import REASON_NAMES, counted, withheld_rows
from services.recommend.popularity import Popularity
from services.recommend.ranking import Ranked, Ranker, Scene
from services.recommend.restrictions import restrict
from services.recommend.situation import Situation
from shared.decisions import (
    Arm,
    Fallback,
    Filtered,
    OfferedItem,
    Reason,
    decode_offers,
    encode_numbers,
    encode_text,
)

_NO_PROMOTION: Final = '],"offer":null'


@dataclass(slots=True)
class Knowledge:
    """All that offers are decided with beside the request; parts are replaced whole."""

    stock: Stock
    sessions: SessionIndex
    pairs: Pairs
    popularity: Popularity
    ranker: Ranker
    neighbours: NeighbourSettings = field(default_factory=NeighbourSettings)
    pooling: Pooling = field(default_factory=Pooling)


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
    features (a row each) and propensities are aligned with them."""

    offers: list[str]
    filtered: list[Filtered]
    fallback: Fallback
    features: Matrix | None
    propensities: list[float]
    sources: dict[str, int] = field(default_factory=dict)

    @property
    def items(self) -> list[OfferedItem]:
        """The offers as objects."""
        return decode_offers(self.offers)


def decide(
    situation: Situation, knowledge: Knowledge, ask: Ask, arm: Arm, moment: Moment
) -> Choice:
    """Choose offers for this situation."""
    stock, popularity = knowledge.stock, knowledge.popularity
    available = stock.available(ask.country or ask.home, moment.now, moment.real_ms)
    available = restrict(available, ask, stock)
    if arm == "random":
        return decide_randomly(situation, knowledge, available, ask.n, moment)
    limits, pairs, ranker = knowledge.neighbours, knowledge.pairs, knowledge.ranker
    shopper = number(situation, stock, pairs, popularity, limits, moment.late)
    most = max(MOST_KEPT, LOOKED_AT * ask.n)
    pool = knowledge.pooling.collect(
        pack(shopper, situation, stock),
        limits,
        knowledge.sessions,
        pairs,
        popularity,
        stock,
        available,
        (ranker.first_weights, stock.id_order, most),
    )
    ranked = ranker.rank(pool, Scene(situation, shopper, stock, popularity, ask, moment.now))
    categories = stock.catalogue.columns.category
    shown = ranked.at(spread(ranked.rows, categories, ask.n, most_of_one(ask.n), LOOKED_AT * ask.n))
    offers = explain_items(situation, knowledge, shopper, pool, shown, moment.now)
    fallback = rung(situation, pool)
    if len(offers) < ask.n:
        fill_up(offers, shown, situation, knowledge, available, ask.n, moment.now)
    return Choice(
        offers=offers,
        filtered=counted(pool.withheld),
        fallback=fallback,
        features=shown.features,
        propensities=[1.0] * len(offers),
        sources=pool.counts(),
    )


def rung(situation: Situation, pool: Pool) -> Fallback:
    """How far down the ladder this answer stands."""
    personal = pool.personal
    if personal and (situation.profiled or situation.consent_mode == "context_only"):
        return "none"
    if personal:
        return "no_profile"
    return "trending" if len(pool.rows) else "catalogue"


def explain_items(
    situation: Situation,
    knowledge: Knowledge,
    shopper: Shopper,
    pool: Pool,
    shown: Ranked,
    now: int,
) -> list[str]:
    """The chosen as offers, with their reasons and promotions."""
    stock, catalogue = knowledge.stock, knowledge.stock.catalogue
    explainer = Explainer(
        situation, shopper, knowledge.pairs, stock.numbers.ids, knowledge.popularity, catalogue
    )
    rows, scores = shown.rows.tolist(), encode_numbers(shown.scores.tolist())
    numbers = stock.number_of[shown.rows]
    explained = explainer.explain(shown, pool, knowledge.sessions, numbers, rows)
    ids = stock.id_texts
    offers = [_NO_PROMOTION] * len(rows)
    if catalogue.has_offers:
        offers = [promotion(knowledge, now, row) for row in rows]
    offered = zip(range(1, len(rows) + 1), rows, scores, explained, offers, strict=True)
    return [
        f'{{"id":{ids[row]},"rank":{rank},"score":{score},"explore":false,'
        f'"reasons":[{reasons}{offer}}}'
        for rank, row, score, reasons, offer in offered
    ]


def promotion(knowledge: Knowledge, now: int, row: int) -> str:
    """How an offer's JSON goes on behind its reasons: with the best promotion that holds now."""
    catalogue = knowledge.stock.catalogue
    promotions = catalogue.offers_for(catalogue.ids[row], now)
    if not promotions:
        return _NO_PROMOTION
    reason, offer = encode_text(why_promoted(promotions[0])), encode_text(promotions[0].offer)
    return f',{reason}],"offer":{offer}'


def offer_item(
    knowledge: Knowledge, row: int, rank: int, reason: Reason, now: int, *, explore: bool = False
) -> str:
    """An offer that was not ranked, with the best promotion that holds for it now."""
    catalogue = knowledge.stock.catalogue
    item = catalogue.ids[row]
    promotions = catalogue.offers_for(item, now)
    return encode_text(
        OfferedItem(
            id=item,
            rank=rank,
            score=0.0,
            explore=explore,
            reasons=[reason, *map(why_promoted, promotions[:1])],
            offer=promotions[0].offer if promotions else None,
        )
    )


def fill_up(
    offers: list[str],
    shown: Ranked,
    situation: Situation,
    knowledge: Knowledge,
    available: Availability,
    n: int,
    now: int,
) -> None:
    """Append what the catalogue has next until there are n offers, or nothing is left."""
    catalogue = knowledge.stock.catalogue
    taken = frozenset(shown.rows.tolist()).union(withheld_rows(situation, knowledge.stock))
    order = catalogue.order()
    order = order[order < len(available.codes)]
    for row in catalogue_order(order, available.codes, taken, n - len(offers)):
        reason = Reason(code=CATALOGUE)
        offers.append(offer_item(knowledge, row, len(offers) + 1, reason, now))


def decide_randomly(
    situation: Situation,
    knowledge: Knowledge,
    available: Availability,
    n: int,
    moment: Moment,
) -> Choice:
    """The holdout: n items drawn uniformly among all that the same policy allows.

    The propensity of each is its chance to stand at its rank: one over the allowed items.
    """
    eligible = available.eligible()
    own = withheld_rows(situation, knowledge.stock)
    concerned = {row: code for row, code in own.items() if not available.codes[row]}
    rows = draw_items(eligible, frozenset(concerned), n, moment.decision_id)
    withheld = [0] * len(REASON_NAMES)
    for code, count in available.withheld().items():
        withheld[code] = count
    for code in concerned.values():
        withheld[code] += 1
    chance = 1.0 / max(len(eligible) - len(concerned), 1)
    reason = why_random(chance)
    offers = [
        offer_item(knowledge, row, rank, reason, moment.now, explore=True)
        for rank, row in enumerate(rows, start=1)
    ]
    return Choice(
        offers=offers,
        filtered=counted(withheld),
        fallback="none" if situation.profiled else "no_profile",
        features=None,
        propensities=[chance] * len(offers),
    )
