"""Basket pairs: cosine, samples of large orders, bounds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.recommend.candidates.bought_together import (
    MOST_ITEMS,
    MOST_PARTNERS,
    Pairs,
    cause_of,
    sample,
    score_together,
)


def test_cosine_and_the_anchor_that_caused_it() -> None:
    pairs = Pairs()
    for order, items in (("1", [1, 2]), ("2", [1, 2]), ("3", [1, 3]), ("4", [3, 4])):
        pairs.learn(order, items)
    found, scores = score_together(pairs, [1, 3])
    ranked = dict(zip(found.tolist(), scores.tolist(), strict=True))
    assert ranked[2] == pytest.approx(2 / (3 * 2) ** 0.5)
    assert {item: cause_of(pairs, [1, 3], item) for item in ranked} == {2: 1, 3: 1, 1: 3, 4: 3}
    assert cause_of(pairs, [1, 3], 9) is None
    assert cause_of(pairs, [], 2) is None
    assert pairs.together(1, 2) == 2


def test_a_wholesale_order_counts_a_sample_that_its_id_decides() -> None:
    items = range(1, 1_001)
    assert len(sample("a", items)) == MOST_ITEMS
    assert sample("a", items) == sample("a", reversed(items))
    assert sample("a", items) != sample("b", items)


@given(st.lists(st.integers(0, 30), max_size=30))
def test_counts_are_symmetric(items: list[int]) -> None:
    pairs = Pairs()
    pairs.learn("1", items)
    assert all(pairs.together(other, item) == count for item, other, count in pairs.counted())
    assert 0 not in pairs.orders


def test_partners_are_bounded_and_the_commonest_stay() -> None:
    pairs = Pairs()
    pairs.learn("first", [1, 2])
    pairs.learn("second", [1, 2])
    for other in range(3, 3 * MOST_PARTNERS):
        pairs.learn(str(other), [1, other])
    assert len(pairs.partners[1]) <= 2 * MOST_PARTNERS
    assert pairs.together(1, 2) == 2
