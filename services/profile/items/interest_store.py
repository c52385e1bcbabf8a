"""The index item → interested customers in Redis, and how far each partition has handled the
catalogue. All of their commands are here.

Beside `services/profile/store.py`. An index: written before the states that it speaks of; what it
says too much is harmless, since the state is asked again.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from redis.asyncio import Redis

from services.profile.identity import stable_id
from services.profile.items.interest import LIFE_MS, Gathered, first_mark
from services.profile.store_calls import Scripts
from services.profile.store_errors import translated
from shared.keys import Keys

CUSTOMERS_KEPT: Final = 5_000
"""Of each item and partition: those whose interest lasts longest."""
SLACK: Final = 250
"""So many more are let in before the least are dropped."""
LIFE_S: Final = max(LIFE_MS.values()) // 1000
AT_ONCE: Final = 500
"""Items in one call: a script runs in one piece, and what is unpacked there has a limit."""
CUSTOMERS_AT_ONCE: Final = 2_000

# KEYS: set of the partition's items, then a sorted set for each item. ARGV: customers kept,
# customers let in, least mark that counts, seconds; and packed (msgpack), since to pass each value
# by itself would cost more than all the rest: for each item its id, then marks and customers.
ADD: Final = """
for i, entry in ipairs(cmsgpack.unpack(ARGV[5])) do
  local key = KEYS[i + 1]
  local added = redis.call('ZADD', key, 'GT', unpack(entry, 2))
  if added > 0 then
    local size = redis.call('ZCARD', key)
    if size == added then redis.call('SADD', KEYS[1], entry[1]) end
    if size > tonumber(ARGV[2]) then
      redis.call('ZREMRANGEBYSCORE', key, '-inf', '(' .. ARGV[3])
      redis.call('ZREMRANGEBYRANK', key, 0, -1 - tonumber(ARGV[1]))
    end
    redis.call('EXPIRE', key, ARGV[4])
  end
end
return 1
"""

_encoder = msgspec.msgpack.Encoder()


class InterestStore:
    """Reads and writes the index of one generation. Raises StoreUnavailable."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys
        self._scripts = Scripts(redis, {"add": ADD})

    def use(self, generation: str) -> None:
        """Reads and writes that generation from now on."""
        self._keys = Keys(self._keys.namespace, generation)

    async def add(self, gathered: Gathered, now: int) -> None:
        """Adds interest; `now`, business epoch ms, tells what is over where an item has too many.

        One round trip for a batch: a script for each partition.
        """
        calls = [
            ("add", self._add_arguments(partition, part, now))
            for partition, items in gathered.items()
            for part in _parts(items)
        ]
        if calls:
            await self._scripts.run(calls)

    def _add_arguments(
        self, partition: int, items: Sequence[tuple[str, Mapping[str, int]]], now: int
    ) -> list[Any]:
        keys = [self._keys.interested(partition, item) for item, _ in items]
        packed = []
        for item, marks in items:
            entry: list[str | int] = [item]
            for customer, mark in marks.items():
                entry += (mark, customer)
            packed.append(entry)
        return [
            1 + len(keys),
            self._keys.interest_items(partition),
            *keys,
            CUSTOMERS_KEPT,
            CUSTOMERS_KEPT + SLACK,
            first_mark(now),
            LIFE_S,
            _encoder.encode(packed),
        ]

    async def interested(
        self, partition: int, items: Sequence[str], now: int
    ) -> list[list[tuple[str, int]]]:
        """For each item the customers of a partition whose interest counts at `now`, with their
        marks: who is interested longest last."""
        with translated():
            pipeline = self._redis.pipeline(transaction=False)
            for item in items:
                key = self._keys.interested(partition, item)
                pipeline.zrangebyscore(key, first_mark(now), "+inf", withscores=True)
            answers = await pipeline.execute()
        return [[(key.decode(), int(mark)) for key, mark in found] for found in answers]

    async def positions(self, partitions: Sequence[int], incarnation: str) -> dict[int, int]:
        """The next offset of `catalogue` that each partition has to handle; those that have never
        begun, or with another topic of that name, are left out."""
        with translated():
            pipeline = self._redis.pipeline(transaction=False)
            for partition in partitions:
                pipeline.get(self._keys.catalogue_position(partition))
            values = await pipeline.execute()
        found = {}
        for partition, value in zip(partitions, values, strict=True):
            topic, _, offset = (value or b"").decode().partition("/")
            if topic == _short(incarnation):
                found[partition] = int(offset)
        return found

    async def move(self, positions: Mapping[int, int], incarnation: str) -> None:
        """Notes that partitions have handled the changes before these offsets."""
        with translated():
            pipeline = self._redis.pipeline(transaction=False)
            for partition, offset in positions.items():
                key = self._keys.catalogue_position(partition)
                pipeline.set(key, f"{_short(incarnation)}/{offset}")
            await pipeline.execute()

    async def remove_partition(self, partition: int) -> None:
        """Removes a partition's index and position."""
        known = self._keys.interest_items(partition)
        while True:
            with translated():
                items: Any = await self._redis.spop(known, AT_ONCE)
                if not items:
                    await self._redis.unlink(self._keys.catalogue_position(partition))
                    return
                pipeline = self._redis.pipeline(transaction=False)
                for item in items:
                    pipeline.unlink(self._keys.interested(partition, item.decode()))
                await pipeline.execute()


def _short(incarnation: str) -> str:
    return stable_id(incarnation)[:8]


def _parts(
    items: Mapping[str, Mapping[str, int]],
) -> list[list[tuple[str, Mapping[str, int]]]]:
    """Pieces that one run of the script may have."""
    if len(items) <= AT_ONCE and sum(map(len, items.values())) <= CUSTOMERS_AT_ONCE:
        return [list(items.items())] if items else []
    parts: list[list[tuple[str, Mapping[str, int]]]] = []
    left = 0
    for item, marks in items.items():
        entries = list(marks.items())
        for start in range(0, len(entries), CUSTOMERS_AT_ONCE):
            some = dict(entries[start : start + CUSTOMERS_AT_ONCE])
            if left < len(some) or len(parts[-1]) >= AT_ONCE:
                parts.append([])
                left = CUSTOMERS_AT_ONCE
            parts[-1].append((item, some))
            left -= len(some)
    return parts
