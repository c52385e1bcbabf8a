"""Buy again: intervals by hand, when an item is due, how they lie in a model; new items."""

import math

import numpy as np
import pytest

from services.recommend.candidates.buy_again import due
from services.recommend.candidates.intervals import Intervals
from services.recommend.candidates.newcomers import NEW_MS, Newcomers, newest
from services.recommend.catalogue.index import Catalogue
from services.recommend.training.history import History, Lines, Touches
from services.recommend.training.intervals import DAY_MS, train
from shared.catalogue import ItemChanged

NOW = 1_760_000_000_000


def history(orders: list[tuple[int, int, int]]) -> History:
    """Of (customer, item, day), one line an order."""
    rows = sorted(orders, key=lambda row: (row[2], row[0], row[1]))
    customer, item, day = (np.array(column) for column in zip(*rows, strict=True))
    number = np.arange(len(rows), dtype=np.int32)
    ones = np.ones(len(rows), dtype=np.int32)
    lines = Lines(
        number,
        customer.astype(np.int32),
        item.astype(np.int32),
        ones,
        ones.astype(np.int64),
        day.astype(np.int64) * DAY_MS,
    )
    none = np.empty(0, dtype=np.int32)
    touches = Touches(none, none, none.astype(np.int8), none.astype(np.int64), none)
    return History(["", "coffee", "sofa", "filter"], ["c:x"] * 60, touches, lines)


def weekly() -> History:
    """Forty customers buy coffee (1) each seven days, thrice; ten of them a sofa (2), once."""
    coffee = [(customer, 1, 7 * week) for customer in range(40) for week in range(3)]
    return history(coffee + [(customer, 2, 3) for customer in range(10)])


def test_an_interval_is_what_lay_between_two_orders() -> None:
    intervals = train(weekly(), 1, lambda _: None)
    assert intervals is not None
    assert intervals.days.round(9).tolist() == [0, 7, 0, 0]
    # 40 of 40 buyers came back, and of the ten whom the whole shop lends 41 of 52
    assert intervals.share.tolist() == pytest.approx([0, (40 + 10 * 41 / 52) / 50, 0, 0])


def test_parts_of_an_order_are_no_return_and_little_is_not_learned_from() -> None:
    same_day = [(customer, 1, 5) for customer in range(40)] * 2
    said: list[str] = []
    assert train(history(same_day), 1, said.append) is None
    assert "hardly anything" in said[0]


def due_of(intervals: Intervals, *asked: tuple[int, int, int]) -> list[float]:
    items, days, times = (np.array(column, dtype=np.int64) for column in zip(*asked, strict=True))
    return due(items, days, times, intervals.arrays()).tolist()


def test_an_item_is_due_as_its_interval_comes_round() -> None:
    intervals = Intervals(np.array([0, 10.0, 10.0, 0]), np.array([0, 0.5, 0.02, 0]), 1.0)
    soon, ripe, late, rare, never, unknown, unknown_day = due_of(
        intervals,
        (1, 0, 1),
        (1, 10, 1),
        (1, 60, 1),
        (2, 10, 1),
        (3, 10, 1),
        (99, 10, 1),
        (1, -1, 1),
    )
    assert ripe == pytest.approx(0.5 * math.exp(-0.5 * math.log(1.05) ** 2))
    assert late == pytest.approx(0.5 * math.exp(-0.5 * math.log(6.05) ** 2))
    assert (soon, rare, never, unknown, unknown_day) == (0, 0, 0, 0, 0)
    # who bought it five times makes it a habit of their own: (0.02 x 4 + 4) / 8
    assert due_of(intervals, (2, 10, 5)) == pytest.approx([0.51 * ripe / 0.5])


def test_intervals_survive_the_model_store_under_other_numbers() -> None:
    trained = train(weekly(), 1, lambda _: None)
    assert trained is not None
    there = Intervals.of(trained.part(), np.array([0, 9, 4, 5]))
    assert there.days.round(9).tolist() == [0] * 9 + [7]
    assert there.share[9] == trained.share[1]
    assert there.spread == trained.spread
    assert due_of(Intervals(), (1, 3, 1)) == [0]
    nothing = Intervals.of(Intervals().part(), np.array([0]))
    assert due_of(nothing, (1, 3, 1)) == [0]


def test_new_items_are_the_newest_first_and_leave_in_time() -> None:
    since = np.array([NOW - 1, np.nan, NOW - NEW_MS, NOW + 1, NOW - NEW_MS // 2, NOW - 1])
    rows, scores = newest(since, np.array([True] * 5 + [False]), NOW)
    assert rows.tolist() == [0, 4]
    assert scores.tolist() == pytest.approx([1, 0.5])


def test_the_shop_says_when_an_item_came() -> None:
    catalogue, newcomers = Catalogue(), Newcomers()
    for told in (
        ItemChanged(item="old", changed_at=NOW),
        ItemChanged(item="from", valid_from=NOW - DAY_MS),
        ItemChanged(item="number", fields={"added_at": NOW - 2 * DAY_MS}),
        ItemChanged(item="text", fields={"added_at": "2025-10-09T08:53:20"}),
        ItemChanged(item="nonsense", fields={"added_at": "soon"}),
    ):
        catalogue.put(told)
    newcomers.refresh(catalogue, NOW, 100)
    assert [catalogue.ids[row] for row in newcomers.arrays()[0]] == ["text", "from", "number"]
