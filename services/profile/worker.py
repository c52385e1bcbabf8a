"""The profile loop: facts in, profiles written, what follows published, offsets committed.

One batch, in this order, and the order matters:
1. load the identities that are not in memory (one round trip);
2. fold, in memory;
3. write item statistics of each partition, with their own position;
4. put timers into their index;
5. write the identities, each by compare-and-set; who is refused is read and folded again;
6. publish what the folds stated, and flush;
7. empty the outboxes that were published;
8. commit the offsets of batches whose writes are durable.
Whatever fails, the batch is taken up again from its first offset: every step may run twice.
"""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Final

from services.profile import metrics
from services.profile.batch import (
    Decoded,
    Effects,
    decode_batch,
    fold_identity,
    item_increments,
)
from services.profile.cache import IdentityCache
from services.profile.counting import count_verdicts
from services.profile.identity import Identity
from services.profile.offsets import PendingOffsets
from services.profile.publisher import Publisher
from services.profile.rewinding import rewind, rewind_to_committed
from services.profile.stages import Stages
from services.profile.store import ProfileStore
from services.profile.store_values import DueTimer, ItemBatch
from services.profile.timer_loop import TimerLoop
from shared.bus import GroupConsumer, Rebalanced, Record, TopicPartition
from shared.errors import StoreForgot, Unavailable

log = logging.getLogger(__name__)

POLL_MS: Final = 50
SAVE_ATTEMPTS: Final = 20
COMMIT_S: Final = 0.25
LAG_S: Final = 2.0
CARE_S: Final = 600.0
BACKOFF_S: Final = (0.1, 0.2, 0.5, 1.0, 2.0)


