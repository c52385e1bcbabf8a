"""Facts for `attune bench ingest` and `memory`: shoppers who browse, seeded. Pure.

Session lengths, fields and sizes are like those of the simulated shop; order of arrival is mixed
over shoppers as a live log's is.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from shared import events as facts

ITEMS: Final = 5_000
CATEGORIES: Final = 40
BRANDS: Final = 60
EVENTS_A_SHOPPER: Final = 40
OPEN_SESSIONS: Final = 400
MEAN_GAP_MS: Final = 10


def shop_facts(count: int, seed: int, received_at: int) -> Iterator[facts.AnyFact]:
    """`count` facts of about count / 40 shoppers; a fifth of these are anonymous visitors.

    received_at: business epoch ms that all of them carry; they happened shortly before, a
    hundred a second.
    """
    draw = random.Random(seed)
    shoppers = max(1, count // EVENTS_A_SHOPPER)
    open_sessions: list[list[int]] = []
    clock = received_at - count * MEAN_GAP_MS
    for number in range(count):
        clock += draw.randrange(2 * MEAN_GAP_MS)
        if len(open_sessions) < OPEN_SESSIONS:
            open_sessions.append([draw.randrange(shoppers), draw.randint(2, 20)])
        place = draw.randrange(len(open_sessions))
        session = open_sessions[place]
        kind = "anonymous" if session[0] % 5 == 0 else "customer"
        who = {kind: f"shopper-{session[0]}"}
        yield shop_fact(draw, number, who, any_item(draw), clock, received_at)
        session[1] -= 1
        if not session[1]:
            open_sessions[place] = open_sessions[-1]
            open_sessions.pop()


def shop_fact(
    draw: random.Random,
    number: int,
    who: Mapping[str, str],
    item: int,
    occurred_at: int,
    received_at: int,
    kind: str | None = None,
) -> facts.AnyFact:
    """A fact of one shopper about item number `item`: of a kind, or drawn, mostly a view."""
    base: dict[str, Any] = {
        "event_id": f"{draw.getrandbits(64):016x}-{number}",
        "occurred_at": occurred_at,
        "received_at": received_at,
        **who,
    }
    price = 500 + (item * 7919) % 20_000
    described: dict[str, Any] = {
        "category": f"category-{item % CATEGORIES}",
        "brand": f"brand-{item % BRANDS}",
        "price": price,
    }
    part = 1.0 if kind == "purchased" else draw.random()
    if part < 0.72:
        return facts.ItemViewed(**base, item=f"item-{item}", currency="GBP", **described)
    if part < 0.80:
        return facts.PageViewed(**base, path=f"/c/{item % CATEGORIES}")
    if part < 0.88:
        return facts.OfferShown(**base, item=f"item-{item}", placement="home", rank=1)
    if part < 0.96:
        return facts.CartAdded(**base, item=f"item-{item}", currency="GBP", **described)
    line = facts.Line(item=f"item-{item}", **described)
    return facts.Purchased(
        **base, order=f"order-{number}", lines=[line], total=price, currency="GBP"
    )


def any_item(draw: random.Random) -> int:
    """An item, the popular ones more often."""
    return int(ITEMS * draw.random() ** 2)


def favourite_item(draw: random.Random, categories: Sequence[int]) -> int:
    """An item of the given categories four times in five, else any."""
    if draw.random() < 0.2:
        return any_item(draw)
    return draw.choice(categories) + CATEGORIES * draw.randrange(ITEMS // CATEGORIES)
