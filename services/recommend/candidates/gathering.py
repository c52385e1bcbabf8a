"""From a shopper's numbers to allowed candidates with features, as one compiled call a request:
each call from Python costs more than most of these loops. `pool` packs what it takes.
"""

from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from services.recommend.arrays import Codes, Numbers, Reasons, Scores
from services.recommend.candidates.buy_again import INTERVALS, IntervalArrays
from services.recommend.candidates.computed import add_due, add_nearest
from services.recommend.candidates.first_stage import going_on, heard, weigh
from services.recommend.candidates.listed import (
    LISTED,
    Listed,
    add_lists,
)
from services.recommend.candidates.neighbour_loops import INDEX, LIMITS, Limits, SessionArrays
from services.recommend.candidates.neighbours import neighbours_of
from services.recommend.candidates.own_numbers import ASKED, CUSTOMER, DAYS, sections
from services.recommend.candidates.pool_loops import (
    MOST_CANDIDATES,
    MOST_REASONS,
    SESSION,
    SIGNALS,
    VECTOR,
    add,
    fill,
    keep,
    note,
    shares,
)
from services.recommend.compiled import compiled
from services.recommend.policy import BOUGHT, named_rows
from services.recommend.vectors.loops import VECTORS, VectorArrays, affinities, shopper_vector

SOURCES: Final = 9

ItemArrays: TypeAlias = tuple[
    Numbers, Reasons, NDArray[np.bool_], Codes, Codes, NDArray[np.int8], Scores, Scores, Numbers
]
"""row_of by item number; then by row: availability, repeatable, category, brand, price band,
trending, conversion, item numbers."""
Learned: TypeAlias = tuple[VectorArrays, IntervalArrays]
Stage: TypeAlias = tuple[Scores, Numbers, int]
"""First-stage weights, order of ids by row, how many go on (first_stage.py)."""

ITEMS: Final = (
    "Tuple((int64[::1], uint8[::1], boolean[::1], int32[::1], int32[::1], int8[::1], float64[::1],"
    " float64[::1], int64[::1]))"
)
LEARNED: Final = f"Tuple(({VECTORS}, {INTERVALS}))"
STAGE: Final = "Tuple((float64[::1], int64[::1], int64))"


@compiled(
    "Tuple((int64[::1], float64[:, ::1], float64[:, ::1], float64[::1], int64[::1],"
    " int64[:, ::1]))(int64[::1],"
    f" {LIMITS}, {INDEX}, {LISTED}, {LEARNED}, {ITEMS}, int64[::1], uint8[::1], {STAGE})"
)
def gather(
    own: Numbers,
    limits: Limits,
    index: SessionArrays,
    listed: Listed,
    learned: Learned,
    items: ItemArrays,
    place: Numbers,
    mark: Reasons,
    stage: Stage,
) -> tuple[Numbers, Scores, Scores, Scores, Numbers, Numbers]:
    """The allowed candidates that go on to the ranker: rows, signals, first-stage features
    and scores; how many each source found and how many each reason code withheld; the neighbours
    (see neighbours_of)."""
    row_of, general, repeatable, category, brand, price_band, trending, conversion, _ = items
    sources, named, lengths, tastes, bought = sections(own)
    seen = sources[0]
    alike, votes, sessions = neighbours_of(seen[len(seen) - own[ASKED] :], index, limits)
    pooled = np.empty(MOST_CANDIDATES, dtype=np.int64)
    signals = np.empty((MOST_CANDIDATES, SIGNALS))
    facts = np.zeros(SOURCES + MOST_REASONS, dtype=np.int64)
    bag = (row_of, pooled, signals, place, len(general))
    count = add(alike, votes, SESSION, bag, 0)
    vectors, intervals = learned
    vector = shopper_vector(own[CUSTOMER], seen, vectors)
    # before the lists, of which the last are everybody's: there is room for MOST_CANDIDATES
    count, facts[7] = add_nearest(vector, vectors, bag, count)
    count, facts[8] = add_due(named, bought, own[DAYS], intervals, bag, count)
    count, found = add_lists(sources, listed, bag, count)
    facts[0], facts[1 : 1 + len(found)] = len(alike), found
    note(seen, bag, count)
    own_rules = named_rows(named, lengths, row_of, repeatable)
    count = keep(pooled, signals, count, general, own_rules, mark, facts[SOURCES:], BOUGHT)
    rows = pooled[:count]
    signals[:count, VECTOR] = affinities(vector, items[8][rows], vectors)
    by_row = (category, brand, price_band, trending, conversion)
    features = fill(pooled, signals, count, by_row, tastes[0], shares(tastes[1]))
    first, id_order, most = stage
    scores = weigh(features, first)
    best = going_on(scores, signals, rows, id_order, most)
    return rows[best], heard(signals, best), features[best], scores[best], facts, sessions
