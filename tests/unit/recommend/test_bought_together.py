"""Basket pairs: cosine, samples of large orders, bounds."""

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.recommend.candidates import bought_together
from services.recommend.candidates.bought_together import (
    MOST_ITEMS,
    MOST_OFFERED,
    MOST_PARTNERS,
    Pairs,
    sample,
)
from services.recommend.candidates.sessions import SessionIndex
from services.recommend.candidates.short_lists import NO_LIST, ShortLists
from services.recommend.grounds import NOTHING, cause
from services.recommend.learning import Learned
from services.recommend.numbers import ItemNumbers
from tests.fixtures.learned_parts import parts_of


def partners(pairs: Pairs, item: int) -> dict[int, float]:
    place, lists = pairs.place(item), pairs.lists
    if place == NO_LIST:
        return {}
    length = int(lists.lengths[place])
    numbers, scores = lists.numbers[place, :length], lists.scores[place, :length]
    return dict(zip(numbers.tolist(), scores.tolist(), strict=True))


def test_partners_by_cosine_and_the_anchor_that_caused_it() -> None:
    pairs = Pairs()
    for order, items in (("1", [1, 2]), ("2", [1, 2]), ("3", [1, 3]), ("4", [3, 4])):
        pairs.learn(order, items)
    assert partners(pairs, 1) == {2: pytest.approx(2 / 6**0.5), 3: pytest.approx(1 / 6**0.5)}
    assert pairs.together(1, 2) == 2
    anchors = np.array([pairs.place(1), pairs.place(3), pairs.place(9)])
    arrays = pairs.lists.arrays()
    assert [cause(item, anchors, arrays) for item in (2, 3, 1, 4, 9)] == [0, 0, 1, 1, NOTHING]
    assert cause(2, anchors[:0], arrays) == NOTHING


def test_partners_are_listed_anew_after_another_order() -> None:
    pairs = Pairs()
    pairs.learn("1", [1, 2])
    before = partners(pairs, 1)
    pairs.learn("2", [1, 3])
    assert before == {2: 1.0}
    assert partners(pairs, 1).keys() == {2, 3}
    assert partners(pairs, 7) == {}
    pairs.learn("3", [7, 8])
    assert partners(pairs, 7) == {8: 1.0}


def test_what_a_model_brings_is_listed_as_if_it_had_been_learned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    random, learned, filled = Random(1), Pairs(), Pairs()
    for order in range(400):
        learned.learn(str(order), [int(random.random() ** 2 * 90) for _ in range(6)])
    monkeypatch.setattr(bought_together, "MOST_LISTED", 50)
    parts = parts_of(Learned(ItemNumbers(), SessionIndex(), learned))["pairs"].arrays
    filled.fill(parts["orders"].astype(np.int64), parts["together"].astype(np.int32))
    items = np.flatnonzero(learned.orders).tolist()
    assert len([item for item in items if filled.lists.find(item) is not None]) == 50
    assert max(len(learned.partners_of(item)) for item in items) > MOST_OFFERED
    assert sorted(filled.counted()) == sorted(learned.counted())
    for item in items:
        assert partners(filled, item) == partners(learned, item)
    filled.learn("new", [1, 2, 200])
    learned.learn("new", [1, 2, 200])
    assert sorted(filled.counted()) == sorted(learned.counted())
    assert filled.orders[:201].tolist() == learned.orders[:201].tolist()
    assert [partners(filled, item) for item in (1, 2, 200)] == [
        partners(learned, item) for item in (1, 2, 200)
    ]


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans(), st.integers(0, 4)), max_size=80))
def test_short_lists_keep_what_was_put_last(steps: list[tuple[int, bool, int]]) -> None:
    lists: ShortLists[int] = ShortLists(4)
    kept: dict[int, list[int]] = {}
    for turn, (key, put, length) in enumerate(steps):
        lists.drop(key)
        kept.pop(key, None)
        if put:
            kept[key] = list(range(turn, turn + length))
            lists.put(key, np.array(kept[key], dtype=np.int64))
    for key in range(10):
        place = lists.find(key)
        if key not in kept:
            assert place is None
        elif not kept[key]:
            assert place == NO_LIST
        else:
            assert place is not None
            assert lists.numbers[place, : lists.lengths[place]].tolist() == kept[key]


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
    assert pairs.orders[0] == 0


def test_partners_are_bounded_and_the_commonest_stay() -> None:
    pairs = Pairs()
    pairs.learn("first", [1, 2])
    pairs.learn("second", [1, 2])
    for other in range(3, 3 * MOST_PARTNERS):
        pairs.learn(str(other), [1, other])
    assert len(pairs.learned[1]) <= 2 * MOST_PARTNERS
    assert pairs.together(1, 2) == 2
