"""From a shopper's numbers to allowed candidates with features, as one compiled call a request:
each call from Python costs more than most of these loops. `pool` packs what it takes.

Own numbers (`own`): LENGTHS of the sections that follow, then item numbers of the session and of
it what is asked for, places of the anchors' partners (Pairs.lists) and of preferred groups
(Popularity.lists), item numbers withheld by each rule in the order of policy.OWN_RULES, preferred
codes and their weights, MOST_VALUES a field.
"""

from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from services.recommend.arrays import Codes, Numbers, Reasons, Scores
from services.recommend.candidates.first_stage import going_on, heard, weigh
from services.recommend.candidates.neighbour_loops import INDEX, LIMITS, Limits, SessionArrays
from services.recommend.candidates.neighbours import neighbours_of
from services.recommend.candidates.pool_loops import (
    FIELDS,
    MOST_CANDIDATES,
    MOST_REASONS,
    MOST_VALUES,
    NO_COLUMN,
    SESSION,
    SIGNALS,
    TOGETHER,
    add,
    fill,
    keep,
    note,
    shares,
)
from services.recommend.candidates.short_lists import ListArrays
from services.recommend.compiled import compiled
from services.recommend.policy import named_rows

LENGTHS: Final = 8
SOURCES: Final = 4

ItemArrays: TypeAlias = tuple[
    Numbers, Reasons, NDArray[np.bool_], Codes, Codes, NDArray[np.int8], Scores, Scores
]
"""row_of by item number; then by row: availability, repeatable, category, brand, price band,
trending, conversion."""
Stage: TypeAlias = tuple[Scores, Numbers, int]
"""First-stage weights, order of ids by row, how many go on (first_stage.py)."""

LISTS: Final = "Tuple((int64[:, ::1], float64[:, ::1], int64[::1]))"


@compiled("float64(int64)")
def weight_of(place: int) -> float:
    """How much an anchor counts: the later it stands the less, since the newest cart item is what
    is being completed."""
    return 1.0 / (1.0 + 0.1 * place)


@compiled(
    "UniTuple(int64, 3)(int64[::1], int64[::1], int64[::1],"
    f" {LISTS}, {LISTS}, int64[::1], int64[::1], float64[:, ::1], int64, int64[::1], int64)"
)
def _add_lists(
    anchors: Numbers,
    groups: Numbers,
    wanted: Numbers,
    partners: ListArrays,
    members: ListArrays,
    row_of: Numbers,
    pooled: Numbers,
    scores: Scores,
    count: int,
    place: Numbers,
    size: int,
) -> tuple[int, int, int]:
    """Adds the anchors' partners, the preferred groups and what is trending; how many candidates
    there are now, and how many partners and members were found."""
    numbers, cosines, lengths = partners
    rows, _, held = members
    together = liked = 0
    for at in range(len(anchors)):
        where = anchors[at]
        length = lengths[where] if where >= 0 else 0
        if length:
            found = cosines[where, :length] * weight_of(at)
            count = add(
                numbers[where, :length], found, TOGETHER, row_of, pooled, scores, count, place, size
            )
        together += length
    for at in range(len(groups)):
        where = groups[at]
        length = held[where] if where >= 0 else 0
        if length:
            none = np.empty(0)
            count = add(
                rows[where, :length], none, NO_COLUMN, row_of, pooled, scores, count, place, size
            )
        liked += length
    count = add(wanted, np.empty(0), NO_COLUMN, row_of, pooled, scores, count, place, size)
    return count, together, liked


@compiled("Tuple((int64[::1], int64[::1], int64[::1], int64[::1], int64[::1], int64))(int64[::1])")
def _sections(own: Numbers) -> tuple[Numbers, Numbers, Numbers, Numbers, Numbers, int]:
    """Session, asked, anchors, groups, lengths of the rules' sections; where those begin."""
    begin = LENGTHS
    seen = own[begin : begin + own[0]]
    begin += own[0]
    asked = seen[len(seen) - own[1] :]
    anchors = own[begin : begin + own[2]]
    begin += own[2]
    return seen, asked, anchors, own[begin : begin + own[3]], own[4:LENGTHS], begin + own[3]


@compiled(
    "Tuple((int64[::1], float64[:, ::1], float64[:, ::1], float64[::1], int64[::1],"
    " int64[:, ::1]))(int64[::1],"
    f" {LIMITS}, {INDEX}, {LISTS}, {LISTS}, int64[::1],"
    " Tuple((int64[::1], uint8[::1], boolean[::1], int32[::1], int32[::1], int8[::1],"
    " float64[::1], float64[::1])), int64[::1], uint8[::1],"
    " Tuple((float64[::1], int64[::1], int64)))"
)
def gather(
    own: Numbers,
    limits: Limits,
    index: SessionArrays,
    partners: ListArrays,
    members: ListArrays,
    wanted: Numbers,
    items: ItemArrays,
    place: Numbers,
    mark: Reasons,
    stage: Stage,
) -> tuple[Numbers, Scores, Scores, Scores, Numbers, Numbers]:
    """The allowed candidates that go on to the ranker: rows, signals, first-stage features
    and scores; how many each source found and how many each reason code withheld; the neighbours
    (see neighbours_of)."""
    row_of, general, repeatable, category, brand, price_band, trending, conversion = items
    seen, asked, anchors, groups, lengths, begin = _sections(own)
    alike, votes, sessions = neighbours_of(asked, index, limits)
    pooled = np.empty(MOST_CANDIDATES, dtype=np.int64)
    signals = np.zeros((SIGNALS, MOST_CANDIDATES))
    size = len(general)
    count = add(alike, votes, SESSION, row_of, pooled, signals, 0, place, size)
    count, together, liked = _add_lists(
        anchors, groups, wanted, partners, members, row_of, pooled, signals, count, place, size
    )
    note(seen, row_of, pooled, signals, count, place, size)
    end = begin + lengths.sum()
    named = named_rows(own[begin:end], lengths, row_of, repeatable)
    facts = np.zeros(SOURCES + MOST_REASONS, dtype=np.int64)
    facts[0], facts[1], facts[2], facts[3] = len(alike), together, liked, len(wanted)
    count = keep(pooled, signals, count, general, named[0], named[1], mark, facts[SOURCES:])
    middle = end + FIELDS * MOST_VALUES
    weights = shares(own[middle:])
    codes = own[end:middle]
    features = fill(
        pooled, signals, count, category, brand, price_band, codes, weights, trending, conversion
    )
    first, id_order, most = stage
    scores = weigh(features, first)
    rows = pooled[:count]
    best = going_on(scores, signals, rows, id_order, most)
    return rows[best], heard(signals, best), features[best], scores[best], facts, sessions
