"""Publishes what folds stated: facts to `events`, triggers to their channel as CloudEvents.

At least once: whoever consumes dedupes by id (see `cloud_events`).
Never after a message's life has ended: a log that is read again must not speak of the past.
"""

import logging
from collections.abc import Sequence
from itertools import repeat
from typing import Final

from services.profile import cloud_events, metrics
from services.profile.cloud_events import Mode
from services.profile.identity import OutboxEntry
from services.profile.outgoing import Outgoing, send
from shared import topics
from shared.bus import Producer
from shared.clock import Now, real_now_ms
from shared.errors import LogUnavailable
from shared.events import MessageDecided
from shared.headers import AT, CAUSE, MESSAGE, ORIGINAL_BYTES, REASON, STAGE, Headers
from shared.triggers import expires_at

log = logging.getLogger(__name__)

NEWS_MS: Final = 24 * 60 * 60_000
"""So long after it was decided it is still told that something is not said."""


class Publisher:
    """Writes the system's own facts and the arbiter's messages to the log."""

    def __init__(
        self, producer: Producer, namespace: str, clock: Now, mode: Mode = "binary"
    ) -> None:
        self._mode = mode
        self._producer = producer
        self._clock = clock
        self._namespace = namespace
        self._events = topics.EVENTS.named(namespace)

    async def publish(
        self, entries: Sequence[OutboxEntry], messages: Sequence[MessageDecided] = ()
    ) -> set[str]:
        """Sends everything and waits until the log has it. Raises LogUnavailable.

        Returns the ids of facts that the log finds too large: they stay in their outbox, and are
        sent when their identity is next looked at. A message that is too large for its topic, or
        for a channel that there is not, is kept in dead-letters instead.
        """
        alive = []
        for message in filter(self._may_speak, messages):
            if message.verdict == "send" and message.channel not in topics.CHANNELS:
                # No topic will ever take it, and nothing else may wait for that.
                await self._keep_as_dead_letter(message, "invalid_field", "no such channel")
            else:
                alive.append(message)
        outgoing = [*map(self._fact, entries, repeat(real_now_ms())), *map(self._message, alive)]
        refused = await send(self._producer, outgoing)
        too_late = [number - len(entries) for number in refused if number >= len(entries)]
        for number in too_late:
            topic = self._message(alive[number]).topic
            why = f"larger than {topic} takes"
            await self._keep_as_dead_letter(alive[number], "too_large", why)
        for number, message in enumerate(alive):
            if number not in too_late:
                metrics.MESSAGES.labels(
                    message.scenario, message.channel, message.verdict, message.reason
                ).inc()
        standing = {entries[number].fact_id for number in refused if number < len(entries)}
        if refused:
            metrics.TOO_LARGE.labels("fact").inc(len(standing))
            metrics.TOO_LARGE.labels("message").inc(len(too_late))
            log.error("the log refuses what is too large", extra={"records": len(refused)})
        return standing

    def _may_speak(self, message: MessageDecided) -> bool:
        expires = expires_at(message.trigger)
        if expires is not None and message.verdict != "send":
            # That a moment's life has ended is news, too, when it is told.
            expires = max(expires, message.occurred_at + NEWS_MS)
        if expires is None or expires > self._clock.now_ms():
            return True
        metrics.EXPIRED.labels(message.scenario, message.channel, message.verdict).inc()
        return False

    def _fact(self, entry: OutboxEntry, now: int) -> Outgoing:
        headers: Headers = ((CAUSE, entry.cause.encode()), (AT, b"%d" % now))
        # A customer absorbs the parts of a visitor in order, or not at all.
        return Outgoing(self._events, entry.key.encode(), entry.value, headers, ordered=True)

    def _message(self, message: MessageDecided) -> Outgoing:
        to_act_on = message.verdict == "send"
        topic = topics.triggers(message.channel) if to_act_on else topics.SUPPRESSIONS
        key = (message.customer or "").encode()
        written = cloud_events.write(message, self._mode)
        return Outgoing(topic.named(self._namespace), key, written.value, written.headers)

    async def _keep_as_dead_letter(self, message: MessageDecided, reason: str, why: str) -> None:
        """Cut shorter until the log takes it: whoever looks at dead-letters must hear of it."""
        meant = self._message(message)
        headers = (
            *meant.headers,
            (STAGE, b"profile"),
            (REASON, reason.encode()),
            (MESSAGE, why.encode()),
            (ORIGINAL_BYTES, b"%d" % len(meant.value)),
        )
        topic, value = topics.DEAD_LETTERS.named(self._namespace), meant.value
        while await send(self._producer, [Outgoing(topic, meant.key, value, headers)]):
            if not value:
                raise LogUnavailable("the log refuses even an empty dead letter")
            value = value[: len(value) // 4]
