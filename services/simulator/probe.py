"""How fresh offers are: from an event to the first answer whose profile contains it.

A probe visitor sends one item view and then asks for offers, again and again, until the answer
says that its profile has folded as many events as this visitor sent. The time runs from the moment
the request leaves the client, which is before the collector accepts the event, so what is reported
is never less than the age it stands for. All of it in real time.
"""

import asyncio
import time
from dataclasses import dataclass, field
from random import Random
from typing import Final

from services.simulator.client import AttuneClient
from services.simulator.clock import BusinessClock

POLL_S: Final = 0.005
GIVE_UP_S: Final = 5.0
VISITORS: Final = 40


@dataclass(slots=True)
class Freshness:
    """Milliseconds, in the order measured.

    visible_ms: from sending the event to the answer that contains it; accepted_ms: the part of it
    until the collector's 200; late: probes given up after GIVE_UP_S, which count as that long.
    """

    visible_ms: list[float] = field(default_factory=list)
    accepted_ms: list[float] = field(default_factory=list)
    late: int = 0
    refused: int = 0


class FreshnessProbe:
    """Probes at a fixed rate with visitors of its own, so that nobody else's events count."""

    def __init__(
        self,
        client: AttuneClient,
        clock: BusinessClock,
        items: list[str],
        *,
        seed: int,
        visitors: int = VISITORS,
    ) -> None:
        self._client = client
        self._clock = clock
        self._items = items
        self._random = Random(f"probe-{seed}")
        self._sent = [0] * visitors
        self._prefix = f"probe-{self._random.getrandbits(64):016x}"
        self._running: set[asyncio.Task[None]] = set()
        self.result = Freshness()

    async def run(self, rate: float, stop: asyncio.Event) -> None:
        """Starts `rate` probes a second, open loop, until `stop`; then waits for those running."""
        started = time.perf_counter()
        number = 0
        while not stop.is_set():
            delay = started + number / rate - time.perf_counter()
            if delay > 0:
                await asyncio.sleep(delay)
            task = asyncio.create_task(self._probe(number))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
            number += 1
        if self._running:
            await asyncio.wait(self._running)

    async def _probe(self, number: int) -> None:
        visitor = number % len(self._sent)
        anonymous = f"{self._prefix}-{visitor}"
        expected = self._sent[visitor] = self._sent[visitor] + 1
        event = {
            "type": "item_viewed",
            "event_id": f"{anonymous}-{expected}",
            "anonymous": anonymous,
            "occurred_at": self._clock.now(),
            "item": self._random.choice(self._items),
        }
        started = time.perf_counter()
        if not await self._client.send([event]):
            self._sent[visitor] -= 1
            self.result.refused += 1
            return
        self.result.accepted_ms.append((time.perf_counter() - started) * 1000)
        question = {"anonymous": anonymous, "placement": "probe", "n": 1, "explain": True}
        while time.perf_counter() - started < GIVE_UP_S:
            answer = await self._client.recommend(question)
            profile = answer and answer.get("profile")
            if profile and profile["events"] >= expected:
                self.result.visible_ms.append((time.perf_counter() - started) * 1000)
                return
            await asyncio.sleep(POLL_S)
        self.result.late += 1
        self.result.visible_ms.append(GIVE_UP_S * 1000)
