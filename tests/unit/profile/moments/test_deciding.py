"""What becomes of a due moment: asked again, weighed, stated once, or passed over."""

import msgspec
import pytest
from msgspec.structs import replace

from services.profile.arbiter.policy import Holdout
from services.profile.moments.around import Around
from services.profile.moments.due import AT_ONCE, next_due
from services.profile.moments.firing import Fired, fire
from services.profile.moments.stating import state
from services.profile.scenarios.book import OnFact
from shared import events as facts
from shared.catalogue import ItemChanged
from shared.triggers import Payload, Suppression, decode
from tests.unit.profile.builders import DAY, HOUR, NOW, base, bought, carted, viewed
from tests.unit.profile.moments.books import (
    CART,
    NEVER,
    POLICY,
    Customer,
    Value,
    When,
    book,
    scenario,
)
from tests.unit.profile.moments.verdicts import decided, dropped

LATER = scenario("later", after_ms=0, recheck=NEVER)


def test_a_due_moment_becomes_one_fact_with_the_triggers_bytes() -> None:
    alice = Customer(book(scenario(recheck=When(lambda c: True), tags=frozenset({"b", "a"}))))
    alice.fold(carted(1, NOW), carted(2, NOW + 1, "mug"))
    (fact,) = decided(alice, NOW + HOUR + 1)
    assert (fact.verdict, fact.reason, fact.channel) == ("send", "allowed", "email")
    assert (fact.due, fact.moment_at, fact.cause) == (NOW + HOUR + 1, NOW + 1, "event-2")
    assert (fact.attempt, fact.version, fact.tags) == (1, "test-1", ["a", "b"])
    trigger = decode(fact.trigger)
    assert (trigger.customer, trigger.decision_id) == ("alice", fact.trigger_id)
    assert trigger.payload.items == ["mug", "lamp"]
    assert trigger.evidence == ["event-2", "event-1"]
    assert (trigger.version, trigger.purpose, trigger.tags) == ("test-1", "marketing", ["a", "b"])
    assert trigger.about["item"] == "mug"
    assert trigger.expires_at == fact.expires_at == NOW + HOUR + 1 + DAY
    assert alice.waiting == []
    assert next_due(alice.identity) is None


def test_before_its_time_nothing_is_decided() -> None:
    alice = Customer(book(CART))
    alice.fold(carted(1, NOW))
    assert fire(alice.identity, alice.rules, NOW + HOUR - 1) == Fired()


def test_a_decision_waits_for_its_fold_and_is_never_made_twice() -> None:
    alice = Customer(book(CART))
    alice.fold(carted(1, NOW))
    fired = fire(alice.identity, alice.rules, NOW + HOUR)
    (entry,) = state(alice.identity, fired.decisions.made, {}, *alice.rules, NOW + HOUR)
    assert next_due(alice.identity) == AT_ONCE
    assert len(alice.waiting) == 1
    alice.fold(bought(2, NOW + HOUR, "lamp"))
    assert alice.identity.outbox == [entry]
    alice.fold_outbox()
    assert (alice.identity.outbox, alice.waiting, next_due(alice.identity)) == ([], [], None)


def test_whoever_decides_a_moment_states_it_under_the_same_ids() -> None:
    ids = set()
    for now in (NOW + HOUR, NOW + 5 * HOUR):
        alice = Customer(book(CART))
        alice.fold(carted(1, NOW))
        (fact,) = decided(alice, now)
        ids.add((fact.event_id, fact.trigger_id))
    assert len(ids) == 1
    for customer, begins in (("c:bob", carted(1, NOW)), ("c:alice", carted(7, NOW))):
        other = Customer(book(CART), customer)
        other.fold(begins)
        (fact,) = decided(other, NOW + HOUR)
        assert (fact.event_id, fact.trigger_id) not in ids


STOCK = ItemChanged(item="lamp", stock=3)


@pytest.mark.parametrize(
    ("item", "since", "now", "reason"),
    [
        (STOCK, None, NOW + HOUR + DAY, "expired"),
        (STOCK, bought(2, NOW + 1), NOW + HOUR, "recheck"),
        (replace(STOCK, stock=0), None, NOW + HOUR, "out_of_stock"),
        (replace(STOCK, active=False), None, NOW + HOUR, "out_of_stock"),
        (replace(STOCK, valid_to=NOW), None, NOW + HOUR, "out_of_stock"),
        (STOCK, facts.ProfilingPaused(**base(2, NOW + 1)), NOW + HOUR, "paused"),
    ],
)
def test_what_is_no_longer_so_is_passed_over_in_silence(
    item: ItemChanged, since: facts.AnyFact | None, now: int, reason: str
) -> None:
    alice = Customer(book(CART), around=Around(items={"lamp": item}))
    alice.fold(carted(1, NOW), *([since] if since else []))
    assert dropped(alice, now) == {("cart_abandoned", reason): 1}
    assert (alice.waiting, alice.identity.outbox) == ([], [])


def test_of_a_cart_only_what_can_be_bought_is_spoken_of() -> None:
    sold_out = ItemChanged(item="mug", stock=0)
    alice = Customer(book(CART), around=Around(items={"mug": sold_out}))
    alice.fold(carted(1, NOW), carted(2, NOW + 1, "mug"))
    (fact,) = decided(alice, NOW + 2 * HOUR)
    trigger = decode(fact.trigger)
    assert (trigger.payload.items, trigger.about["item"]) == (["lamp"], "lamp")


