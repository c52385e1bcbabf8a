"""What a fact begins for a customer, and what it does not."""

from typing import Any

import pytest

from services.profile.component import Component, pack
from services.profile.fold import fold
from services.profile.moments.around import Around, ItemMoved
from services.profile.moments.assessing import ask_to_assess
from services.profile.moments.due import next_due
from services.profile.moments.noting import note_change
from services.profile.moments.waiting import SEGMENTS, WAITING_KEPT, before_of, item_cause
from services.profile.scenarios.book import OnFact, OnItem, OnTimer, Scenario
from shared import events as facts
from shared.catalogue import ItemChanged
from tests.unit.profile.builders import DAY, HOUR, NOW, base, bought, carted, viewed
from tests.unit.profile.moments.books import CART, NEVER, Customer, When, book, scenario


def on(fact: str, **fields: Any) -> Scenario:
    return scenario(fact, OnFact(fact=fact), **fields)


def test_a_fact_that_a_scenario_is_on_puts_a_moment_beside_the_state() -> None:
    alice = Customer(book(CART))
    effects = alice.fold(carted(1, NOW))
    assert alice.waiting == [("cart_abandoned", NOW + HOUR, "event-1")]
    assert alice.identity.waiting[0].item == "lamp"
    assert effects.noted == alice.identity.waiting
    assert effects.due == next_due(alice.identity) == NOW + HOUR


def test_of_two_moments_of_one_scenario_and_subject_the_later_waits() -> None:
    alice = Customer(book(CART))
    alice.fold(carted(1, NOW), carted(2, NOW + HOUR, "mug"), carted(3, NOW + 1, "rug"))
    assert alice.waiting == [("cart_abandoned", NOW + 2 * HOUR, "event-2")]


def test_each_order_is_a_subject_of_its_own() -> None:
    alice = Customer(book(on("purchased")))
    alice.fold(bought(1, NOW), bought(2, NOW + 1, "mug"))
    assert [each.subject for each in alice.identity.waiting] == ["order-1", "order-2"]


@pytest.mark.parametrize(
    ("fact", "subject"),
    [
        (facts.OrderDelayed(**base(), order="o-7"), "o-7"),
        (facts.SegmentEntered(**base(), segment="vip"), "vip"),
        (facts.SegmentLeft(**base(), segment="vip"), "vip"),
        (facts.StageChanged(**base(), stage="loyal"), "loyal"),
        (facts.OccasionSaved(**base(), name="mum", month=5, day=2), "mum"),
        (facts.CheckoutStarted(**base(), order="o-7"), ""),
        (facts.FeedbackGiven(**base(), kind="nps", score=3), ""),
    ],
)
def test_what_a_moment_is_about_besides_follows_from_its_fact(
    fact: facts.AnyFact, subject: str
) -> None:
    alice = Customer(book(on(facts.fact_type(fact))))
    if isinstance(fact, facts.SegmentLeft):
        alice.identity.profile.contact.segments[fact.segment] = NOW
    alice.fold(fact)
    assert [each.subject for each in alice.identity.waiting] == [subject]


@pytest.mark.parametrize(
    ("key", "fact", "scenarios"),
    [
        ("a:alice", carted(1, anonymous="alice"), (CART,)),
        ("c:alice", carted(1, NOW), ()),
        ("c:alice", viewed(1, NOW), (CART,)),
        ("c:alice", carted(1, NOW), (scenario(when=NEVER),)),
        ("c:alice", facts.CartAdded(**base(1) | {"source": "import:x"}, item="a"), (CART,)),
        ("c:alice", facts.CartAdded(**base(1) | {"received_at": NOW + 2 * DAY}, item="a"), (CART,)),
    ],
)
def test_what_begins_nothing(
    key: str, fact: facts.AnyFact, scenarios: tuple[Scenario, ...]
) -> None:
    alice = Customer(book(*scenarios), key)
    assert alice.fold(fact).due is None
    assert alice.waiting == []


