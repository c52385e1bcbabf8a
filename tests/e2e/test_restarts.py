"""Services that are killed while events flow: nothing is lost and nothing counts twice."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Any

from shared.events import customer_key
from tests.fixtures.systems import Shop, event
from tests.fixtures.waiting import eventually

SHOPPERS = 25
PER_BATCH = 20
PAUSE_S = 0.05
PROGRESS = 60


@dataclass(slots=True)
class Traffic:
    """Shoppers who browse as visitors and as themselves and log in; every tenth event is sent
    again. Counts what it sent: `due` by customer, each event once."""

    shop: Shop
    prefix: str
    random: Random = field(default_factory=lambda: Random(7))
    due: Counter[str] = field(default_factory=Counter)
    batches: int = 0
    resent: int = 0

    async def run(self, enough: asyncio.Event) -> None:
        """Sends batches until there is enough, then logs everybody in."""
        again: list[dict[str, Any]] = []
        while not enough.is_set():
            batch = [self._event() for _ in range(PER_BATCH)]
            await self.shop.send(*batch, *again)
            self.resent += len(again)
            self.batches += 1
            again = batch[::10]
            await asyncio.sleep(PAUSE_S)
        await self.shop.send(*(self._login(number) for number in range(SHOPPERS)))

    def _event(self) -> dict[str, Any]:
        number, chance = self.random.randrange(SHOPPERS), self.random.random()
        if chance < 0.1:
            return self._login(number)
        who = "anonymous" if chance < 0.6 else "customer"
        self.due[self._customer(number)] += 1
        return event(
            "item_viewed",
            item=f"mug-{self.random.randrange(10)}",
            **{who: f"{self.prefix}-{who}-{number}"},
        )

    def _login(self, number: int) -> dict[str, Any]:
        customer = self._customer(number)
        self.due[customer] += 1
        visitor = f"{self.prefix}-anonymous-{number}"
        return event("identified", customer=customer, anonymous=visitor)

    def _customer(self, number: int) -> str:
        return f"{self.prefix}-customer-{number}"


async def applied(shop: Shop, prefix: str) -> Counter[str]:
    """How many events each customer's profile holds."""
    customers = [f"{prefix}-customer-{number}" for number in range(SHOPPERS)]
    found = await shop.identities([customer_key(customer) for customer in customers])
    return Counter({each: found[customer_key(each)].profile.component.events for each in customers})


async def kill_and_restart(shop: Shop, traffic: Traffic, *names: str) -> None:
    """Waits for progress, kills the services, lets events pile up, starts them again."""

    async def more_than(applied_so_far: int) -> bool:
        return (await applied(shop, traffic.prefix)).total() >= applied_so_far + PROGRESS

    so_far = (await applied(shop, traffic.prefix)).total()
    await eventually(lambda: more_than(so_far), what="progress before the next kill")
    at_kill = traffic.batches
    try:
        await shop.kill(*names)
        await eventually(lambda: traffic.batches > at_kill + 3, what="events during the outage")
    finally:
        await shop.start(*names)


async def test_kills_while_events_flow_lose_nothing_and_double_nothing(
    shop: Shop, shopper: str
) -> None:
    before = await shop.verify()
    traffic, enough = Traffic(shop, shopper), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(traffic.run(enough))
        try:
            for names in (("ingest",), ("profile",), ("ingest", "profile")):
                await kill_and_restart(shop, traffic, *names)
        finally:
            enough.set()

    async def complete() -> bool:
        return await applied(shop, shopper) == traffic.due

    await eventually(complete, what="each event applied once")
    after = await shop.verify()
    assert await applied(shop, shopper) == traffic.due
    assert after["applied"] - before["applied"] == traffic.due.total()
    assert after["deduplicated"] - before["deduplicated"] == traffic.resent > 0
