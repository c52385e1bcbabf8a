"""The loop of `attune archive`: reads `events` and `decisions` and writes them as rows.

Where to begin, the table alone says: at the start, after a rebalance and after any failure what
waits in memory is dropped and read again from the offset that the table wants. The group only
shares out the partitions; what is committed to it is for those who watch lag.
"""

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Final

from services.ingest.archive import metrics
from services.ingest.archive.buffer import Buffer
from services.ingest.archive.settings import ArchiveSettings
from shared import bus
from shared.archive_table import ArchiveTable
from shared.bus import GroupConsumer, Record, TopicPartition
from shared.errors import ArchiveMismatch, ArchiveUnavailable, LogUnavailable, Unavailable
from shared.settings import Settings
from shared.topics import Topic

log = logging.getLogger(__name__)

POLL_RECORDS: Final = 5_000
POLL_S: Final = 0.5
BACKOFF_S: Final = (0.5, 1.0, 2.0, 5.0, 15.0, 30.0)
LAG_S: Final = 5.0


class TopicArchive:
    """One topic on its way into its table."""

    def __init__(self, settings: Settings, topic: Topic) -> None:
        self.name: Final = topic.named(settings.namespace)
        self.buffer: Final = Buffer(self.name)
        self._settings = settings
        self._topic = topic
        self._incarnation = ""
        self._table: ArchiveTable | None = None
        metrics.LAST_COMMIT.labels(topic.name).set_to_current_time()

    async def begin(self, partitions: Iterable[int]) -> dict[int, int]:
        """Follows these partitions from where the table says, and returns where that is.

        Raises ArchiveMismatch for a topic that was made anew, ArchiveUnavailable, LogUnavailable.
        """
        self.buffer.begin({})
        self._incarnation = await bus.topic_id(self._settings, self.name)
        count = await bus.partitions_of(self._settings, self.name)
        self._table = await asyncio.to_thread(
            ArchiveTable.open,
            self._settings,
            self._topic,
            incarnation=self._incarnation,
            partitions=count,
        )
        ends = self._table.ends()
        self.buffer.begin({number: ends[number] for number in partitions})
        return self.buffer.wanted

    def due(self, own: ArchiveSettings, now: float) -> bool:
        """Whether what waits is many, large or old enough to be written."""
        waits = self.buffer
        return waits.rows > 0 and (
            waits.rows >= own.max_rows
            or waits.size >= own.max_bytes
            or now - waits.since >= own.max_wait_s
        )

    async def write(self) -> None:
        """Writes what waits, in one commit. Raises ArchiveConflict, ArchiveUnavailable: begin anew;
        ArchiveMismatch, LogUnavailable."""
        if self._table is None:
            raise ArchiveUnavailable("not opened yet")
        # Records of a topic that was made anew may have come in since the last look.
        if await bus.topic_id(self._settings, self.name) != self._incarnation:
            raise ArchiveMismatch(f"the topic {self.name} was made anew while it was archived")
        rows = self.buffer.waiting()
        with metrics.COMMIT_SECONDS.time():
            await asyncio.to_thread(self._table.append, rows)
        metrics.ROWS.labels(self._topic.name).inc(len(rows))
        metrics.LAST_COMMIT.labels(self._topic.name).set_to_current_time()
        self.buffer.clear()

    def add(self, partition: int, records: Sequence[Record], now: float) -> None:
        """Takes records that were read. Raises ArchiveMismatch."""
        missing = self.buffer.add(partition, records, now)
        if missing is not None:
            first, end = missing
            metrics.LOST.labels(self._topic.name).inc(end - first)
            log.error(
                "the log dropped records before they were archived",
                extra={"topic": self.name, "partition": partition, "from": first, "to": end - 1},
            )

    def show_lag(self, partition: int, unread: int) -> None:
        """Sets the gauge of a partition: what waits here is in no table yet either."""
        lag = unread + self.buffer.waiting_of(partition)
        metrics.LAG.labels(self._topic.name, str(partition)).set(lag)


