"""The loops behind session neighbours, compiled. What they mean stands in sessions.py.

Scratch arrays (`sums` by row of a session, `votes` by item) are 0 before and after each call.
"""

from typing import Final

import numpy as np

from services.recommend.arrays import Codes, Numbers, Scores
from services.recommend.compiled import compiled

VOTE: Final = float(1 << 40)
"""Votes are added up as whole numbers of 1 / VOTE, so that the order of adding does not matter."""


@compiled("int64(int64, int64)")
def beginning(total: int, capacity: int) -> int:
    """The session with which the ring of rows began anew."""
    return (max(total, 1) - 1) // capacity * capacity


@compiled("int64(int64, int64, int64)")
def row_of(session: int, turn: int, capacity: int) -> int:
    """session % capacity for one of the newest `capacity` sessions, without the division."""
    return session - turn if session >= turn else session - turn + capacity


@compiled(
    "int64[::1](int64[::1], int64[::1], int64[::1], int64[::1], int64, int64, int64[::1], int64)"
)
def gather(
    asked: Numbers,
    starts: Numbers,
    counts: Numbers,
    sessions: Numbers,
    total: int,
    capacity: int,
    sums: Numbers,
    newest: int,
) -> Numbers:
    """The sessions that hold an asked item; leaves in `sums` of each the sum of the positions of
    its items, shifted, and in the low 8 bits the newest of them."""
    turn = beginning(total, capacity)
    found = np.empty(len(asked) * newest, dtype=np.int64)
    size = 0
    for position in range(1, len(asked) + 1):
        item = asked[position - 1]
        if item >= len(starts):
            continue
        end = starts[item] + counts[item]
        for at in range(max(starts[item], end - newest), end):
            session = sessions[at]
            if session < total - capacity:
                continue
            place = row_of(session, turn, capacity)
            if sums[place] == 0:
                found[size] = session
                size += 1
            sums[place] = (((sums[place] >> 8) + position) << 8) | position
    return found[:size].copy()


@compiled("int64[::1](int64[::1], int64)")
def highest(values: Numbers, most: int) -> Numbers:
    """The `most` highest of the values, which differ; in no order."""
    if len(values) <= most:
        return values
    kept = values.copy()
    low, high, place = 0, len(kept) - 1, len(kept) - most
    while low < high:
        middle = kept[(low + high) // 2]
        left, right = low, high
        while left <= right:
            while kept[left] < middle:
                left += 1
            while kept[right] > middle:
                right -= 1
            if left <= right:
                kept[left], kept[right] = kept[right], kept[left]
                left += 1
                right -= 1
        if place <= right:
            high = right
        elif place >= left:
            low = left
        else:
            break
    return kept[place:].copy()


@compiled(
    "Tuple((int64[::1], float64[::1], int64[::1]))(int64[::1], int64[::1], int64[::1], int64[::1],"
    " int64, int64, int64[::1], int64, int64, float64)"
)
def nearest(
    asked: Numbers,
    starts: Numbers,
    counts: Numbers,
    sessions: Numbers,
    total: int,
    capacity: int,
    sums: Numbers,
    newest: int,
    neighbours: int,
    decay: float,
) -> tuple[Numbers, Scores, Numbers]:
    """Rows, votes and newest shared positions of the sessions most like the asked items.

    starts, counts, sessions: see Postings."""
    found = gather(asked, starts, counts, sessions, total, capacity, sums, newest)
    kept = highest(found, newest)
    turn = beginning(total, capacity)
    if len(kept) > neighbours:
        likeness = np.empty(len(kept), dtype=np.int64)
        oldest = total - capacity
        for at in range(len(kept)):
            likeness[at] = ((sums[row_of(kept[at], turn, capacity)] >> 8) << 40) + (
                kept[at] - oldest
            )
        chosen = highest(likeness, neighbours)
        kept = np.empty(len(chosen), dtype=np.int64)
        for at in range(len(chosen)):
            kept[at] = (chosen[at] & ((1 << 40) - 1)) + oldest
    places = np.empty(len(kept), dtype=np.int64)
    votes = np.empty(len(kept), dtype=np.float64)
    positions = np.empty(len(kept), dtype=np.int64)
    for at in range(len(kept)):
        place = row_of(kept[at], turn, capacity)
        places[at] = place
        positions[at] = sums[place] & 255
        weight = 1.0 - decay * (len(asked) - positions[at] + 1)
        votes[at] = (sums[place] >> 8) / len(asked) * max(weight, 0.0)
    for at in range(len(found)):
        sums[row_of(found[at], turn, capacity)] = 0
    return places, votes, positions


@compiled(
    "Tuple((int64[::1], float64[::1]))(int32[:, ::1], int32[::1], int64[::1], float64[::1],"
    " int64[::1], int64[::1], int64, float64)"
)
def tally(
    rows: Codes,
    lengths: Codes,
    places: Numbers,
    weights: Scores,
    frequency: Numbers,
    votes: Numbers,
    total: int,
    idf: float,
) -> tuple[Numbers, Scores]:
    """The items of the sessions in `places`, each once, and the sum of those sessions' weights,
    raised by rarity."""
    items = np.empty(len(places) * rows.shape[1], dtype=np.int64)
    size = 0
    for at in range(len(places)):
        vote = np.int64(weights[at] * VOTE + 0.5)
        if vote == 0:
            continue
        for column in range(lengths[places[at]]):
            item = rows[places[at], column]
            if votes[item] == 0:
                items[size] = item
                size += 1
            votes[item] += vote
    items = items[:size].copy()
    scores = np.empty(size, dtype=np.float64)
    for at in range(size):
        item = items[at]
        rarity = np.log(total / frequency[item]) if idf != 0.0 else 0.0
        scores[at] = votes[item] / VOTE * (1.0 + idf * rarity)
        votes[item] = 0
    return items, scores


@compiled(
    "int64[:, ::1](int32[:, ::1], int32[::1], int64[::1], int64[::1], int64[::1], int64[::1],"
    " int64[::1])"
)
def holders(
    rows: Codes,
    lengths: Codes,
    places: Numbers,
    positions: Numbers,
    asked: Numbers,
    items: Numbers,
    mark: Numbers,
) -> Numbers:
    """For each item in how many of the sessions it is, and the newest of their positions that is
    not the item's own (0: none)."""
    found = np.zeros((len(items), 2), dtype=np.int64)
    for place in range(len(items)):
        if items[place] < len(mark):
            mark[items[place]] = place + 1
    for at in range(len(places)):
        for column in range(lengths[places[at]]):
            place = mark[rows[places[at], column]] - 1
            if place >= 0:
                found[place, 0] += 1
                if asked[positions[at] - 1] != items[place]:
                    found[place, 1] = max(found[place, 1], positions[at])
    for place in range(len(items)):
        if items[place] < len(mark):
            mark[items[place]] = 0
    return found
