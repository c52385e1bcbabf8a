"""What is said of a scenario agrees with its conditions, and says what only its moment decides."""

from itertools import pairwise
from typing import Any

import pytest

from services.profile.contact import Hold
from services.profile.explain.answer import ConditionNow, Explained, MomentNow, ScenarioNow
from services.profile.explain.conditions import condition_now
from services.profile.explain.explaining import explain
from services.profile.explain.wording import words
from services.profile.identity import OutboxEntry
from services.profile.moments.around import Around
from services.profile.moments.context import MomentContext
from services.profile.moments.firing import fire
from services.profile.moments.waiting import Waiting
from services.profile.scenarios.reading import read
from shared import events as facts
from shared.catalogue import ItemChanged
from tests.unit.profile.builders import DAY, HOUR, MINUTE, NOW, base, bought, carted, viewed
from tests.unit.profile.moments.books import Customer
from tests.unit.profile.scenarios.stories import BOOK, CATALOGUE

WISHED = facts.WishlistAdded(**base(50), item="lamp")
DENIED = facts.ConsentChanged(**base(51), purpose="marketing", granted=False)
HISTORIES: dict[str, list[facts.AnyFact]] = {
    "looked": [viewed(1)],
    "wished": [viewed(1), WISHED],
    "left a cart": [viewed(1), carted(2)],
    "bought": [bought(1), viewed(2, NOW + DAY)],
    "bought often": [bought(n, NOW - (9 - n) * 10 * DAY) for n in range(6)],
    "wants nothing": [DENIED, viewed(1), carted(2)],
}


def customer(*sequence: facts.AnyFact, items: dict[str, ItemChanged] = CATALOGUE) -> Customer:
    found = Customer(BOOK, around=Around(items=items))
    found.fold(*sequence)
    return found


def explained(found: Customer, now: int = NOW) -> Explained:
    return explain(found.identity, BOOK, found.rules.around, now, "own.yaml")


def of(answer: Explained, name: str) -> ScenarioNow:
    return next(one for one in answer.scenarios if one.name == name)


def line(answer: Explained, name: str) -> str:
    return next(each for each in words(answer).splitlines() if each.startswith(f"  {name}"))


def agrees(told: ScenarioNow | MomentNow) -> bool:
    asked = [each for each in (told.when, told.recheck) if each is not None]
    if told.blocked_by in {"when", "recheck"}:
        return any(each.holds is False for each in asked)
    if told.blocked_by is not None:
        return True
    open_ones = {on for each in asked if each.holds is None for on in each.depends_on}
    return all(each.holds is not False for each in asked) and open_ones <= set(told.depends_on)


@pytest.mark.parametrize("after", [0, HOUR, 3 * DAY, 200 * DAY])
@pytest.mark.parametrize("history", HISTORIES)
def test_nothing_would_be_sent_against_its_own_conditions(history: str, after: int) -> None:
    answer = explained(customer(*HISTORIES[history]), NOW + after)

    for one in answer.scenarios:
        for told in (one, *one.moments):
            assert agrees(told), told
    lines = words(answer).splitlines()
    for head, below in pairwise(lines):
        if head.endswith("would be sent"):
            assert "does not hold" not in below
            assert "depends on" not in below


def test_a_condition_that_is_false_is_what_holds_a_scenario_back() -> None:
    answer = explained(customer(viewed(1)))

    assert of(answer, "cart_abandoned").blocked_by == "recheck"
    assert of(answer, "first_purchase_thanks").blocked_by == "when"
    assert line(answer, "cart_abandoned").endswith(
        "held back by recheck: profile.cart_in_stock && !('needs_care' in profile.segments)"
    )
    assert line(answer, "first_purchase_thanks").endswith("held back by when: profile.orders == 1")


def test_a_moment_and_its_conditions_are_as_of_its_time() -> None:
    answer = explained(customer(viewed(1), WISHED), NOW + MINUTE)

    (moment,) = of(answer, "wishlist_reminder").moments
    assert (moment.blocked_by, moment.when) == (None, None)
    assert moment.recheck is not None
    assert moment.recheck.holds is True
    assert moment.recheck.values["profile.days_since_seen"] == 14
    lines = words(answer).splitlines()
    head = lines.index(line(answer, "wishlist_reminder"))
    assert lines[head].endswith("(lamp): would be sent")
    assert lines[head + 1].startswith("    recheck holds: item.wished")


def test_what_would_be_sent_at_its_time_is_sent() -> None:
    found = customer(viewed(1), WISHED)
    (moment,) = of(explained(found), "wishlist_reminder").moments

    while (fired := fire(found.identity, found.rules, moment.due)).stated:
        found.fold_outbox()
    made = fired.decisions.made

    assert [(each.scenario and each.scenario.name, each.verdict) for each in made] == [
        ("wishlist_reminder", "send")
    ]


def test_an_item_that_nobody_knows_yet_is_what_it_depends_on() -> None:
    answer = explained(customer(viewed(1)))

    news = of(answer, "back_in_stock")
    assert (news.blocked_by, news.value, news.depends_on) == (None, None, ["item"])
    assert line(answer, "back_in_stock").endswith("): depends on the item")
    assert line(answer, "feedback_recovery").endswith("): depends on the event")
    assert line(answer, "post_purchase_care").endswith("): depends on the order")


