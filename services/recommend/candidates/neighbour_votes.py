"""What the most alike sessions vote for, compiled. What it means stands in neighbour_weights.py.

`votes` by item is scratch: 0 before and after each call of `tally`.
"""

from typing import Final

import numpy as np

from services.recommend.arrays import Codes, Numbers, Scores
from services.recommend.candidates.neighbour_loops import (
    INDEX,
    LIMITS,
    MOST_CLICKS,
    Limits,
    SessionArrays,
    beginning,
    row_of,
)
from services.recommend.candidates.neighbour_weights import (
    BACK,
    CHAIN,
    COMMON,
    CURRENT,
    DISTANCES,
    FLAT,
    IDF,
    LOGARITHMS,
    LONGEST_SESSION,
    POWERS,
    RARITY,
)
from services.recommend.compiled import compiled

VOTE: Final = float(1 << 40)
"""Votes are added up as whole numbers of 1 / VOTE, so that the order of adding does not matter."""


@compiled(
    "int64(int64[::1], int64[::1], int64[::1], float64[::1], int32[:, ::1], int32[::1],"
    " int64[::1], float64[::1])"
)
def add_rows(
    items: Numbers,
    shared: Numbers,
    places: Numbers,
    alike: Scores,
    rows: Codes,
    lengths: Codes,
    votes: Numbers,
    weights: Scores,
) -> int:
    """Adds each session's vote to its items, which are put into `items`; how many there are.
    shared: of each session the newest item it has in common with the asked one."""
    size = 0
    flat = weights[FLAT] != 0.0
    for at in range(len(places)):
        place = places[at]
        unit = alike[at] * VOTE
        middle = 0
        if not flat:
            while rows[place, middle] != shared[at]:
                middle += 1
        for column in range(lengths[place]):
            item = rows[place, column]
            share = 1.0 if flat else weights[DISTANCES + LONGEST_SESSION + column - middle]
            whole = np.int64(unit * share + 0.5)
            if whole == 0:
                continue
            if votes[item] == 0:
                items[size] = item
                size += 1
            votes[item] += whole
    return size


@compiled(f"int64(int64[::1], int64, int64, float64, int64, {INDEX})")
def add_chain(
    items: Numbers, size: int, current: int, share: float, newest: int, index: SessionArrays
) -> int:
    """Adds `share`, divided among the newest sessions with the current item, to what came after it
    there: by one over the steps from it; how many different items there are now."""
    starts, counts, sessions, total, capacity, _, rows, lengths, _, votes = index
    if current >= len(starts) or counts[current] == 0:
        return size
    turn = beginning(total, capacity)
    end = starts[current] + counts[current]
    begin = max(starts[current], end - newest)
    step = share / (end - begin) * VOTE
    for entry in range(begin, end):
        session = sessions[entry]
        if session < total - capacity:
            continue
        place = row_of(session, turn, capacity)
        middle = 0
        while rows[place, middle] != current:
            middle += 1
        for column in range(middle + 1, lengths[place]):
            item = rows[place, column]
            whole = np.int64(step / (column - middle) + 0.5)
            if whole == 0:
                continue
            if votes[item] == 0:
                items[size] = item
                size += 1
            votes[item] += whole
    return size


@compiled("void(int64[::1], int64[::1], int64[::1], float64[::1])")
def favour_own(asked: Numbers, own: Numbers, votes: Numbers, weights: Scores) -> None:
    """Multiplies the votes for what the shopper saw in this session."""
    newest = asked[own[0] - 1]
    # a click repeated at once is no return
    before = own[0] - 2
    while before >= 0 and asked[before] == newest:
        before -= 1
    again = False
    for at in range(max(own[0] - MOST_CLICKS, 0), before):
        again = again or asked[at] == newest
    for at in range(len(own)):
        item = asked[own[at] - 1]
        factor = weights[CURRENT] if at == 0 else weights[BACK + min(at - 1, 1) + 2 * again]
        if factor != 1.0 and item < len(votes):
            votes[item] = np.int64(votes[item] * factor + 0.5)


@compiled(f"Tuple((int64[::1], float64[::1]))(int64[::1], {INDEX}, float64[::1])")
def counted(items: Numbers, index: SessionArrays, weights: Scores) -> tuple[Numbers, Scores]:
    """The items with votes that are not 0, and their votes raised by rarity; clears `votes`."""
    total, frequency, votes = index[3], index[8], index[9]
    scores = np.empty(len(items), dtype=np.float64)
    count = 0
    logarithm = np.log(max(total, 1))
    for at in range(len(items)):
        item = items[at]
        if votes[item] != 0:
            often = frequency[item]
            if often < COMMON:
                rarity, power = logarithm - weights[LOGARITHMS + often], weights[POWERS + often]
            else:
                rarity, power = np.log(total / often), often ** -weights[RARITY]
            scores[count] = votes[item] / VOTE * (1.0 + weights[IDF] * rarity) * power
            items[count] = item
            count += 1
        votes[item] = 0
    return items[:count].copy(), scores[:count].copy()


@compiled(
    "Tuple((int64[::1], float64[::1]))(int64[::1], int64[::1], int64[::1], float64[::1],"
    f" int64[::1], {INDEX}, {LIMITS})"
)
def tally(
    asked: Numbers,
    own: Numbers,
    places: Numbers,
    alike: Scores,
    shared: Numbers,
    index: SessionArrays,
    limits: Limits,
) -> tuple[Numbers, Scores]:
    """The items of the sessions in `places`, each once, and the sum of those sessions' votes with
    all that raises or lowers it."""
    newest, weights = limits[0], limits[3]
    rows, votes = index[6], index[9]
    current = asked[own[0] - 1] if len(own) else 0
    chained = 0
    if weights[CHAIN] > 0.0 and current < len(index[1]):
        chained = min(newest, index[1][current])
    items = np.empty((len(places) + chained) * rows.shape[1], dtype=np.int64)
    common = np.empty(len(places), dtype=np.int64)
    whole = 0
    for at in range(len(places)):
        common[at] = asked[own[shared[at]] - 1]
        whole += int(alike[at] * VOTE + 0.5)
    size = add_rows(items, common, places, alike, rows, index[7], votes, weights)
    if chained:
        share = weights[CHAIN] * (whole / VOTE)
        size = add_chain(items, size, current, share, newest, index)
    if size:
        favour_own(asked, own, votes, weights)
    return counted(items[:size], index, weights)
