"""What a customer absorbs: each part of each visitor's history once, whatever else happens."""

from itertools import count
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.profile.absorbing import ABSORBED_KEPT, HANDED_KEPT, absorbs_many
from services.profile.batch import fold_identity
from services.profile.component import Component, pack
from services.profile.identity import Delivery, Identity, apply
from services.profile.state import LINKED, canonical
from services.profile.view import project
from services.profile.window import CAPACITY, Verdict
from shared import events as facts
from tests.unit.profile.builders import (
    DAY,
    HOUR,
    NOW,
    base,
    bought,
    carted,
    fact_lists,
    folded,
    viewed,
)


def part(
    through: int, visitor: str = "v", component: Component | None = None, after: int | None = None
) -> facts.ProfileAbsorbed:
    return facts.ProfileAbsorbed(
        **base(0, NOW, customer="alice", anonymous=visitor) | {"event_id": f"{visitor}@{through}"},
        through=f"0/{through}",
        after=after,
        component=pack(component or folded(bought(1, NOW))),
    )


def parts_of(visitor: Identity) -> list[facts.ProfileAbsorbed]:
    stated = [facts.decode(entry.value) for entry in visitor.outbox]
    assert all(isinstance(fact, facts.ProfileAbsorbed) for fact in stated)
    return stated  # type: ignore[return-value]


def login(number: int, visitor: str = "v", customer: str = "alice") -> facts.Identified:
    return facts.Identified(**base(number, NOW, customer=customer, anonymous=visitor))


@pytest.mark.parametrize(("apart", "hours"), [(1, 25), (CAPACITY + 1, 1)])
def test_a_part_that_comes_again_outside_the_window_is_known(apart: int, hours: int) -> None:
    customer = Identity("c:alice")
    offsets = count()
    assert apply(customer, Delivery(part(7), 1, next(offsets))) is Verdict.NEW
    for number in range(apart):
        apply(customer, Delivery(viewed(number, NOW + hours * HOUR), 1, next(offsets)))
    assert apply(customer, Delivery(part(7), 1, next(offsets))) is Verdict.DUPLICATE
    assert customer.profile.component.orders == 1


def test_a_part_before_the_one_it_follows_waits_and_then_both_count_once() -> None:
    customer = Identity("c:alice")
    first, second = part(7), part(9, after=7)
    verdicts = [
        apply(customer, Delivery(fact, 1, offset))
        for offset, fact in enumerate((second, first, second, first, second))
    ]
    new, early, duplicate = Verdict.NEW, Verdict.EARLY, Verdict.DUPLICATE
    assert verdicts == [early, new, new, duplicate, duplicate]
    assert customer.profile.component.orders == 2


def test_a_visitor_names_the_part_before_to_the_same_customer() -> None:
    visitor = Identity("a:v")
    sequence = (
        viewed(1, anonymous="v"),
        login(2),
        viewed(3, anonymous="v"),
        login(4, customer="bob"),
        viewed(5, anonymous="v"),
        login(6),
        viewed(7, anonymous="v"),
    )
    for offset, fact in enumerate(sequence):
        apply(visitor, Delivery(fact, 0, offset))
    chain = [(fact.customer, fact.through, fact.after) for fact in parts_of(visitor)]
    assert chain == [
        ("alice", "0/1", None),
        ("alice", "0/2", 1),
        ("bob", "0/4", None),
        ("alice", "0/6", 2),
    ]


def test_a_device_of_many_customers_remembers_the_last_few() -> None:
    visitor = Identity("a:v")
    for number in range(10):
        apply(visitor, Delivery(login(number, customer=f"customer-{number}"), 0, 2 * number))
        apply(visitor, Delivery(viewed(100 + number, anonymous="v"), 0, 2 * number + 1))
    assert len(visitor.profile.handed) == HANDED_KEPT
    assert visitor.profile.handed["customer-9"] == 19


def test_a_login_that_comes_after_its_part_does_not_take_the_mark_back() -> None:
    customer = Identity("c:alice")
    apply(customer, Delivery(part(7), 1, 0))
    apply(customer, Delivery(login(2), 1, 1))
    apply(customer, Delivery(login(3, "w"), 1, 2))
    assert customer.profile.absorbed == {"v": 7, "w": LINKED}


def test_the_list_of_visitors_is_bounded_flagged_and_counts_on() -> None:
    customer = Identity("c:alice")
    offsets = count()
    sequence = [part(number, f"v{number}") for number in range(ABSORBED_KEPT - 1)]
    fold_identity(customer, [Delivery(fact, 1, next(offsets)) for fact in sequence])
    assert not absorbs_many(customer.profile)
    more = [part(ABSORBED_KEPT + number, f"w{number}") for number in range(10)]
    effects = fold_identity(customer, [Delivery(fact, 1, next(offsets)) for fact in more])
    assert effects.crowded
    assert absorbs_many(customer.profile)
    again = fold_identity(customer, [Delivery(part(5_000, "last"), 1, next(offsets))])
    assert not again.crowded
    assert len(customer.profile.absorbed) == ABSORBED_KEPT
    assert "v0" not in customer.profile.absorbed
    assert customer.profile.component.orders == ABSORBED_KEPT + 10
    # Of a visitor that was forgotten the part before is not asked for: it must not be lost.
    late = part(6_000, "v0", after=0)
    assert apply(customer, Delivery(late, 1, next(offsets))) is Verdict.NEW


