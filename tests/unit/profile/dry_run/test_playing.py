"""A partition replayed against a draft: known logs, known outcomes."""

from typing import Any

from services.profile.component import pack
from shared import catalogue
from shared import events as facts
from shared.catalogue import ItemChanged
from tests.unit.profile.builders import DAY, HOUR, MINUTE, NOW, base, bought, carted, folded, viewed
from tests.unit.profile.dry_run.playing import (
    BROWSE,
    CART,
    PRICE_DROP,
    REGULARS,
    WELCOME,
    draft,
    log,
    replayed,
)

ORDERED = facts.Purchased
EMPTY: dict[str, Any] = {}


def decided(number: int, at: int, trigger: str, verdict: facts.Verdict = "send") -> facts.Fact:
    """What the past really decided."""
    return facts.MessageDecided(
        **base(number, at),
        trigger_id=trigger,
        scenario="cart_abandoned",
        channel="email",
        verdict=verdict,
        reason="allowed",
        due=at,
        moment_at=at,
    )


def opened(number: int, at: int, message: str) -> facts.Fact:
    return facts.MessageOpened(**base(number, at), message=message, channel="email")


def test_a_cart_left_behind_is_a_moment_an_hour_later() -> None:
    found = replayed(draft(CART), log(carted(1, NOW + HOUR)))

    cart = found.after.scenarios["cart_abandoned"]
    assert cart.days == {"2025-10-09": [1, 1]}
    assert (cart.customers, cart.reached) == (1, 1)
    assert cart.channels == {"email": 1}
    assert found.after.fatigue.sent == 1
    assert (found.events, found.customers, found.waiting, found.held) == (1, 1, 0, 0)


def test_a_cart_that_was_bought_is_passed_over() -> None:
    found = replayed(draft(CART), log(carted(1, NOW + HOUR), bought(2, NOW + HOUR + 10 * MINUTE)))

    cart = found.after.scenarios["cart_abandoned"]
    assert cart.days == EMPTY
    assert sum(cart.passed_over.values()) == 1


def test_what_happens_after_the_moment_does_not_change_it() -> None:
    found = replayed(draft(CART), log(carted(1, NOW + HOUR), bought(2, NOW + 2 * HOUR + 10)))

    assert found.after.scenarios["cart_abandoned"].days == {"2025-10-09": [1, 1]}


def test_a_later_cart_replaces_an_earlier_one_that_waits() -> None:
    found = replayed(
        draft(CART), log(*[carted(n, NOW + HOUR + n * 30 * MINUTE, f"i{n}") for n in range(5)])
    )

    assert found.after.scenarios["cart_abandoned"].days == {"2025-10-09": [1, 1]}


def test_a_budget_holds_and_releases() -> None:
    found = replayed(draft(CART), log(carted(1, NOW), carted(2, NOW + 2 * HOUR, "rug")))

    cart = found.after.scenarios["cart_abandoned"]
    assert cart.held == {"budget": 1}
    assert sum(moments for moments, _ in cart.days.values()) == 2
    assert sum(sent for _, sent in cart.days.values()) == 2
    assert found.after.fatigue.at_budget == 1


def test_scenarios_of_one_customer_overlap() -> None:
    found = replayed(draft(CART, BROWSE), log(carted(1, NOW), viewed(2, NOW + MINUTE)))

    assert found.after.overlap["cart_abandoned"]["browse_abandoned"] == [1, 1]


def test_the_past_before_the_window_counts_for_the_budget() -> None:
    found = replayed(
        draft(CART),
        log(decided(1, NOW - HOUR, "t1"), carted(2, NOW + HOUR), carted(3, NOW + 3 * DAY)),
    )

    cart = found.after.scenarios["cart_abandoned"]
    assert cart.held == {"budget": 1}
    assert found.before.fatigue.sent == 0


def test_verdicts_inside_the_window_are_left_out_and_counted_as_before() -> None:
    found = replayed(
        draft(CART),
        log(
            decided(1, NOW + MINUTE, "t1"),
            decided(1, NOW + MINUTE, "t1"),
            decided(2, NOW + 2 * MINUTE, "t2", "suppress"),
            carted(3, NOW + HOUR),
        ),
    )

    assert found.after.scenarios["cart_abandoned"].held == {}
    assert found.after.fatigue.sent == 1
    assert found.before.fatigue.sent == 1
    assert found.before.scenarios["cart_abandoned"].suppressed == {"allowed": 1}


def test_answers_to_what_only_the_past_sent_are_left_out() -> None:
    found = replayed(
        draft(CART),
        log(
            decided(1, NOW + MINUTE, "t1"),
            opened(2, NOW + 2 * MINUTE, "t1"),
            opened(3, NOW + 3 * MINUTE, "campaign"),
        ),
    )

    assert found.reactions_left_out == 1


