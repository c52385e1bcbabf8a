from collections import Counter
from itertools import pairwise
from typing import Any

from services.simulator.actions import Ask, Event, Offers, Outcome, Pause, Reply
from services.simulator.afterwards import message, refund
from services.simulator.clock import MINUTE_MS
from services.simulator.dry_run import DryRun, simulate
from services.simulator.shopper import Order, Shopper, population
from services.simulator.visit import visit
from services.simulator.world import World, build
from tests.unit.simulator.recommenders import split

START = 1_780_300_800_000
IDLE_MS = 30 * MINUTE_MS


def dry_run(name: str = "default", seed: int = 1, days: float = 3) -> DryRun:
    world = build(name, seed)
    return simulate(world, split(world, seed), start=START, days=days)


def played(script: Any, now: int, offers: Offers | None = None) -> tuple[list[Any], Outcome]:
    actions: list[Any] = []
    reply = None
    while True:
        try:
            action = next(script) if reply is None else script.send(reply)
        except StopIteration as stop:
            return actions, stop.value
        actions.append(action)
        if isinstance(action, Pause):
            now += int(action.minutes * MINUTE_MS)
        reply = Reply(now, offers if isinstance(action, Ask) else None)


def visits(world: World, offers: Offers | None, count: int = 200) -> list[tuple[list[Any], Any]]:
    shoppers = population(world, START, count)
    return [played(visit(world, shopper, START), START, offers) for shopper in shoppers]


def test_the_same_seed_plays_the_same_events() -> None:
    assert dry_run(seed=5, days=1).events == dry_run(seed=5, days=1).events


def test_enough_happens_for_a_minute_of_demo() -> None:
    kinds = Counter(event["type"] for event in dry_run().events)
    assert sum(kinds.values()) > 6_000
    assert {
        "list_viewed",
        "searched",
        "item_viewed",
        "cart_added",
        "cart_removed",
        "cart_viewed",
        "checkout_started",
        "purchased",
        "offer_shown",
        "offer_clicked",
        "identified",
        "consent_changed",
        "wishlist_added",
    } <= set(kinds)


def test_event_ids_are_unique() -> None:
    events = dry_run(days=1).events
    assert len({event["event_id"] for event in events}) == len(events)


def test_a_visit_stays_inside_one_session() -> None:
    world = build("default", 2)
    for actions, _ in visits(world, None):
        times = [action.body["occurred_at"] for action in actions if isinstance(action, Event)]
        gaps = [later - earlier for earlier, later in pairwise(times)]
        assert all(0 <= gap < IDLE_MS / 3 for gap in gaps)


def test_offers_are_reported_with_their_decision_and_rank() -> None:
    world = build("default", 2)
    items = tuple(item.id for item in world.items[:4])
    for actions, outcome in visits(world, Offers("decision-1", "random", items), count=20):
        shown = [
            action.body
            for action in actions
            if isinstance(action, Event) and action.body["type"] == "offer_shown"
        ]
        assert [event["item"] for event in shown] == list(items)
        assert [event["rank"] for event in shown] == [1, 2, 3, 4]
        assert {event["decision_id"] for event in shown} == {"decision-1"}
        assert outcome.arm == "random"


def test_a_visit_without_offers_has_no_arm() -> None:
    world = build("default", 2)
    assert all(outcome.arm is None for _, outcome in visits(world, None, count=20))
    nothing = Offers("decision-1", "random", ())
    assert all(outcome.arm is None for _, outcome in visits(world, nothing, count=20))


def test_in_the_null_world_nothing_depends_on_offers() -> None:
    world = build("null", 4)
    liked, other = (
        Offers("decision-1", arm, tuple(item.id for item in items))
        for arm, items in (("personalised", world.items[:4]), ("random", world.items[9:13]))
    )

    def without_offers(runs: list[tuple[list[Any], Any]]) -> list[Any]:
        return [
            (action.body["type"], action.body.get("item"), action.body.get("order"))
            for actions, _ in runs
            for action in actions
            if isinstance(action, Event) and action.body["type"] != "offer_shown"
        ]

    first, second = visits(world, liked), visits(world, other)
    assert without_offers(first) == without_offers(second)
    assert [bool(a.orders) for _, a in first] == [bool(b.orders) for _, b in second]


def test_carts_are_carried_until_they_are_bought() -> None:
    world = build("default", 1)
    shopper = population(world, START)[0]
    shopper.cart["item-0001"] = 2
    for number in range(50):
        _, outcome = played(visit(world, shopper, START + number), START + number)
        if outcome.orders:
            break
    order = outcome.orders[0]
    assert order.total == sum(
        world.by_id[item].price * quantity for item, quantity in order.lines.items()
    )
    assert shopper.cart == {}
    assert set(order.lines) <= shopper.bought


def test_a_log_in_names_visitor_and_customer_once() -> None:
    world = build("default", 1)
    for actions, _ in visits(world, None):
        bodies = [action.body for action in actions if isinstance(action, Event)]
        names = [body["type"] for body in bodies]
        assert names.count("identified") <= 1
        if "identified" in names:
            start = names.index("identified")
            assert {"customer", "anonymous"} <= set(bodies[start])
            assert all("customer" not in body for body in bodies[:start])
            assert all("customer" in body for body in bodies[start:])


def test_a_refund_goes_to_whoever_bought() -> None:
    world = build("default", 1)
    shopper = population(world, START)[0]
    shopper.logged_in = True
    guest = Order("order-1", {"item-0001": 2}, 999, None, "device-9")
    actions, _ = played(refund(world, shopper, guest, START), START)
    body = actions[0].body
    assert body["anonymous"] == "device-9"
    assert "customer" not in body
    assert body["total"] == world.by_id["item-0001"].price * 2


def reactions(name: str) -> tuple[Counter[str], list[Shopper], int]:
    world = build(name, 1)
    shoppers = population(world, START)
    kinds: Counter[str] = Counter()
    returning = 0
    for shopper in shoppers:
        actions, outcome = played(message(world, shopper, "trigger-1", START), START)
        bodies = [action.body for action in actions if isinstance(action, Event)]
        assert all(body["message"] == "trigger-1" and "customer" in body for body in bodies)
        kinds.update(body["type"] for body in bodies)
        returning += outcome.comes_back
    return kinds, shoppers, returning


def test_messages_bring_some_shoppers_back() -> None:
    kinds, shoppers, returning = reactions("default")
    assert kinds["message_sent"] == len(shoppers)
    assert kinds["message_sent"] > kinds["message_opened"] > kinds["message_clicked"] > returning
    assert returning > len(shoppers) * 0.1


def test_hostile_shoppers_unsubscribe_and_stay_away() -> None:
    kinds, shoppers, returning = reactions("hostile")
    assert kinds["message_unsubscribed"] > len(shoppers) * 0.3
    assert returning == 0
    assert all(shopper.patience < 1 for shopper in shoppers)
