"""The shop's marketing tool: subscribes to `triggers.*` and hands on what is to be sent, once each.

A program of somebody else: a plain Kafka consumer that reads CloudEvents in binary mode and
dedupes by `ce_id`, as delivery is at least once.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer

from services.simulator.kafka import FETCH_WAIT_MS, named
from services.simulator.people import CHANNELS, Message

_logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Inbox:
    """What came: messages once each, repetitions, and what could not be read."""

    seen: set[str] = field(default_factory=set)
    repeated: int = 0
    unreadable: int = 0


async def follow_channels(
    bootstrap: str, namespace: str, inbox: Inbox, send: Callable[[str, Message], None]
) -> None:
    """Hands each message to `send(customer, message)`, with `at` 0. Runs until it is cancelled."""
    channels = {named(f"triggers.{name}", namespace): name for name in CHANNELS}
    consumer = AIOKafkaConsumer(
        *channels,
        bootstrap_servers=bootstrap,
        group_id=None,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=FETCH_WAIT_MS,
    )
    await consumer.start()
    try:
        async for record in consumer:
            found = read(record.headers, record.value, channels[record.topic])
            if found is None:
                inbox.unreadable += 1
            elif found[1].id in inbox.seen:
                inbox.repeated += 1
            else:
                inbox.seen.add(found[1].id)
                send(*found)
    finally:
        await consumer.stop()


def read(headers: Any, value: bytes | None, channel: str) -> tuple[str, Message] | None:
    """Customer and message of a trigger; None, and a line in the log, where it is none."""
    found = dict(headers)
    try:
        data = msgspec.json.decode(value or b"")
        items = tuple(str(item) for item in data["payload"]["items"])
        name = found["ce_id"].decode()
        return str(data["customer"]), Message(name, str(data["scenario"]), channel, 0, items)
    except (msgspec.DecodeError, KeyError, TypeError, UnicodeDecodeError):
        _logger.warning("a trigger could not be read")
        return None