class Archiver:
    """All topics, and the member of the group that reads them."""

    def __init__(self, settings: Settings, own: ArchiveSettings, topics: Sequence[Topic]) -> None:
        archives = [TopicArchive(settings, topic) for topic in topics]
        self._archives = {archive.name: archive for archive in archives}
        self._own = own
        self._lock = asyncio.Lock()
        self._unknown: set[TopicPartition] = set()
        self._failing: Unavailable | None = None
        self._stop = asyncio.Event()
        self._next_lag = 0.0

    @property
    def topics(self) -> list[str]:
        """Names on the broker."""
        return list(self._archives)

    def stop(self) -> None:
        """Writes what waits, then ends `run`."""
        self._stop.set()

    async def check(self) -> None:
        """Raises what the archive's last answer was, unless it was good (for readiness)."""
        if self._failing is not None:
            raise self._failing

    async def assigned(self, partitions: Sequence[TopicPartition]) -> None:
        """Partitions of this member from now on; `run` looks up where they begin."""
        self._unknown.update(partitions)

    async def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        """Lets go: a commit under way ends first, and what waits is for the next owner to read."""
        async with self._lock:
            self._unknown.difference_update(partitions)
            for name, number in partitions:
                self._archives[name].buffer.forget([number])
            metrics.LAG.clear()

    async def run(self, consumer: GroupConsumer) -> None:
        """Works until `stop`. Raises ArchiveMismatch where the log is not the one archived."""
        failures = 0
        most = min(POLL_RECORDS, self._own.max_rows)
        poll_ms = int(1000 * min(POLL_S, self._own.max_wait_s))
        while not self._stop.is_set():
            try:
                async with self._lock:
                    await self._begin(consumer)
                records = await consumer.poll(max_records=most, timeout_ms=poll_ms)
                async with self._lock:
                    await self._turn(consumer, records)
                failures = 0
            except Unavailable as error:
                self._failed(error)
                self._unknown.update(consumer.assigned())
                await self._pause(BACKOFF_S[min(failures, len(BACKOFF_S) - 1)])
                failures += 1
        await self._finish(consumer)

    async def _begin(self, consumer: GroupConsumer) -> None:
        """Seeks to where the tables say; a topic with an unknown partition begins anew as a whole.

        Nothing is counted twice by that: what waited was in no table.
        """
        mine = consumer.assigned()
        for name in {name for name, _ in self._unknown & mine}:
            numbers = sorted(number for topic, number in mine if topic == name)
            for number, offset in (await self._archives[name].begin(numbers)).items():
                consumer.seek((name, number), offset)
            self._unknown.difference_update((name, number) for number in numbers)
            self._failing = None

    async def _turn(
        self, consumer: GroupConsumer, records: Mapping[TopicPartition, Sequence[Record]]
    ) -> None:
        now = time.monotonic()
        for (name, number), found in records.items():
            archive = self._archives[name]
            # Records of a partition that just came here: they are read again from the right place.
            if number in archive.buffer.wanted:
                archive.add(number, found, now)
        for archive in self._archives.values():
            if archive.due(self._own, now):
                await self._write(consumer, archive)
        if now >= self._next_lag:
            self._next_lag = now + LAG_S
            await self._show_lag(consumer)

    async def _write(self, consumer: GroupConsumer, archive: TopicArchive) -> None:
        await archive.write()
        self._failing = None
        behind = {(archive.name, number): end for number, end in archive.buffer.wanted.items()}
        with suppress(LogUnavailable):
            await consumer.commit(behind)

    async def _show_lag(self, consumer: GroupConsumer) -> None:
        for (name, number), unread in (await consumer.lag()).items():
            self._archives[name].show_lag(number, unread)

    def _failed(self, error: Unavailable) -> None:
        metrics.FAILURES.labels(error.code).inc()
        log.warning(
            "a step failed and is taken up again", extra={"code": error.code, "why": str(error)}
        )
        if isinstance(error, ArchiveUnavailable):
            self._failing = error

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stop.wait()

    async def _finish(self, consumer: GroupConsumer) -> None:
        async with self._lock:
            for archive in self._archives.values():
                try:
                    if archive.buffer.rows:
                        await self._write(consumer, archive)
                except Unavailable as error:
                    # Nothing is lost: the next start reads it from the log.
                    self._failed(error)
