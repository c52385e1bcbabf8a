"""Segment and RudderStack calls as facts: names, money, products, identity, time."""

from typing import Any

import msgspec
import pytest

from services.ingest.normalise import keys_of, normalise
from shared.errors import EventRefused
from shared.events import Identified, Line, PageViewed, TraitsSet, fact_type

NOW = 1_700_000_000_000
PRODUCT = {"product_id": "mug", "price": 12.5, "category": "kitchen", "brand": "acme"}
ORDER = {
    "order_id": "o-1",
    "total": 27.5,
    "currency": "EUR",
    "products": [PRODUCT | {"quantity": 2, "name": "Mug"}, {"sku": "pot", "price": "2.50"}],
}


def fact_of(call: dict[str, Any], **options: Any) -> Any:
    event = {"messageId": "m", "userId": "ada"} | call
    return normalise(msgspec.json.encode(event), received_at=NOW, **options)


def tracked(name: str, properties: dict[str, Any] | None = None, **options: Any) -> Any:
    return fact_of({"type": "track", "event": name, "properties": properties}, **options)


def refused(name: str, properties: dict[str, Any]) -> str:
    with pytest.raises(EventRefused) as caught:
        tracked(name, properties)
    return caught.value.reason


@pytest.mark.parametrize(
    ("name", "properties", "kind"),
    [
        ("Product Viewed", PRODUCT, "item_viewed"),
        ("product_viewed", PRODUCT, "item_viewed"),
        ("Product List Viewed", {"list_id": "hot", "products": [PRODUCT]}, "list_viewed"),
        ("Products Searched", {"query": "blue mug"}, "searched"),
        ("Product Added", PRODUCT | {"quantity": 2}, "cart_added"),
        ("Wishlist Product Added to Cart", PRODUCT, "cart_added"),
        ("Product Removed", PRODUCT, "cart_removed"),
        ("Cart Viewed", {"products": [PRODUCT]}, "cart_viewed"),
        ("Checkout Started", ORDER, "checkout_started"),
        ("Order Completed", ORDER, "purchased"),
        ("Order Refunded", ORDER, "refunded"),
        ("Order Cancelled", ORDER, "refunded"),
        ("Order Shipped", {"order_id": "o"}, "order_shipped"),
        ("Order Delivered", {"order_id": "o"}, "order_delivered"),
        ("Order Delayed", {"order_id": "o"}, "order_delayed"),
        ("Promotion Viewed", {"promotion_id": "p", "position": "top"}, "offer_shown"),
        ("Promotion Clicked", {"promotion_id": "p", "position": "top"}, "offer_clicked"),
        ("Product Added to Wishlist", PRODUCT, "wishlist_added"),
        ("Product Removed from Wishlist", PRODUCT, "wishlist_removed"),
        ("Product Reviewed", {"product_id": "mug", "rating": "4.5"}, "item_rated"),
        ("Email Delivered", {"message_id": "t-1"}, "message_sent"),
        ("Email Opened", {"email_id": 7}, "message_opened"),
        ("Email Link Clicked", {"email_id": "t-1"}, "message_clicked"),
        ("Email Bounced", {"email_id": "t-1"}, "message_bounced"),
        ("Unsubscribed", {"email_id": "t-1"}, "message_unsubscribed"),
        ("Push Notification Tapped", {"message_id": "t-1"}, "message_clicked"),
    ],
)
def test_the_table_of_names(name: str, properties: dict[str, Any], kind: str) -> None:
    assert fact_type(tracked(name, properties)) == kind


def test_a_product_view_in_minor_units() -> None:
    fact = tracked("Product Viewed", PRODUCT | {"currency": "eur", "name": "Mug", "variant": "L"})
    assert (fact.item, fact.price, fact.currency) == ("mug", 1250, "EUR")
    assert (fact.category, fact.brand, fact.source) == ("kitchen", "acme", "segment")
    assert fact.extra == {"name": "Mug", "variant": "L"}


