"""Reads of the profile store: one view (or two) a request, and the item statistics.

Reads of concurrent requests are gathered into one write a turn of the event loop, on a connection
of their own (store_wire.py), or into one pipeline of redis-py where the store is a cluster. A read
that fails or is late is None, never an error: the answer steps down its ladder.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from services.recommend.metrics import RecommendMetrics
from services.recommend.store_wire import Replies, Wire, pack
from shared import store
from shared.errors import StoreUnavailable
from shared.generation_store import LiveKeys
from shared.profile import View, decode_view
from shared.settings import Settings

CONNECTIONS: Final = 8
MOST_IN_FLIGHT: Final = 64
"""Pipelines under way at once; while the store hangs, further reads fail at once."""
GRACE_S: Final = 0.002
GRACES: Final = 5
"""Turns of the event loop that a late read still gets: where this process is what is late, the
reply lies in the socket already, and a busy loop needs a few turns to take it out."""
SOCKET_S: Final = 2.0
SCAN_COUNT: Final = 500

_logger = logging.getLogger(__name__)


class Seen(NamedTuple):
    """A view as it was read; `at`: real ms at which its newest event was accepted."""

    view: View
    at: int | None


class Missing:
    """Stands for: the store answered, and has no such profile."""


NO_PROFILE: Final = Missing()
Answer: TypeAlias = Seen | Missing | None
"""None: the store failed or was late."""


@asynccontextmanager
async def open_redis(settings: Settings) -> AsyncIterator["Redis[bytes]"]:  # type: ignore[type-arg]
    """A client of the store. It connects on first use and again after a failure."""
    if settings.redis_cluster:
        async with store.open_redis(settings, timeout_s=SOCKET_S, connections=CONNECTIONS) as nodes:
            yield nodes
        return
    pool = BlockingConnectionPool.from_url(
        settings.redis,
        max_connections=CONNECTIONS,
        timeout=1,
        socket_timeout=SOCKET_S,
        socket_connect_timeout=SOCKET_S,
        retry=Retry(NoBackoff(), 0),
    )
    client = Redis(connection_pool=pool)
    try:
        yield client
    finally:
        await client.aclose()
        await pool.disconnect()


class _Batch:
    """The reads of one tick: hash keys, and who waits for each."""

    __slots__ = ("expired", "graces", "keys", "timer", "waiting")

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.waiting: list[asyncio.Future[Answer]] = []
        self.expired = False
        self.graces = GRACES
        self.timer: asyncio.TimerHandle | None = None

    def resolve(self, answers: Sequence[Answer]) -> None:
        for future, answer in zip(self.waiting, answers, strict=True):
            # one that was cancelled, or ran out of time, is done; the others have their own reply
            if not future.done():
                future.set_result(answer)


class ProfileReader:
    """Reads views. The reply at a place of a pipeline goes to the request that asked there, and
    to nobody else, whatever becomes of the others: requests wait on futures of their own, and
    what is under way is nothing that a request can cancel. wire: None for the client's pipelines.
    """

    def __init__(
        self,
        client: Any,
        live: LiveKeys,
        metrics: RecommendMetrics,
        deadline_ms: int,
        wire: Wire | None = None,
    ) -> None:
        self._client = client
        self._wire = wire
        self._live = live
        self._metrics = metrics
        self._deadline_s = deadline_ms / 1_000
        self._batch: _Batch | None = None
        self._running: set[asyncio.Task[None]] = set()

    def read(self, identity: str) -> "asyncio.Future[Answer]":
        """Ask for an identity's view; the future is done within the deadline, never with an
        error. Must be called in a running loop."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        batch = self._batch
        if batch is None:
            batch = self._batch = _Batch()
            loop.call_soon(self._send, batch)
        batch.keys.append(self._live.keys.profile(identity))
        batch.waiting.append(future)
        return future

    def _send(self, batch: _Batch) -> None:
        self._batch = None
        loop, wire = asyncio.get_running_loop(), self._wire
        if wire is not None:
            wire.look(loop.time())
        if (len(self._running) if wire is None else wire.in_flight) >= MOST_IN_FLIGHT:
            self._metrics.store_failed("busy")
            batch.resolve([None] * len(batch.keys))
            return
        batch.timer = loop.call_later(self._deadline_s, self._expire, batch)
        if wire is not None:
            commands = [pack(("HMGET", key, "v", "t")) for key in batch.keys]
            wire.ask(b"".join(commands), len(commands), partial(self._replied, batch))
            return
        task = loop.create_task(self._execute(batch))
        self._running.add(task)
        task.add_done_callback(partial(self._done, batch))

    def _replied(self, batch: _Batch, replies: Replies) -> None:
        if batch.timer is not None:
            batch.timer.cancel()
        if batch.expired:
            return
        if isinstance(replies, Exception):
            self._metrics.store_failed(type(replies).__name__)
            batch.resolve([None] * len(batch.keys))
            return
        batch.resolve([self._decode(reply) for reply in replies])

    def _done(self, batch: _Batch, task: "asyncio.Task[None]") -> None:
        self._running.discard(task)
        if batch.timer is not None:
            batch.timer.cancel()

    def _expire(self, batch: _Batch) -> None:
        if batch.graces:
            batch.graces -= 1
            batch.timer = asyncio.get_running_loop().call_later(GRACE_S, self._expire, batch)
            return
        batch.expired = True
        self._metrics.store_failed("late")
        batch.resolve([None] * len(batch.keys))

    async def _execute(self, batch: _Batch) -> None:
        try:
            pipeline = self._client.pipeline(transaction=False)
            for key in batch.keys:
                pipeline.execute_command("HMGET", key, "v", "t")
            replies = await pipeline.execute(raise_on_error=False)
        except (RedisError, OSError, TimeoutError) as error:
            if not batch.expired:
                self._metrics.store_failed(type(error).__name__)
            batch.resolve([None] * len(batch.keys))
        except BaseException:
            batch.resolve([None] * len(batch.keys))
            raise
        else:
            if not batch.expired:
                batch.resolve([self._decode(reply) for reply in replies])

    def _decode(self, reply: Any) -> Answer:
        if isinstance(reply, Exception):
            self._metrics.store_failed(type(reply).__name__)
            return None
        packed, at = reply
        if packed is None:
            return NO_PROFILE
        try:
            return Seen(decode_view(packed), int(at) if at is not None else None)
        except (msgspec.MsgspecError, ValueError):
            self._metrics.store_failed("unreadable")
            return None

    async def check(self) -> None:
        """Raises StoreUnavailable unless the store answers now (for readiness)."""
        try:
            await self._client.ping()
        except (RedisError, OSError) as error:
            raise StoreUnavailable(f"the store does not answer ({type(error).__name__})") from None

    async def close(self) -> None:
        """Wait for what is under way."""
        if self._wire is not None:
            await self._wire.close()
        if self._running:
            await asyncio.wait(self._running, timeout=SOCKET_S)