def test_a_redelivered_fact_begins_nothing_but_sets_the_timer_again() -> None:
    alice = Customer(book(CART))
    alice.fold(carted(1, NOW))
    before, alice.log = alice.waiting, []
    again = alice.fold(carted(1, NOW))
    assert (again.noted, again.changed, again.due) == ([], False, NOW + HOUR)
    assert alice.waiting == before


def test_who_does_not_want_to_be_profiled_has_moments_of_contract_only() -> None:
    service = on("order_delayed", purpose="service")
    alice = Customer(book(CART, service))
    alice.fold(
        facts.ProfilingPaused(**base(1), paused=True),
        carted(2, NOW + 1),
        facts.OrderDelayed(**base(3, NOW + 2), order="o"),
    )
    assert [each.scenario for each in alice.identity.waiting] == ["order_delayed"]


def test_a_stated_cool_down_covers_what_comes_within_it() -> None:
    alice = Customer(book(CART))
    alice.identity.profile.contact.covered["cart_abandoned"] = NOW + 3 * HOUR
    alice.fold(carted(1, NOW))
    assert alice.waiting == []
    alice.fold(carted(2, NOW + 2 * HOUR))
    assert alice.waiting == [("cart_abandoned", NOW + 3 * HOUR, "event-2")]


def test_conditions_see_the_state_after_the_fact_and_the_fact() -> None:
    seen: list[tuple[int, str, int]] = []

    def look(context: Any) -> bool:
        seen.append((len(context.profile.component.cart), context.fact.event_id, context.now))
        return True

    alice = Customer(book(scenario(when=When(look))))
    alice.fold(carted(1, NOW), carted(2, NOW + 1, "mug"))
    assert seen == [(1, "event-1", NOW), (2, "event-2", NOW + 1)]


def test_a_login_notes_what_the_visitor_did_last() -> None:
    part = Component()
    for fact in (
        carted(1, NOW, anonymous="v"),
        carted(2, NOW + 1, "mug", anonymous="v"),
        viewed(3, NOW + 2, "rug", anonymous="v"),
        facts.WishlistAdded(**base(4, NOW + 3, anonymous="v"), item="sofa"),
    ):
        fold(part, fact, 0, authenticated=False)
    alice = Customer(book(CART, on("item_viewed"), on("wishlist_added")))
    absorbed = facts.ProfileAbsorbed(
        **base(9, NOW + 5, customer="alice", anonymous="v"), through="0/4", component=pack(part)
    )
    alice.fold(absorbed)
    assert [(each.scenario, each.at, each.item, each.cause) for each in alice.identity.waiting] == [
        ("cart_abandoned", NOW + 1, "mug", "event-2"),
        ("item_viewed", NOW + 2, "rug", "event-9"),
        ("wishlist_added", NOW + 3, "sofa", "event-9"),
    ]


def test_no_more_wait_than_are_kept_and_timers_stay() -> None:
    silent = scenario("silent", OnTimer(timer="inactive", after_ms=DAY, at_minute=-1), after_ms=0)
    alice = Customer(book(on("purchased"), silent))
    ask_to_assess(alice.identity, NOW - DAY)
    alice.fold(*(bought(n, NOW + n) for n in range(WAITING_KEPT + 5)))
    assert len(alice.identity.waiting) == WAITING_KEPT
    assert SEGMENTS in {each.scenario for each in alice.identity.waiting}
    assert "silent" in {each.scenario for each in alice.identity.waiting}
    assert "event-5" not in {each.cause for each in alice.identity.waiting}


BIRTHDAY = scenario("birthday", OnTimer(timer="birthday", at_minute=600), after_ms=0)
SILENT = scenario("silent", OnTimer(timer="inactive", after_ms=DAY, at_minute=-1), after_ms=0)


