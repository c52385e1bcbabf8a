"""The shop of a run: sends the plan to the raw topics, in order, at a pace, whatever breaks."""

import asyncio
from typing import Final

from shared.bus import Producer
from shared.errors import Unavailable
from shared.settings import Settings
from shared.topics import named
from tests.faults.plan import Plan
from tests.faults.wire import render

CHUNKS_S: Final = 20
"""Chunks a second."""


class Sender:
    """Sends records of a plan as far as it is allowed to. `sent`: how many the log has."""

    def __init__(self, settings: Settings, plan: Plan, base: int, rate: int) -> None:
        self._settings = settings
        self._plan = plan
        self._base = base
        self._chunk = max(1, rate // CHUNKS_S)
        self._limit = 0
        self._changed = asyncio.Condition()
        self.sent = 0

    async def allow(self, limit: int) -> None:
        """Lets it send up to the record of that number."""
        async with self._changed:
            self._limit = max(self._limit, min(limit, len(self._plan.records)))
            self._changed.notify_all()

    async def reached(self, number: int) -> None:
        """Waits until so many records were sent."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.sent >= number)

    async def run(self) -> None:
        """Until the whole plan is in the log."""
        async with Producer.open(self._settings) as producer:
            while self.sent < len(self._plan.records):
                async with self._changed:
                    await self._changed.wait_for(lambda: self._limit > self.sent)
                    end = min(self._limit, self.sent + self._chunk)
                await self._until_sent(producer, self.sent, end)
                async with self._changed:
                    self.sent = end
                    self._changed.notify_all()
                await asyncio.sleep(1 / CHUNKS_S)

    async def _until_sent(self, producer: Producer, begin: int, end: int) -> None:
        """A chunk whose acknowledgement failed is sent again, as a shop would: more is resent."""
        while True:
            try:
                await self._send(producer, begin, end)
            except Unavailable:
                await asyncio.sleep(0.2)
            else:
                return

    async def _send(self, producer: Producer, begin: int, end: int) -> None:
        for record in self._plan.records[begin:end]:
            sent = render(record, self._base)
            topic = named(sent.topic, self._settings.namespace)
            await producer.send(topic, sent.value, key=sent.key, headers=sent.headers)
        await producer.flush()
