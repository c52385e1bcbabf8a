"""The catalogue in memory against a plain dict of what was last said of each key."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from services.recommend.catalogue.columns import ALWAYS, NONE
from services.recommend.catalogue.index import Catalogue
from shared.catalogue import (
    Change,
    ItemChanged,
    OfferChanged,
    PlacementChanged,
    encode,
    item_key,
    key_of,
    offer_key,
    placement_key,
)

IDS = [f"i{number}" for number in range(6)]
LABELS = st.sampled_from([None, "", "red", "blue"])
MOMENTS = st.none() | st.integers(0, 20)

ITEMS = st.builds(
    ItemChanged,
    item=st.sampled_from(IDS),
    category=LABELS,
    brand=LABELS,
    price=st.none() | st.integers(0, 5_000),
    currency=st.sampled_from([None, "EUR", "GBP"]),
    stock=st.none() | st.integers(0, 2),
    active=st.booleans(),
    recommendable=st.booleans(),
    repeatable=st.booleans(),
    valid_from=MOMENTS,
    valid_to=MOMENTS,
    countries=st.lists(st.sampled_from(["DE", "FR", "GB"]), max_size=2),
)
OFFERS = st.builds(
    OfferChanged,
    offer=st.sampled_from(["o1", "o2", "o3"]),
    items=st.lists(st.sampled_from(IDS), max_size=3),
    percent_off=st.integers(0, 100),
    active=st.booleans(),
    valid_from=MOMENTS,
    valid_to=MOMENTS,
)
PLACEMENTS = st.builds(PlacementChanged, placement=st.sampled_from(["home", "cart"]))
KEYS = st.sampled_from([*map(item_key, IDS), *map(offer_key, ["o1", "o2"]), placement_key("home")])


def holds(change: ItemChanged | OfferChanged, now: int) -> bool:
    begins, ends = change.valid_from, change.valid_to
    return (begins is None or begins <= now) and (ends is None or now < ends)


@settings(max_examples=300, deadline=None)
@given(steps=st.lists(ITEMS | OFFERS | PLACEMENTS | KEYS, max_size=25), now=st.integers(0, 21))
def test_it_holds_what_was_last_said_of_each_key(steps: list[Change | str], now: int) -> None:
    catalogue, model = Catalogue(), dict[str, Change]()
    first_rows: dict[str, int] = {}
    for step in steps:
        if isinstance(step, str):
            assert catalogue.apply(step.encode(), None)
            model.pop(step, None)
        else:
            assert catalogue.apply(key_of(step).encode(), encode(step))
            model[key_of(step)] = step
        for item in IDS:
            row = catalogue.row(item)
            assert row is None or first_rows.setdefault(item, row) == row, "rows never move"
    items = {each.item: each for each in model.values() if isinstance(each, ItemChanged)}
    check_items(catalogue, items, now)
    check_groups(catalogue, items)
    offers = [each for each in model.values() if isinstance(each, OfferChanged)]
    for item in IDS:
        expected = [o for o in offers if item in o.items and o.active and holds(o, now)]
        expected.sort(key=lambda offer: (-offer.percent_off, offer.offer))
        assert catalogue.offers_for(item, now) == expected
    for name in ("home", "cart"):
        assert catalogue.placement(name) == model.get(placement_key(name))
    assert catalogue.changed_at() == {key: each.changed_at for key, each in model.items()}
    assert catalogue.version == len(steps)


def check_items(catalogue: Catalogue, items: dict[str, ItemChanged], now: int) -> None:
    columns = catalogue.columns
    assert len(catalogue) == len(items)
    assert [catalogue.ids[row] for row in catalogue.order()] == sorted(items)
    assert set(np.flatnonzero(columns.live)) == set(catalogue.order())
    for item in IDS:
        assert (item in catalogue) == (item in items)
        assert catalogue.item(item) == items.get(item)
    for item, said in items.items():
        row = catalogue.row(item)
        assert row is not None
        assert columns.active[row] == said.active
        assert columns.recommendable[row] == said.recommendable
        assert columns.repeatable[row] == said.repeatable
        assert columns.in_stock[row] == (said.stock is None or said.stock > 0)
        assert columns.price[row] == (NONE if said.price is None else said.price)
        band = NONE if said.price is None else said.price.bit_length()
        assert columns.price_band[row] == band
        code = columns.currency[row]
        assert (catalogue.currencies.labels[code] if code != NONE else None) == said.currency
        rows = np.array([row], np.int32)
        assert catalogue.valid(rows, now)[0] == holds(said, now)
        for country in ("DE", "FR", None):
            allowed = not said.countries or country in said.countries
            assert catalogue.shown_in(rows, country)[0] == allowed


def check_groups(catalogue: Catalogue, items: dict[str, ItemChanged]) -> None:
    for label in ("", "red", "blue", "never"):
        in_category = {catalogue.ids[row] for row in catalogue.in_category(label)}
        assert in_category == {each.item for each in items.values() if each.category == label}


def test_columns_grow_and_keep_what_they_hold() -> None:
    catalogue = Catalogue()
    for number in range(3_000):
        catalogue.put(ItemChanged(item=f"i{number}", price=number))
    assert catalogue.columns.size == 3_000
    rows = catalogue.rows([f"i{number}" for number in range(3_000)])
    assert catalogue.columns.price[rows].tolist() == list(range(3_000))
    assert not catalogue.columns.live[3_000:].any(), "rows that nobody has are not live"


def test_rows_leaves_out_what_does_not_exist() -> None:
    catalogue = Catalogue()
    catalogue.put(ItemChanged(item="a"))
    catalogue.put(ItemChanged(item="b"))
    catalogue.remove(item_key("a"))
    assert catalogue.rows(["b", "a", "never"]).tolist() == [1]


def test_an_item_that_returns_is_back_in_its_groups_and_its_row() -> None:
    catalogue = Catalogue()
    catalogue.put(ItemChanged(item="a", category="red"))
    catalogue.remove(item_key("a"))
    assert catalogue.in_category("red").tolist() == []
    catalogue.put(ItemChanged(item="a", category="red"))
    assert catalogue.in_category("red").tolist() == [0]
    assert catalogue.row("a") == 0


def test_many_countries_asked_for_do_not_pile_up() -> None:
    catalogue = Catalogue()
    catalogue.put(ItemChanged(item="a", countries=["DE"]))
    rows = catalogue.rows(["a"])
    for number in range(1_000):
        assert not catalogue.shown_in(rows, f"X{number}")[0]
    assert catalogue.shown_in(rows, "DE")[0]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b"item:a", b"{"),
        (b"item:a", b'{"type":"item_changed"}'),
        (b"item:a", b'{"type":"unheard_of","item":"a"}'),
        (b"item:a", b'{"type":"item_changed","item":"a","price":-1}'),
        (b"item:b", b'{"type":"item_changed","item":"a"}'),
        (b"\xff", None),
        (None, b'{"type":"item_changed","item":"a"}'),
    ],
)
def test_a_record_that_cannot_be_read_is_counted_and_changes_nothing(
    key: bytes | None, value: bytes | None
) -> None:
    catalogue = Catalogue()
    catalogue.put(ItemChanged(item="a", price=5))
    version = catalogue.version
    assert not catalogue.apply(key, value)
    assert catalogue.refused == 1
    assert catalogue.version == version
    assert catalogue.item("a") == ItemChanged(item="a", price=5)


@pytest.mark.parametrize("key", ["item:never", "offer:never", "placement:never", "else", ""])
def test_deleting_what_is_not_there_changes_nothing(key: str) -> None:
    catalogue = Catalogue()
    change: Any = structs.replace(ItemChanged(item="a"), changed_at=7)
    catalogue.put(change)
    assert catalogue.apply(key.encode(), b"")
    assert catalogue.changed_at() == {"item:a": 7}


def test_without_an_end_an_item_is_valid_for_good() -> None:
    catalogue = Catalogue()
    catalogue.put(ItemChanged(item="a"))
    assert catalogue.columns.valid_to[0] == ALWAYS
