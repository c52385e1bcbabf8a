"""What becomes of named timers when they are due."""

from msgspec.structs import replace

from services.profile.moments.due import next_due
from services.profile.moments.firing import fire
from services.profile.scenarios.book import OnTimer
from shared import events as facts
from shared.triggers import decode
from tests.unit.profile.builders import DAY, HOUR, NOW, base, viewed
from tests.unit.profile.moments.books import NEVER, Customer, book, scenario
from tests.unit.profile.moments.verdicts import decided, dropped

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


def test_a_timer_that_another_book_brings_forward_is_not_put_off_for_a_year() -> None:
    """The entry of ten o'clock stands; by now the birthday is told at nine."""
    alice = Customer(book(BIRTHDAY))
    alice.fold(BORN)
    earlier = replace(BIRTHDAY, on=OnTimer(timer="birthday", at_minute=540))
    alice.rules = alice.rules._replace(book=book(earlier))
    (fact,) = decided(alice, CHRISTMAS_EVE)
    assert (fact.due, fact.cause) == (CHRISTMAS_EVE - HOUR, "timer:birthday:2025")
    next_year = ("birthday", CHRISTMAS_EVE - HOUR + 365 * DAY, "timer:birthday:2026")
    assert alice.waiting == [next_year]
    # Looked at again within the life of what was said: it is not said once more.
    alice.identity.waiting = [replace(alice.identity.waiting[0], due=CHRISTMAS_EVE + 1)]
    assert decided(alice, CHRISTMAS_EVE + 1) == []
    assert alice.waiting == [next_year]


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