VIEWED = scenario("browse", OnFact(fact="item_viewed"))


@pytest.mark.parametrize(
    ("repeatable", "bought_at", "verdicts"),
    [(False, NOW - 1, []), (True, NOW - 1, ["send"]), (True, NOW + 1, [])],
)
def test_what_was_bought_is_not_spoken_of(
    repeatable: bool, bought_at: int, verdicts: list[str]
) -> None:
    items = {"lamp": ItemChanged(item="lamp", repeatable=repeatable)}
    alice = Customer(book(VIEWED), around=Around(items=items))
    alice.fold(bought(1, bought_at), viewed(2, NOW))
    assert [fact.verdict for fact in decided(alice, NOW + HOUR)] == verdicts


def test_an_order_that_is_late_is_told_whatever_became_of_its_items() -> None:
    late = scenario("late", OnFact(fact="order_delayed"), purpose="service", after_ms=0)
    items = {"lamp": ItemChanged(item="lamp", stock=0)}
    alice = Customer(book(late), around=Around(items=items))
    alice.fold(bought(1, NOW), facts.OrderDelayed(**base(2, NOW + 1), order="order-1"))
    (fact,) = decided(alice, NOW + 1)
    assert (fact.verdict, fact.transactional, fact.subject) == ("send", True, "order-1")
    assert decode(fact.trigger).about == {"order": "order-1"}


def test_what_is_said_between_counts() -> None:
    """An unsubscribe that was folded before the decision is what the decision sees."""
    alice = Customer(book(CART))
    alice.fold(carted(1, NOW), facts.MessageUnsubscribed(**base(2, NOW + 1), message="m"))
    (fact,) = decided(alice, NOW + HOUR)
    assert (fact.verdict, fact.reason) == ("suppress", "consent")
    suppression = msgspec.json.decode(fact.trigger, type=Suppression)
    assert suppression.suppressed_by == "consent"


def test_the_worthiest_of_two_goes_and_the_other_is_held() -> None:
    small = scenario("small", value=Value(10.0))
    great = scenario("great", value=Value(50.0))
    alice = Customer(book(small, great))
    alice.fold(carted(1, NOW))
    verdicts = {fact.scenario: (fact.verdict, fact.reason) for fact in decided(alice, NOW + HOUR)}
    assert verdicts == {"great": ("send", "allowed"), "small": ("hold", "outbid")}


def test_the_arm_is_recorded_before_the_verdict_that_rests_on_it_and_once() -> None:
    policy = replace(POLICY, holdout=Holdout(share=0.5, salt="x"))
    arms = set()
    for number in range(8):
        customer = Customer(book(CART, policy=policy), f"c:{number}")
        for at in (NOW, NOW + 2 * DAY):
            customer.fold(carted(at, at))
            fired = fire(customer.identity, customer.rules, at + HOUR)
            state(customer.identity, fired.decisions.made, {}, *customer.rules, at + HOUR)
            stated = customer.fold_outbox()
            first = [fact for fact in stated if isinstance(fact, facts.ArmAssigned)]
            assert len(first) == (at == NOW)
            assert not first or stated[0] is first[0]
            verdict = stated[-1]
            assert isinstance(verdict, facts.MessageDecided)
            arm = decode(verdict.trigger).arm
            assert customer.identity.profile.contact.arms == {"holdout": arm}
            assert (verdict.reason == "holdout") == (arm == "held_out")
            arms.add(arm)
    assert arms == {"treated", "held_out"}


def test_a_scenario_that_the_book_has_no_more_is_passed_over() -> None:
    alice = Customer(book(CART))
    alice.fold(carted(1, NOW))
    alice.rules = alice.rules._replace(book=book())
    assert dropped(alice, NOW + HOUR) == {("cart_abandoned", "scenario_gone"): 1}
    assert next_due(alice.identity) is None


def test_offers_come_behind_what_the_moment_is_about() -> None:
    alice = Customer(book(CART))
    alice.fold(carted(1, NOW))
    fired = fire(alice.identity, alice.rules, NOW + HOUR)
    (made,) = fired.decisions.made
    offered = {made.trigger_id: Payload(items=["rug", "lamp"], recommendation="d-1")}
    (entry,) = state(alice.identity, [made], offered, *alice.rules, NOW + HOUR)
    fact = facts.decode(entry.value)
    assert isinstance(fact, facts.MessageDecided)
    payload = decode(fact.trigger).payload
    assert (payload.items, payload.recommendation) == (["lamp", "rug"], "d-1")


def test_a_price_is_told_with_what_it_was() -> None:
    from services.profile.moments.noting import note_change
    from tests.unit.profile.moments.test_noting import DROPPED, moved

    items = {"lamp": ItemChanged(item="lamp", price=80, currency="EUR", title="Lamp")}
    alice = Customer(book(DROPPED), around=Around(items=items))
    alice.fold(viewed(1, NOW))
    note_change(alice.identity, moved(80, 100), frozenset({"wished"}), *alice.rules)
    (fact,) = decided(alice, NOW)
    assert decode(fact.trigger).about == {
        "item": "lamp",
        "title": "Lamp",
        "price": 80,
        "currency": "EUR",
        "previous_price": 100,
    }
