"""Revenue against the holdout, weeks, and the calendar cap that messages are compared with."""

from dataclasses import replace
from random import Random

import pytest

from services.commands.bench.triggers_calendar import Moment, people_of, play, with_volume
from services.commands.bench.triggers_statistics import (
    counted,
    falls,
    incremental_revenue,
    moments_of,
    moments_per_week,
    rises,
    volume_per_week,
    whole_weeks,
)
from services.simulator.world import WORLDS
from tests.unit.commands.bench.logs import DAY, HOUR, START, Log, rules

PEOPLE = people_of(1, 120)


def shop(extra: int, customers: int = 300) -> Log:
    """Every third customer is held out; treated ones spend `extra` more."""
    log, random = Log(), Random(1)
    for number in range(customers):
        customer, treated = f"c{number}", number % 3
        arm = "treated" if treated else "held_out"
        log.bought("lamp", START - DAY, customer, total=10_000)
        log.fact("arm_assigned", START, customer, experiment="holdout", arm=arm)
        spent = random.randint(0, 1_000) + (extra if treated else 0)
        log.bought("lamp", START + DAY, customer, total=spent)
        log.bought("lamp", START + 90 * DAY, customer, total=10_000)
    return log


def test_revenue_is_counted_from_the_assignment_to_the_end() -> None:
    found = incremental_revenue(shop(300).gathered, START + 60 * DAY, seed=1)
    low, high = found["ci95"]
    assert 0 < low < 300 < high < 420
    assert found["customers"] == {"treated": 200, "held_out": 100, "contaminated": 0}


def test_without_an_effect_the_interval_covers_nothing() -> None:
    low, high = incremental_revenue(shop(0).gathered, START + 60 * DAY, seed=1)["ci95"]
    assert low < 0 < high


def test_conflicting_arms_are_left_out() -> None:
    log = shop(0)
    for number in range(1, 300, 3):
        log.bought("lamp", START + DAY, f"c{number}", total=10_000)
        log.fact("arm_assigned", START, f"c{number}", experiment="contaminated", arm="true")
    found = incremental_revenue(log.gathered, START + 60 * DAY, seed=1)
    assert found["customers"] == {"treated": 100, "held_out": 100, "contaminated": 100}
    assert found["ci95"][0] < 0 < found["ci95"][1]


def test_nothing_is_claimed_without_a_holdout() -> None:
    log = Log()
    log.fact("arm_assigned", START, experiment="holdout", arm="treated")
    found = incremental_revenue(log.gathered, START + DAY, seed=1)
    assert found["estimate"] is None


def test_the_same_order_twice_is_one() -> None:
    log = Log()
    fact = {
        "type": "purchased",
        "event_id": "e",
        "occurred_at": START,
        "customer": "alice",
        "lines": [],
        "total": 5,
    }
    log.gathered.event(fact, 1)
    log.gathered.event(fact, 2)
    assert log.gathered.revenue["alice"] == [(START, 5)]


def test_weeks_and_verdicts_are_counted() -> None:
    log = Log()
    for day in (0, 1, 8, 20):
        log.send("cart", START + day * DAY)
    assert volume_per_week(log.gathered, START, START + 21 * DAY) == [2, 1, 1]
    assert moments_per_week(log.gathered, START, START + 20 * DAY) == [2, 1, 0]
    assert whole_weeks([2, 1, 1], START, START + 20 * DAY) == [2, 1]
    assert counted(log.gathered)["sent_by_scenario"] == {"cart": 4}


@pytest.mark.parametrize(
    ("volumes", "moments", "risen", "fallen"),
    [
        ([900, 400, 200, 120], [1, 1, 1, 1], [], True),
        ([900, 400, 200, 240], [1, 1, 1, 1], [], False),
        ([900, 200, 160, 200], [1, 1, 1, 1], [], True),
        ([900, 100, 160, 150], [5, 5, 5, 5], [2], False),
        ([900, 100, 160, 150], [500, 500, 800, 700], [], True),
        ([900, 100, 160, 150], [800, 800, 500, 500], [2], False),
        ([900, 900, 900, 900], [1, 1, 1, 1], [], False),
        ([900, 400], [1, 1], [], True),
        ([900, 500], [1, 1], [], False),
        ([900], [1], [], False),
    ],
)
def test_week_by_week_means_each_week(volumes, moments, risen, fallen) -> None:
    assert rises(volumes, moments) == risen
    assert falls(volumes, moments) == fallen


def test_moments_are_those_of_which_one_could_have_spoken() -> None:
    log = Log()
    for attempt, verdict, reason in (
        (1, "hold", "budget"),
        (2, "send", "allowed"),
        (1, "suppress", "holdout"),
        (1, "suppress", "consent"),
    ):
        log.fact(
            "message_decided",
            START,
            trigger_id=reason,
            scenario="cart",
            channel="email",
            verdict=verdict,
            reason=reason,
            attempt=attempt,
        )
    assert [each.id for each in moments_of(log.gathered, rules())] == ["budget"]


def moments(each_day: int, days: int = 20) -> list[Moment]:
    return [
        Moment(f"{customer}-{day}-{number}", customer, "cart", "email", at)
        for customer in PEOPLE
        for day in range(days)
        for number in range(each_day)
        if (at := START + day * DAY + number * HOUR)
    ]


def test_a_calendar_cap_holds_by_day_and_starts_anew_at_midnight() -> None:
    [customer, *_] = PEOPLE
    zone = "UTC"
    late = [Moment(f"m{n}", customer, "cart", "onsite", START + n * HOUR) for n in (10, 11, 13, 14)]
    effects = WORLDS["null"]
    assert play(late, 1, 1.0, PEOPLE, effects, 1, zone).sent <= 2
    assert play(late, 2, 1.0, PEOPLE, effects, 1, zone).sent >= 2


def test_the_volume_is_met() -> None:
    patient = replace(WORLDS["null"], unsubscribe=0.0)
    found = with_volume(moments(3), 1_000, PEOPLE, patient, 1, "UTC")
    assert found.cap == 1
    assert abs(found.sent - 1_000) < 20
    more = with_volume(moments(3), 3_000, PEOPLE, patient, 1, "UTC")
    assert more.cap == 2
    assert abs(more.sent - 3_000) < 30


def test_more_messages_cost_more_customers() -> None:
    few, many = (
        play(moments(each), 9, 1.0, PEOPLE, WORLDS["default"], 1, "UTC") for each in (1, 4)
    )
    assert few.unsubscribed / few.sent < 0.7 * many.unsubscribed / many.sent
