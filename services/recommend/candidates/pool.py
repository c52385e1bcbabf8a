"""Candidates of all sources as one pool: each item once, allowed by the policy, with features.

Second to fourth step of `pipeline`; the loops are compiled (gathering.py, pool_loops.py).
"""

from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain, islice, repeat
from typing import Final, NamedTuple

import numpy as np

from services.recommend.arrays import NO_NUMBERS, NO_SCORES, Numbers, Reasons, Scores, grown
from services.recommend.asking import Ask
from services.recommend.availability import Availability, Stock
from services.recommend.candidates.affinity import Tastes, preferred, tastes_of
from services.recommend.candidates.bought_together import Pairs
from services.recommend.candidates.gathering import SOURCES, Learned, Stage, gather
from services.recommend.candidates.listed import Listed
from services.recommend.candidates.neighbour_weights import NeighbourSettings
from services.recommend.candidates.own_numbers import LENGTHS
from services.recommend.candidates.pool_loops import MOST_VALUES
from services.recommend.candidates.sessions import SessionIndex
from services.recommend.catalogue.index import Catalogue
from services.recommend.features import PREFERENCES, Matrix
from services.recommend.numbers import NO_ITEM
from services.recommend.policy import own_items
from services.recommend.popularity import Popularity
from services.recommend.situation import Situation
from services.recommend.vectors.loops import NOBODY
from services.recommend.vectors.model import Vectors

SOURCE_NAMES: Final = (
    "session",
    "promoted",
    "together",
    "similar",
    "affinity",
    "new",
    "trending",
    "vector",
    "again",
)
_PERSONAL: Final = [
    SOURCE_NAMES.index(name)
    for name in ("session", "together", "similar", "affinity", "vector", "again")
]
MOST_PROMISED: Final = 300
NO_FRESH: Final = (NO_NUMBERS, NO_SCORES)
_NO_CODES: Final = [-2] * MOST_VALUES
_NO_WEIGHTS: Final = [0] * MOST_VALUES


class Shopper(NamedTuple):
    """The situation in numbers: items of the whole session, those of it that neighbours are asked
    for, the anchors to complete with the places of their partners (Pairs.lists), preferences with
    the places of their best items (Popularity.lists); the row among the vectors' owners."""

    session: list[int]
    asked: list[int]
    anchors: list[int]
    partners: list[int]
    tastes: Tastes
    groups: list[int]
    customer: int = NOBODY


class Pool(NamedTuple):
    """Rows that may be offered and go on to the ranker, each once; what sources said of them
    (pool_loops.SESSION ..., by column) and first-stage features (FIRST), a row a candidate, and
    scores; how many candidates each source found and each reason code withheld; the neighbours, as
    gathering's neighbours_of gives them; what all of it was found for (see `pack`)."""

    rows: Numbers
    signals: Matrix
    features: Matrix
    scores: Scores
    found: list[int]
    withheld: list[int]
    neighbours: Numbers
    own: Numbers

    @property
    def personal(self) -> bool:
        """Whether there is more than what everybody gets."""
        return any(self.found[place] for place in _PERSONAL)

    def counts(self) -> dict[str, int]:
        """How many each source found."""
        return dict(zip(SOURCE_NAMES, self.found, strict=True))


