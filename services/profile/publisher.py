"""Publishes what folds stated: facts to `events`, triggers to their channel as CloudEvents.

At least once: whoever consumes dedupes by id (`ce_id` is the trigger's id, the same each time).
Never after a message's life has ended: a log that is read again must not speak of the past.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from services.profile import metrics
from services.profile.identity import OutboxEntry
from shared import topics
from shared.bus import Producer
from shared.clock import Clock, real_now_ms
from shared.events import MessageDecided
from shared.headers import AT, CAUSE, Headers
from shared.triggers import CLOUDEVENTS_VERSION, SOURCE, expires_at

CONTENT_TYPE: Final = b"application/json"


class Publisher:
    """Writes the system's own facts and the arbiter's messages to the log."""

    def __init__(self, producer: Producer, namespace: str, clock: Clock) -> None:
        self._producer = producer
        self._clock = clock
        self._namespace = namespace
        self._events = topics.EVENTS.named(namespace)

    async def publish(
        self, entries: Sequence[OutboxEntry], messages: Sequence[MessageDecided] = ()
    ) -> None:
        """Sends everything and waits until the log has it. Raises LogUnavailable."""
        at = str(real_now_ms()).encode()
        for entry in entries:
            headers: Headers = ((CAUSE, entry.cause.encode()), (AT, at))
            await self._producer.send(
                self._events, entry.value, key=entry.key.encode(), headers=headers
            )
        now = self._clock.now_ms()
        for message in messages:
            if expires_at(message.trigger) > now:
                await self._send(message)
            else:
                metrics.EXPIRED.labels(message.scenario, message.channel, message.verdict).inc()
        await self._producer.flush()

    async def _send(self, message: MessageDecided) -> None:
        send = message.verdict == "send"
        topic = topics.triggers(message.channel) if send else topics.SUPPRESSIONS
        await self._producer.send(
            topic.named(self._namespace),
            message.trigger,
            key=(message.customer or "").encode(),
            headers=cloudevent_headers(message),
        )
        metrics.MESSAGES.labels(
            message.scenario, message.channel, message.verdict, message.reason
        ).inc()


def cloudevent_headers(message: MessageDecided) -> Headers:
    """CloudEvents 1.0, Kafka binary mode."""
    seconds, millis = divmod(message.occurred_at, 1000)
    stamp = _rfc3339(seconds, millis)
    return (
        ("ce_specversion", CLOUDEVENTS_VERSION.encode()),
        ("ce_id", message.trigger_id.encode()),
        ("ce_type", f"attune.trigger.{message.scenario}".encode()),
        ("ce_source", SOURCE.encode()),
        ("ce_time", stamp.encode()),
        ("content-type", CONTENT_TYPE),
    )


def _rfc3339(seconds: int, millis: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{millis:03d}Z"
