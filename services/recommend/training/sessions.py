"""Session neighbours: the index of all sessions, its settings, and how it names the next item.

One of the trainers that `attune train` runs.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from services.recommend.arrays import Scores
from services.recommend.candidates.neighbour_weights import NeighbourSettings
from services.recommend.candidates.neighbours import Predictions, reciprocal_ranks
from services.recommend.candidates.sessions import SessionIndex
from services.recommend.models.live_parts import sessions_part
from services.recommend.training.build import (
    build_index,
    clicks_of,
    popular_first,
    predictions_of,
)
from services.recommend.training.history import History
from services.recommend.training.holding_out import sessions_of
from services.recommend.training.session_settings import K, choose_settings
from shared.models.part import Part

CAPACITY: Final = 200_000
FEWEST: Final = 50
"""Sessions below which the settings stay as they are."""
FEWEST_KNOWN: Final = 2


def choose(history: History, seed: int, say: Callable[[str], None]) -> NeighbourSettings:
    """The settings that do best on the latest sessions; the defaults where there are few."""
    sessions = sessions_of(history)[-CAPACITY:]
    if len(sessions) < FEWEST:
        say(f"sessions: {len(sessions)} are too few to choose settings on")
        return NeighbourSettings()
    chosen, predictions = choose_settings(sessions, seed)
    say(f"sessions: settings chosen on {predictions} predictions, MRR@{K} {chosen.mrr:.4f}")
    return chosen.settings


def train(history: History, settings: NeighbourSettings) -> Part | None:
    """The index's sessions; None where there are none."""
    sessions = sessions_of(history)[-CAPACITY:]
    return sessions_part(build_index(sessions, CAPACITY), settings) if sessions else None


def asked_of(sessions: Sequence[Sequence[int]], early: History) -> Predictions:
    """Clicks revealed one at a time; items that nobody had touched before are left out."""
    known = frozenset(np.unique(early.touches.item).tolist())
    kept = [[item for item in items if item in known] for items in sessions]
    return predictions_of([items for items in kept if len(items) >= FEWEST_KNOWN])


def measured(
    index: SessionIndex, settings: NeighbourSettings, asked: Predictions, early: History
) -> Scores:
    """One over the rank of what came next, 0 beyond K; what the index cannot say is filled up
    with the most clicked items."""
    popular = popular_first(clicks_of([early.touches.item.tolist()]))
    # as it was chosen: what comes after the current item
    limits = replace(settings, current=0.0).limits()
    return reciprocal_ranks(asked, index.arrays(), limits, popular, K)


def popular_ranks(asked: Predictions, early: History) -> Scores:
    """The same of the most clicked items alone, in one order for all."""
    clicks, _, targets = asked
    counts = np.bincount(early.touches.item, minlength=1)
    rank = np.empty(len(counts), dtype=np.int64)
    rank[np.lexsort((np.arange(len(counts)), -counts))] = np.arange(1, len(counts) + 1)
    found = rank[clicks[targets]]
    return np.where(found <= K, 1.0 / found, 0.0)
