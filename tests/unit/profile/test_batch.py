"""A batch: grouped by identity, folded in log order, with what must be written and published."""

from dataclasses import replace

import msgspec
import pytest
from aiokafka.structs import ConsumerRecord

from services.profile.batch import decode_batch, fold_identity, item_increments
from services.profile.component import Component, pack
from services.profile.identity import Delivery, Identity, OutboxEntry
from services.profile.item_counts import CARTS, HOUR_MS, PURCHASES, VIEWS, counts
from services.profile.moments.due import AT_ONCE
from services.profile.moments.firing import fire
from services.profile.moments.stating import state
from services.profile.state import canonical
from services.profile.verify.replay import Replay
from services.profile.window import CAPACITY, Verdict
from shared import events as facts
from shared.triggers import Fatigue, Payload, Suppression, Trigger, encode
from tests.unit.profile.builders import NOW, base, bought, carted, viewed
from tests.unit.profile.moments.books import DELAY_MS, RULES

TRIGGER = Trigger(
    decision_id="t",
    scenario="cart_abandoned",
    customer="alice",
    channel="email",
    style="",
    not_before=NOW,
    expires_at=NOW + 1,
    dedupe_key="t",
    priority=50,
    fatigue=Fatigue(used=0, budget=0, window=0),
    arm="all",
    evidence=["event-1"],
    payload=Payload(),
)


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
    nowhere = facts.ProfileAbsorbed(
        **base(3), through=f"events/0/{2**64}", component=pack(Component())
    )
    deep = b'{"type":"page_viewed","event_id":"e","occurred_at":1,"received_at":1,"extra":{"a":'
    deep += b"[" * 20_000 + b"]" * 20_000 + b"}}"
    records = [record(0, absorbed), replace(record(1, None), value=deep), record(2, viewed(2))]
    records.append(record(3, nowhere))
    decoded = decode_batch(records)
    assert decoded.malformed == 3
    assert [delivery.offset for delivery in decoded.deliveries["c:alice"]] == [2]
    replay = Replay()
    replay.feed(records)
    assert (replay.malformed, replay.facts) == (3, 1)


def test_a_window_that_runs_over_is_told_once_and_position_still_guards() -> None:
    identity = Identity("c:alice")
    within = [Delivery(viewed(number), 0, number) for number in range(CAPACITY)]
    assert not fold_identity(identity, within).overflowed
    assert fold_identity(identity, [Delivery(viewed(CAPACITY), 0, CAPACITY)]).overflowed
    assert identity.profile.overflowed
    # Redelivered, however late, changes nothing; sent again beyond the window counts again.
    assert set(fold_identity(identity, within).verdicts) == {Verdict.REDELIVERED}
    again = fold_identity(identity, [Delivery(viewed(0), 0, CAPACITY + 1)])
    assert (again.verdicts, again.overflowed) == ([Verdict.NEW], False)
    assert identity.profile.component.events == CAPACITY + 2


def test_effects_tell_the_new_timer_and_skip_imported_facts() -> None:
    live = fold_identity(Identity("c:alice"), [Delivery(carted(1, NOW), 0, 0)], RULES)
    assert live.due == NOW + DELAY_MS
    imported = facts.CartAdded(**base(1), item="lamp", source="import:uci-online-retail")
    assert fold_identity(Identity("c:alice"), [Delivery(imported, 0, 0)], RULES).due is None
    mixed = [Delivery(imported, 0, 0), Delivery(viewed(2), 0, 1)]
    assert fold_identity(Identity("c:alice"), mixed, RULES).due is None


def decision(number: int = 9, due: int = NOW, trigger: bytes = b"{}") -> facts.MessageDecided:
    return facts.MessageDecided(
        **base(number),
        trigger_id="t",
        scenario="cart_abandoned",
        channel="email",
        verdict="send",
        reason="allowed",
        due=due,
        trigger=trigger,
    )


def test_a_redelivered_batch_changes_nothing_but_publishes_verdicts_again() -> None:
    decided = decision()
    identity = Identity("c:alice")
    deliveries = [Delivery(decided, 0, 4)]
    assert fold_identity(identity, deliveries).messages == [decided]
    again = fold_identity(identity, deliveries)
    assert (again.changed, again.messages) == (False, [decided])
    other = fold_identity(identity, [Delivery(decided, 0, 5)])
    assert (other.verdicts, other.messages) == ([Verdict.DUPLICATE], [])


@pytest.mark.parametrize("between", [0, CAPACITY + 1])
def test_of_two_contents_under_one_id_only_the_first_is_ever_published(between: int) -> None:
    first, second = decision(trigger=b"1"), decision(trigger=b"2")
    views = [viewed(100 + number) for number in range(between)]
    log = [Delivery(fact, 0, at) for at, fact in enumerate((first, *views, second, *views, second))]
    store = Identity("c:alice")
    assert fold_identity(store, log).messages == [first]
    # The process died before it published: another one reads the log again, from any position.
    assert fold_identity(store, log).messages == [first]
    assert fold_identity(store, log[1:]).messages == []
    assert fold_identity(store, log[between + 1 :]).messages == []


def withdrawals() -> list[facts.AnyFact]:
    return [
        facts.MessageUnsubscribed(**base(5), message="other", channel="email"),
        facts.ConsentChanged(**base(5), purpose="news", granted=False),
        facts.ConsentChanged(**base(5), purpose="profiling", granted=False),
        facts.ProfilingPaused(**base(5)),
    ]


