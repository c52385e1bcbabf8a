"""Trains item-to-item lists: EASE or cosine, whichever predicts the later part of each shopper's
history better, then made of everything there is.

One of the trainers that `attune train` runs; what comes out is served by model.py.
"""

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from services.recommend.arrays import Numbers, Scores
from services.recommend.similar.model import MOST_PARTNERS, NO_LIST, Similar
from services.recommend.similar.solving import (
    PENALTIES,
    SHRINKS,
    Weights,
    choose_weights,
    core,
    cosine,
    ease,
    gram_of,
    measured,
    rows_of,
    strongest,
)
from services.recommend.training.history import History
from services.recommend.vectors.choosing import HeldOut
from services.recommend.vectors.interactions import Interactions, interactions_in, split_by_time

FEWEST_ROWS: Final = 500
CHOOSING_ITEMS: Final = 4_000
"""Items that settings are compared on, those with the most rows: a setting takes 3 s of a core."""
METHODS: Final = {"ease": ("penalty", ease), "cosine": ("shrink", cosine)}


def train(history: History, seed: int, say: Callable[[str], None]) -> Similar | None:
    """The lists, or None where there is too little to learn from."""
    data = interactions_in(history)
    if len(data.user) < FEWEST_ROWS:
        say(f"similar: {len(data.user)} pairs of customer and item are too few to learn from")
        return None
    return train_on(data, seed, say)


def train_on(data: Interactions, seed: int, say: Callable[[str], None]) -> Similar:
    """Lists by item number in `data`."""
    method, chosen, figures = _choose(data, seed)
    items = core(data)
    rows = rows_of(data, items)
    _, make = METHODS[method]
    matrix = make(gram_of(rows), next(iter(chosen.settings.values())))
    say(f"similar: {method}, {chosen.settings}, nDCG@10 on the held-out part {figures}")
    lists = {int(item): _partners(matrix[at], items) for at, item in enumerate(items)}
    lists |= _beyond(data, items)
    return _listed(lists, data.items, {"method": method, **chosen.settings, "held_out": figures})


def _choose(data: Interactions, seed: int) -> tuple[str, Weights, dict[str, float]]:
    split = split_by_time(data)
    held_out = HeldOut.of(split, seed)
    items = core(split.earlier, CHOOSING_ITEMS)
    rows = rows_of(split.earlier, items)
    measure = measured(rows, items, held_out, data.items)
    gram = gram_of(rows)
    found = {
        "ease": choose_weights(gram, ease, "penalty", PENALTIES, measure),
        "cosine": choose_weights(gram, cosine, "shrink", SHRINKS, measure),
    }
    method = max(found, key=lambda name: found[name].ndcg)
    return method, found[method], {name: round(one.ndcg, 5) for name, one in found.items()}


def _partners(scores: Scores, numbers: Numbers) -> tuple[Numbers, Scores]:
    best = strongest(scores, MOST_PARTNERS)
    return numbers[best], scores[best]


def _beyond(data: Interactions, items: Numbers) -> dict[int, tuple[Numbers, Scores]]:
    """Items that are not of the core: those of the core with the greatest cosine."""
    counts = np.bincount(data.item, minlength=data.items)
    counts[items] = 0
    rest = np.flatnonzero(counts)
    if not len(rest):
        return {}
    own = rows_of(data, items)
    shared = (rows_of(data, rest).T @ own).tocsr()
    norms = np.sqrt(np.asarray(own.sum(axis=0)).ravel())
    found = {}
    for at, item in enumerate(rest):
        row = slice(shared.indptr[at], shared.indptr[at + 1])
        columns = np.sort(shared.indices[row])
        both = shared.data[row][np.argsort(shared.indices[row])]
        cosines = both / (norms[columns] * np.sqrt(counts[item]))
        found[int(item)] = _partners(cosines, items[columns])
    return found


def _listed(
    lists: dict[int, tuple[Numbers, Scores]], length: int, facts: dict[str, Any]
) -> Similar:
    """Scores by the greatest of all, so that they lie in (0, 1]."""
    kept = [item for item in sorted(lists) if len(lists[item][0])]
    greatest = max((float(lists[item][1][0]) for item in kept), default=1.0)
    made = Similar(np.full(length, NO_LIST, dtype=np.int64), facts=facts)
    made.numbers = np.zeros((len(kept), MOST_PARTNERS), dtype=np.int64)
    made.scores = np.zeros((len(kept), MOST_PARTNERS))
    made.lengths = np.array([len(lists[item][0]) for item in kept], dtype=np.int64)
    for place, item in enumerate(kept):
        numbers, scores = lists[item]
        made.place_of[item] = place
        made.numbers[place, : len(numbers)] = numbers
        # as the part keeps them, so that serving what was trained and what was stored is one
        made.scores[place, : len(scores)] = (scores / greatest).astype(np.float32)
    return made
