"""A marketing tool as a shop would write one: subscribes, dedupes by `ce_id`, commits, goes on.

With a public Kafka client and a group of its own, through every death of the broker; from time to
time it is made anew, as a process that was restarted is, and gets again what it had not committed.
"""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final, Self

from confluent_kafka import Consumer, KafkaException

from shared.settings import Settings

GROUP: Final = "marketing"
RESTART_S: Final = 10.0
POLL_S: Final = 0.2
AT_ONCE: Final = 50


class Subscriber:
    """heard: message id → the contents that came under it; deliveries: records, repeated ones too.

    Commits only every other batch, so that a restart repeats some. Open with `listening`.
    """

    def __init__(self, settings: Settings, topics: Sequence[str]) -> None:
        self.heard: dict[str, set[bytes]] = {}
        self.deliveries = 0
        self._topics = list(topics)
        self._batches = 0
        self._over = threading.Event()
        self._options = {
            "bootstrap.servers": settings.bootstrap,
            "group.id": f"{settings.namespace}.{GROUP}",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            # One that left while the broker was away is a member until this is over.
            "session.timeout.ms": 6_000,
            "heartbeat.interval.ms": 1_500,
            "log_level": 0,
        }

    @classmethod
    @asynccontextmanager
    async def listening(cls, settings: Settings, topics: Sequence[str]) -> AsyncIterator[Self]:
        """Listens in a thread until the block ends."""
        subscriber = cls(settings, topics)
        thread = asyncio.create_task(asyncio.to_thread(subscriber._listen))
        try:
            yield subscriber
        finally:
            subscriber._over.set()
            await asyncio.wait([thread])

    async def catch_up(self, least: int) -> None:
        """Waits until it has heard so many ids; whoever calls it sets a limit."""
        while True:
            if len(self.heard) >= least:
                return
            await asyncio.sleep(0.1)

    def _listen(self) -> None:
        while not self._over.is_set():
            consumer = Consumer(self._options)
            try:
                consumer.subscribe(self._topics)
                until = time.monotonic() + RESTART_S
                while time.monotonic() < until and not self._over.is_set():
                    self._hear(consumer)
            finally:
                consumer.close()

    def _hear(self, consumer: Consumer) -> None:
        found = [one for one in consumer.consume(AT_ONCE, POLL_S) if one.error() is None]
        for message in found:
            ident = dict(message.headers() or [])["ce_id"].decode()
            self.heard.setdefault(ident, set()).add(message.value() or b"")
            self.deliveries += 1
        self._batches += bool(found)
        if found and self._batches % 2:
            # Without a broker nothing is committed, and comes again.
            with suppress(KafkaException):
                consumer.commit(asynchronous=False)
