"""How good ranked lists are: the first k of each user's scores without what is masked, and their
precision, recall and nDCG. Pure.

Read where settings of matrix models are chosen, and by `attune evaluate top-n`.
"""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.recommend.arrays import Numbers, Scores
from services.recommend.compiled import compiled
from services.recommend.vectors.loops import Floats

if TYPE_CHECKING:
    from scipy.sparse import csr_array


class Quality(NamedTuple):
    """By user: precision, recall and nDCG at k (gain 1 a wanted item, discount log2 of rank + 1,
    over what the best order would get)."""

    precision: Scores
    recall: Scores
    ndcg: Scores


@compiled("int64[:, ::1](float32[:, ::1], int32[::1], int32[::1], int64[::1], int64)")
def best_unmasked(
    scores: Floats,
    bounds: NDArray[np.int32],
    masked: NDArray[np.int32],
    users: Numbers,
    most: int,
) -> Numbers:
    """Of each row of scores the `most` best items, equal scores by ascending number, -1 behind
    the last: int64[rows, most]. Row n is of users[n], whose masked items are
    masked[bounds[user]:bounds[user + 1]]."""
    best = np.full((len(scores), most), -1, dtype=np.int64)
    held = np.empty(most, dtype=np.float32)
    for row in range(len(scores)):
        own = scores[row]
        hidden = np.zeros(len(own), dtype=np.bool_)
        for place in range(bounds[users[row]], bounds[users[row] + 1]):
            hidden[masked[place]] = True
        count = 0
        for item in range(len(own)):
            score = own[item]
            if hidden[item] or (count == most and score <= held[most - 1]):
                continue
            place = count if count < most else most - 1
            while place > 0 and held[place - 1] < score:
                held[place] = held[place - 1]
                best[row, place] = best[row, place - 1]
                place -= 1
            held[place] = score
            best[row, place] = item
            count = min(count + 1, most)
    return best


@compiled("boolean[:, ::1](int64[:, ::1], int32[::1], int32[::1], int64[::1])")
def hits(
    lists: Numbers, bounds: NDArray[np.int32], wanted: NDArray[np.int32], users: Numbers
) -> NDArray[np.bool_]:
    """Which entries of the lists are wanted, by the same layout."""
    found = np.zeros(lists.shape, dtype=np.bool_)
    for row in range(len(lists)):
        for place in range(bounds[users[row]], bounds[users[row] + 1]):
            for at in range(lists.shape[1]):
                if lists[row, at] == wanted[place]:
                    found[row, at] = True
    return found


def quality(
    scores: Floats, seen: "csr_array", wanted: "csr_array", users: Numbers, k: int
) -> Quality:
    """Of users with at least one wanted item; scores float32[len(users), items]."""
    users = users.astype(np.int64)
    lists = best_unmasked(np.ascontiguousarray(scores), seen.indptr, seen.indices, users, k)
    found = hits(lists, wanted.indptr, wanted.indices, users)
    return measure(found, np.diff(wanted.indptr)[users])


def measure(found: NDArray[np.bool_], wanted: NDArray[np.integer]) -> Quality:
    """found: bool[users, k], whether each entry is wanted; wanted: how many there are of each."""
    k = found.shape[1]
    gains = 1.0 / np.log2(np.arange(2, k + 2))
    ideal = np.cumsum(gains)[np.minimum(wanted, k) - 1]
    count = found.sum(axis=1)
    return Quality(count / k, count / wanted, (found * gains).sum(axis=1) / ideal)