@pytest.mark.parametrize("no", withdrawals(), ids=lambda fact: type(fact).__name__)
def test_who_said_no_before_the_log_had_the_decision_is_not_written_to(no: facts.AnyFact) -> None:
    """It was stated, and waited in the outbox while the log was away."""
    trigger = encode(TRIGGER)
    sent = msgspec.structs.replace(decision(trigger=trigger), purpose="news", basis="consent")
    identity = Identity("c:alice")
    log = [Delivery(no, 0, 3), Delivery(sent, 0, 4)]
    (said,) = fold_identity(identity, log).messages
    assert (said.verdict, said.reason, said.event_id) == ("suppress", "consent", sent.event_id)
    suppression = msgspec.json.decode(said.trigger, type=Suppression)
    assert (suppression.suppressed_by, suppression.decision_id) == ("consent", "t")
    contact = identity.profile.contact
    assert (contact.has_sent("t"), contact.spoke) == (False, {})
    assert fold_identity(identity, log).messages == [said]
    replay = Replay()
    replay.feed([record(3, no), record(4, sent)])
    assert canonical(replay.identities["c:alice"].profile) == canonical(identity.profile)


@pytest.mark.parametrize("basis", ["contract", ""])
def test_what_needs_no_consent_or_does_not_say_is_sent_nevertheless(basis: str) -> None:
    sent = msgspec.structs.replace(decision(), purpose="news", basis=basis)
    log = [Delivery(fact, 0, at) for at, fact in enumerate([*withdrawals()[:1], sent])]
    assert fold_identity(Identity("c:alice"), log).messages == [sent]


def test_a_no_that_comes_after_the_decision_in_the_log_changes_nothing_of_it() -> None:
    sent = msgspec.structs.replace(decision(), purpose="news", basis="consent")
    identity = Identity("c:alice")
    log = [Delivery(sent, 0, 4), Delivery(withdrawals()[0], 0, 5)]
    assert fold_identity(identity, log).messages == [sent]
    # Read again it is told with the same content.
    assert fold_identity(identity, log).messages == [sent]


def test_one_moment_is_decided_once_whatever_the_ids() -> None:
    identity = Identity("c:alice")
    identity.outbox = [OutboxEntry("event-8", "c:alice", b"{}", "cause")]
    deliveries = [Delivery(decision(9), 0, 1), Delivery(decision(8), 0, 2)]
    effects = fold_identity(identity, deliveries)
    assert [message.event_id for message in effects.messages] == ["event-9"]
    assert len(identity.profile.contact.sent) == 1
    assert identity.outbox == []


def test_a_redelivered_fact_sets_its_timer_again() -> None:
    identity = Identity("c:alice")
    imported = facts.CartAdded(**base(1), item="lamp", source="import:uci-online-retail")
    for fact, due in ((imported, None), (carted(2, NOW + 5), NOW + 5 + DELAY_MS)):
        delivery = Delivery(fact, 0, fact.occurred_at)
        assert fold_identity(identity, [delivery], RULES).due == due
        again = fold_identity(identity, [delivery], RULES)
        assert (again.changed, again.due) == (False, due)


def stated(identity: Identity, now: int) -> facts.AnyFact:
    """What is due for this identity is in its outbox by now."""
    made = fire(identity, RULES, now).decisions.made
    (entry,) = state(identity, made, {}, *RULES, now)
    return facts.decode(entry.value)


def test_the_timer_of_what_was_carted_since_a_decision_is_set_when_that_folds() -> None:
    identity = Identity("c:alice")
    fold_identity(identity, [Delivery(carted(1, NOW), 0, 0)], RULES)
    decided = stated(identity, NOW + DELAY_MS)
    later = NOW + DELAY_MS + 1
    since = [Delivery(carted(2, later, "mug"), 0, 1)]
    assert fold_identity(identity, since, RULES).due == AT_ONCE
    assert fold_identity(identity, [Delivery(decided, 0, 2)], RULES).due == later + DELAY_MS


def test_where_nothing_waits_any_more_the_index_is_left_alone() -> None:
    """Its entry is dropped when its time comes."""
    identity = Identity("c:alice")
    fold_identity(identity, [Delivery(carted(1, NOW), 0, 0)], RULES)
    decided = stated(identity, NOW + DELAY_MS)
    assert fold_identity(identity, [Delivery(decided, 0, 1)], RULES).due is None
    assert (identity.outbox, identity.waiting) == ([], [])


def test_an_index_that_lost_a_standing_decision_gets_it_back() -> None:
    identity = Identity("c:alice")
    fold_identity(identity, [Delivery(carted(1, NOW), 0, 0)], RULES)
    stated(identity, NOW + DELAY_MS)
    assert fold_identity(identity, [Delivery(viewed(2), 0, 1)], RULES).due == AT_ONCE


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


def test_a_fact_that_names_a_country_counts_there_too() -> None:
    order, view, shown = bought(1), viewed(2), facts.OfferShown(**base(3), item="lamp")
    order.country = "FR"
    view.extra = {"country": "DE"}
    shown.extra = {"country": "DE"}
    hour = NOW // HOUR_MS
    assert list(counts(order)) == [(hour, "lamp", PURCHASES), (hour, "lamp\x1fFR", PURCHASES)]
    assert list(counts(view)) == [(hour, "lamp", VIEWS), (hour, "lamp\x1fDE", VIEWS)]
    assert [item for _, item, _ in counts(shown)] == ["lamp"]
    for nowhere in ("", "x" * 65, 7, None):
        view.extra = {"country": nowhere}
        assert list(counts(view)) == [(hour, "lamp", VIEWS)]
