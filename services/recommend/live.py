"""Keeps what recommend knows up to date: the live tail of `events` and item statistics.

Two background loops beside the requests. Each works in small slices, so that requests get
their turn, and goes on after a failure with what it has.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from itertools import islice
from typing import Final

from services.recommend.knowledge import Knowledge
from services.recommend.learning import Learned
from services.recommend.popularity import rank_popularity
from services.recommend.statistics import Bucket, ItemStatistics, joined, parse_bucket
from services.recommend.store import StatisticsReader
from shared.bus import Record, Tail, TopicPartition
from shared.errors import AttuneError, LogUnavailable, StoreUnavailable
from shared.settings import Settings
from shared.topics import EVENTS

SLICE: Final = 40
"""Records learned from in one go: about half a millisecond."""
SLICE_ITEMS: Final = 500
"""Counts of a bucket parsed in one go, likewise."""
POLL_MS: Final = 200
POLL_RECORDS: Final = 400
RETRY_S: Final = 1.0
REFRESH_S: Final = 1.0
STOP_AGAIN_S: Final = 0.2
BUSY_SHARE: Final = 0.05
"""Share of a core that reading statistics may take; where it would take more, it waits longer."""

_logger = logging.getLogger(__name__)


async def keep_going(name: str, once: Callable[[], Awaitable[None]]) -> None:
    """Run a loop's body again whenever it fails, until cancelled."""
    while True:
        try:
            await once()
        except AttuneError as error:
            _logger.warning("%s interrupted", name, extra={"code": error.code})
        except Exception:  # a loop that ended would let this process grow stale for good
            _logger.exception("%s interrupted", name)
        await asyncio.sleep(RETRY_S)


class LiveTail:
    """Teaches one Learned what happens. `caught_up` is set once all that stood in the log when
    the tail began was learned."""

    def __init__(self, settings: Settings, learned: Learned, start: dict[str, int]) -> None:
        self.learned = learned
        self.caught_up = asyncio.Event()
        self._settings = settings
        self._topic = EVENTS.named(settings.namespace)
        self._next: dict[TopicPartition, int] = {
            (self._topic, int(partition)): offset for partition, offset in start.items()
        }

    async def run(self) -> None:
        """Follow the log until cancelled; after a failure from where it stopped."""
        await keep_going("live tail", self._follow)

    async def _follow(self) -> None:
        async with Tail.open(self._settings, [self._topic], dict(self._next)) as tail:
            while True:
                batches = await tail.poll(max_records=POLL_RECORDS, timeout_ms=POLL_MS)
                for partition, records in batches.items():
                    await self._learn(partition, records)
                if not self.caught_up.is_set() and await tail.caught_up():
                    _logger.info("live tail has caught up")
                    self.caught_up.set()

    async def _learn(self, partition: TopicPartition, records: list[Record]) -> None:
        learn = self.learned.learn
        for start in range(0, len(records), SLICE):
            for record in records[start : start + SLICE]:
                learn(record.key or b"", record.value)
                self._next[partition] = record.offset + 1
            await asyncio.sleep(0)

    async def check(self) -> None:
        """Raises LogUnavailable until the tail has caught up (for readiness)."""
        if not self.caught_up.is_set():
            raise LogUnavailable("the live tail has not caught up")


async def stopped(task: "asyncio.Task[None] | None") -> None:
    """End a background task. redis-py can lose a cancellation that meets a reply or a time-out,
    so it is asked again until it ends."""
    while task is not None and not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=STOP_AGAIN_S)


class StatisticsKeeper:
    """Sums item statistics every second: of each partition that moved the hours from the newest
    of the last time on and the one before, and in turn one older hour, where late events may have
    landed. At the start each hour is read once."""

    def __init__(self, reader: StatisticsReader, knowledge: Knowledge, partitions: int) -> None:
        self._reader = reader
        self._knowledge = knowledge
        self._partitions = partitions
        self._statistics = ItemStatistics()
        self._generation = ""
        self._positions: dict[int, bytes] = {}
        self._newest: dict[int, int] = {}
        self._turn = 0
        self._ranked = (-1, -1)

    async def run(self) -> None:
        """Refresh until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            started = loop.time()
            try:
                await self.refresh()
            except StoreUnavailable as error:
                _logger.warning("item statistics not read", extra={"code": error.code})
            except Exception:
                _logger.exception("item statistics not read")
            busy = loop.time() - started
            await asyncio.sleep(max(REFRESH_S, busy / BUSY_SHARE))

    async def refresh(self) -> None:
        """Read what changed and rank anew. Raises StoreUnavailable."""
        generation = self._reader.generation
        positions = await self._reader.positions(self._partitions)
        if generation != self._generation:
            self._generation = generation
            self._positions.clear()
            self._newest.clear()
        self._turn += 1
        for partition, position in enumerate(positions):
            known = self._positions.get(partition)
            if position is None or position == known:
                continue
            await self._read(partition)
            self._positions[partition] = position
        await self.rank()

    async def _read(self, partition: int) -> None:
        hours = await self._reader.hours(partition)
        statistics = self._statistics
        statistics.keep_only(partition, set(hours))
        due = [hour for hour in hours if (partition, hour) not in statistics.buckets]
        # what was the newest hour when it was last read has gone on since, and may lie far back
        # where business time runs fast
        since = self._newest.get(partition, 0) - 1
        due.extend(hour for hour in hours if hour >= since)
        if hours:
            self._newest[partition] = hours[0]
            due.append(hours[self._turn % len(hours)])
        for hour in dict.fromkeys(due):
            fields = await self._reader.bucket(partition, hour)
            statistics.put(partition, hour, await self._parsed(fields))
            await asyncio.sleep(0)

    async def _parsed(self, fields: dict[bytes, bytes]) -> Bucket:
        items, parts = iter(fields.items()), []
        while part := dict(islice(items, SLICE_ITEMS)):
            parts.append(parse_bucket(part, self._knowledge.stock.numbers))
            await asyncio.sleep(0)
        return joined(parts)

    async def rank(self) -> None:
        """Bring popularity and posteriors up to date with the statistics and with the catalogue's
        rows."""
        knowledge = self._knowledge
        stock = knowledge.stock
        stock.align()
        state = (self._statistics.version, stock.size)
        if state != self._ranked:
            number_of = stock.number_of[: stock.size]
            # numpy over the whole catalogue: some ms that requests need not wait for. Nothing else
            # writes the statistics, and rows that come meanwhile lie behind this slice.
            ranked = await asyncio.to_thread(rank_popularity, self._statistics, number_of)
            knowledge.popularity = ranked
            self._ranked = state
        categories = stock.catalogue.columns.category[: len(knowledge.popularity.counts)].copy()
        await asyncio.to_thread(
            knowledge.posteriors.refresh, knowledge.popularity.counts, categories
        )
