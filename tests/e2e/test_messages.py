"""An abandoned cart becomes one CloudEvent for the marketer's tool, or a suppression."""

import json

from shared.bus import Record
from shared.clock import real_now_ms
from shared.headers import find
from shared.topics import SUPPRESSIONS, Topic, triggers
from tests.fixtures.systems import Shop, event
from tests.fixtures.waiting import eventually

EMAIL = triggers("email")
HOUR_MS = 3_600_000


async def messages(shop: Shop, topic: Topic, customer: str) -> list[Record]:
    """What the topic holds for a customer."""
    return [each for each in await shop.records(topic) if each.key == customer.encode()]


async def first_messages(shop: Shop, topic: Topic, customer: str) -> list[Record]:
    """The same, once there is something."""
    return await eventually(lambda: messages(shop, topic, customer), what=topic.name)


async def test_an_abandoned_cart_becomes_one_cloudevent(shop: Shop, shopper: str) -> None:
    then = real_now_ms() - 2 * HOUR_MS
    carted = [
        event("cart_added", customer=shopper, item=item, occurred_at=then + number)
        for number, item in enumerate(("lamp-6", "rug-6"))
    ]
    await shop.send(*carted)
    await first_messages(shop, EMAIL, shopper)
    await shop.drained()
    (message,) = await messages(shop, EMAIL, shopper)
    assert find(message.headers, "ce_specversion") == "1.0"
    assert find(message.headers, "ce_type") == "attune.trigger.cart_abandoned"
    assert find(message.headers, "ce_source") == "attune/profile"
    assert find(message.headers, "ce_time")
    assert find(message.headers, "content-type") == "application/json"
    data = json.loads(message.value or b"")
    assert find(message.headers, "ce_id") == data["decision_id"] == data["dedupe_key"]
    assert (data["customer"], data["channel"]) == (shopper, "email")
    assert data["payload"]["items"] == ["rug-6", "lamp-6"]
    assert data["evidence"] == [each["event_id"] for each in reversed(carted)]
    assert data["not_before"] < data["expires_at"]
    assert await messages(shop, SUPPRESSIONS, shopper) == []
    await shop.verify()


async def test_a_customer_who_denied_consent_is_left_alone(shop: Shop, shopper: str) -> None:
    then = real_now_ms() - 2 * HOUR_MS
    denied = {"purpose": "marketing", "granted": False, "channel": "email"}
    await shop.send(
        event("consent_changed", customer=shopper, occurred_at=then - 1, **denied),
        event("cart_added", customer=shopper, item="lamp-7", occurred_at=then),
    )
    await first_messages(shop, SUPPRESSIONS, shopper)
    await shop.drained()
    (suppression,) = await messages(shop, SUPPRESSIONS, shopper)
    data = json.loads(suppression.value or b"")
    assert data["suppressed_by"] == "consent"
    assert data["payload"]["items"] == ["lamp-7"]
    assert await messages(shop, EMAIL, shopper) == []


async def test_a_cart_that_was_bought_is_no_moment(shop: Shop, shopper: str) -> None:
    then = real_now_ms() - 2 * HOUR_MS
    order = {"order": f"order-{shopper}", "total": 500, "currency": "EUR"}
    await shop.send(
        event(
            "purchased", customer=shopper, occurred_at=then + 1, lines=[{"item": "mug-5"}], **order
        )
    )
    await shop.ask_until(1, customer=shopper)
    await shop.send(event("cart_added", customer=shopper, item="mug-5", occurred_at=then))
    await shop.ask_until(2, customer=shopper)
    later = f"{shopper}-later"
    await shop.send(event("cart_added", customer=later, item="mug-6", occurred_at=then))
    await first_messages(shop, EMAIL, later)
    await shop.drained()
    assert await messages(shop, EMAIL, shopper) == []
    assert await messages(shop, SUPPRESSIONS, shopper) == []