@given(st.lists(fact_lists(6), min_size=2, max_size=5), st.randoms(use_true_random=False))
def test_absorbing_visitors_is_commutative_and_idempotent(lives, chance) -> None:
    """Each visitor's parts in their order, mixed in any way, with any of them again."""
    queues = [
        [
            part(number, f"v{index}", folded(fact), after=number - 1 if number else None)
            for number, fact in enumerate(life)
        ]
        for index, life in enumerate(lives)
    ]
    one = absorb(queues, Random(0))
    other = absorb(queues, chance)
    assert canonical(one.profile) == canonical(other.profile)
    assert one.profile.component.events == sum(map(len, lives))


def absorb(queues: list[list[facts.ProfileAbsorbed]], chance: Random) -> Identity:
    customer = Identity("c:alice")
    waiting = [list(queue) for queue in queues if queue]
    delivered: list[facts.ProfileAbsorbed] = []
    offsets = count()
    while waiting:
        queue = chance.choice(waiting)
        delivered.append(queue.pop(0))
        waiting = [queue for queue in waiting if queue]
        for fact in (delivered[-1], chance.choice(delivered)):
            apply(customer, Delivery(fact, 1, next(offsets)))
    return customer


def test_many_visitors_of_one_customer_add_up() -> None:
    customer = Identity("c:alice")
    offsets = count()
    for number in range(50):
        visitor = Identity(f"a:v{number}")
        who = {"anonymous": f"v{number}"}
        for offset, fact in enumerate((bought(1, NOW, **who), login(2, f"v{number}"))):
            apply(visitor, Delivery(fact, 0, offset))
        for fact in parts_of(visitor):
            apply(customer, Delivery(fact, 1, next(offsets)))
    assert customer.profile.component.orders == 50
    assert customer.profile.component.revenue == {"GBP": 50 * 1999}
    assert len(customer.profile.absorbed) == 50


def test_a_login_costs_what_the_state_holds_and_not_what_happened() -> None:
    sizes = {}
    visitor = Identity("a:v")
    chance = Random(7)
    for number in range(10_000):
        act = chance.choice((viewed, carted, bought))
        fact = act(number, NOW + number * 10_000, f"item-{chance.randrange(400)}", anonymous="v")
        apply(visitor, Delivery(fact, 0, number))
        if number + 1 in (5_000, 10_000):
            sizes[number + 1] = len(pack(visitor.profile.component))
    apply(visitor, Delivery(login(10_000), 0, 10_000))
    (stated,) = parts_of(visitor)
    assert len(stated.component) == sizes[10_000] < 1.05 * sizes[5_000] < 20_000
    assert visitor.profile.component == Component()


consents = st.tuples(
    st.sampled_from(["customer", "visitor"]), st.booleans(), st.integers(NOW, NOW + 5)
)


@given(st.lists(consents, min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_consent_in_any_order_of_arrival(changes, chance) -> None:
    """A denial stands until the customer, authenticated, grants later than it was denied."""
    visitor, customer = Identity("a:v"), Identity("c:alice")
    told = []
    for number, (who, granted, at) in enumerate(changes):
        names = {"customer": "alice"} if who == "customer" else {"anonymous": "v"}
        change = {"purpose": "marketing", "granted": granted}
        told.append(facts.ConsentChanged(**base(number, at, **names), **change))
    entries = [login(100), *told]
    chance.shuffle(entries)
    offsets, theirs = count(), count()
    for fact in entries:
        if fact.customer is not None:
            apply(customer, Delivery(fact, 1, next(offsets)))
        if fact.anonymous is not None:
            apply(visitor, Delivery(fact, 0, next(theirs)))
    for fact in parts_of(visitor):
        apply(customer, Delivery(fact, 1, next(offsets)))
    denied = max((at for _, granted, at in changes if not granted), default=0)
    granted = max((at for who, yes, at in changes if yes and who == "customer"), default=0)
    consent = customer.profile.component.consents["marketing|*"]
    assert consent.denies == (denied > 0 and granted <= denied)
    assert consent.allows == (granted > denied if denied else True)


def test_the_session_of_a_visitor_stays_when_the_counts_go() -> None:
    visitor = Identity("a:v")
    for offset, fact in enumerate((viewed(1, anonymous="v"), login(2))):
        apply(visitor, Delivery(fact, 0, offset))
    view = project(visitor.profile)
    assert (view.session.items, view.events) == (["lamp"], 0)


def test_a_forwarded_fact_of_another_day_counts_its_day() -> None:
    visitor, customer = Identity("a:v"), Identity("c:alice")
    sequence = (login(1), viewed(2, NOW, anonymous="v"), viewed(3, NOW + DAY, anonymous="v"))
    for offset, fact in enumerate(sequence):
        apply(visitor, Delivery(fact, 0, offset))
    for offset, part_of in enumerate(parts_of(visitor)):
        apply(customer, Delivery(part_of, 1, offset))
    assert customer.profile.component.days == {NOW // DAY: {1: 1}, NOW // DAY + 1: {1: 1}}
