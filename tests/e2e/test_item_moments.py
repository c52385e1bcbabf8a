"""An item changes: who viewed, carried or wished it hears of it, with offers that can be bought."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from shared.topics import SUPPRESSIONS, triggers
from tests.e2e.test_messages import first_messages, messages
from tests.fixtures.systems import CATALOGUE, Shop, event

PUSH = triggers("push")
PRICES = {entry["item"]: entry["price"] for entry in CATALOGUE}
TRIES = 12


@asynccontextmanager
async def changed(shop: Shop, item: str, **fields: Any) -> AsyncIterator[None]:
    """The item for a while; put back afterwards, for the shop is shared."""
    await shop.administer(item, **fields)
    try:
        yield
    finally:
        await shop.administer(item, price=PRICES[item], stock=50)


async def told(shop: Shop, customer: str) -> dict[str, Any]:
    """What a customer is told, once."""
    await first_messages(shop, PUSH, customer)
    await shop.drained()
    (record,) = await messages(shop, PUSH, customer)
    found: dict[str, Any] = json.loads(record.value or b"")
    return found


@pytest.mark.parametrize("shown", ["item_viewed", "cart_added", "wishlist_added"])
async def test_a_price_drop_is_told_to_who_showed_interest(
    shop: Shop, shopper: str, shown: str
) -> None:
    await shop.send(event(shown, customer=shopper, item="clock-8"))
    other = f"{shopper}-other"
    await shop.send(event("item_viewed", customer=other, item="clock-9"))
    await shop.ask_until(1, customer=shopper)
    await shop.ask_until(1, customer=other)
    async with changed(shop, "clock-8", price=PRICES["clock-8"] // 2):
        message = await told(shop, shopper)
    assert message["scenario"] == "price_drop"
    assert message["payload"]["items"][0] == "clock-8"
    assert await messages(shop, PUSH, other) == []
    await shop.verify()


async def test_what_is_back_in_stock_is_told_to_who_wished_it(shop: Shop, shopper: str) -> None:
    async with changed(shop, "rug-8", stock=0):
        await shop.send(event("wishlist_added", customer=shopper, item="rug-8"))
        await shop.ask_until(1, customer=shopper)
        await shop.administer("rug-8", stock=3)
        message = await told(shop, shopper)
    assert message["scenario"] == "back_in_stock"
    assert message["payload"]["items"][0] == "rug-8"


async def test_who_bought_it_since_is_told_nothing(shop: Shop, shopper: str) -> None:
    order = {"order": f"order-{shopper}", "total": 500, "currency": "EUR"}
    await shop.send(event("item_viewed", customer=shopper, item="desk-8"))
    await shop.send(event("purchased", customer=shopper, lines=[{"item": "desk-8"}], **order))
    await shop.ask_until(2, customer=shopper)
    other = f"{shopper}-other"
    await shop.send(event("item_viewed", customer=other, item="desk-8"))
    await shop.ask_until(1, customer=other)
    async with changed(shop, "desk-8", price=PRICES["desk-8"] // 2):
        await told(shop, other)
    assert await messages(shop, PUSH, shopper) == []
    assert await messages(shop, SUPPRESSIONS, shopper) == []


async def test_offers_of_a_message_can_be_bought_and_were_not(shop: Shop, shopper: str) -> None:
    order = {"total": 500, "currency": "EUR", "lines": [{"item": "poster-7"}]}
    async with changed(shop, "poster-8", stock=0):
        # Offers have 50 ms to come, and a busy machine may need a few tries.
        for number in range(TRIES):
            customer = f"{shopper}-{number}"
            await shop.send(
                event("purchased", customer=customer, order=f"order-{customer}", **order),
                event("item_viewed", customer=customer, item="poster-9"),
            )
            await shop.ask_until(2, customer=customer)
            async with changed(shop, "poster-9", price=PRICES["poster-9"] // 2):
                payload = (await told(shop, customer))["payload"]
            if payload["recommendation"]:
                break
    assert payload["items"][0] == "poster-9"
    assert len(payload["items"]) == len(CATALOGUE) - 2
    assert not {"poster-7", "poster-8"} & set(payload["items"])
    decision = await recommended(shop, payload["recommendation"])
    assert decision["context"]["trigger"] == "price_drop"


async def test_a_rebuild_forgets_no_interest_and_says_nothing_twice(
    shop: Shop, shopper: str
) -> None:
    others = [f"{shopper}-{number}" for number in range(2)]
    await shop.send(*(event("item_viewed", customer=one, item="lamp-9") for one in others))
    await shop.send(event("item_viewed", customer=shopper, item="lamp-8"))
    for customer in (shopper, *others):
        await shop.ask_until(1, customer=customer)
    async with changed(shop, "lamp-8", price=PRICES["lamp-8"] // 2):
        before = await told(shop, shopper)
        await shop.attune("rebuild", "--grace", "0")
        async with changed(shop, "lamp-9", price=PRICES["lamp-9"] // 2):
            for customer in others:
                assert (await told(shop, customer))["payload"]["items"][0] == "lamp-9"
        # What was noted of the first change once more has been looked at by now.
        assert await told(shop, shopper) == before
    assert await messages(shop, SUPPRESSIONS, shopper) == []
    await shop.verify()


async def recommended(shop: Shop, decision_id: str) -> dict[str, Any]:
    """Recommend's own record of a decision."""
    headers = {"authorization": f"Bearer {shop.system.keys.server}"}
    address = f"{shop.system.recommend}/v1/decisions/{decision_id}"
    answer = await shop.client.get(address, headers=headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found
