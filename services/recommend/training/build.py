"""Builds the session index, and what is held out of it to choose and measure settings on.

Second step of training, and what `attune evaluate next-item` does on files. Pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from services.recommend.arrays import Numbers
from services.recommend.candidates.neighbour_weights import LONGEST_SESSION
from services.recommend.candidates.neighbours import Predictions
from services.recommend.candidates.sessions import SessionIndex

MOST_OF_ONE: Final = 100
"""Predictions of one session that count when settings are chosen: a robot's are not all that
counts."""
MOST_POPULAR: Final = 2_000


@dataclass(frozen=True, slots=True)
class HeldOut:
    """An index, and predictions on sessions that it does not hold; popular: its items, the most
    clicked first."""

    index: SessionIndex
    predictions: Predictions
    popular: Numbers


def build_index(sessions: Sequence[Sequence[int]], capacity: int) -> SessionIndex:
    """An index of the sessions, oldest first; items beyond the longest session are left out."""
    rows = np.zeros((len(sessions), LONGEST_SESSION), dtype=np.int32)
    for place, items in enumerate(sessions):
        kept = [item for item in dict.fromkeys(items) if item][:LONGEST_SESSION]
        rows[place, : len(kept)] = kept
    index = SessionIndex(capacity=capacity)
    index.fill(rows)
    return index


def predictions_of(
    sessions: Sequence[Sequence[int]], most: int | None = None, most_of_one: int | None = None
) -> Predictions:
    """Clicks revealed one at a time; items without a number (0) are left out.

    Of more than `most` predictions about as many, of whole sessions evenly over time; of one
    session the first `most_of_one`.
    """
    known = [[item for item in session if item] for session in sessions]
    known = [session for session in known if len(session) > 1]
    if most is not None:
        total = sum(min(len(session) - 1, most_of_one or len(session)) for session in known)
        known = known[:: -(-total // most) or 1]
    begins: list[int] = []
    targets: list[int] = []
    begin = 0
    for session in known:
        count = min(len(session) - 1, most_of_one or len(session))
        begins += [begin] * count
        targets += range(begin + 1, begin + 1 + count)
        begin += len(session)
    clicks = [item for session in known for item in session]
    return _numbers(clicks), _numbers(begins), _numbers(targets)


def hold_out(
    earlier: Sequence[Sequence[int]], later: Sequence[Sequence[int]], most: int
) -> HeldOut:
    """The later sessions against an index of the earlier; items new to it are left out."""
    counts = clicks_of(earlier)
    known = frozenset(np.flatnonzero(counts).tolist())
    asked = [[item for item in session if item in known] for session in later]
    return HeldOut(
        build_index(earlier, max(1_024, len(earlier))),
        predictions_of(asked, most, MOST_OF_ONE),
        popular_first(counts),
    )


def clicks_of(sessions: Sequence[Sequence[int]]) -> Numbers:
    """How often each item was clicked, by number."""
    clicks = _numbers([item for session in sessions for item in session])
    counts = np.bincount(clicks, minlength=1).astype(np.int64)
    counts[0] = 0
    return counts


def popular_first(counts: Numbers) -> Numbers:
    """The most clicked items, at most MOST_POPULAR, equal ones by number."""
    order = np.lexsort((np.arange(len(counts)), -counts))[:MOST_POPULAR]
    return order[counts[order] > 0].astype(np.int64)


def _numbers(values: Sequence[int]) -> Numbers:
    return np.array(values, dtype=np.int64)
