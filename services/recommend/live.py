"""Keeps what recommend knows up to date: the live tail of `events`, models, item statistics.

Three background loops beside the requests. Each works in small slices, so that requests get
their turn, and goes on after a failure with what it has.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from itertools import islice
from pathlib import Path
from typing import Final

from services.recommend.candidates.sessions import SessionIndex
from services.recommend.learning import Learned
from services.recommend.metrics import RecommendMetrics
from services.recommend.models.folder import ModelFolder
from services.recommend.models.snapshot import Metadata, restore
from services.recommend.pipeline import Knowledge
from services.recommend.popularity import rank_popularity
from services.recommend.ranking import LinearRanker
from services.recommend.statistics import Bucket, ItemStatistics, joined, parse_bucket
from services.recommend.store import StatisticsReader
from shared.bus import Record, Tail, TopicPartition
from shared.decisions import ModelName
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
UNTRAINED: Final = ModelName(name="linear", version="untrained")

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


class ModelKeeper:
    """Takes up the newest promoted snapshot. A new one is loaded in a thread and follows the log
    from where training stopped; only when it has caught up does it take the old one's place, in
    one assignment between two requests."""

    def __init__(
        self,
        settings: Settings,
        knowledge: Knowledge,
        metrics: RecommendMetrics,
        *,
        poll_s: float,
        capacity: int,
    ) -> None:
        self._settings = settings
        self._knowledge = knowledge
        self._metrics = metrics
        self._poll_s = poll_s
        self._capacity = capacity
        self._folder = ModelFolder(Path(settings.models))
        self._version: str | None = None
        self._task: asyncio.Task[None] | None = None
        self.tail: LiveTail | None = None

    async def run(self) -> None:
        """Begin with what is there and look for newer ones until cancelled."""
        try:
            await self._begin()
            await keep_going("model keeper", self._watch)
        finally:
            await stopped(self._task)

    async def _begin(self) -> None:
        learned = Learned(self._knowledge.stock.numbers, SessionIndex(capacity=self._capacity))
        metadata: Metadata | None = None
        try:
            version = await asyncio.to_thread(self._folder.current)
            if version is not None:
                learned, metadata = await asyncio.to_thread(self._load, version)
        except AttuneError as error:
            _logger.warning("starting without a model", extra={"code": error.code})
        positions = {} if metadata is None else metadata.positions
        self.tail = LiveTail(self._settings, learned, positions)
        self._task = asyncio.create_task(self.tail.run())
        self._put_in_force(learned, metadata)

    def _load(self, version: str) -> tuple[Learned, Metadata]:
        snapshot, metadata = self._folder.load(version)
        return restore(snapshot, self._knowledge.stock.numbers, self._capacity), metadata

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._poll_s)
            version = await asyncio.to_thread(self._folder.current)
            if version is not None and version != self._version:
                await self._swap(version)

    async def _swap(self, version: str) -> None:
        learned, metadata = await asyncio.to_thread(self._load, version)
        tail = LiveTail(self._settings, learned, metadata.positions)
        task = asyncio.create_task(tail.run())
        try:
            await tail.caught_up.wait()
        except BaseException:
            await stopped(task)
            raise
        old, self._task, self.tail = self._task, task, tail
        self._put_in_force(learned, metadata)
        await stopped(old)

    def _put_in_force(self, learned: Learned, metadata: Metadata | None) -> None:
        name, knowledge = UNTRAINED, self._knowledge
        if metadata is not None:
            name = ModelName(
                name=metadata.name, version=metadata.version, trained_at=metadata.trained_at
            )
            knowledge.neighbours = metadata.neighbour_settings()
            self._version = metadata.version
        knowledge.sessions, knowledge.pairs = learned.sessions, learned.pairs
        knowledge.ranker = LinearRanker(name)
        self._metrics.model_in_force(name.name, name.version)
        _logger.info("model in force", extra={"model": name.name, "version": name.version})

    async def caught_up(self) -> None:
        """Wait until the live tail has caught up for the first time."""
        while self.tail is None:  # noqa: ASYNC110  (only for as long as a model is loaded)
            await asyncio.sleep(0.1)
        await self.tail.caught_up.wait()

    async def check(self) -> None:
        """Raises LogUnavailable until the live tail has caught up (for readiness)."""
        if self.tail is None:
            raise LogUnavailable("the live tail has not begun")
        await self.tail.check()


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
        """Bring popularity up to date with the statistics and with the catalogue's rows."""
        stock = self._knowledge.stock
        stock.align()
        state = (self._statistics.version, stock.size)
        if state != self._ranked:
            number_of = stock.number_of[: stock.size]
            # numpy over the whole catalogue: some ms that requests need not wait for. Nothing else
            # writes the statistics, and rows that come meanwhile lie behind this slice.
            ranked = await asyncio.to_thread(rank_popularity, self._statistics, number_of)
            self._knowledge.popularity = ranked
            self._ranked = state
