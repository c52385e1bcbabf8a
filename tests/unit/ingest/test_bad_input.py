"""Every way an event can be bad has its reason, and nothing else comes out of normalise."""

from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.ingest.normalise import keys_of, normalise
from services.ingest.reasons import Reason
from shared.errors import EventRefused
from shared.events import INPUT_TYPES, decode, encode
from shared.headers import Headers

NOW = 1_700_000_000_000
GOOD: dict[str, Any] = {"type": "item_viewed", "event_id": "e", "customer": "ada", "item": "mug"}


def refusal(value: Any, headers: Headers = (), **options: Any) -> EventRefused:
    data = value if isinstance(value, bytes) or value is None else msgspec.json.encode(value)
    with pytest.raises(EventRefused) as caught:
        normalise(data, headers, received_at=NOW, **options)
    return caught.value


def nested(levels: int) -> bytes:
    inner = b"[" * (levels - 1) + b"]" * (levels - 1)
    return msgspec.json.encode(GOOD)[:-1] + b',"deep":' + inner + b"}"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "null_value"),
        (b"", "malformed_json"),
        (b'{"type":', "malformed_json"),
        (b'{"type":"item_viewed"} trailing', "malformed_json"),
        (b'{"type":"\\ud800"}', "malformed_json"),
        (b"\xef\xbb\xbf{}", "malformed_json"),
        (b'{"type":"\xff"}', "bad_utf8"),
        (b"\xff\xfe", "bad_utf8"),
        (b'{"type":"item_viewed","price":NaN}', "nan"),
        (b'{"type":"item_viewed","price":-Infinity}', "nan"),
        (b'{"type":"item_viewed","price":1e999}', "nan"),
        (b'{"type":"item_viewed","price":' + b"9" * 5000 + b"}", "invalid_field"),
        (b"[" * 20_000, "too_deep"),
        (nested(17), "too_deep"),
        (b"[]", "not_an_object"),
        (b"3", "not_an_object"),
        (b"null", "not_an_object"),
        (b" " * 32_769, "too_large"),
        (b"x" * 1_048_576, "too_large"),
        (b"{}", "missing_field"),
        (GOOD | {"type": 5}, "invalid_field"),
        (GOOD | {"type": "item_teleported"}, "unknown_type"),
        (GOOD | {"type": "group"}, "unknown_type"),
        (GOOD | {"type": "profile_absorbed"}, "system_type_refused"),
        (GOOD | {"type": "message_decided"}, "system_type_refused"),
        (GOOD | {"event_id": None}, "missing_event_id"),
        (GOOD | {"event_id": ""}, "missing_event_id"),
        (GOOD | {"event_id": "x" * 129}, "invalid_field"),
        (GOOD | {"event_id": "a\nb"}, "invalid_field"),
        (GOOD | {"event_id": "   "}, "invalid_field"),
        (GOOD | {"event_id": ["a"]}, "invalid_field"),
        (GOOD | {"event_id": 10**4000}, "invalid_field"),
        (GOOD | {"customer": None}, "missing_identity"),
        (GOOD | {"customer": "a\x00b"}, "invalid_field"),
        (GOOD | {"customer": True}, "invalid_field"),
        (GOOD | {"item": None}, "invalid_field"),
        (GOOD | {"item": ""}, "invalid_field"),
        (GOOD | {"item": "a\x85b"}, "invalid_field"),
        (GOOD | {"item": "x" * 129}, "invalid_field"),
        ({"type": "item_viewed", "event_id": "e", "customer": "ada"}, "missing_field"),
        (GOOD | {"price": -1}, "negative_price"),
        (GOOD | {"price": 1.5}, "invalid_field"),
        (GOOD | {"price": "12"}, "invalid_field"),
        (GOOD | {"price": 10**13}, "invalid_field"),
        (GOOD | {"currency": "EURO"}, "wrong_currency"),
        (GOOD | {"currency": "QQQ"}, "wrong_currency"),
        (GOOD | {"currency": 978}, "wrong_currency"),
        (GOOD | {"occurred_at": "9999-12-31T23:59:59Z"}, "out_of_range_time"),
        (GOOD | {"occurred_at": 253_402_300_799_000}, "out_of_range_time"),
        (GOOD | {"occurred_at": "1969-12-31T23:59:59Z"}, "before_1970"),
        (GOOD | {"occurred_at": -1}, "before_1970"),
        (GOOD | {"occurred_at": NOW + 300_001}, "future_time"),
        (GOOD | {"occurred_at": "yesterday"}, "invalid_field"),
        (GOOD | {"occurred_at": True}, "invalid_field"),
        (GOOD | {"occurred_at": "0001-01-01T00:00:00+14:00"}, "before_1970"),
        (GOOD | {"context": "a text"}, "invalid_field"),
    ],
)
def test_reason(value: Any, reason: str) -> None:
    assert refusal(value).reason == reason


