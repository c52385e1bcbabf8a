"""Decides what is due for a customer as the timer loop does, states it and folds it."""

from msgspec.structs import replace

from services.profile.arbiter.policy import Budget
from services.profile.moments.firing import fire
from services.profile.moments.stating import state
from shared import events as facts
from tests.unit.profile.builders import DAY
from tests.unit.profile.moments.books import POLICY, Customer

DAILY = replace(POLICY, budgets=(Budget(messages=1, window_ms=DAY),))


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