@pytest.mark.parametrize(("currency", "minor"), [("EUR", 1250), ("JPY", 12), ("KWD", 12500)])
def test_units_follow_the_currency(currency: str, minor: int) -> None:
    assert tracked("Product Viewed", PRODUCT | {"currency": currency}).price == minor


def test_an_amount_in_no_known_currency_is_kept_as_it_is() -> None:
    fact = tracked("Product Viewed", PRODUCT)
    assert (fact.price, fact.currency, fact.extra) == (None, None, {"price": 12.5})
    assert tracked("Product Viewed", PRODUCT, currency="USD").price == 1250


def test_an_order_with_its_lines() -> None:
    fact = tracked("Order Completed", ORDER | {"coupon": "SPRING", "country": "DE"})
    assert (fact.order, fact.total, fact.currency, fact.country) == ("o-1", 2750, "EUR", "DE")
    assert fact.lines == [
        Line(item="mug", quantity=2, price=1250, category="kitchen", brand="acme"),
        Line(item="pot", quantity=1, price=250),
    ]
    assert fact.extra == {"coupon": "SPRING", "lines": {"0": {"name": "Mug"}}}


def test_a_total_that_is_missing_is_the_sum_of_the_lines() -> None:
    order = {name: value for name, value in ORDER.items() if name != "total"}
    assert tracked("Order Completed", order).total == 2750
    assert tracked("Order Completed", order | {"revenue": "20"}).total == 2000
    assert tracked("Order Refunded", order | {"products": [], "total": 3}).total == 300


@pytest.mark.parametrize(
    ("name", "properties", "reason"),
    [
        ("Level Completed", {}, "unknown_type"),
        ("", {}, "missing_field"),
        ("Product Viewed", {}, "missing_field"),
        ("Product Viewed", PRODUCT | {"price": -1, "currency": "EUR"}, "negative_price"),
        ("Product Viewed", PRODUCT | {"price": "NaN", "currency": "EUR"}, "nan"),
        ("Product Viewed", PRODUCT | {"price": "cheap", "currency": "EUR"}, "invalid_field"),
        ("Product Viewed", PRODUCT | {"price": True, "currency": "EUR"}, "invalid_field"),
        ("Product Viewed", PRODUCT | {"price": 1e15, "currency": "EUR"}, "invalid_field"),
        ("Product Viewed", PRODUCT | {"currency": "EURO"}, "wrong_currency"),
        ("Product Added", PRODUCT | {"quantity": 1.5}, "invalid_field"),
        ("Product Added", PRODUCT | {"quantity": "many"}, "invalid_field"),
        ("Product Reviewed", {"product_id": "mug", "rating": "good"}, "invalid_field"),
        ("Product Reviewed", {"product_id": "mug"}, "missing_field"),
        ("Product List Viewed", {"products": "mug"}, "invalid_field"),
        ("Products Searched", {}, "missing_field"),
        ("Order Completed", ORDER | {"currency": None}, "wrong_currency"),
        ("Order Completed", ORDER | {"order_id": None}, "missing_field"),
        ("Order Completed", ORDER | {"products": []}, "invalid_field"),
        ("Order Completed", ORDER | {"products": "mug"}, "invalid_field"),
        ("Order Completed", ORDER | {"products": ["mug"]}, "invalid_field"),
        ("Order Completed", ORDER | {"products": [{"price": 1}]}, "missing_field"),
        ("Email Opened", {"campaign_id": "c"}, "missing_field"),
    ],
)
def test_refused_calls(name: str, properties: dict[str, Any], reason: str) -> None:
    assert refused(name, properties) == reason


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        ({"type": "group", "groupId": "g"}, "unknown_type"),
        ({"type": "track", "event": 5}, "invalid_field"),
        ({"type": "track", "event": "Cart Viewed", "properties": []}, "invalid_field"),
        ({"type": "page", "messageId": None}, "missing_event_id"),
        ({"type": "page", "userId": None}, "missing_identity"),
        ({"type": "identify", "traits": "tall"}, "invalid_field"),
    ],
)
def test_refused_envelopes(call: dict[str, Any], reason: str) -> None:
    with pytest.raises(EventRefused) as caught:
        fact_of(call)
    assert caught.value.reason == reason


