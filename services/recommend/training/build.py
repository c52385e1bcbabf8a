"""Builds the session index, chooses its settings on held-out sessions, and measures it.

Second step of training, and what `attune evaluate next-item` does on files. Pure.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from services.recommend.arrays import NO_NUMBERS, NO_SCORES, Numbers, Scores
from services.recommend.candidates.sessions import (
    LONGEST_SESSION,
    NeighbourSettings,
    SessionIndex,
    find_neighbours,
    score_neighbours,
)
from services.recommend.evaluation.scores import Ranks, rank_of

GRID: Final = tuple(
    NeighbourSettings(newest=newest, neighbours=neighbours, decay=decay, idf=idf)
    for newest in (100, 250, 500, 1_000)
    for neighbours in (50, 100, 250)
    for decay in (0.05, 0.1)
    for idf in (0.0, 0.5, 1.0, 2.0)
)
"""Settings tried. 0.05 to 0.1: at 9 items the oldest still has a vote of 0.1 to 0.55."""
MOST_PREDICTIONS: Final = 1_500
"""Held-out predictions that settings are chosen on: the later ones, where there are more."""


def build_index(sessions: Iterable[Sequence[int]], capacity: int) -> SessionIndex:
    """An index of the sessions, oldest first; items beyond the longest session are left out."""
    index = SessionIndex(capacity=capacity)
    for items in sessions:
        index.begin(list(dict.fromkeys(items))[:LONGEST_SESSION])
    return index


def predictions(
    sessions: Sequence[Sequence[int]],
) -> Iterator[tuple[list[int], int]]:
    """Clicks revealed one at a time: what was seen so far (each item where it was last seen) and
    the next item. Items without a number (0) were not in training and are left out."""
    for session in sessions:
        seen: list[int] = []
        for item in session:
            if not item:
                continue
            if seen:
                yield list(seen), item
            if item in seen:
                seen.remove(item)
            seen.append(item)


def predict(
    index: SessionIndex, seen: list[int], settings: NeighbourSettings, *, keep_current: bool
) -> tuple[Numbers, Scores]:
    """Items and their scores after these clicks, in no order; without the current item unless it
    is kept."""
    neighbours = find_neighbours(index, seen, settings)
    if neighbours is None:
        return NO_NUMBERS, NO_SCORES
    items, scores = score_neighbours(index, neighbours, settings.idf)
    if not keep_current:
        kept = items != seen[-1]
        items, scores = items[kept], scores[kept]
    return items, scores


def choose_settings(
    index: SessionIndex,
    held_out: Sequence[Sequence[int]],
    *,
    k: int,
    keep_current: bool,
    progress: Callable[[int], None] = lambda _: None,
) -> tuple[NeighbourSettings, float]:
    """The settings with the best MRR@k on the held-out sessions, and that MRR; of equals the
    cheapest, which the grid names first."""
    asked = list(predictions(held_out))[-MOST_PREDICTIONS:]
    best, best_mrr = GRID[0], -1.0
    for settings in GRID:
        ranks = Ranks(k)
        for seen, target in asked:
            items, scores = predict(index, seen, settings, keep_current=keep_current)
            ranks.add(rank_of(items, scores, target))
        if ranks.mrr > best_mrr + 1e-9:
            best, best_mrr = settings, ranks.mrr
        progress(1)
    return best, max(best_mrr, 0.0)
