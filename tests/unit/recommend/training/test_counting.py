"""Counting over columns against the plain way, fact by fact."""

import random
from collections import Counter
from itertools import permutations
from typing import Any

import numpy as np
import pytest

from services.recommend.training import counting
from services.recommend.training.counting import count_together, number_sessions, repurchases

IDLE = 30


def column(values: list[int], kind: Any = np.int32) -> Any:
    return np.array(values, dtype=kind)


@pytest.fixture
def dice() -> random.Random:
    return random.Random(5)


def plain_sessions(rows: list[tuple[int, int]]) -> list[int]:
    """The session of each (customer, at), each customer's day walked through."""
    found: list[tuple[int, int, list[int]]] = []
    for customer in {customer for customer, _ in rows}:
        own = sorted((at, place) for place, (of, at) in enumerate(rows) if of == customer)
        last = None
        for at, place in own:
            if last is None or at - last > IDLE:
                found.append((0, customer, []))
            last = at
            found[-1] = (at, customer, [*found[-1][2], place])
    numbers = [0] * len(rows)
    for number, (_, _, places) in enumerate(sorted(found)):
        for place in places:
            numbers[place] = number
    return numbers


def test_sessions_end_after_idling_and_are_numbered_by_their_ends(dice: random.Random) -> None:
    rows = [(dice.randrange(6), dice.randrange(1_000)) for _ in range(300)]
    found = number_sessions(
        column([customer for customer, _ in rows]), column([at for _, at in rows], np.int64), IDLE
    )
    assert found.tolist() == plain_sessions(rows)
    assert max(found) > 20


def test_a_gap_of_exactly_the_idle_time_ends_nothing() -> None:
    found = number_sessions(column([1, 1, 1]), column([0, IDLE, 2 * IDLE + 1], np.int64), IDLE)
    assert found.tolist() == [0, 0, 1]


@pytest.mark.parametrize("block", [7, 2_000_000])
def test_pairs_are_counted_as_a_loop_over_orders_counts_them(
    dice: random.Random, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(counting, "BLOCK", block)
    orders = [sorted(dice.sample(range(1, 20), dice.randrange(1, 7))) for _ in range(80)]
    expected = Counter(pair for items in orders for pair in permutations(items, 2))
    lines = [(number, item) for number, items in enumerate(orders) for item in items]
    dice.shuffle(lines)
    found = count_together(
        column([order for order, _ in lines]),
        column([item for _, item in lines]),
        most_items=60,
        most_partners=256,
    )
    rows = list(zip(*(part.tolist() for part in found), strict=True))
    assert {(item, other): count for item, other, count in rows} == expected
    assert rows == sorted(rows, key=lambda row: (row[0], -row[2], row[1]))


def test_the_commonest_partners_are_kept() -> None:
    baskets = [(1, 2), (1, 2), (1, 3), (1, 3), (1, 4)]
    order = [number for number, items in enumerate(baskets) for _ in items]
    item = [item for items in baskets for item in items]
    found = count_together(column(order), column(item), most_items=9, most_partners=2)
    of_one = found.item == 1
    assert found.other[of_one].tolist() == [2, 3]


def test_of_a_wholesale_order_a_sample_counts_whatever_the_order_of_rows() -> None:
    items = list(range(1, 101))
    ahead = count_together(column([7] * 100), column(items), most_items=10, most_partners=99)
    behind = count_together(column([7] * 100), column(items[::-1]), most_items=10, most_partners=99)
    assert len(set(ahead.item.tolist())) == 10
    assert ahead.other.tolist() == behind.other.tolist()
    other = count_together(column([8] * 100), column(items), most_items=10, most_partners=99)
    assert set(ahead.item.tolist()) != set(other.item.tolist())


def test_times_between_purchases_are_by_customer_and_item() -> None:
    rows = [(1, 5, 100), (2, 5, 150), (1, 5, 400), (1, 6, 500), (2, 5, 160), (1, 5, 410)]
    found = repurchases(
        column([row[0] for row in rows]),
        column([row[1] for row in rows]),
        column([row[2] for row in rows], np.int64),
    )
    assert list(zip(*(part.tolist() for part in found), strict=True)) == [
        (5, 2, 10, 160),
        (5, 1, 300, 400),
        (5, 1, 10, 410),
    ]


def test_nothing_comes_of_nothing() -> None:
    empty, times = column([]), column([], np.int64)
    assert len(number_sessions(empty, times, IDLE)) == 0
    assert len(count_together(empty, empty, most_items=9, most_partners=9).item) == 0
    assert len(repurchases(empty, empty, times).item) == 0
