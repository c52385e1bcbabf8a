"""The shop's systems that speak Kafka: its order system, and the marketing tool's subscription.

Orders go straight onto `purchases`, as many shops do; triggers come from `triggers.email`.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

PURCHASES: Final = "purchases"
TRIGGERS: Final = "triggers.email"
FETCH_WAIT_MS: Final = 250

_logger = logging.getLogger(__name__)


def named(topic: str, namespace: str) -> str:
    """The topic's name on a broker that several shops share."""
    return f"{namespace}.{topic}" if namespace else topic


class OrderSystem:
    """Books orders and refunds in the log by itself, without the collector."""

    def __init__(self, producer: AIOKafkaProducer, topic: str) -> None:
        self._producer = producer
        self._topic = topic
        self.sent = 0

    @classmethod
    @asynccontextmanager
    async def open(cls, bootstrap: str, namespace: str) -> AsyncIterator["OrderSystem"]:
        """Raises KafkaError where no broker answers."""
        producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all")
        await producer.start()
        try:
            yield cls(producer, named(PURCHASES, namespace))
        finally:
            await producer.stop()

    async def book(self, event: dict[str, Any]) -> None:
        """Puts the event onto the log and waits until the log has it."""
        key = str(event.get("customer") or event.get("anonymous")).encode()
        await self._producer.send_and_wait(self._topic, msgspec.json.encode(event), key=key)
        self.sent += 1


async def follow_triggers(
    bootstrap: str, namespace: str, deliver: Callable[[str, str], Awaitable[None]]
) -> None:
    """Hands each message that is to be sent to `deliver(trigger id, customer)`, once each.

    Runs until it is cancelled. A trigger that comes twice (delivery is at least once) is one
    message.
    """
    topic = named(TRIGGERS, namespace)
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=bootstrap,
        group_id=None,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=FETCH_WAIT_MS,
    )
    await consumer.start()
    seen: set[str] = set()
    try:
        async for record in consumer:
            trigger = _read(record.value)
            if trigger is not None and trigger[0] not in seen:
                seen.add(trigger[0])
                await deliver(*trigger)
    finally:
        await consumer.stop()


def _read(value: bytes | None) -> tuple[str, str] | None:
    try:
        data = msgspec.json.decode(value or b"")
        return str(data["decision_id"]), str(data["customer"])
    except (msgspec.DecodeError, KeyError, TypeError):
        _logger.warning("a trigger could not be read")
        return None
