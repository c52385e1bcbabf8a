"""The report on known counts: its figures, and its tables."""

from services.profile.dry_run.counting import Fatigue, Moments, Tally
from services.profile.dry_run.report import Effects, Window, effects, tables
from tests.unit.profile.builders import DAY, NOW

CART = Moments(
    days={"2025-10-10": [2, 1], "2025-10-09": [1, 1]},
    customers=3,
    reached=2,
    held={"budget": 1, "quiet_hours": 4},
    suppressed={"consent": 1},
    channels={"email": 2},
    segments={"vip": 2},
    stages={"none": 3},
)
AFTER = Tally(
    scenarios={"cart": CART, "browse": Moments(days={"2025-10-09": [4, 0]}, customers=4)},
    overlap={"cart": {"browse": [1, 3]}, "browse": {"cart": [0, 1]}},
    fatigue=Fatigue(sent=2, reached=2, most_in_week=1, at_budget=1, with_moments=5),
)
BEFORE = Tally(fatigue=Fatigue(sent=70, reached=10, most_in_week=7, at_budget=0, with_moments=10))


def reported(*, catalogue: bool = True) -> Effects:
    return effects(
        AFTER,
        BEFORE,
        window=Window(from_ms=NOW - 14 * DAY, until_ms=NOW),
        customers=20,
        names=["cart", "browse", "birthday"],
        drafted=frozenset(["cart"]),
        catalogue=catalogue,
    )


def test_every_scenario_of_the_book_is_named_also_one_that_never_fired() -> None:
    cart, browse, birthday = reported().scenarios

    assert (cart.name, cart.draft, cart.moments, cart.sent) == ("cart", True, 3, 2)
    assert (cart.moments_per_day, cart.sent_per_day) == (0.21, 0.14)
    assert [day.date for day in cart.per_day] == ["2025-10-09", "2025-10-10"]
    assert list(cart.held) == ["quiet_hours", "budget"]
    assert (browse.draft, browse.moments, browse.sent) == (False, 4, 0)
    assert (birthday.moments, birthday.per_day) == (0, [])


def test_overlap_comes_as_counts_and_as_shares_of_the_moments() -> None:
    found = {(one.scenario, one.other): one for one in reported().overlap}

    assert found["cart", "browse"].within_24h == 1
    assert found["cart", "browse"].share_24h == 0.3333
    assert found["cart", "browse"].share_7d == 1.0
    assert found["browse", "cart"].share_7d == 0.25


def test_fatigue_is_told_before_and_after_over_all_known_customers() -> None:
    fatigue = reported().fatigue

    assert (fatigue.before.per_week, fatigue.after.per_week) == (1.75, 0.05)
    assert (fatigue.before.reached_share, fatigue.after.reached_share) == (0.5, 0.1)
    assert fatigue.after.at_budget_share == 0.2
    assert fatigue.before.most_in_week == 7


def test_the_tables_say_the_same() -> None:
    text = tables(reported())

    assert "cart *" in text
    assert "quiet_hours 4, budget 1" in text
    assert "10-09 1/1  10-10 2/1" in text
    assert "1 (33%)" in text
    assert "A dry run cannot know" in text
    assert text.isascii()


def test_a_missing_catalogue_is_named() -> None:
    assert "no catalogue" in tables(reported(catalogue=False))
    assert "no catalogue" not in tables(reported())


def test_a_log_without_customers_divides_by_nothing() -> None:
    found = effects(
        Tally(),
        Tally(),
        window=Window(from_ms=0, until_ms=DAY),
        customers=0,
        names=[],
        drafted=frozenset(),
        catalogue=False,
    )

    assert found.fatigue.after.per_week == 0
    assert tables(found)