def test_a_cart_before_the_window_that_is_due_in_it_is_a_moment() -> None:
    found = replayed(
        draft(CART),
        log(
            carted(1, NOW - 2 * HOUR),
            carted(2, NOW - 30 * MINUTE, customer="bob"),
            viewed(3, NOW + DAY),
        ),
    )

    assert found.after.scenarios["cart_abandoned"].days == {"2025-10-09": [1, 1]}


def test_imported_facts_begin_nothing() -> None:
    imported = facts.CartAdded(**base(1, NOW + HOUR), item="lamp", source="import:shop")

    assert replayed(draft(CART), log(imported)).after.scenarios == {}


def test_a_fact_that_is_delivered_twice_begins_one_moment() -> None:
    found = replayed(draft(CART), log(carted(1, NOW), carted(1, NOW)))

    assert found.after.scenarios["cart_abandoned"].days == {"2025-10-09": [1, 1]}


def test_visitors_have_no_moments_until_they_log_in() -> None:
    part = pack(folded(carted(1, NOW + HOUR), authenticated=False))
    absorbed = facts.ProfileAbsorbed(
        **base(2, NOW + HOUR + MINUTE), anonymous="a1", through="0/0", component=part
    )
    visitor = carted(1, NOW + HOUR, anonymous="a1")

    assert replayed(draft(CART), log(visitor)).after.scenarios == {}
    assert replayed(draft(CART), log(visitor)).customers == 0
    found = replayed(draft(CART), log(visitor, absorbed))
    assert found.after.scenarios["cart_abandoned"].days == {"2025-10-09": [1, 1]}


def test_a_cart_that_is_told_late_is_decided_when_it_is_told() -> None:
    late = facts.CartAdded(**base(1, NOW + HOUR) | {"received_at": NOW + 23 * HOUR}, item="lamp")
    bought_before = bought(2, NOW + 3 * HOUR, customer="alice")

    found = replayed(draft(CART), log(late))
    assert found.after.scenarios["cart_abandoned"].days == {"2025-10-10": [1, 1]}
    assert replayed(draft(CART), log(bought_before, late)).after.fatigue.sent == 0


def test_what_is_due_after_the_window_waits() -> None:
    found = replayed(draft(CART), log(carted(1, NOW + 30 * DAY - MINUTE)))

    assert found.waiting == 1
    assert found.after.scenarios == {}


def test_a_price_drop_is_a_moment_of_those_who_viewed_the_item() -> None:
    changes = [
        catalogue.encode(ItemChanged(item=name, price=price, stock=5, changed_at=at))
        for name, price, at in (
            ("lamp", 1000, NOW - DAY),
            ("lamp", 950, NOW + HOUR),
            ("lamp", 700, NOW + 2 * HOUR),
            ("rug", 1000, NOW - DAY),
        )
    ]
    records = log(
        viewed(1, NOW - DAY, "lamp"),
        viewed(2, NOW - DAY, "rug", customer="bob"),
        viewed(3, NOW + 3 * HOUR, "lamp", customer="carol"),
    )

    drop = replayed(draft(PRICE_DROP), records, changes=changes).after.scenarios["price_drop"]

    assert drop.days == {"2025-10-09": [1, 1]}
    assert drop.channels == {"push": 1}


def test_segments_are_the_drafts_own() -> None:
    entered = facts.SegmentEntered(**base(9, NOW + MINUTE), segment="other")
    records = log(
        entered,
        bought(1, NOW + HOUR),
        bought(2, NOW + DAY),
        bought(3, NOW + 2 * DAY),
    )

    welcome = replayed(draft(WELCOME, more=REGULARS), records).after.scenarios["regulars"]

    assert welcome.days == {"2025-10-10": [1, 1]}
    assert welcome.segments == {"regular": 1}


def test_segments_asked_some_minutes_later_are_the_same() -> None:
    records = log(bought(1, NOW + HOUR), bought(2, NOW + DAY), viewed(3, NOW + DAY + 1))

    found = replayed(draft(WELCOME, more=REGULARS), records, assess_within_ms=5 * MINUTE)

    assert found.waiting == 0
    assert found.after.scenarios["regulars"].days == {"2025-10-10": [1, 1]}


def test_the_same_log_gives_the_same_counts_however_it_is_read() -> None:
    facts_of_many = [
        (carted, viewed, bought)[n % 3](n, NOW + n * 17 * MINUTE, f"i{n % 5}", customer=f"u{n % 7}")
        for n in range(600)
    ]
    records = log(*facts_of_many)
    text = draft(CART, BROWSE)

    once = replayed(text, records)

    assert once == replayed(text, records, step=7)
    assert once.after.fatigue.sent > 20
