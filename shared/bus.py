"""The log, as every service writes and reads it: a producer, members of groups, plain readers.

Names of topics are names on the broker (`Topic.named(settings.namespace)`). Everything here raises
AttuneError and its kinds only; above all LogUnavailable.
"""

import asyncio
from collections.abc import AsyncIterator, Generator, Iterable
from contextlib import asynccontextmanager
from typing import Any, Self

from aiokafka import AIOKafkaProducer

from shared.bus_admin import ensure_topics, group_lag, partitions_of, ping, topic_id
from shared.bus_batches import CODECS, PackedBatch, pack_all
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
    translated,
)
from shared.bus_group import GroupConsumer
from shared.bus_read import Tail, scan
from shared.bus_renewal import RenewingClient
from shared.errors import (
    AttuneError,
    InvalidInput,
    LogTruncated,
    Rebalanced,
    TooLarge,
    UnknownTopic,
)
from shared.headers import Headers
from shared.partitioning import choose
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
    "partition_of",
    "partitions_of",
    "ping",
    "scan",
    "topic_id",
]

BATCH_BYTES = 131_072
"""Buffer per partition, before compression: `send` waits while it is full."""

APPENDED_AT_ONCE = 64

HUNG_S = 2 * REQUEST_S
"""A client that acknowledged nothing for so long, while records wait, is given up."""


def partition_of(key: bytes, partitions: int) -> int:
    """Where producers put the records of this key, in a topic of so many partitions."""
    numbers = list(range(partitions))
    return choose(key, numbers, numbers)


class Acknowledgement:
    """Resolves to the record's Position once every in-sync replica has it.

    Awaiting raises LogUnavailable when that fails or takes longer than a request may, TooLarge
    where the broker refused its batch. The record may have arrived all the same. Awaiting it is
    optional: `flush` reports failures too.
    """

    __slots__ = ("_future", "_settings")

    def __init__(self, future: "asyncio.Future[Any]", settings: Settings) -> None:
        self._future = future
        self._settings = settings

    @property
    def arrived(self) -> bool:
        """Whether every in-sync replica is known to have the record."""
        future = self._future
        return future.done() and not future.cancelled() and future.exception() is None

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
    """Appends records; a record counts once all in-sync replicas have it. Open with `open`.

    It heals: after a failure, whatever the client had not delivered is reported as failed, and the
    next record goes through a fresh one.
    """

    def __init__(
        self, renewing: RenewingClient, settings: Settings, compression: str | None
    ) -> None:
        self._renewing = renewing
        self._settings = settings
        self._codec = CODECS[compression]
        self._failure: AttuneError | None = None
        self._open = 0
        self._moved_at = 0.0

    @classmethod
    @asynccontextmanager
    async def open(
        cls, settings: Settings, *, wait_s: float = START_S, compression: str | None = "lz4"
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
                partitioner=choose,
                max_batch_size=BATCH_BYTES,
                max_request_size=MAX_MESSAGE_BYTES,
                **common(settings),
            )

        async with RenewingClient.open(settings, create, wait_s=wait_s) as renewing:
            yield cls(renewing, settings, compression)

    @property
    def failed(self) -> bool:
        """Whether something has failed that `flush` has not told yet: what is sent now would lie
        in the log before it."""
        return self._failure is not None

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
            client = await self._client()
            if partition is not None and partition not in await client.partitions_for(topic):
                raise UnknownTopic(f"topic {topic} has no partition {partition}")
            future = await client.send(topic, value, key, partition, headers=list(headers))
        except FAILURES as error:
            raise self._refused(error) from error
        self._watch(future)
        return Acknowledgement(future, self._settings)

    async def send_all(self, topic: str, records: Iterable[tuple[bytes, bytes]]) -> None:
        """Puts many records (key, value) into the buffer as whole batches, at a fraction of what
        `send` costs for each; `flush` reports what was not acknowledged. Works in slices, and
        compresses in a thread.

        Records of one key keep their order, also beside those of `send`. Raises UnknownTopic,
        LogUnavailable: then some may be in the buffer already. Each must be smaller than
        BATCH_BYTES, or it is TooLarge, and none is in the buffer.
        """
        try:
            await self._send_batches(topic, records)
        except FAILURES as error:
            raise self._refused(error) from error

    async def _send_batches(self, topic: str, records: Iterable[tuple[bytes, bytes]]) -> None:
        client = await self._client()
        partitions = sorted(await client.partitions_for(topic))
        last: dict[int, PackedBatch] = {}
        full: list[tuple[int, PackedBatch]] = []
        for number, (key, value) in enumerate(records, start=1):
            if number % APPENDED_AT_ONCE == 0:
                await asyncio.sleep(0)
            partition = choose(key, partitions, partitions)
            batch = last.get(partition)
            if batch is None or batch.append(timestamp=None, key=key, value=value) is None:
                if batch is not None:
                    full.append((partition, batch))
                batch = last[partition] = PackedBatch(BATCH_BYTES, self._codec)
                if batch.append(timestamp=None, key=key, value=value) is None:
                    raise TooLarge(f"a record in a batch has at most {BATCH_BYTES} bytes")
        batches = [*full, *last.items()]
        await pack_all([batch for _, batch in batches])
        for partition, batch in batches:
            self._watch(await client.send_batch(batch, topic, partition=partition))

    def _refused(self, error: BaseException) -> AttuneError:
        """What a client that did not take a record means: only one of these is the record's."""
        refused = mended(error, self._settings)
        if not isinstance(refused, TooLarge | UnknownTopic):
            self._renewing.broken = True
        return refused

    async def _client(self) -> Any:
        """The client to send through; one that acknowledges nothing any more is given up."""
        now = asyncio.get_running_loop().time()
        if not self._open:
            self._moved_at = now
        elif now - self._moved_at > HUNG_S and not self._renewing.broken:
            await self._renewing.give_up()
        return await self._renewing.ready()

    def _watch(self, future: "asyncio.Future[Any]") -> None:
        self._open += 1
        future.add_done_callback(self._settle)

    def _settle(self, future: "asyncio.Future[Any]") -> None:
        self._open -= 1
        error = None if future.cancelled() else future.exception()
        if error is None:
            self._moved_at = future.get_loop().time()
            return
        self._renewing.broken = True
        # What follows a record that is too large fails for another reason, but because of it.
        if not isinstance(self._failure, TooLarge):
            self._failure = mended(error, self._settings)

    async def flush(self) -> None:
        """Waits until all that was sent is acknowledged.

        Raises LogUnavailable (TooLarge where the broker refused a size) if anything sent since the
        last flush failed, or is still open after the time a request may take: then nothing that
        rests on it may be committed, and what was not acknowledged is not sent any more.
        """
        try:
            async with asyncio.timeout(REQUEST_S):
                await self._renewing.current.flush()
        except TimeoutError as error:
            # What is still open is reported as failed here: so it must not be sent any more.
            await self._renewing.give_up()
            self._failure = self._failure or mended(error, self._settings)
        # The records' own callbacks come after those of their batch.
        await asyncio.sleep(0)
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    async def partitions_of(self, topic: str) -> int:
        """Number of partitions; raises UnknownTopic where the broker has no such topic."""
        with translated(self._settings):
            return len(await (await self._renewing.ready()).partitions_for(topic))

    async def check(self) -> None:
        """Raises LogUnavailable unless a broker answers now (for readiness)."""
        await check((await self._renewing.ready()).client, self._settings)
