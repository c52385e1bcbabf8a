"""Session neighbours against golden cases and a plain reference; bounds; one index however made."""

import itertools
import math
from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.recommend.candidates.neighbour_loops import holders
from services.recommend.candidates.neighbour_weights import LONGEST_SESSION, NeighbourSettings
from services.recommend.candidates.neighbours import (
    efforts,
    neighbours_of,
    next_items,
    ranked,
    reciprocal_ranks,
)
from services.recommend.candidates.sessions import SessionIndex

SESSIONS = st.lists(
    st.lists(st.integers(1, 12), min_size=1, max_size=8, unique=True), min_size=1, max_size=40
)
ASKED = st.lists(st.integers(0, 14), min_size=1, max_size=12)
PLAIN = NeighbourSettings(idf=0.0)
VSTAN = NeighbourSettings(
    last_items=20, position=2.0, decay=0.0, length=0.5, recency=30.0, distance=1.5, idf=1.0
)
BLEND = replace(
    VSTAN,
    before=0.5,
    chain=0.7,
    rarity=0.2,
    current=0.5,
    back=3.0,
    earlier=0.7,
    again_back=5.0,
    again_earlier=2.0,
)


def index_of(sessions: list[list[int]], **bounds: int) -> SessionIndex:
    index = SessionIndex(**bounds)
    for session in sessions:
        index.begin(session)
    return index


def found_by(
    index: SessionIndex, asked: list[int], chosen: NeighbourSettings
) -> tuple[dict[int, float], list[list[int]]]:
    items, votes, alike = neighbours_of(
        np.array(asked, dtype=np.int64), index.arrays(), chosen.limits()
    )
    assert not index.votes.any()
    assert not index.sums.any()
    return dict(zip(items.tolist(), votes.tolist(), strict=True)), alike.tolist()


def own_items(asked: list[int]) -> list[int]:
    """Newest first, each where it was last seen."""
    return [item for item in dict.fromkeys(asked[::-1]) if item]


def alike(
    sessions: list[list[int]], asked: list[int], chosen: NeighbourSettings
) -> list[tuple[float, int, int]]:
    """Likeness, session and newest shared item (its distance from the end) of the neighbours."""
    own = own_items(asked)[: chosen.last_items]
    held = {
        item: [number for number, session in enumerate(sessions) if item in session] for item in own
    }
    newest = {item: numbers[-chosen.newest :] for item, numbers in held.items()}
    candidates = sorted({number for numbers in newest.values() for number in numbers})
    found = []
    for number in candidates[-chosen.newest :]:
        shared = [far for far, item in enumerate(own) if number in newest[item]]
        if chosen.position:
            likeness = sum(math.exp(-far / chosen.position) for far in shared)
        else:
            likeness = sum(1.0 - far / len(own) for far in shared)
        likeness *= len(sessions[number]) ** -chosen.length
        if chosen.recency:
            likeness *= math.exp(-(len(sessions) - 1 - number) / chosen.recency)
        found.append((likeness, number, min(shared)))
    found.sort(key=lambda entry: (-round(entry[0], 6), -entry[1]))
    return found[: chosen.neighbours]


def reference(
    sessions: list[list[int]], asked: list[int], chosen: NeighbourSettings
) -> dict[int, float]:
    """What NeighbourSettings says, in loops."""
    own = own_items(asked)
    votes: dict[int, float] = defaultdict(float)
    everything = 0.0
    for likeness, number, far in alike(sessions, asked, chosen):
        vote = likeness * max(1.0 - chosen.decay * (far + 1), 0.0)
        everything += vote
        session = sessions[number]
        middle = session.index(own[far])
        for place, item in enumerate(session):
            steps = abs(place - middle)
            fading = math.exp(-max(steps - 1, 0) / chosen.distance) if chosen.distance else 1.0
            votes[item] += vote * fading * (chosen.before if place < middle else 1.0)
    if own and chosen.chain:
        after = [session for session in sessions if own[0] in session][-chosen.newest :]
        for session in after:
            middle = session.index(own[0])
            for steps, item in enumerate(session[middle + 1 :], start=1):
                votes[item] += chosen.chain * everything / len(after) / steps
    clicks = [item for item, _ in itertools.groupby(trimmed(asked))] if own else []
    again = own[:1] != [] and own[0] in clicks[:-1]
    factors = [chosen.again_back, chosen.again_earlier] if again else [chosen.back, chosen.earlier]
    for far, item in enumerate(own):
        votes[item] *= chosen.current if far == 0 else factors[min(far - 1, 1)]
    for item in votes:
        often = sum(item in session for session in sessions)
        if often:
            votes[item] *= 1.0 + chosen.idf * math.log(len(sessions) / often)
            votes[item] /= often**chosen.rarity
    return {item: score for item, score in votes.items() if score > 1e-7}


