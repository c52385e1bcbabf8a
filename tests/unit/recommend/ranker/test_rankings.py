"""Logged rankings as columns, measures of order, and scores as chances."""

import numpy as np
import pytest

from services.recommend.ranker.calibration import fit_sigmoid
from services.recommend.ranker.measures import ndcg, reciprocal_ranks
from services.recommend.ranker.rankings import Logged, joined


def logged(at: int, clicked: list[bool], **changes: object) -> Logged:
    count = len(clicked)
    values = [[float(place), None] for place in range(count)]
    whole = [True] * count
    entry = Logged(["a", "b"], values, clicked, [False] * count, range(1, count + 1), whole, at)
    return entry._replace(**changes)  # type: ignore[arg-type]


def test_decisions_are_aligned_by_name_and_time() -> None:
    other = logged(1, [True, False], names=["b", "c"], values=[[1.0, 2.0], [3.0, None]])
    rankings = joined([logged(5, [False, True, False]), other, logged(9, [], values=[])])
    assert rankings.names == ("b", "c", "a")
    assert rankings.at.tolist() == [1, 5]
    assert rankings.sizes.tolist() == [2, 3]
    np.testing.assert_equal(rankings.features[0], [1.0, 2.0, np.nan])
    np.testing.assert_equal(rankings.features[1], [3.0, np.nan, np.nan])
    np.testing.assert_equal(rankings.features[4], [np.nan, np.nan, 2.0])
    assert rankings.clicked.tolist() == [1, 0, 0, 1, 0]


def test_rankings_that_say_nothing_are_left_out() -> None:
    entries = [logged(0, [False, False]), logged(1, [True, True]), logged(2, [False, True, False])]
    rankings = joined([*entries, logged(3, [False] * 2, converted=[True, False])])
    kept = rankings.with_clicks()
    assert kept.at.tolist() == [2, 3]
    assert kept.gains().tolist() == [0, 1, 0, 2, 0]
    assert rankings.only(np.array([2, 0])).features[:, 0].tolist() == [0.0, 1.0, 2.0, 0.0, 1.0]


def test_ndcg_and_reciprocal_ranks_by_hand() -> None:
    sizes = np.array([3, 2])
    gains = np.array([0, 1, 1, 1, 0])
    scores = np.array([3.0, 2.0, 1.0, 0.0, 0.0])
    reached = (1 / np.log2(3) + 1 / np.log2(4)) / (1 + 1 / np.log2(3))
    assert ndcg(scores, gains, sizes).tolist() == pytest.approx([reached, 1.0])
    assert reciprocal_ranks(scores, gains, sizes).tolist() == [0.5, 1.0]
    assert ndcg(scores, gains, sizes, k=1).tolist() == [0.0, 1.0]


def test_chances_are_what_happens() -> None:
    random = np.random.default_rng(1)
    scores = random.normal(size=20_000)
    true = 1.0 / (1.0 + np.exp(-(2.0 * scores - 3.0)))
    sigmoid = fit_sigmoid(scores, (random.random(20_000) < true).astype(np.int8))
    assert sigmoid is not None
    assert sigmoid.slope == pytest.approx(2.0, abs=0.15)
    assert sigmoid.offset == pytest.approx(-3.0, abs=0.15)
    assert np.abs(sigmoid.chances(scores) - true).max() < 0.03


def test_no_slope_is_made_up() -> None:
    scores = np.linspace(-1, 1, 200)
    few = np.zeros(200, dtype=np.int8)
    few[-5:] = 1
    assert fit_sigmoid(scores, few) is None
    assert fit_sigmoid(scores, (scores < 0).astype(np.int8)) is None
