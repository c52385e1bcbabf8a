"""Columns of item fields: values of every type, changes, growth, and what nobody ever had."""

import math

import numpy as np
import pytest

from services.recommend.catalogue.fields import MOST_VALUES, FieldColumn, number_of, texts_of
from services.recommend.catalogue.index import Catalogue
from shared.catalogue import ItemChanged


def labels(column: FieldColumn | None, row: int) -> list[str]:
    assert column is not None
    return [column.labels.labels[code] for code in column.codes[row].tolist() if code >= 0]


def filled() -> Catalogue:
    catalogue = Catalogue()
    catalogue.put(
        ItemChanged(
            item="a",
            category="shoes",
            brand="x",
            price=500,
            stock=3,
            fields={"colour": ["red", "blue", "red"], "weight": 1.5, "new": True},
        )
    )
    catalogue.put(ItemChanged(item="b", fields={"colour": "blue", "weight": "heavy"}))
    return catalogue


def test_values_of_each_type_find_their_column() -> None:
    fields = filled().fields
    colour, weight, new = fields.column("colour"), fields.column("weight"), fields.column("new")
    assert labels(colour, 0) == ["red", "blue"]
    assert labels(colour, 1) == ["blue"]
    assert colour is not None
    assert colour.codes[0].tolist()[2:] == [-1] * (MOST_VALUES - 2)
    assert weight is not None
    assert weight.numbers[0] == 1.5
    assert math.isnan(weight.numbers[1])
    assert labels(weight, 1) == ["heavy"]
    assert labels(new, 0) == ["true"]
    assert new is not None
    assert new.numbers[0] == 1.0


def test_attributes_are_fields_too() -> None:
    fields = filled().fields
    assert labels(fields.column("category"), 0) == ["shoes"]
    assert labels(fields.column("brand"), 0) == ["x"]
    price, stock = fields.column("price"), fields.column("stock")
    assert price is not None
    assert price.numbers[0] == 500.0
    assert stock is not None
    assert stock.numbers[0] == 3.0
    assert fields.names() == ["category", "brand", "price", "stock", "colour", "weight", "new"]


def test_a_change_is_seen_in_a_column_that_was_made_before() -> None:
    catalogue = filled()
    colour, weight = catalogue.fields.column("colour"), catalogue.fields.column("weight")
    catalogue.put(ItemChanged(item="a", fields={"colour": "green"}))
    assert labels(colour, 0) == ["green"]
    assert weight is not None
    assert math.isnan(weight.numbers[0])
    for place in range(200):
        catalogue.put(ItemChanged(item=f"n{place}", fields={"colour": f"c{place % 3}"}))
    assert catalogue.fields.column("colour") is colour
    assert labels(colour, 201) == ["c1"]
    assert labels(colour, 1) == ["blue"]


def test_a_field_that_no_item_has_is_no_column() -> None:
    catalogue = filled()
    assert catalogue.fields.column("invented") is None
    catalogue.put(ItemChanged(item="c", fields={"invented": "now"}))
    assert labels(catalogue.fields.column("invented"), 2) == ["now"]


def test_masks_for_filters() -> None:
    catalogue = filled()
    catalogue.put(ItemChanged(item="c"))
    colour, weight = catalogue.fields.column("colour"), catalogue.fields.column("weight")
    assert colour is not None
    assert weight is not None
    assert colour.having(["red"], 3).tolist() == [True, False, False]
    assert colour.having(["red", "blue", "none"], 3).tolist() == [True, True, False]
    assert colour.having(["none"], 3).tolist() == [False] * 3
    assert weight.between(1.0, 1.5, 3).tolist() == [True, False, False]
    assert weight.between(-math.inf, math.inf, 3).tolist() == [True, False, False]


def test_more_values_than_count_are_left_out() -> None:
    assert texts_of([str(place) for place in range(20)]) == [str(place) for place in range(8)]


@pytest.mark.parametrize("value", [None, {"a": 1}, [1, 2], math.nan, math.inf, 10**400, object()])
def test_what_is_no_value(value: object) -> None:
    assert texts_of(value) == []
    assert np.isnan(number_of(value))
