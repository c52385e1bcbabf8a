"""The log, as every service writes and reads it: a producer, members of groups, plain readers.

Names of topics are names on the broker (`Topic.named(settings.namespace)`). Everything here raises
AttuneError and its kinds only; above all LogUnavailable.
"""

import asyncio
from collections.abc import AsyncIterator, Generator, Iterable
from contextlib import asynccontextmanager
from typing import Any, Self

from aiokafka import AIOKafkaProducer
from aiokafka.partitioner import DefaultPartitioner

from shared.bus_admin import ensure_topics, group_lag, partitions_of, ping, topic_id
from shared.bus_connection import (
    FAILURES,
    MAX_MESSAGE_BYTES,
    REQUEST_S,
    START_S,
    Position,
    Record,
    TopicPartition,
    check,
    common,
    mended,
    started,
    translated,
)
from shared.bus_group import GroupConsumer
from shared.bus_read import Tail, scan
from shared.errors import (
    AttuneError,
    InvalidInput,
    LogTruncated,
    Rebalanced,
    TooLarge,
    UnknownTopic,
)
from shared.headers import Headers
from shared.settings import Settings

__all__ = [
    "Acknowledgement",
    "GroupConsumer",
    "LogTruncated",
    "Position",
    "Producer",
    "Rebalanced",
    "Record",
    "Tail",
    "TopicPartition",
    "UnknownTopic",
    "ensure_topics",
    "group_lag",
    "partitions_of",
    "ping",
    "scan",
    "topic_id",
]

BATCH_BYTES = 131_072
"""Buffer per partition, before compression: `send` waits while it is full."""

_choose = DefaultPartitioner()


class Acknowledgement:
    """Resolves to the record's Position once every in-sync replica has it.

    Awaiting raises LogUnavailable when that fails or takes longer than a request may. The record
    may have arrived all the same. Awaiting it is optional: `flush` reports failures too.
    """

    __slots__ = ("_future", "_settings")

    def __init__(self, future: "asyncio.Future[Any]", settings: Settings) -> None:
        self._future = future
        self._settings = settings

    def __await__(self) -> Generator[Any, None, Position]:
        return self._position().__await__()

    async def _position(self) -> Position:
        with translated(self._settings):
            if not self._future.done():
                async with asyncio.timeout(REQUEST_S):
                    # A caller that is cancelled must not make the record look lost.
                    await asyncio.shield(self._future)
            metadata = self._future.result()
        return Position(metadata.topic, metadata.partition, metadata.offset)


class Producer:
    """Appends records; a record counts once all in-sync replicas have it. Open with `open`."""

    def __init__(self, client: Any, settings: Settings) -> None:
        self._client = client
        self._settings = settings
        self._failure: AttuneError | None = None

    @classmethod
    @asynccontextmanager
    async def open(
        cls, settings: Settings, *, wait_s: float = START_S, compression: str = "lz4"
    ) -> AsyncIterator[Self]:
        """Raises LogUnavailable when no broker answers within `wait_s` seconds.

        compression: `zstd` where batches are large. aiokafka packs lz4 at level 9, which costs
        60 us for 5 KB in a large batch against 9 us, and packs half as tightly.
        """

        def create() -> Any:
            return AIOKafkaProducer(
                acks="all",
                enable_idempotence=settings.idempotent_produce,
                compression_type=compression,
                linger_ms=0,
                max_batch_size=BATCH_BYTES,
                max_request_size=MAX_MESSAGE_BYTES,
                **common(settings),
            )

        async with started(settings, create, wait_s=wait_s) as client:
            yield cls(client, settings)

    async def send(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: Headers = (),
        partition: int | None = None,
    ) -> Acknowledgement:
        """Puts one record into the buffer (waiting while it is full); await the result for acks.

        Records of one key keep their order. Raises TooLarge, UnknownTopic, LogUnavailable.
        """
        if key is None and value is None:
            raise InvalidInput("a record needs a key or a value")
        # Spelled out, not `translated`: every event comes by here.
        try:
            if partition is not None and partition not in await self._client.partitions_for(topic):
                raise UnknownTopic(f"topic {topic} has no partition {partition}")
            future = await self._client.send(topic, value, key, partition, headers=list(headers))
        except FAILURES as error:
            raise mended(error, self._settings) from error
        future.add_done_callback(self._settle)
        return Acknowledgement(future, self._settings)

    async def send_all(self, topic: str, records: Iterable[tuple[bytes, bytes]]) -> None:
        """Puts many records (key, value) into the buffer as whole batches, at a fraction of what
        `send` costs for each; `flush` reports what was not acknowledged.

        Records of one key keep their order, also beside those of `send`. Raises UnknownTopic,
        LogUnavailable: then some may be in the buffer already. Each must be smaller than
        BATCH_BYTES, or it is TooLarge.
        """
        with translated(self._settings):
            partitions = sorted(await self._client.partitions_for(topic))
            batches: dict[int, Any] = {}
            for key, value in records:
                partition = _choose(key, partitions, partitions)
                batch = batches.get(partition) or self._client.create_batch()
                if batch.append(timestamp=None, key=key, value=value) is None:
                    if not batch.record_count():
                        raise TooLarge(f"a record in a batch has at most {BATCH_BYTES} bytes")
                    await self._send_batch(topic, partition, batch)
                    batch = self._client.create_batch()
                    if batch.append(timestamp=None, key=key, value=value) is None:
                        raise TooLarge(f"a record in a batch has at most {BATCH_BYTES} bytes")
                batches[partition] = batch
            for partition, batch in batches.items():
                await self._send_batch(topic, partition, batch)

    async def _send_batch(self, topic: str, partition: int, batch: Any) -> None:
        future = await self._client.send_batch(batch, topic, partition=partition)
        future.add_done_callback(self._settle)

    def _settle(self, future: "asyncio.Future[Any]") -> None:
        error = None if future.cancelled() else future.exception()
        if error is not None:
            self._failure = mended(error, self._settings)

    async def flush(self) -> None:
        """Waits until all that was sent is acknowledged.

        Raises LogUnavailable if anything sent since the last flush failed, or is still open after
        the time a request may take: then nothing that rests on it may be committed.
        """
        with translated(self._settings):
            async with asyncio.timeout(REQUEST_S):
                await self._client.flush()
                await asyncio.sleep(0)
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    async def partitions_of(self, topic: str) -> int:
        """Number of partitions; raises UnknownTopic where the broker has no such topic."""
        with translated(self._settings):
            return len(await self._client.partitions_for(topic))

    async def check(self) -> None:
        """Raises LogUnavailable unless a broker answers now (for readiness)."""
        await check(self._client.client, self._settings)
