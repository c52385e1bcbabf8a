"""A rebuild under traffic: nobody notices, nothing is lost, whoever dies right after the swap."""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, field

from shared.events import customer_key
from shared.generation_store import GenerationStore
from shared.store import open_redis
from tests.e2e.test_restarts import Traffic
from tests.fixtures.systems import Shop, event
from tests.fixtures.waiting import eventually

FRESH_S = 2.0
"""How late a click may be in an answer while the generations change."""


@dataclass(slots=True)
class Caller:
    """A shopper who clicks and asks for offers all the time. answers: fallbacks; late: seconds."""

    shop: Shop
    shopper: str
    clicks: int = 0
    answers: list[str] = field(default_factory=list)
    late: list[float] = field(default_factory=list)

    async def click(self) -> None:
        await self.shop.send(event("item_viewed", customer=self.shopper, item="mug-1"))
        self.clicks += 1

    async def run(self, enough: asyncio.Event) -> None:
        while not enough.is_set():
            await self.click()
            sent = time.monotonic()
            while await self.seen() < self.clicks:
                assert time.monotonic() < sent + 30, "a click is in no answer"
            self.late.append(time.monotonic() - sent)

    async def seen(self) -> int:
        answer = await self.shop.ask(customer=self.shopper)
        self.answers.append(answer["fallback"])
        return (answer["profile"] or {}).get("events", 0)


async def live_token(shop: Shop) -> str:
    async with open_redis(shop.settings) as redis:
        return await GenerationStore(redis, shop.settings.namespace).live_token()


async def test_nobody_notices_a_rebuild(shop: Shop, shopper: str) -> None:
    traffic, enough = Traffic(shop, shopper), asyncio.Event()
    caller = Caller(shop, shopper)
    await caller.click()
    await eventually(caller.seen, what="a first profile")
    caller.answers.clear()
    running = [asyncio.create_task(traffic.run(enough)), asyncio.create_task(caller.run(enough))]
    before = await live_token(shop)
    report = await shop.attune("rebuild", "--grace", "1")
    assert await live_token(shop) == report["generation"] != before
    assert report["events"] >= report["customers"] > 0
    enough.set()
    await asyncio.gather(*running)
    assert set(caller.answers) == {"none"}
    assert max(caller.late) < FRESH_S
    await shop.drained()
    found = await shop.verify()
    assert found["unpublished"] == 0
    due = {customer_key(customer): count for customer, count in traffic.due.items()}
    identities = await shop.identities(list(due))
    assert {key: one.profile.component.events for key, one in identities.items()} == due


async def test_a_profile_process_killed_right_after_the_swap_loses_nothing(
    shop: Shop, shopper: str
) -> None:
    traffic, enough = Traffic(shop, shopper), asyncio.Event()
    running = asyncio.create_task(traffic.run(enough))
    try:
        await eventually(lambda: traffic.batches > 5)
        before = await live_token(shop)
        rebuilding = asyncio.create_task(shop.attune("rebuild", "--grace", "3"))
        while await live_token(shop) == before:
            assert not rebuilding.done() or await rebuilding
        await shop.kill("profile")
        await shop.start("profile")
        await rebuilding
    finally:
        enough.set()
        with suppress(asyncio.CancelledError):
            await running
    await shop.drained()
    await shop.verify()
    due = {customer_key(customer): count for customer, count in traffic.due.items()}
    identities = await shop.identities(list(due))
    assert {key: one.profile.component.events for key, one in identities.items()} == due