def trimmed(asked: list[int]) -> list[int]:
    """Up to the newest click on an item that has a number."""
    return asked[: max(place for place, item in enumerate(asked) if item) + 1]


def test_vmis_by_hand() -> None:
    index = index_of([[1, 2, 3], [2, 4], [1, 5], [6, 7]])
    found, alike = found_by(index, [1, 2], PLAIN)
    # session 0 shares both: (1 + 2) / 2 x 0.9; session 1: 2 / 2 x 0.9; session 2: 1 / 2 x 0.8
    expected = {1: 1.75, 2: 2.25, 3: 1.35, 4: 0.9, 5: 0.4}
    assert found == pytest.approx(expected)
    assert dict(zip(*alike, strict=True)) == {0: 2, 1: 2, 2: 1}
    places, positions = np.array(alike)
    held = holders(
        index.rows,
        index.lengths,
        places,
        positions,
        np.array([1, 2]),
        np.array([3, 5, 7]),
        index.votes,
    )
    assert held.tolist() == [[1, 2], [1, 1], [0, 0]]


def test_vstan_by_hand() -> None:
    index = index_of([[9, 1, 2, 3], [6, 7]])
    chosen = NeighbourSettings(
        position=1.0, decay=0.0, length=0.5, recency=2.0, distance=1.0, idf=0.0
    )
    found, _ = found_by(index, [1, 2], chosen)
    # both items are shared, the neighbour has four, and one session began since
    vote = (1.0 + math.exp(-1.0)) * 0.5 * math.exp(-1.0 / 2.0)
    assert found == pytest.approx({9: vote * math.exp(-1.0), 1: vote, 2: vote, 3: vote})


def test_own_items_are_weighed_and_more_so_after_a_return() -> None:
    index = index_of([[1, 2, 3, 4]])
    chosen = replace(
        PLAIN, decay=0.0, current=0.0, back=3.0, earlier=0.5, again_back=7.0, again_earlier=2.0
    )
    plain, _ = found_by(index, [1, 2, 3], replace(chosen, current=1.0, back=1.0, earlier=1.0))
    vote = plain[4]
    found, _ = found_by(index, [1, 2, 3], chosen)
    assert found == pytest.approx({1: 0.5 * vote, 2: 3.0 * vote, 4: vote})
    # the same items by last click, but the newest had been there before
    found, _ = found_by(index, [3, 1, 2, 3], chosen)
    assert found == pytest.approx({1: 2.0 * vote, 2: 7.0 * vote, 4: vote})
    # and where it was clicked twice at once nobody came back
    found, _ = found_by(index, [1, 2, 3, 3], chosen)
    assert found == pytest.approx({1: 0.5 * vote, 2: 3.0 * vote, 4: vote})


def test_what_came_next_counts_by_its_distance() -> None:
    index = index_of([[1, 2, 3], [1, 4], [5, 1]])
    found, _ = found_by(index, [1], replace(PLAIN, decay=0.0, chain=1.0, current=0.0))
    # three neighbours with a vote of 1; what follows gets a third of all votes, by distance
    assert found == pytest.approx({2: 2.0, 3: 1.5, 4: 2.0, 5: 1.0})


@pytest.mark.parametrize("chosen", [NeighbourSettings(), VSTAN, BLEND])
@given(SESSIONS, ASKED, st.integers(1, 6), st.integers(1, 6))
@settings(max_examples=150)
def test_agrees_with_the_reference(
    chosen: NeighbourSettings,
    sessions: list[list[int]],
    asked: list[int],
    newest: int,
    neighbours: int,
) -> None:
    chosen = replace(chosen, newest=newest, neighbours=neighbours)
    index = index_of(sessions)
    found, _ = found_by(index, asked, chosen)
    expected = reference(sessions, asked, chosen) if any(asked) else {}
    assert {item: votes for item, votes in found.items() if votes > 1e-7} == pytest.approx(
        expected, rel=1e-4, abs=1e-7
    )
    items, votes = np.array(list(found), dtype=np.int64), np.array(list(found.values()))
    order = sorted(found, key=lambda item: (-found[item], item))
    assert ranked(items, votes, 5).tolist() == order[:5]


