"""Reads topics from their beginning to their end as it stands: for whoever checks from outside.

A plain Kafka client of its own, as a data team would use one.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from aiokafka import AIOKafkaConsumer

PATIENCE_MS: Final = 60_000
AT_ONCE: Final = 2_000
READINGS: Final = 3
PAUSE_S: Final = 5.0

_R = TypeVar("_R")


@dataclass(frozen=True, slots=True)
class Record:
    """One record. written_at: real epoch ms by the log."""

    topic: str
    partition: int
    offset: int
    written_at: int
    headers: dict[str, bytes]
    value: bytes


async def read_to_end(bootstrap: str, topics: Sequence[str]) -> AsyncIterator[Record]:
    """All records of the topics, each partition's in order, up to where they end now.

    Raises TimeoutError where a partition does not give what it says it has.
    """
    consumer = AIOKafkaConsumer(*topics, bootstrap_servers=bootstrap, group_id=None)
    await consumer.start()
    try:
        places = sorted(consumer.assignment())
        ends = await consumer.end_offsets(places)
        begins = await consumer.beginning_offsets(places)
        left = {place for place in places if ends[place] > begins[place]}
        await consumer.seek_to_beginning(*places)
        while left:
            batches = await consumer.getmany(*left, timeout_ms=PATIENCE_MS, max_records=AT_ONCE)
            if not batches:
                raise TimeoutError(f"nothing more comes from {len(left)} partitions")
            for place, batch in batches.items():
                for each in batch:
                    if each.offset < ends[place]:
                        headers = dict(each.headers)
                        yield Record(
                            each.topic,
                            each.partition,
                            each.offset,
                            each.timestamp,
                            headers,
                            each.value or b"",
                        )
                if await consumer.position(place) >= ends[place]:
                    left.discard(place)
    finally:
        await consumer.stop()


async def read_again(read: Callable[[], Awaitable[_R]]) -> _R:
    """What `read` makes of topics; begun anew, with a client of its own, where the log fell silent.

    Raises TimeoutError where it does READINGS times.
    """
    for _ in range(READINGS - 1):
        try:
            return await read()
        except TimeoutError:
            await asyncio.sleep(PAUSE_S)
    return await read()
