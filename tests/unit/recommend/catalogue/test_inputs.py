"""What administrators may send, and what each refusal says."""

from typing import Any

import pytest
from msgspec import structs

from services.recommend.catalogue.inputs import (
    change_from,
    item_from_cells,
    refuse_columns,
    revised,
)
from services.recommend.catalogue.kinds import ITEMS, OFFERS, PLACEMENTS, Kind
from shared.catalogue import ItemChanged, OfferChanged, PlacementChanged
from shared.errors import InvalidInput

NOW = 1_700_000_000_000


def test_an_item_with_everything() -> None:
    sent = {
        "title": "Kettle",
        "category": "kitchen",
        "brand": "Ketl",
        "price": 2_550,
        "currency": "GBP",
        "stock": 4,
        "repeatable": True,
        "valid_from": "2024-01-01T00:00:00Z",
        "valid_to": 1_800_000_000_000,
        "countries": ["GB", "IE"],
        "fields": {"colour": "red", "watts": 2_200},
    }
    assert change_from(ITEMS, sent, now=NOW, id_="k/1") == ItemChanged(
        item="k/1",
        title="Kettle",
        category="kitchen",
        brand="Ketl",
        price=2_550,
        currency="GBP",
        stock=4,
        repeatable=True,
        valid_from=1_704_067_200_000,
        valid_to=1_800_000_000_000,
        countries=["GB", "IE"],
        fields={"colour": "red", "watts": 2_200},
        changed_at=NOW,
    )


def test_what_get_answers_may_be_put_again() -> None:
    change = change_from(ITEMS, {"item": "a", "valid_from": 5}, now=NOW)
    assert change_from(ITEMS, structs.asdict(change), now=NOW, id_="a") == change


def test_a_time_without_an_offset_is_utc() -> None:
    change = change_from(OFFERS, {"offer": "o", "valid_from": "1970-01-02"}, now=NOW)
    assert isinstance(change, OfferChanged)
    assert change.valid_from == 86_400_000


