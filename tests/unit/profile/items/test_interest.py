"""By what a customer is interested in an item, and what the index remembers of it."""

import pytest

from services.profile.component import pack
from services.profile.identity import Delivery
from services.profile.items.interest import (
    LIFE_MS,
    Kinds,
    first_mark,
    gather,
    interests,
    kinds_of,
    mark_of,
    marked_at,
)
from services.profile.window import Verdict
from shared import events as facts
from tests.unit.profile.builders import DAY, HOUR, MINUTE, NOW, base, bought, carted, folded, viewed

ALL: Kinds = frozenset({"viewed", "carted", "wished"})
VIEWED = 1


def wished(number: int = 0, at: int = NOW, item: str = "lamp", **who: str) -> facts.WishlistAdded:
    return facts.WishlistAdded(**base(number, at, **who), item=item)


def unwished(number: int, at: int) -> facts.WishlistRemoved:
    return facts.WishlistRemoved(**base(number, at), item="lamp")


def uncarted(number: int, at: int) -> facts.CartRemoved:
    return facts.CartRemoved(**base(number, at), item="lamp")


def dismissed(number: int, at: int) -> facts.OfferDismissed:
    return facts.OfferDismissed(**base(number, at), item="lamp")


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        ([], set()),
        ([viewed(1)], {"viewed"}),
        ([viewed(1, item="sofa")], set()),
        ([carted(1)], {"carted"}),
        ([wished(1)], {"wished"}),
        ([viewed(1), carted(2), wished(3)], ALL),
        ([viewed(1, NOW - 30 * DAY)], set()),
        ([wished(1, NOW - 60 * DAY)], {"wished"}),
        ([carted(1, NOW - HOUR), uncarted(2, NOW)], set()),
        ([wished(1, NOW - HOUR), unwished(2, NOW)], set()),
        ([viewed(1, NOW - HOUR), wished(2, NOW - HOUR), bought(3, NOW)], set()),
        ([bought(1, NOW - HOUR), viewed(2, NOW)], {"viewed"}),
        ([viewed(1), wished(2), dismissed(3, NOW)], set()),
        ([viewed(1, NOW + MINUTE)], set()),
    ],
)
def test_the_state_says_who_is_interested(history: list[facts.Fact], expected: set[str]) -> None:
    component = folded(*history)
    assert kinds_of(component, "lamp", NOW) == expected
    assert interests(component, NOW).get("lamp", frozenset()) == expected


def test_the_index_knows_views_that_the_state_has_forgotten() -> None:
    others = [viewed(number, item=f"item-{number}") for number in range(20)]
    component = folded(viewed(90, NOW - DAY), *others)
    assert kinds_of(component, "lamp", NOW) == set()
    assert kinds_of(component, "lamp", NOW, mark_of(VIEWED, NOW - DAY)) == {"viewed"}
    assert kinds_of(component, "lamp", NOW, mark_of(VIEWED, NOW - 31 * DAY)) == set()


def test_what_was_bought_since_the_index_noted_it_is_no_interest() -> None:
    mark = mark_of(VIEWED, NOW - DAY)
    assert kinds_of(folded(bought(1, NOW - HOUR)), "lamp", NOW, mark) == set()
    assert kinds_of(folded(bought(1, NOW - 2 * DAY)), "lamp", NOW, mark) == {"viewed"}


@pytest.mark.parametrize("code", LIFE_MS)
def test_a_mark_counts_for_as_long_as_its_kind(code: int) -> None:
    mark = mark_of(code, NOW)
    assert 0 <= NOW - marked_at(mark) < MINUTE
    assert mark >= first_mark(NOW + LIFE_MS[code] - MINUTE)
    assert mark < first_mark(NOW + LIFE_MS[code] + MINUTE)


def test_a_batch_adds_what_known_customers_newly_showed() -> None:
    visitor = base(9, anonymous="visitor")
    deliveries = {
        "c:alice": [
            Delivery(viewed(1, NOW - HOUR), 3, 10),
            Delivery(carted(2), 3, 11),
            Delivery(viewed(3, NOW - HOUR, item="sofa"), 3, 12),
            Delivery(viewed(4, item="mug"), 3, 13),
        ],
        "c:bob": [Delivery(wished(5, customer="bob"), 1, 7)],
        "a:visitor": [Delivery(facts.ItemViewed(**visitor, item="lamp"), 3, 14)],
    }
    verdicts = {
        "c:alice": [Verdict.NEW, Verdict.NEW, Verdict.DUPLICATE, Verdict.REDELIVERED],
        "c:bob": [Verdict.NEW],
        "a:visitor": [Verdict.NEW],
    }
    assert gather(deliveries, verdicts.__getitem__, ALL) == {
        3: {"lamp": {"alice": mark_of(2, NOW)}},
        1: {"lamp": {"bob": mark_of(3, NOW)}},
    }
    only_views = gather(deliveries, verdicts.__getitem__, frozenset({"viewed"}))
    assert only_views == {3: {"lamp": {"alice": mark_of(1, NOW - HOUR)}}}


def test_a_login_brings_along_what_the_visitor_showed() -> None:
    visitor = folded(viewed(1, item="sofa"), carted(2), wished(3, item="mug"))
    absorbed = facts.ProfileAbsorbed(
        **base(4), anonymous="visitor", through="3/4", component=pack(visitor)
    )
    found = gather({"c:alice": [Delivery(absorbed, 3, 10)]}, lambda _: [Verdict.NEW], ALL)
    assert found == {
        3: {
            "sofa": {"alice": mark_of(1, NOW)},
            "lamp": {"alice": mark_of(2, NOW)},
            "mug": {"alice": mark_of(3, NOW)},
        }
    }
