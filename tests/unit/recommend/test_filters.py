"""Filters of a request: what they let through, what is refused, what is kept."""

from typing import Any

import numpy as np
import pytest

from services.recommend.catalogue.index import Catalogue
from services.recommend.filters import (
    MOST_MASKS,
    REFRESH_MS,
    FilterMasks,
    judge,
    rules_of,
    unknown_fields,
)
from services.recommend.request import RecommendRequest, parse_body
from shared.catalogue import ItemChanged
from shared.errors import InvalidInput

ITEMS = [
    ItemChanged(
        item="boot",
        category="shoes",
        brand="A",
        price=9_000,
        currency="EUR",
        fields={"colours": ["red", "black"], "waterproof": True, "size": 44},
    ),
    ItemChanged(
        item="sandal", category="shoes", brand="B", price=3_000, currency="EUR", fields={"size": 40}
    ),
    ItemChanged(item="hat", category="hats", price=2_000, currency="USD"),
    ItemChanged(item="card"),
]


@pytest.fixture
def catalogue() -> Catalogue:
    catalogue = Catalogue()
    for item in ITEMS:
        catalogue.put(item)
    return catalogue


def asked(filters: dict[str, Any]) -> RecommendRequest:
    import msgspec

    return parse_body(msgspec.json.encode({"filters": filters}))


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"category": "shoes"}, ["boot", "sandal"]),
        ({"category": {"any_of": ["shoes", "hats"]}}, ["boot", "sandal", "hat"]),
        ({"category": {"none_of": ["shoes"]}}, ["hat", "card"]),
        ({"category": "shoes", "brand": {"none_of": ["A"]}}, ["sandal"]),
        ({"price": {"at_least": 3_000}}, ["boot", "sandal"]),
        ({"price": {"at_most": 3_000}}, ["sandal", "hat"]),
        ({"price": {"at_least": 2_500, "at_most": 3_000}}, ["sandal"]),
        ({"price": 2_000}, ["hat"]),
        ({"currency": "USD"}, ["hat"]),
        ({"currency": {"none_of": ["EUR", "JPY"]}}, ["hat", "card"]),
        ({"item": {"any_of": ["card", "hat", "never"]}}, ["hat", "card"]),
        ({"item": {"none_of": ["card"]}}, ["boot", "sandal", "hat"]),
        ({"colours": "black"}, ["boot"]),
        ({"fields.colours": {"any_of": ["red", "green"]}}, ["boot"]),
        ({"waterproof": True}, ["boot"]),
        ({"waterproof": {"none_of": [True]}}, ["sandal", "hat", "card"]),
        ({"size": {"any_of": [44, "small"]}}, ["boot"]),
        ({"size": {"at_least": 40}, "brand": "B"}, ["sandal"]),
        ({"category": 7}, []),
        ({"heel": "high"}, []),
        ({"heel": {"at_most": 3}}, []),
        ({"heel": {"none_of": ["high"]}}, ["boot", "sandal", "hat", "card"]),
    ],
)
def test_what_passes(catalogue: Catalogue, filters: dict[str, Any], found: list[str]) -> None:
    mask = FilterMasks(catalogue).mask(asked(filters).filters, 0)
    assert mask is not None
    assert [catalogue.ids[row] for row in np.flatnonzero(mask)] == found


@pytest.mark.parametrize(
    ("filters", "said"),
    [
        ({"price": {"at_leas": 1}}, "$.filters.price"),
        ({"price": {"at_least": "1"}}, "$.filters.price.at_least"),
        ({"price": {}}, "filters.price"),
        ({"price": {"at_least": 2, "at_most": 1}}, "filters.price"),
        ({"brand": ["A"]}, "$.filters.brand"),
        ({"brand": None}, "$.filters.brand"),
        ({"brand": {"any_of": []}}, "$.filters.brand.any_of"),
        ({"brand": {"any_of": ["x"] * 51}}, "$.filters.brand.any_of"),
        ({"brand": {"any_of": [["x"]]}}, "$.filters.brand.any_of[0]"),
        ({"x" * 65: "A"}, "length <= 64"),
        ({f"f{n}": 1 for n in range(11)}, "length <= 10"),
    ],
)
def test_what_is_refused(filters: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        rules_of(asked(filters).filters)
    assert said in str(refused.value)


def test_the_same_filters_in_another_order_are_one_mask(catalogue: Catalogue) -> None:
    masks = FilterMasks(catalogue)
    one = masks.mask(asked({"brand": {"any_of": ["B", "A"]}, "category": "shoes"}).filters, 0)
    same = masks.mask(asked({"category": "shoes", "brand": {"any_of": ["A", "B"]}}).filters, 0)
    assert one is same
    assert masks.mask({}, 0) is None


def test_a_mask_follows_the_catalogue(catalogue: Catalogue) -> None:
    masks, filters = FilterMasks(catalogue), asked({"category": "shoes"}).filters
    before = masks.mask(filters, 1_000)
    catalogue.put(ItemChanged(item="hat", category="shoes"))
    assert masks.mask(filters, 1_000 + REFRESH_MS - 1) is before
    after = masks.mask(filters, 1_000 + REFRESH_MS)
    assert after is not None
    assert after.tolist() == [True, True, True, False]
    assert masks.mask(filters, 9_000_000) is after


def test_few_masks_are_kept(catalogue: Catalogue) -> None:
    masks = FilterMasks(catalogue)
    first = masks.mask(asked({"size": 0}).filters, 0)
    for size in range(1, MOST_MASKS):
        masks.mask(asked({"size": size}).filters, 0)
    assert masks.mask(asked({"size": 0}).filters, 0) is first
    masks.mask(asked({"size": MOST_MASKS}).filters, 0)
    masks.mask(asked({"size": MOST_MASKS + 1}).filters, 0)
    assert masks.mask(asked({"size": 0}).filters, 0) is first, "what is used stays"
    assert len(masks._kept) == MOST_MASKS


def test_fields_nobody_has_are_named(catalogue: Catalogue) -> None:
    rules = rules_of(asked({"heel": 1, "price": 1, "item": "x", "colours": "red"}).filters)
    assert unknown_fields(rules, catalogue) == ["heel"]
    assert not judge(rules, catalogue).any()
