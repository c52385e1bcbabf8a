"""The cart timer: fires once when due, re-validated against the state, decided by the arbiter."""

import msgspec
import pytest

from services.profile.identity import Delivery, Identity, apply
from services.profile.triggers.arbiter import DAILY_BUDGET, decide
from services.profile.triggers.cart_abandoned import DELAY_MS, LIFETIME_MS
from services.profile.triggers.timers import AT_ONCE, Fired, fire, next_due
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


@pytest.mark.parametrize(
    "since", [bought(2, NOW + DELAY_MS + 1), carted(2, NOW + DELAY_MS + 1, "mug")]
)
def test_a_decision_that_the_log_may_not_have_is_stated_until_it_folds(since: facts.Fact) -> None:
    """Whatever became of the cart: a process that died before it published must not silence it."""
    identity = customer(carted(1, NOW))
    stated = fire(identity, NOW + DELAY_MS).stated
    assert stated is not None
    apply(identity, Delivery(since, 0, 1))  # type: ignore[arg-type]
    assert next_due(identity) == AT_ONCE
    assert fire(identity, NOW + DELAY_MS + 2) == Fired(standing=(stated,))
    assert fire(identity, NOW + 3 * DELAY_MS) == Fired(standing=(stated,))
    state_folds(identity, 10)
    assert next_due(identity) == (
        None if isinstance(since, facts.Purchased) else since.occurred_at + DELAY_MS
    )


def test_an_earlier_due_time_is_not_decided_after_a_later_one() -> None:
    identity = customer(carted(1, NOW, "lamp"), carted(2, NOW + HOUR, "mug"))
    fire(identity, NOW + HOUR + DELAY_MS)
    state_folds(identity, 10)
    apply(identity, Delivery(bought(3, NOW + 2 * HOUR, "mug"), 0, 11))
    assert next_due(identity) is None


def test_a_moment_whose_message_would_be_born_expired_is_passed_over() -> None:
    identity = customer(carted(1, NOW))
    late = NOW + DELAY_MS + LIFETIME_MS
    assert fire(identity, late) == Fired()
    assert fire(identity, late - 1).stated is not None


def test_ids_follow_from_customer_and_due_time_alone() -> None:
    ids = {
        fired.fact_id
        for identity, now in (
            (customer(carted(1, NOW)), NOW + DELAY_MS),
            (customer(carted(7, NOW, "mug"), carted(8, NOW - 1)), NOW + 5 * DELAY_MS),
        )
        if (fired := fire(identity, now).stated) is not None
    }
    assert len(ids) == 1
    for other in (customer(carted(1, NOW), key="c:bob"), customer(carted(1, NOW + 1))):
        stated = fire(other, NOW + 2 * DELAY_MS).stated
        assert stated is not None
        assert stated.fact_id not in ids


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
