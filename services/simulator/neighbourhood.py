"""Customers over simulated months, live: their visits, their mail, and the shop's shelves.

Keeps one calendar in business time. What is due is sent to the collector in order, many events a
request, as a shop's backend does; what falls behind is told, and never reordered.
"""

import asyncio
import heapq
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final

from services.simulator.afterwards import busy_at
from services.simulator.clock import DAY_MS, HOUR_MS, MINUTE_MS, BusinessClock
from services.simulator.daily_life import Basket, Body, Script, Timed, introduce, visit
from services.simulator.merchant import Merchant
from services.simulator.people import Message, Mood, Person, Reaction, person_of, take
from services.simulator.world import Item, World

LOOKS_MS: Final = 6 * HOUR_MS
"""How often the shop looks at prices and stock."""
MOST_AT_ONCE: Final = 400
POLL_S: Final = 0.02
ARRIVES_MS: Final = 20 * MINUTE_MS
"""How long after the day's beginning everybody is introduced."""

Send = Callable[[list[Body]], Awaitable[bool]]
Restock = Callable[[Sequence[Item]], Awaitable[None]]
Occasion = Callable[[int], None]


@dataclass(slots=True)
class Resident:
    """A person in the neighbourhood. known: has been identified to the shop."""

    person: Person
    random: Random
    mood: Mood = field(default_factory=Mood)
    basket: Basket = field(default_factory=Basket)
    visits: int = 0
    known: bool = False


@dataclass(slots=True)
class Tally:
    """What happened so far. behind_ms: the most that anything was late, business ms."""

    visits: int = 0
    orders: int = 0
    revenue: int = 0
    events: int = 0
    refused: int = 0
    messages: int = 0
    opened: int = 0
    clicked: int = 0
    unsubscribed: int = 0
    bounced: int = 0
    behind_ms: int = 0