def test_a_list_knows_its_items() -> None:
    fact = tracked("Product List Viewed", {"products": [PRODUCT, {"sku": 5}, {}, "odd"]})
    assert fact.items == ["mug", "5"]


def test_a_promotion_of_a_product_is_about_the_product() -> None:
    shown = {"promotion_id": "p", "product_id": "mug", "position": "top", "decision_id": "d"}
    fact = tracked("Promotion Clicked", shown | {"rank": 3, "creative": "red"})
    assert (fact.item, fact.placement, fact.decision_id, fact.rank) == ("mug", "top", "d", 3)
    assert fact.extra == {"promotion_id": "p", "creative": "red"}
    assert tracked("Promotion Viewed", {"promotion_id": "p"}).item == "p"


class TestIdentity:
    def test_identify_links_where_it_names_both(self) -> None:
        fact = fact_of({"type": "identify", "anonymousId": "v", "traits": {"tier": "gold"}})
        assert isinstance(fact, Identified)
        assert keys_of(fact) == ("c:ada", "a:v")
        assert fact.traits == {"tier": "gold"}

    def test_identify_of_a_customer_alone_sets_traits(self) -> None:
        fact = fact_of({"type": "identify", "context": {"traits": {"tier": "gold"}}})
        assert isinstance(fact, TraitsSet)
        assert (fact.traits, fact.extra) == ({"tier": "gold"}, {})

    def test_alias_links_the_previous_id(self) -> None:
        fact = fact_of({"type": "alias", "previousId": "v"})
        assert isinstance(fact, Identified)
        assert (fact.customer, fact.anonymous) == ("ada", "v")

    def test_an_unproved_alias_links_nobody(self) -> None:
        event = {"type": "alias", "messageId": "m", "userId": "ada", "previousId": "v"}
        fact = normalise(msgspec.json.encode(event), (("auth", b"browser"),), received_at=NOW)
        assert isinstance(fact, TraitsSet)
        assert (fact.anonymous, fact.claimed_customer) == ("v", "ada")


class TestPages:
    def test_a_page_by_its_own_properties(self) -> None:
        call = {"type": "page", "name": "Home", "properties": {"path": "/", "title": "Hello"}}
        fact = fact_of(call)
        assert isinstance(fact, PageViewed)
        assert (fact.name, fact.path) == ("Home", "/")

    def test_a_page_by_its_context(self) -> None:
        fact = fact_of({"type": "page", "context": {"page": {"path": "/mugs"}}})
        assert (fact.name, fact.path) == (None, "/mugs")

    def test_a_screen_is_a_page(self) -> None:
        assert fact_of({"type": "screen", "name": "Basket"}).name == "Basket"


class TestTime:
    def test_the_clients_clock_is_corrected(self) -> None:
        call = {"type": "page", "timestamp": "2001-01-01T00:00:00Z"}
        assert fact_of(call | {"sentAt": "2001-01-01T00:00:05Z"}).occurred_at == NOW - 5_000

    def test_the_original_time_counts(self) -> None:
        call = {"type": "page", "timestamp": "2020-01-01T00:00:00Z", "sentAt": 10_000}
        assert fact_of(call | {"originalTimestamp": 8_000}).occurred_at == NOW - 2_000

    def test_a_time_that_was_corrected_already_is_taken(self) -> None:
        call = {
            "type": "page",
            "timestamp": NOW - 9_000,
            "originalTimestamp": "2001-01-01T00:00:00Z",
            "sentAt": "2001-01-01T00:00:05Z",
            "receivedAt": NOW - 8_000,
        }
        assert fact_of(call).occurred_at == NOW - 9_000

    def test_a_batchs_sent_time_comes_in_a_header(self) -> None:
        event = {"type": "page", "messageId": "m", "userId": "ada", "timestamp": 5_000}
        headers = (("format", b"segment"), ("sent_at", b"9000"))
        fact = normalise(msgspec.json.encode(event), headers, received_at=NOW)
        assert fact.occurred_at == NOW - 4_000