@dataclass(slots=True)
class Pooling:
    """Makes the pool of one request after another. `place` is scratch by row: where in the pool a
    row was put last. What it holds of earlier requests is told by the pool, which has another row
    there. `mark`: scratch by row, 0 between requests."""

    place: Numbers = field(default_factory=lambda: np.zeros(64, dtype=np.int64))
    mark: Reasons = field(default_factory=lambda: np.zeros(64, dtype=np.uint8))

    def collect(
        self,
        own: Numbers,
        limits: NeighbourSettings,
        sessions: SessionIndex,
        listed: Listed,
        learned: Learned,
        popularity: Popularity,
        stock: Stock,
        available: Availability,
        stage: Stage,
    ) -> Pool:
        """One pool out of what the sources found for `own` (see `pack`), at most MOST_CANDIDATES,
        without what `available` withholds from everybody or own rules from this shopper; of them
        those that go on to the ranker (first_stage.py)."""
        general = available.codes
        self.place = grown(self.place, len(general))
        self.mark = grown(self.mark, len(general))
        columns = stock.catalogue.columns
        rows, signals, features, scores, facts, neighbours = gather(
            own,
            limits.limits(),
            sessions.arrays(),
            listed,
            learned,
            (
                stock.row_of,
                general,
                columns.repeatable,
                columns.category,
                columns.brand,
                columns.price_band,
                popularity.trending,
                popularity.conversion,
                stock.number_of,
            ),
            self.place,
            self.mark,
            stage,
        )
        counts = facts.tolist()
        found, withheld = counts[:SOURCES], counts[SOURCES:]
        return Pool(rows, signals, features, scores, found, withheld, neighbours, own)


def number(
    situation: Situation,
    stock: Stock,
    pairs: Pairs,
    popularity: Popularity,
    vectors: Vectors,
    late: Callable[[], bool],
) -> Shopper:
    """The situation in numbers, without what nobody ever heard of. Once it is late no source is
    asked for more than what everybody gets."""
    numbers, catalogue = stock.numbers, stock.catalogue
    session = numbers.known_among(situation.session)
    tastes = tastes_of(situation.affinities, catalogue)
    if late():
        return Shopper(session, [], [], [], tastes, [])
    anchors = numbers.known_among(situation.anchors)
    return Shopper(
        session,
        session,
        anchors,
        list(map(pairs.place, anchors)),
        tastes,
        preferred(tastes, popularity, catalogue),
        NOBODY if situation.identity is None else vectors.customer(situation.identity),
    )


def asked_and_partners(shopper: Shopper, own: Numbers) -> tuple[Numbers, Numbers]:
    """These two of a shopper as they lie in what `pack` made."""
    middle = LENGTHS + len(shopper.session)
    return own[middle - len(shopper.asked) : middle], own[middle : middle + len(shopper.partners)]


def pack(
    shopper: Shopper,
    situation: Situation,
    ask: Ask,
    stock: Stock,
    now: int,
    given: list[int] | None = None,
) -> Numbers:
    """All that concerns this call alone as `gather` takes it: one array costs less than ten.
    given: rows that go on in any case, in the place of what is promoted."""
    groups = shopper.groups
    promised = promised_rows(ask, stock.catalogue, now) if given is None else given
    own = [len(shopper.session), len(shopper.asked), len(shopper.partners), len(groups)]
    rules = own_items(situation, ask, now)
    days, times, passed = situation.purchases(now)
    own += (len(promised), len(days), passed, shopper.customer)
    own += map(len, rules)
    own += shopper.session
    own += shopper.partners
    own += groups
    own += promised
    find = stock.numbers.find
    for items in rules:
        if items:
            own += map(find, items, repeat(NO_ITEM))
    weights: list[int] = []
    for name in PREFERENCES:
        known = shopper.tastes.get(name)
        if not known:
            own += _NO_CODES
            weights += _NO_WEIGHTS
            continue
        own += known
        own += _NO_CODES[len(known) :]
        weights += known.values()
        weights += _NO_WEIGHTS[len(known) :]
    own += weights
    own += days
    own += times
    # by way of an array of Python's own, which takes a list in half the time
    return np.frombuffer(array("q", own), dtype=np.int64)


def promised_rows(ask: Ask, catalogue: Catalogue, now: int) -> list[int]:
    """Rows of what is to have a share of the answer: the named items, and those of the named
    offers, or of all that hold now where nothing is named; at most MOST_PROMISED."""
    promotions = ask.promotions
    if promotions is None or not promotions.share:
        return []
    named = iter(promotions.items)
    if promotions.offers or not promotions.items:
        named = chain(named, catalogue.items_on_offer(promotions.offers, now))
    rows = dict.fromkeys(map(catalogue.row, named))
    rows.pop(None, None)
    return [row for row in islice(rows, MOST_PROMISED) if row is not None]
