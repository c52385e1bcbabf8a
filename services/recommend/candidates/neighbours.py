"""What sessions like the shopper's looked at, as one compiled call: `neighbours_of`.

Candidates of `pipeline`, and all that `attune evaluate next-item` measures as shipped: both ask
the same function. The loops stand in neighbour_loops.py and neighbour_votes.py.
"""

from typing import Final, TypeAlias

import numpy as np

from services.recommend.arrays import Numbers, Scores
from services.recommend.candidates.neighbour_loops import (
    INDEX,
    LIMITS,
    Limits,
    SessionArrays,
    distinct,
    nearest,
)
from services.recommend.candidates.neighbour_votes import tally
from services.recommend.candidates.neighbour_weights import CHAIN, CURRENT
from services.recommend.compiled import compiled

MOST_OF_SESSIONS: Final = 300
"""Items of session neighbours that become candidates."""

Predictions: TypeAlias = tuple[Numbers, Numbers, Numbers]
"""Clicks of all sessions side by side; where the session of each prediction begins in them, and
where its target stands."""


@compiled("Tuple((int64[::1], float64[::1]))(int64[::1], float64[::1], int64)")
def best(items: Numbers, scores: Scores, most: int) -> tuple[Numbers, Scores]:
    """The `most` with the highest scores, of equal ones those with the lowest numbers."""
    if len(items) <= most:
        return items, scores
    threshold = np.partition(scores, len(scores) - most)[len(scores) - most]
    above = np.flatnonzero(scores > threshold)
    equal = np.flatnonzero(scores == threshold)
    equal = equal[np.argsort(items[equal])][: most - len(above)]
    kept = np.concatenate((above, equal))
    return items[kept], scores[kept]


@compiled(
    f"Tuple((int64[::1], float64[::1], int64[:, ::1]))(int64[::1], {INDEX}, {LIMITS})",
)
def neighbours_of(
    asked: Numbers, index: SessionArrays, limits: Limits
) -> tuple[Numbers, Scores, Numbers]:
    """What sessions like this one looked at, with votes; and those sessions: the row where each
    lies, and the newest position (1 = oldest, in `asked`) it shares.

    asked: clicks, oldest first, an item as often as it was clicked.
    """
    own = distinct(asked)
    places, weights, shared = nearest(asked, own, index, limits)
    items, votes = tally(asked, own, places, weights, shared, index, limits)
    items, votes = best(items, votes, MOST_OF_SESSIONS)
    alike = np.empty((2, len(places)), dtype=np.int64)
    alike[0] = places
    for at in range(len(places)):
        alike[1, at] = own[shared[at]]
    return items, votes, alike


@compiled("int64[::1](int64[::1], float64[::1], int64)")
def ranked(items: Numbers, scores: Scores, most: int) -> Numbers:
    """The `most` with the highest scores, best first, equal ones by number."""
    found = np.empty(most, dtype=np.int64)
    held = 0
    for place in range(len(items)):
        score, item = scores[place], items[place]
        at = held
        while at > 0:
            other = found[at - 1]
            if score < scores[other] or (score == scores[other] and item > items[other]):
                break
            if at < most:
                found[at] = other
            at -= 1
        if at < most:
            found[at] = place
            held = min(held + 1, most)
    return items[found[:held]]


@compiled(f"int64[::1](int64[::1], {INDEX}, {LIMITS}, int64[::1], int64)")
def next_items(
    asked: Numbers, index: SessionArrays, limits: Limits, popular: Numbers, most: int
) -> Numbers:
    """The `most` items that come next most likely, best first: what neighbours looked at, then
    what is popular."""
    items, votes, _ = neighbours_of(asked, index, limits)
    first = ranked(items, votes, most)
    if len(first) == most:
        return first
    found = np.empty(most, dtype=np.int64)
    held = len(first)
    found[:held] = first
    withheld = asked[-1] if len(asked) and limits[3][CURRENT] == 0.0 else 0
    for at in range(len(popular)):
        if held == most:
            break
        item = popular[at]
        if item != withheld and not np.any(first == item):
            found[held] = item
            held += 1
    return found[:held].copy()


@compiled(
    f"float64[::1](UniTuple(int64[::1], 3), {INDEX}, {LIMITS}, int64[::1], int64)",
)
def reciprocal_ranks(
    predictions: Predictions, index: SessionArrays, limits: Limits, popular: Numbers, most: int
) -> Scores:
    """One over the place of each target in `next_items`, 0 where it is not among them."""
    clicks, begins, targets = predictions
    found = np.zeros(len(targets))
    for at in range(len(targets)):
        asked = clicks[begins[at] : targets[at]]
        items = next_items(asked, index, limits, popular, most)
        for place in range(len(items)):
            if items[place] == clicks[targets[at]]:
                found[at] = 1.0 / (place + 1)
                break
    return found


@compiled(f"float64[::1](UniTuple(int64[::1], 3), {INDEX}, {LIMITS})")
def efforts(predictions: Predictions, index: SessionArrays, limits: Limits) -> Scores:
    """About how many nanoseconds each prediction takes, by what it looks at: a count, so that the
    same data chooses the same settings whatever else the machine does. The factors were fitted to
    CPU time of 80 settings on two files of a million clicks: off by less than half."""
    clicks, begins, targets = predictions
    starts, counts, _, total, capacity, _, _, lengths, _, _ = index
    newest, neighbours, last_items, weights = limits
    width = lengths[: min(total, capacity)].mean() if total else 0.0
    taken = np.empty(len(targets))
    for at in range(len(targets)):
        asked = clicks[begins[at] : targets[at]]
        own = distinct(asked)[:last_items]
        looked = 0
        for place in range(len(own)):
            item = asked[own[place] - 1]
            looked += min(counts[item], newest) if item < len(starts) else 0
        alike = min(looked, newest, neighbours)
        taken[at] = 4_600.0 + 13.0 * looked + alike * (90.0 + 5.0 * width)
        if weights[CHAIN] > 0.0 and len(own) and asked[own[0] - 1] < len(starts):
            taken[at] += 100.0 * min(counts[asked[own[0] - 1]], newest)
    return taken