class StatisticsReader:
    """Reads the partitions' item statistics. Every method raises StoreUnavailable."""

    def __init__(self, client: Any, live: LiveKeys) -> None:
        self._client = client
        self._live = live

    @property
    def generation(self) -> str:
        """Which generation is read now: what was read of another has to be read again."""
        return self._live.keys.generation

    async def positions(self, partitions: int) -> list[bytes | None]:
        """Up to where each partition's statistics stand: unchanged means nothing to read."""
        pipeline = self._client.pipeline(transaction=False)
        for partition in range(partitions):
            pipeline.get(self._live.keys.item_position(partition))
        replies: list[bytes | None] = await _answered(pipeline.execute())
        return replies

    async def hours(self, partition: int) -> list[int]:
        """The buckets a partition holds, newest first."""
        key = self._live.keys.item_buckets(partition)
        return [int(hour) for hour in await _answered(self._client.zrevrange(key, 0, -1))]

    async def bucket(self, partition: int, hour: int) -> dict[bytes, bytes]:
        """One bucket, read in slices so that requests get their turn in between."""
        key = self._live.keys.item_bucket(partition, hour)
        fields: dict[bytes, bytes] = {}
        cursor = 0
        while True:
            cursor, part = await _answered(self._client.hscan(key, cursor, count=SCAN_COUNT))
            fields.update(part)
            if not cursor:
                return fields


async def _answered(awaitable: Any) -> Any:
    try:
        return await awaitable
    except (RedisError, OSError, TimeoutError) as error:
        raise StoreUnavailable(f"the store does not answer ({type(error).__name__})") from None
