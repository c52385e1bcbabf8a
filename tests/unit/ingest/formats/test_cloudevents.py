"""CloudEvents, binary and structured, and how formats are told apart."""

import base64
from typing import Any

import msgspec
import pytest

from services.ingest.normalise import normalise
from shared.errors import EventRefused
from shared.headers import Headers

NOW = 1_700_000_000_000
DATA = {"item": "mug", "customer": "ada"}
BINARY: Headers = (
    ("ce_specversion", b"1.0"),
    ("ce_id", b"c-1"),
    ("ce_type", b"com.shop.item_viewed"),
    ("ce_source", b"/shop"),
    ("ce_time", b"2023-11-14T22:13:19.5Z"),
    ("content-type", b"application/json"),
)
ENVELOPE = {
    "specversion": "1.0",
    "id": "c-1",
    "type": "item_viewed",
    "source": "/shop",
    "time": "2023-11-14T22:13:19.5Z",
    "data": DATA,
}


def fact_of(event: Any, headers: Headers = ()) -> Any:
    return normalise(msgspec.json.encode(event), headers, received_at=NOW)


def reason_of(event: Any, headers: Headers = ()) -> str:
    with pytest.raises(EventRefused) as caught:
        fact_of(event, headers)
    return caught.value.reason


@pytest.mark.parametrize(
    ("event", "headers"),
    [
        (DATA, BINARY),
        (ENVELOPE, (("content-type", b"application/cloudevents+json"),)),
        (ENVELOPE, ()),
        (ENVELOPE, (("format", b"cloudevents"),)),
    ],
)
def test_both_modes_say_the_same(event: Any, headers: Headers) -> None:
    fact = fact_of(event, headers)
    assert (fact.event_id, fact.item, fact.customer) == ("c-1", "mug", "ada")
    assert (fact.occurred_at, fact.source) == (NOW - 500, "cloudevents")
    assert fact.extra == {"ce_source": "/shop"}


def test_data_goes_before_the_envelope() -> None:
    data = DATA | {"event_id": "own", "occurred_at": NOW - 9_000}
    fact = fact_of(ENVELOPE | {"data": data, "subject": "eve"})
    assert (fact.event_id, fact.occurred_at, fact.customer) == ("own", NOW - 9_000, "ada")


def test_the_subject_is_the_customer_where_data_names_nobody() -> None:
    assert fact_of(ENVELOPE | {"data": {"item": "mug"}, "subject": "ada"}).customer == "ada"
    assert fact_of({"item": "mug"}, (*BINARY, ("ce_subject", b"ada"))).customer == "ada"
    anonymous = ENVELOPE | {"data": {"item": "mug", "anonymous": "v"}, "subject": "mug"}
    assert fact_of(anonymous).customer is None


def test_data_in_base64() -> None:
    envelope = {name: value for name, value in ENVELOPE.items() if name != "data"}
    text = base64.b64encode(msgspec.json.encode(DATA)).decode()
    assert fact_of(envelope | {"data_base64": text}).item == "mug"
    assert reason_of(envelope | {"data_base64": "%%"}) == "invalid_field"
    assert reason_of(envelope | {"data_base64": 5}) == "invalid_field"
    assert reason_of(envelope) == "invalid_field"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"specversion": "0.3"}, "invalid_field"),
        ({"specversion": 1}, "invalid_field"),
        ({"type": None}, "missing_field"),
        ({"type": "com.shop.item_teleported"}, "unknown_type"),
        ({"type": "com.attune.timer_fired"}, "system_type_refused"),
        ({"id": None}, "missing_event_id"),
        ({"data": []}, "invalid_field"),
        ({"time": "soon"}, "invalid_field"),
    ],
)
def test_refused_envelopes(change: dict[str, Any], reason: str) -> None:
    assert reason_of(ENVELOPE | change) == reason


def test_deep_data_in_base64_is_refused_as_deep() -> None:
    envelope = {name: value for name, value in ENVELOPE.items() if name != "data"}
    data = msgspec.json.encode(DATA)[:-1] + b',"deep":' + b"[" * 40 + b"]" * 40 + b"}"
    text = base64.b64encode(data).decode()
    assert reason_of(envelope | {"data_base64": text}) == "too_deep"
