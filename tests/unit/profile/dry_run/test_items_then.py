"""The catalogue as it stood, from what a compacted topic still holds."""

from services.profile.component import pack
from services.profile.dry_run.interested import Interested
from services.profile.dry_run.items_then import items_now, items_then
from shared import catalogue
from shared import events as facts
from shared.catalogue import ItemChanged, OfferChanged
from tests.unit.profile.builders import DAY, HOUR, NOW, base, carted, folded, viewed


def item(name: str, at: int, price: int) -> bytes:
    return catalogue.encode(ItemChanged(item=name, price=price, changed_at=at))


def test_changes_before_the_start_stand_and_later_ones_are_changes() -> None:
    items, moves = items_then(
        [
            item("lamp", NOW - DAY, 100),
            item("lamp", NOW - HOUR, 90),
            item("lamp", NOW + DAY, 80),
            item("lamp", NOW + HOUR, 85),
        ],
        NOW,
    )

    assert items["lamp"].price == 90
    assert [(move.before and move.before.price, move.item.price) for move in moves] == [
        (90, 85),
        (85, 80),
    ]


def test_the_first_change_that_is_known_begins_nothing() -> None:
    items, moves = items_then([item("lamp", NOW + DAY, 80)], NOW)

    assert items["lamp"].price == 80
    assert moves == []


def test_what_is_no_item_is_passed_over() -> None:
    messages = [b"{", catalogue.encode(OfferChanged(offer="o")), item("lamp", NOW, 1)]

    assert list(items_then(messages, NOW)[0]) == ["lamp"]
    assert list(items_now(messages)) == ["lamp"]


def test_customers_are_found_by_what_they_met() -> None:
    interested = Interested()
    interested.note("c:b", viewed(1, NOW, "lamp"))
    interested.note("c:b", viewed(2, NOW + HOUR, "lamp"))
    interested.note("c:a", carted(3, NOW, "lamp"))
    interested.note("c:a", viewed(4, NOW, "rug"))

    assert interested.in_item("lamp") == [("c:a", 0), ("c:b", NOW + HOUR)]
    assert interested.in_item("sofa") == []


def test_what_a_visitor_brought_along_counts_too() -> None:
    part = folded(viewed(1, NOW, "lamp"), carted(2, NOW, "rug"))
    interested = Interested()

    interested.note(
        "c:a",
        facts.ProfileAbsorbed(**base(5), through="0/1", component=pack(part)),
    )

    assert interested.in_item("lamp") == [("c:a", NOW)]
    assert interested.in_item("rug") == [("c:a", 0)]
