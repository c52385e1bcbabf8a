"""The profile store: identities, item statistics and timers in Redis. All its commands are here.

Invariant: one atomic write per identity holds the new state, view, positions, event-id window,
outbox and waiting moments, and happens only if nobody wrote since it was read (compare-and-set on
counter `n`). Everything goes out in pipelines: one round trip for any number of identities.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
from redis.asyncio import Redis

from services.profile.identity import Identity, OutboxEntry, stable_id
from services.profile.moments.waiting_format import pack_waiting, unpack_waiting
from services.profile.state_format import Packed, pack_profile, unpack_profile
from services.profile.store_calls import Scripts
from services.profile.store_errors import translated
from services.profile.store_scripts import COUNT, SAVE, SAVE_BESIDE
from services.profile.store_values import DueTimer, ItemBatch, RecreatedTopic
from shared.keys import Keys

BUCKETS_KEPT: Final = 14 * 24

_encoder = msgspec.msgpack.Encoder()
_outbox_decoder = msgspec.msgpack.Decoder(list[OutboxEntry])
_positions_decoder = msgspec.msgpack.Decoder(tuple[str, dict[int, int]])


class ProfileStore:
    """Reads and writes identities for one incarnation of the topic `events`.

    Raises StoreUnavailable when Redis does not answer, RecreatedTopic when what it holds was
    folded from another topic of that name.
    """

    def __init__(self, redis: Redis, keys: Keys, incarnation: str) -> None:
        self._redis = redis
        self._keys = keys
        self._incarnation = stable_id(incarnation)[:8]
        self._scripts = Scripts(redis, {"save": SAVE, "beside": SAVE_BESIDE, "count": COUNT})

    def use(self, generation: str) -> None:
        """Reads and writes that generation from now on."""
        self._keys = Keys(self._keys.namespace, generation)

    async def load(self, identities: Sequence[str]) -> dict[str, Identity]:
        """The identities by key; one that Redis does not know comes back empty."""
        with translated():
            pipeline = self._redis.pipeline(transaction=False)
            for key in identities:
                pipeline.hmget(self._keys.profile(key), ("n", "v", "s", "p", "d", "o", "t", "w"))
            rows = await pipeline.execute()
        return {key: self._decode(key, row) for key, row in zip(identities, rows, strict=True)}

    def _decode(self, key: str, row: list[bytes | None]) -> Identity:
        counter, view, state, positions, window, outbox, accepted_at, waiting = row
        if counter is None or view is None or state is None or positions is None:
            return Identity(key)
        incarnation, offsets = _positions_decoder.decode(positions)
        self._refuse_other(incarnation)
        profile, marks = unpack_profile(Packed(view, state, window or b""))
        return Identity(
            key=key,
            counter=int(counter),
            profile=profile,
            positions=offsets,
            window=marks,
            outbox=_outbox_decoder.decode(outbox) if outbox else [],
            accepted_at=int(accepted_at or 0),
            waiting=unpack_waiting(waiting),
        )

    async def counters(self, identities: Sequence[str]) -> dict[str, int]:
        """How often each identity was written; 0 where Redis does not know it."""
        with translated():
            pipeline = self._redis.pipeline(transaction=False)
            for key in identities:
                pipeline.hget(self._keys.profile(key), "n")
            counters = await pipeline.execute()
        return {key: int(found or 0) for key, found in zip(identities, counters, strict=True)}

    async def views(self, identities: Sequence[str]) -> dict[str, bytes]:
        """The packed views by key, empty where there is none."""
        with translated():
            pipeline = self._redis.pipeline(transaction=False)
            for key in identities:
                pipeline.hget(self._keys.profile(key), "v")
            rows = await pipeline.execute()
        return {key: row or b"" for key, row in zip(identities, rows, strict=True)}

    async def save(self, identities: Sequence[Identity]) -> list[Identity]:
        """Writes each identity unless somebody else did since it was read; returns those refused.

        The counters of the written ones move on by one.
        """
        return await self._write(
            identities, [("save", self._save_arguments(identity)) for identity in identities]
        )

    async def save_beside(self, identities: Sequence[Identity]) -> list[Identity]:
        """The same for identities of which only outbox and waiting moments may have changed since
        they were read or written: neither view nor state nor window is packed again."""
        calls = [("beside", self._beside_arguments(identity)) for identity in identities]
        return await self._write(identities, calls)

    async def _write(
        self, identities: Sequence[Identity], calls: Sequence[tuple[str, list[Any]]]
    ) -> list[Identity]:
        if not identities:
            return []
        answers = await self._scripts.run(calls)
        refused = []
        for identity, written in zip(identities, answers, strict=True):
            if written:
                identity.counter += 1
            else:
                refused.append(identity)
        return refused

    def _beside_arguments(self, identity: Identity) -> list[Any]:
        return [
            1,
            self._keys.profile(identity.key),
            identity.counter,
            identity.counter + 1,
            _encoder.encode(identity.outbox) if identity.outbox else b"",
            pack_waiting(identity.waiting),
        ]

    def _save_arguments(self, identity: Identity) -> list[Any]:
        packed = pack_profile(identity.profile, identity.window)
        return [
            1,
            self._keys.profile(identity.key),
            identity.counter,
            identity.counter + 1,
            packed.view,
            packed.state,
            _encoder.encode((self._incarnation, identity.positions)),
            packed.window,
            _encoder.encode(identity.outbox) if identity.outbox else b"",
            identity.accepted_at,
            pack_waiting(identity.waiting),
        ]

    async def item_positions(self, partitions: Sequence[int]) -> dict[int, int]:
        """The offsets up to which partitions' item statistics stand; -1 before the first."""
        with translated():
            pipeline = self._redis.pipeline(transaction=False)
            for partition in partitions:
                pipeline.get(self._keys.item_position(partition))
            values = await pipeline.execute()
        return dict(zip(partitions, map(self._offset, values), strict=True))

    def _offset(self, position: bytes | None) -> int:
        if not position:
            return -1
        incarnation, _, offset = position.decode().partition("/")
        self._refuse_other(incarnation)
        return int(offset)

    def _refuse_other(self, incarnation: str) -> None:
        if incarnation != self._incarnation:
            raise RecreatedTopic(
                "profiles were folded from another incarnation of the topic events; "
                "rebuild them or use a new namespace"
            )

    async def count_items(self, batches: Sequence[ItemBatch]) -> list[int]:
        """Adds each partition's counts and moves its position, if that stands where expected.

        Returns the positions that stand afterwards: another than the batch's own means that
        nothing was added, because somebody else has counted that partition further.
        """
        answers = await self._scripts.run(
            [("count", self._count_arguments(batch)) for batch in batches]
        )
        return [self._offset(answer) for answer in answers]

    def _count_arguments(self, batch: ItemBatch) -> list[Any]:
        packed: dict[int, list[int | str | list[int]]] = {}
        for (bucket, item), amounts in batch.increments.items():
            entry = packed.get(bucket)
            if entry is None:
                entry = packed[bucket] = [bucket]
            entry.append(item)
            entry.append(amounts)
        return [
            2 + len(packed),
            self._keys.item_position(batch.partition),
            self._keys.item_buckets(batch.partition),
            *(self._keys.item_bucket(batch.partition, bucket) for bucket in packed),
            "" if batch.expected < 0 else f"{self._incarnation}/{batch.expected}",
            f"{self._incarnation}/{batch.position}",
            _encoder.encode(list(packed.values())),
        ]

    async def drop_old_buckets(self, partition: int) -> None:
        """Forgets the hour buckets more than 14 days behind the partition's newest."""
        buckets = self._keys.item_buckets(partition)
        with translated():
            newest: Any = await self._redis.zrange(buckets, -1, -1)
            if not newest:
                return
            last = int(newest[0]) - BUCKETS_KEPT
            old: Any = await self._redis.zrangebyscore(buckets, "-inf", last)
            if old:
                await self._redis.delete(
                    *(self._keys.item_bucket(partition, int(bucket)) for bucket in old)
                )
                await self._redis.zremrangebyscore(buckets, "-inf", last)

    async def schedule(self, timers: Iterable[DueTimer]) -> None:
        """Puts timers into the index, once the states that they come from are written."""
        await self.settle((), {timer: timer.due for timer in timers})

    async def due(self, partitions: Iterable[int], now: int, limit: int) -> list[DueTimer]:
        """Timers due at `now` (business epoch ms), at most `limit` a partition."""
        chosen = sorted(partitions)
        with translated():
            pipeline = self._redis.pipeline(transaction=False)
            for partition in chosen:
                pipeline.zrangebyscore(
                    self._keys.timers(partition), "-inf", now, 0, limit, withscores=True
                )
            answers = await pipeline.execute()
        return [
            DueTimer(partition, key.decode(), int(due))
            for partition, entries in zip(chosen, answers, strict=True)
            for key, due in entries
        ]

    async def settle(self, stale: Iterable[DueTimer], later: Mapping[DueTimer, int]) -> None:
        """Removes stale timers from the index and moves the others to their later times."""
        removed: dict[int, list[str]] = {}
        for timer in stale:
            removed.setdefault(timer.partition, []).append(timer.key)
        moved: dict[int, dict[str, int]] = {}
        for timer, due in later.items():
            moved.setdefault(timer.partition, {})[timer.key] = due
        if not removed and not moved:
            return
        with translated():
            pipeline = self._redis.pipeline(transaction=False)
            for partition, keys in removed.items():
                pipeline.zrem(self._keys.timers(partition), *keys)
            for partition, dues in moved.items():
                pipeline.zadd(self._keys.timers(partition), dues)
            await pipeline.execute()
