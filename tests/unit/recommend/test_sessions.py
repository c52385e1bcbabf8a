"""Session neighbours against a golden case and a plain reference; bounds; snapshots."""

import math
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.recommend.candidates.neighbour_loops import holders
from services.recommend.candidates.sessions import (
    LONGEST_SESSION,
    NeighbourSettings,
    SessionIndex,
    find_neighbours,
    score_neighbours,
)

SESSIONS = st.lists(
    st.lists(st.integers(1, 12), min_size=1, max_size=8, unique=True), min_size=1, max_size=40
)
ASKED = st.lists(st.integers(1, 14), min_size=1, max_size=12, unique=True)


def index_of(sessions: list[list[int]], **bounds: int) -> SessionIndex:
    index = SessionIndex(**bounds)
    for session in sessions:
        index.begin(session)
    return index


def reference(
    sessions: list[list[int]], asked: list[int], settings: NeighbourSettings
) -> dict[int, float]:
    """VMIS-kNN as the paper says it, in loops."""
    items = asked[-settings.last_items :]
    candidates: set[int] = set()
    for item in items:
        holders = [number for number, session in enumerate(sessions) if item in session]
        candidates.update(holders[-settings.newest :])
    shown = {
        number: [
            place + 1
            for place, item in enumerate(items)
            if item in sessions[number]
            and number in [n for n, s in enumerate(sessions) if item in s][-settings.newest :]
        ]
        for number in sorted(candidates)[-settings.newest :]
    }
    nearest = sorted(shown, key=lambda number: (-sum(shown[number]), -number))
    scores: dict[int, float] = defaultdict(float)
    for number in nearest[: settings.neighbours]:
        distance = len(items) - max(shown[number])
        decay = max(1.0 - settings.decay * (distance + 1), 0.0)
        vote = sum(shown[number]) / len(items) * decay
        for item in sessions[number]:
            scores[item] += vote
    for item in scores:
        frequency = sum(item in session for session in sessions)
        scores[item] *= 1.0 + settings.idf * math.log(len(sessions) / frequency)
    return {item: score for item, score in scores.items() if score > 1e-12}


def test_golden() -> None:
    index = index_of([[1, 2, 3], [2, 4], [1, 5], [6, 7]])
    settings = NeighbourSettings(idf=0.0)
    neighbours = find_neighbours(index, [1, 2], settings)
    assert neighbours is not None
    items, scores = score_neighbours(index, neighbours, 0.0)
    found = dict(zip(items.tolist(), scores.round(6).tolist(), strict=True))
    # session 0 shares both: (1 + 2) / 2 x 0.9; session 1: 2 / 2 x 0.9; session 2: 1 / 2 x 0.8
    assert found == {1: 1.75, 2: 2.25, 3: 1.35, 4: 0.9, 5: 0.4}
    held = holders(
        index.rows,
        index.lengths,
        neighbours.places,
        neighbours.positions,
        neighbours.asked,
        np.array([3, 5, 7]),
        index.votes,
    )
    assert held.tolist() == [[1, 2], [1, 1], [0, 0]]


@given(SESSIONS, ASKED, st.integers(1, 6), st.integers(1, 6), st.sampled_from([0.0, 0.5, 1.0]))
def test_agrees_with_the_reference(
    sessions: list[list[int]], asked: list[int], newest: int, neighbours: int, idf: float
) -> None:
    settings = NeighbourSettings(newest=newest, neighbours=neighbours, idf=idf)
    index = index_of(sessions)
    found = find_neighbours(index, asked, settings)
    expected = reference(sessions, asked, settings)
    if found is None:
        assert expected == {}
        return
    items, scores = score_neighbours(index, found, idf)
    assert dict(zip(items.tolist(), scores.tolist(), strict=True)) == pytest.approx(expected)


@given(SESSIONS)
def test_a_filled_index_equals_one_that_grew(sessions: list[list[int]]) -> None:
    grown, filled = index_of(sessions, capacity=20), SessionIndex(capacity=20)
    rows = np.zeros((len(sessions), LONGEST_SESSION), dtype=np.int32)
    for place, session in enumerate(sessions):
        rows[place, : len(session)] = session
    filled.fill(rows)
    for item in range(1, 13):
        ours = grown.newest_with(item, 100)
        forgotten = max(0, len(sessions) - 20)
        assert (ours - forgotten).tolist() == filled.newest_with(item, 100).tolist()


def test_memory_is_bounded_and_the_forgotten_are_not_found() -> None:
    index = index_of([[1, 2]] * 5 + [[3, 4]] * 500, capacity=500, per_item=40)
    assert len(index.rows) == 500
    assert find_neighbours(index, [1], NeighbourSettings()) is None
    assert len(index.newest_with(3, 1_000)) <= 128


def test_a_running_session_grows_and_repeats_count_once() -> None:
    index = index_of([[1]])
    index.extend(0, 2)
    index.extend(0, 2)
    assert index.lengths[0] == 2
    assert index.frequency[2] == 1
    for item in range(3, 60):
        index.extend(0, item)
    assert index.lengths[0] == LONGEST_SESSION


def test_nothing_to_go_on() -> None:
    assert find_neighbours(SessionIndex(), [], NeighbourSettings()) is None
    assert find_neighbours(SessionIndex(), [9], NeighbourSettings()) is None
