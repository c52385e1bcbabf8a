"""How simulated customers take messages, and what they do in the shop."""

from random import Random
from statistics import mean

import pytest

from services.simulator.clock import DAY_MS, HOUR_MS
from services.simulator.daily_life import Basket, Script, introduce, visit
from services.simulator.merchant import Merchant
from services.simulator.people import Message, Mood, annoyance, at_night, person_of, take
from services.simulator.world import WORLDS, build

NOON = 1_772_366_400_000
PEOPLE = [person_of(1, number) for number in range(400)]


def reactions(world: str, gap: int, count: int = 12, at: int = NOON):
    found = []
    for person in PEOPLE:
        mood = Mood()
        for number in range(count):
            message = Message(f"m{number}", "cart", "email", at + number * gap)
            found.append(take(person, mood, message, WORLDS[world], 1))
    return found


def left(found) -> float:
    return mean(each.unsubscribed is not None for each in found)


def test_the_same_person_takes_the_same_message_the_same_way() -> None:
    assert reactions("default", DAY_MS) == reactions("default", DAY_MS)
    assert person_of(1, 7) == person_of(1, 7) != person_of(2, 7)


def test_messages_close_together_drive_people_away() -> None:
    assert left(reactions("default", 7 * DAY_MS)) < 0.6 * left(reactions("default", HOUR_MS))


def test_messages_at_night_annoy_more() -> None:
    person = next(each for each in PEOPLE if each.zone == "Asia/Tokyo" and not each.dead_address)
    assert at_night(person, NOON + HOUR_MS)
    moods = []
    for at in (NOON + HOUR_MS, NOON + 14 * HOUR_MS):
        mood = Mood()
        take(person, mood, Message("m", "cart", "push", at), WORLDS["null"], 1)
        moods.append(annoyance(mood, at + DAY_MS))
    assert moods[0] == 2 * moods[1]


def test_worlds_differ_as_they_say() -> None:
    default, null = (reactions(name, 3 * DAY_MS) for name in ("default", "null"))
    assert sum(each.comes_back for each in default) > 100
    assert not any(each.comes_back for each in null)
    assert left(reactions("hostile", DAY_MS, 2)) > 20 * left(reactions("default", DAY_MS, 2))


def test_who_has_left_hears_nothing_and_dead_addresses_bounce() -> None:
    [gone, *_] = PEOPLE
    mood = Mood(left={"email"})
    assert (
        take(gone, mood, Message("m", "cart", "email", NOON), WORLDS["default"], 1).opened is None
    )
    assert mood.annoyance == 0
    dead = next(each for each in PEOPLE if each.dead_address)
    assert take(dead, Mood(), Message("m", "cart", "email", NOON), WORLDS["default"], 1).bounced


def live(days: int, reminded: tuple[str, ...] | None = None):
    merchant, random = Merchant(build("default", 1)), Random(1)
    paid, kinds, scripts = 0, [], []
    for person in PEOPLE:
        basket = Basket()
        for number in range(days):
            script = Script(person, f"{person.id}-{number}", {"customer": person.id})
            paid += visit(script, basket, merchant, random, reminded)
            kinds += [body["type"] for _, body in script.events]
            scripts.append(script)
    return paid, kinds, scripts


def test_visits_have_all_that_scenarios_wait_for() -> None:
    paid, kinds, scripts = live(6)
    assert paid > 0
    assert {
        "item_viewed",
        "cart_added",
        "cart_removed",
        "wishlist_added",
        "checkout_started",
        "purchased",
        "order_shipped",
        "order_delayed",
        "order_delivered",
        "feedback_given",
        "item_rated",
        "consent_changed",
    } <= set(kinds)
    assert 0.1 < kinds.count("purchased") / len(scripts) < 0.4
    names = [body["event_id"] for script in scripts for _, body in script.events]
    assert len(names) == len(set(names))


def test_only_what_is_there_is_bought_at_its_price() -> None:
    merchant, random = Merchant(build("default", 1)), Random(2)
    for _ in range(200):
        merchant.look()
    for person in PEOPLE:
        script = Script(person, person.id, {"customer": person.id})
        visit(script, Basket(), merchant, random)
        for _, body in script.events:
            if body["type"] == "purchased":
                for line in body["lines"]:
                    item = merchant.item(line["item"])
                    assert item is not None
                    assert (item.stock > 0, item.price) == (True, line["price"])


def test_shelves_change_and_come_back() -> None:
    merchant = Merchant(build("default", 1))
    before = {item.id: item.price for item in merchant.items}
    changes = [merchant.look() for _ in range(120)]
    assert all(changes)
    sold_out = sum(item.stock == 0 for item in merchant.items) / len(before)
    assert 0.01 < sold_out < 0.12
    assert any(item.price < before[item.id] for item in merchant.items)
    assert sum(item.price == before[item.id] for item in merchant.items) > 0.3 * len(before)


@pytest.mark.parametrize("number", [3, 4, 5])
def test_everybody_is_introduced(number: int) -> None:
    person = PEOPLE[number]
    events = [body for _, body in introduce(person, Random(1)).events]
    assert events[0]["traits"].get("timezone") == person.zone
    denied = {each["channel"] for each in events if each["type"] == "consent_changed"}
    assert denied == person.denies
