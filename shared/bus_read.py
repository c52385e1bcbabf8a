"""Readers of the log that belong to no group: `Tail` follows topics, `scan` reads one through.

Used by whoever keeps a whole topic in memory (catalogue) or computes from the log itself (verify,
balance, replay). Beside `bus`, which exports both.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any, Literal, Self, TypeAlias

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition as KafkaPartition

from shared.bus_connection import (
    REQUEST_S,
    START_S,
    Record,
    TopicPartition,
    fetching,
    started,
    translated,
)
from shared.errors import LogTruncated, LogUnavailable, UnknownTopic
from shared.settings import Settings

Start: TypeAlias = Literal["earliest", "latest"] | Mapping[TopicPartition, int]

STALLED_S = 30.0
"""A scan that reads nothing for this long gives up."""
SCAN_RECORDS = 2_000
FEW_RECORDS = 256
"""So many are read through sooner than halved again."""
SCAN_WAIT_MS = 10
"""At the end of one partition the broker holds its answer back for so long, and the next waits."""


class Tail:
    """All partitions of some topics, from a given start, without a group. Open with `open`."""

    def __init__(self, client: Any, ends: dict[KafkaPartition, int], settings: Settings) -> None:
        self._client = client
        self._ends = ends
        self._settings = settings

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        settings: Settings,
        topics: Sequence[str],
        start: Start = "earliest",
        *,
        wait_s: float = START_S,
        wait_ms: int = SCAN_WAIT_MS,
    ) -> AsyncIterator[Self]:
        """Begins at `start`; partitions that a mapping leaves out begin at their beginning.

        wait_ms: how long the broker may hold back an answer where nothing is new: longer is less
        work, and for who follows a single partition no later. Raises
        LogUnavailable when no broker answers, UnknownTopic when a topic does not exist.
        """
        async with _reader(settings, wait_s, "earliest", wait_ms) as client:
            with translated(settings):
                partitions = await _partitions(client, topics)
                client.assign(partitions)
                ends = await client.end_offsets(partitions)
                begin = ends if start == "latest" else await client.beginning_offsets(partitions)
                for partition in partitions:
                    offset = begin[partition]
                    if isinstance(start, Mapping):
                        offset = start.get(tuple(partition), offset)
                    client.seek(partition, offset)
            yield cls(client, ends, settings)

    async def poll(
        self, *, max_records: int, timeout_ms: int
    ) -> dict[TopicPartition, list[Record]]:
        """The next records by partition; nothing after `timeout_ms` without any."""
        with translated(self._settings):
            records: dict[TopicPartition, list[Record]] = await self._client.getmany(
                timeout_ms=timeout_ms, max_records=max_records
            )
            return records

    async def lag(self) -> int:
        """How many offsets lie between what poll returned and the ends as they are now."""
        with translated(self._settings):
            ends = await self._client.end_offsets(list(self._ends))
            return sum(
                [end - await self._client.position(partition) for partition, end in ends.items()]
            )

    async def caught_up(self) -> bool:
        """Whether poll has returned all that was in the log when the tail was opened."""
        with translated(self._settings):
            for partition, end in self._ends.items():
                if await self._client.position(partition) < end:
                    return False
        return True


async def scan(
    settings: Settings, topic: str, *, complete: bool = True, wait_s: float = START_S
) -> AsyncIterator[list[Record]]:
    """Every record of a topic, to its end as it stood at the call; a list is of one partition.

    Within a partition records come in log order. `complete`: raises LogTruncated when a partition
    no longer begins at offset 0 (retention, or the embedded broker's limit, dropped its start);
    pass False for a topic whose retention may drop. Raises LogUnavailable when reading stalls.
    """
    # "none" makes records that vanish in mid-scan an error, where "earliest" would skip them.
    async with _reader(settings, wait_s, "none" if complete else "earliest") as client:
        with translated(settings):
            partitions = await _partitions(client, [topic])
            client.assign(partitions)
            begins = await client.beginning_offsets(partitions)
            ends = await client.end_offsets(partitions)
        if complete:
            _refuse_truncated(begins)
        for partition in partitions:
            client.seek(partition, begins[partition])
        async for records in _drain(client, settings, begins, ends):
            yield records


class RangeReader:
    """Parts of partitions, one after another, through one client. Open with `open`."""

    def __init__(self, client: Any, settings: Settings) -> None:
        self._client = client
        self._settings = settings

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: Settings, *, wait_s: float = START_S) -> AsyncIterator[Self]:
        """Raises LogUnavailable when no broker answers within `wait_s` seconds."""
        async with _reader(settings, wait_s, "none") as client:
            yield cls(client, settings)

    async def read(
        self, partition: TopicPartition, start: int, end: int
    ) -> AsyncGenerator[list[Record], None]:
        """The records from offset `start` up to `end`. Raises LogUnavailable when it stalls."""
        if start >= end:
            return
        where = KafkaPartition(*partition)
        with translated(self._settings):
            self._client.assign([where])
            self._client.seek(where, start)
        async for records in _drain(self._client, self._settings, {where: start}, {where: end}):
            yield records

    async def bounds(self, topic: str) -> list[tuple[int, int]]:
        """Of each partition the first offset that is still there and the one of its next record.
        Raises UnknownTopic."""
        with translated(self._settings):
            partitions = await _partitions(self._client, [topic])
            begins = await self._client.beginning_offsets(partitions)
            ends = await self._client.end_offsets(partitions)
        return [(begins[partition], ends[partition]) for partition in partitions]

    async def since(self, partition: TopicPartition, time_ms: int, begin: int, end: int) -> int:
        """An offset that the first record of this time or later, by its timestamp, lies at or not
        far behind: by halving, since a broker's own index of times cannot be relied on (the
        embedded one has none). `begin`, `end`: the partition's bounds."""
        while end - begin > FEW_RECORDS:
            middle = (begin + end) // 2
            async with aclosing(self.read(partition, middle, end)) as reading:
                found = await anext(reading, None)
            if found is None or found[0].timestamp >= time_ms:
                end = middle
            else:
                begin = found[0].offset + 1
        return begin


