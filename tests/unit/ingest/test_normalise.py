"""What normalise makes of native events, and who they may speak for."""

from typing import Any

import msgspec
import pytest

from services.ingest.normalise import keys_of, normalise, outline, raw_topic_of
from shared.errors import EventRefused
from shared.events import Identified, ItemViewed, Purchased, TraitsSet, decode, encode
from shared.headers import Headers
from shared.topics import CLICKSTREAM, PURCHASES

NOW = 1_700_000_000_000
BROWSER = (("auth", b"browser"),)


def view(**fields: Any) -> dict[str, Any]:
    event = {"type": "item_viewed", "event_id": "e1", "customer": "ada", "item": "mug"} | fields
    return {name: value for name, value in event.items() if value is not ...}


def fact_of(event: Any, headers: Headers = (), **options: Any) -> Any:
    data = event if isinstance(event, bytes) else msgspec.json.encode(event)
    return normalise(data, headers, received_at=NOW, **options)


def reason_of(event: Any, headers: Headers = (), **options: Any) -> str:
    with pytest.raises(EventRefused) as caught:
        fact_of(event, headers, **options)
    return caught.value.reason


def test_a_native_event_becomes_its_fact() -> None:
    fact = fact_of(view(price=1250, currency="EUR", category="kitchen", occurred_at=NOW - 5000))
    assert fact == ItemViewed(
        event_id="e1",
        occurred_at=NOW - 5000,
        received_at=NOW,
        customer="ada",
        item="mug",
        price=1250,
        currency="EUR",
        category="kitchen",
    )
    assert decode(encode(fact)) == fact


def test_without_a_time_it_happened_when_it_was_received() -> None:
    assert fact_of(view()).occurred_at == NOW


def test_unknown_fields_are_kept_also_those_of_lines() -> None:
    order = {
        "type": "purchased",
        "event_id": "e",
        "customer": "ada",
        "order": "o",
        "total": 5,
        "currency": "EUR",
        "lines": [{"item": "mug"}, {"item": "pot", "colour": "red"}],
        "gift": {"wrap": True},
        "extra": {"till": 4},
    }
    fact = fact_of(order)
    assert isinstance(fact, Purchased)
    assert fact.extra == {"gift": {"wrap": True}, "till": 4, "lines": {"1": {"colour": "red"}}}


def test_unknown_fields_are_bounded() -> None:
    fact = fact_of(view(**{f"field{number}": number for number in range(500)}, **{"x" * 200: 1}))
    assert len(fact.extra) <= 64
    assert "x" * 200 not in fact.extra


def test_the_last_of_duplicate_names_wins() -> None:
    twice = b'{"type":"item_viewed","event_id":"e","customer":"ada","item":"mug","item":"pot"}'
    assert fact_of(twice).item == "pot"


def test_what_only_attune_states_is_not_taken_from_an_event() -> None:
    fact = fact_of(view(cause="forged", claimed_customer="eve", received_at=5))
    assert (fact.cause, fact.claimed_customer, fact.received_at) == (None, None, NOW)


def test_secrets_and_addresses_of_the_context_are_left_out() -> None:
    context = {"identity_token": "secret", "ip": "192.0.2.1", "page": {"path": "/"}}
    assert fact_of(view(context=context)).extra == {"context": {"page": {"path": "/"}}}


def test_the_shops_currency_stands_in_for_amounts_without_one() -> None:
    assert fact_of(view(price=5), currency="GBP").currency == "GBP"
    assert fact_of(view(), currency="GBP").currency is None
    assert fact_of(view(price=5, currency="usd"), currency="GBP").currency == "USD"


def test_source_is_taken_from_whom_the_shop_trusts() -> None:
    assert fact_of(view(source="import:file")).source == "import:file"
    from_browser = view(source="import:file", anonymous="v")
    assert fact_of(from_browser, BROWSER).source == "native"


class TestWhoItSpeaksFor:
    def test_a_server_or_kafka_producer_may_name_a_customer(self) -> None:
        assert fact_of(view()).customer == "ada"
        assert fact_of(view(), (("auth", b"server"),)).customer == "ada"

    def test_a_browsers_unproved_customer_is_a_claim(self) -> None:
        fact = fact_of(view(anonymous="v1"), BROWSER)
        assert (fact.customer, fact.anonymous, fact.claimed_customer) == (None, "v1", "ada")
        assert keys_of(fact) == ("a:v1",)

    def test_a_browsers_unproved_customer_alone_is_refused(self) -> None:
        assert reason_of(view(), BROWSER) == "unverified_identity"

    def test_a_token_proves_its_own_subject_and_no_other(self) -> None:
        mine = (*BROWSER, ("subject", b"ada"))
        other = (*BROWSER, ("subject", b"eve"))
        assert fact_of(view(), mine).customer == "ada"
        fact = fact_of(view(anonymous="v1"), other)
        assert (fact.customer, fact.claimed_customer) == (None, "ada")

    def test_a_proved_subject_speaks_where_the_event_names_nobody(self) -> None:
        fact = fact_of(view(customer=...), (*BROWSER, ("subject", b"ada")))
        assert fact.customer == "ada"

    def test_nobody_at_all_is_refused(self) -> None:
        assert reason_of(view(customer=...)) == "missing_identity"
        assert reason_of(view(customer="")) == "missing_identity"
        assert reason_of(view(customer=None)) == "missing_identity"

    def test_a_verified_login_goes_under_both_keys(self) -> None:
        login = {"type": "identified", "event_id": "e", "customer": "ada", "anonymous": "v1"}
        fact = fact_of(login)
        assert isinstance(fact, Identified)
        assert keys_of(fact) == ("c:ada", "a:v1")

    def test_an_unproved_login_links_nobody(self) -> None:
        login = {"type": "identified", "event_id": "e", "customer": "ada", "anonymous": "v1"}
        fact = fact_of(login, BROWSER)
        assert isinstance(fact, TraitsSet)
        assert (fact.customer, fact.claimed_customer) == (None, "ada")
        assert keys_of(fact) == ("a:v1",)

    def test_a_login_of_one_id_sets_traits(self) -> None:
        login = {"type": "identified", "event_id": "e", "customer": "ada", "traits": {"a": 1}}
        fact = fact_of(login)
        assert isinstance(fact, TraitsSet)
        assert fact.traits == {"a": 1}

    def test_other_facts_with_both_ids_have_one_key(self) -> None:
        assert keys_of(fact_of(view(anonymous="v1"))) == ("c:ada",)

    def test_numbers_may_be_ids(self) -> None:
        assert fact_of(view(customer=17, event_id=4)).customer == "17"


def test_outline_tells_what_it_can_of_refused_events() -> None:
    assert outline(msgspec.json.encode(view(price=-1))) == ("e1", "item_viewed")
    assert outline(b"{") == (None, None)
    assert outline(None) == (None, None)
    order = b'{"type":"track","event":"Order Completed","messageId":"m","properties":{}}'
    assert outline(order).event_id == "m"


def test_orders_belong_on_their_own_topic() -> None:
    assert raw_topic_of("purchased") is PURCHASES
    assert raw_topic_of("refunded") is PURCHASES
    assert raw_topic_of("item_viewed") is CLICKSTREAM
