"""The cart timer: fires once when due, re-validated against the state, decided by the arbiter."""

import msgspec

from services.profile.identity import Delivery, Identity, apply
from services.profile.triggers.arbiter import DAILY_BUDGET, decide
from services.profile.triggers.cart_abandoned import DELAY_MS
from services.profile.triggers.timers import Fired, fire, next_due
from shared import events as facts
from shared.triggers import Suppression, decode
from tests.unit.profile.builders import DAY, HOUR, NOW, base, bought, carted


def customer(*sequence: facts.Fact, key: str = "c:alice") -> Identity:
    identity = Identity(key)
    for offset, fact in enumerate(sequence):
        apply(identity, Delivery(fact, 0, offset))
    return identity


def state_folds(identity: Identity, offset: int) -> facts.MessageDecided:
    fact = facts.decode(identity.outbox[0].value)
    assert isinstance(fact, facts.MessageDecided)
    apply(identity, Delivery(fact, 0, offset))
    return fact


def test_a_cart_is_due_an_hour_after_it_was_last_touched() -> None:
    identity = customer(carted(1, NOW), carted(2, NOW + HOUR, "mug"))
    assert next_due(identity) == NOW + HOUR + DELAY_MS


def test_a_timer_before_its_time_only_says_when_to_look_again() -> None:
    identity = customer(carted(1, NOW))
    assert fire(identity, NOW + DELAY_MS - 1).later == NOW + DELAY_MS
    assert identity.outbox == []


def test_a_due_timer_states_the_trigger_with_items_and_evidence() -> None:
    identity = customer(carted(1, NOW), carted(2, NOW + 1, "mug"))
    fired = fire(identity, NOW + DELAY_MS + 1)
    assert fired.stated is not None
    fact = facts.decode(fired.stated.value)
    assert isinstance(fact, facts.MessageDecided)
    trigger = decode(fact.trigger)
    assert (fact.verdict, trigger.channel, trigger.customer) == ("send", "email", "alice")
    assert trigger.payload.items == ["mug", "lamp"]
    assert trigger.evidence == ["event-2", "event-1"]


def test_firing_again_before_the_fold_finds_the_entry_standing() -> None:
    identity = customer(carted(1, NOW))
    first = fire(identity, NOW + DELAY_MS).stated
    again = fire(identity, NOW + DELAY_MS + 5_000)
    assert again.stated is None
    assert again.standing == (first,)


def test_the_fold_of_the_verdict_empties_the_outbox_and_ends_the_timer() -> None:
    identity = customer(carted(1, NOW))
    fire(identity, NOW + DELAY_MS)
    state_folds(identity, 10)
    assert identity.outbox == []
    assert next_due(identity) is None
    assert fire(identity, NOW + DELAY_MS + 1) == Fired()


def test_the_same_moment_always_has_the_same_ids() -> None:
    one, two = customer(carted(1, NOW)), customer(carted(1, NOW))
    a = fire(one, NOW + DELAY_MS).stated
    b = fire(two, NOW + DELAY_MS + 999).stated
    assert a is not None
    assert b is not None
    assert a.fact_id == b.fact_id


def test_a_purchase_in_the_meantime_silences_the_timer() -> None:
    identity = customer(carted(1, NOW), bought(2, NOW + 1))
    assert fire(identity, NOW + DELAY_MS + 1) == Fired()


def test_anonymous_visitors_get_no_messages() -> None:
    identity = customer(carted(1, NOW, anonymous="v"), key="a:v")
    assert next_due(identity) is None


def test_a_denial_suppresses_and_says_why() -> None:
    denial = facts.ConsentChanged(**base(2), purpose="marketing", channel="email", granted=False)
    identity = customer(carted(1, NOW), denial)
    fired = fire(identity, NOW + DELAY_MS)
    assert fired.stated is not None
    fact = facts.decode(fired.stated.value)
    assert isinstance(fact, facts.MessageDecided)
    assert (fact.verdict, fact.reason) == ("suppress", "consent")
    assert msgspec.json.decode(fact.trigger, type=Suppression).suppressed_by == "consent"


def test_the_budget_of_a_rolling_day_holds() -> None:
    identity = customer(carted(1, NOW))
    fire(identity, NOW + DELAY_MS)
    sent = state_folds(identity, 10).occurred_at
    for at, verdict in ((sent + DAY - 1, "suppress"), (sent + DAY, "send")):
        decision = decide(identity.profile, "email", at)
        assert decision.verdict == verdict
    assert decide(identity.profile, "email", sent + 1).retry_at == sent + DAY
    assert DAILY_BUDGET == 1
