"""What is near firing for a customer and what holds it back: known states, known answers."""

from typing import Any

import pytest

from services.profile.arbiter.policy import Policy
from services.profile.explain.answer import Explained, ScenarioNow
from services.profile.explain.explaining import explain
from services.profile.explain.wording import words
from services.profile.moments.firing import fire
from services.profile.moments.stating import state
from services.profile.scenarios.reading import read
from shared import events as facts
from tests.unit.profile.builders import DAY, HOUR, MINUTE, NOW, base, bought, carted, viewed
from tests.unit.profile.moments.books import Customer, book

BOOK = read(
    b"""
version: v7
zone: UTC
policy:
  budgets:
    - {messages: 1, window: 24h}
    - {messages: 2, window: 7d, channel: push}
  quiet_hours: {from: "21:00", to: "08:00", channels: [email]}
  purposes:
    marketing: {basis: consent}
segments:
  - {name: regular, when: profile.orders >= 2}
scenarios:
  - name: cart_abandoned
    on: cart_added
    when: profile.cart_items > 0
    after: 1h
    life: 48h
    recheck: profile.cart_items > 0 && profile.orders < 9
    cooldown: 24h
    purpose: marketing
    channels: [email, push]
  - name: browse_abandoned
    on: item_viewed
    when: event.item != "mug" && profile.cart_items == 0
    after: 2h
    purpose: marketing
    channels: [email]
    value: "100.0"
  - name: gone
    on: {timer: inactive, after: 30d}
    when: profile.days_since_order > 5
    purpose: marketing
    channels: [email]
""",
    "scenarios.yaml",
)


def customer(*sequence: facts.AnyFact) -> Customer:
    found = Customer(BOOK)
    found.fold(*sequence)
    return found


def decide(found: Customer, now: int) -> None:
    """What is due is decided, and comes back from the log."""
    rules = found.rules
    for entry in found.identity.outbox:
        raise AssertionError(entry)
    fired = fire(found.identity, rules, now)
    made = fired.decisions.made
    state(found.identity, made, {}, rules.book, rules.around, now)
    found.fold_outbox()


def explained(found: Customer, now: int) -> Explained:
    return explain(found.identity, BOOK, found.rules.around, now)


def of(answer: Explained, name: str) -> ScenarioNow:
    return next(one for one in answer.scenarios if one.name == name)


def test_a_moment_that_waits_is_told_with_its_time() -> None:
    answer = explained(customer(carted(1, NOW)), NOW + MINUTE)

    cart = of(answer, "cart_abandoned")
    (moment,) = cart.moments
    assert (moment.state, moment.due, moment.attempt) == ("waiting", NOW + HOUR, 1)
    assert moment.expires_at == NOW + 49 * HOUR
    assert moment.blocked_by is None
    assert (cart.begins, answer.version) == ("cart_added", "v7")


def test_conditions_come_with_the_values_of_their_variables() -> None:
    answer = explained(customer(carted(1, NOW)), NOW + MINUTE)

    recheck = of(answer, "cart_abandoned").recheck
    assert recheck is not None
    assert recheck.holds is True
    assert recheck.values == {"profile.cart_items": 1.0, "profile.orders": 0.0}
    when = of(answer, "browse_abandoned").when
    assert when is not None
    assert when.holds is False
    assert when.depends_on == ["event"]
    assert when.values == {"event.item": None, "profile.cart_items": 1.0}
    gone = of(answer, "gone").recheck
    assert gone is not None
    assert gone.values == {"profile.days_since_order": None}


def test_a_cart_that_was_emptied_is_held_back_by_its_recheck() -> None:
    removed = facts.CartRemoved(**base(2, NOW + MINUTE), item="lamp")
    answer = explained(customer(carted(1, NOW), removed), NOW + 2 * MINUTE)

    assert of(answer, "cart_abandoned").moments[0].blocked_by == "recheck"