@pytest.mark.parametrize(
    ("kind", "fix"),
    [
        ("opened", "; did you mean message_opened?"),
        ("wishlist_add", "; did you mean wishlist_added?"),
        ("com.example.wishlist_add", "; did you mean wishlist_added?"),
        ("teleported_by_magic", ""),
        ("opened" * 1_000, ""),
    ],
)
def test_an_unknown_type_that_is_close_to_a_known_one_says_so(kind: str, fix: str) -> None:
    assert str(refusal(GOOD | {"type": kind})) == f"type: no fact has this name{fix}"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"total": -5}, "negative_price"),
        ({"lines": [{"item": "mug", "price": -5}]}, "negative_price"),
        ({"lines": []}, "invalid_field"),
        ({"lines": [{"price": 5}]}, "missing_field"),
        ({"lines": [{"item": "mug", "quantity": 0}]}, "invalid_field"),
        ({"lines": [{"item": "m\x01g"}]}, "invalid_field"),
        ({"lines": {"item": "mug"}}, "invalid_field"),
        ({"currency": "EURO"}, "wrong_currency"),
        ({"currency": None}, "invalid_field"),
        ({"order": ""}, "invalid_field"),
    ],
)
def test_reason_of_an_order(change: dict[str, Any], reason: str) -> None:
    order = {
        "type": "purchased",
        "event_id": "e",
        "customer": "ada",
        "order": "o",
        "total": 5,
        "currency": "EUR",
        "lines": [{"item": "mug"}],
    }
    normalise(msgspec.json.encode(order), received_at=NOW)
    assert refusal(order | change).reason == reason


def test_sixteen_levels_are_taken() -> None:
    assert normalise(nested(16), received_at=NOW).event_id == "e"


def test_orders_have_a_larger_bound() -> None:
    lines = [{"item": f"item-{number}", "quantity": 1, "price": 995} for number in range(1_200)]
    order = GOOD | {"type": "purchased", "order": "o", "total": 1, "currency": "GBP"}
    data = msgspec.json.encode(order | {"lines": lines})
    assert refusal(data).reason == "too_large"
    assert normalise(data, received_at=NOW, max_bytes=524_288).event_id == "e"


def test_a_stated_format_must_be_known() -> None:
    assert refusal(GOOD, (("format", b"snowplow"),)).reason == "unknown_format"


def test_messages_name_no_values() -> None:
    for bad in (
        GOOD | {"event_id": "secret\nvalue"},
        GOOD | {"type": "secret"},
        GOOD | {"occurred_at": "secret"},
        GOOD | {"price": "secret"},
        GOOD | {"type": "feedback_given", "score": 1, "kind": "secret"},
        GOOD | {"currency": "secret"},
    ):
        assert "secret" not in str(refusal(bad))


NATIVE_FIELDS = [
    "type", "event_id", "customer", "anonymous", "occurred_at", "sent_at", "item", "lines", "total",
    "price", "currency", "order", "traits", "context", "quantity", "source", "extra", "query",
    "messageId", "userId", "anonymousId", "properties", "products", "product_id", "event",
    "timestamp", "sentAt", "originalTimestamp", "specversion", "data", "data_base64", "id",
    "subject", "time", "previousId", "name", "items", "rating", "kind", "score",
]  # fmt: skip
CALLS = ["track", "identify", "alias", "page", "screen"]
NAMED = ["Order_Completed", "Product_Viewed", "Email_Opened", "Promotion_Clicked", "Cart_Viewed"]
OTHERS = ["Product_List_Viewed", "EUR", "1.0", "NaN", "-1", "12.5", "1e400", "2024-01-01"]
WORDS = st.sampled_from([*CALLS, *NAMED, *OTHERS, *sorted(INPUT_TYPES)])
LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8) | WORDS
)  # fmt: skip
NAMES = st.sampled_from(NATIVE_FIELDS)
OBJECTS = st.lists(st.tuples(NAMES, LEAVES), max_size=4).map(dict)
VALUES = LEAVES | OBJECTS | st.lists(LEAVES | OBJECTS, max_size=3)
EVENTS = st.lists(st.tuples(NAMES, VALUES), max_size=7).map(dict)
LIKELY = st.tuples(
    EVENTS,
    st.fixed_dictionaries(
        {"type": WORDS, "event": WORDS, "event_id": st.just("e"), "messageId": st.just("m")}
    ),
    st.sampled_from([{"customer": "ada", "userId": "ada"}, {"anonymous": "v"}, {}]),
).map(lambda parts: parts[0] | parts[1] | parts[2])
HEADERS = st.lists(
    st.tuples(
        st.sampled_from(["format", "auth", "subject", "sent_at", "ce_specversion", "ce_type"]),
        st.sampled_from([b"native", b"segment", b"browser", b"1.0", b"x.searched", b"99"])
        | st.binary(max_size=8),
    ),
    max_size=4,
).map(tuple)


def holds(value: bytes, headers: Headers, currency: str | None) -> None:
    """Either a fact that the log can carry and give back, or a refusal from the closed set."""
    reason, fact = None, None
    try:
        fact = normalise(value, headers, received_at=NOW, currency=currency)
    except EventRefused as refused:
        reason = refused.reason
    if fact is None:
        assert reason in set(Reason) - {Reason.INTERNAL_ERROR}
        return
    assert decode(encode(fact)) == fact
    assert keys_of(fact)
    assert fact.occurred_at <= NOW + 300_000
    assert normalise(value, headers, received_at=NOW, currency=currency) == fact


@settings(deadline=None)
@given(value=st.binary(max_size=200), headers=HEADERS)
def test_any_bytes(value: bytes, headers: Headers) -> None:
    holds(value, headers, None)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(event=EVENTS | LIKELY, headers=HEADERS, currency=st.sampled_from([None, "EUR", "JPY"]))
def test_any_object(event: dict[str, Any], headers: Headers, currency: str | None) -> None:
    holds(msgspec.json.encode(event), headers, currency)


@settings(deadline=None)
@given(text=st.text(alphabet='{}[]",:0123456789.eE-+NaInfity truefalsn\\u', max_size=60))
def test_almost_json(text: str) -> None:
    holds(text.encode(), (), None)
