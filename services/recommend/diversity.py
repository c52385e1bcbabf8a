"""Which of the ranked are shown, and in which order: no feed of a single category, and as much of
what the shopper does not expect as was asked for.

Between the ranker and the answer in `pipeline`, called by arrangement.py. Maximal marginal
relevance (Carbonell and Goldstein 1998), with a second term for what is familiar. Pure.
"""

import math
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from services.recommend.arrays import Numbers, Scores
from services.recommend.compiled import compiled

MOST_OF_ONE_CATEGORY: Final = 0.6
LOOKED_AT: Final = 3
"""Candidates looked at for each that is offered, at no surprise: as far as another category is
looked for. At full surprise all are."""
NO_LIMIT: Final = 1 << 30
NOBODY: Final = -1

CodeTable: TypeAlias = NDArray[np.int32]
Floats: TypeAlias = NDArray[np.float32]
Promised: TypeAlias = tuple[NDArray[np.bool_], float]
"""By place whether a candidate is promoted, and which share of the answer is theirs."""

Limits: TypeAlias = tuple[int, float, int, int]
"""n; surprise, 0 (scores alone) to 1; of one category at most while others are at hand, and at most
at all."""
SLACK: Final = 1e-9
"""A share of .3 of 10 is 3, whatever binary fractions make of it."""

PROMISED: Final = "Tuple((boolean[::1], float64))"


def most_of_one(n: int) -> int:
    """How many of n offers may be of one category while others are at hand."""
    return max(2, math.ceil(n * MOST_OF_ONE_CATEGORY))


@compiled("boolean(float32[:, ::1], int64)")
def _is_known(vectors: Floats, place: int) -> bool:
    """Whether there is a vector: one number that is not 0 tells."""
    known = False
    for at in range(vectors.shape[1]):
        known |= vectors[place, at] != 0.0
    return known


@compiled("float64(int32[:, ::1], float32[:, ::1], int64, int64)")
def likeness(codes: CodeTable, vectors: Floats, one: int, other: int) -> float:
    """How alike two candidates are, 0 to 1: the share of their codes that both have, and where both
    have a vector (of unit length, else all 0) the mean of that and their cosine, at least 0."""
    shared = held = 0
    for at in range(codes.shape[1]):
        code = codes[one, at]
        held += code >= 0
        if code >= 0:
            for place in range(codes.shape[1]):
                shared += codes[other, place] == code
    for place in range(codes.shape[1]):
        held += codes[other, place] >= 0
    overlap = shared / (held - shared) if held > shared else 0.0
    # four sums side by side: one would wait for itself at every step
    size = vectors.shape[1]
    even = size - size % 4
    first = second = third = fourth = np.float32(0.0)
    for at in range(0, even, 4):
        first += vectors[one, at] * vectors[other, at]
        second += vectors[one, at + 1] * vectors[other, at + 1]
        third += vectors[one, at + 2] * vectors[other, at + 2]
        fourth += vectors[one, at + 3] * vectors[other, at + 3]
    for at in range(even, size):
        first += vectors[one, at] * vectors[other, at]
    cosine = (first + second) + (third + fourth)
    # only a product of 0 leaves open whether there are two vectors
    if cosine == 0.0 and not (_is_known(vectors, one) and _is_known(vectors, other)):
        return overlap
    return 0.5 * (overlap + max(float(cosine), 0.0))


@compiled("float64[::1](float64[::1], int64)")
def relative(scores: Scores, looked_at: int) -> Scores:
    """Scores (best first) as shares of the way from the last one looked at to the best."""
    shares = np.zeros(looked_at)
    if looked_at:
        least = scores[looked_at - 1]
        span = scores[0] - least
        for at in range(looked_at):
            shares[at] = (scores[at] - least) / span if span > 0.0 else 1.0
    return shares


@compiled("int64(float64[::1], boolean[::1], int32[:, ::1], int64[::1], int64)")
def _best(
    worth: Scores, open_to: NDArray[np.bool_], codes: CodeTable, chosen: Numbers, most: int
) -> int:
    """The open place of the greatest worth of whose category there are fewer than `most`; of equal
    ones the first. NOBODY where there is none."""
    best = NOBODY
    for place in range(len(worth)):
        if not open_to[place] or (best != NOBODY and worth[place] <= worth[best]):
            continue
        category = codes[place, 0]
        same = 0
        for other in chosen:
            same += codes[other, 0] == category
        if same < most or category < 0:
            best = place
    return best


@compiled("void(int64, float64[::1], boolean[::1], int32[:, ::1], float32[:, ::1])")
def _note_likeness(
    place: int, alike: Scores, free: NDArray[np.bool_], codes: CodeTable, vectors: Floats
) -> None:
    """Raises `alike` of the free ones to how alike they are to the one at the place."""
    for other in range(len(alike)):
        if free[other]:
            alike[other] = max(alike[other], likeness(codes, vectors, place, other))


@compiled(
    "int64[::1](float64[::1], int32[:, ::1], float32[:, ::1], float64[::1],"
    f" Tuple((int64, float64, int64, int64)), {PROMISED})"
)
def choose(
    scores: Scores,
    codes: CodeTable,
    vectors: Floats,
    familiar: Scores,
    limits: Limits,
    promised: Promised,
) -> Numbers:
    """Places of the n to show, in their order; fewer where there are fewer.

    scores: best first; codes: int32[k, w], the category first, -1 for none; vectors: float32[k, d];
    familiar: 0 to 1, how much the shopper knows of the like. Of every so many offers from the first
    on at least the promised share is promoted, as far as there are any.
    """
    n, surprise, most, limit = limits
    promoted, share = promised
    near = min(LOOKED_AT * n, len(scores))
    looked_at = near + int(surprise * (len(scores) - near))
    # what is promised, or is of a category that is not full yet, may lie anywhere
    if share > 0.0 or limit < n:
        looked_at = len(scores)
    rest, alike = relative(scores, looked_at), np.zeros(looked_at)
    free = np.ones(looked_at, dtype=np.bool_)
    chosen = np.empty(min(n, looked_at), dtype=np.int64)
    size = held = 0
    while size < len(chosen):
        strange = 1.0 - 0.5 * (alike + familiar[:looked_at])
        worth = (1.0 - surprise) * rest + surprise * strange
        place = NOBODY
        if held < int(share * (size + 1) + SLACK):
            place = _best(worth, free & promoted[:looked_at], codes, chosen[:size], limit)
        for allowed in (most, limit):
            if place == NOBODY:
                place = _best(worth, free, codes, chosen[:size], allowed)
        if place == NOBODY:
            break
        free[place] = False
        chosen[size] = place
        size += 1
        held += promoted[place]
        if surprise > 0.0 and size < len(chosen):
            _note_likeness(place, alike, free, codes, vectors)
    return chosen[:size].copy()
