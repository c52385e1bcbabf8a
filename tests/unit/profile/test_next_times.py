"""Named timers: each by hand, and what all of them promise."""

from datetime import datetime
from typing import get_args
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.profile.component import DAY_MS, Component
from services.profile.moments.around import Around
from services.profile.prediction import Lifetime
from services.profile.registers import Occasion, Trait
from services.profile.scenarios.book import OnTimer
from services.profile.state import Profile
from services.profile.timers.due import Due
from services.profile.timers.expected import NOTHING_LEARNED
from services.profile.timers.next_times import MOST_AT_ONCE, MOVED_BY, TIMERS, next_times
from shared import events
from shared.catalogue import ItemChanged
from shared.lifetime import BuyingRate, Lifetimes

FITTED = Lifetime(Lifetimes(BuyingRate(r=0.8, alpha=40.0, a=1.2, b=3.0)))


def at(text: str, zone: str = "Europe/Berlin") -> int:
    local = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))
    return int(local.timestamp()) * 1_000


NOW = at("2026-11-23T12:00")


def traits(**values: object) -> dict[str, Trait]:
    return {name: Trait(1, 1, value) for name, value in values.items()}


def asked(
    component: Component, name: str, after: int = NOW, around: Around | None = None, **fields: float
) -> list[Due]:
    timer = OnTimer(timer=name, **fields)  # type: ignore[arg-type]
    return next_times(timer, Profile(component), around or Around(zone="Europe/Berlin"), after)


def test_a_birthday_comes_each_year_in_the_customers_own_zone() -> None:
    born = Component(traits=traits(birthday="1990-12-24", timezone="America/New_York"))
    expected = at("2026-12-17T09:30", "America/New_York")
    assert asked(born, "birthday", days=7, at_minute=570) == [
        Due(expected, "2026", facts={"years": 36})
    ]
    assert asked(born, "birthday", after=expected, days=7, at_minute=570)[0].which == "2027"
    # the message goes out in another year than the birthday is in
    new_year = Component(traits=traits(birthday="--01-03"))
    assert asked(new_year, "birthday", days=7) == [Due(at("2026-12-27T10:00"), "2027")]


@pytest.mark.parametrize("zone", [None, "Mars/Olympus", 7, "../../etc/passwd", ""])
def test_who_has_no_zone_lives_in_the_shops(zone: object) -> None:
    born = Component(traits=traits(birthday="--12-24", timezone=zone))
    assert asked(born, "birthday")[0].at == at("2026-12-24T10:00")


@pytest.mark.parametrize(
    "value",
    ["soon", "24.12.1990", "1990-13-01", "1990-00-10", "12-24", "1990-12-240", 19901224, ""],
)
def test_what_is_no_date_is_no_birthday(value: object) -> None:
    assert asked(Component(traits=traits(birthday=value)), "birthday") == []


def test_a_year_that_cannot_be_is_left_out() -> None:
    for value in ("1004-12-24", "2090-12-24"):
        assert asked(Component(traits=traits(birthday=value)), "birthday")[0].facts == {}


def test_occasions_of_one_day_come_together_each_for_itself() -> None:
    saved = Component(
        occasions={
            "Ida": Occasion(1, 1, 12, 24, "daughter"),
            "Emil": Occasion(1, 1, 12, 24),
            "Ada": Occasion(1, 1, 2, 29, "mother"),
        }
    )
    day = at("2026-12-24T10:00")
    assert asked(saved, "occasion") == [
        Due(day, "2026:Emil", "Emil"),
        Due(day, "2026:Ida", "Ida", facts={"relation": "daughter"}),
    ]
    later = asked(saved, "occasion", after=day)
    assert later == [Due(at("2027-02-28T10:00"), "2027:Ada", "Ada", facts={"relation": "mother"})]
    assert (
        len(asked(Component(occasions={"x" * 256: Occasion(1, 1, 2, 3)}), "occasion")[0].which) < 64
    )


