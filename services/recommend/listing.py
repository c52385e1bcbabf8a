"""Lists beside recommendations: a given list put in order, what is like an item, what trends.

They share the steps and the policy of `pipeline`. Nothing in them is drawn by lot, so each
propensity is 1. Pure.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

import msgspec
import numpy as np

from services.recommend.arrangement import Arranged
from services.recommend.arrays import NO_NUMBERS, Numbers, grown
from services.recommend.asking import Ask
from services.recommend.availability import AVAILABILITY_NAMES, FILTERED, UNKNOWN, Availability
from services.recommend.candidates.pool import NO_FRESH, Pool, Shopper, number, pack
from services.recommend.explain import CATALOGUE, TRENDING, TRENDING_HERE
from services.recommend.knowledge import Choice, Knowledge, Moment
from services.recommend.objective import values
from services.recommend.offers import explain_items, offer_item
from services.recommend.pipeline import collected, listed_of, offerable, placed, rung, scene_of
from services.recommend.policy import REASON_NAMES, CategoryRoom, counted, withheld_rows
from services.recommend.ranking import LinearRanker, Ranked
from services.recommend.situation import Situation
from shared.decisions import LIKENESS, Filtered, ModelName, Reason
from shared.profile import price_band

LIKE: Final = LinearRanker(
    ModelName(name=LIKENESS, version="1"),
    {
        "similar": 1.5,
        "session": 1.0,
        "vector": 0.2,
        "together": 0.2,
        "category": 0.4,
        "brand": 0.2,
        "price": 0.1,
        "trend": 0.05,
    },
)
"""Orders what is like an item, by the same features: who looked at both before all else."""
_ALL_OF_IT: Final = 1_000


def rerank(
    items: Iterable[str], situation: Situation, knowledge: Knowledge, ask: Ask, moment: Moment
) -> Choice:
    """The given items by what they are expected to bring; `left`: those that may not be offered to
    this shopper, and why, in the order given, unknown ones last."""
    ask = placed(ask, situation, moment.now)._replace(promotions=None)
    knowledge.refresh(moment)
    stock = knowledge.stock
    given = {item: stock.catalogue.row(item) for item in items}
    rows = [row for row in given.values() if row is not None]
    available = only(rows, offerable(knowledge, ask, moment))
    shopper = _numbered(situation, knowledge, moment)
    own = pack(shopper, situation, ask, stock, moment.now, rows)
    listed = listed_of(knowledge, NO_FRESH, np.array(rows, dtype=np.int64))
    pool = collected(own, knowledge, listed, available, knowledge.ranker.first_weights, len(rows))
    scene = scene_of(situation, shopper, knowledge, ask, moment)
    ranked = knowledge.ranker.rank(pool, scene)
    expected = values(ask.objective, ranked, knowledge.ranker, knowledge.worth)
    ranked = ranked.at(np.argsort(-expected, kind="stable"))
    choice = _explained(situation, knowledge, shopper, pool, ranked, moment)
    choice.left = _left(given, situation, knowledge, ask, available, moment.now)
    # what was bought and is due again is offered
    offered = set(ranked.rows.tolist())
    choice.left = [(item, reason) for item, reason in choice.left if given[item] not in offered]
    # not what the pool says, which counts all that is not of the list
    reasons = Counter(reason for _, reason in choice.left)
    choice.filtered = [Filtered(reason=name, count=count) for name, count in reasons.items()]
    return choice


def only(rows: list[int], available: Availability) -> Availability:
    """The same availability for these rows, and nothing else available."""
    codes = np.full_like(available.codes, FILTERED)
    # what came since is judged with the next change of the catalogue that is taken up
    judged = [row for row in rows if row < len(codes)]
    codes[judged] = available.codes[judged]
    return replace(available, codes=codes, restricted=True, trending=None)


def _left(
    given: dict[str, int | None],
    situation: Situation,
    knowledge: Knowledge,
    ask: Ask,
    available: Availability,
    now: int,
) -> list[tuple[str, str]]:
    own = withheld_rows(situation, ask, knowledge.stock, now)
    left, unknown = [], []
    for item, row in given.items():
        if row is None or row >= len(available.codes):
            unknown.append((item, AVAILABILITY_NAMES[UNKNOWN]))
            continue
        code = int(available.codes[row]) or own.get(row, 0)
        if code:
            left.append((item, REASON_NAMES[code]))
    return left + unknown


def similar(
    item: str, situation: Situation, knowledge: Knowledge, ask: Ask, moment: Moment
) -> Choice:
    """What is like an item: by who looked at both, and by what they are. Of the situation only
    what it withholds counts; nothing is offered that is alike in nothing. Of an item that is not in
    the catalogue `filtered` says so."""
    ask = placed(ask, situation, moment.now)._replace(promotions=None)
    stock, view = knowledge.stock, situation.view
    likes = replace(
        situation,
        # whose vector it is and what is due again would be offered for other reasons
        identity=None,
        view=None if view is None else msgspec.structs.replace(view, bought_days=[]),
        session=[item],
        anchors=[item],
        asked=[item],
        excluded=[*situation.excluded, item],
        affinities=_attributes(item, knowledge),
    )
    shopper = _numbered(likes, knowledge, moment)
    own = pack(shopper, likes, ask, stock, moment.now)
    listed = listed_of(knowledge, NO_FRESH, NO_NUMBERS)
    available = offerable(knowledge, ask, moment)
    pool = collected(own, knowledge, listed, available, LIKE.first_weights, 2 * ask.n)
    scene = scene_of(likes, shopper, knowledge, ask, moment)
    ranked = LIKE.rank(pool, scene)
    room = CategoryRoom.of(ask, stock.catalogue.columns.category)
    places = [at for at, row in enumerate(ranked.rows.tolist()) if room.takes(row)][: ask.n]
    shown = ranked.at(np.array(places, dtype=np.int64))
    choice = _explained(likes, knowledge, shopper, pool, shown, moment)
    choice.model = LIKE.name
    if stock.catalogue.row(item) is None:
        choice.filtered.append(Filtered(reason=AVAILABILITY_NAMES[UNKNOWN], count=1))
    return choice


def _attributes(item: str, knowledge: Knowledge) -> dict[str, list[tuple[str, int]]]:
    """Category, brand and price band of an item, as if they were all that a shopper likes."""
    catalogue = knowledge.stock.catalogue
    known = catalogue.item(item)
    if known is None:
        return {}
    band = None if known.price is None else price_band(known.price)
    named = {"category": known.category, "brand": known.brand, "price_band": band}
    return {name: [(value, _ALL_OF_IT)] for name, value in named.items() if value is not None}


def _numbered(situation: Situation, knowledge: Knowledge, moment: Moment) -> Shopper:
    return number(
        situation,
        knowledge.stock,
        knowledge.pairs,
        knowledge.popularity,
        knowledge.vectors,
        moment.late,
    )


def _explained(
    situation: Situation,
    knowledge: Knowledge,
    shopper: Shopper,
    pool: Pool,
    shown: Ranked,
    moment: Moment,
) -> Choice:
    count = len(shown.rows)
    as_they_are = Arranged(np.arange(count), [False] * count, -1, 0, [1.0] * count)
    offers, moved = explain_items(
        situation, knowledge, shopper, pool, shown, as_they_are, moment.now
    )
    return Choice(
        offers=offers,
        filtered=counted(pool.withheld),
        fallback=rung(situation, pool),
        features=shown.features,
        feature_names=list(shown.names),
        propensities=as_they_are.propensities,
        sources=pool.counts(),
        moved=moved,
    )


def trending(
    category: str | None, situation: Situation, knowledge: Knowledge, ask: Ask, moment: Moment
) -> Choice:
    """What is wanted now: in the shopper's country first, where anything of it is known, then in
    the whole shop; of a category alone, where one is named. Of the situation only what it withholds
    counts."""
    ask = placed(ask, situation, moment.now)
    stock, now = knowledge.stock, moment.now
    available = offerable(knowledge, ask, moment)
    own = withheld_rows(situation, ask, stock, now)
    among = available.eligible()
    if category is not None:
        among = np.intersect1d(among, stock.catalogue.in_category(category))
    # where a category may be full, whoever comes next may be far down
    most = ask.n + len(own) if ask.most_of_category is None else len(among)
    here, overall = _trends(among, knowledge, ask, most, len(available.codes))
    room = CategoryRoom.of(ask, stock.catalogue.columns.category)
    found = dict.fromkeys([*here, *overall])
    rows = [row for row in found if row not in own and room.takes(row)][: ask.n]
    local = {row: _where(ask, category) for row in here}
    offers = [
        offer_item(knowledge, row, rank, local.get(row) or _counted(knowledge, row), now)
        for rank, row in enumerate(rows, start=1)
    ]
    withheld = [0] * len(REASON_NAMES)
    for row, code in own.items():
        withheld[code] += row in found
    trend = knowledge.popularity.trending
    wanted = any(row < len(trend) and trend[row] > 0.0 for row in rows)
    return Choice(
        offers=offers,
        filtered=counted(withheld),
        fallback="trending" if wanted else "catalogue",
        features=None,
        propensities=[1.0] * len(offers),
    )


def _trends(
    among: Numbers, knowledge: Knowledge, ask: Ask, width: int, size: int
) -> tuple[list[int], list[int]]:
    """Rows of those that trend in the country, and in the shop; best first, equal ones by id."""
    popularity, order = knowledge.popularity, knowledge.stock.id_order
    by_id = among[np.argsort(order[among])]
    scores = grown(popularity.trending, size)[by_id]
    overall = by_id[np.argsort(-scores, kind="stable")[:width]]
    here = popularity.by_country.get(ask.country or "", NO_NUMBERS)
    return here[np.isin(here, among)][:width].tolist(), overall.tolist()


def _where(ask: Ask, category: str | None) -> Reason:
    evidence = {"country": ask.country}
    if category is not None:
        evidence["category"] = category
    return Reason(code=TRENDING_HERE, evidence=evidence)


def _counted(knowledge: Knowledge, row: int) -> Reason:
    """Why an item trends in the whole shop: what was counted of it."""
    popularity = knowledge.popularity
    if row >= len(popularity.counts) or not popularity.trending[row] > 0.0:
        return Reason(code=CATALOGUE)
    views, carts, purchases, *_ = popularity.counts[row].tolist()
    return Reason(code=TRENDING, evidence={"views": views, "carts": carts, "purchases": purchases})