@pytest.mark.parametrize(
    ("kind", "sent", "named"),
    [
        (ITEMS, {"price": -1, "currency": "EUR"}, "$.price"),
        (ITEMS, {"price": 12.5, "currency": "EUR"}, "$.price"),
        (ITEMS, {"price": "12", "currency": "EUR"}, "$.price"),
        (ITEMS, {"price": 10**12 + 1, "currency": "EUR"}, "$.price"),
        (ITEMS, {"price": 12}, "currency"),
        (ITEMS, {"price": 12, "currency": "eur"}, "$.currency"),
        (ITEMS, {"price": 12, "currency": "EURO"}, "$.currency"),
        (ITEMS, {"price": 12, "currency": 978}, "$.currency"),
        (ITEMS, {"stock": -1}, "$.stock"),
        (ITEMS, {"stock": 2**63}, "$.stock"),
        (ITEMS, {"colour": "red", "Price": 1}, "unknown fields: 'Price', 'colour'"),
        (ITEMS, {"item": "another"}, "item"),
        (ITEMS, {"title": "x" * 257}, "$.title"),
        (ITEMS, {"title": "a\0b"}, "U+0000"),
        (ITEMS, {"countries": ["x" * 257]}, "$.countries[0]"),
        (ITEMS, {"countries": ["DE", "de"]}, "countries: 'de'"),
        (ITEMS, {"active": "yes"}, "$.active"),
        (ITEMS, {"valid_from": "yesterday"}, "valid_from"),
        (ITEMS, {"valid_from": "9999-01-01"}, "$.valid_from"),
        (ITEMS, {"valid_from": "1969-12-31"}, "$.valid_from"),
        (ITEMS, {"valid_to": True}, "$.valid_to"),
        (ITEMS, {"valid_from": 5, "valid_to": 5}, "valid_to"),
        (ITEMS, {"fields": {"text": "x" * 70_000}}, "65536"),
        (ITEMS, {"fields": {"half": "\ud800"}}, "JSON"),
        (ITEMS, [], "object"),
        (ITEMS, None, "object"),
        (OFFERS, {"percent_off": 101}, "$.percent_off"),
        (OFFERS, {"items": [""]}, "$.items[0]"),
        (OFFERS, {"price": 5}, "unknown fields: 'price'"),
        (PLACEMENTS, {"objective": "joy"}, "$.objective"),
        (PLACEMENTS, {"n": 0}, "$.n"),
        (PLACEMENTS, {"surprise": 1.5}, "$.surprise"),
        (PLACEMENTS, {"explore_share": -0.1}, "$.explore_share"),
        (PLACEMENTS, {"cap": {"times": 0, "days": 7}}, "$.cap.times"),
        (PLACEMENTS, {"cap": {"times": 1}}, "$.cap"),
        (PLACEMENTS, {"never_categories": [1]}, "$.never_categories[0]"),
        (PLACEMENTS, {"most_of_category": 0}, "$.most_of_category"),
    ],
)
def test_what_is_wrong_is_named(kind: Kind, sent: Any, named: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        change_from(kind, sent, now=NOW, id_="a")
    assert named in str(refused.value)


@pytest.mark.parametrize("id_", ["", "x" * 129, "a\nb", "a\0b"])
def test_ids_that_are_refused(id_: str) -> None:
    with pytest.raises(InvalidInput, match="item"):
        change_from(ITEMS, {"item": id_}, now=NOW)


def test_an_item_needs_an_id() -> None:
    with pytest.raises(InvalidInput, match="`item`"):
        change_from(ITEMS, {"title": "Kettle"}, now=NOW)


def test_revised_replaces_what_is_given_and_null_clears() -> None:
    before = ItemChanged(item="a", title="A", price=5, currency="EUR", stock=1, changed_at=1)
    after = revised(ITEMS, before, {"stock": None, "price": 6}, now=NOW)
    assert after == structs.replace(before, stock=None, price=6, changed_at=NOW)


@pytest.mark.parametrize(
    ("sent", "named"),
    [
        ({}, "no field"),
        ({"price": -5}, "$.price"),
        ({"item": "b"}, "item"),
        ({"currency": None}, "currency"),
        ({"prize": 5}, "'prize'"),
    ],
)
def test_revisions_that_are_refused(sent: dict[str, Any], named: str) -> None:
    before = ItemChanged(item="a", price=5, currency="EUR")
    with pytest.raises(InvalidInput, match=named.replace("$", r"\$")):
        revised(ITEMS, before, sent, now=NOW)


def test_a_placement() -> None:
    change = change_from(PLACEMENTS, {"objective": "revenue", "n": 4}, now=NOW, id_="home")
    assert change == PlacementChanged(placement="home", objective="revenue", n=4, changed_at=NOW)


def test_cells_are_text_and_empty_ones_are_defaults() -> None:
    cells = {
        "item": "00123",
        "title": " Kettle ",
        "price": "250",
        "currency": "EUR",
        "stock": "",
        "active": "false",
        "countries": "DE| AT",
        "valid_from": "86400000",
        "valid_to": "2030-01-01",
        "fields.colour": "red",
        "fields.size": "",
    }
    assert item_from_cells(cells, now=NOW) == ItemChanged(
        item="00123",
        title="Kettle",
        price=250,
        currency="EUR",
        active=False,
        countries=["DE", "AT"],
        valid_from=86_400_000,
        valid_to=1_893_456_000_000,
        fields={"colour": "red"},
        changed_at=NOW,
    )


@pytest.mark.parametrize(
    ("cells", "named"),
    [
        ({"item": "a", "price": "-5", "currency": "EUR"}, "price"),
        ({"item": "a", "price": "2.50", "currency": "EUR"}, "price"),
        ({"item": "a", "active": "perhaps"}, "active"),
        ({"item": ""}, "item"),
    ],
)
def test_cells_that_are_refused(cells: dict[str, str], named: str) -> None:
    with pytest.raises(InvalidInput, match=named):
        item_from_cells(cells, now=NOW)


@pytest.mark.parametrize(
    ("names", "named"),
    [
        (["title"], "no column 'item'"),
        (["item", "colour", "Item"], "unknown columns: 'Item', 'colour'"),
        (["item", "title", "title"], "twice"),
        (["item", "changed_at"], "'changed_at'"),
    ],
)
def test_headers_that_are_refused(names: list[str], named: str) -> None:
    with pytest.raises(InvalidInput, match=named):
        refuse_columns(names)
