"""What becomes of a due moment: asked again, weighed, stated once, or passed over."""

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from services.profile.arbiter.policy import Budget, Holdout, Policy, QuietHours
from services.profile.moments.around import Around
from services.profile.moments.due import AT_ONCE, next_due
from services.profile.moments.firing import Fired, fire
from services.profile.moments.stating import state
from services.profile.scenarios.book import OnFact, OnTimer
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

DAILY = replace(POLICY, budgets=(Budget(messages=1, window_ms=DAY),))
LATER = scenario("later", after_ms=0, recheck=NEVER)


def decided(customer: Customer, now: int) -> list[facts.MessageDecided]:
    """Fires, states and folds; the verdicts."""
    fired = fire(customer.identity, customer.rules, now)
    made = fired.decisions.made
    state(customer.identity, made, {}, *customer.rules, now)
    stated = customer.fold_outbox()
    return [fact for fact in stated if isinstance(fact, facts.MessageDecided)]


def dropped(customer: Customer, now: int) -> dict[tuple[str, str], int]:
    fired = fire(customer.identity, customer.rules, now)
    assert fired.decisions.made == []
    return dict(fired.decisions.dropped)


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


def held(*, life: int = 3 * DAY, policy: Policy = DAILY, **fields: Any) -> tuple[Customer, int]:
    """A customer who was written to, and whose next cart is held for a day."""
    alice = Customer(book(scenario(life_ms=life, **fields), policy=policy))
    alice.fold(carted(1, NOW))
    (first,) = decided(alice, NOW + HOUR)
    assert first.verdict == "send"
    alice.fold(carted(2, NOW + HOUR, "mug"))
    (fact,) = decided(alice, NOW + 2 * HOUR)
    assert (fact.verdict, fact.reason, fact.attempt) == ("hold", "budget", 1)
    assert fact.retry_at == NOW + HOUR + DAY
    assert alice.waiting == []
    assert next_due(alice.identity) == fact.retry_at
    return alice, fact.retry_at


def test_what_is_held_is_asked_again_and_sent_under_the_same_trigger() -> None:
    alice, retry_at = held(recheck=When(lambda c: True))
    known = next(iter(alice.identity.profile.contact.holds))
    assert decided(alice, retry_at - 1) == []
    (fact,) = decided(alice, retry_at)
    assert (fact.verdict, fact.attempt, fact.trigger_id) == ("send", 2, known)
    assert (fact.due, fact.cause) == (NOW + 2 * HOUR, "event-2")
    assert next_due(alice.identity) is None


@pytest.mark.parametrize(
    ("since", "now", "reason"),
    [
        (facts.MessageUnsubscribed(**base(5, NOW + 3 * HOUR), message="m"), 0, "consent"),
        (facts.ProfilingPaused(**base(5, NOW + 3 * HOUR)), 0, "paused"),
        (viewed(5, NOW + 3 * HOUR), 3 * DAY, "expired"),
    ],
)
def test_a_hold_ends_by_a_fact_whatever_ends_it(
    since: facts.AnyFact, now: int, reason: str
) -> None:
    alice, retry_at = held()
    alice.fold(since)
    (fact,) = decided(alice, retry_at + now)
    assert (fact.verdict, fact.reason, fact.attempt) == ("suppress", reason, 2)
    assert alice.identity.profile.contact.holds == {}
    assert next_due(alice.identity) is None


def test_a_hold_whose_recheck_says_no_or_whose_scenario_is_gone_is_suppressed() -> None:
    for changed, reason in ((book(scenario(recheck=NEVER)), "recheck"), (book(), "scenario_gone")):
        alice, retry_at = held()
        alice.rules = alice.rules._replace(book=changed)
        (fact,) = decided(alice, retry_at)
        assert (fact.verdict, fact.reason) == ("suppress", reason)


def test_a_newer_moment_ends_the_hold_of_an_older_one() -> None:
    alice, _ = held()
    alice.fold(carted(6, NOW + 4 * HOUR, "rug"))
    old, new = sorted(decided(alice, NOW + 5 * HOUR), key=lambda fact: fact.moment_at or 0)
    assert (old.verdict, old.reason, old.cause) == ("suppress", "superseded", "event-2")
    assert (new.verdict, new.cause, new.attempt) == ("hold", "event-6", 1)
    assert list(alice.identity.profile.contact.holds) == [new.trigger_id]


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


