"""Candidates out of lists that lie ready: partners of an item, items like it, the best of a group,
new and promoted ones, what trends.

Part of `gathering`.
"""

from typing import Final, TypeAlias

import numpy as np

from services.recommend.arrays import Numbers, Scores
from services.recommend.candidates.pool_loops import (
    BAG,
    NEW,
    NO_COLUMN,
    PROMOTED,
    SIMILAR,
    TOGETHER,
    Bag,
    add,
)
from services.recommend.candidates.short_lists import ListArrays
from services.recommend.compiled import compiled

SIMILAR_TO: Final = 4
"""Newest items of the session whose likes are looked for."""
MOST_SIMILAR: Final = 20
MOST_PARTNERS: Final = 30
"""Of one item, at the head of its list: what lies behind hardly ever gets past the first stage,
and each candidate costs all the stages up to there."""
LISTED_SOURCES: Final = 6
"""Sources in here."""

SimilarArrays: TypeAlias = tuple[Numbers, Numbers, Scores, Numbers]
"""Similar.arrays()."""
Fresh: TypeAlias = tuple[Numbers, Scores]
"""Rows of new items, and how new they are."""

LISTS: Final = "Tuple((int64[:, ::1], float64[:, ::1], int64[::1]))"
SIMILAR_LISTS: Final = "Tuple((int64[::1], int64[:, ::1], float64[:, ::1], int64[::1]))"
FRESH: Final = "Tuple((int64[::1], float64[::1]))"


Listed: TypeAlias = tuple[ListArrays, SimilarArrays, ListArrays, Fresh, Numbers]
"""Partners, likes, members of groups, new items, rows that trend."""
LISTED: Final = f"Tuple(({LISTS}, {SIMILAR_LISTS}, {LISTS}, {FRESH}, int64[::1]))"


@compiled("float64(int64)")
def weight_of(place: int) -> float:
    """How much an anchor counts: the later it stands the less, since the newest cart item is what
    is being completed."""
    return 1.0 / (1.0 + 0.1 * place)


@compiled(f"int64(int64[::1], {LISTS}, {BAG}, int64, int64[::1])")
def _add_partners(
    anchors: Numbers, partners: ListArrays, bag: Bag, count: int, found: Numbers
) -> int:
    numbers, cosines, lengths = partners
    for at in range(len(anchors)):
        where = anchors[at]
        length = min(lengths[where], MOST_PARTNERS) if where >= 0 else 0
        if length:
            weighed = cosines[where, :length] * weight_of(at)
            count = add(numbers[where, :length], weighed, TOGETHER, bag, count)
        found[1] += length
    return count


@compiled(f"int64(int64[::1], {SIMILAR_LISTS}, {BAG}, int64, int64[::1])")
def _add_similar(
    seen: Numbers, similar: SimilarArrays, bag: Bag, count: int, found: Numbers
) -> int:
    places, numbers, likes, lengths = similar
    for at in range(min(SIMILAR_TO, len(seen))):
        item = seen[len(seen) - 1 - at]
        where = places[item] if item < len(places) else -1
        length = min(lengths[where], MOST_SIMILAR) if where >= 0 else 0
        if length:
            weighed = likes[where, :length] * weight_of(at)
            count = add(numbers[where, :length], weighed, SIMILAR, bag, count)
        found[2] += length
    return count


@compiled(
    "Tuple((int64, int64[::1]))(Tuple((int64[::1], int64[::1], int64[::1], int64[::1])),"
    f" {LISTED}, {BAG}, int64)"
)
def add_lists(
    own: tuple[Numbers, Numbers, Numbers, Numbers], listed: Listed, bag: Bag, count: int
) -> tuple[int, Numbers]:
    """Adds what is promoted, the anchors' partners, what is like the newest of the session, the
    preferred groups, new items and what is trending; how many candidates there are now, and how
    many of each source were found, in that order."""
    seen, anchors, groups, promised = own
    partners, similar, members, fresh, wanted = listed
    rows, none, held = members[0], np.empty(0), members[2]
    found = np.zeros(LISTED_SOURCES, dtype=np.int64)
    count = add(promised, np.ones(len(promised)), PROMOTED, bag, count)
    count = _add_partners(anchors, partners, bag, count, found)
    count = _add_similar(seen, similar, bag, count, found)
    for at in range(len(groups)):
        where = groups[at]
        length = held[where] if where >= 0 else 0
        if length:
            count = add(rows[where, :length], none, NO_COLUMN, bag, count)
        found[3] += length
    count = add(fresh[0], fresh[1], NEW, bag, count)
    count = add(wanted, none, NO_COLUMN, bag, count)
    found[0], found[4], found[5] = len(promised), len(fresh[0]), len(wanted)
    return count, found
