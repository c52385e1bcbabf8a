"""The profile store: identities, item statistics and timers in Redis. All its commands are here.

Invariant: one atomic write per identity holds the new state, view, positions, event-id window and
outbox, and happens only if nobody wrote since it was read (compare-and-set on counter `n`).
Everything goes out in pipelines: one round trip for any number of identities.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import msgspec
from redis.asyncio import Redis
from redis.exceptions import NoScriptError, RedisError, ResponseError

from services.profile.identity import Identity, OutboxEntry, stable_id
from services.profile.state import decode_state, encode_state
from services.profile.store_scripts import COUNT, SAVE
from services.profile.store_values import DueTimer, ItemBatch, RecreatedTopic, StoreEmptied
from services.profile.view import project
from services.profile.window import Window
from shared.errors import StoreForgot, StoreUnavailable
from shared.keys import Keys
from shared.profile import encode_view
from shared.store import AnotherServer, ServerWatch

BUCKETS_KEPT: Final = 14 * 24

_outbox_encoder = msgspec.msgpack.Encoder()
_outbox_decoder = msgspec.msgpack.Decoder(list[OutboxEntry])
_positions_decoder = msgspec.msgpack.Decoder(tuple[str, dict[int, int]])


class ProfileStore:
    """Reads and writes identities for one incarnation of the topic `events`.

    Raises StoreUnavailable when Redis does not answer, RecreatedTopic when what it holds was
    folded from another topic of that name.
    """

    def __init__(
        self, redis: Redis, keys: Keys, incarnation: str, watch: ServerWatch | None = None
    ) -> None:
        self._redis = redis
        self._watch = watch or ServerWatch()
        self._keys = keys
        self._incarnation = stable_id(incarnation)[:8]
        self._save_sha = ""
        self._count_sha = ""

    async def load(self, identities: Sequence[str]) -> dict[str, Identity]:
        """The identities by key; one that Redis does not know comes back empty."""
        with _translated():
            pipeline = self._redis.pipeline(transaction=False)
            for key in identities:
                pipeline.hmget(self._keys.profile(key), ("n", "s", "p", "d", "o", "t"))
            rows = await pipeline.execute()
        return {key: self._decode(key, row) for key, row in zip(identities, rows, strict=True)}

    def _decode(self, key: str, row: list[bytes | None]) -> Identity:
        counter, state, positions, window, outbox, accepted_at = row
        if counter is None or state is None or positions is None:
            return Identity(key)
        incarnation, offsets = _positions_decoder.decode(positions)
        self._refuse_other(incarnation)
        return Identity(
            key=key,
            counter=int(counter),
            profile=decode_state(state),
            positions=offsets,
            window=Window.unpack(window or b""),
            outbox=_outbox_decoder.decode(outbox) if outbox else [],
            accepted_at=int(accepted_at or 0),
        )

    async def views(self, identities: Sequence[str]) -> dict[str, bytes]:
        """The packed views by key, empty where there is none."""
        with _translated():
            pipeline = self._redis.pipeline(transaction=False)
            for key in identities:
                pipeline.hget(self._keys.profile(key), "v")
            rows = await pipeline.execute()
        return {key: row or b"" for key, row in zip(identities, rows, strict=True)}

    async def save(self, identities: Sequence[Identity]) -> list[Identity]:
        """Writes each identity unless somebody else did since it was read; returns those refused.

        The counters of the written ones move on by one.
        """
        if not identities:
            return []
        answers = await self._scripts(
            [(self._save_arguments(identity), "save") for identity in identities]
        )
        refused = []
        for identity, written in zip(identities, answers, strict=True):
            if written:
                identity.counter += 1
            else:
                refused.append(identity)
        return refused

    def _save_arguments(self, identity: Identity) -> list[Any]:
        return [
            1,
            self._keys.profile(identity.key),
            identity.counter,
            identity.counter + 1,
            encode_view(project(identity.profile)),
            encode_state(identity.profile),
            _outbox_encoder.encode((self._incarnation, identity.positions)),
            identity.window.pack(),
            _outbox_encoder.encode(identity.outbox) if identity.outbox else b"",
            identity.accepted_at,
        ]

    async def _scripts(self, calls: list[tuple[list[Any], str]]) -> list[Any]:
        """Runs scripts in one pipeline; loads them first where the server lost them."""
        with _translated():
            for _ in range(2):
                if not self._save_sha:
                    self._save_sha = str(await self._redis.script_load(SAVE))
                    self._count_sha = str(await self._redis.script_load(COUNT))
                shas = {"save": self._save_sha, "count": self._count_sha}
                pipeline = self._redis.pipeline(transaction=False)
                for arguments, script in calls:
                    pipeline.evalsha(shas[script], *arguments)
                answers = await pipeline.execute(raise_on_error=False)
                if not any(isinstance(answer, NoScriptError) for answer in answers):
                    break
                # A script that did run made its write; running it again is refused by its guard.
                self._save_sha = ""
            for answer in answers:
                if isinstance(answer, Exception):
                    raise answer
            return answers

    async def item_positions(self, partitions: Sequence[int]) -> dict[int, int]:
        """The offsets up to which partitions' item statistics stand; -1 before the first."""
        with _translated():
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
        answers = await self._scripts(
            [(self._count_arguments(batch), "count") for batch in batches]
        )
        return [self._offset(answer) for answer in answers]

    def _count_arguments(self, batch: ItemBatch) -> list[Any]:
        buckets = sorted({bucket for bucket, _ in batch.increments})
        index = {bucket: place for place, bucket in enumerate(buckets, start=1)}
        rows: list[Any] = []
        for (bucket, item), amounts in batch.increments.items():
            rows += (index[bucket], item, ",".join(map(str, amounts)))
        return [
            2 + len(buckets),
            self._keys.item_position(batch.partition),
            self._keys.item_buckets(batch.partition),
            *(self._keys.item_bucket(batch.partition, bucket) for bucket in buckets),
            "" if batch.expected < 0 else f"{self._incarnation}/{batch.expected}",
            f"{self._incarnation}/{batch.position}",
            len(buckets),
            *buckets,
            *rows,
        ]

    async def drop_old_buckets(self, partition: int) -> None:
        """Forgets the hour buckets more than 14 days behind the partition's newest."""
        buckets = self._keys.item_buckets(partition)
        with _translated():
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
        """Puts timers into the index, before the states that they come from are written."""
        by_partition: dict[int, dict[str, int]] = {}
        for timer in timers:
            by_partition.setdefault(timer.partition, {})[timer.key] = timer.due
        if not by_partition:
            return
        with _translated():
            pipeline = self._redis.pipeline(transaction=False)
            for partition, due in by_partition.items():
                pipeline.zadd(self._keys.timers(partition), due)
            await pipeline.execute()

    async def due(self, partitions: Iterable[int], now: int, limit: int) -> list[DueTimer]:
        """Timers due at `now` (business epoch ms), at most `limit` a partition."""
        chosen = sorted(partitions)
        with _translated():
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
        with _translated():
            pipeline = self._redis.pipeline(transaction=False)
            for timer in stale:
                pipeline.zrem(self._keys.timers(timer.partition), timer.key)
            for timer, due in later.items():
                pipeline.zadd(self._keys.timers(timer.partition), {timer.key: due})
            await pipeline.execute()

    async def ping(self) -> None:
        """Raises StoreUnavailable unless Redis answers, StoreForgot where it is another one."""
        with _translated():
            await self._redis.ping()

    async def accept_server(self) -> None:
        """Goes on with whichever server answers now. Raises StoreEmptied where it holds nothing."""
        self._watch.accept()
        await self._redis.connection_pool.disconnect()
        await self.refuse_emptied()

    async def refuse_emptied(self) -> None:
        """Raises StoreEmptied where the mark that `claim` left is gone."""
        with _translated():
            if not await self._redis.exists(self._keys.claim()):
                raise StoreEmptied(
                    "Redis has lost the profiles that were folded from the committed facts; "
                    "restore its data, or fold the log anew in a new namespace"
                )

    async def claim(self) -> None:
        """Leaves the mark that tells a store that was emptied from one that is new."""
        with _translated():
            await self._redis.set(self._keys.claim(), self._incarnation, nx=True)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except AnotherServer as error:
        raise StoreForgot(str(error)) from error
    except ResponseError as error:
        # Its text may quote the command, and commands name people.
        raise StoreUnavailable(f"Redis refused a command: {type(error).__name__}") from error
    except (RedisError, OSError, TimeoutError) as error:
        raise StoreUnavailable(f"Redis: {type(error).__name__}: {error}") from error
