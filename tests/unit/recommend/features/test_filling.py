"""What each feature means, through the one compiled call and the shelf that feeds it."""

from typing import Any

import numpy as np
import pytest

from services.recommend.catalogue.index import Catalogue
from services.recommend.features import FEATURES
from services.recommend.features.filling import fill
from services.recommend.features.rates import PRIOR, VALUE_PRIOR
from services.recommend.features.shelf import Shelf
from shared.catalogue import ItemChanged

DAY = 86_400_000
NOW = 20_000 * DAY + 5 * 3_600_000
NOTHING: list[int] = []


class Case:
    """A catalogue of three items and the features of all of them."""

    def __init__(self) -> None:
        self.catalogue = Catalogue()
        self.shelf = Shelf()
        self.counts = np.zeros((3, 5), dtype=np.int64)
        self.put(
            "a", category="x", price=100, stock=4, valid_from=NOW - 9 * DAY, fields={"size": 7}
        )
        self.put("b", category="x", brand="m", price=900, fields={"tags": ["new", "red"]})
        self.put("c", category="y", fields={"tags": ["red"], "size": 2.5})

    def put(self, item: str, **values: Any) -> None:
        self.catalogue.put(ItemChanged(item=item, **values))

    def values(
        self, name: str, taken: list[int] = NOTHING, passed: list[int] = NOTHING
    ) -> list[float]:
        """One feature of the three."""
        arrays = self.shelf.arrays(self.catalogue, self.counts)
        filled = fill(
            np.arange(3),
            np.full((3, len(FEATURES)), 0.5),
            np.array(taken, dtype=np.int64),
            np.array(passed, dtype=np.int64),
            NOW,
            arrays,
        )
        assert filled.shape == (3, len(self.shelf.names))
        column: list[float] = filled[:, self.shelf.names.index(name)].tolist()
        return column


def test_first_stage_columns_come_as_they_are() -> None:
    assert Case().values("session") == [0.5] * 3
    assert list(Case().shelf.names[: len(FEATURES)]) == list(FEATURES)


def test_click_rates_by_item_and_by_value() -> None:
    case = Case()
    assert np.isnan(case.values("click_rate")).all()
    case.counts = np.array([[7, 0, 0, 10, 5], [0, 0, 0, 30, 3], [0, 0, 0, 0, 0]])
    average = 8 / 40
    rates = [(5 + PRIOR * average) / (10 + PRIOR), (3 + PRIOR * average) / (30 + PRIOR), average]
    assert case.values("click_rate") == pytest.approx(rates)
    both = (8 + VALUE_PRIOR * average) / (40 + VALUE_PRIOR)
    assert case.values("rate:category") == pytest.approx([both, both, average])
    red = (3 + VALUE_PRIOR * average) / (30 + VALUE_PRIOR)
    assert case.values("rate:tags") == pytest.approx([np.nan, red, red], nan_ok=True)
    assert case.values("showings") == [10.0, 30.0, 0.0]
    assert case.values("views") == [7.0, 0.0, 0.0]


def test_age_stock_and_price() -> None:
    case = Case()
    assert case.values("age") == pytest.approx([9.0, np.nan, np.nan], nan_ok=True)
    assert case.values("stock") == pytest.approx([4.0, np.nan, np.nan], nan_ok=True)
    prices = [100.0, 900.0, np.nan]
    assert case.values("item_price") == pytest.approx(prices, nan_ok=True)
    gaps = [1 / 3, 3.0, np.nan]
    assert case.values("price_gap", taken=[0, 1, 2, -1]) == pytest.approx(gaps, nan_ok=True)
    assert np.isnan(case.values("price_gap")).all()


def test_numeric_fields() -> None:
    assert Case().values("number:size") == pytest.approx([7.0, np.nan, 2.5], nan_ok=True)


def test_overlap_with_what_was_taken() -> None:
    case = Case()
    assert case.values("overlap:category", taken=[0, 1]) == [1.0, 1.0, 0.0]
    assert case.values("overlap:category", taken=[1, 2]) == [0.5, 0.5, 0.5]
    # of tags: one of b's two values is c's, and a has none
    tags = case.values("overlap:tags", taken=[2])
    assert tags == pytest.approx([np.nan, 0.5, 1.0], nan_ok=True)
    assert np.isnan(case.values("overlap:category")).all()


def test_taste_counts_what_was_passed_over() -> None:
    case = Case()
    liked = case.values("taste:category", taken=[2], passed=[0])
    assert liked == pytest.approx([0.0, 0.0, 1 / 4])
    case.counts = np.array([[0, 0, 0, 10, 5], [0, 0, 0, 10, 5], [0, 0, 0, 10, 5]])
    liked = case.values("taste:category", taken=[2], passed=[0])
    assert liked == pytest.approx([-0.5 / 4, -0.5 / 4, 0.5 / 4])


def test_the_moment() -> None:
    case = Case()
    assert case.values("hour") == [5.0] * 3
    assert case.values("weekday") == [float((20_000 + 3) % 7)] * 3
    assert 0.0 <= case.values("season")[0] < 1.0
    assert case.values("depth", taken=[0, 1], passed=[2]) == [3.0] * 3


def test_fields_that_come_later_get_columns() -> None:
    case = Case()
    shelf = Shelf()
    empty = Catalogue()
    shelf.arrays(empty, case.counts)
    before = shelf.names
    assert "overlap:category" not in before
    empty.put(ItemChanged(item="a", category="x"))
    shelf.arrays(empty, case.counts)
    assert "overlap:category" in shelf.names
    held = shelf.names
    empty.put(ItemChanged(item="b", category="y"))
    shelf.arrays(empty, case.counts)
    assert shelf.names is held


def test_items_newer_than_the_counts() -> None:
    case = Case()
    case.counts = np.array([[0, 0, 0, 10, 5]])
    case.put("d", category="x")
    average = 0.5
    assert case.values("click_rate")[1:] == [average, average]
    assert case.values("showings")[1:] == [0.0, 0.0]