class Worker:
    """One member of the group `profile`. Owns its partitions' identities while it has them."""

    def __init__(
        self,
        store: ProfileStore,
        publisher: Publisher,
        timers: TimerLoop,
        cache: IdentityCache,
        pending: PendingOffsets,
        *,
        max_records: int = 2_000,
    ) -> None:
        self._consumer: GroupConsumer | None = None
        self._store = store
        self._publisher = publisher
        self._timers = timers
        self._cache = cache
        self._pending = pending
        self._max_records = max_records
        self._lock = asyncio.Lock()
        self._owned: set[TopicPartition] = set()
        self._item_positions: dict[int, int] = {}
        self._forgot = False
        self._next_commit = 0.0
        self._next_lag = 0.0
        self._next_care = 0.0
        self.stages = Stages()

    async def assigned(self, partitions: Sequence[TopicPartition]) -> None:
        """Takes partitions over: nothing held in memory is trusted any more."""
        async with self._lock:
            self._cache.clear()
            self._item_positions.clear()
            self._owned.update(partitions)
            self._next_care = 0.0

    async def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        """Lets go: the batch under way ends first, then nothing of these is processed."""
        async with self._lock:
            await self._commit_at_last()
            self._owned.difference_update(partitions)
            self._pending.forget(set(partitions))
            self._cache.clear()
            metrics.LAG.clear()

    async def run(self, consumer: GroupConsumer, stop: asyncio.Event) -> None:
        """Works until `stop` is set, then waits for durability and commits."""
        self._consumer = consumer
        failures = 0
        while not stop.is_set():
            records: Mapping[TopicPartition, Sequence[Record]] = {}
            try:
                records = await consumer.poll(max_records=self._max_records, timeout_ms=POLL_MS)
                async with self._lock:
                    await self._recover(consumer)
                    await self._turn(consumer, records)
                failures = 0
            except Unavailable as error:
                metrics.RETRIES.labels(error.code).inc()
                log.warning("a batch failed and is taken up again", exc_info=error)
                self._cache.clear()
                self._item_positions.clear()
                rewind(consumer, records)
                self._forgot = self._forgot or isinstance(error, StoreForgot)
                await asyncio.sleep(BACKOFF_S[min(failures, len(BACKOFF_S) - 1)])
                failures += 1
        await self._finish()

    async def _recover(self, consumer: GroupConsumer) -> None:
        """Another server, or one that restarted: what was not durable is folded again."""
        if self._forgot:
            log.warning("the store may have forgotten writes; going back to what is committed")
            self._pending.forget(self._owned)
            await self._store.accept_server()
            await rewind_to_committed(consumer, self._owned)
            self._forgot = False

    async def _turn(
        self, consumer: GroupConsumer, records: Mapping[TopicPartition, Sequence[Record]]
    ) -> None:
        mine = {
            partition: batch for partition, batch in records.items() if partition in self._owned
        }
        # Records may come before `assigned` was told of their partition; they must come again.
        rewind(consumer, {partition: records[partition] for partition in records.keys() - mine})
        if mine:
            await self._batch(mine)
        # A cart that looks abandoned may have been bought in what is still to be read.
        await self._timers.tick(partition for _, partition in self._owned & consumer.caught_up())
        await self._commit_now_and_then()
        await self._take_care(consumer)

    async def _take_care(self, consumer: GroupConsumer) -> None:
        """Lag every few seconds; statistics buckets that fell out of the window now and then."""
        now = time.monotonic()
        if now >= self._next_lag:
            self._next_lag = now + LAG_S
            for (_, partition), lag in (await consumer.lag()).items():
                metrics.LAG.labels(partition).set(lag)
        if now >= self._next_care:
            self._next_care = now + CARE_S
            for _, partition in self._owned:
                await self._store.drop_old_buckets(partition)

    async def _batch(self, records: Mapping[TopicPartition, Sequence[Record]]) -> None:
        with self.stages.measure("decode"):
            decoded = decode_batch(record for batch in records.values() for record in batch)
        if decoded.malformed:
            metrics.MALFORMED.inc(decoded.malformed)
            log.error("records in events are no facts", extra={"records": decoded.malformed})
        identities = await self._load(decoded.deliveries)
        with self.stages.measure("fold"):
            effects = {
                key: fold_identity(identities[key], deliveries)
                for key, deliveries in decoded.deliveries.items()
            }
        with self.stages.measure("store"):
            await self._count_items(records, decoded, effects)
            await self._schedule(decoded, effects)
            await self._save(identities, decoded, effects)
        with self.stages.measure("publish"):
            outdated = await self._publish(identities, effects)
        self._cache.put(identities[key] for key in identities.keys() - outdated)
        count_verdicts(decoded, effects)
        metrics.CACHED.set(len(self._cache))
        self._pending.applied(
            {partition: batch[-1].offset + 1 for partition, batch in records.items()},
            time.monotonic(),
        )

    async def _load(self, deliveries: Mapping[str, object]) -> dict[str, Identity]:
        with self.stages.measure("load"):
            identities = self._cache.take(deliveries)
            missing = [key for key in deliveries if key not in identities]
            if missing:
                identities |= await self._store.load(missing)
        return identities

    async def _count_items(
        self,
        records: Mapping[TopicPartition, Sequence[Record]],
        decoded: Decoded,
        effects: Mapping[str, Effects],
    ) -> None:
        ends = {partition: batch[-1].offset for (_, partition), batch in records.items()}
        unknown = [partition for partition in ends if partition not in self._item_positions]
        if unknown:
            self._item_positions |= await self._store.item_positions(unknown)
        while True:
            added = item_increments(decoded.deliveries, effects, self._item_positions)
            batches = [
                ItemBatch(partition, self._item_positions[partition], ends[partition], increments)
                for partition, increments in added.items()
            ]
            if not batches:
                return
            standing = await self._store.count_items(batches)
            for batch, position in zip(batches, standing, strict=True):
                self._item_positions[batch.partition] = position
            if standing == [batch.position for batch in batches]:
                return

    async def _schedule(self, decoded: Decoded, effects: Mapping[str, Effects]) -> None:
        await self._store.schedule(
            DueTimer(decoded.deliveries[key][0].partition, key, effect.due)
            for key, effect in effects.items()
            if effect.due is not None
        )

    async def _save(
        self,
        identities: dict[str, Identity],
        decoded: Decoded,
        effects: dict[str, Effects],
    ) -> None:
        waiting = [identities[key] for key, effect in effects.items() if effect.changed]
        for _ in range(SAVE_ATTEMPTS):
            refused = [identity.key for identity in await self._store.save(waiting)]
            if not refused:
                return
            metrics.CONFLICTS.inc(len(refused))
            identities |= await self._store.load(refused)
            effects |= {
                key: fold_identity(identities[key], decoded.deliveries[key]) for key in refused
            }
            waiting = [identities[key] for key in refused if effects[key].changed]
        raise Unavailable("profiles are being written by another process at the same time")

    async def _publish(
        self, identities: Mapping[str, Identity], effects: Mapping[str, Effects]
    ) -> set[str]:
        messages = [message for effect in effects.values() for message in effect.messages]
        forwarded = [entry for effect in effects.values() for entry in effect.forwarded]
        if not messages and not forwarded:
            return set()
        await self._publisher.publish(forwarded, messages)
        sent = [identities[key] for key, effect in effects.items() if effect.forwarded]
        for identity in sent:
            identity.outbox = []
        # Where somebody wrote in between, the entries stay and are published again: that is safe.
        outdated = {identity.key for identity in await self._store.save(sent)}
        metrics.CONFLICTS.inc(len(outdated))
        return outdated

    async def _commit_now_and_then(self) -> None:
        # A commit is a round trip that the next facts would wait for.
        now = time.monotonic()
        if now >= self._next_commit:
            self._next_commit = now + COMMIT_S
            await self._commit()

    async def _commit(self) -> None:
        with self.stages.measure("commit"):
            if not self._pending.has_durable(time.monotonic()):
                return
            # Durable only where the server is still the one that took the writes.
            await self._store.ping()
            ready = self._pending.durable(time.monotonic())
            mine = {partition: at for partition, at in ready.items() if partition in self._owned}
            if not mine or self._consumer is None:
                return
            try:
                await self._consumer.commit(mine)
            except Rebalanced:
                log.info("a commit came after a rebalance; the new owner reads again")
            except Unavailable:
                self._pending.failed(mine)
                raise

    async def _commit_at_last(self) -> None:
        try:
            await self._commit()
        except Unavailable as error:
            log.warning("what was not committed will be read again", exc_info=error)

    async def _finish(self) -> None:
        due = self._pending.last_due()
        if due is not None:
            # A little longer: the loop's timers may be a millisecond early.
            await asyncio.sleep(max(0.0, due - time.monotonic()) + 0.01)
        async with self._lock:
            await self._commit_at_last()
