"""The loop of ingest: raw records in; facts and dead letters out; at least once, nothing lost.

For each batch, in this order:

1. Poll at most `max_records` records: they bound what is in memory.
2. Decide each record by itself (`decide`): a fact for `events`, or a dead letter. Never raises.
3. Send all of it, in the order of the log, so that the facts of one identity keep theirs.
4. Flush: wait until every record is acknowledged by all replicas.
5. Commit, per partition, the last offset + 1: not after every batch, since the next events would
   wait for it, but at the latest half a second later, and before partitions are let go.

A process that dies before 5 leaves its batch to the next one, which sends the same again: same
`src`, same event ids, so profile applies them once. When the log does not answer, 3 and 4 or 5 are
repeated with growing pauses, and nothing is committed that is not acknowledged; nothing is read
meanwhile either, so memory stays bounded (`delivery` holds 3 and 4). When partitions are taken
away, `drain` lets the batch in hand finish first.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from services.ingest import metrics
from services.ingest.decide import Decider, Outcome
from services.ingest.delivery import Delivery
from services.ingest.raw_topics import RawTopics
from shared.bus import GroupConsumer, Producer, Record, TopicPartition
from shared.clock import real_now_ms
from shared.errors import LogUnavailable, Rebalanced

log = logging.getLogger(__name__)

_FIRST_PAUSE_S: Final = 0.2
_LONGEST_PAUSE_S: Final = 5.0
_DRAIN_S: Final = 25.0
"""Less than the group waits for a member to let go of its partitions."""
_POLL_MS: Final = 250
_COMMIT_S: Final = 0.5
_CHECK_S: Final = 10.0


class Pipeline:
    """One ingest process's loop. `run` until `stop`; one batch is in hand at a time."""

    def __init__(
        self,
        producer: Producer,
        decider: Decider,
        *,
        events_topic: str,
        dead_letters_topic: str,
        max_records: int,
        raw_topics: RawTopics | None = None,
    ) -> None:
        self._producer = producer
        self._decider = decider
        self._events_topic = events_topic
        self._dead_letters_topic = dead_letters_topic
        self._max_records = max_records
        self._raw_topics = raw_topics
        self._next_check = time.monotonic() + _CHECK_S
        self._sent: dict[TopicPartition, int] = {}
        self._next_commit = 0.0
        self.consumer: GroupConsumer | None = None
        """The member whose offsets are committed; `run` sets it."""
        self._in_hand = asyncio.Lock()
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Makes `run` return once the batch in hand is committed."""
        self._stopping.set()

    async def drain(self, revoked: list[TopicPartition]) -> None:
        """For the consumer's `on_revoked`: waits until the batch in hand is sent, and commits.

        Gives up after 25 s; the partitions' next owner then sends the batch again, and commits
        further: what was not committed here must not be, should they come back.
        """
        try:
            async with asyncio.timeout(_DRAIN_S), self._in_hand:
                await self.commit()
        except TimeoutError:
            log.warning("partitions were taken away before their batch was committed")
            for partition in revoked:
                self._sent.pop(partition, None)

    async def run(self, consumer: GroupConsumer) -> None:
        """Batch after batch, until `stop`. Raises only what waiting does not mend."""
        pause = _FIRST_PAUSE_S
        self.consumer = consumer
        while not self._stopping.is_set():
            try:
                await self._check()
                batch = await consumer.poll(max_records=self._max_records, timeout_ms=_POLL_MS)
            except LogUnavailable as error:
                pause = await self._pause("poll", error, pause)
                continue
            pause = _FIRST_PAUSE_S
            metrics.PAUSED.set(0)
            async with self._in_hand:
                if batch:
                    await self.process(batch)
                if time.monotonic() >= self._next_commit:
                    await self.commit()
        async with self._in_hand:
            await self.commit()

    async def _check(self) -> None:
        """Now and then: are the raw topics still those that are being read?"""
        now = time.monotonic()
        if self._raw_topics is not None and now >= self._next_check:
            self._next_check = now + _CHECK_S
            await self._raw_topics.check()

    async def process(self, batch: dict[TopicPartition, list[Record]]) -> None:
        """Steps 2 to 4 for one batch.

        Returns before all is sent only where `stop` was called while the log was away.
        """
        started = time.monotonic()
        records = [record for part in batch.values() for record in part]
        delivery = Delivery(
            self._producer,
            self._decider,
            events_topic=self._events_topic,
            dead_letters_topic=self._dead_letters_topic,
            records=records,
            now=real_now_ms(),
        )
        if not await self._until_done("send", delivery.attempt):
            return
        self._sent |= {partition: part[-1].offset + 1 for partition, part in batch.items()}
        _count(records, delivery.outcomes)
        metrics.BATCH_SECONDS.observe(time.monotonic() - started)

    async def commit(self) -> None:
        """Step 5. Keeps the offsets where `stop` was called while the log was away."""
        self._next_commit = time.monotonic() + _COMMIT_S
        consumer = self.consumer
        if consumer is None or not self._sent:
            return
        if await self._until_done("commit", lambda: self._commit(consumer, self._sent)):
            self._sent.clear()

    async def _commit(self, consumer: GroupConsumer, offsets: dict[TopicPartition, int]) -> None:
        """Commits what is still ours; what moved is sent again, and committed, by its owner."""
        mine = consumer.assigned()
        offsets = {partition: at for partition, at in offsets.items() if partition in mine}
        named = {"": offsets} if self._raw_topics is None else self._raw_topics.by_id(offsets)
        try:
            for incarnation, part in named.items():
                await consumer.commit(part, incarnation)
        except Rebalanced:
            log.info("partitions moved before a commit; their new owner repeats the batch")

    async def _until_done(self, step: str, work: Callable[[], Awaitable[None]]) -> bool:
        """Repeats a step until it succeeds; False where `stop` came while the log was away."""
        pause = _FIRST_PAUSE_S
        while True:
            try:
                await work()
            except LogUnavailable as error:
                if self._stopping.is_set():
                    log.warning("stopped while the log was away; its next reader goes on")
                    return False
                pause = await self._pause(step, error, pause)
            else:
                metrics.PAUSED.set(0)
                return True

    async def _pause(self, step: str, error: LogUnavailable, pause: float) -> float:
        """Waits, less where `stop` comes; the next pause's length."""
        metrics.RETRIES.labels(step).inc()
        metrics.PAUSED.set(1)
        log.warning("the log does not answer", extra={"step": step, "code": error.code})
        try:
            async with asyncio.timeout(pause):
                await self._stopping.wait()
        except TimeoutError:
            pass
        return min(pause * 2, _LONGEST_PAUSE_S)


def _count(records: Sequence[Record], outcomes: Sequence[Outcome]) -> None:
    """Moves the series, once a batch is sent: a batch that is sent again counts once here."""
    read = Counter(
        (record.topic, outcome.format) for record, outcome in zip(records, outcomes, strict=True)
    )
    for (topic, form), number in read.items():
        metrics.EVENTS_IN.labels(topic, form).inc(number)
    now = real_now_ms()
    facts: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    for outcome in outcomes:
        if outcome.reason is not None:
            refused[outcome.reason] += 1
        elif outcome.kind is not None:
            facts[outcome.kind] += len(outcome.keys)
            metrics.EVENT_AGE_SECONDS.observe(max(0, now - outcome.accepted_at) / 1000)
    for kind, number in facts.items():
        metrics.FACTS_OUT.labels(kind).inc(number)
    for reason, number in refused.items():
        metrics.DEAD_LETTERS.labels(reason).inc(number)
