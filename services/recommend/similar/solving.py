"""Item-to-item weights of a matrix of users and items: EASE in closed form, and cosine.

Below training.py and `attune evaluate top-n`. A user's scores are the sums of the rows of what
the user touched. Source of EASE: Steck, "Embarrassingly Shallow Autoencoders for Sparse Data"
(WWW 2019).
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.recommend.arrays import Numbers, Scores
from services.recommend.vectors.choosing import HeldOut
from services.recommend.vectors.interactions import Interactions
from services.recommend.vectors.loops import Floats

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Gram = NDArray[np.float64]
MOST_ITEMS: Final = 6_000
"""Items whose weights are solved for, those with the most rows: the square of them in memory,
300 MB, and their cube in time, half a minute."""
PENALTIES: Final = (30.0, 100.0, 300.0, 1_000.0, 3_000.0)
SHRINKS: Final = (0.0, 5.0, 20.0, 100.0)


class Weights(NamedTuple):
    """How it was made, its nDCG on the held-out part, and float32[items, items] of the core's
    items, no item for itself."""

    settings: dict[str, Any]
    ndcg: float
    matrix: Floats


def core(data: Interactions, most: int = MOST_ITEMS) -> Numbers:
    """The items with the most rows, of equal ones those with the lowest numbers; ascending."""
    counts = np.bincount(data.item, minlength=data.items)
    order = np.argsort(-counts, kind="stable")[:most]
    return np.sort(order[counts[order] > 0])


def rows_of(data: Interactions, items: Numbers, *, weighted: bool = False) -> "csr_array":
    """float32 csr_array[users, len(items)], 1 a row, or its weight over the mean weight."""
    matrix = data.matrix()
    if weighted:
        matrix.data = matrix.data / matrix.data.mean()
    else:
        matrix.data = np.ones_like(matrix.data)
    return matrix[:, items]


def gram_of(rows: "csr_array") -> Gram:
    """How many users two items share, float64[items, items]."""
    return np.asarray((rows.T @ rows).todense(), dtype=np.float64)


def ease(gram: Gram, penalty: float) -> Floats:
    """The weights that reproduce the matrix best without an item's own column."""
    from scipy.linalg import lapack  # noqa: PLC0415  (training only)

    factor, _ = lapack.dpotrf(gram + penalty * np.eye(len(gram)), lower=1)
    half, _ = lapack.dpotri(factor, lower=1, overwrite_c=1)
    inverse = np.tril(half) + np.tril(half, -1).T
    weights: Floats = (inverse / -np.diag(inverse)).astype(np.float32)
    np.fill_diagonal(weights, 0.0)
    return weights


def cosine(gram: Gram, shrink: float) -> Floats:
    """Users shared over the geometric mean of both items' users, and `shrink` more."""
    norms = np.sqrt(np.diag(gram))
    weights: Floats = (gram / np.maximum(np.outer(norms, norms) + shrink, 1e-9)).astype(np.float32)
    np.fill_diagonal(weights, 0.0)
    return weights


def choose_weights(
    gram: Gram,
    make: Callable[[Gram, float], Floats],
    name: str,
    values: tuple[float, ...],
    measure: Callable[[Floats], float],
) -> Weights:
    """The value of the setting with the best measure; values ascend, and none is tried once two
    in a row were worse than the best."""
    best, worse = Weights({}, -1.0, np.zeros((0, 0), dtype=np.float32)), 0
    for value in values:
        matrix = make(gram, value)
        ndcg = measure(matrix)
        if ndcg > best.ndcg:
            best, worse = Weights({name: value}, ndcg, matrix), 0
        else:
            worse += 1
        if worse == 2:
            break
    return best


def scores_of(rows: "csr_array", items: Numbers, matrix: Floats, width: int) -> Floats:
    """float32[rows, width]: the core's scores in their columns, 0 in those of other items."""
    scores = np.zeros((rows.shape[0], width), dtype=np.float32)
    scores[:, items] = rows @ matrix
    return scores


def measured(
    rows: "csr_array", items: Numbers, held_out: HeldOut, width: int
) -> Callable[[Floats], float]:
    """Measures weights on the held-out users, whose earlier rows are given."""
    own = rows[held_out.users]
    return lambda matrix: held_out.ndcg(scores_of(own, items, matrix, width))


def strongest(scores: Scores, most: int) -> Numbers:
    """Places of the `most` greatest above 0, best first, equal ones by place."""
    order = np.argsort(-scores, kind="stable")[:most]
    return order[scores[order] > 0]
