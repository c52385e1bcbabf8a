"""What is held: until when, and what ends it."""

from typing import Any

import pytest
from msgspec.structs import replace

from services.profile.arbiter.policy import Policy, QuietHours
from services.profile.moments.due import next_due
from services.profile.scenarios.book import OnFact
from shared import events as facts
from tests.unit.profile.builders import DAY, HOUR, NOW, base, carted, viewed
from tests.unit.profile.moments.books import NEVER, POLICY, Customer, When, book, scenario
from tests.unit.profile.moments.verdicts import DAILY, decided


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


def test_what_is_held_beyond_what_is_kept_is_given_up_by_a_fact() -> None:
    night = QuietHours(begin=0, end=1439)
    names = [f"s{number:02}" for number in range(20)]
    lives = {name: (20 - number) * DAY for number, name in enumerate(names)}
    scenarios = [scenario(name, life_ms=lives[name]) for name in names]
    scenarios += [scenario("late", OnFact(fact="item_viewed"), life_ms=30 * DAY)]
    alice = Customer(book(*scenarios, policy=replace(POLICY, quiet=night)))
    alice.fold(carted(1, NOW))
    verdicts = {fact.scenario: (fact.verdict, fact.reason) for fact in decided(alice, NOW + HOUR)}
    assert {name for name in names if verdicts[name] == ("suppress", "crowded")} == set(names[16:])
    assert len(alice.identity.profile.contact.holds) == 16
    alice.fold(viewed(2, NOW + HOUR))
    given_up, held_now = decided(alice, NOW + 2 * HOUR)
    assert (given_up.scenario, given_up.reason, given_up.attempt) == (names[15], "crowded", 2)
    assert (held_now.scenario, held_now.verdict) == ("late", "hold")
    assert len(alice.identity.profile.contact.holds) == 16


def test_a_hold_is_asked_no_more_often_than_a_fact_can_count() -> None:
    alice, retry_at = held()
    holds = alice.identity.profile.contact.holds
    ((known, hold),) = holds.items()
    holds[known] = replace(hold, attempt=998)
    assert decided(alice, retry_at)[0].verdict == "send"
    alice, retry_at = held()
    alice.identity.profile.contact.holds[known] = replace(hold, attempt=999)
    (fact,) = decided(alice, retry_at)
    assert (fact.verdict, fact.reason, fact.attempt) == ("suppress", "expired", 1_000)


def test_a_verdict_names_its_basis_in_law() -> None:
    for purpose, basis in (("marketing", "consent"), ("service", "contract")):
        alice = Customer(book(scenario(purpose=purpose)))
        alice.fold(carted(1, NOW))
        assert [fact.basis for fact in decided(alice, NOW + HOUR)] == [basis]


def test_a_newer_moment_ends_the_hold_of_an_older_one() -> None:
    alice, _ = held()
    alice.fold(carted(6, NOW + 4 * HOUR, "rug"))
    old, new = sorted(decided(alice, NOW + 5 * HOUR), key=lambda fact: fact.moment_at or 0)
    assert (old.verdict, old.reason, old.cause) == ("suppress", "superseded", "event-2")
    assert (new.verdict, new.cause, new.attempt) == ("hold", "event-6", 1)
    assert list(alice.identity.profile.contact.holds) == [new.trigger_id]


def test_quiet_hours_hold_until_the_customers_morning() -> None:
    quiet = replace(POLICY, quiet=QuietHours(begin=21 * 60, end=8 * 60))
    alice = Customer(book(scenario(life_ms=2 * DAY), policy=quiet))
    alice.fold(facts.TraitsSet(**base(1, NOW), traits={"timezone": "Asia/Tokyo"}), carted(2, NOW))
    night = 1_760_097_600_000  # 2025-10-10 12:00 UTC, 21:00 in Tokyo
    (fact,) = decided(alice, night)
    assert (fact.verdict, fact.reason, fact.retry_at) == ("hold", "quiet_hours", night + 11 * HOUR)
