"""The catalogue in memory and its changes, as the topic tells them."""

import pytest

from services.profile.items import catalogue as held
from services.profile.items.catalogue import Items
from shared import catalogue
from shared.catalogue import OfferChanged
from tests.unit.profile.builders import NOW
from tests.unit.profile.items.changes import Written, changed


@pytest.fixture
def items() -> Items:
    found = Items()
    found.begin("topic-1")
    return found


def test_a_change_has_the_item_as_it_was_before(items: Items) -> None:
    items.take([changed(0, "lamp", price=1000), changed(1, "mug", price=5)])
    assert items.since(0, 10) == []
    items.take([changed(2, "lamp", price=800), changed(3, "lamp", price=900)])
    first, second = items.since(0, 10)
    assert (first.offset, first.before.price, first.item.price) == (2, 1000, 800)
    assert (second.offset, second.before.price, second.item.price) == (3, 800, 900)
    assert items.items["lamp"].price == 900
    assert items.end == 4


def test_what_says_nothing_new_is_no_change(items: Items) -> None:
    items.take([changed(0, "lamp", price=1000), changed(1, "lamp", price=1000)])
    assert items.since(0, 10) == []
    assert items.items["lamp"].changed_at == NOW + 1


def test_changes_are_found_from_an_offset_on(items: Items) -> None:
    items.take([changed(offset, "lamp", price=offset) for offset in (0, 2, 5, 9)])
    assert [move.offset for move in items.since(0, 10)] == [2, 5, 9]
    assert [move.offset for move in items.since(3, 1)] == [5]
    assert [items.waiting(offset) for offset in (0, 5, 6, 10)] == [3, 2, 1, 0]


def test_an_item_that_was_deleted_is_gone_and_comes_back_as_a_new_one(items: Items) -> None:
    items.take([changed(0, "lamp", price=1000), Written(1, b"item:lamp", None)])
    assert items.items == {}
    items.take([changed(2, "lamp", price=500)])
    assert items.since(0, 10) == []


def test_a_change_without_a_time_has_that_of_its_record(items: Items) -> None:
    items.take([changed(9, "lamp", changed_at=0)])
    assert items.items["lamp"].changed_at == NOW


def test_what_is_no_item_or_does_not_decode_is_passed_over(items: Items) -> None:
    offer = catalogue.encode(OfferChanged(offer="sale", changed_at=5))
    items.take(
        [
            Written(0, b"item:lamp", b"{"),
            Written(1, b"offer:sale", offer),
            Written(2, b"offer:sale", None),
            changed(3, "mug"),
        ]
    )
    assert list(items.items) == ["mug"]
    assert items.end == 4


def test_only_so_many_changes_are_held(items: Items, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held, "MOVES_KEPT", 2)
    items.take([changed(offset, "lamp", price=offset) for offset in range(5)])
    assert [move.offset for move in items.since(0, 10)] == [3, 4]
    assert items.first == 3


def test_another_topic_begins_anew(items: Items) -> None:
    items.take([changed(offset, "lamp", price=offset) for offset in range(3)])
    held_by_others = items.items
    items.begin("topic-2")
    assert held_by_others == {}
    assert (items.incarnation, items.end, items.since(0, 10)) == ("topic-2", 0, [])


def test_the_first_change_since_a_time_is_found(items: Items) -> None:
    items.take([changed(offset, "lamp", price=offset) for offset in (0, 2, 5)])
    assert items.first_since(NOW + 2) == 2
    assert items.first_since(NOW + 3) == 5
    assert items.first_since(NOW + 6) == items.end == 6
