"""What the catalogue adds to facts, and what it never changes."""

from typing import Any

import pytest

from services.ingest.enrich import KnownItems
from shared import catalogue
from shared.catalogue import ItemChanged, OfferChanged
from shared.events import CartAdded, ItemViewed, Line, Purchased, Searched

BASE: dict[str, Any] = {"event_id": "e", "occurred_at": 1, "received_at": 1, "customer": "ada"}


@pytest.fixture
def items() -> KnownItems:
    known = KnownItems()
    mug = ItemChanged(item="mug", category="kitchen", brand="acme", price=1250, currency="EUR")
    known.apply(b"item:mug", catalogue.encode(mug))
    return known


def test_it_fills_what_is_missing(items: KnownItems) -> None:
    fact = CartAdded(**BASE, item="mug")
    items.enrich(fact)
    assert (fact.category, fact.brand) == ("kitchen", "acme")
    assert (fact.price, fact.currency) == (1250, "EUR")


def test_it_never_changes_what_is_stated(items: KnownItems) -> None:
    fact = ItemViewed(**BASE, item="mug", category="gifts", brand="own", price=1, currency="USD")
    items.enrich(fact)
    assert (fact.category, fact.brand, fact.price, fact.currency) == ("gifts", "own", 1, "USD")


def test_no_price_in_a_currency_that_is_not_the_catalogues(items: KnownItems) -> None:
    fact = ItemViewed(**BASE, item="mug", currency="USD")
    items.enrich(fact)
    assert (fact.price, fact.currency) == (None, "USD")
    priced = ItemViewed(**BASE, item="mug", price=5)
    items.enrich(priced)
    assert (priced.price, priced.currency) == (5, None)


def test_lines_get_category_and_brand_but_no_price(items: KnownItems) -> None:
    lines = [Line(item="mug"), Line(item="mug", category="gifts"), Line(item="pot")]
    fact = Purchased(**BASE, order="o", lines=lines, total=1, currency="EUR")
    items.enrich(fact)
    assert [(line.category, line.brand, line.price) for line in fact.lines] == [
        ("kitchen", "acme", None),
        ("gifts", "acme", None),
        (None, None, None),
    ]


def test_the_newest_state_counts_and_a_deletion_forgets(items: KnownItems) -> None:
    items.apply(b"item:mug", catalogue.encode(ItemChanged(item="mug", category="sale")))
    fact = ItemViewed(**BASE, item="mug")
    items.enrich(fact)
    assert (fact.category, fact.brand, fact.price, fact.currency) == ("sale", None, None, None)
    items.apply(b"item:mug", None)
    assert len(items) == 0


def test_other_records_and_facts_are_passed_over(items: KnownItems) -> None:
    items.apply(b"offer:o", catalogue.encode(OfferChanged(offer="o")))
    items.apply(b"item:x", b"{")
    items.apply(None, b"\xff")
    items.apply(None, None)
    assert len(items) == 1
    fact = Searched(**BASE, query="mug")
    items.enrich(fact)
    assert fact.query == "mug"


@pytest.mark.parametrize("key", [b"offer:mug", b"placement:mug", b"mug", b"\xff", None])
def test_only_an_items_own_deletion_forgets_it(items: KnownItems, key: bytes | None) -> None:
    odd = ItemChanged(item="offer:mug", category="odd")
    items.apply(b"item:offer:mug", catalogue.encode(odd))
    items.apply(key, None)
    assert len(items) == 2
    items.apply(b"item:offer:mug", None)
    assert len(items) == 1


def test_a_change_that_is_nested_too_deep_is_passed_over(items: KnownItems) -> None:
    depth = 20_000
    value = b'{"type":"item_changed","item":"pot","fields":{"a":' + b"[" * depth + b"]" * depth
    items.apply(b"item:pot", value + b"}}")
    assert len(items) == 1
