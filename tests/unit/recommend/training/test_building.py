"""The history out of records: in order, each thing once, whatever the order of delivery."""

import random
from dataclasses import dataclass

import pytest

from services.recommend.training.building import HistoryBuilder
from services.recommend.training.history import NO_SESSION, History, until
from shared.events import (
    AnyFact,
    CartAdded,
    ItemViewed,
    Line,
    OfferClicked,
    OfferShown,
    Purchased,
    Searched,
    WishlistAdded,
    encode,
    identity_key,
)
from shared.profile import CARTED, CLICKED, VIEWED, WISHED

MINUTE = 60_000


@dataclass(frozen=True)
class Recorded:
    key: bytes | None
    value: bytes | None
    partition: int
    offset: int


def fact(kind: type, who: str, at: int, **fields: object) -> AnyFact:
    made: AnyFact = kind(
        event_id=f"{who}-{at}-{kind.__name__}", customer=who, occurred_at=at * MINUTE,
        received_at=at * MINUTE, **fields
    )  # fmt: skip
    return made


def order(who: str, at: int, name: str, *lines: Line, country: str | None = None) -> AnyFact:
    return fact(
        Purchased, who, at, order=name, lines=list(lines), total=1, currency="EUR", country=country
    )


def built(*facts: AnyFact) -> History:
    builder = HistoryBuilder()
    builder.read(
        Recorded(identity_key(one).encode(), encode(one), 3, 10 + place)
        for place, one in enumerate(facts)
    )
    return builder.history()


SHOP = (
    fact(ItemViewed, "ann", 0, item="a"),
    fact(ItemViewed, "ann", 1, item="b"),
    fact(Searched, "ann", 2, query="lamp"),
    fact(CartAdded, "ann", 2, item="a"),
    fact(WishlistAdded, "ann", 3, item="c"),
    fact(ItemViewed, "bob", 20, item="b"),
    fact(OfferShown, "bob", 21, item="d", decision_id="1"),
    fact(OfferClicked, "bob", 22, item="a", decision_id="1"),
    fact(ItemViewed, "ann", 60, item="b"),
    order("ann", 4, "o1", Line(item="a", quantity=2, price=500), Line(item="c"), country="FR"),
    order("bob", 70, "o2", Line(item="a"), Line(item="a", quantity=3, price=450)),
)


def test_touches_have_their_kind_and_session() -> None:
    history = built(*SHOP)
    touches, ids = history.touches, history.items
    rows = [
        (history.customers[who], ids[item], kind, at // MINUTE, session)
        for who, item, kind, at, session in zip(*(c.tolist() for c in touches), strict=True)
    ]
    assert rows == [
        ("c:ann", "a", VIEWED, 0, 0),
        ("c:ann", "b", VIEWED, 1, 0),
        ("c:ann", "a", CARTED, 2, 0),
        ("c:ann", "c", WISHED, 3, NO_SESSION),
        ("c:bob", "b", VIEWED, 20, 1),
        ("c:bob", "a", CLICKED, 22, NO_SESSION),
        ("c:ann", "b", VIEWED, 60, 2),
    ]
    assert ids[0] == ""
    assert (history.facts, history.sessions, history.orders) == (len(SHOP), 3, 2)
    assert (history.first, history.last) == (0, 70 * MINUTE)
    assert history.positions == {3: 10 + len(SHOP)}


def test_lines_are_one_an_item_and_name_the_country() -> None:
    history = built(*SHOP)
    lines, ids = history.lines, history.items
    rows = [
        (number, history.customers[who], ids[item], quantity, price, at // MINUTE)
        for number, who, item, quantity, price, at in zip(*(c.tolist() for c in lines), strict=True)
    ]
    assert rows == [
        (0, "c:ann", "a", 2, 500, 4),
        (0, "c:ann", "c", 1, -1, 4),
        (1, "c:bob", "a", 4, 450, 70),
    ]
    assert history.traits == {0: ("country=FR",)}


def test_what_is_delivered_twice_or_in_another_order_teaches_once_and_the_same() -> None:
    once = built(*SHOP)
    again = [*SHOP, *SHOP[:4], SHOP[9]]
    # the order of first sight gives the numbers, so it is kept
    later = again[len(SHOP) :]
    random.Random(1).shuffle(later)
    twice = built(*SHOP, *later)
    for found, expected in zip(
        (*twice.touches, *twice.lines), (*once.touches, *once.lines), strict=True
    ):
        assert found.tolist() == expected.tolist()


def test_an_order_id_is_one_order_of_its_customer_alone() -> None:
    history = built(order("ann", 1, "7", Line(item="a")), order("bob", 2, "7", Line(item="b")))
    assert history.orders == 2


@pytest.mark.parametrize(
    "value", [None, b"", b"{", b'{"type":"item_viewed"}', b'{"type":"purchased","order":5}']
)
def test_unreadable_records_teach_nothing(value: bytes | None) -> None:
    builder = HistoryBuilder()
    builder.take(b"c:ann", value)
    builder.take(None, encode(SHOP[0]))
    history = builder.history()
    assert (history.facts, len(history.touches.at), history.orders) == (2, 0, 0)


def test_until_a_moment_sessions_are_whole_or_not_there() -> None:
    history = built(*SHOP)
    early = until(history, 2 * MINUTE)
    assert len(early.touches.at) == 0, "ann's first session went on to minute 2"
    early = until(history, 21 * MINUTE)
    assert early.sessions == 2
    assert early.touches.at.max() == 20 * MINUTE
    assert (early.orders, early.items) == (1, history.items)
    assert until(history, 71 * MINUTE).orders == 2
