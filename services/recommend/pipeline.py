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

import numpy as np

from services.recommend.arrangement import Arranged, Likeness, arrange, further_codes
from services.recommend.arrays import Numbers, Scores
from services.recommend.asking import Ask
from services.recommend.availability import Availability
from services.recommend.candidates.first_stage import MOST_KEPT
from services.recommend.candidates.listed import Fresh, Listed
from services.recommend.candidates.pool import Pool, Shopper, number, pack
from services.recommend.candidates.trending import catalogue_order, trending, trending_among
from services.recommend.diversity import LOOKED_AT
from services.recommend.experiment import draw_items
from services.recommend.explain import CATALOGUE, why_random
from services.recommend.knowledge import Choice, Knowledge, Moment
from services.recommend.objective import values
from services.recommend.offers import explain_items, offer_item
from services.recommend.policy import REASON_NAMES, CategoryRoom, counted, withheld_rows
from services.recommend.ranking import Ranked, Scene
from services.recommend.restrictions import restrict
from services.recommend.situation import Situation
from shared.decisions import Arm, Fallback, Reason


def decide(
    situation: Situation, knowledge: Knowledge, ask: Ask, arm: Arm, moment: Moment
) -> Choice:
    """Choose offers for this situation."""
    ask = placed(ask, situation, moment.now)
    knowledge.refresh(moment)
    available = offerable(knowledge, ask, moment)
    if arm == "random":
        return decide_randomly(situation, knowledge, available, ask, moment)
    shopper = number(
        situation,
        knowledge.stock,
        knowledge.pairs,
        knowledge.popularity,
        knowledge.vectors,
        moment.late,
    )
    own = pack(shopper, situation, ask, knowledge.stock, moment.now)
    pool = gathered(own, knowledge, ask, available)
    scene = scene_of(situation, shopper, knowledge, ask, moment)
    ranked, arranged = ordered(pool, scene, knowledge, moment)
    shown = ranked.at(arranged.places)
    offers, moved = explain_items(situation, knowledge, shopper, pool, shown, arranged, moment.now)
    propensities = arranged.propensities
    if len(offers) < ask.n:
        fill_up(offers, shown, situation, knowledge, available, ask, moment.now)
        propensities += [1.0] * (len(offers) - len(propensities))
    return Choice(
        offers=offers,
        filtered=counted(pool.withheld),
        fallback=rung(situation, pool),
        features=shown.features,
        propensities=propensities,
        feature_names=list(shown.names),
        sources=pool.counts(),
        moved=moved,
    )


def placed(ask: Ask, situation: Situation, now: int) -> Ask:
    """The terms with what the profile says of place and age where the request does not; the shop's
    own place where nobody knows."""
    country = ask.country or situation.country or ask.home
    age = situation.age(now) if ask.age is None else ask.age
    if country == ask.country and age == ask.age:
        return ask
    return ask._replace(country=country, age=age)


def offerable(knowledge: Knowledge, ask: Ask, moment: Moment) -> Availability:
    """What may be offered to anybody on these terms."""
    stock = knowledge.stock
    return restrict(stock.available(ask.country, moment.now, moment.real_ms), ask, stock)


def gathered(own: Numbers, knowledge: Knowledge, ask: Ask, available: Availability) -> Pool:
    """The candidates of all sources that go on to the ranker."""
    popularity = knowledge.popularity
    wanted = trending(popularity, ask.country)
    if available.restricted:
        wanted = np.concatenate((wanted, trending_among(popularity, available)))
    listed = listed_of(knowledge, knowledge.newcomers.arrays(), wanted)
    most = max(MOST_KEPT, LOOKED_AT * ask.n)
    return collected(own, knowledge, listed, available, knowledge.ranker.first_weights, most)


def listed_of(knowledge: Knowledge, fresh: Fresh, wanted: Numbers) -> Listed:
    """The lists that candidates are taken from; fresh: new items, wanted: rows that trend."""
    partners, members = knowledge.pairs.lists.arrays(), knowledge.popularity.lists.arrays()
    return partners, knowledge.similar.arrays(), members, fresh, wanted


