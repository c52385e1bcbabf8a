"""The fold: what each fact does, and what does not depend on the order of arrival."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from services.profile.component import (
    CONSENTS_KEPT,
    OCCASIONS_KEPT,
    Component,
    merge,
    pack,
    unpack,
)
from services.profile.registers import DELAYED, RATED, Checkout
from services.profile.state import canonical
from services.profile.view import cart_items
from shared import events as facts
from tests.unit.profile.builders import (
    DAY,
    HOUR,
    MINUTE,
    NOW,
    base,
    bought,
    carted,
    fact_lists,
    folded,
    viewed,
)


@given(fact_lists(), st.randoms(use_true_random=False))
def test_order_of_arrival_does_not_matter(sequence, shuffle) -> None:
    other = list(sequence)
    shuffle.shuffle(other)
    one, two = folded(*sequence), folded(*other)
    # Sessions are counted in log order by design; all else must be the same.
    one.sessions = two.sessions = 0
    assert canonical(one) == canonical(two)


@given(fact_lists())
def test_the_same_facts_in_the_same_order_give_the_same_bytes(sequence) -> None:
    assert msgspec.msgpack.encode(folded(*sequence)) == msgspec.msgpack.encode(folded(*sequence))


def test_a_view_counts_and_leaves_a_touch_and_affinities() -> None:
    component = folded(viewed(1))
    assert component.events == 1
    assert [touch.item for touch in component.recent] == ["lamp"]
    assert set(component.affinities[0]) == {"light"}
    assert set(component.affinities[1]) == {"acme"}
    assert set(component.affinities[2]) == {"11"}


def test_sessions_end_after_thirty_minutes_idle() -> None:
    component = folded(
        viewed(1, NOW), viewed(2, NOW + 29 * MINUTE), viewed(3, NOW + 60 * MINUTE + 1)
    )
    assert component.sessions == 2


def test_a_purchase_takes_its_items_out_of_the_cart() -> None:
    component = folded(carted(1, NOW, "lamp"), carted(2, NOW, "mug"), bought(3, NOW + HOUR, "lamp"))
    assert cart_items(component) == ["mug"]
    assert component.orders == 1
    assert component.revenue == {"GBP": 1999}


def test_a_late_cart_event_from_before_the_purchase_does_not_refill_the_cart() -> None:
    component = folded(bought(1, NOW + HOUR, "lamp"), carted(2, NOW, "lamp"))
    assert cart_items(component) == []


def test_what_is_carted_again_after_a_purchase_is_in_the_cart() -> None:
    component = folded(bought(1, NOW, "lamp"), carted(2, NOW + HOUR, "lamp"))
    assert cart_items(component) == ["lamp"]


def test_the_last_word_on_a_cart_item_wins_whatever_the_order() -> None:
    removed = facts.CartRemoved(**base(2, NOW + 1), item="lamp")
    assert cart_items(folded(carted(1, NOW), removed)) == []
    assert cart_items(folded(removed, carted(1, NOW))) == []


def test_refunds_are_kept_apart_from_revenue() -> None:
    refund = facts.Refunded(**base(2, NOW + DAY), order="order-1", total=500, currency="GBP")
    component = folded(bought(1), refund)
    assert (component.revenue, component.refunded) == ({"GBP": 1999}, {"GBP": 500})


def test_recency_and_frequency_follow_event_time() -> None:
    component = folded(bought(1, NOW), bought(2, NOW - 5 * DAY))
    assert (component.first_order_at, component.last_order_at) == (NOW - 5 * DAY, NOW)


def test_an_unsubscribe_denies_marketing_on_its_channel() -> None:
    fact = facts.MessageUnsubscribed(**base(1), message="m", channel="email")
    assert folded(fact).consents["marketing|email"].denies


def test_a_checkout_stands_until_an_order_follows_it() -> None:
    checkout = facts.CheckoutStarted(**base(1, NOW), total=500, currency="GBP")
    earlier = facts.CheckoutStarted(**base(2, NOW - 1))
    standing = Checkout(NOW, "event-1", 500, "GBP")
    assert folded(earlier, checkout).checkout == folded(checkout, earlier).checkout == standing
    assert folded(checkout, bought(3, NOW - 1)).checkout == standing
    assert folded(checkout, bought(3, NOW)).checkout is None
    assert folded(bought(3, NOW), checkout).checkout is None


def test_what_is_bought_again_remembers_when_it_was_bought_first() -> None:
    times = (NOW, NOW - 9 * DAY, NOW - 3 * DAY)
    component = folded(*(bought(n, at, "mug") for n, at in enumerate(times)), bought(9))
    assert component.since == {"mug": NOW - 9 * DAY}
    assert (component.bought["mug"], component.again) == (NOW, {"mug": 2})


def test_where_a_part_of_before_does_not_say_since_when_it_stays_unknown() -> None:
    old = folded(bought(1, NOW - 9 * DAY, "mug"), bought(2, NOW, "mug"))
    old.since = {}
    for one, other in ((old, folded(bought(3, item="mug"))), (folded(bought(3, item="mug")), old)):
        total = unpack(pack(one))
        merge(total, other)
        assert (total.again, total.since) == ({"mug": 2}, {})


def test_occasions_feedback_and_orders_are_registers_with_bounds() -> None:
    component = folded(
        *(
            facts.OccasionSaved(**base(n, NOW + n), name=f"day-{n % 20}", month=5, day=n % 28 + 1)
            for n in range(40)
        ),
        facts.FeedbackGiven(**base(50, NOW), kind="nps", score=3),
        facts.FeedbackGiven(**base(51, NOW - 1), kind="nps", score=9),
        *(facts.OrderShipped(**base(60 + n, NOW + n), order=f"o{n}") for n in range(10)),
        facts.OrderDelayed(**base(70, NOW + 20), order="o9"),
    )
    assert len(component.occasions) == OCCASIONS_KEPT
    assert component.occasions["day-19"].day == 12
    assert component.feedback["nps"].score == 3
    assert list(component.progress) == [f"o{n}" for n in range(2, 10)]
    assert component.progress["o9"].value == DELAYED


def test_what_a_shop_or_a_tool_tells_is_no_sign_of_the_shopper() -> None:
    sent = facts.MessageSent(**base(2, NOW + DAY), message="m")
    delayed = facts.OrderDelayed(**base(3, NOW + 2 * DAY), order="o")
    component = folded(viewed(1, NOW), sent, delayed)
    assert (component.seen_at, component.last_at) == (NOW, NOW + 2 * DAY)
    assert component.latest == {}
    rated = facts.ItemRated(**base(4, NOW + DAY), item="lamp", rating=4)
    assert folded(rated, viewed(1)).latest == {RATED: NOW + DAY}


def test_traits_that_are_no_scalars_or_too_long_are_left_out() -> None:
    fact = facts.TraitsSet(**base(1), traits={"a": 1, "b": {"c": 2}, "d": "x" * 600})
    assert set(folded(fact).traits) == {"a"}


def test_facts_about_an_order_of_a_thousand_lines_stay_small() -> None:
    lines = [facts.Line(item=f"item-{n}", price=100 + n) for n in range(1_200)]
    fact = facts.Purchased(**base(1), order="o", lines=lines, total=1, currency="GBP")
    component = folded(fact)
    assert len(component.bought) == 200
    assert len(msgspec.msgpack.encode(component)) < 6_000


def test_an_empty_component_is_cheap() -> None:
    assert len(msgspec.msgpack.encode(Component())) < 64


def test_traits_that_no_state_can_hold_are_passed_over() -> None:
    odd = {"age": 7, "huge": 10**30, "low": -(2**63) - 1, "n" * 129: 1, "top": 2**64 - 1}
    component = folded(facts.TraitsSet(**base(1), traits=odd))
    assert sorted(component.traits) == ["age", "top"]
    assert unpack(pack(component)) == component


def test_consents_are_bounded_and_denials_stay_longest() -> None:
    denial = facts.ConsentChanged(**base(0, NOW - DAY), purpose="marketing", granted=False)
    grants = [
        facts.ConsentChanged(**base(n, NOW + n), purpose=f"p{n}", granted=True)
        for n in range(1, 3 * CONSENTS_KEPT)
    ]
    component = folded(denial, *grants)
    assert len(component.consents) == CONSENTS_KEPT
    assert component.consents["marketing|*"].denies
    assert f"p{len(grants)}|*" in component.consents
    into = folded(*grants[:CONSENTS_KEPT])
    merge(into, component)
    assert len(into.consents) == CONSENTS_KEPT
    assert into.consents["marketing|*"].denies


def test_the_same_order_gives_the_same_bytes_in_every_process() -> None:
    items = [f"item-{n}" for n in range(20)]
    lines = [facts.Line(item=item, price=100) for item in [*items, *items]]
    fact = facts.Purchased(**base(1), order="o", lines=lines, total=1, currency="GBP")
    component = folded(fact)
    assert list(component.bought) == items
    assert component.again == {}
