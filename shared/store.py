"""The Redis client that every store module is handed: opened once a process, closed on the way out.

Survives a Redis that restarts or drops connections: each command reconnects, and nothing is sent
twice by the client itself, since a write that failed midway is for its caller to judge.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from shared.settings import Settings


@asynccontextmanager
async def open_redis(
    settings: Settings, *, timeout_s: float = 5.0, connections: int = 8
) -> AsyncIterator[Redis]:
    """A client that gives up on a reply after `timeout_s`; it connects on first use."""
    client = Redis.from_url(
        settings.redis,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        max_connections=connections,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
    )
    try:
        yield client
    finally:
        await client.aclose()