BIRTHDAY = scenario("birthday", OnTimer(timer="birthday", at_minute=600), after_ms=0)
BORN = facts.TraitsSet(**base(1, NOW), traits={"birthday": "1990-12-24", "timezone": "UTC"})
CHRISTMAS_EVE = 1_766_570_400_000
"""2025-12-24 10:00 UTC."""


def test_a_timer_that_comes_is_decided_and_the_next_one_waits() -> None:
    alice = Customer(book(BIRTHDAY))
    alice.fold(BORN)
    assert next_due(alice.identity) == CHRISTMAS_EVE
    (fact,) = decided(alice, CHRISTMAS_EVE)
    assert (fact.verdict, fact.cause) == ("send", "timer:birthday:2025")
    assert decode(fact.trigger).about == {"timer": "birthday", "which": "2025", "years": 35}
    assert alice.waiting == [("birthday", CHRISTMAS_EVE + 365 * DAY, "timer:birthday:2026")]


def test_a_timer_that_was_moved_meanwhile_is_moved_when_it_fires() -> None:
    alice = Customer(book(BIRTHDAY))
    alice.fold(BORN)
    alice.fold(facts.TraitsSet(**base(2, NOW + 1), traits={"birthday": "1990-12-25"}))
    fired = fire(alice.identity, alice.rules, CHRISTMAS_EVE)
    assert (fired.changed, fired.decisions.made) == (True, [])
    assert next_due(alice.identity) == CHRISTMAS_EVE + DAY


def test_a_timer_that_was_missed_is_not_made_up_for() -> None:
    alice = Customer(book(BIRTHDAY))
    alice.fold(BORN)
    assert dropped(alice, CHRISTMAS_EVE + 2 * DAY) == {("birthday", "expired"): 1}
    assert next_due(alice.identity) == CHRISTMAS_EVE + 365 * DAY


def test_a_timer_asks_when_at_its_time_and_goes_on_where_it_says_no() -> None:
    alice = Customer(book(replace(BIRTHDAY, when=NEVER)))
    alice.fold(BORN)
    assert dropped(alice, CHRISTMAS_EVE) == {("birthday", "recheck"): 1}
    assert next_due(alice.identity) == CHRISTMAS_EVE + 365 * DAY


def test_a_silent_customer_who_came_back_is_not_missed() -> None:
    silent = scenario("silent", OnTimer(timer="inactive", after_ms=DAY, at_minute=-1), after_ms=0)
    alice = Customer(book(silent))
    alice.fold(viewed(1, NOW), viewed(2, NOW + HOUR))
    assert fire(alice.identity, alice.rules, NOW + DAY).decisions.made == []
    assert next_due(alice.identity) == NOW + DAY + HOUR
    assert len(decided(alice, NOW + DAY + HOUR)) == 1
    assert next_due(alice.identity) is None
    alice.fold(viewed(3, NOW + 3 * DAY))
    assert next_due(alice.identity) == NOW + 4 * DAY


def test_two_occasions_of_one_day_are_both_decided() -> None:
    mums = scenario("occasion", OnTimer(timer="occasion", at_minute=600), after_ms=0)
    day = {"month": 12, "day": 24}
    alice = Customer(book(replace(mums, purpose="service")))
    alice.fold(facts.OccasionSaved(**base(1), name="mum", **day))
    alice.fold(facts.OccasionSaved(**base(2), name="dad", **day))
    found = decided(alice, next_due(alice.identity) or 0)
    assert sorted(fact.subject for fact in found) == ["dad", "mum"]
    assert {due for _, due, _ in alice.waiting} != set()
    assert len(alice.waiting) == 2


def test_a_scenario_that_the_book_has_no_more_is_passed_over() -> None:
    alice = Customer(book(CART))
    alice.fold(carted(1, NOW))
    alice.rules = alice.rules._replace(book=book())
    assert dropped(alice, NOW + HOUR) == {("cart_abandoned", "scenario_gone"): 1}
    assert next_due(alice.identity) is None


def test_quiet_hours_hold_until_the_customers_morning() -> None:
    quiet = replace(POLICY, quiet=QuietHours(begin=21 * 60, end=8 * 60))
    alice = Customer(book(scenario(life_ms=2 * DAY), policy=quiet))
    alice.fold(facts.TraitsSet(**base(1, NOW), traits={"timezone": "Asia/Tokyo"}), carted(2, NOW))
    night = 1_760_097_600_000  # 2025-10-10 12:00 UTC, 21:00 in Tokyo
    (fact,) = decided(alice, night)
    assert (fact.verdict, fact.reason, fact.retry_at) == ("hold", "quiet_hours", night + 11 * HOUR)


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
