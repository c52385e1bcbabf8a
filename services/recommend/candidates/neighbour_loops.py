"""The sessions most like the shopper's, compiled. What it means stands in neighbour_weights.py.

Scratch arrays (`sums` by row of a session, `votes` by item) are 0 before and after each call.
"""

from typing import Final, TypeAlias

import numpy as np

from services.recommend.arrays import Codes, Numbers, Scores
from services.recommend.candidates.neighbour_weights import (
    DECAY,
    LENGTHS,
    LINEAR,
    POSITIONS,
    RECENCY,
)
from services.recommend.compiled import compiled

WEIGHT: Final = 24
"""Weights of shared items are whole numbers of 1 / (1 << WEIGHT)."""
LIKENESS: Final = float(1 << 26)
"""Likeness is compared in whole numbers of 1 / LIKENESS: below 21 / 2 of them, so 30 bits."""
MOST_CLICKS: Final = 64
"""Clicks of the shopper's session that are looked at, the newest."""

SessionArrays: TypeAlias = tuple[
    Numbers, Numbers, Numbers, int, int, Numbers, Codes, Codes, Numbers, Numbers
]
"""SessionIndex.arrays(); in numba's words INDEX."""
Limits: TypeAlias = tuple[int, int, int, Scores]
"""NeighbourSettings.limits(); in numba's words LIMITS."""
INDEX: Final = (
    "Tuple((int64[::1], int64[::1], int64[::1], int64, int64, int64[::1], int32[:, ::1],"
    " int32[::1], int64[::1], int64[::1]))"
)
LIMITS: Final = "Tuple((int64, int64, int64, float64[::1]))"


@compiled("int64(int64, int64)")
def beginning(total: int, capacity: int) -> int:
    """The session with which the ring of rows began anew."""
    return (max(total, 1) - 1) // capacity * capacity


@compiled("int64(int64, int64, int64)")
def row_of(session: int, turn: int, capacity: int) -> int:
    """session % capacity for one of the newest `capacity` sessions, without the division."""
    return session - turn if session >= turn else session - turn + capacity


@compiled("int64[::1](int64[::1])")
def distinct(asked: Numbers) -> Numbers:
    """Positions (1 = oldest) in `asked` of its items, each where it was last seen, the newest
    first; of the last MOST_CLICKS clicks."""
    found = np.empty(min(len(asked), MOST_CLICKS), dtype=np.int64)
    count = 0
    for position in range(len(asked), max(len(asked) - MOST_CLICKS, 0), -1):
        item = asked[position - 1]
        known = item == 0
        for at in range(count):
            known = known or asked[found[at] - 1] == item
        if not known:
            found[count] = position
            count += 1
    return found[:count].copy()


@compiled(f"int64[::1](int64[::1], int64[::1], {INDEX}, int64, float64[::1])")
def gather(
    asked: Numbers, own: Numbers, index: SessionArrays, newest: int, weights: Scores
) -> Numbers:
    """The sessions that hold an item of `asked` named by `own` (see distinct); leaves in `sums` of
    each the weights of its items in whole numbers of 1 / WEIGHT, shifted, and in the low 8 bits
    one more than the place in `own` of the newest of them."""
    starts, counts, sessions, total, capacity, sums, _, _, _, _ = index
    turn = beginning(total, capacity)
    found = np.empty(len(own) * newest, dtype=np.int64)
    size = 0
    for at in range(len(own) - 1, -1, -1):
        item = asked[own[at] - 1]
        if item >= len(starts):
            continue
        if weights[LINEAR] != 0.0:
            weight = (len(own) - at) << WEIGHT
        else:
            weight = int(weights[POSITIONS + at] * (1 << WEIGHT) + 0.5)
        end = starts[item] + counts[item]
        for entry in range(max(starts[item], end - newest), end):
            session = sessions[entry]
            if session < total - capacity:
                continue
            place = row_of(session, turn, capacity)
            if sums[place] == 0:
                found[size] = session
                size += 1
            sums[place] = (((sums[place] >> 8) + weight) << 8) | (at + 1)
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


@compiled("int64[::1](int64[::1], int64)")
def few_highest(values: Numbers, most: int) -> Numbers:
    """As `highest`, where `most` are few: what lies below the lowest of the `most` highest maxima
    of blocks is passed over first."""
    width = len(values) // (2 * most) if most > 0 else 0
    if width < 2:
        return highest(values, most)
    blocks = len(values) // width
    maxima = values[:blocks].copy()
    for start in range(blocks, width * blocks, blocks):
        for block in range(blocks):
            maxima[block] = max(maxima[block], values[start + block])
    least = highest(maxima, most).min()
    kept = np.empty(len(values), dtype=np.int64)
    size = 0
    for at in range(len(values)):
        # without a way around it: which value is kept cannot be foretold
        kept[size] = values[at]
        size += values[at] >= least
    return highest(kept[:size].copy(), most)


@compiled(f"float64[::1](int64[::1], int64, {INDEX}, float64[::1])")
def likeness(found: Numbers, items: int, index: SessionArrays, weights: Scores) -> Scores:
    """How much each of these sessions is like the one with so many items that `gather` was asked
    for."""
    _, _, _, total, capacity, sums, _, lengths, _, _ = index
    turn = beginning(total, capacity)
    unit = 1.0 / (1 << WEIGHT)
    if weights[LINEAR] != 0.0:
        unit /= items
    alike = np.empty(len(found))
    for at in range(len(found)):
        place = row_of(found[at], turn, capacity)
        alike[at] = (sums[place] >> 8) * unit * weights[LENGTHS + lengths[place]]
        if weights[RECENCY] > 0.0:
            alike[at] *= np.exp((found[at] - total + 1) / weights[RECENCY])
    return alike


@compiled(
    f"Tuple((int64[::1], float64[::1], int64[::1]))(int64[::1], int64[::1], {INDEX}, {LIMITS})"
)
def nearest(
    asked: Numbers, own: Numbers, index: SessionArrays, limits: Limits
) -> tuple[Numbers, Scores, Numbers]:
    """Rows and votes of the sessions most like the asked one, and the place in `own` of the newest
    item they share. Equally alike: the newer one."""
    total, capacity, sums = index[3], index[4], index[5]
    newest, neighbours, last_items, weights = limits
    own = own[:last_items]
    found = gather(asked, own, index, newest, weights)
    kept = highest(found, newest)
    alike = likeness(kept, len(own), index, weights)
    turn = beginning(total, capacity)
    if len(kept) > neighbours:
        order = np.empty(len(kept), dtype=np.int64)
        oldest = total - capacity
        for at in range(len(kept)):
            order[at] = (np.int64(alike[at] * LIKENESS + 0.5) << 32) + (kept[at] - oldest)
        chosen = highest(order, neighbours)
        kept = np.empty(len(chosen), dtype=np.int64)
        for at in range(len(chosen)):
            kept[at] = (chosen[at] & ((1 << 32) - 1)) + oldest
        alike = likeness(kept, len(own), index, weights)
    places = np.empty(len(kept), dtype=np.int64)
    shared = np.empty(len(kept), dtype=np.int64)
    for at in range(len(kept)):
        places[at] = row_of(kept[at], turn, capacity)
        shared[at] = (sums[places[at]] & 255) - 1
        alike[at] *= max(1.0 - weights[DECAY] * (shared[at] + 1), 0.0)
    for at in range(len(found)):
        sums[row_of(found[at], turn, capacity)] = 0
    return places, alike, shared


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