def test_an_anniversary_is_a_year_or_more_after_the_first_order() -> None:
    ordered = Component(orders=3, first_order_at=at("2026-11-23T09:00"), last_order_at=NOW)
    assert asked(ordered, "anniversary") == [
        Due(at("2027-11-23T10:00"), "2027", facts={"years": 1})
    ]
    # a week before the day is not yet a year later
    assert asked(ordered, "anniversary", days=7)[0].at == at("2027-11-16T10:00")
    assert asked(Component(orders=0), "anniversary") == []


def bought(*items: str, when: int = NOW) -> dict[str, int]:
    return dict.fromkeys(items, when)


def test_what_is_used_up_is_due_by_the_own_pace_then_the_catalogue_then_everybodys() -> None:
    catalogue = {
        "soap": ItemChanged(item="soap", fields={"replenish_days": 20}),
        "coffee": ItemChanged(item="coffee", fields={"replenish_days": 20}),
        "odd": ItemChanged(item="odd", fields={"replenish_days": "often"}),
    }
    around = Around(
        items=catalogue, zone="Europe/Berlin", refill_days={"soap": 9.0, "tea": 30.0}.get
    )
    buyer = Component(
        bought=bought("coffee", "soap", "tea", "sofa", "odd"),
        since={"coffee": NOW - 42 * DAY_MS},
        again={"coffee": 3},
    )
    found, after = [], NOW
    while due := asked(buyer, "replenishment", after, around, days=2):
        found += [(one.item, (one.at - at("2026-11-23T10:00")) // DAY_MS, one.facts) for one in due]
        after = due[0].at
    assert found == [
        ("coffee", 12, {"days": 14.0}),
        ("soap", 18, {"days": 20.0}),
        ("tea", 28, {"days": 30.0}),
    ]


def test_orders_of_one_day_are_no_pace() -> None:
    buyer = Component(bought=bought("coffee"), since={"coffee": NOW - 60_000}, again={"coffee": 1})
    assert asked(buyer, "replenishment") == []


def test_a_full_basket_is_due_in_parts() -> None:
    items = [f"item{number:02}" for number in range(30)]
    around = Around(refill_days=lambda _item: 10.0)
    found = asked(Component(bought=bought(*items)), "replenishment", around=around)
    assert [due.item for due in found] == items[:MOST_AT_ONCE]


def learned(lifetime: Lifetime) -> Around:
    return Around(zone="Europe/Berlin", predict=lifetime.predict)


def buyer(orders: int, days: int) -> Component:
    return Component(
        orders=orders, first_order_at=NOW - days * DAY_MS, last_order_at=NOW, last_at=NOW
    )


def test_the_next_order_is_spoken_of_days_before_it_once_after_each() -> None:
    expected = NOW + int((40.0 + 60) / 2.8 * DAY_MS)
    due = asked(buyer(3, 60), "next_purchase", around=learned(FITTED), days=3)
    assert due == [Due(at("2026-12-26T10:00"), "3")]
    assert 0 <= expected - at("2026-12-29T00:00") < DAY_MS
    assert asked(buyer(3, 60), "next_purchase", due[0].at, learned(FITTED), days=3) == []
    assert asked(Component(), "next_purchase", around=learned(FITTED)) == []


def test_churn_is_said_on_the_day_on_which_the_chance_falls_below() -> None:
    customer = buyer(5, 100)
    due = asked(customer, "churn_risk", around=learned(FITTED), below=0.4)[0]
    assert due.which == "5"
    for when, below in ((due.at - DAY_MS, False), (due.at, True)):
        prediction = FITTED.predict(customer, when)
        assert prediction is not None
        assert prediction.churn_probability is not None
        assert (1 - prediction.churn_probability < 0.4) is below
    assert asked(customer, "churn_risk", due.at, learned(FITTED), below=0.4) == []
    assert asked(buyer(1, 0), "churn_risk", around=learned(FITTED), below=0.4) == []


@pytest.mark.parametrize("name", ["churn_risk", "next_purchase"])
def test_before_anything_is_learned_buyers_are_asked_about_again(name: str) -> None:
    """So that the first trained model reaches who does nothing: never a moment that stands."""
    around = learned(Lifetime())
    due = asked(buyer(1, 0), name, around=around, below=0.4)[0]
    assert due.which == NOTHING_LEARNED
    assert 7 * DAY_MS <= due.at - NOW < 8 * DAY_MS
    assert asked(buyer(1, 0), name, due.at - 1, around, below=0.4)[0].at > due.at
    assert asked(buyer(1, 0), name, due.at - 1, learned(FITTED), below=0.4) != [due]


def test_an_absence_is_exact_or_at_a_time_of_day() -> None:
    seen = Component(last_at=NOW)
    after_ms = 90 * DAY_MS
    assert asked(seen, "inactive", after_ms=after_ms, at_minute=-1) == [
        Due(NOW + after_ms, str(NOW))
    ]
    assert asked(seen, "inactive", after_ms=after_ms, at_minute=600)[0].at == at("2027-02-22T10:00")
    assert asked(seen, "inactive", after=NOW + after_ms, after_ms=after_ms, at_minute=-1) == []
    assert asked(Component(), "inactive", after_ms=after_ms) == []
    # what a tool reports of its messages is no sign of life
    written_to = Component(seen_at=NOW - DAY_MS, last_at=NOW)
    assert asked(written_to, "inactive", after_ms=after_ms)[0].which == str(NOW - DAY_MS)


customers = st.builds(
    Component,
    last_at=st.integers(NOW - 400 * DAY_MS, NOW),
    orders=st.integers(1, 9),
    first_order_at=st.integers(NOW - 2_000 * DAY_MS, NOW - 900 * DAY_MS),
    last_order_at=st.integers(NOW - 900 * DAY_MS, NOW),
    bought=st.dictionaries(
        st.sampled_from("abcdef"), st.integers(NOW - 90 * DAY_MS, NOW), max_size=6
    ),
    occasions=st.dictionaries(
        st.sampled_from("ABC"),
        st.builds(
            Occasion, st.just(1), st.just(1), month=st.integers(1, 12), day=st.integers(1, 31)
        ),
        max_size=3,
    ),
    traits=st.builds(
        traits,
        birthday=st.dates().map(str),
        timezone=st.sampled_from(["Asia/Tokyo", "America/Santiago", "Europe/London", "?"]),
    ),
)


@pytest.mark.parametrize("name", sorted(TIMERS))
@given(
    customer=customers,
    days=st.integers(-366, 366),
    minute=st.integers(0, 1_439),
    later=st.integers(0, 800 * DAY_MS),
    part=st.floats(0, 1),
)
def test_what_is_next_stays_next_until_it_comes(
    name: str, customer: Component, days: int, minute: int, later: int, part: float
) -> None:
    around = Around(
        predict=FITTED.predict, refill_days={"a": 30.0, "b": 30.0, "c": 900.0}.get, zone="UTC"
    )
    after = NOW + later
    fields = {"days": days, "at_minute": minute, "below": 0.5, "after_ms": 700 * DAY_MS}
    found = asked(customer, name, after, around, **fields)
    assert all(due.at > after for due in found)
    assert len({due.at for due in found}) <= 1
    assert len({due.which for due in found}) == len(found)
    if found:
        when = found[0].at
        between = after + int((when - 1 - after) * part)
        assert asked(customer, name, between, around, **fields) == found
        following = asked(customer, name, when, around, **fields)
        assert not {due.which for due in following} & {due.which for due in found}


def test_what_moves_timers_are_facts() -> None:
    kinds = {str(kind.__struct_config__.tag) for kind in get_args(events.AnyFact)}
    assert set().union(*MOVED_BY.values()) <= kinds
    assert set(TIMERS) - set(MOVED_BY) == {"inactive"}