def _refuse_truncated(begins: Mapping[KafkaPartition, int]) -> None:
    for (topic, partition), offset in sorted(begins.items()):
        if offset > 0:
            raise LogTruncated(
                f"{topic}/{partition} begins at offset {offset}: its oldest {offset} records are "
                "gone (retention, or the embedded broker's 5 MiB a partition)"
            )


async def _drain(
    client: Any,
    settings: Settings,
    begins: Mapping[KafkaPartition, int],
    ends: Mapping[KafkaPartition, int],
) -> AsyncIterator[list[Record]]:
    left = {partition for partition, end in ends.items() if begins[partition] < end}
    loop = asyncio.get_running_loop()
    deadline = loop.time() + STALLED_S
    while left:
        with translated(settings):
            found = await client.getmany(*left, timeout_ms=500, max_records=SCAN_RECORDS)
        if found:
            deadline = loop.time() + STALLED_S
        elif loop.time() > deadline:
            raise LogUnavailable(f"the log at {settings.bootstrap} stopped answering in a scan")
        for partition, records in found.items():
            end = ends[partition]
            if records[-1].offset >= end:
                records = [record for record in records if record.offset < end]  # noqa: PLW2901
            if records:
                yield records
        for partition in list(left):
            # Compaction leaves holes, so the position tells and the last record does not.
            with translated(settings):
                if await client.position(partition) >= ends[partition]:
                    left.discard(partition)


@asynccontextmanager
async def _reader(
    settings: Settings, wait_s: float, reset: str, wait_ms: int = SCAN_WAIT_MS
) -> AsyncIterator[Any]:
    def create() -> Any:
        own = {"auto_offset_reset": reset, "fetch_max_wait_ms": wait_ms}
        return AIOKafkaConsumer(**(fetching(settings) | own))

    async with started(settings, create, wait_s=wait_s) as client:
        yield client


async def _partitions(client: Any, topics: Sequence[str]) -> list[KafkaPartition]:
    # A consumer without a subscription has asked for the metadata of every topic there is.
    found: list[KafkaPartition] = []
    async with asyncio.timeout(REQUEST_S):
        cluster = await client._client.fetch_all_metadata()
    for topic in topics:
        numbers = cluster.partitions_for_topic(topic)
        if not numbers:
            raise UnknownTopic(f"the log has no topic {topic}")
        found.extend(KafkaPartition(topic, number) for number in sorted(numbers))
    return found
