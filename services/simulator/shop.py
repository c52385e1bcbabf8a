"""The shop in business time: who comes when, what is returned, whom a message brings back.

Keeps the shoppers' calendar and carries out their scripts (visit.py, afterwards.py) over HTTP and
Kafka. Each shopper does one thing at a time; a shop that falls behind lets visits start late.
"""

import asyncio
import heapq
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from services.simulator import afterwards, noise
from services.simulator.actions import Event, Outcome, Pause, Reply, Script
from services.simulator.client import ORDERS, AttuneClient
from services.simulator.clock import MINUTE_MS, BusinessClock
from services.simulator.conversion import Conversions
from services.simulator.shopper import Shopper, next_visit_in, population
from services.simulator.visit import visit
from services.simulator.world import World

AT_ONCE: Final = 64
LONGEST_WAIT_S: Final = 0.05
FINISH_S: Final = 5.0

Occasion = Callable[[Shopper, int], Awaitable[None]]


@dataclass(order=True, slots=True)
class _Entry:
    at: float
    number: int
    shopper: int = field(compare=False)
    occasion: Occasion = field(compare=False)


@dataclass(slots=True)
class Counts:
    """What happened in the shop so far."""

    visits: int = 0
    orders: int = 0
    refunds: int = 0
    messages: int = 0
    resent: int = 0
    broken: int = 0


class Shop:
    """The running shop. `book` puts an order onto the log without the collector."""

    def __init__(
        self,
        world: World,
        client: AttuneClient,
        clock: BusinessClock,
        book: Callable[[dict[str, Any]], Awaitable[None]],
    ) -> None:
        self.world = world
        self.client = client
        self.clock = clock
        self.counts = Counts()
        self.conversions = Conversions()
        self.visits_of: dict[str, int] = {}
        now = clock.now()
        self.shoppers = population(world, now)
        self._book = book
        self._noise = Random(f"noise-{world.seed}")
        self._by_customer = {
            shopper.traits.customer: number for number, shopper in enumerate(self.shoppers)
        }
        self._calendar: list[_Entry] = []
        self._entries = 0
        self._busy: set[int] = set()
        self._places = asyncio.Semaphore(AT_ONCE)
        self._running: set[asyncio.Task[None]] = set()
        for number, shopper in enumerate(self.shoppers):
            self._plan(now + next_visit_in(shopper), number, self._visit)

    async def run(self, stop: asyncio.Event) -> None:
        """Opens the shop until `stop`; visits that run then are finished, none is begun."""
        while not stop.is_set():
            wait_s = self.clock.real_seconds(self._calendar[0].at - self.clock.now())
            if wait_s > 0:
                await asyncio.sleep(min(wait_s, LONGEST_WAIT_S))
                continue
            entry = heapq.heappop(self._calendar)
            if entry.shopper in self._busy:
                self._plan(self.clock.now() + MINUTE_MS, entry.shopper, entry.occasion)
                continue
            await self._places.acquire()
            self._busy.add(entry.shopper)
            self._start(self._attend(entry))
        await self._finish()

    async def deliver(self, trigger: str, customer: str) -> None:
        """A message for a customer leaves the marketing tool."""
        number = self._by_customer.get(customer)
        if number is None or self.shoppers[number].unsubscribed:
            return

        async def occasion(shopper: Shopper, now: int) -> None:
            self.counts.messages += 1
            outcome = await self._carry_out(
                afterwards.message(self.world, shopper, trigger, now), now
            )
            if outcome.comes_back:
                self._plan(self.clock.now() + 2 * MINUTE_MS, number, self._return_for_message)

        self._plan(self.clock.now() + MINUTE_MS, number, occasion)

    def _plan(self, at: float, shopper: int, occasion: Occasion) -> None:
        self._entries += 1
        heapq.heappush(self._calendar, _Entry(at, self._entries, shopper, occasion))

    def _start(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _attend(self, entry: _Entry) -> None:
        try:
            await entry.occasion(self.shoppers[entry.shopper], self.clock.now())
        finally:
            self._busy.discard(entry.shopper)
            self._places.release()

    async def _visit(self, shopper: Shopper, now: int) -> None:
        if now > shopper.traits.leaves_at:
            return
        if shopper.random.random() < afterwards.busy_at(now):
            await self._shop(shopper, now, reminded=False)
        at = self.clock.now() + next_visit_in(shopper)
        self._plan(at, self._by_customer[shopper.traits.customer], self._visit)

    async def _return_for_message(self, shopper: Shopper, now: int) -> None:
        await self._shop(shopper, now, reminded=True)

    async def _shop(self, shopper: Shopper, now: int, *, reminded: bool) -> None:
        outcome = await self._carry_out(visit(self.world, shopper, now, reminded=reminded), now)
        customer = shopper.traits.customer
        self.counts.visits += 1
        self.visits_of[customer] = self.visits_of.get(customer, 0) + 1
        if outcome.arm is not None:
            self.conversions.add(customer, outcome.arm, bool(outcome.orders))
        for order in outcome.orders:
            self.counts.orders += 1
            after = afterwards.return_after(shopper)
            if after is not None:

                async def bring_back(shopper: Shopper, now: int, order: Any = order) -> None:
                    self.counts.refunds += 1
                    script = afterwards.refund(self.world, shopper, order, now)
                    await self._carry_out(script, now)

                at = self.clock.now() + after
                self._plan(at, self._by_customer[customer], bring_back)

    async def _carry_out(self, script: Script, now: int) -> Outcome:
        """Runs a script to its end. Events of one moment go out together, as SDKs do it."""
        batch: list[dict[str, Any]] = []
        reply: Reply | None = None
        while True:
            try:
                action = next(script) if reply is None else script.send(reply)
            except StopIteration as stop:
                await self._send(batch)
                outcome: Outcome = stop.value
                return outcome
            offers = None
            if isinstance(action, Event):
                batch.append(action.body)
            else:
                await self._send(batch)
                batch = []
                if isinstance(action, Pause):
                    await asyncio.sleep(self.clock.real_seconds(action.minutes * MINUTE_MS))
                else:
                    offers = await self.client.ask(action)
            reply = Reply(self.clock.now(), offers)

    async def _send(self, events: list[dict[str, Any]]) -> None:
        """Sends what a moment brought: most over HTTP, every second order straight to the log."""
        booked = [event for event in events if _by_order_system(event)]
        posted = [event for event in events if not _by_order_system(event)]
        for event in events:
            broken = noise.broken_beside(event, self._noise)
            if broken is not None:
                self.counts.broken += 1
                posted.append(broken)
        for event in booked:
            await self._book(event)
        if posted:
            await self.client.send(posted)
            if noise.resends(self._noise):
                self.counts.resent += len(posted)
                self._start(self._resend(posted))

    async def _resend(self, events: list[dict[str, Any]]) -> None:
        await asyncio.sleep(self._noise.uniform(0.05, 1.0))
        await self.client.send(events)

    async def _finish(self) -> None:
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=FINISH_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)


def _by_order_system(event: dict[str, Any]) -> bool:
    """Every second order, told by its id, so that an order and its refund go the same way."""
    return event["type"] in ORDERS and int(event["order"][-1], 16) % 2 == 0
