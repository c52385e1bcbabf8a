"""Raw records of an import: what ingest makes of them, and that they are made the same again."""

import json
from typing import Any

import msgspec
import pytest

from services.ingest.imports import raw
from services.ingest.imports.items import SeenItems
from services.ingest.imports.mapping import load
from services.ingest.imports.orders import Entry, Tally
from services.ingest.imports.records import Row
from services.ingest.imports.row import RowReader, Taken
from services.ingest.normalise import MAX_BYTES, normalise
from shared.events import ItemViewed, Purchased, Refunded, is_imported
from shared.topics import CLICKSTREAM, PURCHASES

NOW = 1_800_000_000_000
DIGEST = "d" * 64


def entry(**changes: Any) -> Entry:
    fields = {
        "order": "536365",
        "customer": "17850",
        "occurred_at": 1291191960000,
        "currency": "GBP",
        "country": "United Kingdom",
        "title": "T-LIGHT",
        "item": "85123A",
        "quantity": 6,
        "price": 255,
    }
    lines: list[dict[str, Any]] = [{"item": "85123A", "quantity": 6, "price": 255}] * 2
    values = {"kind": "purchased", "name": "536365", "fields": fields, "lines": lines}
    return Entry(**{**values, "rows": 2, "last_row": 2, "position": 99, **changes})


def one(made: Entry, tally: Tally | None = None) -> raw.RawRecord:
    (record,) = raw.mapped([made], DIGEST, tally or Tally())
    return record


def fact_of(record: raw.RawRecord, form: str = "native", source: str = "uci") -> Any:
    return normalise(
        record.value,
        raw.headers(form, source, received_at=NOW, at=NOW),
        received_at=NOW,
        max_bytes=MAX_BYTES[record.topic.name],
    )


def test_an_order_is_what_ingest_reads() -> None:
    record = one(entry())
    fact = fact_of(record)
    assert isinstance(fact, Purchased)
    assert (fact.order, fact.customer, fact.total, fact.currency) == (
        "536365",
        "17850",
        3060,
        "GBP",
    )
    assert len(fact.lines) == 2, "two lines alike are two lines"
    assert (fact.occurred_at, fact.received_at) == (1291191960000, NOW)
    assert (fact.source, is_imported(fact)) == ("import:uci", True)
    assert fact.event_id == f"{DIGEST[:32]}:purchased:536365"
    assert fact.extra == {}
    assert (record.topic, record.key, record.last_row) == (PURCHASES, b"c:17850", 2)


def test_a_refund_has_no_country() -> None:
    fact = fact_of(one(entry(kind="refunded")))
    assert isinstance(fact, Refunded)
    assert (fact.total, fact.extra) == (3060, {})


def test_ids_are_made_of_digest_kind_and_name_and_fit() -> None:
    assert raw.event_id(entry(), DIGEST) == raw.event_id(entry(), DIGEST)
    ids = {
        raw.event_id(entry(name="n" * 300), DIGEST),
        raw.event_id(entry(name="n" * 301), DIGEST),
        raw.event_id(entry(kind="refunded"), DIGEST),
        raw.event_id(entry(), "e" * 64),
    }
    assert len(ids) == 4
    assert max(map(len, ids)) <= 128


def test_an_id_of_the_file_itself_is_kept() -> None:
    made = entry(fields={**entry().fields, "event_id": "e-7"})
    assert fact_of(one(made)).event_id == "e-7"


def test_a_fact_of_one_item_has_its_price_with_the_currency() -> None:
    fields = {"item": "mug", "price": 5, "currency": "GBP", "anonymous": "a1", "occurred_at": 7}
    record = one(entry(kind="item_viewed", fields=fields))
    fact = fact_of(record)
    assert isinstance(fact, ItemViewed)
    assert (fact.price, fact.currency, fact.extra) == (5, "GBP", {})
    assert (record.topic, record.key) == (CLICKSTREAM, b"a:a1")
    del fields["price"]
    assert fact_of(one(entry(kind="item_viewed", fields=fields))).currency is None


def test_the_largest_real_order_fits_and_a_larger_one_is_excluded() -> None:
    line: dict[str, Any] = {"item": "85123A", "quantity": 60_000, "price": 25_500}
    assert len(one(entry(lines=[line] * 1114)).value) < MAX_BYTES["purchases"] / 4
    tally = Tally(rows=20_000, rows_in_facts=20_000)
    tally.facts["purchased"] = 1
    huge = entry(lines=[line] * 20_000, rows=20_000)
    assert list(raw.mapped([huge], DIGEST, tally)) == []
    assert (tally.rows_in_facts, tally.excluded) == (0, {"too_large": 20_000})