def collected(
    own: Numbers,
    knowledge: Knowledge,
    listed: Listed,
    available: Availability,
    weights: Scores,
    most: int,
) -> Pool:
    """The pool, by first-stage weights; `most` go on to the ranker, see first_stage.py."""
    stock = knowledge.stock
    return knowledge.pooling.collect(
        own,
        knowledge.neighbours,
        knowledge.sessions,
        listed,
        (knowledge.vectors.arrays(), knowledge.intervals.arrays()),
        knowledge.popularity,
        stock,
        available,
        (weights, stock.id_order, most),
    )


def ordered(
    pool: Pool, scene: Scene, knowledge: Knowledge, moment: Moment
) -> tuple[Ranked, Arranged]:
    """The pool as the ranker orders it, and who of it is shown where, by what the terms are to
    maximise."""
    ranker, ask, stock = knowledge.ranker, scene.ask, scene.stock
    ranked = ranker.rank(pool, scene)
    expected = values(ask.objective, ranked, ranker, knowledge.worth)
    columns = stock.catalogue.columns
    further = further_codes(stock.catalogue, knowledge.alike, ranked.rows)
    alike: Likeness = (
        columns.category,
        columns.brand,
        further,
        knowledge.vectors.units,
        stock.number_of,
    )
    place, posteriors = knowledge.pooling.place, knowledge.posteriors
    return ranked, arrange(
        ranked, expected, pool, ask, alike, posteriors, place, moment.decision_id
    )


def scene_of(
    situation: Situation, shopper: Shopper, knowledge: Knowledge, ask: Ask, moment: Moment
) -> Scene:
    """What the ranker may look at."""
    stock, popularity = knowledge.stock, knowledge.popularity
    return Scene(situation, shopper, stock, popularity, ask, moment.now, knowledge.shelf)


def rung(situation: Situation, pool: Pool) -> Fallback:
    """How far down the ladder this answer stands."""
    personal = pool.personal
    if personal and (situation.profiled or situation.consent_mode == "context_only"):
        return "none"
    if personal:
        return "no_profile"
    return "trending" if len(pool.rows) else "catalogue"


def fill_up(
    offers: list[str],
    shown: Ranked,
    situation: Situation,
    knowledge: Knowledge,
    available: Availability,
    ask: Ask,
    now: int,
) -> None:
    """Append what the catalogue has next until there are n offers, or nothing is left."""
    catalogue = knowledge.stock.catalogue
    rows = shown.rows.tolist()
    taken = frozenset(rows).union(withheld_rows(situation, ask, knowledge.stock, now))
    order = catalogue.order()
    order = order[order < len(available.codes)]
    room = CategoryRoom.of(ask, catalogue.columns.category, rows)
    missing = ask.n - len(offers)
    for row in catalogue_order(order, available.codes, taken, missing, room.takes):
        reason = Reason(code=CATALOGUE)
        offers.append(offer_item(knowledge, row, len(offers) + 1, reason, now))


def decide_randomly(
    situation: Situation, knowledge: Knowledge, available: Availability, ask: Ask, moment: Moment
) -> Choice:
    """The holdout: n items drawn uniformly among all that the same policy allows.

    The propensity of each is its chance to stand at its rank: one over the allowed items. Where
    only so many of a category are allowed, it is that chance given who stands before it.
    """
    eligible, stock = available.eligible(), knowledge.stock
    own = withheld_rows(situation, ask, stock, moment.now)
    concerned = {row: code for row, code in own.items() if not available.codes[row]}
    room = CategoryRoom.of(ask, stock.catalogue.columns.category)
    rows = draw_items(eligible, frozenset(concerned), ask.n, moment.decision_id, room.takes)
    withheld = [0] * len(REASON_NAMES)
    for code, count in available.withheld().items():
        withheld[code] = count
    for code in concerned.values():
        withheld[code] += 1
    chance = 1.0 / max(len(eligible) - len(concerned), 1)
    propensities = [chance] * len(rows)
    if ask.most_of_category is not None:
        propensities = room.chances(np.setdiff1d(eligible, list(concerned)), rows)
    offers = [
        offer_item(knowledge, row, rank, why_random(propensity), moment.now, explore=True)
        for rank, (row, propensity) in enumerate(zip(rows, propensities, strict=True), start=1)
    ]
    return Choice(
        offers=offers,
        filtered=counted(withheld),
        fallback="none" if situation.profiled else "no_profile",
        features=None,
        propensities=propensities,
    )
