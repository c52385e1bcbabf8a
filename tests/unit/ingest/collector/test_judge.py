"""Judging: an event's result, topic, key and headers; who vouches for whom."""

import json
from dataclasses import replace

import pytest

from services.ingest.collector.judge import (
    MOST_TOKENS,
    Arrival,
    Format,
    RawRecord,
    Result,
    judge,
    remembering,
    sent_at,
)
from services.ingest.collector.split import Parts
from services.ingest.normalise import normalise
from shared.headers import find

TRUSTED = Arrival("native", received_at=1_800_000_000_000, at=5, max_bytes=2_000, trusted=True)
BROWSER = Arrival("native", received_at=1_800_000_000_000, at=5, max_bytes=2_000, trusted=False)
SEGMENT = Arrival("segment", received_at=1_800_000_000_000, at=5, max_bytes=2_000, trusted=True)


def event(**fields: object) -> bytes:
    base = {"type": "item_viewed", "event_id": "e1", "customer": "c1", "item": "i1"}
    return json.dumps({k: v for k, v in (base | fields).items() if v is not ...}).encode()


def nobody(_token: str) -> str | None:
    return None


def kept(
    value: bytes, arrival: Arrival = TRUSTED, proved: str | None = None
) -> tuple[Result, RawRecord]:
    result, record = judge(value, 3, arrival, lambda _: proved)
    assert record is not None
    assert record.value == value
    return result, record


def test_a_valid_event_is_accepted_under_its_identity() -> None:
    result, record = kept(event())
    assert result == Result(3, "accepted", "e1")
    assert (record.topic.name, record.key) == ("clickstream", b"c:c1")
    assert record.headers == (
        ("format", b"native"),
        ("received_at", b"1800000000000"),
        ("at", b"5"),
        ("auth", b"server"),
    )


def test_the_time_of_sending_travels_with_each_event() -> None:
    arrival = Arrival("segment", 1_800_000_000_000, 5, 2_000, trusted=True, sent_at=77)
    assert find(arrival.headers(None), "sent_at") == "77"


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("Order Completed", "purchases"),
        ("Order Refunded", "purchases"),
        ("Nonsense", "clickstream"),
    ],
)
def test_segment_orders_go_to_purchases(name: str, call: str) -> None:
    value = json.dumps(
        {
            "type": "track",
            "event": name,
            "messageId": "m",
            "userId": "u",
            "properties": {
                "order_id": "o",
                "total": 10,
                "currency": "EUR",
                "products": [{"product_id": "p", "price": 10, "quantity": 1}],
            },
        }
    ).encode()
    assert kept(value, SEGMENT)[1].topic.name == call


def test_orders_go_to_purchases_even_when_they_will_be_refused() -> None:
    result, record = kept(event(type="purchased"))
    assert (result.status, result.reason) == ("dead_lettered", "missing_field")
    assert record.topic.name == "purchases"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"nonsense", "malformed_json"),
        (b'{"a":NaN}', "nan"),
        (b'{"a":"\xff"}', "bad_utf8"),
        (b'{"a":' + b"[" * 400 + b"]" * 400 + b"}", "too_deep"),
        (b"[1]", "not_an_object"),
        (event(type="exploded"), "unknown_type"),
        (event(type="profile_absorbed"), "system_type_refused"),
        (event(event_id=...), "missing_event_id"),
        (event(customer=...), "missing_identity"),
        (event(price=-1, currency="EUR"), "negative_price"),
        (event(occurred_at="9999-01-01T00:00:00Z"), "out_of_range_time"),
        (event(occurred_at="1969-12-31T23:59:59Z"), "before_1970"),
    ],
)
def test_what_ingest_will_refuse_is_kept_and_said_so(value: bytes, reason: str) -> None:
    result, record = kept(value)
    assert (result.status, result.reason) == ("dead_lettered", reason)
    assert result.message
    assert record.key is None


def test_what_is_too_large_is_not_kept() -> None:
    result, record = judge(event(padding="x" * 2_000), 0, TRUSTED, nobody)
    assert (result.status, result.reason, record) == ("rejected", "too_large", None)


def test_a_browser_without_proof_speaks_for_the_visitor_only() -> None:
    result, record = kept(event(anonymous="a1"), BROWSER)
    assert (result.status, record.key) == ("accepted", b"a:a1")
    assert find(record.headers, "auth") == "browser"
    assert find(record.headers, "subject") is None
    refused, _ = kept(event(), BROWSER)
    assert refused.reason == "unverified_identity"


def test_a_token_inside_an_event_proves_that_event() -> None:
    value = event(anonymous="a1", context={"identity_token": "t"})
    result, record = kept(value, BROWSER, "c1")
    assert (result.status, record.key) == ("accepted", b"c:c1")
    assert find(record.headers, "subject") == "c1"


def test_a_token_of_somebody_else_proves_nothing_about_the_claim() -> None:
    value = event(anonymous="a1", context={"identity_token": "t"})
    _, record = kept(value, BROWSER, "c2")
    assert record.key == b"a:a1"


@pytest.mark.parametrize("context", [5, {"identity_token": 5}, None, [], {"identity_token": None}])
def test_odd_tokens_are_no_proof(context: object) -> None:
    _, record = kept(event(anonymous="a1", context=context), BROWSER, "c1")
    assert find(record.headers, "subject") is None


def test_a_token_is_checked_once_a_request_and_only_so_many_are() -> None:
    asked: list[str] = []

    def prove(token: str) -> str | None:
        asked.append(token)
        return "c1"

    once = remembering(prove)
    assert {once("a") for _ in range(5)} == {"c1"}
    assert asked == ["a"]
    answers = [once(str(number)) for number in range(MOST_TOKENS + 5)]
    assert len(asked) == MOST_TOKENS
    assert answers[-1] is None
    assert once("a") == "c1"


@pytest.mark.parametrize(
    ("stated", "expected"), [(None, None), (5, 5), ("1970-01-01T00:00:01Z", 1000), ("soon", None)]
)
def test_the_batch_time_is_read_where_it_is_legible(
    stated: str | int | None, expected: int | None
) -> None:
    assert sent_at(Parts([b"{}"], stated)) == expected


@pytest.mark.parametrize("format_", ["native", "segment"])
def test_no_browser_says_where_an_event_came_from(format_: Format) -> None:
    arrival = replace(BROWSER, format=format_)
    claim = "import:shop"
    stated = {"source": claim, "headers": {"source": claim}, "context": {"source": claim}}
    value = event(anonymous="v", customer=..., **stated)
    if format_ == "segment":
        call = {"type": "page", "messageId": "m", "anonymousId": "v", "properties": stated}
        value = json.dumps(call | stated).encode()
    _, record = kept(value, arrival)
    assert find(record.headers, "source") is None
    assert {name for name, _ in record.headers} == {"format", "received_at", "at", "auth"}
    fact = normalise(record.value, record.headers, received_at=arrival.received_at)
    assert fact.source == format_
    forged = (*record.headers, ("source", claim.encode()))
    assert normalise(record.value, forged, received_at=arrival.received_at).source == format_