def test_budgets_cool_downs_and_holds_come_with_the_time_they_end() -> None:
    found = customer(carted(1, NOW))
    decide(found, NOW + HOUR)
    found.fold(viewed(2, NOW + 2 * HOUR), bought(3, NOW + 2 * HOUR, "lamp"))
    found.fold(viewed(4, NOW + 2 * HOUR, "rug"))
    decide(found, NOW + 4 * HOUR)
    found.fold(carted(5, NOW + 5 * HOUR))

    answer = explained(found, NOW + 5 * HOUR)

    free = NOW + HOUR + DAY
    first = answer.budgets[0]
    assert (first.used, first.left, first.free_at) == (1, 0, free)
    assert answer.budgets[1].channel == "push"
    assert of(answer, "cart_abandoned").cooldown_until == free
    assert of(answer, "cart_abandoned").last_sent == NOW + HOUR
    (held,) = of(answer, "browse_abandoned").moments
    assert (held.state, held.attempt, held.value) == ("held", 2, 100.0)
    assert held.due > free - 1
    assert of(answer, "cart_abandoned").blocked_by == "cooldown"
    assert answer.channels[0].sent == 1


def test_quiet_hours_are_told_by_the_customers_clock() -> None:
    zone = facts.TraitsSet(**base(2, NOW), traits={"timezone": "Asia/Tokyo"})
    before = bought(3, NOW - 10 * DAY)
    answer = explained(customer(before, carted(1, NOW), zone), NOW + 5 * HOUR)

    # 08:53 in UTC and 17:53 in Tokyo, and five hours later.
    assert answer.zone == "Asia/Tokyo"
    assert answer.local_time.startswith("2025-10-09T22:53")
    assert answer.quiet_until is not None
    assert of(answer, "gone").blocked_by == "quiet_hours"
    assert of(answer, "gone").retry_at == answer.quiet_until


def test_consent_is_told_by_purpose_and_channel() -> None:
    denied = facts.ConsentChanged(
        **base(1, NOW), purpose="marketing", granted=False, channel="email"
    )
    answer = explained(customer(denied, viewed(2, NOW)), NOW)

    assert {(one.channel, one.allowed) for one in answer.consents} == {
        ("email", False),
        ("push", True),
    }
    assert of(answer, "browse_abandoned").blocked_by == "consent"
    assert of(answer, "cart_abandoned").allowed_channels == ["push"]


def test_a_timer_says_when_it_comes() -> None:
    answer = explained(customer(viewed(1, NOW)), NOW + DAY)

    assert of(answer, "gone").next == NOW + 30 * DAY


def test_segments_and_arms_are_told() -> None:
    found = customer(carted(1, NOW))
    found.fold(bought(2, NOW), bought(3, NOW + MINUTE), now=NOW + MINUTE)
    found.fold_outbox()

    assert list(explained(found, NOW + HOUR).segments) == ["regular"]


@pytest.mark.parametrize("hours", [0, 1, 12])
def test_the_words_say_the_same(hours: int) -> None:
    found = customer(carted(1, NOW))
    if hours:
        decide(found, NOW + HOUR)
    text = words(explained(found, NOW + hours * HOUR))

    assert text.startswith("customer alice at 2025-10-09")
    assert ("1 of 1 in 24 h used" in text) == bool(hours)
    assert ("cart_abandoned: is decided in 60 min (lamp): would be sent" in text) == (not hours)
    assert "profile.cart_items = 1" in text
    assert text.isascii()


def test_asking_changes_nothing() -> None:
    found = customer(carted(1, NOW), viewed(2, NOW + MINUTE))
    before: Any = (list(found.identity.waiting), len(found.identity.outbox))

    assert explained(found, NOW + DAY) == explained(found, NOW + DAY)

    assert (found.identity.waiting, len(found.identity.outbox)) == before


def test_a_book_without_scenarios_is_explained_too() -> None:
    found = Customer(book(policy=Policy()))

    answer = explain(found.identity, found.rules.book, found.rules.around, NOW)

    assert answer.scenarios == []
    assert "nothing is near firing" in words(answer)
