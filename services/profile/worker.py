"""The profile loop: facts in, profiles written, what follows published, offsets committed.

One batch, in this order, and the order matters (steps 1 to 7 are `applying`):
1. load the identities that are not in memory (one round trip);
2. fold, in memory;
3. write item statistics of each partition, with their own position;
4. write the identities, each by compare-and-set; who is refused is read and folded again;
5. put timers into their index (after the states, so that nobody drops an entry as stale whose
   state is still to come; whoever reads the batch again puts them there again);
6. publish what the folds stated, unless another generation went live meanwhile, and flush;
7. empty the outboxes that were published;
8. commit the offsets of batches whose writes are durable, naming the generation they went to.
Between batches, for partitions read to their end: due timers, then a slice of what changed in the
catalogue (`items/moving`).
Whatever fails, the batch is taken up again from its first offset: every step may run twice.

Invariant: only records of placed partitions are folded. A partition is placed, its reading begun
where the live generation needs it, after it was assigned, after the store may have forgotten, and
after another generation went live; what was polled before that is dropped.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from services.profile import metrics
from services.profile.applying import Applier
from services.profile.following import Following
from services.profile.items.moving import Moving
from services.profile.offsets import PendingOffsets
from services.profile.rewinding import rewind
from services.profile.store import ProfileStore
from services.profile.store_keeping import Keeping
from services.profile.timer_loop import TimerLoop
from shared.bus import GroupConsumer, Rebalanced, Record, TopicPartition
from shared.errors import StoreForgot, Unavailable

log = logging.getLogger(__name__)

POLL_MS: Final = 50
COMMIT_S: Final = 0.25
FINISH_S: Final = 5.0
FINISH_POLL_S: Final = 0.1
LAG_S: Final = 2.0
CHECK_S: Final = 30.0
CARE_S: Final = 600.0
Look = Callable[[], Awaitable[object]]
"""Takes up rules that have changed; nearly free where none have."""
BACKOFF_S: Final = (0.1, 0.2, 0.5, 1.0, 2.0)


class Worker:
    """One member of the group `profile`. Owns its partitions' identities while it has them."""

    def __init__(
        self,
        store: ProfileStore,
        applier: Applier,
        timers: TimerLoop,
        following: Following,
        pending: PendingOffsets,
        keeping: Keeping,
        *,
        moving: Moving | None = None,
        look: Look | None = None,
        max_records: int = 2_000,
    ) -> None:
        self._moving = moving
        self._look = look
        self._consumer: GroupConsumer | None = None
        self._store = store
        self._applier = applier
        self._timers = timers
        self._following = following
        self._pending = pending
        self._keeping = keeping
        self._max_records = max_records
        self._lock = asyncio.Lock()
        self._placed: set[TopicPartition] = set()
        self._unplaced: set[TopicPartition] = set()
        self._forgot = False
        self._more = False
        self._next_commit = 0.0
        self._next_lag = 0.0
        self._next_check = time.monotonic() + CHECK_S
        self._next_care = 0.0

    async def assigned(self, partitions: Sequence[TopicPartition]) -> None:
        """Takes partitions over: nothing held in memory is trusted any more."""
        async with self._lock:
            self._forget()
            self._unplaced.update(partitions)
            self._next_care = 0.0

    async def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        """Lets go: the batch under way ends first, then nothing of these is processed."""
        async with self._lock:
            await self._commit_at_last()
            self._placed.difference_update(partitions)
            self._unplaced.difference_update(partitions)
            self._pending.forget(set(partitions))
            self._forget()
            metrics.LAG.clear()

    async def run(self, consumer: GroupConsumer, stop: asyncio.Event) -> None:
        """Works until `stop` is set, then waits for durability and commits.

        Raises what no waiting mends: an emptied store, another log, a gap in it.
        """
        self._consumer = consumer
        failures = 0
        while not stop.is_set():
            records: Mapping[TopicPartition, Sequence[Record]] = {}
            try:
                async with self._lock:
                    await self._prepare(consumer)
                wait_ms = 0 if self._more else POLL_MS
                records = await consumer.poll(max_records=self._max_records, timeout_ms=wait_ms)
                async with self._lock:
                    await self._turn(consumer, records)
                failures = 0
                metrics.PAUSED.set(0)
            except Unavailable as error:
                metrics.PAUSED.set(1)
                metrics.RETRIES.labels(error.code).inc()
                log.warning("a batch failed and is taken up again", exc_info=error)
                self._forget()
                rewind(consumer, self._mine(records))
                self._forgot = self._forgot or isinstance(error, StoreForgot)
                await asyncio.sleep(BACKOFF_S[min(failures, len(BACKOFF_S) - 1)])
                failures += 1
        await self._finish()

    async def _prepare(self, consumer: GroupConsumer) -> None:
        """Before anything is read: are the rules the newest, is the store the one written to, its
        generation the live one, and each partition read from where that one needs it?"""
        if self._look is not None:
            await self._look()
        if self._forgot:
            log.warning("the store may have forgotten writes; going back to what is committed")
            await self._keeping.accept_servers()
            self._begin_anew()
            self._forgot = False
        if await self._following.moved():
            self._begin_anew()
        if self._unplaced:
            placed = await self._following.place(consumer, self._unplaced)
            self._unplaced -= placed
            self._placed |= placed

    def _begin_anew(self) -> None:
        """Another store or another generation: nothing in memory is about it."""
        self._forget()
        self._pending.forget(self._placed)
        self._unplaced |= self._placed
        self._placed.clear()

    def _forget(self) -> None:
        """Drops all that is held in memory of what lies in the store."""
        self._more = False
        self._applier.forget()
        if self._moving is not None:
            self._moving.forget()

    def _mine(
        self, records: Mapping[TopicPartition, Sequence[Record]]
    ) -> dict[TopicPartition, Sequence[Record]]:
        return {
            partition: batch for partition, batch in records.items() if partition in self._placed
        }

    async def _turn(
        self, consumer: GroupConsumer, records: Mapping[TopicPartition, Sequence[Record]]
    ) -> None:
        mine = self._mine(records)
        ended = [partition for _, partition in self._placed & consumer.caught_up()]
        if mine:
            applied = await self._applier.apply(mine, self._following.refuse_moved, ended)
            self._timers.notice(applied.soonest)
            self._pending.applied(
                {partition: batch[-1].offset + 1 for partition, batch in mine.items()},
                time.monotonic(),
            )
        # A cart that looks abandoned may have been bought in what is still to be read.
        read = [partition for _, partition in self._placed & consumer.caught_up()]
        self._more = await self._timers.tick(read)
        if self._moving is not None:
            self._more |= await self._moving.tick(read)
        await self._commit_now_and_then()
        await self._take_care(consumer)

    async def _take_care(self, consumer: GroupConsumer) -> None:
        """Lag every few seconds; now and then whether the topic is still the one that is folded,
        and statistics buckets that fell out of the window."""
        now = time.monotonic()
        if now >= self._next_lag:
            self._next_lag = now + LAG_S
            for (_, partition), lag in (await consumer.lag()).items():
                metrics.LAG.labels(partition).set(lag)
        if now >= self._next_check:
            self._next_check = now + CHECK_S
            await self._following.check()
        if now >= self._next_care:
            self._next_care = now + CARE_S
            for _, partition in self._placed:
                await self._store.drop_old_buckets(partition)

    async def _commit_now_and_then(self) -> None:
        # A commit is a round trip that the next facts would wait for.
        now = time.monotonic()
        if now >= self._next_commit:
            self._next_commit = now + COMMIT_S
            await self._commit()

    async def _commit(self) -> None:
        with self._applier.stages.measure("commit"):
            # Looks even where nothing waits: a server that was demoted for a while shows only so.
            ready = self._pending.durable(await self._keeping.until())
            mine = {partition: at for partition, at in ready.items() if partition in self._placed}
            if not mine or self._consumer is None:
                return
            try:
                await self._consumer.commit(mine, self._following.generation.token)
            except Rebalanced:
                log.info("a commit came after a rebalance; the new owner reads again")
            except Unavailable:
                self._pending.failed(mine)
                raise

    async def _commit_at_last(self) -> bool:
        try:
            await self._commit()
        except Unavailable as error:
            log.warning("what was not committed will be read again", exc_info=error)
            return False
        return True

    async def _finish(self) -> None:
        deadline = time.monotonic() + FINISH_S
        while True:
            async with self._lock:
                answered = await self._commit_at_last()
            if not answered or self._pending.empty or time.monotonic() > deadline:
                return
            await asyncio.sleep(FINISH_POLL_S)
