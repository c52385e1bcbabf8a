"""What only a rebuild does in Redis: fills item statistics at once, and removes old generations.

Every key is known (identities from the log, buckets from their index): nothing is searched for.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from services.profile.items.interest_store import InterestStore
from services.profile.store_errors import translated
from shared.keys import Keys

AT_ONCE: Final = 500
"""Fields or keys in one pipeline, so that requests for profiles get their turn in between."""


class GenerationFiller:
    """The keys of one generation that nobody reads, before it is live or when it was."""

    def __init__(self, redis: Any, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    async def fill_buckets(
        self, partition: int, buckets: Mapping[int, Mapping[str, Sequence[int]]]
    ) -> None:
        """Writes a partition's item counts, hour → item → counts, and the index of hours."""
        for hour, rows in buckets.items():
            key = self._keys.item_bucket(partition, hour)
            packed = [(item, ",".join(map(str, amounts))) for item, amounts in rows.items()]
            for start in range(0, len(packed), AT_ONCE):
                with translated():
                    await self._redis.hset(key, mapping=dict(packed[start : start + AT_ONCE]))
        if buckets:
            with translated():
                index = self._keys.item_buckets(partition)
                await self._redis.zadd(index, {str(hour): hour for hour in buckets})

    async def remove_profiles(self, identities: Sequence[str]) -> None:
        """Removes what it holds of these."""
        await self._remove([self._keys.profile(identity) for identity in identities])

    async def remove_partition(self, partition: int) -> None:
        """Removes the item statistics, the timers and the interested customers of a partition."""
        await InterestStore(self._redis, self._keys).remove_partition(partition)
        index = self._keys.item_buckets(partition)
        with translated():
            hours = await self._redis.zrange(index, 0, -1)
        buckets = [self._keys.item_bucket(partition, int(hour)) for hour in hours]
        await self._remove(buckets)
        position, timers = self._keys.item_position(partition), self._keys.timers(partition)
        await self._remove([position, timers, index])

    async def _remove(self, keys: Sequence[str]) -> None:
        for start in range(0, len(keys), AT_ONCE):
            with translated():
                pipeline = self._redis.pipeline(transaction=False)
                for key in keys[start : start + AT_ONCE]:
                    pipeline.unlink(key)
                await pipeline.execute()