class Neighbourhood:
    """The running shop. `send` takes events in order; `restock` tells the catalogue."""

    def __init__(
        self,
        world: World,
        customers: int,
        clock: BusinessClock,
        send: Send,
        restock: Restock,
    ) -> None:
        self.world = world
        self.merchant = Merchant(world)
        self.tally = Tally()
        self._clock = clock
        self._send = send
        self._restock = restock
        self._calendar: list[tuple[int, int, Body | Occasion]] = []
        self._entries = 0
        self._changed: list[Item] = []
        people = (person_of(world.seed, number) for number in range(customers))
        self.residents = {
            person.id: Resident(person, Random(f"life-{world.seed}-{person.id}"))
            for person in people
        }
        now = clock.now()
        for resident in self.residents.values():
            self._move_in(resident, now)
        self._plan(now + LOOKS_MS, self._look)

    async def run(self, until: int) -> None:
        """Lives through the calendar up to `until` (business epoch ms)."""
        while (now := self._clock.now()) < until:
            await self._send_due(min(now, until))
            await asyncio.sleep(POLL_S)
        await self._send_due(until)

    def deliver(self, customer: str, message: Message) -> None:
        """A message reaches a person now; the tool reports what becomes of it."""
        resident = self.residents.get(customer)
        if resident is None:
            return
        at = self._clock.now()
        message = Message(message.id, message.scenario, message.channel, at, message.items)
        self.tally.messages += 1
        gone = message.channel in resident.mood.left
        reaction = take(
            resident.person, resident.mood, message, self.world.effects, self.world.seed
        )
        self._report(resident.person, message, "sent", 0)
        if not gone:
            self._react(resident, message, reaction)

    def _react(self, resident: Resident, message: Message, reaction: Reaction) -> None:
        tally = self.tally
        if reaction.bounced:
            tally.bounced += 1
            self._report(resident.person, message, "bounced", MINUTE_MS)
        if reaction.opened is not None:
            tally.opened += 1
            self._report(resident.person, message, "opened", reaction.opened)
        if reaction.unsubscribed is not None:
            tally.unsubscribed += 1
            self._report(resident.person, message, "unsubscribed", reaction.unsubscribed)
        if reaction.clicked is not None:
            tally.clicked += 1
            self._report(resident.person, message, "clicked", reaction.clicked)
            if reaction.comes_back:
                self._plan(
                    message.at + reaction.clicked + MINUTE_MS,
                    lambda at: self._come_back(resident, message, at),
                )

    def _report(self, person: Person, message: Message, what: str, after: int) -> None:
        body = {
            "type": f"message_{what}",
            "event_id": f"{message.id}-{what}",
            "customer": person.id,
            "message": message.id,
            "channel": message.channel,
        }
        self._plan(message.at + after, body)

    def _move_in(self, resident: Resident, now: int) -> None:
        random = resident.random
        if not resident.person.anonymous_first:
            resident.known = True
            self._write(now + random.randrange(ARRIVES_MS), introduce(resident.person, random))
        self._plan_visit(resident, now + ARRIVES_MS)

    def _plan_visit(self, resident: Resident, after: int) -> None:
        rate = resident.person.visits_per_day
        wait = resident.random.expovariate(1.0) * DAY_MS / rate
        self._plan(after + int(wait), lambda at: self._visit(resident, at))

    def _visit(self, resident: Resident, at: int) -> None:
        random, person = resident.random, resident.person
        # Drawn whatever the mood, so that moods shift nobody's dice.
        sleeps, stays_away = random.random() >= busy_at(at), random.random() >= resident.mood.rate
        own = Random(f"visit-{self.world.seed}-{person.id}-{resident.visits}")
        resident.visits += 1
        self._plan_visit(resident, at)
        if sleeps or stays_away:
            return
        who = {"customer": person.id}
        if not resident.known:
            who = {"anonymous": f"device-{person.id}"}
        script = Script(person, f"{person.id}-v{resident.visits}", who)
        paid = visit(script, resident.basket, self.merchant, own)
        if not resident.known and resident.visits >= 2:
            resident.known = True
            hello = introduce(person, random)
            both = {"customer": person.id, "anonymous": f"device-{person.id}"}
            login = {"type": "identified", "event_id": f"{person.id}-login", **both}
            script.events.append((script.at + 1_000, login))
            self._write(at + script.at + 2_000, hello)
        self._count(paid)
        self._write(at, script)

    def _come_back(self, resident: Resident, message: Message, at: int) -> None:
        random = Random(f"return-{self.world.seed}-{message.id}")
        script = Script(resident.person, f"{message.id}-visit", {"customer": resident.person.id})
        self._count(visit(script, resident.basket, self.merchant, random, message.items))
        self._write(at, script)

    def _count(self, paid: int) -> None:
        self.tally.visits += 1
        self.tally.orders += bool(paid)
        self.tally.revenue += paid

    def _look(self, at: int) -> None:
        self._changed += self.merchant.look()
        self._plan(at + LOOKS_MS, self._look)

    def _write(self, begins: int, script: Script) -> None:
        timed: Timed
        for timed in script.events:
            self._plan(begins + timed[0], timed[1])

    def _plan(self, at: int, what: Body | Occasion) -> None:
        self._entries += 1
        heapq.heappush(self._calendar, (at, self._entries, what))

    async def _send_due(self, now: int) -> None:
        bodies: list[Body] = []
        while self._calendar and self._calendar[0][0] <= now:
            at, _, what = heapq.heappop(self._calendar)
            self.tally.behind_ms = max(self.tally.behind_ms, now - at)
            if isinstance(what, dict):
                what["occurred_at"] = at
                bodies.append(what)
            else:
                what(at)
            if len(bodies) >= MOST_AT_ONCE:
                await self._post(bodies)
                bodies = []
        if bodies:
            await self._post(bodies)
        if self._changed:
            changed, self._changed = self._changed, []
            await self._restock(changed)

    async def _post(self, bodies: list[Body]) -> None:
        arrived = await self._send(bodies)
        self.tally.events += len(bodies)
        self.tally.refused += 0 if arrived else len(bodies)
