"""What concerns one call alone, as one array of numbers: how `pool.pack` lays it out, and how
compiled code takes it apart.

Own numbers (`own`): LENGTHS numbers, see below; then item numbers of the session, oldest first, of
which the last are asked for; places of the anchors' partners (Pairs.lists) and of preferred groups
(Popularity.lists); promoted rows; item numbers withheld by each rule in the order of
policy.OWN_RULES; preferred codes and their weights, MOST_VALUES a field; of each item that was
bought how many days ago before DAYS, and in how many orders.
"""

from typing import Final

import numpy as np

from services.recommend.arrays import Numbers
from services.recommend.candidates.pool_loops import FIELDS, MOST_VALUES
from services.recommend.compiled import compiled
from services.recommend.numbers import NO_ITEM
from services.recommend.policy import OWN_RULES

SEEN_LENGTH, ASKED, PARTNERS, GROUPS, PROMISED, PURCHASES, DAYS, CUSTOMER, RULES = range(9)
"""Places in `own`: lengths of sections, days to add to each purchase's, the customer's row among
the vectors' owners; from RULES on the lengths of the rules' sections."""
LENGTHS: Final = RULES + len(OWN_RULES)


@compiled(
    "Tuple((UniTuple(int64[::1], 4), int64[::1], int64[::1], UniTuple(int64[::1], 2),"
    " UniTuple(int64[::1], 2)))(int64[::1])"
)
def sections(
    own: Numbers,
) -> tuple[
    tuple[Numbers, Numbers, Numbers, Numbers],
    Numbers,
    Numbers,
    tuple[Numbers, Numbers],
    tuple[Numbers, Numbers],
]:
    """Session, partners, groups and promoted; the rules' items, and the lengths of their sections;
    preferred codes and weights; days and times of what was bought."""
    lengths = own[RULES:LENGTHS]
    begin = LENGTHS
    session = own[begin : begin + own[SEEN_LENGTH]]
    begin += own[SEEN_LENGTH]
    partners = own[begin : begin + own[PARTNERS]]
    begin += own[PARTNERS]
    groups = own[begin : begin + own[GROUPS]]
    begin += own[GROUPS]
    promised = own[begin : begin + own[PROMISED]]
    begin += own[PROMISED]
    named = own[begin : begin + lengths.sum()]
    begin += lengths.sum()
    middle = begin + FIELDS * MOST_VALUES
    end = middle + FIELDS * MOST_VALUES
    days = own[end : end + own[PURCHASES]]
    times = own[end + own[PURCHASES] : end + 2 * own[PURCHASES]]
    tastes = (own[begin:middle], own[middle:end])
    return (session, partners, groups, promised), named, lengths, tastes, (days, times)


@compiled("int64[::1](int64[::1], int64[::1])")
def session_rows(own: Numbers, row_of: Numbers) -> Numbers:
    """Rows of the session's items, below 0 where one is not in the catalogue: events and models
    number items that it never had. row_of: by item number."""
    items = own[LENGTHS : LENGTHS + own[SEEN_LENGTH]]
    rows = np.empty(len(items), dtype=np.int64)
    for at in range(len(items)):
        rows[at] = row_of[items[at] if items[at] < len(row_of) else NO_ITEM]
    return rows
