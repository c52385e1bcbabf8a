"""Trains the vectors of items and customers: settings on a time split, then everything there is.

One of the trainers that `attune train` runs; what comes out is served by model.py and loops.py.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any, Final

import numpy as np

from services.recommend.training.history import History
from services.recommend.vectors.choosing import choose_settings
from services.recommend.vectors.fit import (
    Factors,
    Features,
    Labelled,
    Summed,
    VectorSettings,
    can_fit,
    fit,
    summed,
)
from services.recommend.vectors.folding import choose_fold, fit_map
from services.recommend.vectors.interactions import (
    Interactions,
    interactions_in,
    some_users,
    split_by_time,
)
from services.recommend.vectors.labels import labels_of
from services.recommend.vectors.model import Fold, Labels, Owners, Vectors

CHOOSING_WORK: Final = 6_000_000
"""Rows learned from while settings are chosen, all epochs and variations: 15 to 30 s a core."""
CHOOSING_ROWS: Final = 80_000
MOST_WORK: Final = 10_000_000
"""The same of the final training; with more rows there are fewer epochs, of which each row then
needs fewer, since every item is met as often."""
FEWEST_ROWS: Final = 500
MOST_CUSTOMERS: Final = 500_000
"""Customers whose own vector is kept, those with the most items; others are folded in."""
CUSTOMER: Final = "c:"
SAMPLE: Final = 256


def train(history: History, seed: int, say: Callable[[str], None]) -> Vectors | None:
    """The vectors, or None where there is too little to learn from, or no LightFM."""
    data = interactions_in(history)
    if len(data.user) < FEWEST_ROWS:
        say(f"vectors: {len(data.user)} pairs of customer and item are too few to learn from")
        return None
    if not can_fit():
        say("vectors: left out, because lightfm cannot be imported")
        return None
    labelled: list[Sequence[str]] = [()] * data.items
    for number, item in enumerate(history.items):
        if item in history.catalogue:
            labelled[number] = labels_of(history.catalogue[item])
    return train_on(data, seed, say, labelled=labelled, names=history.customers)


def train_on(
    data: Interactions,
    seed: int,
    say: Callable[[str], None],
    *,
    labelled: Labelled = (),
    names: Sequence[str] = (),
    choosing_work: int = CHOOSING_WORK,
    most_work: int = MOST_WORK,
) -> Vectors:
    """Vectors of items by their number in `data`.

    labelled: labels by item number; names: identity keys by user number, of which those of
    customers keep their own vector; the works bound the time, see CHOOSING_WORK and MOST_WORK.
    """
    sample = some_users(data, CHOOSING_ROWS, seed)
    split = split_by_time(sample)
    items, users = Features.of(data.items, labelled), Features.of(data.users)
    chosen = choose_settings(split, items, users, seed, choosing_work, say)
    figures: dict[str, float] = {}
    fold = Fold(*_no_map(chosen.settings.dimensions))
    if chosen.vectors is not None and len(split.later.user):
        fold, figures = choose_fold(chosen.vectors, split, seed)
    settings = bounded(chosen.settings, len(data.user), most_work)
    say(f"vectors: {settings.epochs} epochs on {len(data.user)} pairs of customer and item")
    factors = fit(data, items, users, settings, seed, _told(say, settings.epochs))
    figures = figures | {"ndcg": round(chosen.ndcg, 5)}
    say(f"vectors: nDCG@10 on the held-out part {figures}")
    facts = {"settings": asdict(settings), "held_out": figures, "pairs": len(data.user)}
    return _assembled(data, items, users, factors, fold, names, seed, facts)


def _told(say: Callable[[str], None], total: int) -> Callable[[int], None]:
    """Says how far the training is, each time some epochs went by."""
    done = 0

    def advance(epochs: int) -> None:
        nonlocal done
        done += epochs
        say(f"vectors: {done} of {total} epochs")

    return advance


def bounded(settings: VectorSettings, rows: int, most_work: int) -> VectorSettings:
    """As many epochs as the work allows, at least two."""
    return replace(settings, epochs=max(2, min(settings.epochs, most_work // max(rows, 1))))


def _no_map(size: int) -> Any:
    return np.eye(size, dtype=np.float32), np.zeros(size, dtype=np.float32)


def _assembled(
    data: Interactions,
    items: Features,
    users: Features,
    factors: Factors,
    fold: Fold,
    names: Sequence[str],
    seed: int,
    facts: dict[str, Any],
) -> Vectors:
    """Scores are brought to unit variance around 0, as they are over users drawn at random."""
    made = summed(factors, items, users)
    touched = np.bincount(data.item, minlength=data.items).astype(np.int32)
    there = np.flatnonzero(touched)
    drawn = np.random.default_rng(seed).permutation(np.unique(data.user))[:SAMPLE]
    scores = made.scores(drawn)[:, there]
    mean, scale = np.float32(scores.mean()), np.float32(max(float(scores.std()), 1e-6))
    made = Summed(made.items / scale, (made.biases - mean) / scale, made.users)
    made.items[touched == 0] = 0.0
    fold = fit_map(made, data, fold, seed)
    own = factors.item_biases[: data.items][there] - mean
    labels = Labels(
        items.labels,
        factors.items[data.items :] / scale,
        factors.item_biases[data.items :] / scale,
        float(np.median(own) / scale),
    )
    owners = _owners(data, made, names, seed)
    return Vectors(made.items, made.biases, touched > 0, touched, owners, labels, fold, facts)


def _owners(data: Interactions, made: Summed, names: Sequence[str], seed: int) -> Owners:
    trained = np.bincount(data.user, minlength=data.users)
    rows = [row for row, name in enumerate(names) if name.startswith(CUSTOMER) and trained[row]]
    rows = sorted(rows, key=lambda row: (-trained[row], names[row]))[:MOST_CUSTOMERS]
    key = hashlib.blake2b(f"{seed}/{len(data.user)}/{int(data.at.max())}".encode(), digest_size=16)
    chosen = np.array(rows, dtype=np.int64)
    return Owners.of(
        key.digest(),
        [names[row] for row in rows],
        made.users[chosen],
        trained[chosen].astype(np.float32),
    )