def test_equally_alike_the_newer_counts() -> None:
    index = index_of([[1, 2], [1, 3], [1, 4]])
    found, _ = found_by(index, [1], replace(PLAIN, neighbours=2))
    assert sorted(found) == [1, 3, 4]


def test_popular_items_follow_and_the_current_one_is_left_out() -> None:
    index = index_of([[1, 2]])
    asked, popular = np.array([1]), np.array([1, 2, 5, 6])
    dropped = replace(PLAIN, current=0.0).limits()
    assert next_items(asked, index.arrays(), dropped, popular, 3).tolist() == [2, 5, 6]
    assert next_items(asked, index.arrays(), PLAIN.limits(), popular, 3).tolist() == [1, 2, 5]
    unknown = np.array([9])
    assert next_items(unknown, index.arrays(), dropped, popular, 2).tolist() == [1, 2]


def test_ranks_of_many_predictions() -> None:
    index = index_of([[1, 2, 3], [1, 2], [4, 5]])
    clicks = np.array([1, 3, 4, 9, 5])
    predictions = (clicks, np.array([0, 2, 2]), np.array([1, 3, 4]))
    popular = np.array([], dtype=np.int64)
    limits = replace(PLAIN, current=0.0).limits()
    ranks = reciprocal_ranks(predictions, index.arrays(), limits, popular, 5)
    assert ranks.tolist() == [0.5, 0.0, 0.5]
    effort = efforts(predictions, index.arrays(), limits)
    assert len(effort) == 3
    assert effort[0] > efforts(predictions, index.arrays(), replace(PLAIN, newest=1).limits())[0]


@given(SESSIONS, ASKED)
def test_an_index_is_the_same_filled_or_grown_live(
    sessions: list[list[int]], asked: list[int]
) -> None:
    grown, filled = index_of(sessions, capacity=20), SessionIndex(capacity=20)
    live = SessionIndex(capacity=20)
    rows = np.zeros((len(sessions), LONGEST_SESSION), dtype=np.int32)
    for place, session in enumerate(sessions):
        rows[place, : len(session)] = session
        number = live.begin(session[:1])
        for item in session[1:]:
            live.extend(number, item)
    filled.fill(rows)
    for item in range(1, 13):
        ours = grown.newest_with(item, 100)
        forgotten = max(0, len(sessions) - 20)
        assert (ours - forgotten).tolist() == filled.newest_with(item, 100).tolist()
    assert found_by(grown, asked, BLEND) == found_by(live, asked, BLEND)
    if len(sessions) <= 20:
        assert found_by(grown, asked, BLEND) == found_by(filled, asked, BLEND)


def test_memory_is_bounded_and_the_forgotten_are_not_found() -> None:
    index = index_of([[1, 2]] * 5 + [[3, 4]] * 500, capacity=500, per_item=40)
    assert len(index.rows) == 500
    assert found_by(index, [1], NeighbourSettings()) == ({}, [[], []])
    assert found_by(index, [1], replace(PLAIN, chain=1.0)) == ({}, [[], []])
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
    for chosen in (NeighbourSettings(), BLEND):
        assert found_by(SessionIndex(), [], chosen) == ({}, [[], []])
        assert found_by(SessionIndex(), [0], chosen) == ({}, [[], []])
        assert found_by(SessionIndex(), [99], chosen) == ({}, [[], []])


def test_a_session_without_end_is_looked_at_from_its_end() -> None:
    index = index_of([[1, 2], [3, 4]])
    found, alike = found_by(index, [1] + [3] * 10_000, PLAIN)
    assert set(found) == {3, 4}
    assert alike == [[1], [10_001]]


def test_settings_survive_being_kept() -> None:
    kept = {"newest": 250.0, "back": 3.0, "unknown": 1.0}
    assert NeighbourSettings.of(kept) == NeighbourSettings(newest=250, back=3.0)
    assert isinstance(NeighbourSettings.of(kept).newest, int)