def test_a_named_timer_waits_from_the_fact_that_tells_it() -> None:
    alice = Customer(book(BIRTHDAY))
    alice.fold(viewed(1, NOW))
    assert alice.waiting == []
    alice.fold(facts.TraitsSet(**base(2, NOW + 1), traits={"birthday": "1990-12-24"}))
    ((name, due, cause),) = alice.waiting
    assert (name, cause) == ("birthday", "timer:birthday:2025")
    assert due > NOW


def test_an_entry_that_is_put_off_stays_until_it_is_due() -> None:
    alice = Customer(book(SILENT))
    alice.fold(viewed(1, NOW))
    first = alice.waiting
    effects = alice.fold(viewed(2, NOW + HOUR), viewed(3, NOW + 2 * HOUR))
    assert alice.waiting == first == [("silent", NOW + DAY, f"timer:inactive:{NOW}")]
    assert effects.due is None


def test_what_was_imported_arms_timers_from_its_receipt_on_and_begins_nothing_else() -> None:
    alice = Customer(book(CART, BIRTHDAY, SILENT))
    old = {"source": "import:x", "occurred_at": NOW - 700 * DAY, "received_at": NOW}
    alice.fold(
        facts.TraitsSet(**base(1) | old, traits={"birthday": "1990-12-24"}),
        facts.CartAdded(**base(2) | old, item="lamp"),
    )
    assert [(name, cause) for name, _, cause in alice.waiting] == [
        ("birthday", "timer:birthday:2025")
    ]


@pytest.mark.parametrize("told", [True, False])
def test_of_a_visitor_only_what_can_move_a_timer_does(told: bool) -> None:
    asked: list[int] = []

    def predict(component: Component, now: int) -> None:
        asked.append(now)

    fading = scenario("fading", OnTimer(timer="churn_risk", below=0.5), after_ms=0)
    alice = Customer(book(fading), around=Around(predict=predict))
    part = Component()
    fold(part, (bought if told else viewed)(1, NOW, anonymous="v"), 0, authenticated=False)
    absorbed = facts.ProfileAbsorbed(
        **base(9, NOW, customer="alice", anonymous="v"), through="0/4", component=pack(part)
    )
    alice.fold(absorbed)
    assert asked == ([NOW] if told else [])


def moved(price: int, before: int | None, at: int = NOW) -> ItemMoved:
    known = None if before is None else ItemChanged(item="lamp", price=before, stock=0)
    return ItemMoved(ItemChanged(item="lamp", price=price, stock=3, changed_at=at), known)


DROPPED = scenario(
    "price_drop",
    OnItem(interest=frozenset({"wished"})),
    after_ms=0,
    when=When(lambda context: context.item.price < (context.previous_price or 0)),
)


@pytest.mark.parametrize(
    ("price", "before", "interest", "begins"),
    [
        (80, 100, {"wished"}, True),
        (80, 100, {"viewed", "wished"}, True),
        (80, 100, {"viewed"}, False),
        (120, 100, {"wished"}, False),
        (80, None, {"wished"}, False),
    ],
)
def test_a_change_of_an_item_begins_a_moment_for_who_is_interested(
    price: int, before: int | None, interest: set[str], begins: bool
) -> None:
    alice = Customer(book(DROPPED))
    change = moved(price, before)
    put = note_change(alice.identity, change, frozenset(interest), *alice.rules)
    assert put is begins
    assert alice.waiting == ([("price_drop", NOW, item_cause(change))] if begins else [])
    if begins:
        assert before_of(alice.waiting[0][2]) == (before, 0)
        assert note_change(alice.identity, change, frozenset(interest), *alice.rules) is False


def test_a_moment_reads_the_catalogue_as_it_stands() -> None:
    items = {"lamp": ItemChanged(item="lamp", price=100)}
    cheap = scenario(when=When(lambda context: context.item.price < 50))
    alice = Customer(book(cheap), around=Around(items=items))
    alice.fold(carted(1, NOW))
    assert alice.waiting == []
    items["lamp"] = ItemChanged(item="lamp", price=40)
    alice.fold(carted(2, NOW + 1))
    assert len(alice.waiting) == 1