def test_what_is_against_it_whatever_the_item_is_said_all_the_same() -> None:
    assert of(explained(customer(DENIED, viewed(1))), "back_in_stock").blocked_by == "consent"
    at_night = line(explained(customer(viewed(1)), NOW + 14 * HOUR), "back_in_stock")
    assert "held back by quiet_hours until 2025-10-10 08:00 UTC" in at_night
    assert at_night.endswith(", then depends on the item")


def test_without_a_catalogue_a_moment_about_an_item_is_not_said_to_be_held_back() -> None:
    answer = explained(customer(viewed(1), WISHED, items={}))

    (moment,) = of(answer, "wishlist_reminder").moments
    assert (moment.blocked_by, moment.value, moment.depends_on) == (None, None, ["item"])
    assert answer.warnings == ["no catalogue was read: nothing is known of items"]


def test_a_timer_that_was_put_off_is_told_by_its_new_time() -> None:
    found = customer(bought(1), viewed(2, NOW + 30 * DAY))
    (waits,) = [each for each in found.identity.waiting if each.scenario == "win_back"]

    (moment,) = of(explained(found, NOW + 31 * DAY), "win_back").moments

    assert waits.due < NOW + 181 * DAY < NOW + 210 * DAY <= moment.due < NOW + 211 * DAY
    assert moment.blocked_by is None


def test_a_held_timer_that_has_moved_says_where_to() -> None:
    found = customer(bought(1))
    found.identity.profile.contact.holds["t"] = Hold(
        "win_back", NOW + HOUR, NOW + DAY, 1, "timer:inactive:1", NOW - DAY, NOW - DAY
    )
    found.identity.waiting = []

    answer = explained(found)

    (moment,) = of(answer, "win_back").moments
    assert moment.blocked_by == "moved"
    assert line(answer, "win_back").endswith(
        "is asked again in 60 min: held back by moved: its timer comes at 2026-04-07 10:00 UTC now"
    )


def test_a_timer_without_a_time_says_so() -> None:
    said = line(explained(customer(bought(1))), "birthday")

    assert said.endswith("(on timer birthday): no time for it is known; then would be sent")


@pytest.mark.parametrize(
    ("when", "holds"),
    [
        ("event.item == 'x'", None),
        ("event.item == 'x' && profile.orders == 1", None),
        ("event.item == 'x' && profile.orders > 1", False),
        ("event.item == 'x' || profile.orders > 1", None),
        ("event.item == 'x' || profile.orders == 1", True),
        ("!(event.item == 'x' && profile.orders > 1)", True),
        ("!(event.item == 'x')", None),
        # More than is worked out: it is not said to be false.
        ("event.item == 'x' && profile.orders + 1.0 > 5", None),
        ("profile.orders + 1.0 > 5", False),
    ],
)
def test_a_condition_is_decided_as_far_as_what_is_known_decides_it(
    when: str, holds: bool | None
) -> None:
    text = f"""
version: v1
policy: {{purposes: {{marketing: {{basis: consent}}}}}}
scenarios:
  - {{name: one, on: item_viewed, when: "{when}", purpose: marketing, channels: [email]}}
"""
    (scenario,) = read(text.encode(), "scenarios.yaml").scenarios
    context = MomentContext(customer(bought(1)).identity.profile, Around(), NOW)

    found = condition_now(scenario.when, context, frozenset(["event"]))

    assert found is not None
    assert found.holds is holds
    assert found.depends_on == (["event"] if "event" in when else [])


def test_no_condition_is_no_answer() -> None:
    context = MomentContext(customer().identity.profile, Around(), NOW)

    found: ConditionNow | None = condition_now(None, context, frozenset())

    assert found is None


def test_the_first_line_names_file_and_version() -> None:
    answer = explained(customer(viewed(1)))

    assert words(answer).splitlines()[0] == (
        "customer alice at 2025-10-09 08:53 UTC, judged by scenarios shipped-1 of own.yaml"
    )
    assert answer.warnings == []


def decided(version: str) -> OutboxEntry:
    told: dict[str, Any] = {"trigger_id": "t", "scenario": "birthday", "channel": "email"}
    told |= {"verdict": "send", "reason": "allowed", "version": version, "trigger": b"{}"}
    fact = facts.MessageDecided(**base(60), **told)
    return OutboxEntry(fact.event_id, "c:alice", facts.encode(fact), "")


def test_what_the_service_did_by_another_file_is_warned_of() -> None:
    found = customer(viewed(1))
    found.identity.outbox += [decided("v9"), decided(BOOK.version)]
    found.identity.waiting.append(Waiting(NOW + HOUR, "own_letter", "e", NOW))
    found.identity.profile.contact.segments["whales"] = NOW

    answer = explained(found)

    version, waits, places = answer.warnings
    assert version == "the service goes by version v9, this is shipped-1"
    assert "own_letter" in waits
    assert "whales" in places
    assert sum("beware" in each for each in words(answer).splitlines()) == 3
