"""How a shopper's latest items become a vector: the linear map and its settings, by what predicts
best what held-out users did next.

Between choosing.py and training.py; loops.shopper_vector applies what comes out.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Final

import numpy as np

from services.recommend.arrays import Numbers, Scores
from services.recommend.vectors.choosing import HeldOut
from services.recommend.vectors.fit import Summed
from services.recommend.vectors.interactions import (
    Interactions,
    Split,
    interactions_of,
    split_by_time,
)
from services.recommend.vectors.loops import Floats
from services.recommend.vectors.model import Fold

if TYPE_CHECKING:
    from scipy.sparse import csr_array

LATEST: Final = 20
"""Items that a request knows of a shopper at most (situation.LONGEST_SESSION)."""
MOST_MAPPED: Final = 50_000
RIDGE: Final = 1e-3
SHRINKS: Final = (0.0, 1.0, 4.0)
RECENCIES: Final = (1.0, 0.9, 0.75)
TRUSTS: Final = (0.0, 2.0, 5.0, 20.0, 100.0)


def latest_items(data: Interactions, users: Numbers, recency: float) -> "csr_array":
    """csr_array[len(users), items]: of each user the LATEST items, the newest weighing 1 and each
    one before it `recency` times as much."""
    from scipy.sparse import csr_array  # noqa: PLC0415  (training only)

    row_of = np.full(data.users, -1, dtype=np.int64)
    row_of[users] = np.arange(len(users))
    own = data.where(row_of[data.user] >= 0)
    order = np.lexsort((-own.item, -own.at, own.user))
    user = own.user[order]
    counts = np.bincount(user, minlength=data.users)
    back = np.arange(len(order)) - (np.cumsum(counts) - counts)[user]
    kept = back < LATEST
    cells = (np.power(recency, back[kept]), (row_of[user[kept]], own.item[order][kept]))
    return csr_array(cells, shape=(len(users), data.items))


def fit_map(vectors: Summed, data: Interactions, fold: Fold, seed: int) -> Fold:
    """The map from means of items to the vectors of the users who touched them: least squares with
    a ridge, over at most MOST_MAPPED users drawn at random."""
    users = np.unique(data.user).astype(np.int64)
    if len(users) > MOST_MAPPED:
        users = np.sort(np.random.default_rng(seed).permutation(users)[:MOST_MAPPED])
    means = _means(vectors, latest_items(data, users, fold.recency), fold.shrink)
    known = np.column_stack([means, np.ones(len(means))])
    gram = known.T @ known
    gram[np.diag_indices(len(gram) - 1)] += RIDGE * np.trace(gram[:-1, :-1]) + 1e-9
    solved = np.linalg.solve(gram, known.T @ vectors.users[users].astype(np.float64))
    matrix = np.ascontiguousarray(solved[:-1].T, dtype=np.float32)
    return replace(fold, matrix=matrix, centre=solved[-1].astype(np.float32))


def _means(vectors: Summed, latest: "csr_array", shrink: float) -> Floats:
    total = np.asarray(latest.sum(axis=1)).ravel() + shrink
    means: Floats = (latest @ vectors.items) / np.maximum(total, 1e-9)[:, None]
    return means


def choose_fold(vectors: Summed, split: Split, seed: int) -> tuple[Fold, dict[str, float]]:
    """Settings by nDCG on the second half of the held-out part, the first half being what
    the shopper did since training; and that nDCG of the fold alone, of the customers' own vectors
    and of these refreshed."""
    since, later = split_by_time(split.later, share=0.5, fewest=2)
    seen = _joined(split.earlier, since)
    held_out = HeldOut.of(Split(seen, later), seed)
    size = vectors.items.shape[1]
    nothing = np.zeros((size, size), dtype=np.float32), np.zeros(size, dtype=np.float32)
    best, best_ndcg, best_folded = Fold(*nothing), -1.0, vectors.users[held_out.users]
    for shrink, recency in product(SHRINKS, RECENCIES):
        fold = fit_map(vectors, split.earlier, Fold(*nothing, shrink, recency), seed)
        folded = _means(vectors, latest_items(seen, held_out.users, recency), shrink)
        folded = folded @ fold.matrix.T + fold.centre
        ndcg = _ndcg(vectors, folded.astype(np.float32), held_out)
        if ndcg > best_ndcg:
            best, best_ndcg, best_folded = fold, ndcg, folded
    own = vectors.users[held_out.users]
    totals = latest_items(seen, held_out.users, best.recency).sum(axis=1)
    trained = np.bincount(split.earlier.user, minlength=seen.users)[held_out.users]
    found = []
    for trust, share in _shares(np.asarray(totals).ravel(), trained):
        mixed = (best_folded + share[:, None] * (own - best_folded)).astype(np.float32)
        found.append((_ndcg(vectors, mixed, held_out), -trust))
    refreshed, negative = max(found)
    figures = {
        "folded": best_ndcg,
        "own": _ndcg(vectors, own, held_out),
        "refreshed": refreshed,
    }
    return replace(best, trust=-negative), {
        name: round(value, 5) for name, value in figures.items()
    }


def _shares(totals: Scores, trained: Numbers) -> Iterator[tuple[float, Scores]]:
    for trust in TRUSTS:
        held = np.minimum(trained, trust)
        yield trust, held / np.maximum(held + totals, 1e-9)


def _ndcg(vectors: Summed, users: Floats, held_out: HeldOut) -> float:
    return held_out.ndcg(users @ vectors.items.T + vectors.biases)


def _joined(first: Interactions, second: Interactions) -> Interactions:
    """Of two that share no pair."""
    return interactions_of(
        np.concatenate([first.user, second.user]),
        np.concatenate([first.item, second.item]),
        np.concatenate([first.weight, second.weight]),
        np.concatenate([first.at, second.at]),
        (first.users, first.items),
    )
