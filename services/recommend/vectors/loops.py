"""Vectors as compiled code reads them: a shopper's vector, scores of candidates, the best items.

Between Vectors (model.py), which holds the arrays, and candidates/gathering.py, which calls this
once a request. Item numbers beyond the arrays, or without a vector, count as not known.
"""

from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from services.recommend.arrays import Numbers, Scores
from services.recommend.candidates.neighbour_loops import few_highest
from services.recommend.compiled import compiled

Floats: TypeAlias = NDArray[np.float32]
Mask: TypeAlias = NDArray[np.bool_]
Folding: TypeAlias = tuple[Floats, Floats, float, float, float]
"""map float32[d, d], centre float32[d], shrink, recency, trust: see `shopper_vector`."""
VectorArrays: TypeAlias = tuple[
    Floats, Floats, Mask, Floats, Floats, Folding, Numbers, Floats, Floats
]
"""By item number: vectors float32[n, d], biases, known. By customer's row: vectors float32[m, d],
items each was trained on. Folding. Of the items that `nearest_items` looks at: numbers, vectors
float32[d, l] (a row a dimension, which is what makes that loop fast), biases."""

FOLDING: Final = "Tuple((float32[:, ::1], float32[::1], float64, float64, float64))"
VECTORS: Final = (
    f"Tuple((float32[:, ::1], float32[::1], boolean[::1], float32[:, ::1], float32[::1], {FOLDING},"
    " int64[::1], float32[:, ::1], float32[::1]))"
)
NOBODY: Final = -1
_MAGNITUDE: Final = 0x7FFFFFFF
_PLACE: Final = 0xFFFFFFFF


@compiled(f"float32[::1](int64, int64[::1], {VECTORS})")
def shopper_vector(customer: int, items: Numbers, arrays: VectorArrays) -> Floats:
    """The vector of who did this: float32[d], empty where nothing is known.

    customer: row (Vectors.customer), NOBODY; items: numbers, oldest first. Folding in: the mean of
    the items' vectors, each step back weighing `recency` times as much and `shrink` weights of
    nothing beside them, through the linear map that training fitted to take such means to the
    vectors of customers. A known customer's own vector counts as the items it was trained on, at
    most `trust`, and is refreshed by the rest.
    """
    vectors, _, known, owners, trained, folding, _, _, _ = arrays
    matrix, centre, shrink, recency, trust = folding
    size = vectors.shape[1]
    mean = np.zeros(size, dtype=np.float32)
    total, weight = 0.0, 1.0
    for at in range(len(items) - 1, -1, -1):
        item = items[at]
        if 0 <= item < len(known) and known[item]:
            total += weight
            for place in range(size):
                mean[place] += np.float32(weight) * vectors[item, place]
            weight *= recency
    own = 0 <= customer < len(owners)
    if total == 0.0:
        return owners[customer].copy() if own else np.empty(0, dtype=np.float32)
    folded = centre.copy()
    share = np.float32(1.0 / (total + shrink))
    for place in range(size):
        for other in range(size):
            folded[place] += matrix[place, other] * (mean[other] * share)
    if own:
        held = min(float(trained[customer]), trust)
        share = np.float32(held / (held + total))
        for place in range(size):
            folded[place] += share * (owners[customer, place] - folded[place])
    return folded


@compiled(f"float64[::1](float32[::1], int64[::1], {VECTORS})")
def affinities(vector: Floats, items: Numbers, arrays: VectorArrays) -> Scores:
    """One score an item, of about unit variance around 0; 0 without a shopper's vector or an
    item's. float64, aligned with `items`."""
    vectors, biases, known, _, _, _, _, _, _ = arrays
    scores = np.zeros(len(items))
    if not len(vector):
        return scores
    size = len(vector)
    even = size - size % 4
    for at in range(len(items)):
        item = items[at]
        if not (0 <= item < len(known) and known[item]):
            continue
        row = vectors[item]
        # four sums side by side: one would wait for itself at every step
        first = second = third = fourth = np.float32(0.0)
        for place in range(0, even, 4):
            first += vector[place] * row[place]
            second += vector[place + 1] * row[place + 1]
            third += vector[place + 2] * row[place + 2]
            fourth += vector[place + 3] * row[place + 3]
        for place in range(even, size):
            first += vector[place] * row[place]
        scores[at] = (first + second) + (third + fourth) + biases[item]
    return scores


@compiled(f"Tuple((int64[::1], float64[::1]))(float32[::1], {VECTORS}, int64)")
def nearest_items(vector: Floats, arrays: VectorArrays, most: int) -> tuple[Numbers, Scores]:
    """The `most` items with the highest scores, best first, equal ones by ascending number; none
    without a vector."""
    _, _, _, _, _, _, numbers, columns, biases = arrays
    if not len(vector) or not len(numbers) or most < 1:
        return np.empty(0, dtype=np.int64), np.empty(0)
    scores = biases.copy()
    for place in range(len(vector)):
        weight, column = vector[place], columns[place]
        # not a product of arrays, which would be one more array each time
        for at in range(len(scores)):
            scores[at] += weight * column[at]
    # whole numbers that are in the order of the scores, and of equal scores in that of the places
    bits = scores.view(np.int32)
    keys = np.empty(len(scores), dtype=np.int64)
    for at in range(len(scores)):
        ordered = np.int64(bits[at])
        ordered = ordered if ordered >= 0 else -(ordered & _MAGNITUDE)
        keys[at] = (ordered << 32) + len(scores) - at
    kept = np.sort(few_highest(keys, most))[::-1]
    items, found = np.empty(len(kept), dtype=np.int64), np.empty(len(kept))
    for place in range(len(kept)):
        at = len(scores) - (kept[place] & _PLACE)
        items[place], found[place] = numbers[at], scores[at]
    return items, found
