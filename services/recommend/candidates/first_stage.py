"""The first of two stages of ranking: a weighted sum over every candidate, and who goes on.

Between policy and the ranker, called by `gathering.gather`: what the ranker computes of a candidate
costs a hundred times this sum, so only the best by it are looked at closely.
"""

from typing import Final

import numpy as np

from services.recommend.arrays import Numbers, Scores
from services.recommend.candidates.pool_loops import NEW, PROMOTED
from services.recommend.compiled import compiled

MOST_KEPT: Final = 64
"""Candidates that go on to the ranker by their sum."""
MOST_PROMOTED: Final = 100
MOST_NEW: Final = 24
"""Promoted and new ones that go on whatever their sum: the first have a share of the answer, and
nothing is known yet of the others."""


@compiled("float64[::1](float64[:, ::1], float64[::1])")
def weigh(features: Scores, weights: Scores) -> Scores:
    """Each row's sum of features times weights, in the order of the columns."""
    # not a matrix product: that adds up in another order where its vectors of numbers end
    scores = np.empty(len(features), dtype=np.float64)
    for at in range(len(features)):
        total = 0.0
        for column in range(len(weights)):
            total += features[at, column] * weights[column]
        scores[at] = total
    return scores


@compiled("float64(float64[::1], int64)")
def lowest_of_best(scores: Scores, most: int) -> float:
    """The lowest of the `most` highest scores, of which there are more. Looks at the maxima of
    blocks first, below which most of the scores lie."""
    blocks = 2 * most
    if len(scores) < 2 * blocks:
        return float(np.partition(scores, len(scores) - most)[len(scores) - most])
    maxima = scores[:blocks].copy()
    whole = len(scores) // blocks * blocks
    for start in range(blocks, whole, blocks):
        for block in range(blocks):
            maxima[block] = max(maxima[block], scores[start + block])
    least = np.partition(maxima, blocks - most)[blocks - most]
    kept = np.empty(len(scores))
    size = 0
    for at in range(len(scores)):
        # without a way around it: which score is kept cannot be foretold
        kept[size] = scores[at]
        size += scores[at] >= least
    return float(np.partition(kept[:size], size - most)[size - most])


@compiled("int64[::1](float64[::1], int64[::1], int64[::1], int64)")
def best_places(scores: Scores, rows: Numbers, id_order: Numbers, most: int) -> Numbers:
    """Places of the `most` highest scores, best first, equal ones by item id."""
    count = len(scores)
    least = -np.inf
    if 0 < most < count:
        least = lowest_of_best(scores, most)
    best = np.empty(min(max(most, 0), count), dtype=np.int64)
    # beside them their scores and orders, which would else be looked up at each step
    tops, orders = np.empty(len(best)), np.empty(len(best), dtype=np.int64)
    held = 0
    for place in range(count):
        score = scores[place]
        if score < least or len(best) == 0:
            continue
        order = id_order[rows[place]]
        at = held
        while at > 0:
            top = tops[at - 1]
            if score < top or (score == top and order > orders[at - 1]):
                break
            if at < len(best):
                best[at], tops[at], orders[at] = best[at - 1], top, orders[at - 1]
            at -= 1
        if at < len(best):
            best[at], tops[at], orders[at] = place, score, order
            held = min(held + 1, len(best))
    return best


@compiled("int64[::1](float64[::1], float64[:, ::1], int64[::1], int64[::1], int64)")
def going_on(
    scores: Scores, signals: Scores, rows: Numbers, id_order: Numbers, most: int
) -> Numbers:
    """Places of the candidates that the ranker looks at: the best, then the promoted and the new
    ones that are not among them, each group best first."""
    best = best_places(scores, rows, id_order, most)
    if len(best) == len(scores):
        return best
    taken = np.zeros(len(scores), dtype=np.bool_)
    for place in best:
        taken[place] = True
    chosen = np.empty(len(best) + MOST_PROMOTED + MOST_NEW, dtype=np.int64)
    chosen[: len(best)] = best
    held = len(best)
    for signal, limit in ((PROMOTED, MOST_PROMOTED), (NEW, MOST_NEW)):
        others = np.empty(len(scores), dtype=np.int64)
        found = 0
        for place in range(len(scores)):
            if signals[place, signal] > 0.0 and not taken[place]:
                others[found] = place
                found += 1
        if found == 0:
            continue
        others = others[:found].copy()
        for which in best_places(scores[others], rows[others], id_order, limit):
            chosen[held] = others[which]
            taken[others[which]] = True
            held += 1
    return chosen[:held]


@compiled("float64[:, ::1](float64[:, ::1], int64[::1])")
def heard(signals: Scores, places: Numbers) -> Scores:
    """The signals of some candidates, a row each."""
    chosen = np.empty((len(places), signals.shape[1]))
    for at in range(len(places)):
        chosen[at] = signals[places[at]]
    return chosen