def segment(*messages: Any) -> tuple[list[raw.RawRecord], Tally]:
    tally = Tally()
    lines = [
        message if isinstance(message, bytes) else json.dumps(message).encode()
        for message in messages
    ]
    rows = [Row(number, number, {}, raw=line) for number, line in enumerate(lines, 1)]
    return list(raw.passed_through(rows, tally, None, NOW)), tally


VIEWED = {
    "type": "track",
    "event": "Product Viewed",
    "messageId": "m1",
    "userId": "u1",
    "originalTimestamp": "2020-05-01T10:00:00Z",
    "sentAt": "2020-05-01T10:00:05Z",
    "properties": {"product_id": "mug"},
}
ORDERED = {
    "type": "track",
    "event": "Order Completed",
    "messageId": "m2",
    "anonymousId": "a1",
    "timestamp": "2020-05-01T10:00:00Z",
    "properties": {
        "order_id": "o1",
        "currency": "EUR",
        "products": [{"product_id": "mug", "price": 2, "quantity": 1}],
    },
}


def test_segment_messages_go_down_as_they_are() -> None:
    records, tally = segment(VIEWED, ORDERED)
    assert [json.loads(record.value) for record in records] == [VIEWED, ORDERED]
    assert [(record.topic, record.key) for record in records] == [
        (CLICKSTREAM, b"c:u1"),
        (PURCHASES, b"a:a1"),
    ]
    assert tally.facts == {"item_viewed": 1, "purchased": 1}
    assert tally.rows == tally.rows_in_facts == 2


def test_an_export_was_sent_long_before_it_is_received() -> None:
    fact = fact_of(segment(VIEWED)[0][0], "segment", "segment")
    assert fact.occurred_at == 1588327200000
    assert fact.source == "import:segment"


def test_what_ingest_will_refuse_is_sent_and_counted() -> None:
    wrong = {**ORDERED, "properties": {"currency": "EUR"}}
    records, tally = segment(b"{not json", {"type": "track", "event": "Odd"}, wrong)
    assert [record.topic for record in records] == [CLICKSTREAM, CLICKSTREAM, PURCHASES]
    assert (tally.rows_in_facts, tally.excluded) == (0, {"dead_lettered": 3})


def test_a_message_beyond_its_topic_is_excluded() -> None:
    records, tally = segment({**VIEWED, "filler": "x" * 40_000})
    assert (records, tally.excluded) == ([], {"too_large": 1})


def test_a_limit_of_messages() -> None:
    tally = Tally()
    line = json.dumps(VIEWED).encode()
    rows = [Row(number, number, {}, raw=line) for number in (1, 2, 3)]
    assert len(list(raw.passed_through(rows, tally, 2, NOW))) == 2
    assert tally.rows == 2


def seen(*rows: dict[str, str]) -> SeenItems:
    reader, items = RowReader(load("uci-online-retail")[1]), SeenItems("GBP")
    for row in rows:
        result = reader.read(
            {
                "InvoiceNo": "1",
                "StockCode": "22423",
                "Quantity": "1",
                "InvoiceDate": "2011-01-01 00:00:00",
                "UnitPrice": "1.00",
                **row,
            }
        )
        assert isinstance(result, Taken)
        items.notice(result)
    return items


def test_items_are_as_the_file_said_them_last() -> None:
    items = seen(
        {"Description": "OLD NAME"},
        {"Description": "CAKESTAND", "UnitPrice": "12.75"},
        {"UnitPrice": "10.00", "InvoiceNo": "C2", "Quantity": "-1"},
        {"StockCode": "22424"},
    )
    changes = items.changes(frozenset(["22424"]), NOW)
    assert [msgspec.to_builtins(change) for change in changes] == [
        {
            "type": "item_changed",
            "item": "22423",
            "title": "CAKESTAND",
            "price": 1275,
            "currency": "GBP",
            "changed_at": NOW,
        }
    ]


@pytest.mark.parametrize("missing", ["Description", "Country"])
def test_items_without_a_name(missing: str) -> None:
    (change,) = seen({missing: ""}).changes(frozenset(), NOW)
    assert change.title == ""
    assert change.recommendable
