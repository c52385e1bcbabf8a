"""Settings of session neighbours for `attune train`: chosen on the latest sessions, in a minute.

The same search as `attune evaluate next-item` makes (neighbour_search.py). Pure.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from services.recommend.training.build import hold_out
from services.recommend.training.neighbour_search import (
    BLEND,
    BLEND_DESIGNS,
    Chosen,
    Search,
    with_current,
)

K: Final = 20
SPLITS: Final = 2
SHARE: Final = 0.1
MOST_SESSIONS: Final = 2_000
MOST_PREDICTIONS: Final = 1_500
BUDGET_S: Final = 20.0
"""Seconds of work, as it is counted."""


def choose_settings(
    sessions: Sequence[Sequence[int]],
    seed: int,
    progress: Callable[[int], None] = lambda _: None,
) -> tuple[Chosen, int]:
    """What does best on the latest sessions against an index of the earlier, and on those before
    them (at least SPLITS + 1 sessions, oldest first); on how many predictions.

    They are chosen for what comes after the current item. That one itself keeps its votes:
    whether it is offered is the policy's to say.
    """
    size = max(1, min(int(len(sessions) * SHARE), MOST_SESSIONS))
    ends = [len(sessions) - split * size for split in range(SPLITS)]
    held_out = [
        hold_out(sessions[: end - size], sessions[end - size : end], MOST_PREDICTIONS)
        for end in ends
        if end > size
    ]
    designs, space = with_current(BLEND_DESIGNS, BLEND, keep_current=False)
    chosen = Search(held_out, K, BUDGET_S, progress).choose(designs, space, seed)
    settings = replace(chosen.settings, current=1.0)
    return replace(chosen, settings=settings), len(chosen.reciprocal)
