"""A batch: grouped by identity, folded in log order, with what must be written and published."""

from dataclasses import replace

from aiokafka.structs import ConsumerRecord

from services.profile.batch import decode_batch, fold_identity, item_increments
from services.profile.identity import Delivery, Identity
from services.profile.item_counts import CARTS, HOUR_MS, PURCHASES, VIEWS
from services.profile.triggers.cart_abandoned import DELAY_MS
from services.profile.verify.replay import Replay
from services.profile.window import Verdict
from shared import events as facts
from tests.unit.profile.builders import NOW, base, bought, carted, viewed


def record(offset: int, fact: facts.Fact | None, key: bytes = b"c:alice") -> ConsumerRecord:
    value = b"not json" if fact is None else facts.encode(fact)
    return ConsumerRecord(
        "events", 2, offset, 0, 0, key, value, 0, len(key), len(value), (("at", b"123"),)
    )


def test_records_are_grouped_by_identity_in_log_order() -> None:
    decoded = decode_batch(
        [record(0, viewed(0)), record(1, viewed(1), b"a:v"), record(2, viewed(2))]
    )
    assert [delivery.offset for delivery in decoded.deliveries["c:alice"]] == [0, 2]
    assert decoded.deliveries["a:v"][0] == Delivery(viewed(1), 2, 1, 123)


def test_what_is_no_fact_is_counted_and_stops_nothing() -> None:
    decoded = decode_batch([record(0, None), record(1, viewed(1)), record(2, viewed(2), b"\xff")])
    assert decoded.malformed == 2
    assert len(decoded.deliveries["c:alice"]) == 1


def test_a_fact_that_cannot_be_folded_is_malformed_for_the_loop_and_for_the_reference() -> None:
    absorbed = facts.ProfileAbsorbed(**base(1), through="0/1", component=b"no component")
    deep = b'{"type":"page_viewed","event_id":"e","occurred_at":1,"received_at":1,"extra":{"a":'
    deep += b"[" * 20_000 + b"]" * 20_000 + b"}}"
    records = [record(0, absorbed), replace(record(1, None), value=deep), record(2, viewed(2))]
    decoded = decode_batch(records)
    assert decoded.malformed == 2
    assert [delivery.offset for delivery in decoded.deliveries["c:alice"]] == [2]
    replay = Replay()
    replay.feed(records)
    assert (replay.malformed, replay.facts) == (2, 1)


def test_effects_tell_the_new_timer_and_skip_imported_facts() -> None:
    live = fold_identity(Identity("c:alice"), [Delivery(carted(1, NOW), 0, 0)])
    assert live.due == NOW + DELAY_MS
    imported = facts.CartAdded(**base(1), item="lamp", source="import:uci-online-retail")
    assert fold_identity(Identity("c:alice"), [Delivery(imported, 0, 0)]).due is None
    mixed = [Delivery(imported, 0, 0), Delivery(viewed(2), 0, 1)]
    assert fold_identity(Identity("c:alice"), mixed).due is None


def test_a_redelivered_batch_changes_nothing_but_publishes_verdicts_again() -> None:
    decided = facts.MessageDecided(
        **base(9),
        trigger_id="t",
        scenario="cart_abandoned",
        channel="email",
        verdict="send",
        reason="allowed",
        due=NOW,
        trigger=b"{}",
    )
    identity = Identity("c:alice")
    deliveries = [Delivery(decided, 0, 4)]
    assert fold_identity(identity, deliveries).messages == [decided]
    again = fold_identity(identity, deliveries)
    assert (again.changed, again.messages) == (False, [decided])
    other = fold_identity(identity, [Delivery(decided, 0, 5)])
    assert (other.verdicts, other.messages) == ([Verdict.DUPLICATE], [])


def test_a_login_forwards_the_visitors_component() -> None:
    visitor = Identity("a:v")
    login = facts.Identified(**base(2, customer="alice", anonymous="v"))
    effects = fold_identity(
        visitor, [Delivery(viewed(1, anonymous="v"), 0, 0), Delivery(login, 0, 1)]
    )
    assert [entry.key for entry in effects.forwarded] == ["c:alice"]


def test_items_are_counted_once_and_only_beyond_the_standing_position() -> None:
    sequence = [
        Delivery(viewed(1), 0, 5),
        Delivery(viewed(1), 0, 6),
        Delivery(carted(2), 0, 7),
        Delivery(bought(3), 1, 1),
    ]
    effects = {"c:alice": fold_identity(Identity("c:alice"), sequence)}
    row = (NOW // HOUR_MS, "lamp")
    added = item_increments({"c:alice": sequence}, effects, {})
    assert added[0][row][VIEWS] == 1
    assert added[0][row][CARTS] == 1
    assert added[1][row][PURCHASES] == 1
    assert item_increments({"c:alice": sequence}, effects, {0: 6, 1: 1}) == {
        0: {row: [0, 1, 0, 0, 0]}
    }
