"""Records become rows and come back exactly, whatever they hold; facts show in columns."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.archive_rows import ArchivedRecord, from_batch, schema_of, to_batch
from shared.decisions import Decision, ModelName, OfferedItem, Recommendation, encode_decision
from shared.events import ItemViewed, Line, Purchased, Searched, encode
from shared.topics import DECISIONS, EVENTS

NOW = 1_700_000_000_123

payloads = st.none() | st.binary(max_size=40) | st.text(max_size=20).map(str.encode)
records = st.builds(
    ArchivedRecord,
    topic=st.just("events"),
    partition=st.integers(0, 2**31 - 1),
    offset=st.integers(0, 2**63 - 1),
    timestamp=st.integers(-1, 2**63 - 1),
    key=payloads,
    value=payloads,
    headers=st.lists(st.tuples(st.text(max_size=8), payloads), max_size=3).map(tuple),
)


@given(st.lists(records, max_size=8), st.sampled_from([EVENTS.name, DECISIONS.name]))
def test_any_record_comes_back_exactly(recorded: list[ArchivedRecord], topic: str) -> None:
    assert list(from_batch("events", to_batch(topic, recorded))) == recorded


@given(st.lists(records, min_size=3, max_size=8))
def test_a_part_of_a_batch_comes_back_exactly(recorded: list[ArchivedRecord]) -> None:
    part = to_batch(EVENTS.name, recorded).slice(1, len(recorded) - 2)
    assert list(from_batch("events", part)) == recorded[1:-1]


def record(value: bytes | None) -> ArchivedRecord:
    return ArchivedRecord("events", 3, 7, NOW, b"c:ada", value, ())


def row(topic: str, value: bytes | None) -> dict[str, Any]:
    batch = to_batch(topic, [record(value)])
    assert batch.schema == schema_of(topic)
    return {field.name: batch.column(field.name).to_pylist()[0] for field in schema_of(topic)}


def test_a_fact_shows_in_columns() -> None:
    fact = ItemViewed(
        event_id="e1", customer="ada", occurred_at=NOW - 5, received_at=NOW, item="i1",
        price=1299, currency="EUR",
    )  # fmt: skip
    found = row(EVENTS.name, encode(fact))
    assert found["value"] == encode(fact).decode()
    assert (found["type"], found["event_id"], found["customer"]) == ("item_viewed", "e1", "ada")
    assert (found["item"], found["price"], found["currency"]) == ("i1", 1299, "EUR")
    assert found["source"] == "native"
    assert found["occurred_at"] == datetime(2023, 11, 14, 22, 13, 20, 118_000, UTC)
    assert found["day"].isoformat() == "2023-11-14"
    assert found["quantity"] is None


def test_an_order_shows_its_total_and_id() -> None:
    fact = Purchased(
        event_id="e1", customer="ada", occurred_at=NOW, received_at=NOW, order="o1",
        lines=[Line(item="i1")], total=500, currency="EUR",
    )  # fmt: skip
    found = row(EVENTS.name, encode(fact))
    assert (found["order_id"], found["total"], found["item"]) == ("o1", 500, None)


def test_a_decision_shows_what_was_offered() -> None:
    offered = [
        OfferedItem(id=f"i{n}", rank=n, score=1.0, explore=False, reasons=[]) for n in (1, 2)
    ]
    answer = Recommendation(
        decision_id="d1", arm="random", model=ModelName(name="m", version="v"), profile_age_ms=None,
        fallback="none", consent_mode="profiled", items=offered, filtered=[],
    )  # fmt: skip
    value = encode_decision(
        Decision(decision_id="d1", decided_at=NOW, placement="home", answer=answer, anonymous="a1")
    )
    found = row(DECISIONS.name, value)
    assert (found["decision_id"], found["placement"], found["arm"]) == ("d1", "home", "random")
    assert (found["items"], found["anonymous"], found["model"]) == (["i1", "i2"], "a1", "m")


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"{",
        b"\xff",
        b'"\xff"',
        b'{"type":"of another kind"}',
        pytest.param(b'{"a":' * 20_000, id="nested too deep"),
        b'{"type":"searched","query":"\\ud800","event_id":"e","occurred_at":1,"received_at":1}',
    ],
)
def test_what_is_no_fact_leaves_the_columns_empty(value: bytes | None) -> None:
    found = row(EVENTS.name, value)
    assert (found["type"], found["event_id"], found["occurred_at"]) == (None, None, None)
    assert list(from_batch("events", to_batch(EVENTS.name, [record(value)]))) == [record(value)]


def test_text_and_bytes_never_stand_side_by_side() -> None:
    fact = Searched(event_id="e", customer="c", occurred_at=1, received_at=1, query="ä")
    text, other = row(EVENTS.name, encode(fact)), row(EVENTS.name, b"\xff")
    assert (text["value"], text["value_bytes"]) == (encode(fact).decode(), None)
    assert (other["value"], other["value_bytes"]) == (None, b"\xff")
